// SPDX-License-Identifier: GPL-2.0-only
/* ethtool -n and -N on the fake NIC: rules are the filters, by location. */
#include "fake.h"

static void rule_init(struct ethtool_rxnfc *info, u8 addr, u16 vlan, u64 queue)
{
	struct vmq_match m;

	memset(info, 0, sizeof(*info));
	info->cmd = ETHTOOL_SRXCLSRLINS;
	fake_match(&m, addr, vlan);
	vmq_ntuple_format(&info->fs, &m);
	info->fs.ring_cookie = queue;
	info->fs.location = RX_CLS_LOC_ANY;
}

static int rule_set(struct fake_nic *f, struct ethtool_rxnfc *info)
{
	int err;

	rtnl_lock();
	err = vmq_ethtool_set_rxnfc(&f->dev, info);
	rtnl_unlock();
	return err;
}

static int rule_add(struct fake_nic *f, u8 addr, u16 vlan, u64 queue)
{
	struct ethtool_rxnfc info;

	rule_init(&info, addr, vlan, queue);
	return rule_set(f, &info) ?: (int)info.fs.location;
}

static int rule_del(struct fake_nic *f, u32 location)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_SRXCLSRLDEL };

	info.fs.location = location;
	return rule_set(f, &info);
}

static int rule_get(struct fake_nic *f, struct ethtool_rxnfc *info, u32 *locs)
{
	int err;

	rtnl_lock();
	err = vmq_ethtool_get_rxnfc(&f->dev, info, locs);
	rtnl_unlock();
	return err;
}

/* One command: allocate, commit, filter. */
static void vmq_ethtool_test_whole_queue(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, 100, 4), 1);
	KUNIT_EXPECT_EQ(test, fake_state(f, 4), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, f->dev.queues[4].owner, ADMIN);
	KUNIT_EXPECT_STREQ(test, f->dev.queues[4].vm_name, "queue-4");
	KUNIT_EXPECT_STREQ(test, f->log,
			   "alloc 4, start 4, hold 4, write 11 0x10, drain 0, release 4");
	/* The next rule finds the queue there. */
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, 0, 4), 2);
	/* Without a VLAN: any. */
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, VMQ_VLAN_ANY, 4), 3);
	KUNIT_EXPECT_EQ(test, f->dev.queues[4].nr_filters, 3);
	KUNIT_EXPECT_EQ(test, rule_del(f, 1), 0);
	KUNIT_EXPECT_EQ(test, rule_del(f, 2), 0);
	KUNIT_EXPECT_EQ(test, rule_del(f, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 4), VMQ_QUEUE_PAUSED);
}

/* action 0: a claim on the default queue, without a slot. */
static void vmq_ethtool_test_default(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, 0, 0), 1);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_EXPECT_EQ(test, f->dev.nr_default_filters, 1);
}

/* A rule that is refused leaves no queue behind either. */
static void vmq_ethtool_test_refuse(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 0, 1), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x12), 2);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_OFF), 0);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, 0, 3), -EEXIST);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x11, 5, 3), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 4095, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 255), -EINVAL);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 1ULL << 40), -EINVAL);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 1ULL << 33), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, RX_CLS_FLOW_DISC),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, rule_del(f, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, rule_del(f, 3), -ENOENT);
	KUNIT_EXPECT_EQ(test, rule_del(f, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, rule_del(f, U32_MAX), -ENOENT);
	f->queues[3].start_err = -ENOSPC;
	KUNIT_EXPECT_EQ(test, rule_add(f, 0x13, 0, 3), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, f->mac_writes, 0);
}

static int rule_move(struct fake_nic *f, u32 location, u8 addr, u16 vlan,
		     u64 queue)
{
	struct ethtool_rxnfc info;

	rule_init(&info, addr, vlan, queue);
	info.fs.location = location;
	return rule_set(f, &info);
}

/* A rule at its own location gets another queue, and loses no frame by it. */
static void vmq_ethtool_test_move(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct fake_stream *s = fake_stream_add(f, 0x11, 0);
	static const u16 queues[] = { 3, 0, 1, 2, 4, 1 };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (i = 1; i <= 4; i++)
		fake_consume(f, i);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 0, 1), 1);
	fake_send(f, 0);
	fake_poll_all(f);
	f->traffic = true;
	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 0, queues[i]), 0);
		fake_send(f, 0);
		fake_poll_all(f);
		KUNIT_EXPECT_EQ(test, s->last, queues[i]);
	}
	f->traffic = false;
	fake_expect_sound(test, f);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_PAUSED);
	KUNIT_EXPECT_EQ(test, f->dev.queues[1].nr_filters, 1);
}

