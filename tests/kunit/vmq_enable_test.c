// SPDX-License-Identifier: GPL-2.0-only
/* VMQ off and on: what goes, what stays, what comes back. */
#include "fake.h"

/* Queue 2 runs, 3 is set, 4 allocated, 5 the vswitch's. */
static struct fake_nic *vmq_enable_test_start(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 2; id <= 4; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		fake_consume(f, id);
	}
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 2), 0);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 2, 0x12, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 2, 0x12, 7), 2);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 3, 0x13, 0), 3);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 0, 0x10, 0), 4);
	strscpy(f->dev.queues[2].vm_name, "db");
	strscpy(f->dev.queues[2].queue_name, "fast");
	return f;
}

static void vmq_enable_test_round_trip(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);
	u16 id;

	f->mac_writes = 0;
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_enable(f, true), 0);
	fake_expect_unchanged(test, f);

	KUNIT_EXPECT_EQ(test, fake_enable(f, false), 0);
	for (id = 1; id < f->caps.pools; id++)
		KUNIT_EXPECT_EQ(test, fake_state(f, id), VMQ_QUEUE_UNDEFINED);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 4);
	KUNIT_EXPECT_EQ(test, fake_enable(f, false), 0);

	KUNIT_EXPECT_EQ(test, fake_enable(f, true), 0);
	f->mac_writes = 0;
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->dev.queues[2].vm_name, "db");
	KUNIT_EXPECT_STREQ(test, f->dev.queues[2].queue_name, "fast");
}

static void vmq_enable_test_refuse(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);

	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "VMQ is disabled, write 1 to vmq/enabled");
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, 0x14, 0), -ENOENT);
	fake_expect_unchanged(test, f);
	rtnl_lock();
	KUNIT_EXPECT_FALSE(test, vmq_queue_available(&f->dev));
	rtnl_unlock();
}

/* A filter that goes while VMQ is off does not come back. */
static void vmq_enable_test_del(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);

	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x15, 0), 1);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, f->dev.queues[2].nr_filters, 1);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 2);
}

/* Readers hold frames of a queue: it comes back when they are done. */
static void vmq_enable_test_readers(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);

	WRITE_ONCE(f->queues[2].held, 3);
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_FREEING);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_FREEING);
	KUNIT_EXPECT_EQ(test, fake_state(f, 3), VMQ_QUEUE_SET);
	WRITE_ONCE(f->queues[2].held, 0);
	fake_wait_freeing(f);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_RUNNING);
	KUNIT_EXPECT_EQ(test, f->dev.queues[2].nr_filters, 2);
}

/* A port's queue has the CPU that it was given, if a port gets it again. */
static void vmq_enable_test_cpu(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);
	struct vmq_queue *q = &f->dev.queues[1];

	KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, 0), 1);
	q->vector->cpu_auto = false;
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_UNDEFINED);
	f->reclaim = true;
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_ALLOCATED);
	KUNIT_EXPECT_FALSE(test, q->vector->cpu_auto);

	/* Somebody else's later is chosen anew. */
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	f->reclaim = false;
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	KUNIT_EXPECT_TRUE(test, q->vector->cpu_auto);
}

/* No memory for the rings then: the filters stay, and so do their frames. */
static void vmq_enable_test_no_memory(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);

	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	f->queues[2].alloc_err = -ENOMEM;
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_SET);
	KUNIT_EXPECT_STREQ(test, f->dev.last_error,
			   "queue 2 cannot be started: no memory (-12)");
	f->queues[2].alloc_err = 0;
	KUNIT_EXPECT_EQ(test, fake_commit(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, fake_state(f, 2), VMQ_QUEUE_RUNNING);
}

/* Not one frame lost, doubled or out of order. */
static void vmq_enable_test_streams(struct kunit *test)
{
	struct fake_nic *f = vmq_enable_test_start(test);
	unsigned int round;

	fake_stream_add(f, 0x12, 0);
	fake_stream_add(f, 0x12, 7);
	fake_stream_add(f, 0x13, 0);
	fake_stream_add(f, 0x12, 8);
	f->traffic = true;
	for (round = 0; round < 20 && !f->broken[0]; round++) {
		KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
		fake_send(f, 0);
		fake_poll_all(f);
		KUNIT_EXPECT_EQ(test, f->streams[0].last, 0);
		KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
		fake_send(f, 0);
		fake_poll_all(f);
		KUNIT_EXPECT_EQ(test, f->streams[0].last, 2);
	}
	fake_expect_sound(test, f);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 100);
}

static struct kunit_case vmq_enable_test_cases[] = {
	KUNIT_CASE(vmq_enable_test_round_trip),
	KUNIT_CASE(vmq_enable_test_refuse),
	KUNIT_CASE(vmq_enable_test_del),
	KUNIT_CASE(vmq_enable_test_readers),
	KUNIT_CASE(vmq_enable_test_cpu),
	KUNIT_CASE(vmq_enable_test_no_memory),
	KUNIT_CASE(vmq_enable_test_streams),
	{}
};

static struct kunit_suite vmq_enable_test_suite = {
	.name		= "vmq_enable",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_enable_test_cases,
};

kunit_test_suite(vmq_enable_test_suite);
