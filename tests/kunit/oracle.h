/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random operations on the core and on a model of it. After each one both must
 * agree: states, filters, slots, the NIC's table, and where every frame goes.
 * Frames come in while the core is at work; none may be lost, doubled,
 * reordered or seen by a VM that it is not for.
 *
 * A sequence is a new device and some operations, all of it told by a seed.
 */
#ifndef _VMQ_ORACLE_H
#define _VMQ_ORACLE_H

#include "fake.h"

#define ORACLE_ADDRS	28
#define ORACLE_FILTERS	64
/* Kinds of operations. */
#define ORACLE_KINDS	12

/* What there is too little of, in the words that the user gets. */
enum oracle_limit {
	ORACLE_NO_QUEUE,
	ORACLE_NO_VLAN_SLOT,
	ORACLE_NO_SLOT,
	ORACLE_VLAN_LEFT,
	ORACLE_TWO_QUEUES,
	ORACLE_NO_SPLIT,
	ORACLE_LIMITS,
};

extern const char * const oracle_reasons[ORACLE_LIMITS];

/* A kind of NIC, and the limits that it does not have. */
struct oracle_nic {
	const char *name;
	struct vmq_hw_caps caps;
	u8 addrs;
	unsigned long never;
};

struct oracle_queue {
	u8 state;
	u8 owner;
	/* Frames that readers hold when the queue is freed. */
	u32 held;
};

struct oracle_filter {
	bool used;
	u8 addr;
	u16 vlan;
	u16 queue;
	u8 owner;
};

/* What came of all sequences of a kind of NIC. */
struct oracle_sum {
	unsigned int done[ORACLE_KINDS];
	unsigned int refused[ORACLE_KINDS];
	unsigned int met[ORACLE_LIMITS];
	unsigned int sequences;
	u64 frames;
};

struct oracle {
	struct oracle_sum *sum;
	struct fake_nic *f;
	struct rnd_state rnd;
	bool open;
	u8 mode;
	u8 addrs;
	struct oracle_queue queues[FAKE_QUEUES];
	struct oracle_filter filters[ORACLE_FILTERS];
	/* From here on no filter was ever used. */
	unsigned int top;
	/* Bitmap of the limits that were met. */
	unsigned long met;
	unsigned int step;
	/* The latest operation, and how the core differs from us after it. */
	char what[96];
	char diff[160];
};

extern const char * const oracle_kinds[ORACLE_KINDS];

u32 oracle_below(struct oracle *o, u32 limit);
void oracle_create(struct kunit *test, struct oracle *o,
		   const struct oracle_nic *nic, bool silicon, u32 seed);
void oracle_crowd(struct oracle *o);
void oracle_run(struct oracle *o, unsigned int ops);
void oracle_add_up(struct oracle *o);

#endif /* _VMQ_ORACLE_H */
