// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU of a queue and its interrupt. The wanted CPU is the user's, or the
 * best one when the queue got it; its seat is what the interrupt is told, which
 * differs while the wanted CPU cannot be used; what is effective only the
 * interrupt controller knows.
 *
 * A shared interrupt stays where it is: other devices' drivers, and whoever
 * balances their load, have a say in it.
 */
#include <kunit/visibility.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <net/netdev_rx_queue.h>
#include <trace/events/vmq.h>
#include "vmq_priv.h"

/* With the pauses between them, at least ten ticks of any kernel. */
#define VMQ_PLACEMENT_KICKS	20

/* The CPU that the interrupt really goes to, or -1 while it goes nowhere. */
int vmq_placement_effective(const struct vmq_queue *q)
{
	struct irq_data *data;
	unsigned int cpu;

	if (!READ_ONCE(q->started))
		return -1;
	data = irq_get_irq_data(q->irq);
	if (!data)
		return -1;
	cpu = cpumask_first(irq_data_get_effective_affinity_mask(data));
	return cpu < nr_cpu_ids ? (int)cpu : -1;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_effective);

/* The CPU that has the queue's work, for who counts it; or VMQ_NO_CPU. */
unsigned int vmq_placement_serves(const struct vmq_queue *q)
{
	int cpu = -1;

	if (q->cpu_policy != VMQ_CPU_STRICT)
		cpu = vmq_placement_effective(q);
	return cpu < 0 ? q->seat : cpu;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_serves);

/* Is there a change of affinity that waits for the next interrupt? */
static bool vmq_placement_is_pending(const struct vmq_queue *q)
{
	struct irq_data *data = irq_get_irq_data(q->irq);

	return data && irqd_is_setaffinity_pending(data);
}

static bool vmq_placement_is_at(const struct vmq_queue *q, unsigned int cpu)
{
	return !vmq_placement_is_pending(q) &&
	       (cpu == VMQ_NO_CPU || vmq_placement_effective(q) == cpu);
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
		if (vmq_placement_is_at(q, cpu))
			return;
		usleep_range(2000, 4000);
	}
}

/* VMQ_NO_CPU: any that queues may use. CPUs that are offline now count later. */
static const struct cpumask *vmq_placement_mask(const struct vmq_queue *q,
						unsigned int cpu)
{
	if (cpu != VMQ_NO_CPU)
		return cpumask_of(cpu);
	return cpumask_intersects(q->dev->cpus, cpu_online_mask) ?
	       q->dev->cpus : cpu_possible_mask;
}

static int vmq_placement_tell(struct vmq_queue *q, unsigned int cpu)
{
	return irq_set_affinity(q->irq, vmq_placement_mask(q, cpu));
}

static void vmq_placement_log(const struct vmq_queue *q, enum vmq_move why)
{
	if (q->cpu == q->seat && why == VMQ_MOVE_ONLINE && net_ratelimit())
		netdev_info(q->dev->uplink, "queue %u is on CPU %u again\n",
			    q->id, q->seat);
	else if (q->cpu != q->seat && q->seat != VMQ_NO_CPU && net_ratelimit())
		netdev_info(q->dev->uplink,
			    "queue %u is on CPU %u while CPU %u is offline\n",
			    q->id, q->seat, q->cpu);
}

/* The queue has another seat; its interrupt knows, or will be told. */
static void vmq_placement_take(struct vmq_queue *q, unsigned int cpu,
			       enum vmq_move why)
{
	struct net_device *uplink = q->dev->uplink;

	if (cpu != q->seat) {
		trace_vmq_placement_move(q, q->seat, cpu, why);
		WRITE_ONCE(q->seat, cpu);
		if (cpu != VMQ_NO_CPU)
			WRITE_ONCE(q->cpu_moves, q->cpu_moves + 1);
		if (q->hinted)
			irq_update_affinity_hint(q->irq, cpumask_of(cpu));
		vmq_placement_log(q, why);
	}
	if (uplink->reg_state == NETREG_REGISTERED)
		sysfs_notify(&uplink->_rx[q->id].kobj, "vmq", "cpu_effective");
}

/* Nothing has changed when it fails. */
static int vmq_placement_move(struct vmq_queue *q, unsigned int cpu,
			      enum vmq_move why)
{
	int err;

	if (q->started) {
		err = vmq_placement_tell(q, cpu);
		if (err)
			return err;
		vmq_placement_kick(q, cpu);
	}
	q->told = q->started;
	q->unseated = false;
	vmq_placement_take(q, cpu, why);
	return 0;
}

/* The wanted CPU, else the seat as it is, else a substitute. */
static unsigned int vmq_placement_best(const struct vmq_queue *q)
{
	if (q->cpu_policy == VMQ_CPU_FREE)
		return VMQ_NO_CPU;
	if (vmq_cpus_fit(q->dev, q->cpu))
		return q->cpu;
	if (vmq_cpus_fit(q->dev, q->seat))
		return q->seat;
	return vmq_cpus_pick(q);
}

