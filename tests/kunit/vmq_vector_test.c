// SPDX-License-Identifier: GPL-2.0-only
/* Which interrupt a queue uses, and that frames do not mind when it changes. */
#include "fake.h"

#define VECTOR_FEW	3

/* Queues 1 to 3 run, with traffic, and all that serves is on CPU 0. */
static struct fake_nic *vector_start(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	int id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id <= 3; id++) {
		fake_stream_add(f, id, 0);
		KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, id), id);
	}
	KUNIT_ASSERT_EQ(test, fake_cpus(f, cpumask_of(0)), 0);
	f->traffic = true;
	return f;
}

static void vector_share(struct fake_nic *f, bool on)
{
	mutex_lock(&f->dev.lock);
	f->dev.coalesce = on;
	vmq_vector_regroup(&f->dev);
	mutex_unlock(&f->dev.lock);
}

static int vector_policy(struct fake_nic *f, u16 id, enum vmq_cpu_policy policy)
{
	int err;

	mutex_lock(&f->dev.lock);
	err = vmq_placement_set_policy(f->dev.queues[id].vector, policy);
	mutex_unlock(&f->dev.lock);
	return err;
}

/* The lines of queues 0 to 3 are these vectors, and nothing else is requested. */
static void vector_expect(struct kunit *test, const u8 *lines)
{
	struct fake_nic *f = test->priv;
	u64 users[FAKE_QUEUES] = {};
	struct vmq_vector *v;
	u16 id;

	for (id = 0; id <= 3; id++) {
		KUNIT_EXPECT_EQ(test, f->dev.queues[id].line->id, lines[id]);
		KUNIT_EXPECT_EQ(test, f->queues[id].vector, lines[id]);
		if (f->dev.queues[id].started)
			users[lines[id]] |= BIT_ULL(id);
	}
	for (id = 0; id <= 3; id++) {
		v = &f->dev.vectors[id];
		KUNIT_EXPECT_EQ(test, v->users, users[id]);
		KUNIT_EXPECT_EQ(test, irq_balancing_disabled(v->irq),
				v->users && v->cpu_policy == VMQ_CPU_STRICT);
	}
}

#define VECTOR_EXPECT(test, ...)					\
	vector_expect(test, (const u8[]){ __VA_ARGS__ })

/* Queues on one CPU share the interrupt of the lowest, live, on and off. */
static void vmq_vector_test_share(struct kunit *test)
{
	struct fake_nic *f = vector_start(test);

	VECTOR_EXPECT(test, 0, 1, 2, 3);
	vector_share(f, true);
	VECTOR_EXPECT(test, 0, 0, 0, 0);
	f->traffic = false;
	fake_poll_all(f);
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	VECTOR_EXPECT(test, 0, 0, 0, 0);
	f->traffic = true;

	/* The lowest one leaves: the next takes over, and gives it back. */
	KUNIT_EXPECT_EQ(test, vector_policy(f, 0, VMQ_CPU_HINT), 0);
	VECTOR_EXPECT(test, 0, 1, 1, 1);
	KUNIT_EXPECT_EQ(test, vector_policy(f, 0, VMQ_CPU_STRICT), 0);
	VECTOR_EXPECT(test, 0, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, vector_policy(f, 2, VMQ_CPU_HINT), 0);
	VECTOR_EXPECT(test, 0, 0, 2, 0);
	vector_share(f, false);
	VECTOR_EXPECT(test, 0, 1, 2, 3);
}

/* A queue that gets none of its own keeps what it has, until it does. */
static void vmq_vector_test_no_irq(struct kunit *test)
{
	struct fake_nic *f = vector_start(test);

	vector_share(f, true);
	f->queues[2].vector_err = -ENOMEM;
	vector_share(f, false);
	VECTOR_EXPECT(test, 0, 1, 0, 3);
	f->queues[2].vector_err = 0;
	vector_share(f, false);
	VECTOR_EXPECT(test, 0, 1, 2, 3);
}

