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
	u8 usable;
	u8 near;
	u8 isolated;
	u16 load[PLACEMENT_CPUS];
	int now;		/* -1: VMQ_NO_CPU */
	int cpu;		/* -1: nr_cpu_ids */
};

static const struct placement_case placement_cases[] = {
	{ "nobody loaded: not CPU 0", 0x0f, 0x0f, 0, { 0 }, -1, 1 },
	{ "least loaded", 0x0f, 0x0f, 0, { 9, 3, 1, 2 }, -1, 2 },
	{ "ties go to the lowest", 0x0f, 0x0f, 0, { 9, 3, 2, 2 }, -1, 2 },
	{ "ties go to where it is", 0x0f, 0x0f, 0, { 9, 3, 2, 2 }, 3, 3 },
	{ "where it is, unless more loaded", 0x0f, 0x0f, 0, { 9, 3, 2, 2 }, 1,
	  2 },
	{ "where it is, unless it is no candidate", 0x07, 0x07, 0,
	  { 9, 3, 2, 2 }, 3, 2 },
	{ "CPU 0 loses ties", 0x0f, 0x0f, 0, { 2, 2, 2, 2 }, -1, 1 },
	{ "CPU 0 loses ties, also where it is", 0x0f, 0x0f, 0, { 2, 2, 2, 2 },
	  0, 1 },
	{ "CPU 0 when all others serve more", 0x0f, 0x0f, 0, { 1, 2, 2, 3 }, 2,
	  0 },
	{ "CPU 0 alone", 0x01, 0x01, 0, { 7 }, -1, 0 },
	{ "not a candidate, however idle", 0x0c, 0x0f, 0, { 0, 0, 5, 4 }, -1,
	  3 },
	{ "CPU 0 not a candidate", 0x0e, 0x0f, 0, { 0, 3, 3, 3 }, -1, 1 },
	{ "one candidate", 0x08, 0x0f, 0, { 0, 0, 0, 9 }, -1, 3 },
	{ "no candidate", 0x00, 0x0f, 0, { 0 }, -1, -1 },
	{ "near, however loaded", 0x0f, 0x0c, 0, { 0, 0, 8, 9 }, -1, 2 },
	{ "near, though it is CPU 0", 0x0f, 0x01, 0, { 9 }, -1, 0 },
	{ "near, though it is elsewhere", 0x0f, 0x0c, 0, { 0 }, 1, 2 },
	{ "none near", 0x03, 0x0c, 0, { 0 }, -1, 1 },
	{ "no CPU is near any", 0x0f, 0x00, 0, { 0, 1, 0, 0 }, -1, 2 },
	{ "not an isolated one", 0x0f, 0x0f, 0x0e, { 9, 0, 0, 0 }, -1, 0 },
	{ "far before isolated", 0x0f, 0x0c, 0x0c, { 9, 5, 0, 0 }, 2, 1 },
	{ "near the isolated ones", 0x0f, 0x0c, 0x04, { 0, 0, 0, 7 }, -1, 3 },
	{ "all isolated: least loaded", 0x0f, 0x0c, 0x0f, { 2, 1, 3, 3 }, -1,
	  1 },
	{ "isolated is what is left", 0x08, 0x0f, 0x08, { 0, 0, 0, 9 }, -1,
	  3 },
};

static void placement_case_desc(const struct placement_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(placement, placement_cases, placement_case_desc);

static void placement_set_bits(struct cpumask *mask, u8 bits)
{
	unsigned int cpu;

	for (cpu = 0; cpu < PLACEMENT_CPUS; cpu++)
		if (bits & BIT(cpu))
			cpumask_set_cpu(cpu, mask);
}

static void vmq_placement_test_choose(struct kunit *test)
{
	const struct placement_case *p = test->param_value;
	struct vmq_choice *c;

	placement_need_cpus(test);
	KUNIT_ASSERT_GE(test, nr_cpu_ids, PLACEMENT_CPUS);
	c = kunit_kzalloc(test, struct_size(c, load, nr_cpu_ids), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	placement_set_bits(&c->usable, p->usable);
	placement_set_bits(&c->near, p->near);
	placement_set_bits(&c->isolated, p->isolated);
	memcpy(c->load, p->load, sizeof(p->load));
	c->now = p->now < 0 ? VMQ_NO_CPU : p->now;
	KUNIT_EXPECT_EQ(test, vmq_cpus_choose(c),
			p->cpu < 0 ? nr_cpu_ids : p->cpu);
}

static unsigned int placement_queues_on(const struct fake_nic *f,
					unsigned int cpu)
{
	unsigned int nr = 0;
	u16 id;

	for (id = 0; id < f->caps.pools; id++)
		nr += f->dev.vectors[id].cpu == cpu;
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
		cpu = f->dev.vectors[id].cpu;
		/* The others are spread already: only this CPU lacks one. */
		if (placement_queues_on(f, cpu) > placement_queues_on(f, 0))
			continue;
		KUNIT_EXPECT_EQ(test, fake_free(f, id), 0);
		KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, id), 0);
		KUNIT_EXPECT_EQ(test, f->dev.vectors[id].cpu, cpu);
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
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, q->vector->cpu);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(irq));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->cpu);

	KUNIT_ASSERT_EQ(test, fake_free(f, 1), 0);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(irq));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), -1);
}

