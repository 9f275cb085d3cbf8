// SPDX-License-Identifier: GPL-2.0-only
/* Which CPUs queues may use, and which of them is best for one. */
#include <kunit/visibility.h>
#include <linux/cpu.h>
#include <linux/export.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include "vmq_priv.h"

int vmq_cpus_init(struct vmq_dev *dev)
{
	if (!zalloc_cpumask_var(&dev->cpus, GFP_KERNEL))
		return -ENOMEM;
	if (!zalloc_cpumask_var(&dev->leaving, GFP_KERNEL))
		goto free_cpus;
	if (!zalloc_cpumask_var(&dev->left, GFP_KERNEL))
		goto free_leaving;
	cpumask_copy(dev->cpus, cpu_possible_mask);
	return 0;

free_leaving:
	free_cpumask_var(dev->leaving);
free_cpus:
	free_cpumask_var(dev->cpus);
	return -ENOMEM;
}

void vmq_cpus_fini(struct vmq_dev *dev)
{
	free_cpumask_var(dev->left);
	free_cpumask_var(dev->leaving);
	free_cpumask_var(dev->cpus);
}

/* Far from the NIC is better than where other work must not be disturbed. */
static unsigned int vmq_cpus_rank(const struct vmq_choice *c, unsigned int cpu)
{
	if (cpumask_test_cpu(cpu, &c->isolated))
		return 2;
	return !cpumask_test_cpu(cpu, &c->near);
}

/* CPU 0 loses against equals, because the kernel's own housekeeping is there. */
static bool vmq_cpus_better(const struct vmq_choice *c, unsigned int cpu,
			    unsigned int than)
{
	unsigned int rank = vmq_cpus_rank(c, cpu);
	unsigned int other = vmq_cpus_rank(c, than);

	if (rank != other)
		return rank < other;
	if (c->load[cpu] != c->load[than])
		return c->load[cpu] < c->load[than];
	if (!cpu || !than)
		return cpu;
	return cpu == c->now;
}

/*
 * The best candidate; of equals the one where the queue is already, else the
 * lowest. Returns nr_cpu_ids when there is no candidate.
 */
unsigned int vmq_cpus_choose(const struct vmq_choice *c)
{
	unsigned int best = nr_cpu_ids, cpu;

	for_each_cpu(cpu, &c->usable)
		if (best == nr_cpu_ids || vmq_cpus_better(c, cpu, best))
			best = cpu;
	return best;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_cpus_choose);

/* A CPU that goes offline is in the mask of online ones nearly to the end. */
bool vmq_cpus_usable(const struct vmq_dev *dev, unsigned int cpu)
{
	return cpu < nr_cpu_ids && cpu_online(cpu) &&
	       !cpumask_test_cpu(cpu, dev->leaving);
}

/* The CPUs that may be used and can be; any when there are none of these. */
static void vmq_cpus_get(const struct vmq_dev *dev, struct cpumask *usable)
{
	cpumask_andnot(usable, cpu_online_mask, dev->leaving);
	if (cpumask_intersects(usable, dev->cpus))
		cpumask_and(usable, usable, dev->cpus);
}

static bool vmq_cpus_any_usable(const struct vmq_dev *dev)
{
	unsigned int cpu;

	for_each_cpu(cpu, dev->cpus)
		if (vmq_cpus_usable(dev, cpu))
			return true;
	return false;
}

/* May and can a queue be on this CPU? */
bool vmq_cpus_fit(const struct vmq_dev *dev, unsigned int cpu)
{
	return vmq_cpus_usable(dev, cpu) &&
	       (cpumask_test_cpu(cpu, dev->cpus) || !vmq_cpus_any_usable(dev));
}

static void vmq_cpus_count(const struct vmq_vector *except, u16 *load)
{
	struct vmq_dev *dev = except->dev;
	unsigned int cpu;
	u16 i;

	for (i = 0; i < dev->caps->pools; i++) {
		if (dev->queues[i].vector == except ||
		    !vmq_queue_is_allocated(&dev->queues[i]))
			continue;
		cpu = vmq_placement_serves(dev->queues[i].vector);
		if (cpu < nr_cpu_ids)
			load[cpu]++;
	}
}

