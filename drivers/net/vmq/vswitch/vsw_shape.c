// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limit of what a port sends: frames that are too many wait for a timer.
 *
 * Whoever finds the queue unattended takes frames out until they have to wait;
 * one at a time, so that they stay in order, and without a lock while one is
 * sent, so that senders go on meanwhile.
 */
#include <linux/ktime.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "vsw_priv.h"

/* What waits is sent within this time, except for one frame that takes longer. */
#define VSW_SHAPE_WAIT_MS	10
#define VSW_SHAPE_QUEUE_MAX	256
/*
 * A timer, or a virtual machine's CPU, may be late by this much, and nothing of
 * the rate is lost. It is the length of a burst after a pause, too.
 */
#define VSW_SHAPE_DEPTH		(50 * NSEC_PER_MSEC)
/* Frames are let go in batches, at most so often. */
#define VSW_SHAPE_PAUSE		NSEC_PER_MSEC

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

/* Bytes of the frames that it is, each with its headers, or is cut into. */
static unsigned int vsw_shape_bytes(const struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int header = skb_transport_offset(skb);
	const struct tcphdr *tcp;
	unsigned int segments;
	struct tcphdr buf;

	if (!skb_is_gso(skb) || !skb_transport_header_was_set(skb))
		return skb->len;
	if (info->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) {
		tcp = skb_header_pointer(skb, header, sizeof(buf), &buf);
		header += tcp ? __tcp_hdrlen(tcp) : sizeof(buf);
	} else {
		header += sizeof(struct udphdr);
	}
	if (header >= skb->len)
		return skb->len;
	/* The sender's own count need not be there, nor true. */
	segments = DIV_ROUND_UP(skb->len - header, info->gso_size);
	return skb->len + (segments - 1) * header;
}

static s64 vsw_shape_cost(unsigned int bytes, u32 mbps)
{
	return mbps ? div_u64((u64)bytes * BITS_PER_BYTE * NSEC_PER_USEC,
			      mbps) : 0;
}

static bool vsw_shape_has_room(const struct vsw_shaper *s, unsigned int bytes)
{
	/* A megabit/s is 125 bytes a millisecond. */
	u64 most = (u64)s->mbps * 125 * VSW_SHAPE_WAIT_MS;

	if (skb_queue_empty(&s->queue))
		return true;
	return skb_queue_len(&s->queue) < VSW_SHAPE_QUEUE_MAX &&
	       (!s->mbps || s->bytes + bytes <= most);
}

/* When the next frame may go, as far as @now or later. Its queue is locked. */
static s64 vsw_shape_when(struct vsw_port *port, s64 now)
{
	struct vsw_shaper *s = &port->shaper;
	s64 when;

	/* The ring is full: who gets the wake-up waits for a qdisc, not for us. */
	if (netif_xmit_stopped(netdev_get_tx_queue(port->dev, 0)))
		return now + VSW_SHAPE_PAUSE;
	if (!s->mbps)
		return now;
	when = vsw_bucket_ready(&s->bucket, VSW_SHAPE_DEPTH);
	return when <= now ? now : max_t(s64, when, now + VSW_SHAPE_PAUSE);
}

static void vsw_shape_start_timer(struct vsw_shaper *s, s64 when)
{
	hrtimer_start(&s->timer, ns_to_ktime(when),
		      HRTIMER_MODE_ABS_PINNED_SOFT);
}

/* The frame to send now, or NULL: the timer is set, or nothing waits. */
static struct sk_buff *vsw_shape_next(struct vsw_port *port)
{
	struct vsw_shaper *s = &port->shaper;
	s64 now = ktime_get_ns(), when;
	struct sk_buff *skb;

