/* SPDX-License-Identifier: GPL-2.0-only */
/* When queues change their CPU as load comes and goes: numbers in, moves out. */
#ifndef _VMQ_BALANCE_H
#define _VMQ_BALANCE_H

#include <linux/types.h>
#include <vmq/vmq.h>

/* How often it decides; what is counted in rounds is so long. */
#define VMQ_BALANCE_ROUND_MS	200
#define VMQ_BALANCE_ROUNDS(s)	((s) * 1000 / VMQ_BALANCE_ROUND_MS)

/*
 * A move costs interrupts on two CPUs and cold caches: so many for a queue in
 * so many rounds. What a CPU that goes away forces is counted, not refused.
 */
#define VMQ_BALANCE_MOVES	6
#define VMQ_BALANCE_WINDOW	VMQ_BALANCE_ROUNDS(60)

/* The place of a queue whose CPU is no candidate. */
#define VMQ_BALANCE_NOWHERE	U16_MAX

enum vmq_balance_why {
	VMQ_BALANCE_STAY,
	VMQ_BALANCE_EVICT,	/* its CPU is no candidate any more */
	VMQ_BALANCE_SPREAD,	/* its CPU has too much to do */
	VMQ_BALANCE_GATHER,	/* one CPU is enough for all */
};

/* A CPU is its place in the caller's list of candidates of this round. */
struct vmq_balance_queue {
	u16 load;		/* in: permille of a CPU, in the last round */
	u16 cpu;		/* in: where it is, or VMQ_BALANCE_NOWHERE */
	bool movable;		/* in: started, and nobody chose its CPU */
	u8 why;			/* out: enum vmq_balance_why */
	u16 to;			/* out: where it goes; @cpu when it stays */
	u16 last;		/* @load of the round before */
	u16 mean;		/* of the two: what plans are made of */
	u8 oldest;		/* of the moves: the next takes its place */
	u32 moved[VMQ_BALANCE_MOVES];	/* in which round */
};

struct vmq_balance {
	struct vmq_balance_queue queues[VMQ_MAX_QUEUES];
	u16 nr_queues;
	u16 nr_cpus;		/* in: candidates, at least one */
	u16 home;		/* in: the candidate that serves all when idle */
	u32 *load;		/* in: room for @nr_cpus; of each, as planned */
	u32 now;		/* the round, for 27 years */
	bool moved;		/* some queue, in the round before */
	u16 quiet;		/* rounds in which one CPU was enough */
	u16 patience;		/* so many of these, and the queues gather */
	u16 trial;		/* rounds that a gather still has to last */
};

void vmq_balance_init(struct vmq_balance *b, u16 nr_queues);
unsigned int vmq_balance_round(struct vmq_balance *b);

#endif /* _VMQ_BALANCE_H */