static void vmq_cpus_describe(const struct vmq_dev *dev, struct vmq_choice *c)
{
	struct device *parent = dev->uplink->dev.parent;
	int node = parent ? dev_to_node(parent) : NUMA_NO_NODE;
	unsigned int cpu;

	vmq_cpus_get(dev, &c->usable);
	if (node != NUMA_NO_NODE)
		cpumask_copy(&c->near, cpumask_of_node(node));
	for_each_cpu(cpu, &c->usable)
		if (cpu_is_isolated(cpu))
			cpumask_set_cpu(cpu, &c->isolated);
	c->now = VMQ_NO_CPU;
}

/*
 * Those that queues spread over, the best ones alone, the lowest first and CPU 0
 * last. Returns how many there are; 0 without memory.
 */
unsigned int vmq_cpus_list(const struct vmq_dev *dev, unsigned int *cpus)
{
	unsigned int best, rank, cpu, nr = 0;
	struct vmq_choice *c;

	c = kzalloc(struct_size(c, load, nr_cpu_ids), GFP_KERNEL);
	if (!c)
		return 0;
	vmq_cpus_describe(dev, c);
	best = vmq_cpus_choose(c);
	rank = vmq_cpus_rank(c, best);
	for_each_cpu(cpu, &c->usable)
		if (cpu && vmq_cpus_rank(c, cpu) == rank)
			cpus[nr++] = cpu;
	if (cpumask_test_cpu(0, &c->usable) && vmq_cpus_rank(c, 0) == rank)
		cpus[nr++] = 0;
	kfree(c);
	return nr;
}

/*
 * The CPU for a vector that nobody pinned. Without memory for the choice it is
 * the one that it has: a worse place is no reason to fail.
 */
unsigned int vmq_cpus_pick(const struct vmq_vector *v)
{
	unsigned int cpu = nr_cpu_ids;
	struct vmq_choice *c;

	c = kzalloc(struct_size(c, load, nr_cpu_ids), GFP_KERNEL);
	if (c) {
		vmq_cpus_describe(v->dev, c);
		/* In dynamic mode all begin where idle queues are. */
		if (!v->dev->dynamic) {
			c->now = vmq_placement_serves(v);
			vmq_cpus_count(v, c->load);
		}
		cpu = vmq_cpus_choose(c);
		kfree(c);
	}
	if (cpu >= nr_cpu_ids)
		cpu = vmq_placement_serves(v);
	return cpu < nr_cpu_ids ? cpu : cpumask_first(cpu_online_mask);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_cpus_pick);

/* A queue that somebody pinned outside; also one that is remembered. */
static struct vmq_queue *vmq_cpus_find_outside(struct vmq_dev *dev,
					       const struct cpumask *cpus)
{
	struct vmq_queue *q;
	u16 i;

	for (i = 0; i < dev->caps->pools; i++) {
		q = &dev->queues[i];
		if (!q->vector->cpu_auto && !q->vector->irq_shared &&
		    (vmq_queue_is_allocated(q) ||
		     q->restore != VMQ_RESTORE_NONE) &&
		    !cpumask_test_cpu(q->vector->cpu, cpus))
			return q;
	}
	return NULL;
}

static int vmq_cpus_check(struct vmq_dev *dev, const struct cpumask *cpus,
			  struct netlink_ext_ack *extack)
{
	struct vmq_queue *q;

	if (cpumask_empty(cpus))
		return vmq_refuse(dev, extack, -EINVAL,
				  "queues need at least one CPU");
	if (!cpumask_intersects(cpus, cpu_online_mask))
		return vmq_refuse(dev, extack, -EINVAL,
				  "none of the CPUs %*pbl is online",
				  cpumask_pr_args(cpus));
	q = vmq_cpus_find_outside(dev, cpus);
	if (q)
		return vmq_refuse(dev, extack, -EBUSY,
				  "queue %u is pinned to CPU %u, which is not among them",
				  q->id, q->vector->cpu);
	return 0;
}

int vmq_cpus_set_locked(struct vmq_dev *dev, const struct cpumask *cpus,
			struct netlink_ext_ack *extack)
{
	int err;
	u16 i;

	lockdep_assert_held(&dev->lock);
	err = vmq_cpus_check(dev, cpus, extack);
	if (err)
		return err;
	spin_lock_bh(&dev->text_lock);
	cpumask_copy(dev->cpus, cpus);
	spin_unlock_bh(&dev->text_lock);
	for (i = 0; i < vmq_dev_vectors(dev); i++)
		vmq_placement_reseat(&dev->vectors[i], VMQ_MOVE_CPUS);
	vmq_vector_regroup(dev);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_cpus_set_locked);
