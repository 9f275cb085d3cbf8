// SPDX-License-Identifier: GPL-2.0-only
/* Receive: from a queue's poll to its consumer, the vswitch or the stack. */
#include <linux/export.h>
#include <trace/events/vmq.h>
#include "vmq_priv.h"

/*
 * Filters that frames of one batch hit. Frames of a batch mostly go to one
 * address and VLAN, so the last answer is asked first, also when it was that
 * none of the queue claims them. The hits are added up and counted once.
 */
struct vmq_rx_check {
	struct vmq_queue *q;
	struct vmq_filter *last;
	bool asked;
	u64 last_key;
	unsigned int hits;
	unsigned int checked;
	unsigned int mismatch;
};

static void vmq_rx_count(struct vmq_queue *q, unsigned int packets,
			 unsigned int bytes)
{
	u64_stats_update_begin(&q->rx.syncp);
	u64_stats_add(&q->rx.packets, packets);
	u64_stats_add(&q->rx.bytes, bytes);
	u64_stats_update_end(&q->rx.syncp);
}

/* Who gets what a queue claims, for the trace alone. */
static const char *vmq_rx_consumer_name(const struct vmq_queue *q)
{
	const struct vmq_consumer *c = rcu_dereference(q->consumer);

	if (c)
		return netdev_name(c->dev);
	if (!q->id && rcu_access_pointer(q->dev->sw))
		return "vswitch";
	return netdev_name(q->dev->uplink);
}

static unsigned int vmq_rx_count_batch(struct vmq_queue *q,
				       struct list_head *batch)
{
	unsigned int packets = 0, bytes = 0;
	struct sk_buff *skb;

	list_for_each_entry(skb, batch, list) {
		packets++;
		bytes += skb->len;
	}
	vmq_rx_count(q, packets, bytes);
	if (trace_vmq_rx_batch_enabled())
		trace_vmq_rx_batch(q, packets, vmq_rx_consumer_name(q));
	return packets;
}

static void vmq_rx_check_flush(struct vmq_rx_check *c)
{
	if (c->hits)
		atomic64_add(c->hits, &c->last->hits);
	c->hits = 0;
}

/* On the default queue filters only count, nothing is decided. */
static void vmq_rx_check_tell(const struct vmq_rx_check *c,
			      const struct vmq_match *m)
{
	if (trace_vmq_rx_check_enabled() && c->q->id)
		trace_vmq_rx_check(c->q->dev, c->last ? c->last->id : 0, m,
				   c->q->id);
}

/* Does a filter of the queue claim the frame? */
static bool vmq_rx_check_one(struct vmq_rx_check *c, const struct sk_buff *skb)
{
	struct vmq_filter *f;
	struct vmq_match m;
	u64 key;

	vmq_match_from_skb(&m, skb);
	key = vmq_match_key(&m);
	if (!c->asked || key != c->last_key) {
		vmq_rx_check_flush(c);
		f = vmq_filter_claims_rcu(c->q->dev, &m);
		if (f && READ_ONCE(f->queue) != c->q->id)
			f = NULL;
		c->last = f;
		c->last_key = key;
		c->asked = true;
	}
	vmq_rx_check_tell(c, &m);
	c->hits += !!c->last;
	return c->last;
}

/*
 * What the NIC cannot tell apart: a frame that no filter of the queue claims is
 * not this VM's. It goes the default queue's way, and looks like that. Of a
 * group's frames the default queue has a copy already.
 */
static void vmq_rx_turn_away(struct sk_buff *skb, struct list_head *mismatch)
{
	if (unlikely(is_multicast_ether_addr(skb->data))) {
		skb_list_del_init(skb);
		consume_skb(skb);
		return;
	}
	skb_record_rx_queue(skb, 0);
	list_move_tail(&skb->list, mismatch);
}

static void vmq_rx_check_batch(struct vmq_queue *q, struct list_head *batch,
			       struct list_head *mismatch)
{
	struct vmq_rx_check c = { .q = q };
	struct sk_buff *skb, *next;

	list_for_each_entry_safe(skb, next, batch, list) {
		c.checked++;
		if (vmq_rx_check_one(&c, skb))
			continue;
		c.mismatch++;
		vmq_rx_turn_away(skb, mismatch);
	}
	vmq_rx_check_flush(&c);

