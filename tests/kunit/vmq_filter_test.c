// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter table and its moves on the fake NIC: the order of what is asked
 * of the backend, refusals that change nothing, and streams that lose nothing.
 */
#include <linux/etherdevice.h>
#include "fake.h"

static void vmq_filter_test_add_del(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int fid;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	fake_commit(f, ADMIN, 1);
	fake_log_clear(f);
	fid = fake_add(f, ADMIN, 1, 0x11, 0);
	KUNIT_ASSERT_GT(test, fid, 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 1, write 11 0x2, drain 0, release 1");
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, fid), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 0, write 11 0x0, drain 1, release 0");
}

/* A queue at rest has no ring: nothing moves, nothing is held. */
static void vmq_filter_test_add_at_rest(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, 0x11, 0), 0);
	fake_match(&m, 0x11, 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	KUNIT_EXPECT_NULL(test, strstr(f->log, "hold"));
	KUNIT_EXPECT_NULL(test, strstr(f->log, "drain"));
}

/* Two filters with one address share the slot; the last one clears it. */
static void vmq_filter_test_shared_slot(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int nr;
	int a, b;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	nr = f->dev.mac_slots_free;
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	a = 1;
	b = fake_add(f, ADMIN, 1, 0x11, 100);
	KUNIT_ASSERT_EQ(test, b, 2);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, nr - 1);
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, a), 0);
	KUNIT_EXPECT_NULL(test, strstr(f->log, "0x0"));
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, nr - 1);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, b), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, nr);
	KUNIT_EXPECT_NOT_NULL(test, strstr(f->log, "write 11 0x0"));
}

/* Queues 1 and 2 run, filters 1 and 2 (0x11, 0x12) are on queue 0. */
static void vmq_filter_test_prepare_move(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id <= 2; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), id);
		fake_consume(f, id);
		KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, id), 0);
		KUNIT_ASSERT_EQ(test, fake_add(f, VSWITCH, 0, 0x10 + id, 0),
				id);
	}
	fake_log_clear(f);
}

static void vmq_filter_test_move(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 1, 2 };

	vmq_filter_test_prepare_move(test);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 1), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 1, write 11 0x2, write 12 0x2, drain 0, release 1");
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 0);

	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 2), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 2, write 11 0x4, write 12 0x4, drain 1, release 2");
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_PAUSED);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_RUNNING);

	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 0), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 0, write 11 0x0, write 12 0x0, drain 2, release 0");
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_PAUSED);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 10);

	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 0), 0);
	KUNIT_EXPECT_STREQ(test, f->log, "");
}

/* One of two is moved: the other one's queue goes on running. */
static void vmq_filter_test_move_part(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 1, 2 };

	vmq_filter_test_prepare_move(test);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 2, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_RUNNING);
}

static void vmq_filter_test_move_refusals(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 1, 2 }, unknown[] = { 1, 77 }, none[] = { 0 };
	const u32 beyond[] = { VMQ_MAX_FILTERS };
	u32 admin;

	vmq_filter_test_prepare_move(test);
	admin = fake_add(f, ADMIN, 0, 0x20, 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 4), 0);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 1, 1), 0);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 0, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 4), -EADDRINUSE);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "queue 4 belongs to the administrator");
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, U16_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_move(f, unknown, 2, 2), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_move(f, none, 1, 2), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_move(f, beyond, 1, 2), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_move(f, &admin, 1, 2), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 3), -ENOENT);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");
}

/* Addresses alone decide: both VLANs of one move, or none. */
static void vmq_filter_test_move_vlans(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 1, 3 };

	vmq_filter_test_prepare_move(test);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_OFF), 0);
	KUNIT_ASSERT_EQ(test, fake_add(f, VSWITCH, 0, 0x11, 100), 3);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 1), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 9);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 2), -EOPNOTSUPP);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 2, 2), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 9);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_PAUSED);

	/* One of them alone may go back to software: the slot stays. */
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 9);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids + 1, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 10);
}

/* All or none: the last of several finds no slot, so none has moved. */
static void vmq_filter_test_move_no_slot(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int i;
	u32 fids[4];

	vmq_filter_test_prepare_move(test);
	for (i = 0; i < 7; i++)
		KUNIT_ASSERT_GT(test, fake_add(f, VSWITCH, 2, 0x30 + i, 0), 0);
	for (i = 0; i < 4; i++)
		fids[i] = fake_add(f, VSWITCH, 0, 0x40 + i, 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 3);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 4, 1), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 3);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, 3, 1), 0);
}