/* Moved while its queue, after VMQ was off, waits for readers: it stays there. */
static void vmq_ethtool_test_move_from_home(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 0, 1), 1);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x12, 0, 1), 2);
	WRITE_ONCE(f->queues[1].held, 3);
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_ASSERT_EQ(test, fake_state(f, 1), VMQ_QUEUE_FREEING);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 0, 2), 0);
	WRITE_ONCE(f->queues[1].held, 0);
	fake_wait_freeing(f);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 0);
	KUNIT_EXPECT_EQ(test, f->dev.queues[1].nr_filters, 1);
	KUNIT_EXPECT_EQ(test, f->dev.queues[2].nr_filters, 1);
	fake_expect_sound(test, f);
}

/* What is not the administrator's, or another rule, is not moved. */
static void vmq_ethtool_test_move_refused(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 0, 1), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x12), 2);
	f->queues[3].start_err = -ENOMEM;
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 0, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 0, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 0, 3), -ENOMEM);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x11, 5, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, rule_move(f, 1, 0x13, 0, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, rule_move(f, 2, 0x12, 0, 1), -EEXIST);
	fake_expect_unchanged(test, f);
}

static void vmq_ethtool_test_location(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct ethtool_rxnfc info;

	rule_init(&info, 0x11, 0, 1);
	info.fs.location = 77;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), 0);
	KUNIT_EXPECT_EQ(test, info.fs.location, 77);
	fake_remember(f);
	rule_init(&info, 0x12, 0, 2);
	info.fs.location = 77;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EEXIST);
	info.fs.location = 0;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EINVAL);
	info.fs.location = VMQ_MAX_FILTERS;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EINVAL);
	info.fs.location = RX_CLS_LOC_FIRST;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EOPNOTSUPP);
	info.fs.location = RX_CLS_LOC_LAST;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EOPNOTSUPP);
	fake_expect_unchanged(test, f);
}

static void vmq_ethtool_test_list(struct kunit *test)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_GRXCLSRLCNT };
	struct fake_nic *f = test->priv;
	u32 locs[4] = {};

	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 0, 1), 1);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x12, 7, 2), 2);
	KUNIT_ASSERT_EQ(test, rule_add(f, 0x13, 0, 0), 3);
	KUNIT_ASSERT_EQ(test, rule_del(f, 1), 0);
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), 0);
	KUNIT_EXPECT_EQ(test, info.rule_cnt, 2);
	KUNIT_EXPECT_EQ(test, info.data, VMQ_MAX_FILTERS | RX_CLS_LOC_SPECIAL);

	info.cmd = ETHTOOL_GRXCLSRLALL;
	info.rule_cnt = 4;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, locs), 0);
	KUNIT_EXPECT_EQ(test, info.rule_cnt, 2);
	KUNIT_EXPECT_EQ(test, locs[0], 2);
	KUNIT_EXPECT_EQ(test, locs[1], 3);
	KUNIT_EXPECT_EQ(test, info.data, VMQ_MAX_FILTERS);

	memset(locs, 0, sizeof(locs));
	info.rule_cnt = 1;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, locs), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, locs[1], 0);
}

static void vmq_ethtool_test_get(struct kunit *test)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_GRXCLSRULE };
	struct fake_nic *f = test->priv;
	struct ethtool_rxnfc rule;

	KUNIT_ASSERT_EQ(test, rule_add(f, 0x11, 100, 5), 1);
	rule_init(&rule, 0x11, 100, 5);
	rule.fs.location = 1;
	/* What the caller left there must not come back. */
	memset(&info.fs, 0x5a, sizeof(info.fs));
	info.fs.location = 1;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), 0);
	KUNIT_EXPECT_MEMEQ(test, &info.fs, &rule.fs, sizeof(rule.fs));

	info.fs.location = 2;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), -ENOENT);
	info.fs.location = U32_MAX;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), -ENOENT);

	info.cmd = ETHTOOL_GRXRINGS;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), 0);
	KUNIT_EXPECT_EQ(test, info.data, f->caps.pools);
	info.cmd = ETHTOOL_GRXFH;
	KUNIT_EXPECT_EQ(test, rule_get(f, &info, NULL), -EOPNOTSUPP);
	info.cmd = ETHTOOL_SRXFH;
	KUNIT_EXPECT_EQ(test, rule_set(f, &info), -EOPNOTSUPP);
}

static struct kunit_case vmq_ethtool_test_cases[] = {
	KUNIT_CASE(vmq_ethtool_test_whole_queue),
	KUNIT_CASE(vmq_ethtool_test_default),
	KUNIT_CASE(vmq_ethtool_test_refuse),
	KUNIT_CASE(vmq_ethtool_test_move),
	KUNIT_CASE(vmq_ethtool_test_move_from_home),
	KUNIT_CASE(vmq_ethtool_test_move_refused),
	KUNIT_CASE(vmq_ethtool_test_location),
	KUNIT_CASE(vmq_ethtool_test_list),
	KUNIT_CASE(vmq_ethtool_test_get),
	{}
};

static struct kunit_suite vmq_ethtool_test_suite = {
	.name		= "vmq_ethtool",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_ethtool_test_cases,
};

kunit_test_suite(vmq_ethtool_test_suite);
