// SPDX-License-Identifier: GPL-2.0-only
/* Life of a queue: the part of struct vmq_hw_ops that is not a slot writer. */
#include <linux/iopoll.h>
#include "igbq.h"

/* How long a drain waits, in tries of one kick each. */
#define IGBQ_DRAIN_TRIES	20
#define IGBQ_DRAIN_TRY		msecs_to_jiffies(50)
#define IGBQ_TX_DRAIN_US	USEC_PER_SEC

/* Frames taken; @budget to be called again; 0 without a budget. */
static int igbq_queue_clean(struct igbq_queue *q, int budget)
{
	bool tx_done = igbq_tx_clean(q, budget);
	int frames;

	/* netpoll wants room to send, and no receive from any context */
	if (!budget)
		return 0;

	frames = igbq_rx_poll(q, budget);
	return tx_done ? frames : budget;
}

/*
 * NAPI calls again and again, on this CPU, while the budget is used up: a queue
 * under load would not follow its interrupt. A thread is where it is on purpose.
 */
static bool igbq_queue_must_go(const struct igbq_queue *q)
{
	return unlikely(vmq_queue_is_away(q->vq)) &&
	       !test_bit(NAPI_STATE_THREADED, &q->napi.state);
}

int igbq_queue_poll(struct napi_struct *napi, int budget)
{
	struct igbq_queue *q = container_of(napi, struct igbq_queue, napi);
	u64 began = vmq_queue_poll_begin(q->vq);
	int frames = igbq_queue_clean(q, budget);
	bool go = budget && frames == budget && igbq_queue_must_go(q);
	bool done;

	/*
	 * Where the vector is not masked by itself it fires all the time, and
	 * then NAPI goes on here: the poll does not end before it is silent.
	 */
	if (go) {
		igbq_irq_queue_silence(q);
		frames--;
	}
	/* Before the end: nobody else may begin a poll, or wait for this one. */
	if (unlikely(q->adaptive) && frames < budget)
		igbq_moderation_sample(q);
	/* GRO delivers at the end: that is the queue's work, too. */
	done = frames < budget && napi_complete_done(napi, frames);
	vmq_queue_poll_end(q->vq, began);
	if (done) {
		igbq_rx_drain_finish(q);
		igbq_irq_queue_unmask(q);
		/* What is left in the rings raises nothing by itself. */
		if (go)
			igbq_irq_queue_kick(q);
	}
	return frames;
}

static int igbq_queue_alloc(struct vmq_dev *dev, u16 id)
{
	return igbq_ring_alloc(igbq_queue_from_vmq(dev, id));
}

static void igbq_queue_free(struct vmq_dev *dev, u16 id)
{
	igbq_ring_free(igbq_queue_from_vmq(dev, id));
}

static void igbq_queue_set_napi(struct igbq_queue *q, struct napi_struct *napi)
{
	struct net_device *netdev = q->nic->netdev;

	netif_queue_set_napi(netdev, q->id, NETDEV_QUEUE_TYPE_RX, napi);
	netif_queue_set_napi(netdev, q->id, NETDEV_QUEUE_TYPE_TX, napi);
	netif_napi_set_irq(&q->napi, napi ? q->vector->irq : -1);
}

/*
 * The poll last: while others use the queue's vector it could run before the
 * rings are ready. What the NIC writes meanwhile waits for the unmasking.
 */
static int igbq_queue_start(struct vmq_dev *dev, u16 id)
{
	struct igbq_queue *q = igbq_queue_from_vmq(dev, id);
	int err;

	err = igbq_irq_queue_request(q);
	if (err)
		return err;
	err = igbq_rx_start(q);
	if (err)
		goto err_free_irq;
	igbq_vmdq_pool_enable(q);
	igbq_irq_queue_map(q);
	igbq_moderation_start(q);
	err = igbq_tx_start(q);
	if (err)
		goto err_stop_moderation;

	igbq_queue_set_napi(q, &q->napi);
	igbq_rx_post(q);
	napi_enable(&q->napi);
	q->held = false;
	q->running = true;
	igbq_irq_queue_unmask(q);
	/* One that others have in use may have fired before. */
	if (q->vector->queues != BIT(q->id))
		igbq_irq_queue_kick(q);
	return 0;

err_stop_moderation:
	igbq_moderation_stop(q);
	igbq_vmdq_pool_disable(q);
	igbq_rx_stop(q);
	igbq_rx_release(q);
err_free_irq:
	igbq_irq_queue_free(q);
	return err;
}

static void igbq_queue_stop(struct vmq_dev *dev, u16 id)
{
	struct igbq_queue *q = igbq_queue_from_vmq(dev, id);

	q->running = false;
	igbq_queue_set_napi(q, NULL);
	igbq_irq_queue_mask(q);
	igbq_rx_stop(q);
	igbq_tx_stop(q);
	igbq_vmdq_pool_disable(q);
	if (!q->held)
		napi_disable(&q->napi);
	q->held = false;
	igbq_moderation_stop(q);
	igbq_irq_queue_free(q);
	igbq_tx_release(q);
	igbq_rx_release(q);
}