static int placement_set(struct fake_nic *f, u16 id, unsigned int cpu)
{
	int err;

	mutex_lock(&f->dev.lock);
	err = vmq_placement_set(f->dev.queues[id].vector, cpu, VMQ_MOVE_ADMIN);
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
	KUNIT_EXPECT_EQ(test, q->vector->cpu, 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, -1);
	KUNIT_EXPECT_EQ(test, f->queues[1].kicks, 0);

	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, 0);
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, last), 0);
	KUNIT_EXPECT_EQ(test, q->vector->cpu, last);
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

/* A queue that the user pinned. */
static struct vmq_queue *placement_pinned(struct kunit *test, u16 id,
					  unsigned int cpu)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q = &f->dev.queues[id];

	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
	KUNIT_ASSERT_EQ(test, fake_commit(f, ADMIN, id), 0);
	KUNIT_ASSERT_EQ(test, placement_set(f, id, cpu), 0);
	q->vector->cpu_auto = false;
	return q;
}

static int placement_policy(struct fake_nic *f, u16 id,
			    enum vmq_cpu_policy policy)
{
	int err;

	mutex_lock(&f->dev.lock);
	err = vmq_placement_set_policy(f->dev.queues[id].vector, policy);
	mutex_unlock(&f->dev.lock);
	return err;
}

static const struct cpumask *placement_hint(const struct fake_nic *f, u16 id)
{
	return fake_irq_hint(irq_get_irq_data(f->queues[id].irq));
}

/* Somebody, or the kernel, gives the interrupt another affinity. */
static void placement_user(struct fake_nic *f, u16 id,
			   const struct cpumask *cpus)
{
	irq_set_affinity(f->queues[id].irq, cpus);
	f->queues[id].pinned = -1;
}

static void placement_others(struct kunit *test, struct cpumask **cpus,
			     unsigned int cpu)
{
	*cpus = kunit_kzalloc(test, cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, *cpus);
	cpumask_copy(*cpus, cpu_online_mask);
	cpumask_clear_cpu(cpu, *cpus);
}

/* A move that the interrupt code refuses leaves everything as it was. */
static void vmq_placement_test_move_fails(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 1);
	f->queues[1].affinity_err = -ENOSPC;
	fake_remember(f);
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, 2), -ENOSPC);
	KUNIT_EXPECT_EQ(test, placement_policy(f, 1, VMQ_CPU_FREE), -ENOSPC);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(q->vector->irq));
	f->queues[1].affinity_err = 0;
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, 2), 0);
}

/* Once queues are spread, the choice anew is the one that was made. */
static void vmq_placement_test_auto_stays(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q;
	u16 id;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	for (id = 1; id < f->caps.pools; id++)
		KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, id), 0);
	for (id = 0; id < f->caps.pools; id++) {
		q = &f->dev.queues[id];
		KUNIT_EXPECT_EQ(test, vmq_cpus_pick(q->vector), q->vector->cpu);
	}
	/* And one that is there already is not even fired. */
	KUNIT_EXPECT_EQ(test, placement_set(f, 0, f->dev.vectors[0].cpu), 0);
	KUNIT_EXPECT_EQ(test, f->queues[0].kicks, 0);
}

/* An affinity that waited for an interrupt does not outlive the start. */
static void vmq_placement_test_stale(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 1);
	fake_close(f);
	f->queues[1].stale = 2;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 1);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 1), 1);
}

/* A hint is public while the queue runs, and locks nothing. */
static void vmq_placement_test_hint(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 1);
	f->queues[1].kicks = 0;
	KUNIT_EXPECT_EQ(test, placement_policy(f, 1, VMQ_CPU_HINT), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].kicks, 0);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(q->vector->irq));
	KUNIT_EXPECT_PTR_EQ(test, placement_hint(f, 1), cpumask_of(1));
	KUNIT_EXPECT_EQ(test, placement_set(f, 1, 2), 0);
	KUNIT_EXPECT_PTR_EQ(test, placement_hint(f, 1), cpumask_of(2));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 2);
	fake_close(f);
	KUNIT_EXPECT_NULL(test, placement_hint(f, 1));
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_PTR_EQ(test, placement_hint(f, 1), cpumask_of(2));

	/* Strict again: back from wherever the user had it. */
	placement_user(f, 1, cpumask_of(3));
	KUNIT_EXPECT_EQ(test, placement_policy(f, 1, VMQ_CPU_STRICT), 0);
	KUNIT_EXPECT_NULL(test, placement_hint(f, 1));
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(q->vector->irq));
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 2);

	KUNIT_ASSERT_EQ(test, placement_policy(f, 1, VMQ_CPU_HINT), 0);
	KUNIT_ASSERT_EQ(test, fake_free(f, 1), 0);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, q->vector->cpu_policy, VMQ_CPU_STRICT);
}