	spin_lock(&s->queue.lock);
	skb = skb_peek(&s->queue);
	if (!skb) {
		s->busy = false;
		/* Only now may a frame pass by without overtaking. */
		if (!s->mbps)
			vsw_policy_set(port, VSW_POLICY_RATE, false);
		goto unlock;
	}
	when = vsw_shape_when(port, now);
	if (when > now) {
		vsw_shape_start_timer(s, when);
		skb = NULL;
		goto unlock;
	}
	__skb_unlink(skb, &s->queue);
	s->bytes -= vsw_shape_cb(skb)->bytes;
	vsw_bucket_charge(&s->bucket, now,
			  vsw_shape_cost(vsw_shape_cb(skb)->bytes, s->mbps));
unlock:
	spin_unlock(&s->queue.lock);
	return skb;
}

/* Context: BH off, RCU read side. */
static void vsw_shape_drain(struct vsw_port *port)
{
	unsigned int budget = VSW_SHAPE_QUEUE_MAX;
	struct vmq_match match;
	struct sk_buff *skb;

	while (budget--) {
		skb = vsw_shape_next(port);
		if (!skb)
			return;
		/* It may have lost the only queue that it may use meanwhile. */
		if (unlikely(vsw_port_is_off(port))) {
			vsw_policy_drop(port, skb, VSW_POLICY_RATE);
			continue;
		}
		match = vsw_shape_cb(skb)->match;
		vsw_forward_send(port, skb, &match);
	}
	/* Who sends one frame does not send all that others bring meanwhile. */
	vsw_shape_start_timer(&port->shaper, 0);
}

static enum hrtimer_restart vsw_shape_timer(struct hrtimer *timer)
{
	struct vsw_port *port = container_of(timer, struct vsw_port,
					     shaper.timer);

	rcu_read_lock();
	vsw_shape_drain(port);
	rcu_read_unlock();
	return HRTIMER_NORESTART;
}

/* Send, now or later, or drop. Context: BH off, RCU read side. */
void vsw_shape_xmit(struct vsw_port *port, struct sk_buff *skb,
		    const struct vmq_match *match)
{
	unsigned int bytes = vsw_shape_bytes(skb);
	struct vsw_shaper *s = &port->shaper;
	bool room, drain = false;

	spin_lock(&s->queue.lock);
	room = vsw_shape_has_room(s, bytes);
	if (room) {
		vsw_shape_cb(skb)->match = *match;
		vsw_shape_cb(skb)->bytes = bytes;
		__skb_queue_tail(&s->queue, skb);
		s->bytes += bytes;
		drain = !s->busy;
		s->busy = true;
	}
	spin_unlock(&s->queue.lock);

	if (!room)
		vsw_policy_drop(port, skb, VSW_POLICY_RATE);
	else if (drain)
		vsw_shape_drain(port);
}

/* 0: no limit; what waits is sent at once. Context: rtnl held. */
void vsw_shape_set_rate(struct vsw_port *port, u32 mbps)
{
	struct vsw_shaper *s = &port->shaper;

	spin_lock_bh(&s->queue.lock);
	WRITE_ONCE(s->mbps, mbps);
	/* What an earlier rate has lent is forgotten. */
	atomic64_set(&s->bucket.until, 0);
	vsw_policy_set(port, VSW_POLICY_RATE, mbps || s->busy);
	/* If it was not set, who is at the queue sees the new rate by itself. */
	if (hrtimer_try_to_cancel(&s->timer) == 1)
		vsw_shape_start_timer(s, 0);
	spin_unlock_bh(&s->queue.lock);
}

/* The port is closed: no sender is left, and none comes. */
void vsw_shape_stop(struct vsw_port *port)
{
	struct vsw_shaper *s = &port->shaper;
	struct sk_buff *skb;

	hrtimer_cancel(&s->timer);

	spin_lock_bh(&s->queue.lock);
	while ((skb = __skb_dequeue(&s->queue)))
		vsw_policy_drop(port, skb, VSW_POLICY_RATE);
	s->bytes = 0;
	s->busy = false;
	vsw_policy_set(port, VSW_POLICY_RATE, s->mbps);
	spin_unlock_bh(&s->queue.lock);
}

void vsw_shape_init(struct vsw_port *port)
{
	struct vsw_shaper *s = &port->shaper;

	skb_queue_head_init(&s->queue);
	hrtimer_init(&s->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_SOFT);
	s->timer.function = vsw_shape_timer;
}
