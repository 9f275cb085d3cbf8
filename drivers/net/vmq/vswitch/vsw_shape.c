// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limits of what a port sends: frames that are too many wait for a timer.
 *
 * Whoever finds the queue unattended takes frames out until they have to wait;
 * one at a time, so that they stay in order, and without a lock while one is
 * sent, so that senders go on meanwhile. What has passed the port's own limit and
 * goes to the wire comes to a second queue if the uplink is divided.
 */
#include <linux/if_vlan.h>
#include <linux/ktime.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "vsw_priv.h"

/* What waits is sent within this time, except for one frame that takes longer. */
#define VSW_SHAPE_WAIT_MS	10
#define VSW_SHAPE_QUEUE_MAX	256
/*
 * A share is nobody's choice, and may be less than a frame in this time: there is
 * room for a large one, cut into segments, and for a few before it.
 */
#define VSW_SHAPE_ROOM_LEAST	(72 * SZ_1K)
/*
 * A timer, or a virtual machine's CPU, may be late by this much, and nothing of
 * the rate is lost. It is the length of a burst after a pause, too.
 */
#define VSW_SHAPE_DEPTH		(50 * NSEC_PER_MSEC)
/* Frames are let go in batches, at most so often. */
#define VSW_SHAPE_PAUSE		NSEC_PER_MSEC
/* A limit is told in megabit/s. */
#define VSW_SHAPE_KBPS		1000
/* What a frame takes on the wire besides itself: preamble, FCS and gap. */
#define VSW_SHAPE_WIRE		(8 + ETH_FCS_LEN + 12)

/* What is known of a frame that waits. */
struct vsw_shape_cb {
	struct vmq_match match;
	unsigned int bytes;
};

static struct vsw_shape_cb *vsw_shape_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct vsw_shape_cb) > sizeof(skb->cb));
	return (struct vsw_shape_cb *)skb->cb;
}

/* Bytes of the frames that it is, or is cut into, and @each more. */
static unsigned int vsw_shape_bytes(const struct sk_buff *skb,
				    unsigned int each)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int header, segments;
	const struct tcphdr *tcp;
	struct tcphdr buf;

	if (!skb_is_gso(skb) || !skb_transport_header_was_set(skb))
		return skb->len + each;
	header = skb_transport_offset(skb);
	if (info->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) {
		tcp = skb_header_pointer(skb, header, sizeof(buf), &buf);
		header += tcp ? __tcp_hdrlen(tcp) : sizeof(buf);
	} else {
		header += sizeof(struct udphdr);
	}
	if (header >= skb->len)
		return skb->len + each;
	/* The sender's own count need not be there, nor true. */
	segments = DIV_ROUND_UP(skb->len - header, info->gso_size);
	return skb->len + (segments - 1) * header + segments * each;
}

/* As many bytes as it takes the wire to send. */
unsigned int vsw_shape_wire_bytes(const struct sk_buff *skb)
{
	unsigned int pad = ETH_ZLEN - min_t(unsigned int, skb->len, ETH_ZLEN);
	unsigned int tag = skb_vlan_tag_present(skb) ? VLAN_HLEN : 0;

	return vsw_shape_bytes(skb, VSW_SHAPE_WIRE + tag + pad);
}

static s64 vsw_shape_cost(unsigned int bytes, u32 kbps)
{
	return kbps ? div_u64((u64)bytes * BITS_PER_BYTE * USEC_PER_SEC,
			      kbps) : 0;
}

/* For what is sent in the time that frames may wait. */
static unsigned int vsw_shape_room(u32 kbps)
{
	return div_u64((u64)kbps * VSW_SHAPE_WAIT_MS, BITS_PER_BYTE);
}

static bool vsw_shape_has_room(const struct vsw_shaper *s, unsigned int bytes)
{
	if (skb_queue_empty(&s->queue))
		return true;
	return skb_queue_len(&s->queue) < VSW_SHAPE_QUEUE_MAX &&
	       (!s->kbps || s->bytes + bytes <= s->room);
}

/* When the next frame may go, as far as @now or later. The queue is locked. */
static s64 vsw_shape_when(struct vsw_shaper *s, s64 now)
{
	s64 when;

	/* The ring is full: who gets the wake-up waits for a qdisc, not for us. */
	if (netif_xmit_stopped(netdev_get_tx_queue(s->port->dev, 0)))
		return now + VSW_SHAPE_PAUSE;
	if (!s->kbps)
		return now;
	when = vsw_bucket_ready(&s->bucket, VSW_SHAPE_DEPTH);
	if (when <= now)
		return now;
	s->waited = true;
	return max_t(s64, when, now + VSW_SHAPE_PAUSE);
}