/* What a user does with a hint is the user's, while there is a CPU for it. */
static void vmq_placement_test_hint_user(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 1);
	KUNIT_ASSERT_EQ(test, placement_policy(f, 1, VMQ_CPU_HINT), 0);
	placement_user(f, 1, cpumask_of(3));
	fake_hotplug(f, 2, true);
	fake_hotplug(f, 2, false);
	fake_hotplug(f, 1, true);
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_hotplug(f, 1, false);
	KUNIT_EXPECT_EQ(test, q->vector->seat, 1);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, -1);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 3);
	KUNIT_EXPECT_EQ(test, vmq_placement_serves(q->vector), 3);

	/* Told anew when the user's CPU is none any more. */
	fake_close(f);
	fake_hotplug(f, 3, true);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, 1);
	fake_hotplug(f, 3, false);
}

/* A free queue may go to all CPUs that queues may use, and has none. */
static void vmq_placement_test_free(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct cpumask *cpus;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 1);
	KUNIT_EXPECT_EQ(test, placement_policy(f, 1, VMQ_CPU_FREE), 0);
	KUNIT_EXPECT_FALSE(test, vmq_queue_has_cpu(q));
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(q->vector->irq));
	KUNIT_EXPECT_TRUE(test, cpumask_equal(irq_get_affinity_mask(q->vector->irq),
					      cpu_possible_mask));

	placement_others(test, &cpus, 1);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpus), 0);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(irq_get_affinity_mask(q->vector->irq),
					      cpus));
	/* The kernel takes away what is offline at start; it counts later. */
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(irq_get_affinity_mask(q->vector->irq),
					      cpus));
	/* The user's place counts, also over down and up. */
	placement_user(f, 1, cpumask_of(2));
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->queues[1].pinned, -1);
	KUNIT_EXPECT_EQ(test, vmq_placement_serves(q->vector), 2);
	KUNIT_EXPECT_EQ(test, q->vector->cpu_moves, 1);

	KUNIT_EXPECT_EQ(test, placement_policy(f, 1, VMQ_CPU_STRICT), 0);
	KUNIT_EXPECT_TRUE(test, q->vector->cpu_auto);
	KUNIT_EXPECT_NE(test, q->vector->cpu, 1);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->cpu);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(q->vector->irq));
}

/* What queues may use: whose CPU was chosen goes, who was pinned forbids. */
static void vmq_placement_test_cpus(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q, *pinned;
	struct cpumask *cpus;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	pinned = placement_pinned(test, 1, 3);
	q = placement_pinned(test, 2, 2);
	q->vector->cpu_auto = true;
	placement_others(test, &cpus, 2);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpus), 0);
	KUNIT_EXPECT_NE(test, q->vector->cpu, 2);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->cpu);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(pinned), 3);
	KUNIT_EXPECT_EQ(test, pinned->vector->cpu_moves, 1);

	fake_remember(f);
	cpumask_clear_cpu(3, cpus);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpus), -EBUSY);
	KUNIT_EXPECT_STREQ(test, f->why,
			   "queue 1 is pinned to CPU 3, which is not among them");
	cpumask_clear(cpus);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpus), -EINVAL);
	fake_expect_unchanged(test, f);

	/* Queue 0 is no exception. */
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpumask_of(3)), 0);
	KUNIT_EXPECT_EQ(test, vmq_queue_cpu(&f->dev, 0), 3);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 3);
}

/* A queue that is remembered while VMQ is off: its CPU, or another one. */
static void vmq_placement_test_cpus_off(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q, *pinned;
	struct cpumask *cpus;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	pinned = placement_pinned(test, 1, 3);
	KUNIT_ASSERT_EQ(test, placement_policy(f, 1, VMQ_CPU_HINT), 0);
	q = placement_pinned(test, 2, 2);
	q->vector->cpu_auto = true;
	KUNIT_ASSERT_EQ(test, fake_enable(f, false), 0);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpumask_of(2)), -EBUSY);
	placement_others(test, &cpus, 2);
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpus), 0);
	fake_hotplug(f, 3, true);
	KUNIT_ASSERT_EQ(test, fake_enable(f, true), 0);
	KUNIT_EXPECT_EQ(test, pinned->vector->cpu_policy, VMQ_CPU_HINT);
	KUNIT_EXPECT_EQ(test, pinned->vector->cpu, 3);
	KUNIT_EXPECT_NE(test, vmq_placement_effective(pinned), 3);
	KUNIT_EXPECT_NE(test, q->vector->cpu, 2);
	KUNIT_EXPECT_NE(test, q->vector->cpu, 3);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->cpu);
	fake_hotplug(f, 3, false);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(pinned), 3);
}

