/* SPDX-License-Identifier: GPL-2.0-only */
/* Which ports hold the queues when there are more ports: numbers in, moves out. */
#ifndef _VSW_WEIGHT_H
#define _VSW_WEIGHT_H

#include <linux/list.h>
#include <linux/types.h>

#define VSW_WEIGHT_MAX		100
#define VSW_WEIGHT_DEFAULT	100

/* How often load is measured; what is counted in rounds is so long. */
#define VSW_WEIGHT_ROUND_MS	2000
#define VSW_WEIGHT_ROUNDS(s)	((s) * 1000 / VSW_WEIGHT_ROUND_MS)

/* So many swaps by load in so many rounds, of all ports together. */
#define VSW_WEIGHT_SWAPS	6
#define VSW_WEIGHT_WINDOW	VSW_WEIGHT_ROUNDS(60)

/*
 * In rounds: a port that a swap concerned is in none for so long, and twice as
 * long each time it happens again soon.
 */
#define VSW_WEIGHT_REST		VSW_WEIGHT_ROUNDS(30)
#define VSW_WEIGHT_REST_MAX	VSW_WEIGHT_ROUNDS(480)

enum vsw_weight_policy {
	VSW_WEIGHT_BY_AGE,	/* among equal weights the first to have one */
	VSW_WEIGHT_BY_LOAD,	/* among equal weights the busiest */
};

enum vsw_weight_act {
	VSW_WEIGHT_STAY,
	VSW_WEIGHT_GIVE,	/* the port's queue is another's */
	VSW_WEIGHT_TAKE,	/* the port gets a queue that is free */
};

/* One instance is what the decision knows of a port; embedded in the port. */
struct vsw_weight_port {
	/* In vsw_weight.ports, the oldest first. */
	struct list_head node;
	/* In vsw_weight.holders while it holds a queue, in no order. */
	struct list_head held;
	u64 age;		/* the lower the older */
	u8 weight;		/* in: 0 .. 100; 0: never a queue */
	bool holds;		/* it has a queue: vsw_weight_hold() */
	bool exclusive;		/* in: its queue is not taken away */
	bool cannot;		/* in: it was given one, and had to refuse it */
	bool party;		/* gave its queue, or waits for one by a swap */
	u32 load;		/* frames a second, of the last few rounds */
	u32 swapped;		/* in which round */
	u16 rest;		/* rounds from then on; 0: was never swapped */
};

/* One instance is what the ports of an uplink compete for. */
struct vsw_weight {
	struct list_head ports;
	struct list_head holders;
	u64 joined;		/* how many ports ever did */
	bool parties;		/* there may be one in ports */
	u8 policy;		/* in: enum vsw_weight_policy */
	unsigned int now;	/* in: queues that are free */
	unsigned int soon;	/* in: queues that will be, unasked */
	u32 round;
	u8 oldest;		/* of the swaps: the next takes its place */
	u32 swaps[VSW_WEIGHT_SWAPS];	/* in which round */
};

void vsw_weight_init(struct vsw_weight *w);
void vsw_weight_port_init(struct vsw_weight_port *p);
void vsw_weight_join(struct vsw_weight *w, struct vsw_weight_port *p);
void vsw_weight_leave(struct vsw_weight_port *p);
void vsw_weight_hold(struct vsw_weight *w, struct vsw_weight_port *p);
void vsw_weight_release(struct vsw_weight_port *p);
void vsw_weight_set_party(struct vsw_weight *w, struct vsw_weight_port *p);
enum vsw_weight_act vsw_weight_next(struct vsw_weight *w,
				    struct vsw_weight_port **port);
void vsw_weight_settled(struct vsw_weight *w);
void vsw_weight_measure(struct vsw_weight_port *p, u32 load);
struct vsw_weight_port *vsw_weight_round(struct vsw_weight *w);

#endif /* _VSW_WEIGHT_H */
