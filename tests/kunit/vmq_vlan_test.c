// SPDX-License-Identifier: GPL-2.0-only
/*
 * VLAN filtering: one address on two queues, told apart by the NIC; when that
 * is on, what it needs, and what does not fit.
 */
#include "fake.h"

#define A	0x11
#define B	0x12

static void vmq_vlan_test_expect_on(struct kunit *test, struct fake_nic *f,
				    struct fake_stream *s, u16 queue)
{
	fake_send(f, s - f->streams);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ_MSG(test, s->last, queue, "%pM vlan %u%s", s->m.addr,
			    s->m.vlan, s->priority ? ", priority" : "");
}

/* Queues 1 and 2 are committed, the uplink is up. */
static struct fake_nic *vmq_vlan_test_start(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id <= 2; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		fake_consume(f, id);
		KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, id), 0);
	}
	fake_log_clear(f);
	return f;
}

static u64 vmq_vlan_test_checked(struct fake_nic *f, u16 id)
{
	return u64_stats_read(&f->dev.queues[id].rx.checked);
}

/* On while it is needed, and exact: no frame is compared in software. */
static void vmq_vlan_test_split(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *ten = fake_stream_add(f, A, 10);
	struct fake_stream *twenty = fake_stream_add(f, A, 20);
	struct fake_stream *plain = fake_stream_add(f, A, 0);
	struct fake_stream *other = fake_stream_add(f, A, 30);
	int second;

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 10), 0);
	KUNIT_EXPECT_FALSE(test, f->vlan_filtering);
	KUNIT_EXPECT_FALSE(test, f->dev.queues[1].exact);
	second = fake_add(f, ADMIN, 2, A, 20);
	KUNIT_ASSERT_GT(test, second, 0);
	KUNIT_EXPECT_TRUE(test, f->vlan_filtering);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[1].exact);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[2].exact);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 30);
	vmq_vlan_test_expect_on(test, f, ten, 1);
	vmq_vlan_test_expect_on(test, f, twenty, 2);
	vmq_vlan_test_expect_on(test, f, plain, 0);
	vmq_vlan_test_expect_on(test, f, other, 0);
	KUNIT_EXPECT_EQ(test, vmq_vlan_test_checked(f, 1), 0);
	KUNIT_EXPECT_EQ(test, vmq_vlan_test_checked(f, 2), 0);

	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, second), 0);
	KUNIT_EXPECT_FALSE(test, f->vlan_filtering);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 32);
	vmq_vlan_test_expect_on(test, f, ten, 1);
	vmq_vlan_test_expect_on(test, f, twenty, 0);
	KUNIT_EXPECT_EQ(test, vmq_vlan_test_checked(f, 1), 2);
}

/* The only filter of an exact queue has its frames as hits. */
static void vmq_vlan_test_hits(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *ten = fake_stream_add(f, A, 10);
	struct vmq_filter *flt;

	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, A, 10), 1);
	vmq_vlan_test_expect_on(test, f, ten, 1);
	vmq_vlan_test_expect_on(test, f, ten, 1);
	mutex_lock(&f->dev.lock);
	flt = vmq_filter_by_id(&f->dev, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&flt->hits), 2);
	mutex_unlock(&f->dev.lock);
	KUNIT_EXPECT_EQ(test, vmq_vlan_test_checked(f, 1), 0);

	/* A second one: nobody looks which of them it is. */
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, A, 20), 2);
	vmq_vlan_test_expect_on(test, f, ten, 1);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(f->dev.queues[1].sole));
}

/* Priority tags are untagged frames, and take the slot of VLAN 0. */
static void vmq_vlan_test_priority(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *plain = fake_stream_add(f, A, 0);
	struct fake_stream *tagged = fake_stream_add(f, A, 0);

	tagged->priority = true;
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 0), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, A, 20), 0);
	KUNIT_EXPECT_TRUE(test, f->vlan_filtering);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 30);
	vmq_vlan_test_expect_on(test, f, plain, 1);
	vmq_vlan_test_expect_on(test, f, tagged, 1);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[1].exact);
}

/* Software's filters of one VLAN share its slot, from the first to the last. */
static void vmq_vlan_test_software(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	unsigned int free;
	int first, last;

	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	free = f->dev.vlan_slots_free;
	first = fake_add(f, ADMIN, 0, A, 30);
	KUNIT_ASSERT_GT(test, first, 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, free - 1);
	last = fake_add(f, ADMIN, 0, B, 30);
	KUNIT_ASSERT_GT(test, last, 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, free - 1);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, first), 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, free - 1);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, last), 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, free);
}