/*
 * Has somebody taken the interrupt away from its seat? The kernel does that,
 * too, when the seat goes offline, and then allows all others.
 */
static bool vmq_placement_strays(struct vmq_queue *q)
{
	const struct cpumask *cpus;
	struct irq_data *data;

	if (q->cpu_policy != VMQ_CPU_HINT || !q->told)
		return false;
	if (q->started && vmq_placement_is_pending(q))
		vmq_placement_kick(q, VMQ_NO_CPU);
	data = irq_get_irq_data(q->irq);
	if (!data)
		return false;
	cpus = irq_data_get_affinity_mask(data);
	if (cpumask_equal(cpus, cpumask_of(q->seat)))
		return false;
	return !q->unseated || cpumask_weight(cpus) == 1 ||
	       cpumask_test_cpu(q->seat, cpus);
}

/* Why a queue would have to get another seat now. */
enum vmq_move vmq_placement_why(const struct vmq_queue *q)
{
	return vmq_cpus_fit(q->dev, q->seat) ? VMQ_MOVE_ONLINE :
					       VMQ_MOVE_OFFLINE;
}

/* As new: strict, on the CPU that is best now. */
void vmq_placement_assign(struct vmq_queue *q)
{
	q->cpu_auto = true;
	WRITE_ONCE(q->cpu_policy, VMQ_CPU_STRICT);
	q->seat = VMQ_NO_CPU;
	WRITE_ONCE(q->cpu, vmq_cpus_pick(q));
	WRITE_ONCE(q->seat, q->cpu);
	WRITE_ONCE(q->cpu_moves, 0);
	q->told = false;
	q->unseated = false;
}

/* As it was before VMQ went off, if its CPU can still be had. */
void vmq_placement_revive(struct vmq_queue *q)
{
	unsigned int seat;

	if (q->cpu_policy == VMQ_CPU_FREE)
		return;
	if (q->cpu_auto && !vmq_cpus_fit(q->dev, q->cpu))
		WRITE_ONCE(q->cpu, vmq_cpus_pick(q));
	seat = vmq_placement_best(q);
	if (seat == q->seat || vmq_placement_strays(q))
		return;
	q->told = false;
	WRITE_ONCE(q->seat, seat);
}

/* What placement chose may not be used any more. */
static void vmq_placement_choose_again(struct vmq_queue *q)
{
	unsigned int cpu;

	if (!q->cpu_auto || cpumask_test_cpu(q->cpu, q->dev->cpus))
		return;
	cpu = vmq_cpus_pick(q);
	if (cpu == q->cpu)
		return;
	WRITE_ONCE(q->cpu, cpu);
	vmq_queue_announce(q, "cpu");
}

/* A free queue that got all CPUs, because its own are offline, is told again. */
static bool vmq_placement_is_final(const struct vmq_queue *q)
{
	return q->cpu_policy != VMQ_CPU_FREE ||
	       cpumask_intersects(q->dev->cpus, cpu_online_mask);
}

/* The kernel keeps it among the CPUs it was told, unless all are offline. */
static void vmq_placement_reseat_free(struct vmq_queue *q, enum vmq_move why)
{
	if (why == VMQ_MOVE_CPUS || !vmq_placement_is_final(q))
		q->told = false;
	if (!q->started || q->told)
		return;
	vmq_placement_move(q, VMQ_NO_CPU, why);
	q->told = vmq_placement_is_final(q);
}

static void vmq_placement_reseat_one(struct vmq_queue *q, enum vmq_move why)
{
	bool strays = vmq_placement_strays(q);
	bool lost = q->unseated;
	unsigned int seat;
	int err;

	q->unseated = false;
	if (strays) {
		/* A substitute's seat could be where the user has it. */
		if (vmq_cpus_fit(q->dev, q->cpu))
			vmq_placement_take(q, q->cpu, why);
		return;
	}
	seat = vmq_placement_best(q);
	if (seat == q->seat && !lost)
		return;
	err = vmq_placement_move(q, seat, why);
	/* One more: the kernel cleans up on the CPU that leaves. */
	if (q->started && why == VMQ_MOVE_OFFLINE)
		q->dev->ops->queue_kick(q->dev, q->id);
	if (err && net_ratelimit())
		netdev_warn(q->dev->uplink,
			    "the interrupt of queue %u cannot go to CPU %u (%d)\n",
			    q->id, seat, err);
}

/*
 * CPUs came or went, or others may be used: put a queue where it belongs, and
 * leave it alone when it is there. One that cannot be moved is tried again on
 * the next occasion.
 */
void vmq_placement_reseat(struct vmq_queue *q, enum vmq_move why)
{
	if (q->irq_shared)
		return;
	if (q->cpu_policy == VMQ_CPU_FREE) {
		vmq_placement_reseat_free(q, why);
		return;
	}
	if (!vmq_queue_is_allocated(q))
		return;
	vmq_placement_choose_again(q);
	vmq_placement_reseat_one(q, why);
}

