// SPDX-License-Identifier: GPL-2.0-only
/* Life of a queue on the fake NIC: allocate, commit, free, open and close. */
#include "fake.h"

/* Allocate, filter, commit: both orders end in running. */
static void vmq_queue_test_life(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int fid;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_ALLOCATED);
	fid = fake_add(f, ADMIN, 3, 0x11, 0);
	KUNIT_EXPECT_GT(test, fid, 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_SET);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, fid), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_PAUSED);
	KUNIT_EXPECT_EQ(test, fake_free(f, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_UNDEFINED);

	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_PAUSED);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 3, 0x11, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_RUNNING);
}

/* What the backend is asked for, and in which order. */
static void vmq_queue_test_order(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_STREQ(test, f->log, "alloc 0, start 0");
	fake_log_clear(f);
	fake_allocate(f, ADMIN, 1);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	fake_commit(f, ADMIN, 1);
	KUNIT_EXPECT_STREQ(test, f->log, "alloc 1, start 1");
	fake_log_clear(f);
	fake_free(f, 1);
	KUNIT_EXPECT_STREQ(test, f->log, "stop 1, free 1");
}

/* Frames of a set queue used the default queue; the commit moves them. */
static void vmq_queue_test_commit_set(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, 0x11, 0), 0);
	fake_match(&m, 0x11, 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "alloc 1, start 1, hold 1, write 11 0x2, drain 0, release 1");
}

/* Several at once: each has an answer of its own, and frames move once. */
static void vmq_queue_test_commit_several(struct kunit *test)
{
	const u16 ids[] = { 1, FAKE_QUEUES, 3, 2, 4 };
	const int wanted[] = { 0, -EINVAL, -EADDRINUSE, 0, -ENOMEM };
	const int again[] = { -EINVAL, -EINVAL, -EADDRINUSE, -EINVAL, 0 };
	struct fake_nic *f = test->priv;
	int status[ARRAY_SIZE(ids)];
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 3);
	for (id = 1; id <= 4; id++)
		if (id != 3)
			KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), id);
	fake_add(f, VSWITCH, 1, 0x11, 0);
	fake_add(f, VSWITCH, 2, 0x12, 0);
	f->queues[4].alloc_err = -ENOMEM;
	fake_log_clear(f);
	rtnl_lock();
	KUNIT_EXPECT_EQ(test, vmq_queue_commit(&f->dev, ids, status,
					       ARRAY_SIZE(ids), NULL), -EINVAL);
	rtnl_unlock();
	KUNIT_EXPECT_MEMEQ(test, status, wanted, sizeof(wanted));
	KUNIT_EXPECT_STREQ(test, f->log,
			   "alloc 1, start 1, alloc 2, start 2, alloc 4, hold 1, hold 2, write 11 0x2, write 12 0x4, drain 0, release 1, release 2");
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_ALLOCATED);
	KUNIT_EXPECT_EQ(test, fake_state(f, 4), VMQ_QUEUE_ALLOCATED);

	f->queues[4].alloc_err = 0;
	rtnl_lock();
	KUNIT_EXPECT_EQ(test, vmq_queue_commit(&f->dev, ids, status,
					       ARRAY_SIZE(ids), NULL), -EINVAL);
	rtnl_unlock();
	KUNIT_EXPECT_MEMEQ(test, status, again, sizeof(again));
	KUNIT_EXPECT_EQ(test, fake_state(f, 4), VMQ_QUEUE_PAUSED);
}

/* Queue 0 is there, runs, and is nobody's to allocate or free. */
static void vmq_queue_test_default(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_EXPECT_EQ(test, fake_state(f, 0), VMQ_QUEUE_RUNNING);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 0), -EPERM);
	KUNIT_EXPECT_EQ(test, fake_free(f, 0), -EPERM);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 0), -EINVAL);
	fake_expect_unchanged(test, f);

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_free(f, 0), -EPERM);
	fake_expect_unchanged(test, f);
}