	u64_stats_update_begin(&q->rx.syncp);
	u64_stats_add(&q->rx.checked, c.checked);
	u64_stats_add(&q->rx.mismatch, c.mismatch);
	u64_stats_update_end(&q->rx.syncp);
}

void vmq_stack_receive(struct vmq_dev *dev, struct napi_struct *napi,
		       struct sk_buff *skb)
{
	skb->protocol = eth_type_trans(skb, dev->uplink);
	napi_gro_receive(napi, skb);
}
EXPORT_SYMBOL_GPL(vmq_stack_receive);

static void vmq_stack_receive_batch(struct vmq_dev *dev,
				    struct napi_struct *napi,
				    struct list_head *batch)
{
	struct sk_buff *skb, *next;

	list_for_each_entry_safe(skb, next, batch, list) {
		skb_list_del_init(skb);
		vmq_stack_receive(dev, napi, skb);
	}
}

/* Filters on the default queue count their hits; without any, no lookup. */
static void vmq_default_count_hits(struct vmq_dev *dev, struct list_head *batch)
{
	struct vmq_rx_check c = { .q = &dev->queues[0] };
	struct sk_buff *skb;

	if (!READ_ONCE(dev->nr_default_filters))
		return;
	list_for_each_entry(skb, batch, list)
		vmq_rx_check_one(&c, skb);
	vmq_rx_check_flush(&c);
}

static void vmq_default_receive(struct vmq_dev *dev, struct napi_struct *napi,
				struct list_head *batch)
{
	struct vmq_switch *sw = rcu_dereference(dev->sw);

	vmq_default_count_hits(dev, batch);
	if (sw)
		sw->ops->receive(sw, napi, batch);
	vmq_stack_receive_batch(dev, napi, batch);
}

/* The NIC lets in just what the queue claims: its only filter had all hits. */
static void vmq_rx_count_sole(struct vmq_queue *q, unsigned int packets)
{
	struct vmq_filter *f = rcu_dereference(q->sole);

	if (f)
		atomic64_add(packets, &f->hits);
}

static void vmq_vm_receive(struct vmq_queue *q, struct napi_struct *napi,
			   struct list_head *batch, unsigned int packets)
{
	struct vmq_consumer *c;
	LIST_HEAD(mismatch);

	if (READ_ONCE(q->check))
		vmq_rx_check_batch(q, batch, &mismatch);
	else
		vmq_rx_count_sole(q, packets);
	c = rcu_dereference(q->consumer);
	if (c && !list_empty(batch))
		c->ops->receive(c, napi, batch);
	else
		vmq_stack_receive_batch(q->dev, napi, batch);
	if (!list_empty(&mismatch))
		vmq_default_receive(q->dev, napi, &mismatch);
}

void vmq_queue_receive(struct vmq_queue *q, struct napi_struct *napi,
		       struct list_head *batch)
{
	unsigned int packets;

	rcu_read_lock();
	packets = vmq_rx_count_batch(q, batch);
	if (q->id)
		vmq_vm_receive(q, napi, batch, packets);
	else
		vmq_default_receive(q->dev, napi, batch);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(vmq_queue_receive);

int vmq_switch_attach(struct vmq_dev *dev, struct vmq_switch *sw)
{
	ASSERT_RTNL();
	if (rtnl_dereference(dev->sw))
		return -EBUSY;
	rcu_assign_pointer(dev->sw, sw);
	return 0;
}
EXPORT_SYMBOL_GPL(vmq_switch_attach);

void vmq_switch_detach(struct vmq_dev *dev, struct vmq_switch *sw)
{
	ASSERT_RTNL();
	if (WARN_ON_ONCE(rtnl_dereference(dev->sw) != sw))
		return;
	RCU_INIT_POINTER(dev->sw, NULL);
	synchronize_net();
}
EXPORT_SYMBOL_GPL(vmq_switch_detach);

void vmq_switch_tell(struct vmq_dev *dev, enum vmq_freed what)
{
	struct vmq_switch *sw;

	rcu_read_lock();
	sw = rcu_dereference(dev->sw);
	if (sw)
		sw->ops->freed(sw, what);
	rcu_read_unlock();
}
