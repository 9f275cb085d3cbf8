// SPDX-License-Identifier: GPL-2.0-only
/*
 * The receive path: frames made by hand, as a backend hands them over, to a
 * consumer, to the switch, and through a real NAPI to the stack.
 */
#include <linux/etherdevice.h>
#include "fake.h"

#define RX_MAX		64
/* A tag's three priority bits, all set. */
#define RX_PRIO		0xe000

/* Who got which numbers, in which order. */
struct rx_sink {
	struct vmq_consumer consumer;
	struct vmq_switch sw;
	u32 got[RX_MAX];
	unsigned int nr;
	unsigned int calls;
	/* Numbers that the switch does not want. */
	u64 leave;
};

struct rx_test {
	struct fake_nic *f;
	struct rx_sink vm;
	struct rx_sink sw;
	struct list_head batch;
	u32 next;

	/* The stack */
	struct packet_type pt;
	struct napi_struct napi;
	bool has_stack;
	struct completion polled;
	u16 queue;
	struct rx_sink stack;
	u16 rx_queue[RX_MAX];
};

static u32 rx_number(const struct sk_buff *skb)
{
	u32 number;

	memcpy(&number, skb_tail_pointer(skb) - sizeof(number), sizeof(number));
	return number;
}

static void rx_note(struct rx_sink *sink, struct sk_buff *skb)
{
	sink->got[sink->nr++ % RX_MAX] = rx_number(skb);
	kfree_skb(skb);
}

static void rx_vm_receive(struct vmq_consumer *c, struct napi_struct *napi,
			  struct list_head *batch)
{
	struct rx_sink *sink = container_of(c, struct rx_sink, consumer);
	struct sk_buff *skb, *next;

	sink->calls++;
	list_for_each_entry_safe(skb, next, batch, list) {
		skb_list_del_init(skb);
		rx_note(sink, skb);
	}
}

static void rx_vm_tx_wake(struct vmq_consumer *c)
{
}

static const struct vmq_consumer_ops rx_vm_ops = {
	.receive	= rx_vm_receive,
	.tx_wake	= rx_vm_tx_wake,
};

static void rx_sw_receive(struct vmq_switch *sw, struct napi_struct *napi,
			  struct list_head *batch)
{
	struct rx_sink *sink = container_of(sw, struct rx_sink, sw);
	struct sk_buff *skb, *next;

	sink->calls++;
	list_for_each_entry_safe(skb, next, batch, list) {
		if (sink->leave & BIT_ULL(rx_number(skb)))
			continue;
		skb_list_del_init(skb);
		rx_note(sink, skb);
	}
}

static bool rx_sw_uplink_xmit(struct vmq_switch *sw, struct sk_buff *skb)
{
	return false;
}

static void rx_sw_tx_wake(struct vmq_switch *sw)
{
}

static void rx_sw_freed(struct vmq_switch *sw, enum vmq_freed what)
{
}

static const struct vmq_switch_ops rx_sw_ops = {
	.receive	= rx_sw_receive,
	.uplink_xmit	= rx_sw_uplink_xmit,
	.tx_wake	= rx_sw_tx_wake,
	.freed		= rx_sw_freed,
};

static void rx_set_consumer(struct rx_test *t, u16 id, bool on)
{
	rtnl_lock();
	vmq_queue_set_consumer(&t->f->dev, id, on ? &t->vm.consumer : NULL);
	rtnl_unlock();
}

static int rx_attach(struct rx_test *t, struct vmq_switch *sw)
{
	int err;

	rtnl_lock();
	err = vmq_switch_attach(&t->f->dev, sw);
	rtnl_unlock();
	return err;
}

static void rx_detach(struct rx_test *t, struct vmq_switch *sw)
{
	rtnl_lock();
	vmq_switch_detach(&t->f->dev, sw);
	rtnl_unlock();
}

/* The stack: a registered uplink, a NAPI of its own and a packet handler */

static int rx_stack_deliver(struct sk_buff *skb, struct net_device *dev,
			    struct packet_type *pt, struct net_device *orig)
{
	struct rx_test *t = container_of(pt, struct rx_test, pt);

