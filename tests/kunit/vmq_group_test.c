// SPDX-License-Identifier: GPL-2.0-only
/* Groups that a queue claims: it gets their frames, and so does queue 0. */
#include "fake.h"

#define A	0x11
#define B	0x12
#define G	0x81
#define H	0x82

static struct fake_nic *vmq_group_test_start(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id <= 2; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		fake_consume(f, id);
		KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, id), 0);
	}
	return f;
}

/* Who gets a copy of group @addr from the NIC; 0: nobody. */
static u16 vmq_group_test_consumer(struct fake_nic *f, u8 addr, u16 vlan)
{
	struct vmq_consumer *c;
	struct vmq_match m;
	u16 id;

	fake_match(&m, addr, vlan);
	rcu_read_lock();
	c = vmq_group_consumer_rcu(&f->dev, &m);
	id = c ? container_of(c, struct fake_queue, consumer)->id : 0;
	rcu_read_unlock();
	return id;
}

static bool vmq_group_test_claimed(struct fake_nic *f, u8 addr, u16 vlan)
{
	struct vmq_match m;
	bool claimed;

	fake_match(&m, addr, vlan);
	rcu_read_lock();
	claimed = vmq_match_is_claimed_rcu(&f->dev, &m);
	rcu_read_unlock();
	return claimed;
}

static void vmq_group_test_claim(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);
	struct vmq_match m;
	int fid;

	fake_match(&m, G, 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	fake_log_clear(f);
	fid = fake_add(f, ADMIN, 1, G, 0);
	KUNIT_ASSERT_GT(test, fid, 0);
	KUNIT_EXPECT_STREQ(test, f->log,
			   "hold 1, write 81 0x3, drain 0, release 1");
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0) | BIT(1));
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 1);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 7), 0);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, H, 0), 0);
	KUNIT_EXPECT_TRUE(test, vmq_group_test_claimed(f, G, 0));
	KUNIT_EXPECT_FALSE(test, vmq_group_test_claimed(f, G, 7));
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, fid), 0);
	KUNIT_EXPECT_FALSE(test, vmq_group_test_claimed(f, G, 0));
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 0);
	KUNIT_EXPECT_EQ(test, f->dev.nr_group_filters, 0);
}

static void vmq_group_test_refused(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, G, 7), 0);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, G, VMQ_VLAN_ANY),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, G, 7), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, G, 8), -EBUSY);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "the group 01:00:5e:00:17:81 is claimed by another queue");
	fake_expect_unchanged(test, f);
	/* One claimant may have the group in several VLANs. */
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, G, 8), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 2, H, 8), 0);
	KUNIT_EXPECT_FALSE(test, f->vlan_filtering);
}

/* Frames of another VLAN of the group are dropped: queue 0 has them, too. */
static void vmq_group_test_mismatch(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);
	struct fake_stream *seven = fake_stream_add(f, G, 7);
	struct fake_stream *eight = fake_stream_add(f, G, 8);
	struct vmq_queue *q = &f->dev.queues[1];

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, G, 7), 0);
	KUNIT_EXPECT_FALSE(test, q->exact);
	fake_stream_claim(seven, 1);
	fake_send(f, 0);
	fake_send(f, 1);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ(test, seven->received, 1);
	KUNIT_EXPECT_EQ(test, seven->claimed[1], 1);
	KUNIT_EXPECT_EQ(test, eight->received, 1);
	KUNIT_EXPECT_EQ(test, eight->claimed[1], 0);
	KUNIT_EXPECT_EQ(test, u64_stats_read(&q->rx.mismatch), 1);
	/* With VLAN filtering the NIC sees to it; VLAN 8 has no slot then. */
	f->silicon = true;
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	KUNIT_EXPECT_TRUE(test, q->exact);
	KUNIT_EXPECT_EQ(test, fake_route(f, &seven->m, false), BIT(0) | BIT(1));
	KUNIT_EXPECT_EQ(test, fake_route(f, &eight->m, false), BIT(0));
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 7), 1);
}

