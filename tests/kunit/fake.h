/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A NIC made of tables. It implements struct vmq_hw_ops, writes down what the
 * core asks of it, routes frames as the real one does, by its slots alone, and
 * notes every breach of the contract in vmq/hw.h.
 */
#ifndef _VMQ_FAKE_H
#define _VMQ_FAKE_H

#include <kunit/test.h>
#include <linux/irq.h>
#include <linux/prandom.h>
#include "vmq_priv.h"

#define FAKE_QUEUES	8
#define FAKE_SLOTS	32
#define FAKE_RING	512
#define FAKE_STREAMS	160
/* Frames that come in at one time. */
#define FAKE_BURST	8
#define FAKE_TEXT	8192

/* Addresses from here on are groups, 01:00:5e:00:17:n. */
#define FAKE_GROUP	0x80

/* Owner word for fake_*(): the two enum vmq_owner, shorter. */
#define ADMIN		VMQ_OWNER_ADMIN
#define VSWITCH		VMQ_OWNER_VSWITCH

/* Numbered frames of one {MAC, VLAN}. */
struct fake_stream {
	struct vmq_match m;
	/* Untagged frames have a priority tag, with VLAN ID 0. */
	bool priority;
	/* The NIC may have nobody for a group frame of this VLAN. */
	bool may_lose;
	u32 sent;
	u32 received;
	/* Queue whose receiver got the last one; 0 is the switch. */
	u16 last;
	/* Bitmap of the receivers that may get one now. */
	u64 may_go;
	/*
	 * Of a group: bitmaps of the queues that want all frames, from the NIC
	 * or the switch, and of those that may have them from the NIC; which
	 * frame comes next at each, and how many came twice.
	 */
	u64 members;
	u64 may_copy;
	u32 claimed[FAKE_QUEUES];
	u32 doubled;
};

/* A frame in a ring: its stream and its number. */
struct fake_frame {
	u16 stream;
	u32 serial;
};

struct fake_queue {
	struct vmq_consumer consumer;
	struct fake_nic *nic;
	u16 id;
	/* Of the vector of the same number. */
	int irq;
	/* Vector that the NIC uses for it. */
	u16 vector;

	bool rings;
	bool started;
	bool hold;
	/* Set by tests: what the next calls return. */
	int alloc_err;
	int start_err;
	int drain_err;
	int resize_err;
	int vector_err;
	u32 held;
	/* Descriptors of the ring that it has now. */
	u32 buffers;
	/* CPU of the latest pin, or -1. */
	int pinned;
	/* Set by tests: CPU that an affinity of before sends it to at start. */
	int stale;
	int affinity_err;
	unsigned int kicks;
	unsigned int tx_drains;
	unsigned int xmits;
	unsigned int more;
	unsigned int wakes;

	struct fake_frame ring[FAKE_RING];
	unsigned int nr;
};

/* One address slot as the NIC has it. */
struct fake_slot {
	u8 addr[ETH_ALEN];
	u64 pools;
};

/* One VLAN slot as the NIC has it. */
struct fake_vlan {
	u16 vid;
	u64 pools;
};

/* netdev_priv() of the uplink. */
struct fake_nic {
	struct vmq_dev dev;
	struct vmq_hw_caps caps;
	struct net_device *uplink;
	/* Routes as the 82576 data sheet has it, and not as QEMU's igb does. */
	bool silicon;
	bool ready;		/* vmq_dev_init() succeeded */
	bool registered;

	struct fake_queue queues[FAKE_QUEUES];
	struct fake_slot slots[FAKE_SLOTS];
	struct fake_vlan vlans[FAKE_SLOTS];
	u64 untagged;
	bool vlan_filtering;
	unsigned int mac_writes;

	/* What the core asked for since fake_log_clear(), as text. */
	char log[1024];
	/* The first breach of the contract, or empty. */
	char broken[160];
	/* Reason of the latest refusal, or empty. */
	char why[128];
	/* State before, for fake_expect_unchanged(). */
	char before[FAKE_TEXT];
	char now[FAKE_TEXT];

