// SPDX-License-Identifier: GPL-2.0-only
/*
 * A registered uplink: what netdev core, sysfs and transmit do with it, and
 * ends that come while queues run and readers hold frames.
 */
#include <linux/etherdevice.h>
#include "fake.h"

static int vmq_life_test_init(struct kunit *test)
{
	fake_test_init(test);
	return fake_register(test->priv);
}

/* The vswitch is asked for ports on any netdev: only ours have VMQ. */
static void vmq_life_test_from_uplink(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct net_device *other;

	KUNIT_EXPECT_PTR_EQ(test, vmq_dev_from_uplink(f->uplink), &f->dev);
	KUNIT_EXPECT_PTR_EQ(test, vmq_dev_uplink(&f->dev), f->uplink);
	other = dev_get_by_name(&init_net, "lo");
	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_EXPECT_NULL(test, vmq_dev_from_uplink(other));
	dev_put(other);
}

/* Down and up by the netdev core: queues and filters stay, the NIC is filled. */
static void vmq_life_test_down_up(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int round;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x12), 2);
	fake_log_clear(f);
	fake_remember(f);
	for (round = 0; round < 3; round++) {
		fake_close(f);
		KUNIT_EXPECT_FALSE(test, f->queues[1].started);
		KUNIT_EXPECT_EQ(test, fake_open(f), 0);
		fake_log_clear(f);
		fake_expect_unchanged(test, f);
	}
}

/* unregister_netdev() with queues running, filters set, one queue freeing. */
static void vmq_life_test_unregister(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x12), 2);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 3), 0);
	f->queues[3].held = 5;
	KUNIT_ASSERT_EQ(test, fake_free(f, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_FREEING);
	/* fake_test_exit() unregisters, and looks for what is left. */
}

static int life_xmit(struct fake_nic *f, u16 id)
{
	static const char data[64];
	struct sk_buff *skb;
	struct vmq_match m;
	int ret;

	fake_match(&m, 0x55, 0);
	skb = fake_skb(f, &m, data, sizeof(data));
	if (!skb)
		return -ENOMEM;
	local_bh_disable();
	ret = vmq_queue_xmit(&f->dev, id, skb);
	local_bh_enable();
	return ret;
}

/* Down, no carrier, or a full ring: dropped, and counted where it belongs. */
static void vmq_life_test_xmit(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct netdev_queue *txq = netdev_get_tx_queue(f->uplink, 1);
	u64_stats_t *drops = f->dev.queues[1].tx.drops;

	KUNIT_EXPECT_EQ(test, life_xmit(f, 1), NET_XMIT_DROP);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&drops[VMQ_TX_DROP_STOPPED]), 1);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x11), 1);
	netif_tx_start_all_queues(f->uplink);
	KUNIT_EXPECT_EQ(test, life_xmit(f, 1), NET_XMIT_SUCCESS);
	KUNIT_EXPECT_EQ(test, f->queues[1].xmits, 1);
	KUNIT_EXPECT_EQ(test, f->queues[0].xmits, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].more, 0);
	KUNIT_EXPECT_FALSE(test, vmq_queue_tx_full(&f->dev, 1));

	netif_tx_stop_queue(txq);
	KUNIT_EXPECT_TRUE(test, vmq_queue_tx_full(&f->dev, 1));
	KUNIT_EXPECT_FALSE(test, vmq_queue_tx_full(&f->dev, 2));
	KUNIT_EXPECT_EQ(test, life_xmit(f, 1), NET_XMIT_DROP);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&drops[VMQ_TX_DROP_FULL]), 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].xmits, 1);
	netif_tx_start_queue(txq);

	/* Without the link watch, which would freeze the queues for a moment. */
	set_bit(__LINK_STATE_NOCARRIER, &f->uplink->state);
	KUNIT_EXPECT_EQ(test, life_xmit(f, 1), NET_XMIT_DROP);
	clear_bit(__LINK_STATE_NOCARRIER, &f->uplink->state);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&drops[VMQ_TX_DROP_STOPPED]), 2);
	KUNIT_EXPECT_EQ(test, life_xmit(f, 1), NET_XMIT_SUCCESS);
	KUNIT_EXPECT_EQ(test, f->queues[1].xmits, 2);
}

static int life_tx_drain(struct fake_nic *f, u16 id)
{
	int err;

	rtnl_lock();
	err = vmq_queue_tx_drain(&f->dev, id);
	rtnl_unlock();
	return err;
}

/* Only rings that run are asked, and their answer is handed on. */
static void vmq_life_test_drain(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_EXPECT_EQ(test, life_tx_drain(f, 0), 0);
	KUNIT_EXPECT_EQ(test, f->queues[0].tx_drains, 0);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, life_tx_drain(f, 0), 0);
	KUNIT_EXPECT_EQ(test, life_tx_drain(f, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[0].tx_drains, 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].tx_drains, 0);
	f->queues[0].drain_err = -ETIMEDOUT;
	KUNIT_EXPECT_EQ(test, life_tx_drain(f, 0), -ETIMEDOUT);
	f->queues[0].drain_err = 0;
}

/* Wake-ups go to the queue's consumer, the host's frames past the switch. */
static void vmq_life_test_callbacks(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;
	struct sk_buff *skb;

	local_bh_disable();
	vmq_queue_tx_wake(&f->dev.queues[1]);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, f->queues[1].wakes, 0);
	fake_consume(f, 1);
	local_bh_disable();
	vmq_queue_tx_wake(&f->dev.queues[1]);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, f->queues[1].wakes, 1);
	KUNIT_EXPECT_EQ(test, f->switch_wakes, 0);
	local_bh_disable();
	vmq_queue_tx_wake(&f->dev.queues[0]);
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, f->switch_wakes, 1);

	fake_match(&m, 0x55, 0);
	skb = fake_skb(f, &m, &m, sizeof(m));
	KUNIT_ASSERT_NOT_NULL(test, skb);
	local_bh_disable();
	KUNIT_EXPECT_FALSE(test, vmq_uplink_xmit(&f->dev, skb));
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, f->uplink_xmits, 1);
	kfree_skb(skb);
}

/* The switch is told what its ports may have waited for, and nothing else. */
static void vmq_life_test_freed(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 100), 2);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_QUEUE], 0);
	/* Its VLAN is free, also where its address is not. */
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 1);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 2);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_QUEUE], 0);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_QUEUE], 1);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 2);
}

/* One device after another: the last one leaves nothing in the way. */
static void vmq_life_test_again(struct kunit *test)
{
	struct fake_nic *f;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fake_test_exit(test);
		f = fake_create(test, &fake_caps);
		KUNIT_ASSERT_EQ(test, fake_register(f), 0);
		KUNIT_ASSERT_EQ(test, fake_open(f), 0);
		KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	}
}

static struct kunit_case vmq_life_test_cases[] = {
	KUNIT_CASE(vmq_life_test_from_uplink),
	KUNIT_CASE(vmq_life_test_down_up),
	KUNIT_CASE(vmq_life_test_unregister),
	KUNIT_CASE(vmq_life_test_xmit),
	KUNIT_CASE(vmq_life_test_drain),
	KUNIT_CASE(vmq_life_test_callbacks),
	KUNIT_CASE(vmq_life_test_freed),
	KUNIT_CASE(vmq_life_test_again),
	{}
};

static struct kunit_suite vmq_life_test_suite = {
	.name		= "vmq_life",
	.init		= vmq_life_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_life_test_cases,
};

kunit_test_suite(vmq_life_test_suite);