/* The queue whose interrupt others use is freed. */
static void vmq_vector_test_leader_goes(struct kunit *test)
{
	struct fake_nic *f = vector_start(test);

	KUNIT_EXPECT_EQ(test, vector_policy(f, 0, VMQ_CPU_HINT), 0);
	vector_share(f, true);
	VECTOR_EXPECT(test, 0, 1, 1, 1);
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_ASSERT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_EQ(test, f->dev.queues[2].line->id, 2);
	KUNIT_EXPECT_EQ(test, f->dev.queues[3].line->id, 2);
	KUNIT_EXPECT_EQ(test, f->dev.vectors[1].users, 0);
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 1), 1);
	VECTOR_EXPECT(test, 0, 1, 1, 1);
}

/* With CPUs to choose from: who is moved uses the interrupt that is there. */
static void vmq_vector_test_moves(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "this kernel is for one CPU");
	vector_start(test);
	vector_share(f, true);
	KUNIT_ASSERT_EQ(test, fake_cpus(f, cpu_possible_mask), 0);
	mutex_lock(&f->dev.lock);
	KUNIT_EXPECT_EQ(test, vmq_placement_set(&f->dev.vectors[0], 1,
						VMQ_MOVE_ADMIN), 0);
	KUNIT_EXPECT_EQ(test, vmq_placement_set(&f->dev.vectors[3], 1,
						VMQ_MOVE_ADMIN), 0);
	mutex_unlock(&f->dev.lock);
	VECTOR_EXPECT(test, 0, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 0), 1);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 1), 0);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 2), 0);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 3), 1);
}

/* Fewer interrupts than queues: what one queue gets, others get, too. */
static void vmq_vector_test_few(struct kunit *test)
{
	struct vmq_hw_caps caps = fake_caps;
	struct vmq_queue *queues;
	struct vmq_vector *v;
	struct fake_nic *f;
	u16 id;

	fake_test_exit(test);
	caps.vectors = VECTOR_FEW;
	f = fake_create(test, &caps);
	queues = f->dev.queues;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 0; id < caps.pools; id++)
		KUNIT_EXPECT_PTR_EQ(test, queues[id].vector,
				    &f->dev.vectors[id % VECTOR_FEW]);

	v = queues[4].vector;
	KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, 1), 1);
	KUNIT_EXPECT_EQ(test, vector_policy(f, 1, VMQ_CPU_HINT), 0);
	for (id = 2; id <= 4; id++)
		KUNIT_ASSERT_EQ(test, fake_make_running(f, ADMIN, id), id);
	KUNIT_EXPECT_EQ(test, v->cpu_policy, VMQ_CPU_HINT);
	KUNIT_EXPECT_EQ(test, v->users, BIT_ULL(1) | BIT_ULL(4));
	KUNIT_EXPECT_EQ(test, vector_policy(f, 4, VMQ_CPU_STRICT), 0);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(v->irq));

	/* One goes, and the interrupt stays the other's. */
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_ASSERT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_EQ(test, v->users, BIT_ULL(4));
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(v->irq));
	KUNIT_ASSERT_EQ(test, fake_del(f, ADMIN, 4), 0);
	KUNIT_ASSERT_EQ(test, fake_free(f, 4), 0);
	KUNIT_EXPECT_EQ(test, v->users, 0);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(v->irq));
}

static struct kunit_case vmq_vector_test_cases[] = {
	KUNIT_CASE(vmq_vector_test_share),
	KUNIT_CASE(vmq_vector_test_no_irq),
	KUNIT_CASE(vmq_vector_test_leader_goes),
	KUNIT_CASE(vmq_vector_test_moves),
	KUNIT_CASE(vmq_vector_test_few),
	{}
};

static struct kunit_suite vmq_vector_test_suite = {
	.name		= "vmq_vector",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_vector_test_cases,
};

kunit_test_suite(vmq_vector_test_suite);
