// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU of a queue is that of its vector. The wanted CPU is the user's, or the
 * best one when it was chosen; its seat is what the interrupt is told, which
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
#include <trace/events/vmq.h>
#include "vmq_priv.h"

/* With the pauses between them, at least ten ticks of any kernel. */
#define VMQ_PLACEMENT_KICKS	20

static int vmq_placement_irq_cpu(const struct vmq_vector *v)
{
	struct irq_data *data = irq_get_irq_data(v->irq);
	unsigned int cpu;

	if (!data)
		return -1;
	cpu = cpumask_first(irq_data_get_effective_affinity_mask(data));
	return cpu < nr_cpu_ids ? (int)cpu : -1;
}

/* The CPU that the interrupt really goes to, or -1 while it goes nowhere. */
int vmq_placement_effective(const struct vmq_queue *q)
{
	return READ_ONCE(q->started) ?
	       vmq_placement_irq_cpu(READ_ONCE(q->line)) : -1;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_effective);

/* The CPU that has the work of its queues, for who counts it; or VMQ_NO_CPU. */
unsigned int vmq_placement_serves(const struct vmq_vector *v)
{
	int cpu = -1;

	if (v->cpu_policy != VMQ_CPU_STRICT && v->users)
		cpu = vmq_placement_irq_cpu(v);
	return cpu < 0 ? v->seat : cpu;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_serves);

/* Is there a change of affinity that waits for the next interrupt? */
static bool vmq_placement_is_pending(const struct vmq_vector *v)
{
	struct irq_data *data = irq_get_irq_data(v->irq);

	return data && irqd_is_setaffinity_pending(data);
}

static bool vmq_placement_is_at(const struct vmq_vector *v, unsigned int cpu)
{
	return !vmq_placement_is_pending(v) &&
	       (cpu == VMQ_NO_CPU || vmq_placement_irq_cpu(v) == cpu);
}

/*
 * On x86 without interrupt remapping an MSI-X vector moves only when it next
 * fires, so fire it. One that has just moved refuses until its old place is
 * cleaned up, a tick later, and then waits for one more: fire it again.
 */
static void vmq_placement_kick(struct vmq_vector *v, unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < VMQ_PLACEMENT_KICKS; i++) {
		vmq_vector_kick(v);
		if (vmq_placement_is_at(v, cpu))
			return;
		usleep_range(2000, 4000);
	}
}

/* VMQ_NO_CPU: any that queues may use. CPUs that are offline now count later. */
static const struct cpumask *vmq_placement_mask(const struct vmq_vector *v,
						unsigned int cpu)
{
	if (cpu != VMQ_NO_CPU)
		return cpumask_of(cpu);
	return cpumask_intersects(v->dev->cpus, cpu_online_mask) ?
	       v->dev->cpus : cpu_possible_mask;
}

/* A kernel for one CPU has nothing to move, and would say that it cannot. */
static int vmq_placement_tell(struct vmq_vector *v, unsigned int cpu)
{
	if (!IS_ENABLED(CONFIG_SMP))
		return 0;
	return irq_set_affinity(v->irq, vmq_placement_mask(v, cpu));
}

static void vmq_placement_log(const struct vmq_vector *v, enum vmq_move why)
{
	if (v->cpu == v->seat && why == VMQ_MOVE_ONLINE && net_ratelimit())
		netdev_info(v->dev->uplink, "queue %u is on CPU %u again\n",
			    v->id, v->seat);
	else if (v->cpu != v->seat && v->seat != VMQ_NO_CPU && net_ratelimit())
		netdev_info(v->dev->uplink,
			    "queue %u is on CPU %u while CPU %u is offline\n",
			    v->id, v->seat, v->cpu);
}

/* The queue's seat, which was @from, is another one; its interrupt knows it. */
static void vmq_placement_tell_all(struct vmq_vector *v, unsigned int from,
				   enum vmq_move why)
{
	unsigned int cpu = v->seat;

	if (cpu != from) {
		trace_vmq_placement_move(v, from, cpu, why);
		if (cpu != VMQ_NO_CPU)
			WRITE_ONCE(v->cpu_moves, v->cpu_moves + 1);
		if (v->hinted && cpu != VMQ_NO_CPU)
			irq_update_affinity_hint(v->irq, cpumask_of(cpu));
		vmq_placement_log(v, why);
	}
	vmq_vector_notify(v);
}