/* A queue is elsewhere while its CPU is away, and wants it all the time. */
static void vmq_placement_test_hotplug(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_queue *q, *other;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 3);
	other = placement_pinned(test, 2, 2);
	f->queues[2].pinned = -1;
	fake_hotplug(f, 3, true);
	KUNIT_EXPECT_EQ(test, q->vector->cpu, 3);
	KUNIT_EXPECT_NE(test, q->vector->seat, 3);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->seat);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(q->vector->irq));
	/* Another start, still without it. */
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->seat);
	KUNIT_EXPECT_NE(test, q->vector->seat, 3);
	f->queues[2].pinned = -1;
	fake_hotplug(f, 3, false);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 3);
	KUNIT_EXPECT_EQ(test, q->vector->cpu_moves, 3);
	KUNIT_EXPECT_EQ(test, f->queues[2].pinned, -1);
	KUNIT_EXPECT_EQ(test, other->vector->seat, 2);

	/* One that is not started leaves its seat, too. */
	fake_hotplug(f, 3, true);
	KUNIT_ASSERT_EQ(test, fake_allocate(f, ADMIN, 3), 0);
	KUNIT_EXPECT_NE(test, f->dev.vectors[3].cpu, 3);
	fake_hotplug(f, 3, false);
}

/* The kernel may be faster than the core: its choice is not ours. */
static void vmq_placement_test_hotplug_late(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct cpumask *others;
	struct vmq_queue *q;

	placement_need_cpus(test);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	q = placement_pinned(test, 1, 3);
	KUNIT_ASSERT_EQ(test, placement_policy(f, 1, VMQ_CPU_HINT), 0);
	placement_others(test, &others, 3);

	/* It left and came back before anybody looked. */
	rtnl_lock();
	vmq_hotplug_tell(&f->dev, 3, true);
	placement_user(f, 1, others);
	vmq_hotplug_tell(&f->dev, 3, false);
	rtnl_unlock();
	flush_work(&f->dev.hotplug);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 3);

	rtnl_lock();
	vmq_hotplug_tell(&f->dev, 3, true);
	placement_user(f, 1, others);
	rtnl_unlock();
	flush_work(&f->dev.hotplug);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), q->vector->seat);
	KUNIT_EXPECT_NE(test, q->vector->seat, 3);
	fake_hotplug(f, 3, false);
	KUNIT_EXPECT_EQ(test, vmq_placement_effective(q), 3);
}

/* An interrupt that others use is nobody's to place. */
static void vmq_placement_test_shared_irq(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	f->dev.vectors[0].irq_shared = true;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_FALSE(test, vmq_queue_has_cpu(&f->dev.queues[0]));
	KUNIT_EXPECT_EQ(test, fake_cpus(f, cpumask_of(0)), 0);
	fake_hotplug(f, 0, true);
	fake_hotplug(f, 0, false);
	KUNIT_EXPECT_EQ(test, f->queues[0].pinned, -1);
	KUNIT_EXPECT_EQ(test, f->queues[0].kicks, 0);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(f->queues[0].irq));
}

static struct kunit_case vmq_placement_test_cases[] = {
	KUNIT_CASE_PARAM(vmq_placement_test_choose, placement_gen_params),
	KUNIT_CASE(vmq_placement_test_spread),
	KUNIT_CASE(vmq_placement_test_reuse),
	KUNIT_CASE(vmq_placement_test_pin),
	KUNIT_CASE(vmq_placement_test_move),
	KUNIT_CASE(vmq_placement_test_move_fails),
	KUNIT_CASE(vmq_placement_test_auto_stays),
	KUNIT_CASE(vmq_placement_test_stale),
	KUNIT_CASE(vmq_placement_test_hint),
	KUNIT_CASE(vmq_placement_test_hint_user),
	KUNIT_CASE(vmq_placement_test_free),
	KUNIT_CASE(vmq_placement_test_cpus),
	KUNIT_CASE(vmq_placement_test_cpus_off),
	KUNIT_CASE(vmq_placement_test_hotplug),
	KUNIT_CASE(vmq_placement_test_hotplug_late),
	KUNIT_CASE(vmq_placement_test_shared_irq),
	{}
};

static struct kunit_suite vmq_placement_test_suite = {
	.name		= "vmq_placement",
	.init		= fake_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_placement_test_cases,
};

kunit_test_suite(vmq_placement_test_suite);
