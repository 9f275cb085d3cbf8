// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dynamic placement: what the polls of queues take is measured, vmq_balance.c
 * decides by that, and the vectors move. Those of queues that share a vector
 * count as one.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/math64.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include "vmq_balance.h"
#include "vmq_priv.h"

#define VMQ_DYNAMIC_ROUND	msecs_to_jiffies(VMQ_BALANCE_ROUND_MS)

/**
 * struct vmq_dynamic - there while the mode is dynamic; under vmq_dev.lock
 * @balance: a queue in it is a vector of ours
 * @busy: vmq_queue.busy as of the last round, by queue
 * @at: when that was, in ns
 * @home: the CPU where idle queues are
 * @cpus: candidates of this round, the home first
 */
struct vmq_dynamic {
	struct vmq_balance balance;
	unsigned long busy[VMQ_MAX_QUEUES];
	u64 at;
	unsigned int home;
	unsigned int cpus[];
};

static const u8 vmq_dynamic_why[] = {
	[VMQ_BALANCE_EVICT]	= VMQ_MOVE_CPUS,
	[VMQ_BALANCE_SPREAD]	= VMQ_MOVE_SPREAD,
	[VMQ_BALANCE_GATHER]	= VMQ_MOVE_GATHER,
};

/* The CPU whose queues share a vector: they are idle, one interrupt is enough. */
bool vmq_dynamic_is_home(const struct vmq_dev *dev, unsigned int cpu)
{
	return dev->dynamic && dev->dynamic->home == cpu;
}

/* Permille of a CPU that a queue's polls took since the last round. */
static u16 vmq_dynamic_measure(struct vmq_queue *q, u64 elapsed)
{
	unsigned long *last = &q->dev->dynamic->busy[q->id];
	unsigned long busy = READ_ONCE(q->busy);
	u64 load;

	load = div64_u64((u64)(busy - *last) * 1000, max(elapsed, 1ULL));
	*last = busy;
	/* What a poll of the round before took is told at its end, too. */
	load = min(load, 1000ULL);
	WRITE_ONCE(q->cpu_load, load);
	return load;
}

static u16 vmq_dynamic_place(const struct vmq_dynamic *d, unsigned int cpu)
{
	u16 at;

	for (at = 0; at < d->balance.nr_cpus; at++)
		if (d->cpus[at] == cpu)
			return at;
	return VMQ_BALANCE_NOWHERE;
}

/* Where a user or the kernel has a say, nothing is moved by load. */
static bool vmq_dynamic_may_move(const struct vmq_vector *v)
{
	return v->cpu_auto && !v->irq_shared &&
	       v->cpu_policy == VMQ_CPU_STRICT &&
	       vmq_vector_is_allocated(v, NULL);
}

static void vmq_dynamic_fill(struct vmq_dev *dev, u64 elapsed)
{
	struct vmq_dynamic *d = dev->dynamic;
	struct vmq_balance_queue *b;
	u16 i;

	for (i = 0; i < vmq_dev_vectors(dev); i++) {
		b = &d->balance.queues[i];
		b->load = 0;
		b->cpu = vmq_dynamic_place(d, dev->vectors[i].seat);
		b->movable = vmq_dynamic_may_move(&dev->vectors[i]);
	}
	for (i = 0; i < dev->caps->pools; i++) {
		b = &d->balance.queues[dev->queues[i].vector->id];
		b->load = min(b->load +
			      vmq_dynamic_measure(&dev->queues[i], elapsed),
			      1000);
	}
}

static void vmq_dynamic_move(struct vmq_dev *dev)
{
	struct vmq_dynamic *d = dev->dynamic;
	const struct vmq_balance_queue *b;
	struct vmq_vector *v;
	int err;
	u16 i;

	for (i = 0; i < vmq_dev_vectors(dev); i++) {
		b = &d->balance.queues[i];
		if (b->why == VMQ_BALANCE_STAY)
			continue;
		v = &dev->vectors[i];
		err = vmq_placement_set(v, d->cpus[b->to],
					vmq_dynamic_why[b->why]);
		/* It is where it was, and the next round sees that. */
		if (err && net_ratelimit())
			netdev_warn(dev->uplink,
				    "the interrupt of queue %u cannot go to CPU %u (%d)\n",
				    v->id, d->cpus[b->to], err);
		else if (!err)
			vmq_vector_announce(v, "cpu");
	}
}

/* CPUs come, go and are allowed or not, from one round to the next. */
static bool vmq_dynamic_list_cpus(struct vmq_dev *dev)
{
	struct vmq_dynamic *d = dev->dynamic;

	d->balance.nr_cpus = vmq_cpus_list(dev, d->cpus);
	if (!d->balance.nr_cpus)
		return false;
	if (d->home != d->cpus[0]) {
		d->home = d->cpus[0];
		vmq_vector_regroup(dev);
	}
	return true;
}

