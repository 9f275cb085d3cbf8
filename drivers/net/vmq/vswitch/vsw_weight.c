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
	/* The zeros in the swaps are long ago. */
	w->round = VSW_WEIGHT_WINDOW;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_init);

void vsw_weight_port_init(struct vsw_weight_port *p)
{
	memset(p, 0, sizeof(*p));
	INIT_LIST_HEAD(&p->node);
	p->weight = VSW_WEIGHT_DEFAULT;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_port_init);

static bool vsw_weight_waits(const struct vsw_weight_port *p)
{
	return p->weight && !p->holds && !p->cannot;
}

/* Nobody's weight takes the queue of an exclusive port. */
static bool vsw_weight_yields(const struct vsw_weight_port *p)
{
	return p->holds && !p->exclusive;
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

/* Is @a, the younger one, rather to lose its queue than @b? */
static bool vsw_weight_yields_before(const struct vsw_weight *w,
				     const struct vsw_weight_port *a,
				     const struct vsw_weight_port *b)
{
	if (a->weight != b->weight)
		return a->weight < b->weight;
	return w->policy != VSW_WEIGHT_BY_LOAD || a->load <= b->load;
}

static struct vsw_weight_port *vsw_weight_last_holder(struct vsw_weight *w)
{
	struct vsw_weight_port *p, *last = NULL;

	list_for_each_entry(p, &w->ports, node)
		if (vsw_weight_yields(p) &&
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
	loser->party = true;
	*port = loser;
	return VSW_WEIGHT_GIVE;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_next);

/* No step is left, and no queue is on its way: places are as they seem. */
void vsw_weight_settled(struct vsw_weight *w)
{
	struct vsw_weight_port *p;

	if (w->soon)
		return;
	list_for_each_entry(p, &w->ports, node)
		p->party = false;
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
		if (vsw_weight_yields(p) && (!*idle || p->load <= (*idle)->load))
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
	idle->party = true;
	busy->party = true;
	return idle;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_weight_round);
