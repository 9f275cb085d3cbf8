// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a full uplink is divided among those who send: numbers in, rates out.
 *
 * Max-min by weight: nobody gets more than he can use, and what he leaves is
 * divided among the others, as their weights are. What somebody can use is not
 * known while his rate holds him back, so he is taken to want all. Who was not
 * held back gets a little more than he sent: if that is not enough, he is held
 * back, and has his share a round later.
 */
#include <kunit/visibility.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "vsw_share.h"

/* What is kept ready for who grows: so much of his load, and of what he is due. */
#define VSW_SHARE_GROWTH	16
#define VSW_SHARE_START		64
/* Who is not held to anything leaves so much of the capacity, in percent. */
#define VSW_SHARE_LEAST		10
/* A level is what a weight of 1 gets, in so small parts of a kilobit/s. */
#define VSW_SHARE_LEVEL_SHIFT	16
/* What is left to divide after so many steps is next to nothing. */
#define VSW_SHARE_STEPS		16

void vsw_share_port_init(struct vsw_share_port *p)
{
	memset(p, 0, sizeof(*p));
	INIT_LIST_HEAD(&p->node);
	p->weight = VSW_SHARE_WEIGHT_DEFAULT;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_share_port_init);

void vsw_share_port_forget(struct vsw_share_port *p)
{
	p->waits = false;
	p->load = 0;
}

/*
 * The first round shows what each one sends when nobody is held to a share: one
 * that is busy already would be held to what an idle one is due.
 */
void vsw_share_start(struct vsw_share *s)
{
	struct vsw_share_port *p;

	s->others = 0;
	list_for_each_entry(p, &s->ports, node) {
		vsw_share_port_forget(p);
		p->due = s->capacity;
		p->rate = s->capacity;
	}
}
EXPORT_SYMBOL_IF_KUNIT(vsw_share_start);

/* What came of the last round. A pause of one round is not the end of a load. */
void vsw_share_measure(struct vsw_share_port *p, u32 sent, bool waits)
{
	p->waits = waits;
	p->load = max(sent, p->load / 2 + sent / 2);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_share_measure);

static u64 vsw_share_want(const struct vsw_share_port *p)
{
	u64 more = p->load / VSW_SHARE_GROWTH + p->due / VSW_SHARE_START;

	return p->waits ? U64_MAX : p->load + more;
}

static u64 vsw_share_at(const struct vsw_share_port *p, u64 level)
{
	return min(vsw_share_want(p), level * p->weight >> VSW_SHARE_LEVEL_SHIFT);
}

/* What all of them get at this level. */
static u64 vsw_share_sum(const struct vsw_share *s, u64 level)
{
	const struct vsw_share_port *p;
	u64 sum = 0;

	list_for_each_entry(p, &s->ports, node)
		sum += vsw_share_at(p, level);
	return sum;
}

/* A level that is not too high for who wants more than @level gives him. */
static u64 vsw_share_raise(const struct vsw_share *s, u64 capacity, u64 level)
{
	const struct vsw_share_port *p;
	u64 weights = 0, want;

	list_for_each_entry(p, &s->ports, node) {
		want = vsw_share_want(p);
		if (want <= level * p->weight >> VSW_SHARE_LEVEL_SHIFT)
			capacity -= want;
		else
			weights += p->weight;
	}
	/* All get what they want. */
	if (!weights)
		return level;
	return div64_u64(capacity << VSW_SHARE_LEVEL_SHIFT, weights);
}

/*
 * The highest level that the capacity is enough for. Who wants less than a level
 * gives him leaves the rest to the others, so the next one is higher, and never
 * too high: it need not be the last. Most often a few steps are enough.
 */
static u64 vsw_share_level(const struct vsw_share *s, u32 capacity)
{
	unsigned int steps = VSW_SHARE_STEPS;
	u64 level = 0, last;

	do {
		last = level;
		level = vsw_share_raise(s, capacity, last);
	} while (level != last && --steps);
	return level;
}

static u64 vsw_share_weights(const struct vsw_share *s)
{
	const struct vsw_share_port *p;
	u64 weights = 0;

	list_for_each_entry(p, &s->ports, node)
		weights += p->weight;
	return max(weights, 1);
}

/* What the others leave: more than that would be divided by the NIC, not by us. */
static u32 vsw_share_left(const struct vsw_share *s)
{
	u32 least = div_u64((u64)s->capacity * VSW_SHARE_LEAST, 100);

	return max(least, s->capacity - min(s->others, s->capacity));
}

/*
 * The rates' sum is what is left of the capacity at most, but for the 1 that the
 * least gets. What nobody wants is at hand for whoever comes: it is divided, too.
 */
void vsw_share_divide(struct vsw_share *s)
{
	u64 weights = vsw_share_weights(s), level, rest;
	u32 left = vsw_share_left(s);
	struct vsw_share_port *p;

	list_for_each_entry(p, &s->ports, node)
		p->due = div64_u64((u64)s->capacity * p->weight, weights);
	level = vsw_share_level(s, left);
	rest = left - vsw_share_sum(s, level);
	list_for_each_entry(p, &s->ports, node) {
		p->rate = vsw_share_at(p, level) +
			  div64_u64(rest * p->weight, weights);
		p->rate = max(p->rate, 1);
	}
}
EXPORT_SYMBOL_IF_KUNIT(vsw_share_divide);