	t->rx_queue[t->stack.nr % RX_MAX] = skb_rx_queue_recorded(skb) ?
					    skb_get_rx_queue(skb) : U16_MAX;
	rx_note(&t->stack, skb);
	return NET_RX_SUCCESS;
}

static int rx_stack_poll(struct napi_struct *napi, int budget)
{
	struct rx_test *t = container_of(napi, struct rx_test, napi);

	vmq_queue_receive(&t->f->dev.queues[t->queue], napi, &t->batch);
	if (napi_complete_done(napi, 1))
		complete(&t->polled);
	return 1;
}

static void rx_stack_setup(struct rx_test *t)
{
	init_completion(&t->polled);
	t->pt.type = htons(ETH_P_802_EX1);
	t->pt.dev = t->f->uplink;
	t->pt.func = rx_stack_deliver;
	dev_add_pack(&t->pt);
	netif_napi_add(t->f->uplink, &t->napi, rx_stack_poll);
	napi_enable(&t->napi);
	t->has_stack = true;
}

static void rx_stack_teardown(struct rx_test *t)
{
	napi_disable(&t->napi);
	netif_napi_del(&t->napi);
	dev_remove_pack(&t->pt);
}

/*
 * Queue 1 runs with the filters 1 {0x11, untagged} and 2 {0x11, 100}, queue 2
 * with 3 {0x12, untagged}. Our own switch takes the place of the fake's.
 */
static struct rx_test *rx_setup(struct kunit *test, bool stack)
{
	struct rx_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->f = f;
	t->vm.consumer.ops = &rx_vm_ops;
	t->vm.consumer.dev = f->uplink;
	t->sw.sw.ops = &rx_sw_ops;
	INIT_LIST_HEAD(&t->batch);
	f->user = t;
	if (stack) {
		KUNIT_ASSERT_EQ(test, fake_register(f), 0);
		rx_stack_setup(t);
	}
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 100), 2);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x12), 2);
	rx_set_consumer(t, 1, true);
	rx_detach(t, &f->sw);
	KUNIT_ASSERT_EQ(test, rx_attach(t, &t->sw.sw), 0);
	return t;
}

/* Append a frame with the next number; @tci is 0 for no tag at all. */
static void rx_frame(struct kunit *test, struct rx_test *t, u8 addr, u16 tci)
{
	struct sk_buff *skb;
	struct vmq_match m;

	fake_match(&m, addr, 0);
	skb = fake_skb(t->f, &m, &t->next, sizeof(t->next));
	KUNIT_ASSERT_NOT_NULL(test, skb);
	if (tci)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), tci);
	t->next++;
	list_add_tail(&skb->list, &t->batch);
}

static void rx_receive(struct kunit *test, struct rx_test *t, u16 id)
{
	local_bh_disable();
	vmq_queue_receive(&t->f->dev.queues[id], NULL, &t->batch);
	local_bh_enable();
	KUNIT_EXPECT_TRUE(test, list_empty(&t->batch));
}

/* @numbers: what the sink must have got since the last call, ended by -1. */
static void rx_expect(struct kunit *test, struct rx_sink *sink,
		      const int *numbers)
{
	unsigned int i;

	for (i = 0; numbers[i] >= 0 && i < sink->nr; i++)
		KUNIT_EXPECT_EQ(test, sink->got[i], numbers[i]);
	KUNIT_EXPECT_EQ(test, i, sink->nr);
	KUNIT_EXPECT_EQ(test, numbers[i], -1);
	sink->nr = 0;
}

static u64 rx_hits(struct rx_test *t, u32 fid)
{
	struct vmq_filter *f;
	u64 hits = 0;

	mutex_lock(&t->f->dev.lock);
	f = vmq_filter_by_id(&t->f->dev, fid);
	if (f)
		hits = atomic64_read(&f->hits);
	mutex_unlock(&t->f->dev.lock);
	return hits;
}

#define NUMBERS(...)	((const int []){ __VA_ARGS__, -1 })
#define NOTHING		((const int []){ -1 })