static void vmq_queue_test_refusals(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), -ENOENT);
	fake_expect_unchanged(test, f);

	fake_allocate(f, ADMIN, 1);
	fake_add(f, ADMIN, 1, 0x11, 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), -EBUSY);
	fake_expect_unchanged(test, f);

	fake_commit(f, ADMIN, 1);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), -EBUSY);
	fake_expect_unchanged(test, f);
}

/* The administrator and the vswitch keep off each other's queues. */
static void vmq_queue_test_owner(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 2), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 0), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_commit(f, VSWITCH, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, fake_add(f, VSWITCH, 2, 0x11, 0), -EADDRINUSE);
	fake_expect_unchanged(test, f);
}

/* Lowest first, all of them, then -ENOSPC; a freed one is next. */
static void vmq_queue_test_allocate(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 2), 0);
	for (id = 1; id < f->caps.pools; id++)
		if (id != 2)
			KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), id);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), -ENOSPC);
	fake_expect_unchanged(test, f);
	fake_release(f, 5);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), 5);
}

/* No memory or no interrupt: the queue is as it was, and may try again. */
static void vmq_queue_test_commit_fails(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	fake_add(f, ADMIN, 1, 0x11, 0);
	f->queues[1].alloc_err = -ENOMEM;
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -ENOMEM);
	fake_expect_unchanged(test, f);

	f->queues[1].alloc_err = 0;
	f->queues[1].start_err = -ENOSPC;
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -ENOSPC);
	fake_expect_unchanged(test, f);

	f->queues[1].start_err = 0;
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
}

/* One queue that cannot start takes the others back down. */
static void vmq_queue_test_open_fails(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	for (id = 1; id < 5; id++) {
		fake_allocate(f, ADMIN, id);
		fake_add(f, ADMIN, id, id, 0);
		fake_commit(f, ADMIN, id);
	}
	fake_remember(f);
	f->queues[3].start_err = -EIO;
	KUNIT_EXPECT_EQ(test, fake_open(f), -EIO);
	f->queues[3].start_err = 0;
	f->queues[4].alloc_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, fake_open(f), -ENOMEM);
	fake_expect_unchanged(test, f);

	f->queues[4].alloc_err = 0;
	KUNIT_EXPECT_EQ(test, fake_open(f), 0);
	for (id = 0; id < 5; id++)
		KUNIT_EXPECT_TRUE(test, f->queues[id].started);
}

/* Commit while the uplink is down: rings come with the next open. */
static void vmq_queue_test_commit_down(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	fake_allocate(f, ADMIN, 1);
	fake_add(f, ADMIN, 1, 0x11, 0);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "alloc 0, start 0, alloc 1, start 1, write 11 0x2");
}

/* A reset empties the NIC; the shadow fills it again, the same way. */
static void vmq_queue_test_replay(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id, addr = 1;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id < 6; id++) {
		fake_allocate(f, ADMIN, id);
		KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, id, addr++, 0), 0);
		KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, id, addr++, id), 0);
		if (id != 4)
			fake_commit(f, ADMIN, id);
	}
	fake_log_clear(f);
	fake_remember(f);
	fake_close(f);
	KUNIT_EXPECT_EQ(test, f->mac_writes, 0);
	for (id = 0; id < f->caps.pools; id++)
		KUNIT_EXPECT_FALSE(test, f->queues[id].rings);
	KUNIT_EXPECT_EQ(test, fake_open(f), 0);
	fake_log_clear(f);
	fake_expect_unchanged(test, f);
}

/* Readers hold frames: freeing, no new owner, then undefined again. */
static void vmq_queue_test_freeing(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	fake_commit(f, ADMIN, 1);
	f->queues[1].held = 2;
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_FREEING);
	KUNIT_EXPECT_FALSE(test, f->queues[1].started);

	fake_wait_freeing(f);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_FREEING);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, 0x11, 0), -EINVAL);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), 2);

	f->queues[1].held = 0;
	fake_wait_freeing(f);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_UNDEFINED);
	KUNIT_EXPECT_FALSE(test, f->queues[1].rings);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
}