/* One round, @elapsed ns after the last one; rtnl and vmq_dev.lock held. */
void vmq_dynamic_round(struct vmq_dev *dev, u64 elapsed)
{
	lockdep_assert_held(&dev->lock);
	if (!vmq_dynamic_list_cpus(dev))
		return;
	vmq_dynamic_fill(dev, elapsed);
	if (vmq_balance_round(&dev->dynamic->balance))
		vmq_dynamic_move(dev);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_dynamic_round);

/*
 * Waits for rtnl: whoever only tried could be kept from it for good, by a
 * container that makes and deletes interfaces. What comes late measures for
 * longer.
 */
static void vmq_dynamic_work(struct work_struct *work)
{
	struct vmq_dev *dev = container_of(to_delayed_work(work),
					   struct vmq_dev, balance);
	bool again;
	u64 now;

	rtnl_lock();
	mutex_lock(&dev->lock);
	again = dev->dynamic;
	if (again) {
		now = ktime_get_ns();
		vmq_dynamic_round(dev, now - dev->dynamic->at);
		dev->dynamic->at = now;
	}
	mutex_unlock(&dev->lock);
	rtnl_unlock();
	if (again)
		queue_delayed_work(system_unbound_wq, &dev->balance,
				   VMQ_DYNAMIC_ROUND);
}

void vmq_dynamic_init(struct vmq_dev *dev)
{
	INIT_DELAYED_WORK(&dev->balance, vmq_dynamic_work);
}

static struct vmq_dynamic *vmq_dynamic_alloc(u16 vectors)
{
	struct vmq_dynamic *d;

	d = kzalloc(struct_size(d, cpus, nr_cpu_ids), GFP_KERNEL);
	if (!d)
		return NULL;
	vmq_balance_init(&d->balance, vectors);
	d->balance.load = kcalloc(nr_cpu_ids, sizeof(*d->balance.load),
				  GFP_KERNEL);
	if (!d->balance.load) {
		kfree(d);
		return NULL;
	}
	return d;
}

static void vmq_dynamic_free(struct vmq_dynamic *d)
{
	if (d)
		kfree(d->balance.load);
	kfree(d);
}

/* No lock held: the work takes rtnl. */
void vmq_dynamic_fini(struct vmq_dev *dev)
{
	cancel_delayed_work_sync(&dev->balance);
	vmq_dynamic_free(dev->dynamic);
	dev->dynamic = NULL;
}

/* From now on new queues are at home, and the others move as load says. */
static int vmq_dynamic_begin(struct vmq_dev *dev)
{
	struct vmq_dynamic *d = vmq_dynamic_alloc(vmq_dev_vectors(dev));
	u16 i;

	if (!d)
		return -ENOMEM;
	d->home = VMQ_NO_CPU;
	d->at = ktime_get_ns();
	for (i = 0; i < dev->caps->pools; i++)
		d->busy[i] = READ_ONCE(dev->queues[i].busy);
	dev->dynamic = d;
	WRITE_ONCE(dev->measure, true);
	vmq_dynamic_list_cpus(dev);
	queue_delayed_work(system_unbound_wq, &dev->balance, VMQ_DYNAMIC_ROUND);
	return 0;
}

/* Each of placement's own gets the CPU that it would have had. */
static void vmq_dynamic_spread(struct vmq_dev *dev)
{
	struct vmq_vector *v;
	u16 i;

	for (i = 0; i < vmq_dev_vectors(dev); i++) {
		v = &dev->vectors[i];
		if (!vmq_dynamic_may_move(v) ||
		    vmq_placement_set(v, vmq_cpus_pick(v), VMQ_MOVE_AUTO))
			continue;
		vmq_vector_announce(v, "cpu");
	}
}

/* The work, if it waits for the lock, finds nothing and ends. */
static void vmq_dynamic_end(struct vmq_dev *dev)
{
	struct vmq_dynamic *d = dev->dynamic;

	cancel_delayed_work(&dev->balance);
	WRITE_ONCE(dev->measure, false);
	dev->dynamic = NULL;
	vmq_dynamic_spread(dev);
	vmq_vector_regroup(dev);
	vmq_dynamic_free(d);
}

int vmq_dynamic_set_locked(struct vmq_dev *dev, bool dynamic,
			   struct netlink_ext_ack *extack)
{
	lockdep_assert_held(&dev->lock);
	if (dynamic && !vmq_dev_has_vmq(dev))
		return vmq_queue_check_vmq(dev, extack);
	if (dynamic == !!dev->dynamic)
		return 0;
	if (!dynamic)
		vmq_dynamic_end(dev);
	else if (vmq_dynamic_begin(dev))
		return vmq_refuse(dev, extack, -ENOMEM, "no memory");
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_dynamic_set_locked);