/* The same of one whose interrupt will be told, or is where it is. */
static void vmq_placement_take(struct vmq_vector *v, unsigned int cpu,
			       enum vmq_move why)
{
	unsigned int from = v->seat;

	WRITE_ONCE(v->seat, cpu);
	vmq_placement_tell_all(v, from, why);
}

/*
 * The seat first: queues that only share the interrupt get another one before
 * it moves, and a poll that never ends sees that its place is elsewhere. Nothing
 * has changed when it fails.
 */
static int vmq_placement_move(struct vmq_vector *v, unsigned int cpu,
			      enum vmq_move why)
{
	unsigned int from = v->seat;
	int err;

	WRITE_ONCE(v->seat, cpu);
	vmq_vector_regroup(v->dev);
	if (v->users) {
		err = vmq_placement_tell(v, cpu);
		if (err)
			goto back;
		vmq_placement_kick(v, cpu);
	}
	v->told = !!v->users;
	v->unseated = false;
	vmq_placement_tell_all(v, from, why);
	return 0;

back:
	WRITE_ONCE(v->seat, from);
	vmq_vector_regroup(v->dev);
	return err;
}

/* The wanted CPU, else the seat as it is, else a substitute. */
static unsigned int vmq_placement_best(const struct vmq_vector *v)
{
	if (v->cpu_policy == VMQ_CPU_FREE)
		return VMQ_NO_CPU;
	if (vmq_cpus_fit(v->dev, v->cpu))
		return v->cpu;
	if (vmq_cpus_fit(v->dev, v->seat))
		return v->seat;
	return vmq_cpus_pick(v);
}

/*
 * Has somebody taken the interrupt away from its seat? The kernel does that,
 * too, when the seat goes offline, and then allows all others.
 */
static bool vmq_placement_strays(struct vmq_vector *v)
{
	const struct cpumask *cpus;
	struct irq_data *data;

	if (v->cpu_policy != VMQ_CPU_HINT || !v->told)
		return false;
	if (v->users && vmq_placement_is_pending(v))
		vmq_placement_kick(v, VMQ_NO_CPU);
	data = irq_get_irq_data(v->irq);
	if (!data)
		return false;
	cpus = irq_data_get_affinity_mask(data);
	if (cpumask_equal(cpus, cpumask_of(v->seat)))
		return false;
	return !v->unseated || cpumask_weight(cpus) == 1 ||
	       cpumask_test_cpu(v->seat, cpus);
}

/* Why a queue would have to get another seat now. */
enum vmq_move vmq_placement_why(const struct vmq_vector *v)
{
	return vmq_cpus_fit(v->dev, v->seat) ? VMQ_MOVE_ONLINE :
					       VMQ_MOVE_OFFLINE;
}

/* As new: strict, on the CPU that is best now. Unless others are on it. */
void vmq_placement_assign(struct vmq_queue *q)
{
	struct vmq_vector *v = q->vector;

	if (vmq_vector_is_allocated(v, q))
		return;
	v->cpu_auto = true;
	WRITE_ONCE(v->cpu_policy, VMQ_CPU_STRICT);
	v->seat = VMQ_NO_CPU;
	WRITE_ONCE(v->cpu, vmq_cpus_pick(v));
	WRITE_ONCE(v->seat, v->cpu);
	WRITE_ONCE(v->cpu_moves, 0);
	v->told = false;
	v->unseated = false;
}

/* As it was before VMQ went off, if its CPU can still be had. */
void vmq_placement_revive(struct vmq_queue *q)
{
	struct vmq_vector *v = q->vector;
	unsigned int seat;

	if (vmq_vector_is_allocated(v, q) || v->cpu_policy == VMQ_CPU_FREE)
		return;
	if (v->cpu_auto && !vmq_cpus_fit(v->dev, v->cpu))
		WRITE_ONCE(v->cpu, vmq_cpus_pick(v));
	seat = vmq_placement_best(v);
	if (seat == v->seat || vmq_placement_strays(v))
		return;
	v->told = false;
	WRITE_ONCE(v->seat, seat);
}

