// SPDX-License-Identifier: GPL-2.0-only
/* Which CPU serves a queue, and the strict pin that keeps it there. */
#include <kunit/visibility.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include "vmq_priv.h"

/* With the pauses between them, at least ten ticks of any kernel. */
#define VMQ_PLACEMENT_KICKS	20

/*
 * The candidate that serves the fewest queues; CPU 0 only when all others
 * serve more, because the kernel's own housekeeping runs there. @load is
 * indexed by CPU. Returns nr_cpu_ids when there is no candidate.
 */
unsigned int
vmq_placement_choose(const struct cpumask *candidates, const u16 *load)
{
	unsigned int best = nr_cpu_ids, cpu;

	for_each_cpu(cpu, candidates)
		if (cpu && (best == nr_cpu_ids || load[cpu] < load[best]))
			best = cpu;
	if (cpumask_test_cpu(0, candidates) &&
	    (best == nr_cpu_ids || load[0] < load[best]))
		best = 0;
	return best;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_choose);

/* Online CPUs near the NIC; all online ones when its node has none. */
static const struct cpumask *vmq_placement_candidates(struct vmq_dev *dev)
{
	struct device *parent = dev->uplink->dev.parent;
	int node = parent ? dev_to_node(parent) : NUMA_NO_NODE;
	const struct cpumask *near;

	if (node == NUMA_NO_NODE)
		return cpu_online_mask;
	near = cpumask_of_node(node);
	return cpumask_intersects(near, cpu_online_mask) ? near :
							   cpu_online_mask;
}

static void vmq_placement_count(const struct vmq_queue *except, u16 *load)
{
	struct vmq_dev *dev = except->dev;
	u16 i;

	for (i = 0; i < dev->caps->pools; i++)
		if (&dev->queues[i] != except &&
		    dev->queues[i].state != VMQ_QUEUE_UNDEFINED)
			load[dev->queues[i].cpu]++;
}

/*
 * The CPU for a queue that nobody pinned. Without memory for the load table
 * the queue stays where it is: a worse place is no reason to fail.
 */
unsigned int vmq_placement_pick(const struct vmq_queue *q)
{
	unsigned int cpu = nr_cpu_ids;
	struct cpumask *online;
	u16 *load;

	load = kcalloc(nr_cpu_ids, sizeof(*load), GFP_KERNEL);
	online = kzalloc(cpumask_size(), GFP_KERNEL);
	if (load && online) {
		vmq_placement_count(q, load);
		cpumask_and(online, vmq_placement_candidates(q->dev),
			    cpu_online_mask);
		cpu = vmq_placement_choose(online, load);
	}
	kfree(online);
	kfree(load);
	return cpu < nr_cpu_ids ? cpu : q->cpu;
}

/*
 * A shared interrupt stays where it is: other devices' drivers, and whoever
 * balances their load, have a say in it.
 *
 * Bind the interrupt before it is requested: an interrupt that nobody may
 * balance is not given its affinity at startup, so the flag comes after, in
 * vmq_placement_lock_irq().
 */
void vmq_placement_pin(struct vmq_queue *q)
{
	if (q->irq_shared)
		return;
	if (q->cpu_auto && !cpu_online(q->cpu))
		WRITE_ONCE(q->cpu, vmq_placement_pick(q));
	irq_set_affinity(q->irq, cpumask_of(q->cpu));
}

/* From here on nobody outside the driver moves the interrupt. */
void vmq_placement_lock_irq(struct vmq_queue *q)
{
	if (q->irq_shared)
		return;
	irq_modify_status(q->irq, 0, IRQ_NO_BALANCING);
	q->pinned = true;
}

void vmq_placement_unlock_irq(struct vmq_queue *q)
{
	if (!q->pinned)
		return;
	irq_modify_status(q->irq, IRQ_NO_BALANCING, 0);
	q->pinned = false;
}

/*
 * On x86 without interrupt remapping an MSI-X vector moves only when it next
 * fires, so fire it. One that has just moved refuses until its old place is
 * cleaned up, a tick later, and then waits for one more: fire it again.
 */
static void vmq_placement_kick(struct vmq_queue *q, unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < VMQ_PLACEMENT_KICKS; i++) {
		q->dev->ops->queue_kick(q->dev, q->id);
		if (vmq_placement_effective(q) == cpu)
			return;
		usleep_range(2000, 4000);
	}
}

/* Move a queue to another CPU. */
int vmq_placement_set(struct vmq_queue *q, unsigned int cpu)
{
	int err;

	lockdep_assert_held(&q->dev->lock);
	if (q->started) {
		err = irq_set_affinity(q->irq, cpumask_of(cpu));
		if (err)
			return err;
		vmq_placement_kick(q, cpu);
	}
	WRITE_ONCE(q->cpu, cpu);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_set);

/* The CPU that the interrupt really goes to, or -1 while it goes nowhere. */
int vmq_placement_effective(const struct vmq_queue *q)
{
	const struct cpumask *mask;
	struct irq_data *data;
	unsigned int cpu;

	if (!READ_ONCE(q->started))
		return -1;
	data = irq_get_irq_data(q->irq);
	if (!data)
		return -1;
	mask = irq_data_get_effective_affinity_mask(data);
	cpu = cpumask_first(mask);
	return cpu < nr_cpu_ids ? (int)cpu : -1;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_effective);