	struct vmq_switch sw;
	unsigned int uplink_xmits;
	unsigned int switch_wakes;
	unsigned int freed[VMQ_FREED_FILTER + 1];
	/* Allocate a queue when VMQ is on again, as a port does. */
	bool reclaim;
	struct fake_stream streams[FAKE_STREAMS];
	unsigned int nr_streams;
	/* Frames arrive and polls happen while the core is at work. */
	bool traffic;
	struct task_struct *task;
	struct rnd_state rnd;
	/* The suite's own. */
	void *user;
};

extern const struct vmq_hw_caps fake_caps;

/* fake.c: life of a NIC. Every call takes the locks it needs itself. */
struct fake_nic *fake_create(struct kunit *test,
			     const struct vmq_hw_caps *caps);
void fake_destroy(struct kunit *test, struct fake_nic *f);
int fake_test_init(struct kunit *test);
void fake_test_exit(struct kunit *test);
int fake_register(struct fake_nic *f);
int fake_open(struct fake_nic *f);
void fake_close(struct fake_nic *f);
void fake_wait_freeing(struct fake_nic *f);

/* The core's calls, as owner ADMIN (sysfs, ethtool) or VSWITCH. */
int fake_allocate(struct fake_nic *f, enum vmq_owner owner, u16 id);
int fake_commit(struct fake_nic *f, enum vmq_owner owner, u16 id);
int fake_free(struct fake_nic *f, u16 id);
void fake_release(struct fake_nic *f, u16 id);
int fake_add(struct fake_nic *f, enum vmq_owner owner, u16 id, u8 addr,
	     u16 vlan);
int fake_del(struct fake_nic *f, enum vmq_owner owner, u32 fid);
int fake_enable(struct fake_nic *f, bool on);
int fake_buffers(struct fake_nic *f, u16 id, u32 wanted);
int fake_cpus(struct fake_nic *f, const struct cpumask *cpus);
void fake_hotplug(struct fake_nic *f, unsigned int cpu, bool leaving);
int fake_vlan_mode(struct fake_nic *f, enum vmq_vlan_mode mode);
int fake_move(struct fake_nic *f, const u32 *fids, unsigned int n, u16 to);
void fake_consume(struct fake_nic *f, u16 id);
int fake_make_running(struct fake_nic *f, enum vmq_owner owner, u8 addr);

/* Frames. Address n is 52:54:00:00:17:n. */
void fake_match(struct vmq_match *m, u8 addr, u16 vlan);
struct fake_stream *fake_stream_add(struct fake_nic *f, u8 addr, u16 vlan);
void fake_stream_claim(struct fake_stream *s, u16 claimant);
struct sk_buff *fake_skb(struct fake_nic *f, const struct vmq_match *m,
			 const void *data, unsigned int len);
u64 fake_route(struct fake_nic *f, const struct vmq_match *m, bool priority);
void fake_send(struct fake_nic *f, unsigned int stream);
void fake_poll_queue(struct fake_nic *f, u16 id);
void fake_poll_all(struct fake_nic *f);
void fake_inject(struct fake_nic *f);

/* fake_dump.c: what happened, and what is. */
__printf(2, 3)
void fake_break(struct fake_nic *f, const char *fmt, ...);
__printf(2, 3)
void fake_log(struct fake_nic *f, const char *fmt, ...);
void fake_log_clear(struct fake_nic *f);
void fake_remember(struct fake_nic *f);
void fake_expect_unchanged(struct kunit *test, struct fake_nic *f);
void fake_expect_sound(struct kunit *test, struct fake_nic *f);

/* The hint that the interrupt carries; a kernel for one CPU has none. */
static inline const struct cpumask *fake_irq_hint(struct irq_data *data)
{
#ifdef CONFIG_SMP
	return irq_data_to_desc(data)->affinity_hint;
#else
	return NULL;
#endif
}

static inline enum vmq_queue_state fake_state(const struct fake_nic *f, u16 id)
{
	return f->dev.queues[id].state;
}

#endif /* _VMQ_FAKE_H */