/* What placement chose may not be used any more. */
static void vmq_placement_choose_again(struct vmq_vector *v)
{
	unsigned int cpu;

	if (!v->cpu_auto)
		return;
	/* In dynamic mode nothing has to come back. */
	if (v->dev->dynamic ? vmq_cpus_fit(v->dev, v->cpu) :
			      cpumask_test_cpu(v->cpu, v->dev->cpus))
		return;
	cpu = vmq_cpus_pick(v);
	if (cpu == v->cpu)
		return;
	WRITE_ONCE(v->cpu, cpu);
	vmq_vector_announce(v, "cpu");
}

/* A free queue that got all CPUs, because its own are offline, is told again. */
static bool vmq_placement_is_final(const struct vmq_vector *v)
{
	return v->cpu_policy != VMQ_CPU_FREE ||
	       cpumask_intersects(v->dev->cpus, cpu_online_mask);
}

/* The kernel keeps it among the CPUs it was told, unless all are offline. */
static void vmq_placement_reseat_free(struct vmq_vector *v, enum vmq_move why)
{
	if (why == VMQ_MOVE_CPUS || !vmq_placement_is_final(v))
		v->told = false;
	if (!v->users || v->told)
		return;
	vmq_placement_move(v, VMQ_NO_CPU, why);
	v->told = vmq_placement_is_final(v);
}

static void vmq_placement_reseat_one(struct vmq_vector *v, enum vmq_move why)
{
	bool strays = vmq_placement_strays(v);
	bool lost = v->unseated;
	unsigned int seat;
	int err;

	v->unseated = false;
	if (strays) {
		/* A substitute's seat could be where the user has it. */
		if (vmq_cpus_fit(v->dev, v->cpu))
			vmq_placement_take(v, v->cpu, why);
		return;
	}
	seat = vmq_placement_best(v);
	if (seat == v->seat && !lost)
		return;
	err = vmq_placement_move(v, seat, why);
	/* One more: the kernel cleans up on the CPU that leaves. */
	if (v->users && why == VMQ_MOVE_OFFLINE)
		vmq_vector_kick(v);
	if (err && net_ratelimit())
		netdev_warn(v->dev->uplink,
			    "the interrupt of queue %u cannot go to CPU %u (%d)\n",
			    v->id, seat, err);
}

/*
 * CPUs came or went, or others may be used: put a queue where it belongs, and
 * leave it alone when it is there. One that cannot be moved is tried again on
 * the next occasion.
 */
void vmq_placement_reseat(struct vmq_vector *v, enum vmq_move why)
{
	if (v->irq_shared)
		return;
	if (v->cpu_policy == VMQ_CPU_FREE) {
		vmq_placement_reseat_free(v, why);
		return;
	}
	if (!vmq_vector_is_allocated(v, NULL))
		return;
	vmq_placement_choose_again(v);
	vmq_placement_reseat_one(v, why);
}

/* Give a queue another wanted CPU, which can be used. */
int vmq_placement_set(struct vmq_vector *v, unsigned int cpu, enum vmq_move why)
{
	unsigned int wanted = v->cpu;
	int err;

	lockdep_assert_held(&v->dev->lock);
	WRITE_ONCE(v->cpu, cpu);
	if (v->users && v->seat == cpu && vmq_placement_is_at(v, cpu))
		return 0;
	err = vmq_placement_move(v, cpu, why);
	if (err)
		WRITE_ONCE(v->cpu, wanted);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_set);

/* A free queue has no CPU that could be remembered. */
int vmq_placement_set_policy(struct vmq_vector *v, enum vmq_cpu_policy policy)
{
	unsigned int wanted = v->cpu, seat = v->seat;
	int err = 0;

	lockdep_assert_held(&v->dev->lock);
	if (policy == v->cpu_policy)
		return 0;
	if (policy == VMQ_CPU_FREE)
		seat = VMQ_NO_CPU;
	else if (v->cpu_policy == VMQ_CPU_FREE)
		wanted = vmq_cpus_pick(v);
	if (policy != VMQ_CPU_FREE && v->cpu_policy == VMQ_CPU_FREE)
		seat = wanted;
	/* A hint does not move what is strict. */
	if (policy != VMQ_CPU_HINT || seat != v->seat)
		err = vmq_placement_move(v, seat, VMQ_MOVE_POLICY);
	if (err)
		return err;
	vmq_placement_unhint(v);
	vmq_placement_unlock_irq(v);
	WRITE_ONCE(v->cpu, wanted);
	v->cpu_auto |= policy == VMQ_CPU_FREE;
	WRITE_ONCE(v->cpu_policy, policy);
	if (v->users) {
		v->told = policy != VMQ_CPU_STRICT;
		vmq_placement_lock_irq(v);
	}
	vmq_vector_regroup(v->dev);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_placement_set_policy);