static u32 igbq_queue_held(struct vmq_dev *dev, u16 id)
{
	return igbq_rx_held(igbq_queue_from_vmq(dev, id));
}

/* No poll runs from return until igbq_queue_unlock(). */
void igbq_queue_lock(struct igbq_queue *q)
{
	if (!q->running || q->held)
		return;
	napi_disable(&q->napi);
	q->held = true;
}

/* The interrupt makes the poll run on the queue's own CPU. */
void igbq_queue_unlock(struct igbq_queue *q)
{
	if (!q->running || !q->held)
		return;
	q->held = false;
	napi_enable(&q->napi);
	igbq_irq_queue_unmask(q);
	igbq_irq_queue_kick(q);
}

static void igbq_queue_hold(struct vmq_dev *dev, u16 id)
{
	igbq_queue_lock(igbq_queue_from_vmq(dev, id));
}

static void igbq_queue_release(struct vmq_dev *dev, u16 id)
{
	igbq_queue_unlock(igbq_queue_from_vmq(dev, id));
}

static int igbq_queue_resize(struct vmq_dev *dev, u16 id)
{
	return igbq_ring_resize_rx(igbq_queue_from_vmq(dev, id));
}

static bool igbq_queue_idle(const struct igbq_queue *q)
{
	return !q->running || READ_ONCE(q->nic->gone);
}

static int igbq_queue_drain(struct vmq_dev *dev, u16 id)
{
	struct igbq_queue *q = igbq_queue_from_vmq(dev, id);
	unsigned int i;

	if (igbq_queue_idle(q))
		return 0;

	igbq_rx_drain_arm(q);
	for (i = 0; i < IGBQ_DRAIN_TRIES; i++) {
		igbq_irq_queue_kick(q);
		if (wait_for_completion_timeout(&q->drain.done, IGBQ_DRAIN_TRY))
			return 0;
		if (igbq_queue_idle(q))
			break;
	}
	igbq_rx_drain_cancel(q);
	return igbq_queue_idle(q) ? 0 : -ETIMEDOUT;
}

static bool igbq_queue_tx_passed(struct igbq_queue *q, u32 mark)
{
	if (igbq_queue_idle(q) || (s32)(READ_ONCE(q->tx.cleaned) - mark) >= 0)
		return true;
	igbq_irq_queue_kick(q);
	return false;
}

static int igbq_queue_tx_drain(struct vmq_dev *dev, u16 id)
{
	struct igbq_queue *q = igbq_queue_from_vmq(dev, id);
	u32 mark = igbq_tx_mark(q);
	bool passed;

	return read_poll_timeout(igbq_queue_tx_passed, passed, passed, 1000,
				 IGBQ_TX_DRAIN_US, false, q, mark);
}

static void igbq_queue_named(struct vmq_dev *dev, u16 id)
{
	igbq_irq_queue_name(igbq_queue_from_vmq(dev, id));
}

static int igbq_queue_vector(struct vmq_dev *dev, u16 id, u16 vector)
{
	struct igbq_queue *q = igbq_queue_from_vmq(dev, id);
	int err;

	err = igbq_irq_queue_switch(q, &q->nic->queues[vector].own);
	if (!err)
		netif_napi_set_irq(&q->napi, q->vector->irq);
	return err;
}

static void igbq_queue_kick(struct vmq_dev *dev, u16 id)
{
	igbq_irq_queue_kick(igbq_queue_from_vmq(dev, id));
}

static void igbq_queue_xmit(struct vmq_dev *dev, u16 id, struct sk_buff *skb,
			    bool more)
{
	/* Ports have no qdisc; on the default queue's ring the host has. */
	igbq_tx_xmit(igbq_queue_from_vmq(dev, id), skb, more, id);
}

const struct vmq_hw_ops igbq_hw_ops = {
	.mac_write	= igbq_vmdq_mac_write,
	.vlan_write	= igbq_vmdq_vlan_write,
	.untagged_write	= igbq_vmdq_untagged_write,
	.vlan_filtering	= igbq_vmdq_vlan_filtering,
	.queue_alloc	= igbq_queue_alloc,
	.queue_free	= igbq_queue_free,
	.queue_start	= igbq_queue_start,
	.queue_stop	= igbq_queue_stop,
	.queue_resize	= igbq_queue_resize,
	.queue_held	= igbq_queue_held,
	.queue_hold	= igbq_queue_hold,
	.queue_release	= igbq_queue_release,
	.queue_drain	= igbq_queue_drain,
	.queue_tx_drain	= igbq_queue_tx_drain,
	.queue_named	= igbq_queue_named,
	.queue_vector	= igbq_queue_vector,
	.queue_kick	= igbq_queue_kick,
	.queue_xmit	= igbq_queue_xmit,
};