/* A queue that does not run dry is told of, and the move ends all the same. */
static void vmq_filter_test_move_no_drain(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fid = 1;

	vmq_filter_test_prepare_move(test);
	f->queues[0].drain_err = -ETIMEDOUT;
	KUNIT_EXPECT_EQ(test, fake_move(f, &fid, 1, 1), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 1, write 11 0x2, drain 0, release 1");
	f->queues[0].drain_err = 0;
}

static void vmq_filter_test_exists(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x12), 2);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, 0x11, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x12, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake_add(f, VSWITCH, 0, 0x12, 0), -EEXIST);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");
}

/* Addresses of the uplink itself: its own and those of its uc list. */
static void vmq_filter_test_host_addr(struct kunit *test)
{
	static const u8 extra[ETH_ALEN] = { 0x52, 0x54, 0, 0, 0x17, 0x22 };
	static const u8 own[ETH_ALEN] = { 0x52, 0x54, 0, 0, 0x17, 0x21 };
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	rtnl_lock();
	eth_hw_addr_set(f->uplink, own);
	KUNIT_EXPECT_EQ(test, dev_uc_add(f->uplink, extra), 0);
	rtnl_unlock();

	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x21, 0), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x21, 5), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x22, 0), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x22, 0), -EADDRINUSE);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	rtnl_lock();
	dev_uc_del(f->uplink, extra);
	rtnl_unlock();
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, 0x22, 0), 0);
}

static int addr_check(struct fake_nic *f, u8 addr)
{
	struct vmq_match m;
	int err;

	fake_match(&m, addr, 0);
	rtnl_lock();
	err = vmq_dev_addr_check(&f->dev, m.addr, NULL);
	rtnl_unlock();
	return err;
}

/* And the other way round: the host may not take a VM's address. */
static void vmq_filter_test_addr_check(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, VSWITCH, 0, 0x12, 7), 2);
	KUNIT_EXPECT_EQ(test, addr_check(f, 0x11), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, addr_check(f, 0x12), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, addr_check(f, 0x13), 0);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, addr_check(f, 0x11), 0);
}

/* As many addresses as there are slots that are not the host's, and no more. */
static void vmq_filter_test_slots(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int i, slots = f->caps.mac_slots - f->caps.mac_slots_host;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, slots);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x80), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x81), 2);
	for (i = 2; i < slots; i++)
		KUNIT_EXPECT_GT(test,
				fake_add(f, ADMIN, 1 + i % 2, 0x80 + i, 0), 0);
	KUNIT_EXPECT_EQ(test, f->dev.mac_slots_free, 0);

	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x70, 0), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	/* A VLAN more on an address that has a slot, or software, needs none. */
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, 0x80, 9), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 0, 0x70, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 2), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, 0x71, 0), 0);
}

static void vmq_filter_test_unsupported(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x12), 2);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_OFF), 0);
	fake_log_clear(f);
	fake_remember(f);
	/* One address on two VM queues: the NIC could not tell them apart. */
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, 0x11, 5), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, 0x11, VMQ_VLAN_ANY),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x13, 4095), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 8, 0x13, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, U16_MAX, 0x13, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 3, 0x13, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 3), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, VMQ_MAX_FILTERS), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, U32_MAX), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_del(f, VSWITCH, 1), -EADDRINUSE);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	/* On the default queue it is a claim in software: no slot, no clash. */
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 0, 0x11, 5), 0);
}

/* Ids are unique over all queues, start at 1 and are used again. */
static void vmq_filter_test_ids(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;
	int ret;

	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x12), 2);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x13, 0), 3);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x14, 0), 2);

	/* A wanted id is kept to, or refused. */
	fake_match(&m, 0x15, 0);
	rtnl_lock();
	mutex_lock(&f->dev.lock);
	ret = vmq_filter_add_locked(&f->dev, 1, &m, ADMIN, 500, NULL);
	KUNIT_EXPECT_EQ(test, ret, 500);
	fake_match(&m, 0x16, 0);
	ret = vmq_filter_add_locked(&f->dev, 1, &m, ADMIN, 500, NULL);
	KUNIT_EXPECT_EQ(test, ret, -EEXIST);
	ret = vmq_filter_add_locked(&f->dev, 1, &m, ADMIN, VMQ_MAX_FILTERS,
				    NULL);
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	mutex_unlock(&f->dev.lock);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, f->dev.queues[1].nr_filters, 3);
}

