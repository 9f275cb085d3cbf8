// SPDX-License-Identifier: GPL-2.0-only
/* Which CPU a queue gets, and the pin on a recording interrupt chip. */
#include "fake.h"

#define PLACEMENT_CPUS	4

/* A kernel for one CPU chooses none, and binds no interrupt. */
static void placement_need_cpus(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "this kernel is for one CPU");
}

struct placement_case {
	const char *name;
	unsigned long candidates;
	u16 load[PLACEMENT_CPUS];
	int cpu;		/* -1: nr_cpu_ids */
};

static const struct placement_case placement_cases[] = {
	{ "nobody loaded: not CPU 0", 0x0f, { 0 }, 1 },
	{ "least loaded", 0x0f, { 9, 3, 1, 2 }, 2 },
	{ "ties go to the lowest", 0x0f, { 9, 3, 2, 2 }, 2 },
	{ "CPU 0 loses ties", 0x0f, { 2, 2, 2, 2 }, 1 },
	{ "CPU 0 when all others serve more", 0x0f, { 1, 2, 2, 3 }, 0 },
	{ "CPU 0 alone", 0x01, { 7 }, 0 },
	{ "not a candidate, however idle", 0x0c, { 0, 0, 5, 4 }, 3 },
	{ "CPU 0 not a candidate", 0x0e, { 0, 3, 3, 3 }, 1 },
	{ "one candidate", 0x08, { 0, 0, 0, 9 }, 3 },
	{ "no candidate", 0x00, { 0 }, -1 },
};

static void placement_case_desc(const struct placement_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(placement, placement_cases, placement_case_desc);

static void vmq_placement_test_choose(struct kunit *test)
{
	const struct placement_case *c = test->param_value;
	unsigned int cpu, wanted = c->cpu < 0 ? nr_cpu_ids : c->cpu;
	struct cpumask *mask;

	placement_need_cpus(test);
	KUNIT_ASSERT_GE(test, nr_cpu_ids, PLACEMENT_CPUS);
	mask = kunit_kzalloc(test, cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mask);
	for (cpu = 0; cpu < PLACEMENT_CPUS; cpu++)
		if (c->candidates & BIT(cpu))
			cpumask_set_cpu(cpu, mask);
	KUNIT_EXPECT_EQ(test, vmq_placement_choose(mask, c->load), wanted);
}

static unsigned int placement_queues_on(const struct fake_nic *f,
					unsigned int cpu)
{
	unsigned int nr = 0;
	u16 id;

	for (id = 0; id < f->caps.pools; id++)
		nr += f->dev.queues[id].cpu == cpu;
	return nr;
}

/* No CPU serves two more than another, and CPU 0 serves the fewest. */
static void vmq_placement_test_spread(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int cpu, nr, least = UINT_MAX, most = 0;
	u16 id;

	for (id = 1; id < f->caps.pools; id++)
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
	for_each_online_cpu(cpu) {
		nr = placement_queues_on(f, cpu);
		least = min(least, nr);
		most = max(most, nr);
	}
	KUNIT_EXPECT_LE(test, most - least, 1);
	KUNIT_EXPECT_EQ(test, placement_queues_on(f, 0), least);
}

/* A freed queue makes room on its CPU for the next one. */
static void vmq_placement_test_reuse(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int cpu;
	u16 id;

	for (id = 1; id < f->caps.pools; id++)
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
	for (id = 1; id < f->caps.pools; id++) {
		cpu = f->dev.queues[id].cpu;
		/* The others are spread already: only this CPU lacks one. */
		if (placement_queues_on(f, cpu) > placement_queues_on(f, 0))
			continue;
		KUNIT_EXPECT_EQ(test, fake_free(f, id), 0);
		KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		KUNIT_EXPECT_EQ(test, f->dev.queues[id].cpu, cpu);
	}
}

/* Bound before it is requested, locked while it runs, let go after. */
static void vmq_placement_test_pin(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q = &f->dev.queues[1];
	int irq = f->queues[1].irq;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, -1);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), -1);

	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, q->cpu);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(irq));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->cpu);

	KUNIT_ASSERT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(irq));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), -1);
}

static int placement_set(struct fake_nic *f, u16 id, unsigned int cpu)
{
	int err;

	mutex_lock(&f->dev.lock);
	err = vmq_placement_set(&f->dev.queues[id], cpu);
	mutex_unlock(&f->dev.lock);
	return err;
}

/* A live move needs one interrupt to take effect; a queue at rest none. */
static void vmq_placement_test_move(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	unsigned int last = cpumask_last(cpu_online_mask);
	struct vmq_queue *q = &f->dev.queues[1];

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, q->cpu, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, -1);
	KUNIT_EXPECT_EQ(test, f->queues[1].kicks, 0);

	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, 0);
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, last), 0);
	KUNIT_EXPECT_EQ(test, q->cpu, last);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, last);
	KUNIT_EXPECT_EQ(test, f->queues[1].kicks, 1);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), last);

	/* And it comes back there after a reset. */
	fake_close(f);
	f->queues[1].pinned = -1;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, last);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(f->queues[1].irq));
}

static struct kunit_case vmq_placement_test_cases[] = {
	KUNIT_CASE_PARAM(vmq_placement_test_choose, placement_gen_params),
	KUNIT_CASE(vmq_placement_test_spread),
	KUNIT_CASE(vmq_placement_test_reuse),
	KUNIT_CASE(vmq_placement_test_pin),
	KUNIT_CASE(vmq_placement_test_move),
	{}
};

static struct kunit_suite vmq_placement_test_suite = {
	.name		= "vmq_placement",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_placement_test_cases,
};

kunit_test_suite(vmq_placement_test_suite);
