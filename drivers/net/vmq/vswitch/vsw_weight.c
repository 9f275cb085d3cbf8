// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which ports hold the queues when there are more ports: numbers in, moves out.
 *
 * The heaviest do. Among equals who holds a queue keeps it, so that nothing
 * moves without need, and a queue that is free goes to the oldest, or, by load,
 * to the busiest. The caller asks for one step at a time until there is none,
 * and says of each port that could not take what it got: the steps then lead to
 * the next best, and back to who gave.
 */
#include <kunit/visibility.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "vsw_weight.h"

/*
 * A swap costs both ports some grace periods, and a ring its warm caches. It
 * has to bring so many frames a second, and half as many again as before:
 * loads that vary by a third swap nothing.
 */
#define VSW_WEIGHT_LEAST	100
#define VSW_WEIGHT_MARGIN	2

void vsw_weight_init(struct vsw_weight *w)
{
	memset(w, 0, sizeof(*w));
	INIT_LIST_HEAD(&w->ports);
	INIT_LIST_HEAD(&w->holders);
	/* The zeros in the swaps are long ago. */
	w->round = VSW_WEIGHT_WINDOW;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_init);

void vsw_weight_port_init(struct vsw_weight_port *p)
{
	memset(p, 0, sizeof(*p));
	INIT_LIST_HEAD(&p->node);
	INIT_LIST_HEAD(&p->held);
	p->weight = VSW_WEIGHT_DEFAULT;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_port_init);

/* As the youngest. */
void vsw_weight_join(struct vsw_weight *w, struct vsw_weight_port *p)
{
	p->age = w->joined++;
	list_add_tail(&p->node, &w->ports);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_join);

/* It competes no more; a queue that it holds is nobody's to take. */
void vsw_weight_leave(struct vsw_weight_port *p)
{
	list_del_init(&p->node);
	list_del_init(&p->held);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_leave);

void vsw_weight_hold(struct vsw_weight *w, struct vsw_weight_port *p)
{
	p->holds = true;
	list_add_tail(&p->held, &w->holders);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_hold);

void vsw_weight_release(struct vsw_weight_port *p)
{
	p->holds = false;
	list_del_init(&p->held);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_release);

/* Before others of its weight, until the queues are where they belong. */
void vsw_weight_set_party(struct vsw_weight *w, struct vsw_weight_port *p)
{
	p->party = true;
	w->parties = true;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_set_party);

static bool vsw_weight_waits(const struct vsw_weight_port *p)
{
	return p->weight && !p->holds && !p->cannot;
}

/*
 * Does @a, which waits, go before @b, which waits too and is older? Who gave a
 * queue, or was to get one, has not lost his place to others of his weight.
 */
static bool vsw_weight_precedes(const struct vsw_weight *w,
				const struct vsw_weight_port *a,
				const struct vsw_weight_port *b)
{
	if (a->weight != b->weight)
		return a->weight > b->weight;
	if (a->party != b->party)
		return a->party;
	return w->policy == VSW_WEIGHT_BY_LOAD && a->load > b->load;
}

/* The first of those that wait and come after @after; NULL: of all. */
static struct vsw_weight_port *
vsw_weight_first_waiting(struct vsw_weight *w,
			 const struct vsw_weight_port *after)
{
	struct vsw_weight_port *p, *best = NULL;
	bool older = true;

	list_for_each_entry(p, &w->ports, node) {
		if (p == after) {
			older = false;
			continue;
		}
		if (!vsw_weight_waits(p))
			continue;
		/* Of two that are equal the older one comes first. */
		if (after && !(older ? vsw_weight_precedes(w, after, p) :
				       !vsw_weight_precedes(w, p, after)))
			continue;
		if (!best || vsw_weight_precedes(w, p, best))
			best = p;
	}
	return best;
}

/* Is @a rather to lose its queue than @b, of equals the younger one? */
static bool vsw_weight_yields_before(const struct vsw_weight *w,
				     const struct vsw_weight_port *a,
				     const struct vsw_weight_port *b)
{
	if (a->weight != b->weight)
		return a->weight < b->weight;
	if (w->policy == VSW_WEIGHT_BY_LOAD && a->load != b->load)
		return a->load < b->load;
	return a->age > b->age;
}

static struct vsw_weight_port *vsw_weight_last_holder(struct vsw_weight *w)
{
	struct vsw_weight_port *p, *last = NULL;

