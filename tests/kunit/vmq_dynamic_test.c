// SPDX-License-Identifier: GPL-2.0-only
/* Dynamic placement on a NIC in memory: polls that took long move queues. */
#include "fake.h"

#define DYNAMIC_ROUND	(200ULL * NSEC_PER_MSEC)
#define DYNAMIC_QUEUES	3
#define DYNAMIC_PINNED	4
/* Rounds in which it has to happen. */
#define DYNAMIC_SPREAD	5
#define DYNAMIC_GATHER	50

static int dynamic_set(struct fake_nic *f, bool dynamic)
{
	int err;

	mutex_lock(&f->dev.lock);
	err = vmq_dynamic_set_locked(&f->dev, dynamic, NULL);
	mutex_unlock(&f->dev.lock);
	return err;
}

/* One round in which each of queues 1 to 3 took so many permille of a CPU. */
static void dynamic_round(struct fake_nic *f, unsigned int load)
{
	u16 id;

	mutex_lock(&f->dev.lock);
	for (id = 1; id <= DYNAMIC_QUEUES; id++)
		f->dev.queues[id].busy += load * (DYNAMIC_ROUND / 1000);
	vmq_dynamic_round(&f->dev, DYNAMIC_ROUND);
	mutex_unlock(&f->dev.lock);
}

static unsigned int dynamic_seat(const struct fake_nic *f, u16 id)
{
	return f->dev.queues[id].vector->seat;
}

/* How many CPUs queues 1 to 3 are on. */
static unsigned int dynamic_cpus(const struct fake_nic *f)
{
	unsigned int nr = 0;
	u16 id, other;

	for (id = 1; id <= DYNAMIC_QUEUES; id++) {
		for (other = 1; other < id; other++)
			if (dynamic_seat(f, other) == dynamic_seat(f, id))
				break;
		nr += other == id;
	}
	return nr;
}

static struct fake_nic *dynamic_start(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	u16 id;

	if (num_online_cpus() < 4)
		kunit_skip(test, "this kernel has less than four CPUs");
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, dynamic_set(f, true), 0);
	/* The rounds are ours. */
	cancel_delayed_work_sync(&f->dev.balance);
	for (id = 1; id <= DYNAMIC_PINNED; id++) {
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, id), 0);
	}
	return f;
}

static void dynamic_pin(struct fake_nic *f, u16 id, unsigned int cpu)
{
	mutex_lock(&f->dev.lock);
	vmq_placement_set(f->dev.queues[id].vector, cpu, VMQ_MOVE_ADMIN);
	f->dev.queues[id].vector->cpu_auto = false;
	mutex_unlock(&f->dev.lock);
}

/* New queues are at home and share its interrupt; load spreads them, quiet gathers. */
static void vmq_dynamic_test_spread_and_gather(struct kunit *test)
{
	struct fake_nic *f = dynamic_start(test);
	unsigned int round, home = dynamic_seat(f, 1);
	u16 id;

	KUNIT_EXPECT_EQ(test, dynamic_cpus(f), 1);
	KUNIT_EXPECT_NE(test, home, 0);
	KUNIT_EXPECT_PTR_EQ(test, f->dev.queues[3].line,
			    f->dev.queues[1].line);
	dynamic_pin(f, DYNAMIC_PINNED, home);

	for (round = 0; round < DYNAMIC_SPREAD; round++)
		dynamic_round(f, 300);
	KUNIT_EXPECT_EQ(test, dynamic_cpus(f), DYNAMIC_QUEUES);
	KUNIT_EXPECT_EQ(test, dynamic_seat(f, DYNAMIC_PINNED), home);
	KUNIT_EXPECT_EQ(test, f->dev.queues[1].cpu_load, 300);
	for (id = 1; id <= DYNAMIC_QUEUES; id++)
		if (dynamic_seat(f, id) != home)
			KUNIT_EXPECT_PTR_EQ(test, f->dev.queues[id].line,
					    f->dev.queues[id].vector);

	for (round = 0; round < DYNAMIC_GATHER; round++)
		dynamic_round(f, 1);
	KUNIT_EXPECT_EQ(test, dynamic_cpus(f), 1);
	KUNIT_EXPECT_EQ(test, dynamic_seat(f, 1), home);
	KUNIT_EXPECT_EQ(test, f->dev.queues[DYNAMIC_PINNED].vector->cpu_moves, 0);
	fake_expect_sound(test, f);
}

