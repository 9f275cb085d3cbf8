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
	VSW_POLICY_SHARE,
	/* All before this one are about what the port sends. */
	VSW_POLICY_SEND_BITS,
	VSW_POLICY_MIRROR = VSW_POLICY_SEND_BITS,
};

#define VSW_POLICY_SEND		(BIT(VSW_POLICY_SEND_BITS) - 1)
#define VSW_POLICY_GUARDS	(BIT(VSW_POLICY_DHCP) | BIT(VSW_POLICY_ROUTER))
#define VSW_POLICY_RECEIVE	(BIT(VSW_POLICY_STORM) | BIT(VSW_POLICY_MIRROR))

/* Most that a limit can be: a byte takes its time to within a percent. */
#define VSW_TX_MBPS_MAX		10000

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

/*
 * One instance is a limit of what a port sends: wherever to, which its owner sets,
 * or to the wire, which is its share of the uplink.
 */
struct vsw_shaper {
	/* Frames that wait. Its lock protects all of this. */
	struct sk_buff_head queue;
	struct hrtimer timer;
	struct vsw_bucket bucket;
	struct vsw_port *port;
	/* The way on for a frame. BH off, RCU read side. */
	void (*send)(struct vsw_port *port, struct sk_buff *skb);
	/* Which of the two it is. */
	enum vsw_policy_bit bit;
	/* Of the frames that wait, and for how many there is room. */
	unsigned int bytes;
	unsigned int room;
	/* Kilobit/s, or 0. Read without the lock by sysfs. */
	u32 kbps;
	/* Since it was last asked: what went on, and that frames had to wait. */
	u64 sent;
	bool waited;
	/* Somebody takes frames out of the queue, or the timer will. */
	bool busy;
	/* The timer may be set: who closes the port waits for the last time. */
	bool open;
};

#endif /* _VSW_POLICY_H */
