/* SPDX-License-Identifier: GPL-2.0-only */
/* How a full uplink is divided among those who send: numbers in, rates out. */
#ifndef _VSW_SHARE_H
#define _VSW_SHARE_H

#include <linux/list.h>
#include <linux/types.h>

/* As the weights of control groups are. */
#define VSW_SHARE_WEIGHT_MIN		1
#define VSW_SHARE_WEIGHT_MAX		10000
#define VSW_SHARE_WEIGHT_DEFAULT	100

/* So often what each one sends is measured, and the uplink divided anew. */
#define VSW_SHARE_ROUND_MS		20

/* One instance is one who sends. All rates are kilobit/s, as on the wire. */
struct vsw_share_port {
	/* In vsw_share.ports. */
	struct list_head node;
	u32 weight;		/* in: only the ratio to the others' counts */
	bool waits;		/* in: it would have sent more, but for its rate */
	u32 load;		/* sent in the last few rounds: vsw_share_measure() */
	u32 due;		/* out: what is its own when all others wait */
	u32 rate;		/* out: what it may send; never 0 */
};

/* One instance is what is divided, and among whom. */
struct vsw_share {
	struct list_head ports;
	u32 capacity;		/* in */
	u32 others;		/* in: what those send whom no rate holds */
};

void vsw_share_port_init(struct vsw_share_port *p);
void vsw_share_port_forget(struct vsw_share_port *p);
void vsw_share_start(struct vsw_share *s);
void vsw_share_measure(struct vsw_share_port *p, u32 sent, bool waits);
void vsw_share_divide(struct vsw_share *s);

#endif /* _VSW_SHARE_H */