/* Not any more when the port is being closed. The queue is locked. */
static void vsw_shape_start_timer(struct vsw_shaper *s, s64 when)
{
	if (s->open)
		hrtimer_start(&s->timer, ns_to_ktime(when),
			      HRTIMER_MODE_ABS_PINNED_SOFT);
}

/*
 * If it was not set, who is at the queue sees what has changed by himself. The
 * queue is locked.
 */
static void vsw_shape_restart_timer(struct vsw_shaper *s, s64 when)
{
	if (s->busy && hrtimer_try_to_cancel(&s->timer) == 1)
		vsw_shape_start_timer(s, when);
}

/* The frame to send now, or NULL: the timer is set, or nothing waits. */
static struct sk_buff *vsw_shape_next(struct vsw_shaper *s)
{
	s64 now = ktime_get_ns(), when;
	struct sk_buff *skb;
	unsigned int bytes;

	spin_lock(&s->queue.lock);
	skb = skb_peek(&s->queue);
	if (!skb) {
		s->busy = false;
		/* Only now may a frame pass by without overtaking. */
		if (!s->kbps)
			vsw_policy_set(s->port, s->bit, false);
		goto unlock;
	}
	when = vsw_shape_when(s, now);
	if (when > now) {
		vsw_shape_start_timer(s, when);
		skb = NULL;
		goto unlock;
	}
	__skb_unlink(skb, &s->queue);
	bytes = vsw_shape_cb(skb)->bytes;
	s->bytes -= bytes;
	s->sent += bytes;
	vsw_bucket_charge(&s->bucket, now, vsw_shape_cost(bytes, s->kbps));
unlock:
	spin_unlock(&s->queue.lock);
	return skb;
}

/* Context: BH off, RCU read side. */
static void vsw_shape_drain(struct vsw_shaper *s)
{
	unsigned int budget = VSW_SHAPE_QUEUE_MAX;
	struct sk_buff *skb;

	while (budget--) {
		skb = vsw_shape_next(s);
		if (!skb)
			return;
		/* It may have lost the only queue that it may use meanwhile. */
		if (unlikely(vsw_port_is_off(s->port)))
			vsw_policy_drop(s->port, skb, s->bit);
		else
			s->send(s->port, skb);
	}
	/* Who sends one frame does not send all that others bring meanwhile. */
	spin_lock(&s->queue.lock);
	vsw_shape_start_timer(s, 0);
	spin_unlock(&s->queue.lock);
}

static enum hrtimer_restart vsw_shape_timer(struct hrtimer *timer)
{
	rcu_read_lock();
	vsw_shape_drain(container_of(timer, struct vsw_shaper, timer));
	rcu_read_unlock();
	return HRTIMER_NORESTART;
}

static void vsw_shape_put(struct vsw_shaper *s, struct sk_buff *skb,
			  unsigned int bytes)
{
	bool room, drain = false;

	spin_lock(&s->queue.lock);
	room = vsw_shape_has_room(s, bytes);
	if (room) {
		vsw_shape_cb(skb)->bytes = bytes;
		__skb_queue_tail(&s->queue, skb);
		s->bytes += bytes;
		drain = !s->busy;
		s->busy = true;
	}
	spin_unlock(&s->queue.lock);

	if (!room)
		vsw_policy_drop(s->port, skb, s->bit);
	else if (drain)
		vsw_shape_drain(s);
}

/* Send, now or later, or drop. Context: BH off, RCU read side. */
void vsw_shape_xmit(struct vsw_port *port, struct sk_buff *skb,
		    const struct vmq_match *match)
{
	vsw_shape_cb(skb)->match = *match;
	vsw_shape_put(&port->shaper, skb, vsw_shape_bytes(skb, 0));
}

/* The same for a frame that goes to the wire. */
void vsw_shape_xmit_wire(struct vsw_port *port, struct sk_buff *skb)
{
	vsw_shape_put(&port->wire, skb, vsw_shape_wire_bytes(skb));
}

static void vsw_shape_send(struct vsw_port *port, struct sk_buff *skb)
{
	struct vmq_match match = vsw_shape_cb(skb)->match;

	vsw_forward_send(port, skb, &match);
}

/* 0: no limit; what waits is sent at once. Context: rtnl held. */
void vsw_shape_set_rate(struct vsw_port *port, u32 mbps)
{
	struct vsw_shaper *s = &port->shaper;

	spin_lock_bh(&s->queue.lock);
	WRITE_ONCE(s->kbps, mbps * VSW_SHAPE_KBPS);
	s->room = vsw_shape_room(s->kbps);
	/* What an earlier rate has lent is forgotten. */
	atomic64_set(&s->bucket.until, 0);
	vsw_policy_set(port, s->bit, mbps || s->busy);
	vsw_shape_restart_timer(s, 0);
	spin_unlock_bh(&s->queue.lock);
}