/* A VLAN by name beats any VLAN of another queue. */
static void vmq_vlan_test_any(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *ten = fake_stream_add(f, A, 10);
	struct fake_stream *twenty = fake_stream_add(f, A, 20);
	struct fake_stream *plain = fake_stream_add(f, A, 0);

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, VMQ_VLAN_ANY), 0);
	vmq_vlan_test_expect_on(test, f, twenty, 1);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, A, 20), 0);
	vmq_vlan_test_expect_on(test, f, twenty, 2);
	vmq_vlan_test_expect_on(test, f, plain, 1);
	/* It has no slot, so the NIC knows nobody for it. */
	vmq_vlan_test_expect_on(test, f, ten, 0);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[2].exact);
	/* Now it goes to a queue, and that is not its own: software sees to it. */
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, B, 10), 0);
	vmq_vlan_test_expect_on(test, f, ten, 0);
	KUNIT_EXPECT_FALSE(test, f->dev.queues[2].exact);
	KUNIT_EXPECT_GT(test, vmq_vlan_test_checked(f, 2), 0);
}

/* What would reach two queues is refused, in words. */
static void vmq_vlan_test_ambiguous(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 10), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, A, 20), 0);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, B, 20), -EBUSY);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "frames to 52:54:00:00:17:11 of VLAN 20 would go to two queues");
	KUNIT_EXPECT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_OFF),
			-EOPNOTSUPP);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "52:54:00:00:17:11 is on another queue, and vlan_filtering is off");
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 2, B, 20), 0);
}

/* Each VLAN slot can be used, and not one more. */
static void vmq_vlan_test_slots(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	u16 vid;

	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	for (vid = 1; vid <= f->caps.vlan_slots; vid++)
		KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, vid), 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 0);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 1, A, vid), -ENOSPC);
	KUNIT_EXPECT_STREQ(test, f->why, "VLAN filter slots full");
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, B, vid), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, A, vid), 0);
	/* Without VLAN filtering there is no such limit. */
	KUNIT_EXPECT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_AUTO), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, A, vid + 1), 0);
}

/* One VLAN too many to turn it on: refused with its name, unless told to. */
static void vmq_vlan_test_lacking(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *last = fake_stream_add(f, A, 33);
	u16 vid;

	for (vid = 1; vid <= 32; vid++)
		KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, vid), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 0, B, 33), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, B, 2), 0);
	fake_log_clear(f);
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, B, 1), -EBUSY);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "VLAN filtering would be on, and VLAN 33 has no slot");
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, A, 33), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_STREQ(test, f->log, "");

	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 1, A, 33), 0);
	vmq_vlan_test_expect_on(test, f, last, 1);
	KUNIT_EXPECT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	vmq_vlan_test_expect_on(test, f, last, 0);
	KUNIT_EXPECT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_AUTO), 0);
	vmq_vlan_test_expect_on(test, f, last, 1);
}

/* Fewer VLAN slots, and queue 3 is committed, too. */
static struct fake_nic *vmq_vlan_test_start_small(struct kunit *test)
{
	struct vmq_hw_caps caps = fake_caps;
	struct fake_nic *f;

	fake_test_exit(test);
	caps.vlan_slots = 3;
	fake_create(test, &caps);
	f = vmq_vlan_test_start(test);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	fake_consume(f, 3);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 3), 0);
	return f;
}

/* What two queues would get counts also in a VLAN that has no slot yet. */
static void vmq_vlan_test_late_slot(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start_small(test);
	struct fake_stream *eight = fake_stream_add(f, A, 8);
	u16 vid;

	for (vid = 5; vid <= 7; vid++)
		KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 3, 0x13, vid),
				vid - 4);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 8), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, B, 8), 0);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	vmq_vlan_test_expect_on(test, f, eight, 0);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, A, 5), -EBUSY);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "frames to 52:54:00:00:17:11 of VLAN 8 would go to two queues");

	/* A slot that becomes free is for the VLAN that waits. */
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 2), 0);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 0);
	vmq_vlan_test_expect_on(test, f, eight, 1);
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 3, 0x13, 9), -ENOSPC);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_GT(test, fake_add(f, ADMIN, 3, 0x13, 9), 0);
}

/*
 * The queue becomes exact while its ring holds what it does not claim: the
 * frames that stayed behind are compared all the same.
 */
static void vmq_vlan_test_no_drain(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	struct fake_stream *other = fake_stream_add(f, A, 6);

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 5), 0);
	fake_send(f, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].nr, 1);
	f->queues[1].drain_err = -ETIMEDOUT;
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].nr, 1);
	KUNIT_EXPECT_TRUE(test, f->dev.queues[1].exact);
	fake_poll_all(f);
	KUNIT_EXPECT_EQ(test, other->last, 0);
	KUNIT_EXPECT_EQ(test, vmq_vlan_test_checked(f, 1), 1);

	/* The next time that it runs dry is the end of that. */
	f->queues[1].drain_err = 0;
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, B, 0), 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, 2), 0);
	KUNIT_EXPECT_FALSE(test, f->dev.queues[1].check);
}

