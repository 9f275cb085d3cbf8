// SPDX-License-Identifier: GPL-2.0-only
/* Receive: from a queue's poll to its consumer, the vswitch or the stack. */
#include <linux/export.h>
#include <trace/events/vmq.h>
#include "vmq_priv.h"

/* A VLAN ID has 12 bits: no frame has this key. */
#define VMQ_RX_NO_KEY	U64_MAX

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

static void vmq_rx_forget(struct vmq_rx_memory *mem)
{
	unsigned int i;

	for (i = 0; i < VMQ_RX_ANSWERS; i++)
		mem->answers[i] = (struct vmq_rx_answer){ VMQ_RX_NO_KEY };
}

static void vmq_rx_count_hits(struct vmq_rx_answer *a)
{
	if (a->hits)
		atomic64_add(a->hits, &a->filter->hits);
	a->hits = 0;
}

static void vmq_rx_count_all_hits(struct vmq_rx_memory *mem)
{
	unsigned int i;

	for (i = 0; i < VMQ_RX_ANSWERS; i++)
		vmq_rx_count_hits(&mem->answers[i]);
}

/* Does a filter of the queue claim the frame? */
static noinline struct vmq_rx_answer *vmq_rx_ask(const struct vmq_queue *q,
						 struct vmq_rx_memory *mem,
						 const struct sk_buff *skb)
{
	struct vmq_rx_answer *a;
	struct vmq_filter *f;
	struct vmq_match m;

	a = &mem->answers[mem->next++ % VMQ_RX_ANSWERS];
	vmq_rx_count_hits(a);
	vmq_match_from_skb(&m, skb);
	f = vmq_filter_claims_rcu(q->dev, &m);
	if (f && READ_ONCE(f->queue) != q->id)
		f = NULL;
	a->key = vmq_match_key(&m);
	a->filter = f;
	return a;
}

/*
 * The table has to be searched for few frames: what a VM gets mostly goes to a
 * few addresses and VLANs, and so does what it should not have got.
 */
static struct vmq_rx_answer *vmq_rx_answer(const struct vmq_queue *q,
					   struct vmq_rx_memory *mem,
					   const struct sk_buff *skb)
{
	const u64 key = vmq_match_key_from_skb(skb);
	unsigned int i;

	/* For every frame: counting to four takes as long as comparing. */
#pragma GCC unroll 4
	for (i = 0; i < VMQ_RX_ANSWERS; i++)
		if (mem->answers[i].key == key)
			return &mem->answers[i];
	return vmq_rx_ask(q, mem, skb);
}

/* Answers of earlier polls are good for as long as no filter has changed. */
static struct vmq_rx_memory *vmq_rx_recall(struct vmq_queue *q)
{
	/* Pairs with vmq_filter_changed(). */
	unsigned long changes = smp_load_acquire(&q->dev->filter_changes);

	if (unlikely(q->memory.changes != changes)) {
		vmq_rx_forget(&q->memory);
		q->memory.changes = changes;
	}
	return &q->memory;
}

static void vmq_rx_check_tell(const struct vmq_queue *q,
			      const struct vmq_rx_answer *a,
			      const struct sk_buff *skb)
{
	struct vmq_match m;

	vmq_match_from_skb(&m, skb);
	trace_vmq_rx_check(q->dev, a->filter ? a->filter->id : 0, &m, q->id);
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
			       unsigned int packets, struct list_head *mismatch)
{
	struct vmq_rx_memory *mem = vmq_rx_recall(q);
	unsigned int mismatches = 0;
	struct vmq_rx_answer *a;
	struct sk_buff *skb, *next;

	list_for_each_entry_safe(skb, next, batch, list) {
		a = vmq_rx_answer(q, mem, skb);
		if (trace_vmq_rx_check_enabled())
			vmq_rx_check_tell(q, a, skb);
		if (likely(a->filter)) {
			a->hits++;
			continue;
		}
		mismatches++;
		vmq_rx_turn_away(skb, mismatch);
	}
	vmq_rx_count_all_hits(mem);

	u64_stats_update_begin(&q->rx.syncp);
	u64_stats_add(&q->rx.checked, packets);
	u64_stats_add(&q->rx.mismatch, mismatches);
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

/*
 * On the default queue filters only count, nothing is decided. Polls of other
 * queues come here, too: nothing is remembered.
 */
static void vmq_default_count_hits(struct vmq_dev *dev, struct list_head *batch)
{
	struct vmq_rx_memory mem = {};
	struct vmq_rx_answer *a;
	struct sk_buff *skb;

	vmq_rx_forget(&mem);
	list_for_each_entry(skb, batch, list) {
		a = vmq_rx_answer(&dev->queues[0], &mem, skb);
		if (a->filter)
			a->hits++;
	}
	vmq_rx_count_all_hits(&mem);
}

static void vmq_default_receive(struct vmq_dev *dev, struct napi_struct *napi,
				struct list_head *batch)
{
	struct vmq_switch *sw = rcu_dereference(dev->sw);

	/* Without filters on the default queue no frame is looked up. */
	if (READ_ONCE(dev->nr_default_filters))
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
		vmq_rx_check_batch(q, batch, packets, &mismatch);
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