static void vmq_rx_test_match(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	struct vmq_queue *q = &t->f->dev.queues[1];
	unsigned int i;

	for (i = 0; i < 6; i++)
		rx_frame(test, t, 0x11, i % 3 ? 0 : 100);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(0, 1, 2, 3, 4, 5));
	rx_expect(test, &t->sw, NOTHING);
	KUNIT_EXPECT_EQ(test, t->vm.calls, 1);
	KUNIT_EXPECT_EQ(test, t->sw.calls, 0);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 4);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 2), 2);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 3), 0);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.packets), 6);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.bytes),
			6 * (ETH_HLEN + sizeof(u32)));
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.checked), 6);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.mismatch), 0);
}

/* Frames of other VLANs and VMs: the switch's, once each, in order. */
static void vmq_rx_test_mismatch(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	struct vmq_queue *q = &t->f->dev.queues[1];

	rx_frame(test, t, 0x11, 5);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x11, 101);
	rx_frame(test, t, 0x11, 100);
	rx_frame(test, t, 0x33, 0);
	rx_frame(test, t, 0x12, 0);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x12, 100);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(1, 3, 6));
	rx_expect(test, &t->sw, NUMBERS(0, 2, 4, 5, 7));
	KUNIT_EXPECT_EQ(test, t->sw.calls, 1);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 2);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 2), 1);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 3), 0);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.packets), 8);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.checked), 8);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.mismatch), 5);

	/* Nothing but mismatches: the consumer is not even called. */
	t->vm.calls = 0;
	rx_frame(test, t, 0x11, 5);
	rx_receive(test, t, 1);
	KUNIT_EXPECT_EQ(test, t->vm.calls, 0);
	rx_expect(test, &t->sw, NUMBERS(8));
}

/* Priority is not part of a VLAN, and VID 0 is no VLAN (802.1Q 6.9.1). */
static void vmq_rx_test_priority(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);

	rx_frame(test, t, 0x11, RX_PRIO);
	rx_frame(test, t, 0x11, RX_PRIO | 100);
	rx_frame(test, t, 0x11, RX_PRIO | 5);
	rx_frame(test, t, 0x11, VLAN_CFI_MASK | 100);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(0, 1, 3));
	rx_expect(test, &t->sw, NUMBERS(2));
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 1);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 2), 2);
}

/* A filter for any VLAN claims what the others of its address leave. */
static void vmq_rx_test_any(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	int any;

	/* The queue is exact then; its filters' hits are wanted all the same. */
	t->f->dev.count_hits = true;
	any = fake_add(t->f, ADMIN, 1, 0x11, VMQ_VLAN_ANY);
	KUNIT_ASSERT_EQ(test, any, 4);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x11, 5);
	rx_frame(test, t, 0x11, RX_PRIO | 4094);
	rx_frame(test, t, 0x11, 100);
	rx_frame(test, t, 0x33, 5);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(0, 1, 2, 3));
	rx_expect(test, &t->sw, NUMBERS(4));
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 1);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 2), 1);
	KUNIT_EXPECT_EQ(test, rx_hits(t, any), 2);
}

/* What a poll was told of the filters is forgotten when they change. */
static void vmq_rx_test_change(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	u32 fid;

	rx_frame(test, t, 0x11, 5);
	rx_receive(test, t, 1);
	rx_expect(test, &t->sw, NUMBERS(0));

	fid = fake_add(t->f, ADMIN, 1, 0x11, 5);
	rx_frame(test, t, 0x11, 5);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(1));
	KUNIT_EXPECT_EQ(test, rx_hits(t, fid), 1);

	KUNIT_ASSERT_EQ(test, fake_del(t->f, ADMIN, fid), 0);
	rx_frame(test, t, 0x11, 5);
	rx_receive(test, t, 1);
	rx_expect(test, &t->sw, NUMBERS(2));
	rx_expect(test, &t->vm, NOTHING);
}

/* The filter that moves away stays in the table all the time. */
static void vmq_rx_test_move(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	u32 fid;

	KUNIT_ASSERT_EQ(test, fake_make_running(t->f, VSWITCH, 0x13), 3);
	fid = fake_add(t->f, VSWITCH, 3, 0x13, 100);
	rx_set_consumer(t, 3, true);
	rx_frame(test, t, 0x13, 100);
	rx_receive(test, t, 3);
	rx_expect(test, &t->vm, NUMBERS(0));

	KUNIT_ASSERT_EQ(test, fake_move(t->f, &fid, 1, 0), 0);
	rx_frame(test, t, 0x13, 100);
	rx_frame(test, t, 0x13, 0);
	rx_receive(test, t, 3);
	rx_expect(test, &t->vm, NUMBERS(2));
	rx_expect(test, &t->sw, NUMBERS(1));
	KUNIT_EXPECT_EQ(test, rx_hits(t, fid), 2);
	rx_set_consumer(t, 3, false);
}