/* Is the interrupt where a user left it, who may, and can it stay there? */
static bool vmq_placement_is_users(struct vmq_vector *v)
{
	const struct cpumask *cpus;
	struct irq_data *data;
	unsigned int cpu;

	data = irq_get_irq_data(v->irq);
	if (v->cpu_policy == VMQ_CPU_STRICT || !v->told || !data)
		return false;
	cpus = irq_data_get_affinity_mask(data);
	if (v->cpu_policy == VMQ_CPU_HINT ? !vmq_placement_strays(v) :
	    cpumask_equal(cpus, vmq_placement_mask(v, VMQ_NO_CPU)))
		return false;
	for_each_cpu(cpu, cpus)
		if (vmq_cpus_usable(v->dev, cpu))
			return true;
	return false;
}

/*
 * Bind the interrupt before it is requested: an interrupt that nobody may
 * balance is not given its affinity at startup, so the flag comes after, in
 * vmq_placement_lock_irq().
 */
void vmq_placement_pin(struct vmq_vector *v)
{
	unsigned int seat;

	if (v->irq_shared)
		return;
	v->told = vmq_placement_is_users(v);
	if (v->told)
		return;
	vmq_placement_choose_again(v);
	seat = vmq_placement_best(v);
	if (seat != v->seat)
		vmq_placement_take(v, seat, vmq_placement_why(v));
	v->unseated = false;
	vmq_placement_tell(v, seat);
}

/*
 * The interrupt, which is requested, goes where it was told unless an affinity
 * of before waited for the next one. And the kernel has made the affinity of a
 * free one smaller: without CPUs that are offline, or far.
 */
static void vmq_placement_settle(struct vmq_vector *v)
{
	bool told = v->told;

	v->told = vmq_placement_is_final(v);
	if (!told && (v->cpu_policy == VMQ_CPU_FREE ||
		      !vmq_placement_is_at(v, v->seat))) {
		if (!vmq_placement_tell(v, v->seat))
			vmq_placement_kick(v, v->seat);
	} else if (vmq_placement_is_pending(v)) {
		vmq_placement_kick(v, VMQ_NO_CPU);
	}
}

/* From here on nobody outside the driver moves a strict queue's interrupt. */
void vmq_placement_lock_irq(struct vmq_vector *v)
{
	if (v->irq_shared)
		return;
	if (v->cpu_policy == VMQ_CPU_STRICT) {
		irq_modify_status(v->irq, 0, IRQ_NO_BALANCING);
		v->pinned = true;
	} else if (v->cpu_policy == VMQ_CPU_HINT) {
		irq_update_affinity_hint(v->irq, cpumask_of(v->seat));
		v->hinted = true;
	}
	vmq_placement_settle(v);
}

/* A strict one belongs to its seat, the others where they were sent last. */
bool vmq_queue_is_away(const struct vmq_queue *q)
{
	const struct vmq_vector *v = READ_ONCE(q->line);
	unsigned int cpu = smp_processor_id();
	struct irq_data *data;

	if (v->irq_shared)
		return false;
	if (READ_ONCE(v->cpu_policy) == VMQ_CPU_STRICT)
		return READ_ONCE(v->seat) != cpu;
	data = irq_get_irq_data(v->irq);
	return data && (irqd_is_setaffinity_pending(data) ||
			!cpumask_test_cpu(cpu,
				irq_data_get_effective_affinity_mask(data)));
}
EXPORT_SYMBOL_GPL(vmq_queue_is_away);

/* Before the interrupt is freed, which complains of a hint. */
void vmq_placement_unhint(struct vmq_vector *v)
{
	if (v->hinted)
		irq_update_affinity_hint(v->irq, NULL);
	v->hinted = false;
}

void vmq_placement_unlock_irq(struct vmq_vector *v)
{
	if (!v->pinned)
		return;
	irq_modify_status(v->irq, IRQ_NO_BALANCING, 0);
	v->pinned = false;
}
