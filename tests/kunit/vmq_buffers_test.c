// SPDX-License-Identifier: GPL-2.0-only
/* The size of a queue's receive ring, changed while frames come in. */
#include "fake.h"

#define A	0x11
#define B	0x12

static void vmq_buffers_test_fit(struct kunit *test)
{
	static const u32 wanted[][2] = {
		{ 1, 64 }, { 64, 64 }, { 65, 64 }, { 95, 64 }, { 96, 128 },
		{ 512, 512 }, { 767, 512 }, { 768, 1024 }, { 4095, 4096 },
		{ 4097, 4096 }, { U32_MAX, 4096 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		KUNIT_EXPECT_EQ_MSG(test, vmq_buffers_fit(&fake_caps,
							  wanted[i][0]),
				    wanted[i][1], "of %u", wanted[i][0]);
}

/* Frames use queue 0 meanwhile, and the ring is empty when it goes. */
static void vmq_buffers_test_running(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	id = fake_make_running(f, ADMIN, A);
	KUNIT_ASSERT_EQ(test, id, 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].buffers, 512);
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1000), 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 0, write 11 0x0, drain 1, release 0, drain 1, resize 1 to 1024, hold 1, write 11 0x2, drain 0, release 1");
	KUNIT_EXPECT_EQ(test, fake_state(f, 1), VMQ_QUEUE_RUNNING);
	/* The same again, and what comes to the same, is nothing to do. */
	fake_log_clear(f);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1100), 0);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].buffers, 512);
	KUNIT_EXPECT_EQ(test, f->queues[0].buffers, 512);
}

static void vmq_buffers_test_refused(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, A), 1);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 0, 1024), -EOPNOTSUPP);
	fake_expect_unchanged(test, f);

	f->mac_writes = 0;
	fake_remember(f);
	f->queues[1].resize_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1024), -ENOMEM);
	f->queues[1].resize_err = 0;
	f->queues[1].drain_err = -ETIMEDOUT;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1024), -EBUSY);
	f->queues[1].drain_err = 0;
	f->mac_writes = 0;
	fake_expect_unchanged(test, f);
}

/* A ring that is lost: its frames stay with queue 0 until it is started. */
static void vmq_buffers_test_dead(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, A), 1);
	fake_match(&m, A, 0);
	f->queues[1].resize_err = -EIO;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1024), -EIO);
	f->queues[1].resize_err = 0;
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, B, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	/* As long as no ring comes up nothing else makes it receive. */
	f->queues[1].resize_err = -ENOMEM;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 64), -EIO);
	f->queues[1].drain_err = -ETIMEDOUT;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 2048), -EIO);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	f->queues[1].resize_err = 0;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 512), 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(1));
	f->queues[1].drain_err = 0;

	f->queues[1].resize_err = -EIO;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1024), -EIO);
	f->queues[1].resize_err = 0;
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(1));
	KUNIT_EXPECT_EQ(test, f->queues[1].buffers, 512);
}

/* A queue without rings has the number when they come; a new one has none. */
static void vmq_buffers_test_before(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 2, 64), 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 2), 0);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->queues[2].buffers, 64);
	KUNIT_EXPECT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, f->queues[2].buffers, 64);
	KUNIT_ASSERT_EQ(test, fake_free(f, 2), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 2), 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, f->queues[2].buffers, 512);
}

/* Nothing is lost, doubled or reordered, with VLAN filtering on or off. */
static void vmq_buffers_test_streams(struct kunit *test)
{
	static const u32 sizes[] = { 64, 4096, 0, 1024 };
	struct fake_nic *f = test->priv;
	unsigned int round;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, A), 1);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 2), 0);
	fake_consume(f, 2);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 2), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, B, 7), 0);
	fake_stream_add(f, A, 0);
	fake_stream_add(f, B, 7);
	fake_stream_add(f, A, 7);
	f->traffic = true;
	for (round = 0; round < 40 && !f->broken[0]; round++) {
		if (round == 20)
			KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, A, 7), 0);
		KUNIT_EXPECT_EQ(test, fake_buffers(f, 1 + round % 2,
						   sizes[round % 4]), 0);
	}
	fake_expect_sound(test, f);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 100);
}

static struct kunit_case vmq_buffers_test_cases[] = {
	KUNIT_CASE(vmq_buffers_test_fit),
	KUNIT_CASE(vmq_buffers_test_running),
	KUNIT_CASE(vmq_buffers_test_refused),
	KUNIT_CASE(vmq_buffers_test_dead),
	KUNIT_CASE(vmq_buffers_test_before),
	KUNIT_CASE(vmq_buffers_test_streams),
	{}
};

static struct kunit_suite vmq_buffers_test_suite = {
	.name		= "vmq_buffers",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_buffers_test_cases,
};

kunit_test_suite(vmq_buffers_test_suite);