/* More addresses and VLANs at a time than a queue remembers. */
static void vmq_rx_test_many(struct kunit *test)
{
	const u32 more = VMQ_RX_ANSWERS + 1, rounds = 3;
	struct rx_test *t = rx_setup(test, false);
	u32 fids[VMQ_RX_ANSWERS + 1];
	unsigned int i;

	for (i = 0; i < more; i++)
		fids[i] = fake_add(t->f, ADMIN, 1, 0x11, 1000 + i);
	for (i = 0; i < rounds * more; i++)
		rx_frame(test, t, 0x11, 1000 + i % more);
	rx_frame(test, t, 0x11, 5);
	rx_receive(test, t, 1);
	KUNIT_EXPECT_EQ(test, t->vm.nr, rounds * more);
	for (i = 0; i < t->vm.nr; i++)
		KUNIT_EXPECT_EQ(test, t->vm.got[i], i);
	for (i = 0; i < more; i++)
		KUNIT_EXPECT_EQ(test, rx_hits(t, fids[i]), rounds);
	rx_expect(test, &t->sw, ((const int []){ rounds * more, -1 }));
}

/* Without the untagged filter, untagged frames are not this VM's. */
static void vmq_rx_test_only_vlan(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);

	KUNIT_ASSERT_EQ(test, fake_del(t->f, ADMIN, 1), 0);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x11, RX_PRIO);
	rx_frame(test, t, 0x11, 100);
	rx_receive(test, t, 1);
	rx_expect(test, &t->vm, NUMBERS(2));
	rx_expect(test, &t->sw, NUMBERS(0, 1));
}

/* The default queue is all the switch's; its filters count what they claim. */
static void vmq_rx_test_default(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);
	struct vmq_queue *q = &t->f->dev.queues[0];

	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x44, 0);
	rx_receive(test, t, 0);
	rx_expect(test, &t->sw, NUMBERS(0, 1));
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 0);

	KUNIT_ASSERT_EQ(test, fake_add(t->f, ADMIN, 0, 0x44, 0), 4);
	rx_frame(test, t, 0x44, 0);
	rx_frame(test, t, 0x44, 7);
	rx_frame(test, t, 0x44, 0);
	rx_frame(test, t, 0x11, 0);
	rx_receive(test, t, 0);
	rx_expect(test, &t->sw, NUMBERS(2, 3, 4, 5));
	KUNIT_EXPECT_EQ(test, rx_hits(t, 4), 2);
	KUNIT_EXPECT_EQ(test, rx_hits(t, 1), 0);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.packets), 6);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.checked), 0);
	rx_expect(test, &t->vm, NOTHING);
}

static void vmq_rx_test_empty(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);

	rx_set_consumer(t, 1, false);
	rx_receive(test, t, 1);
	rx_receive(test, t, 0);
	rx_set_consumer(t, 1, true);
	rx_receive(test, t, 1);
	KUNIT_EXPECT_EQ(test, t->vm.calls, 0);
}

static void vmq_rx_test_attach(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, false);

	KUNIT_EXPECT_EQ(test, rx_attach(t, &t->f->sw), -EBUSY);
	rx_frame(test, t, 0x44, 0);
	rx_receive(test, t, 0);
	rx_expect(test, &t->sw, NUMBERS(0));
	rx_detach(t, &t->sw.sw);
	KUNIT_EXPECT_EQ(test, rx_attach(t, &t->f->sw), 0);
	rx_detach(t, &t->f->sw);
	KUNIT_EXPECT_EQ(test, rx_attach(t, &t->sw.sw), 0);
}