/* All ids in use, all of them filters of the default queue. */
static void vmq_filter_test_ids_used_up(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int i;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (i = 1; i < VMQ_MAX_FILTERS; i++)
		KUNIT_ASSERT_EQ(test,
				fake_add(f, ADMIN, 0, i / 4000, i % 4000 + 1),
				i);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x55, 0), -ENOSPC);
	KUNIT_EXPECT_STREQ(test, f->why, "all 131071 filter ids used");
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, VMQ_MAX_FILTERS - 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->dev.filter_list));
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 70000), 0);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x55, 0), 70000);
}

/* How many filters a plan looks at one by one. */
static size_t vmq_filter_test_listed(struct fake_nic *f)
{
	size_t nr;

	mutex_lock(&f->dev.lock);
	nr = list_count_nodes(&f->dev.filter_list);
	mutex_unlock(&f->dev.lock);
	return nr;
}

/*
 * What software alone claims costs a plan no look at each, but is known by its
 * VLAN: before, during and after it has been a VM queue's.
 */
static void vmq_filter_test_many(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 mine[] = { 2, 102 };
	int i;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	for (i = 0; i < 2000; i++)
		KUNIT_ASSERT_EQ(test, fake_add(f, VSWITCH, 0, 0x20 + i / 100,
					       i % 100 + 1), i + 2);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 1);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[1], 20);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[100], 20);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[0], 0);

	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 2);
	KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, 2), 0);
	KUNIT_ASSERT_EQ(test, fake_move(f, mine, 2, 2), 0);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 3);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[1], 18);
	KUNIT_ASSERT_EQ(test, fake_move(f, mine, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 2);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[1], 19);
	/* The queue goes, and leaves it to software. */
	fake_release(f, 2);
	fake_wait_freeing(f);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 1);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[1], 20);

	/* A filter that comes back to its queue is not forgotten. */
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 1);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 2001);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, f->dev.queues[1].nr_filters, 1);

	for (i = 0; i < 2000; i++)
		KUNIT_ASSERT_EQ(test, fake_del(f, VSWITCH, i + 2), 0);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 1);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[1], 0);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[100], 0);
}

/* More of them than there are slots are refused, and stay what they were. */
static void vmq_filter_test_many_refused(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u32 fids[100];
	int i;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (i = 0; i < ARRAY_SIZE(fids); i++) {
		fids[i] = fake_add(f, VSWITCH, 0, 0x20 + i, 7);
		KUNIT_ASSERT_EQ(test, fids[i], i + 1);
	}
	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, 1), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_move(f, fids, ARRAY_SIZE(fids), 1), -ENOSPC);
	KUNIT_EXPECT_STREQ(test, f->why, "filter slots full");
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, vmq_filter_test_listed(f), 0);
	KUNIT_EXPECT_EQ(test, f->dev.software_vids[7], ARRAY_SIZE(fids));
}

/* What was refused has taken no id. */
static void vmq_filter_test_refused_id(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int i = 1;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	while (f->dev.mac_slots_free) {
		KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, 0x20 + i, 0), i);
		i++;
	}
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x20 + i, 0), -ENOSPC);
	KUNIT_EXPECT_STREQ(test, f->why, "filter slots full");
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x20 + i, 0), i);
}

/* The oldest filter comes first in a plan, wherever it has been. */
static void vmq_filter_test_age(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 2, 3, 1 };
	const struct vmq_filter *flt;
	u32 id = 0;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_add(f, VSWITCH, 0, 0x20, 0);
	fake_add(f, VSWITCH, 0, 0x21, 0);
	fake_add(f, VSWITCH, 0, 0x22, 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, 1), 0);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 3, 1), 0);
	mutex_lock(&f->dev.lock);
	list_for_each_entry(flt, &f->dev.filter_list, list)
		KUNIT_EXPECT_EQ(test, flt->id, ++id);
	mutex_unlock(&f->dev.lock);
	KUNIT_EXPECT_EQ(test, id, 3);
}

/* Refusals say why in words that a user can act on. */
static void vmq_filter_test_words(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	fake_add(f, ADMIN, 1, 0x11, 0);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "queue 1 has this filter already, id 1");
	KUNIT_EXPECT_STREQ(test, f->dev.last_error,
			   "queue 1 has this filter already, id 1 (-17)");
	fake_add(f, ADMIN, 9, 0x12, 0);
	KUNIT_EXPECT_STREQ(test, f->why, "there is no queue 9, the last one is 7");
	fake_free(f, 1);
	KUNIT_EXPECT_STREQ(test, f->why, "queue 1 still has 1 filters");
}