/* Only a queue whose ring gets frames has a copy from the NIC. */
static void vmq_group_test_steered(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);

	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	fake_consume(f, 3);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 3, G, 0), 0);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 3), 0);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 3);
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 3);
	f->queues[3].resize_err = -EIO;
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 3, 64), -EIO);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, G, 0), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 0, H, 0), 0);
	KUNIT_EXPECT_EQ(test, vmq_group_test_consumer(f, H, 0), 0);
}

static void vmq_group_test_round(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int group, split;

	fake_stream_claim(&f->streams[0], 1);
	group = fake_add(f, ADMIN, 1, G, 7);
	KUNIT_ASSERT_GT(test, group, 0);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 1024), 0);
	/* One address on two queues: VLAN filtering comes on, and goes. */
	split = fake_add(f, ADMIN, 2, A, 9);
	KUNIT_ASSERT_GT(test, split, 0);
	KUNIT_EXPECT_TRUE(test, f->vlan_filtering);
	KUNIT_EXPECT_EQ(test, fake_buffers(f, 1, 64), 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, split), 0);
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, group), 0);
}

/* The ring of the claimant is polled at once, that of queue 0 is behind. */
static void vmq_group_test_second_vlan(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);
	struct fake_stream *twenty = fake_stream_add(f, G, 20);
	int fid;

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, G, 0), 0);
	fake_stream_claim(twenty, 1);
	fake_send(f, 0);
	fake_poll_queue(f, 1);
	fid = fake_add(f, ADMIN, 1, G, 20);
	KUNIT_ASSERT_GT(test, fid, 0);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ(test, twenty->claimed[1], 1);

	fake_send(f, 0);
	fake_poll_queue(f, 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, fid), 0);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ(test, twenty->claimed[1], 2);
	KUNIT_EXPECT_EQ(test, twenty->received, 2);
}

/* Both are in the group: who does not claim it has the switch's copies. */
static void vmq_group_test_handed_over(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);
	struct fake_stream *s = fake_stream_add(f, G, 0);
	u32 fid;
	u16 id;

	for (id = 3; id <= 4; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, VSWITCH, id), id);
		fake_consume(f, id);
		KUNIT_ASSERT_EQ(test, fake_commit(f, VSWITCH, id), 0);
		s->members |= BIT_ULL(id);
		s->may_copy |= BIT_ULL(id);
	}
	fid = fake_add(f, VSWITCH, 3, G, 0);
	f->traffic = true;
	for (id = 0; id < 20 && !f->broken[0]; id++)
		KUNIT_ASSERT_EQ(test, fake_move(f, &fid, 1, id & 1 ? 3 : 4), 0);
	fake_expect_sound(test, f);
	KUNIT_EXPECT_EQ(test, s->claimed[3], s->sent);
	KUNIT_EXPECT_EQ(test, s->claimed[4], s->sent);
	KUNIT_EXPECT_GE(test, s->sent, 100);
}

/* Queue 0 has each frame once and in order, the claimant none too few. */
static void vmq_group_test_streams(struct kunit *test)
{
	struct fake_nic *f = vmq_group_test_start(test);
	unsigned int round;

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 0), 0);
	fake_stream_add(f, G, 7);
	fake_stream_add(f, A, 0);
	fake_stream_add(f, A, 9);
	f->traffic = true;
	for (round = 0; round < 20 && !f->broken[0]; round++)
		vmq_group_test_round(test);
	fake_expect_sound(test, f);
	KUNIT_EXPECT_EQ(test, f->streams[0].claimed[1], f->streams[0].sent);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 100);
	kunit_info(test, "%u of %u frames twice\n", f->streams[0].doubled,
		   f->streams[0].sent);
}

static struct kunit_case vmq_group_test_cases[] = {
	KUNIT_CASE(vmq_group_test_claim),
	KUNIT_CASE(vmq_group_test_refused),
	KUNIT_CASE(vmq_group_test_mismatch),
	KUNIT_CASE(vmq_group_test_steered),
	KUNIT_CASE(vmq_group_test_second_vlan),
	KUNIT_CASE(vmq_group_test_handed_over),
	KUNIT_CASE(vmq_group_test_streams),
	{}
};

static struct kunit_suite vmq_group_test_suite = {
	.name		= "vmq_group",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_group_test_cases,
};

kunit_test_suite(vmq_group_test_suite);