static void rx_stack_receive(struct kunit *test, struct rx_test *t, u16 id)
{
	struct sk_buff *skb;

	t->queue = id;
	list_for_each_entry(skb, &t->batch, list)
		skb_record_rx_queue(skb, id);
	local_bh_disable();
	napi_schedule(&t->napi);
	local_bh_enable();
	KUNIT_EXPECT_GT(test, wait_for_completion_timeout(&t->polled, 10 * HZ),
			0);
	KUNIT_EXPECT_TRUE(test, list_empty(&t->batch));
}

/* Without a consumer: the uplink's stack, which sees the queue's number. */
static void vmq_rx_test_stack(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, true);

	rx_set_consumer(t, 1, false);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x11, 5);
	rx_frame(test, t, 0x11, 0);
	rx_stack_receive(test, t, 1);
	KUNIT_EXPECT_EQ(test, t->rx_queue[0], 1);
	KUNIT_EXPECT_EQ(test, t->rx_queue[1], 1);
	rx_expect(test, &t->stack, NUMBERS(0, 2));
	rx_expect(test, &t->sw, NUMBERS(1));
}

/* What the switch leaves is the stack's, and what it took is not. */
static void vmq_rx_test_switch_leaves(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, true);
	unsigned int i;

	t->sw.leave = BIT(1) | BIT(2) | BIT(4);
	for (i = 0; i < 5; i++)
		rx_frame(test, t, 0x44, 0);
	rx_stack_receive(test, t, 0);
	rx_expect(test, &t->sw, NUMBERS(0, 3));
	rx_expect(test, &t->stack, NUMBERS(1, 2, 4));

	/* Of a VM queue too: its mismatches go the default queue's way, as its. */
	t->sw.leave = BIT(5);
	rx_frame(test, t, 0x45, 0);
	rx_frame(test, t, 0x11, 0);
	rx_frame(test, t, 0x46, 0);
	rx_stack_receive(test, t, 1);
	KUNIT_EXPECT_EQ(test, t->rx_queue[0], 0);
	rx_expect(test, &t->stack, NUMBERS(5));
	rx_expect(test, &t->vm, NUMBERS(6));
	rx_expect(test, &t->sw, NUMBERS(7));
}

/* Nobody at all: a plain NIC. */
static void vmq_rx_test_no_switch(struct kunit *test)
{
	struct rx_test *t = rx_setup(test, true);

	rx_detach(t, &t->sw.sw);
	rx_frame(test, t, 0x44, 0);
	rx_frame(test, t, 0x45, 0);
	rx_stack_receive(test, t, 0);
	KUNIT_EXPECT_EQ(test, t->rx_queue[0], 0);
	rx_expect(test, &t->stack, NUMBERS(0, 1));
	KUNIT_EXPECT_EQ(test, rx_attach(t, &t->sw.sw), 0);
}

/* Also after an aborted test: nobody may point to its memory any more. */
static void vmq_rx_test_exit(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct rx_test *t = f ? f->user : NULL;

	if (t && t->has_stack)
		rx_stack_teardown(t);
	fake_test_exit(test);
}

static struct kunit_case vmq_rx_test_cases[] = {
	KUNIT_CASE(vmq_rx_test_match),
	KUNIT_CASE(vmq_rx_test_mismatch),
	KUNIT_CASE(vmq_rx_test_priority),
	KUNIT_CASE(vmq_rx_test_any),
	KUNIT_CASE(vmq_rx_test_change),
	KUNIT_CASE(vmq_rx_test_move),
	KUNIT_CASE(vmq_rx_test_many),
	KUNIT_CASE(vmq_rx_test_only_vlan),
	KUNIT_CASE(vmq_rx_test_default),
	KUNIT_CASE(vmq_rx_test_empty),
	KUNIT_CASE(vmq_rx_test_attach),
	KUNIT_CASE(vmq_rx_test_stack),
	KUNIT_CASE(vmq_rx_test_switch_leaves),
	KUNIT_CASE(vmq_rx_test_no_switch),
	{}
};

static struct kunit_suite vmq_rx_test_suite = {
	.name		= "vmq_rx",
	.init		= fake_test_init,
	.exit		= vmq_rx_test_exit,
	.test_cases	= vmq_rx_test_cases,
};

kunit_test_suite(vmq_rx_test_suite);