/* Streams through every kind of change */

/* Start traffic for these addresses, with tag 0 and 100 each. */
static void vmq_filter_test_start_streams(struct fake_nic *f)
{
	u8 addr;

	for (addr = 0x11; addr <= 0x13; addr++) {
		fake_stream_add(f, addr, 0);
		fake_stream_add(f, addr, 100);
	}
	f->traffic = true;
	fake_inject(f);
}

static void vmq_filter_test_expect_on(struct kunit *test, struct fake_nic *f,
				      unsigned int stream, u16 queue)
{
	fake_send(f, stream);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ_MSG(test, f->streams[stream].last, queue,
			    "%pM vlan %u", f->streams[stream].m.addr,
			    f->streams[stream].m.vlan);
}

static void vmq_filter_test_stream_round(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const u32 fids[] = { 1, 2 };
	int fid;

	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 2, 1), 0);
	vmq_filter_test_expect_on(test, f, 0, 1);
	vmq_filter_test_expect_on(test, f, 1, 0);
	vmq_filter_test_expect_on(test, f, 2, 1);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 2, 2), 0);
	vmq_filter_test_expect_on(test, f, 0, 2);
	vmq_filter_test_expect_on(test, f, 3, 0);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 1, 1), 0);
	vmq_filter_test_expect_on(test, f, 0, 1);
	vmq_filter_test_expect_on(test, f, 2, 2);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids, 1, 0), 0);
	KUNIT_ASSERT_EQ(test, fake_move(f, fids + 1, 1, 0), 0);
	vmq_filter_test_expect_on(test, f, 0, 0);

	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 3);
	fake_consume(f, 3);
	fid = fake_add(f, VSWITCH, 3, 0x13, 100);
	KUNIT_ASSERT_EQ(test, fid, 3);
	vmq_filter_test_expect_on(test, f, 5, 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, 3), 0);
	vmq_filter_test_expect_on(test, f, 5, 3);
	vmq_filter_test_expect_on(test, f, 4, 0);
	fake_release(f, 3);
	vmq_filter_test_expect_on(test, f, 5, 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, VSWITCH, fid), 0);
}

/* What the NIC lets in, an address at a time, is what the queue claims. */
static void vmq_filter_test_exact(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	const struct vmq_queue *q = &f->dev.queues[1];
	int own;

	KUNIT_EXPECT_TRUE(test, q->exact);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, 0x11, VMQ_VLAN_ANY), 0);
	KUNIT_EXPECT_TRUE(test, q->exact);
	/* One of its VLANs by name changes nothing, another address does. */
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, 0x11, 5), 0);
	KUNIT_EXPECT_TRUE(test, q->exact);
	own = fake_add(f, ADMIN, 1, 0x12, 5);
	KUNIT_EXPECT_FALSE(test, q->exact);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, own), 0);
	KUNIT_EXPECT_TRUE(test, q->exact);
	/* A VLAN of its address that is not its own. */
	own = fake_add(f, ADMIN, 0, 0x11, 6);
	KUNIT_EXPECT_FALSE(test, q->exact);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[0].exact);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[2].exact);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, own), 0);
	KUNIT_EXPECT_TRUE(test, q->exact);
}

/* A filter for any VLAN: what no other one of its address claims. */
static void vmq_filter_test_any_round(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int any, tagged;

	any = fake_add(f, ADMIN, 1, 0x11, VMQ_VLAN_ANY);
	KUNIT_ASSERT_GT(test, any, 0);
	vmq_filter_test_expect_on(test, f, 0, 1);
	vmq_filter_test_expect_on(test, f, 1, 1);

	/* One of its VLANs gets a filter of its own, and is never elsewhere. */
	f->streams[1].may_go = BIT(1);
	tagged = fake_add(f, ADMIN, 1, 0x11, 100);
	KUNIT_ASSERT_GT(test, tagged, 0);
	vmq_filter_test_expect_on(test, f, 1, 1);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, tagged), 0);
	vmq_filter_test_expect_on(test, f, 1, 1);
	f->streams[1].may_go = U64_MAX;

	/* On the default queue it takes its VLAN away from the VM. */
	tagged = fake_add(f, ADMIN, 0, 0x11, 100);
	KUNIT_ASSERT_GT(test, tagged, 0);
	vmq_filter_test_expect_on(test, f, 0, 1);
	vmq_filter_test_expect_on(test, f, 1, 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, any), 0);
	vmq_filter_test_expect_on(test, f, 0, 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, tagged), 0);
}