	/* Nobody's weight takes the queue of an exclusive port. */
	list_for_each_entry(p, &w->holders, held)
		if (!p->exclusive &&
		    (!last || vsw_weight_yields_before(w, p, last)))
			last = p;
	return last;
}

/*
 * The next step, for @port. A queue that will be free soon is as good as taken
 * by the first who waits: only the one behind them may take another's.
 */
enum vsw_weight_act vsw_weight_next(struct vsw_weight *w,
				    struct vsw_weight_port **port)
{
	struct vsw_weight_port *loser = vsw_weight_last_holder(w), *first;
	unsigned int soon = w->soon;

	if (loser && !loser->weight) {
		*port = loser;
		return VSW_WEIGHT_GIVE;
	}
	/* Nobody is heavier: a new port among thousands need not look at them. */
	if (!w->now && (!loser || loser->weight == VSW_WEIGHT_MAX))
		return VSW_WEIGHT_STAY;

	first = vsw_weight_first_waiting(w, NULL);
	if (first && w->now) {
		*port = first;
		return VSW_WEIGHT_TAKE;
	}
	while (first && soon--)
		first = vsw_weight_first_waiting(w, first);
	if (!first || !loser || first->weight <= loser->weight)
		return VSW_WEIGHT_STAY;
	/* Who has it back if the heavier one cannot use it. */
	vsw_weight_set_party(w, loser);
	*port = loser;
	return VSW_WEIGHT_GIVE;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_next);

/* No step is left, and no queue is on its way: places are as they seem. */
void vsw_weight_settled(struct vsw_weight *w)
{
	struct vsw_weight_port *p;

	if (w->soon || !w->parties)
		return;
	list_for_each_entry(p, &w->ports, node)
		p->party = false;
	w->parties = false;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_settled);

/* What a port sent and received, in frames a second of this round. */
void vsw_weight_measure(struct vsw_weight_port *p, u32 load)
{
	/* Bursts of a round or two are not what a queue is moved for. */
	p->load = ((u64)p->load * 3 + load) / 4;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_measure);

static bool vsw_weight_rests(const struct vsw_weight *w,
			     const struct vsw_weight_port *p)
{
	return w->round - p->swapped < p->rest;
}

static void vsw_weight_set_rest(const struct vsw_weight *w,
				struct vsw_weight_port *p)
{
	bool again = p->rest && w->round - p->swapped < 4 * p->rest;

	p->rest = again ? min(2 * p->rest, VSW_WEIGHT_REST_MAX) :
			  VSW_WEIGHT_REST;
	p->swapped = w->round;
}

/*
 * Who swaps by load: the idlest holder and the busiest of those that wait, of
 * the weight at which some hold a queue and some do not.
 */
static bool vsw_weight_find_swap(struct vsw_weight *w,
				 struct vsw_weight_port **idle,
				 struct vsw_weight_port **busy)
{
	struct vsw_weight_port *p, *last = vsw_weight_last_holder(w);

	*idle = NULL;
	*busy = NULL;
	if (!last)
		return false;
	list_for_each_entry(p, &w->ports, node) {
		if (p->weight != last->weight || vsw_weight_rests(w, p))
			continue;
		if (p->holds && !p->exclusive &&
		    (!*idle || p->load <= (*idle)->load))
			*idle = p;
		if (vsw_weight_waits(p) && (!*busy || p->load > (*busy)->load))
			*busy = p;
	}
	return *idle && *busy;
}

/*
 * A round by load, with all measured and no step left. Returns the port that is
 * to give its queue, for the steps that follow to another, or NULL.
 */
struct vsw_weight_port *vsw_weight_round(struct vsw_weight *w)
{
	struct vsw_weight_port *idle, *busy;

	w->round++;
	if (w->now || w->soon ||
	    w->round - w->swaps[w->oldest] < VSW_WEIGHT_WINDOW ||
	    !vsw_weight_find_swap(w, &idle, &busy))
		return NULL;
	if (busy->load < (u64)idle->load + idle->load / VSW_WEIGHT_MARGIN +
			 VSW_WEIGHT_LEAST)
		return NULL;

	w->swaps[w->oldest] = w->round;
	w->oldest = (w->oldest + 1) % VSW_WEIGHT_SWAPS;
	vsw_weight_set_rest(w, idle);
	vsw_weight_set_rest(w, busy);
	vsw_weight_set_party(w, idle);
	vsw_weight_set_party(w, busy);
	return idle;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_round);