/* Whoever was refused, because the NIC could not, asks again. */
static void vmq_vlan_test_told(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);

	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_OFF), 0);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, A, 20), 1);
	KUNIT_ASSERT_EQ(test, fake_add(f, ADMIN, 1, A, 21), 2);
	f->freed[VMQ_FREED_FILTER] = 0;
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 2, A, 0), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 0);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_AUTO), 0);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 1);
	/* Also by a filter whose address stays. */
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->freed[VMQ_FREED_FILTER], 2);
}

static void vmq_vlan_test_host(struct fake_nic *f, u16 vid, bool add)
{
	rtnl_lock();
	if (add)
		vmq_dev_vid_add(&f->dev, vid);
	else
		vmq_dev_vid_del(&f->dev, vid);
	rtnl_unlock();
}

/* VLANs of the host have a slot, so that it gets their broadcasts. */
static void vmq_vlan_test_host_vids(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);

	vmq_vlan_test_host(f, 7, true);
	KUNIT_EXPECT_STREQ(test, f->log, "");
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	KUNIT_EXPECT_STREQ(test, f->log, "vlan 7 0x1, vlans on");
	fake_log_clear(f);
	vmq_vlan_test_host(f, 8, true);
	KUNIT_EXPECT_STREQ(test, f->log, "vlan 8 0x1");
	fake_log_clear(f);
	vmq_vlan_test_host(f, 7, false);
	KUNIT_EXPECT_STREQ(test, f->log, "vlan 7 0x0");
	vmq_vlan_test_host(f, 8, false);
	KUNIT_EXPECT_EQ(test, f->dev.vlan_slots_free, 32);
}

/* Down and up, which is a reset: the NIC has what it had. */
static void vmq_vlan_test_replay(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);

	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 1, A, 0), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, A, 20), 0);
	KUNIT_ASSERT_GT(test, fake_add(f, ADMIN, 2, B, VMQ_VLAN_ANY), 0);
	vmq_vlan_test_host(f, 7, true);
	f->mac_writes = 0;
	fake_remember(f);
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	f->mac_writes = 0;
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_TRUE(test, f->vlan_filtering);
}

/* With frames of each VLAN coming in, whatever is on and off. */
static void vmq_vlan_test_stream_round(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int ten, twenty, any;

	ten = fake_add(f, ADMIN, 1, A, 10);
	KUNIT_ASSERT_GT(test, ten, 0);
	twenty = fake_add(f, ADMIN, 2, A, 20);
	KUNIT_ASSERT_GT(test, twenty, 0);
	vmq_vlan_test_expect_on(test, f, &f->streams[0], 1);
	vmq_vlan_test_expect_on(test, f, &f->streams[1], 2);
	any = fake_add(f, ADMIN, 1, A, VMQ_VLAN_ANY);
	KUNIT_ASSERT_GT(test, any, 0);
	vmq_vlan_test_expect_on(test, f, &f->streams[2], 1);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, twenty), 0);
	vmq_vlan_test_expect_on(test, f, &f->streams[1], 1);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_ON), 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, any), 0);
	vmq_vlan_test_expect_on(test, f, &f->streams[2], 0);
	KUNIT_ASSERT_EQ(test, fake_vlan_mode(f, VMQ_VLAN_MODE_AUTO), 0);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, ten), 0);
}

static void vmq_vlan_test_streams(struct kunit *test)
{
	struct fake_nic *f = vmq_vlan_test_start(test);
	unsigned int round;

	fake_stream_add(f, A, 10);
	fake_stream_add(f, A, 20);
	fake_stream_add(f, A, 0);
	fake_stream_add(f, A, 0)->priority = true;
	fake_stream_add(f, A, 30);
	f->traffic = true;
	for (round = 0; round < 12 && !f->broken[0]; round++)
		vmq_vlan_test_stream_round(test);
	fake_expect_sound(test, f);
	KUNIT_EXPECT_GE(test, f->streams[0].sent, 100);
}

static struct kunit_case vmq_vlan_test_cases[] = {
	KUNIT_CASE(vmq_vlan_test_split),
	KUNIT_CASE(vmq_vlan_test_hits),
	KUNIT_CASE(vmq_vlan_test_priority),
	KUNIT_CASE(vmq_vlan_test_software),
	KUNIT_CASE(vmq_vlan_test_any),
	KUNIT_CASE(vmq_vlan_test_ambiguous),
	KUNIT_CASE(vmq_vlan_test_slots),
	KUNIT_CASE(vmq_vlan_test_lacking),
	KUNIT_CASE(vmq_vlan_test_late_slot),
	KUNIT_CASE(vmq_vlan_test_no_drain),
	KUNIT_CASE(vmq_vlan_test_told),
	KUNIT_CASE(vmq_vlan_test_host_vids),
	KUNIT_CASE(vmq_vlan_test_replay),
	KUNIT_CASE(vmq_vlan_test_streams),
	{}
};

static struct kunit_suite vmq_vlan_test_suite = {
	.name		= "vmq_vlan",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_vlan_test_cases,
};

kunit_test_suite(vmq_vlan_test_suite);