/* Give a queue another wanted CPU, which can be used. */
int vmq_placement_set(struct vmq_queue *q, unsigned int cpu, enum vmq_move why)
{
	unsigned int wanted = q->cpu;
	int err;

	lockdep_assert_held(&q->dev->lock);
	WRITE_ONCE(q->cpu, cpu);
	if (q->started && q->seat == cpu && vmq_placement_is_at(q, cpu))
		return 0;
	err = vmq_placement_move(q, cpu, why);
	if (err)
		WRITE_ONCE(q->cpu, wanted);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_set);

/* A free queue has no CPU that could be remembered. */
int vmq_placement_set_policy(struct vmq_queue *q, enum vmq_cpu_policy policy)
{
	unsigned int wanted = q->cpu, seat = q->seat;
	int err = 0;

	lockdep_assert_held(&q->dev->lock);
	if (policy == q->cpu_policy)
		return 0;
	if (policy == VMQ_CPU_FREE)
		seat = VMQ_NO_CPU;
	else if (q->cpu_policy == VMQ_CPU_FREE)
		wanted = seat = vmq_cpus_pick(q);
	/* A hint does not move what is strict. */
	if (policy != VMQ_CPU_HINT || seat != q->seat)
		err = vmq_placement_move(q, seat, VMQ_MOVE_POLICY);
	if (err)
		return err;
	vmq_placement_unhint(q);
	vmq_placement_unlock_irq(q);
	WRITE_ONCE(q->cpu, wanted);
	q->cpu_auto |= policy == VMQ_CPU_FREE;
	WRITE_ONCE(q->cpu_policy, policy);
	if (q->started) {
		q->told = policy != VMQ_CPU_STRICT;
		vmq_placement_lock_irq(q);
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_set_policy);

/* Is the interrupt where a user left it, who may, and can it stay there? */
static bool vmq_placement_is_users(struct vmq_queue *q)
{
	const struct cpumask *cpus;
	struct irq_data *data;
	unsigned int cpu;

	data = irq_get_irq_data(q->irq);
	if (q->cpu_policy == VMQ_CPU_STRICT || !q->told || !data)
		return false;
	cpus = irq_data_get_affinity_mask(data);
	if (q->cpu_policy == VMQ_CPU_HINT ? !vmq_placement_strays(q) :
	    cpumask_equal(cpus, vmq_placement_mask(q, VMQ_NO_CPU)))
		return false;
	for_each_cpu(cpu, cpus)
		if (vmq_cpus_usable(q->dev, cpu))
			return true;
	return false;
}

/*
 * Bind the interrupt before it is requested: an interrupt that nobody may
 * balance is not given its affinity at startup, so the flag comes after, in
 * vmq_placement_lock_irq().
 */
void vmq_placement_pin(struct vmq_queue *q)
{
	unsigned int seat;

	if (q->irq_shared)
		return;
	q->told = vmq_placement_is_users(q);
	if (q->told)
		return;
	vmq_placement_choose_again(q);
	seat = vmq_placement_best(q);
	if (seat != q->seat)
		vmq_placement_take(q, seat, vmq_placement_why(q));
	q->unseated = false;
	vmq_placement_tell(q, seat);
}

/*
 * The interrupt, which is requested, goes where it was told unless an affinity
 * of before waited for the next one. And the kernel has made the affinity of a
 * free one smaller: without CPUs that are offline, or far.
 */
static void vmq_placement_settle(struct vmq_queue *q)
{
	bool told = q->told;

	q->told = vmq_placement_is_final(q);
	if (!told && (q->cpu_policy == VMQ_CPU_FREE ||
		      !vmq_placement_is_at(q, q->seat))) {
		if (!vmq_placement_tell(q, q->seat))
			vmq_placement_kick(q, q->seat);
	} else if (vmq_placement_is_pending(q)) {
		vmq_placement_kick(q, VMQ_NO_CPU);
	}
}

/* From here on nobody outside the driver moves a strict queue's interrupt. */
void vmq_placement_lock_irq(struct vmq_queue *q)
{
	if (q->irq_shared)
		return;
	if (q->cpu_policy == VMQ_CPU_STRICT) {
		irq_modify_status(q->irq, 0, IRQ_NO_BALANCING);
		q->pinned = true;
	} else if (q->cpu_policy == VMQ_CPU_HINT) {
		irq_update_affinity_hint(q->irq, cpumask_of(q->seat));
		q->hinted = true;
	}
	vmq_placement_settle(q);
}

/* Before the interrupt is freed, which complains of a hint. */
void vmq_placement_unhint(struct vmq_queue *q)
{
	if (q->hinted)
		irq_update_affinity_hint(q->irq, NULL);
	q->hinted = false;
}

void vmq_placement_unlock_irq(struct vmq_queue *q)
{
	if (!q->pinned)
		return;
	irq_modify_status(q->irq, IRQ_NO_BALANCING, 0);
	q->pinned = false;
}
