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
/* Groups that are claimed. */
#define ORACLE_GROUPS	2
#define ORACLE_FILTERS	64
/* Kinds of operations. */
#define ORACLE_KINDS	14
/* What filters name; the last one is none. */
#define ORACLE_VLANS	5

/* What there is too little of, in the words that the user gets. */
enum oracle_limit {
	ORACLE_NO_QUEUE,
	ORACLE_NO_VLAN_SLOT,
	ORACLE_NO_SLOT,
	ORACLE_VLAN_LEFT,
	ORACLE_TWO_QUEUES,
	ORACLE_NO_SPLIT,
	ORACLE_CLAIMED,
	ORACLE_DISABLED,
	ORACLE_LIMITS,
};

extern const char * const oracle_reasons[ORACLE_LIMITS];
extern const u16 oracle_vlans[ORACLE_VLANS];

/* A kind of NIC, and the limits that it does not have, or seldom meets. */
struct oracle_nic {
	const char *name;
	struct vmq_hw_caps caps;
	u8 addrs;
	unsigned long never;
	unsigned long rare;
};

struct oracle_queue {
	u8 state;
	u8 owner;
	/* Frames that readers hold when the queue is freed. */
	u32 held;
	/* Buffers, 0 for as many as others. */
	u32 wanted;
	/* A change of them left it without a ring. */
	bool parked;
	/* Running or allocated before VMQ was off; undefined: no queue then. */
	u8 restore;
};

struct oracle_filter {
	bool used;
	u8 addr;
	u16 vlan;
	u16 queue;
	u8 owner;
	/* The queue that it was on before VMQ was off, or 0. */
	u16 home;
};

/* The errnos that an operation may be refused with; none: it must succeed. */
struct oracle_errnos {
	int err[8];
	unsigned int n;
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
	bool off;
	/* Frames that move may come by queue 0 for now. */
	bool detour;
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

/* oracle_model.c: what VMQ promises. */
void oracle_may(struct oracle_errnos *e, bool reason, int err);
bool oracle_is_allowed(const struct oracle_errnos *e, int ret);
u8 oracle_addr(const struct oracle *o, unsigned int i);
bool oracle_committed(const struct oracle *o, u16 id);
bool oracle_running(const struct oracle *o, u16 id);
bool oracle_exists(const struct oracle *o, u16 id);
bool oracle_has_filters(const struct oracle *o, u16 id);
void oracle_settle(struct oracle *o, u16 id, bool committed);
void oracle_freed(struct oracle *o, u16 id);
unsigned int oracle_find(const struct oracle *o, u8 addr, u16 vlan);
unsigned int oracle_free_id(const struct oracle *o);
u16 oracle_fate(const struct oracle *o, const struct fake_stream *s);
u16 oracle_copy(const struct oracle *o, const struct fake_stream *s);
u16 oracle_home(const struct oracle *o, u8 addr);
u64 oracle_homes(const struct oracle *o, u8 addr);
bool oracle_vlans_on(const struct oracle *o);
bool oracle_vlans_lack(const struct oracle *o);
bool oracle_names_vlan(const struct oracle *o, u16 vlan);
unsigned int oracle_free_slots(const struct oracle *o);
void oracle_may_not_fit(const struct oracle *o, struct oracle_errnos *e,
			bool before);

/* oracle.c: operations, and the comparison. */
u32 oracle_below(struct oracle *o, u32 limit);
void oracle_create(struct kunit *test, struct oracle *o,
		   const struct oracle_nic *nic, bool silicon, u32 seed);
void oracle_crowd(struct oracle *o);
void oracle_run(struct oracle *o, unsigned int ops);
void oracle_add_up(struct oracle *o);

#endif /* _VMQ_ORACLE_H */