static void vmq_filter_test_any(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int round;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	fake_consume(f, 1);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	fake_stream_add(f, 0x11, 0);
	fake_stream_add(f, 0x11, 100);
	f->traffic = true;
	fake_inject(f);
	for (round = 0; round < 12 && !f->broken[0]; round++)
		vmq_filter_test_any_round(test);
	fake_expect_sound(test, f);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 100);
}

/* Not one frame lost, doubled or out of order, whenever it comes. */
static void vmq_filter_test_streams(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int round;

	vmq_filter_test_prepare_move(test);
	vmq_filter_test_start_streams(f);
	for (round = 0; round < 12 && !f->broken[0]; round++)
		vmq_filter_test_stream_round(test);
	fake_expect_sound(test, f);
	kunit_info(test, "%u frames in each of %u streams\n",
		   f->streams[0].sent, f->nr_streams);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 400);
}

/* When a delete returns, its frames are out of the ring. */
static void vmq_filter_test_del_drains(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 0x11), 1);
	fake_stream_add(f, 0x11, 0);
	fake_send(f, 0);
	fake_send(f, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].nr, 2);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].nr, 0);
	KUNIT_EXPECT_EQ(test, f->streams[0].received, 2);
	KUNIT_EXPECT_EQ(test, f->streams[0].last, 1);

	/* Also when the address stays, for another VLAN. */
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 5), 2);
	fake_send(f, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].nr, 1);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->streams[0].received, 3);
	KUNIT_EXPECT_EQ(test, f->streams[0].last, 1);
}

/* Pools count from the default one, which need not be the first. */
static void vmq_filter_test_default_pool(struct kunit *test)
{
	struct vmq_hw_caps caps = fake_caps;
	struct fake_nic *f;
	u16 id;

	fake_test_exit(test);
	caps.default_pool = 3;
	f = fake_create(test, &caps);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].pool, 3);
	for (id = 1; id < caps.pools; id++) {
		KUNIT_EXPECT_EQ(test, f->dev.queues[id].pool,
				id <= 3 ? id - 1 : id);
		KUNIT_EXPECT_EQ(test, fake_make_running(f, ADMIN, id), id);
		fake_stream_add(f, id, 0);
		vmq_filter_test_expect_on(test, f, id - 1, id);
	}
}

static struct kunit_case vmq_filter_test_cases[] = {
	KUNIT_CASE(vmq_filter_test_add_del),
	KUNIT_CASE(vmq_filter_test_add_at_rest),
	KUNIT_CASE(vmq_filter_test_shared_slot),
	KUNIT_CASE(vmq_filter_test_move),
	KUNIT_CASE(vmq_filter_test_move_part),
	KUNIT_CASE(vmq_filter_test_move_refusals),
	KUNIT_CASE(vmq_filter_test_move_vlans),
	KUNIT_CASE(vmq_filter_test_move_no_slot),
	KUNIT_CASE(vmq_filter_test_move_no_drain),
	KUNIT_CASE(vmq_filter_test_exists),
	KUNIT_CASE(vmq_filter_test_host_addr),
	KUNIT_CASE(vmq_filter_test_addr_check),
	KUNIT_CASE(vmq_filter_test_slots),
	KUNIT_CASE(vmq_filter_test_unsupported),
	KUNIT_CASE(vmq_filter_test_ids),
	KUNIT_CASE(vmq_filter_test_ids_used_up),
	KUNIT_CASE(vmq_filter_test_many),
	KUNIT_CASE(vmq_filter_test_many_refused),
	KUNIT_CASE(vmq_filter_test_refused_id),
	KUNIT_CASE(vmq_filter_test_age),
	KUNIT_CASE(vmq_filter_test_words),
	KUNIT_CASE(vmq_filter_test_streams),
	KUNIT_CASE(vmq_filter_test_any),
	KUNIT_CASE(vmq_filter_test_exact),
	KUNIT_CASE(vmq_filter_test_del_drains),
	KUNIT_CASE(vmq_filter_test_default_pool),
	{}
};

static struct kunit_suite vmq_filter_test_suite = {
	.name		= "vmq_filter",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_filter_test_cases,
};

kunit_test_suite(vmq_filter_test_suite);