/* Several are being freed, and come back one by one, without being asked. */
static void vmq_queue_test_freeing_poll(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int i;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id < 4; id++) {
		fake_allocate(f, ADMIN, id);
		fake_commit(f, ADMIN, id);
		f->queues[id].held = 1;
		fake_free(f, id);
	}
	for (id = 3; id > 0; id--) {
		WRITE_ONCE(f->queues[id].held, 0);
		for (i = 0; i < 500 && fake_state(f, id); i++)
			msleep(20);
		KUNIT_EXPECT_EQ(test, fake_state(f, id), VMQ_QUEUE_UNDEFINED);
		if (id > 1)
			KUNIT_EXPECT_EQ(test, fake_state(f, id - 1),
					VMQ_QUEUE_FREEING);
	}
}

/* Down and up does not take the memory that readers still look at. */
static void vmq_queue_test_freeing_close(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_allocate(f, ADMIN, 1);
	fake_commit(f, ADMIN, 1);
	f->queues[1].held = 1;
	fake_free(f, 1);
	fake_close(f);
	KUNIT_EXPECT_TRUE(test, f->queues[1].rings);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_FREEING);
	KUNIT_EXPECT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_FREEING);
	/* fake_test_exit(): the end of the device does not wait for them. */
}

/* A queue that never had rings is gone at once. */
static void vmq_queue_test_free_down(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	fake_allocate(f, ADMIN, 1);
	f->queues[1].held = 1;
	KUNIT_EXPECT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_UNDEFINED);
	KUNIT_EXPECT_STREQ(test, f->log, "");
}

/* The vswitch gives back whatever it has: parked, stopped, undefined. */
static void vmq_queue_test_release(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_filter *flt;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, VSWITCH, 0x11), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, VSWITCH, 1, 0x12, 5), 2);
	fake_log_clear(f);
	fake_release(f, 1);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 0, write 11 0x0, write 12 0x0, drain 1, release 0, stop 1, free 1");
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_UNDEFINED);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(f->dev.queues[1].consumer));
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 2);
	mutex_lock(&f->dev.lock);
	flt = vmq_filter_by_id(&f->dev, 2);
	mutex_unlock(&f->dev.lock);
	KUNIT_ASSERT_NOT_NULL(test, flt);
	KUNIT_EXPECT_EQ(test, flt->queue, 0);

	/* Allocated, set and paused ones go as well. */
	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	fake_release(f, 1);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	KUNIT_EXPECT_GT(test, fake_add(f, VSWITCH, 1, 0x13, 0), 0);
	fake_release(f, 1);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	fake_commit(f, VSWITCH, 1);
	fake_release(f, 1);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_UNDEFINED);
}

static struct kunit_case vmq_queue_test_cases[] = {
	KUNIT_CASE(vmq_queue_test_life),
	KUNIT_CASE(vmq_queue_test_order),
	KUNIT_CASE(vmq_queue_test_commit_set),
	KUNIT_CASE(vmq_queue_test_commit_several),
	KUNIT_CASE(vmq_queue_test_default),
	KUNIT_CASE(vmq_queue_test_refusals),
	KUNIT_CASE(vmq_queue_test_owner),
	KUNIT_CASE(vmq_queue_test_allocate),
	KUNIT_CASE(vmq_queue_test_commit_fails),
	KUNIT_CASE(vmq_queue_test_open_fails),
	KUNIT_CASE(vmq_queue_test_commit_down),
	KUNIT_CASE(vmq_queue_test_replay),
	KUNIT_CASE(vmq_queue_test_freeing),
	KUNIT_CASE(vmq_queue_test_freeing_poll),
	KUNIT_CASE(vmq_queue_test_freeing_close),
	KUNIT_CASE(vmq_queue_test_free_down),
	KUNIT_CASE(vmq_queue_test_release),
	{}
};

static struct kunit_suite vmq_queue_test_suite = {
	.name		= "vmq_queue",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_queue_test_cases,
};

kunit_test_suite(vmq_queue_test_suite);