/* Where a user has a say in it, load has none. */
static void vmq_dynamic_test_hint_stays(struct kunit *test)
{
	struct fake_nic *f = dynamic_start(test);
	unsigned int round, home = dynamic_seat(f, 1);
	u16 id;

	mutex_lock(&f->dev.lock);
	for (id = 1; id <= DYNAMIC_QUEUES; id++)
		vmq_placement_set_policy(f->dev.queues[id].vector,
					 VMQ_CPU_HINT);
	mutex_unlock(&f->dev.lock);
	for (round = 0; round < DYNAMIC_SPREAD; round++)
		dynamic_round(f, 300);
	for (id = 1; id <= DYNAMIC_QUEUES; id++)
		KUNIT_EXPECT_EQ(test, dynamic_seat(f, id), home);
}

/* Static again: as if allocated now; and nothing is measured any more. */
static void vmq_dynamic_test_static_again(struct kunit *test)
{
	struct fake_nic *f = dynamic_start(test);

	KUNIT_EXPECT_TRUE(test, f->dev.measure);
	KUNIT_EXPECT_NE(test, vmq_queue_poll_begin(&f->dev.queues[1]), 0);
	KUNIT_ASSERT_EQ(test, dynamic_set(f, false), 0);
	KUNIT_EXPECT_EQ(test, dynamic_cpus(f), DYNAMIC_QUEUES);
	KUNIT_EXPECT_PTR_EQ(test, f->dev.queues[3].line,
			    f->dev.queues[3].vector);
	KUNIT_EXPECT_EQ(test, vmq_queue_poll_begin(&f->dev.queues[1]), 0);
	fake_expect_sound(test, f);
}

/* A home that goes offline is another one, and who was there goes along. */
static void vmq_dynamic_test_home_leaves(struct kunit *test)
{
	struct fake_nic *f = dynamic_start(test);
	unsigned int home = dynamic_seat(f, 1);
	struct cpumask *others;

	others = kunit_kzalloc(test, cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, others);
	cpumask_copy(others, cpu_online_mask);
	cpumask_clear_cpu(home, others);
	KUNIT_ASSERT_EQ(test, fake_cpus(f, others), 0);
	KUNIT_EXPECT_EQ(test, dynamic_cpus(f), 1);
	KUNIT_EXPECT_NE(test, dynamic_seat(f, 1), home);
	dynamic_round(f, 0);
	KUNIT_EXPECT_PTR_EQ(test, f->dev.queues[3].line,
			    f->dev.queues[1].line);
	fake_expect_sound(test, f);
}

/* The poll's time is added up, and only while somebody wants to know. */
static void vmq_dynamic_test_poll_is_timed(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q = &f->dev.queues[0];

	vmq_queue_poll_end(q, vmq_queue_poll_begin(q));
	KUNIT_EXPECT_EQ(test, q->busy, 0);
	WRITE_ONCE(f->dev.measure, true);
	vmq_queue_poll_end(q, local_clock() - 5000);
	KUNIT_EXPECT_GE(test, q->busy, 5000);
	WRITE_ONCE(f->dev.measure, false);
}

/* A NIC with the default queue alone has nothing to place by load. */
static void vmq_dynamic_test_no_vmq(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	f->caps.pools = 1;
	f->caps.no_vmq = "test";
	KUNIT_EXPECT_EQ(test, dynamic_set(f, true), -EOPNOTSUPP);
	KUNIT_EXPECT_FALSE(test, f->dev.measure);
	f->caps.pools = fake_caps.pools;
}

static struct kunit_case vmq_dynamic_cases[] = {
	KUNIT_CASE(vmq_dynamic_test_spread_and_gather),
	KUNIT_CASE(vmq_dynamic_test_hint_stays),
	KUNIT_CASE(vmq_dynamic_test_static_again),
	KUNIT_CASE(vmq_dynamic_test_home_leaves),
	KUNIT_CASE(vmq_dynamic_test_poll_is_timed),
	KUNIT_CASE(vmq_dynamic_test_no_vmq),
	{}
};

static struct kunit_suite vmq_dynamic_suite = {
	.name = "vmq_dynamic",
	.init = fake_test_init,
	.exit = fake_test_exit,
	.test_cases = vmq_dynamic_cases,
};

kunit_test_suite(vmq_dynamic_suite);
