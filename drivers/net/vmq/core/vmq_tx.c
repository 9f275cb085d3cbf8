// SPDX-License-Identifier: GPL-2.0-only
/* Transmit: a port's frames to its queue's ring, the host's past the vswitch. */
#include <linux/export.h>
#include "vmq_priv.h"

/* Context: BH off, the tx queue's lock held. Frames that cannot go are freed. */
static int vmq_queue_post(struct vmq_queue *q, struct netdev_queue *txq,
			  struct sk_buff *skb)
{
	struct vmq_dev *dev = q->dev;
	int ret = NET_XMIT_SUCCESS;
	struct sk_buff *next;

	for (; skb; skb = next) {
		next = skb->next;
		skb_mark_not_on_list(skb);
		if (netif_xmit_frozen_or_drv_stopped(txq)) {
			vmq_queue_tx_drop(q, VMQ_TX_DROP_FULL, 1);
			kfree_skb_reason(skb, SKB_DROP_REASON_FULL_RING);
			ret = NET_XMIT_DROP;
			continue;
		}
		/* Posting past dev_hard_start_xmit() must not blind tcpdump. */
		if (dev_nit_active(dev->uplink))
			dev_queue_xmit_nit(skb, dev->uplink);
		dev->ops->queue_xmit(dev, q->id, skb, next);
		txq_trans_cond_update(txq);
	}
	return ret;
}

/* Nobody waits for an uplink that cannot send. */
static void vmq_queue_xmit_down(struct vmq_queue *q, struct netdev_queue *txq,
				struct sk_buff *skb)
{
	kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
	__netif_tx_lock(txq, smp_processor_id());
	vmq_queue_tx_drop(q, VMQ_TX_DROP_STOPPED, 1);
	__netif_tx_unlock(txq);
}

int vmq_queue_xmit(struct vmq_dev *dev, u16 id, struct sk_buff *skb)
{
	struct net_device *uplink = dev->uplink;
	struct netdev_queue *txq = netdev_get_tx_queue(uplink, id);
	bool again = false;
	int ret;

	if (unlikely(!netif_running(uplink) || !netif_carrier_ok(uplink))) {
		vmq_queue_xmit_down(&dev->queues[id], txq, skb);
		return NET_XMIT_DROP;
	}

	skb->dev = uplink;
	skb_set_queue_mapping(skb, id);
	skb = validate_xmit_skb_list(skb, uplink, &again);
	if (unlikely(!skb))
		return NET_XMIT_DROP;

	__netif_tx_lock(txq, smp_processor_id());
	ret = vmq_queue_post(&dev->queues[id], txq, skb);
	__netif_tx_unlock(txq);
	return ret;
}
EXPORT_SYMBOL_GPL(vmq_queue_xmit);

bool vmq_queue_tx_full(const struct vmq_dev *dev, u16 id)
{
	return netif_xmit_stopped(netdev_get_tx_queue(dev->uplink, id));
}
EXPORT_SYMBOL_GPL(vmq_queue_tx_full);

int vmq_queue_tx_drain(struct vmq_dev *dev, u16 id)
{
	int err = 0;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	if (dev->queues[id].started)
		err = dev->ops->queue_tx_drain(dev, id);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_queue_tx_drain);

void vmq_queue_tx_wake(struct vmq_queue *q)
{
	struct vmq_consumer *c;
	struct vmq_switch *sw;

	rcu_read_lock();
	c = rcu_dereference(q->consumer);
	sw = rcu_dereference(q->dev->sw);
	if (c)
		c->ops->tx_wake(c);
	else if (!q->id && sw)
		sw->ops->tx_wake(sw);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(vmq_queue_tx_wake);

bool vmq_uplink_xmit(struct vmq_dev *dev, struct sk_buff *skb)
{
	struct vmq_switch *sw;
	bool consumed = false;

	rcu_read_lock();
	sw = rcu_dereference(dev->sw);
	if (sw)
		consumed = sw->ops->uplink_xmit(sw, skb);
	rcu_read_unlock();
	return consumed;
}
EXPORT_SYMBOL_GPL(vmq_uplink_xmit);
