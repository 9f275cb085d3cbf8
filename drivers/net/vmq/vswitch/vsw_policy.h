/* SPDX-License-Identifier: GPL-2.0-only */
/* What a port may send, how fast, and who sees a copy. */
#ifndef _VSW_POLICY_H
#define _VSW_POLICY_H

#include <linux/bits.h>
#include <linux/hrtimer.h>
#include <linux/skbuff.h>
#include "vsw_bucket.h"

struct vsw_port;

/* Bits of vsw_port.policy: what is on. A frame looks at all of them at once. */
enum vsw_policy_bit {
	VSW_POLICY_SPOOF,
	VSW_POLICY_DHCP,
	VSW_POLICY_ROUTER,
	VSW_POLICY_STORM,
	VSW_POLICY_RATE,
	/* All before this one are about what the port sends. */
	VSW_POLICY_SEND_BITS,
	VSW_POLICY_MIRROR = VSW_POLICY_SEND_BITS,
};

#define VSW_POLICY_SEND		(BIT(VSW_POLICY_SEND_BITS) - 1)
#define VSW_POLICY_GUARDS	(BIT(VSW_POLICY_DHCP) | BIT(VSW_POLICY_ROUTER))
#define VSW_POLICY_RECEIVE	(BIT(VSW_POLICY_STORM) | BIT(VSW_POLICY_MIRROR))

/* Most addresses that a port may use as the source besides its own. */
#define VSW_ALLOWED_MAX		64

/* The list is replaced as a whole; RCU. */
struct vsw_allowed {
	struct rcu_head rcu;
	unsigned int n;
	u8 macs[][ETH_ALEN];
};

/* As many addresses are remembered, one for each value of their hash. */
#define VSW_HEARD_BITS		8

/* Who has sent the port something. Forgets; read and written without a lock. */
struct vsw_heard {
	u64 keys[1 << VSW_HEARD_BITS];
};

/* One instance is the limit of what a port sends. */
struct vsw_shaper {
	/* Frames that wait. Its lock protects all of this. */
	struct sk_buff_head queue;
	struct hrtimer timer;
	struct vsw_bucket bucket;
	/* Of the frames that wait. */
	unsigned int bytes;
	/* Megabit/s, or 0. Read without the lock by sysfs. */
	u32 mbps;
	/* Somebody takes frames out of the queue, or the timer will. */
	bool busy;
};

#endif /* _VSW_POLICY_H */