u32 vsw_shape_rate(const struct vsw_port *port)
{
	return READ_ONCE(port->shaper.kbps) / VSW_SHAPE_KBPS;
}

/*
 * The timer moves to this CPU, and with it all that the port sends while it is
 * busy: not for less than a round. The next time it is set by the new rate anyway.
 */
static void vsw_shape_hasten(struct vsw_shaper *s, s64 now)
{
	s64 when = s->kbps ? vsw_bucket_ready(&s->bucket, VSW_SHAPE_DEPTH) : 0;
	s64 gain = s->kbps ? VSW_SHARE_ROUND_MS * NSEC_PER_MSEC : 0;

	when = max(when, now);
	if (ktime_to_ns(hrtimer_get_expires(&s->timer)) > when + gain)
		vsw_shape_restart_timer(s, when);
}

/*
 * The port's share of the wire is @kbps now, and @due if all want theirs; 0: it is
 * not divided, what waits is sent at once. A rate changes often: what the bucket
 * has, or lacks, is kept, or each change would be a burst.
 */
void vsw_shape_set_share(struct vsw_port *port, u32 kbps, u32 due)
{
	struct vsw_shaper *s = &port->wire;
	s64 now = ktime_get_ns();

	spin_lock_bh(&s->queue.lock);
	/* A bucket that was not used yet is an empty one. */
	if (kbps)
		vsw_bucket_rescale(&s->bucket, now, VSW_SHAPE_DEPTH, s->kbps,
				   kbps);
	WRITE_ONCE(s->kbps, kbps);
	/* One who was idle has little, and finds room for what is his. */
	s->room = max(vsw_shape_room(max(kbps, due)), VSW_SHAPE_ROOM_LEAST);
	vsw_policy_set(port, s->bit, kbps || s->busy);
	vsw_shape_hasten(s, now);
	spin_unlock_bh(&s->queue.lock);
}

/* Bytes to the wire since last asked. True: more had to wait. Context: process. */
bool vsw_shape_measure(struct vsw_port *port, u64 *bytes)
{
	struct vsw_shaper *s = &port->wire;
	bool waited;

	spin_lock_bh(&s->queue.lock);
	*bytes = s->sent;
	waited = s->waited ||
		 (!skb_queue_empty(&s->queue) &&
		  vsw_bucket_ready(&s->bucket, VSW_SHAPE_DEPTH) >
		  ktime_get_ns());
	s->sent = 0;
	s->waited = false;
	spin_unlock_bh(&s->queue.lock);
	return waited;
}

static void vsw_shape_set_open(struct vsw_shaper *s, bool open)
{
	spin_lock_bh(&s->queue.lock);
	s->open = open;
	spin_unlock_bh(&s->queue.lock);
}

/* The port is being opened: no sender has come yet. */
void vsw_shape_open(struct vsw_port *port)
{
	vsw_shape_set_open(&port->shaper, true);
	vsw_shape_set_open(&port->wire, true);
}

static void vsw_shape_stop_one(struct vsw_shaper *s)
{
	struct sk_buff *skb;

	/* The division goes on, and would set the timer again. */
	vsw_shape_set_open(s, false);
	hrtimer_cancel(&s->timer);

	spin_lock_bh(&s->queue.lock);
	while ((skb = __skb_dequeue(&s->queue)))
		vsw_policy_drop(s->port, skb, s->bit);
	s->bytes = 0;
	s->busy = false;
	vsw_policy_set(s->port, s->bit, s->kbps);
	spin_unlock_bh(&s->queue.lock);
}

/* The port is closed: no sender is left, and none comes. */
void vsw_shape_stop(struct vsw_port *port)
{
	/* The first sends to the second. */
	vsw_shape_stop_one(&port->shaper);
	vsw_shape_stop_one(&port->wire);
}

static void vsw_shape_init_one(struct vsw_shaper *s, struct vsw_port *port,
			       enum vsw_policy_bit bit,
			       void (*send)(struct vsw_port *port,
					    struct sk_buff *skb))
{
	skb_queue_head_init(&s->queue);
	hrtimer_init(&s->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_SOFT);
	s->timer.function = vsw_shape_timer;
	s->port = port;
	s->bit = bit;
	s->send = send;
}

void vsw_shape_init(struct vsw_port *port)
{
	vsw_shape_init_one(&port->shaper, port, VSW_POLICY_RATE,
			   vsw_shape_send);
	vsw_shape_init_one(&port->wire, port, VSW_POLICY_SHARE,
			   vsw_forward_send_wire);
}
