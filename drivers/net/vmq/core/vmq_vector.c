// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which queue uses which vector. A queue's own vector has its CPU and its
 * policy. Its line is the interrupt that it uses: that vector's, or, when queues
 * on one CPU shall share, that of the lowest queue there. An interrupt is
 * requested as long as somebody uses it, and placed then.
 */
#include <kunit/visibility.h>
#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <net/netdev_rx_queue.h>
#include "vmq_priv.h"

int vmq_vector_init(struct vmq_dev *dev)
{
	u16 i, n = vmq_dev_vectors(dev);
	struct vmq_vector *v;

	dev->vectors = kcalloc(n, sizeof(*dev->vectors), GFP_KERNEL);
	if (!dev->vectors)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		dev->vectors[i].dev = dev;
		dev->vectors[i].id = i;
	}
	for (i = 0; i < dev->caps->pools; i++) {
		v = &dev->vectors[i % n];
		dev->queues[i].vector = v;
		dev->queues[i].line = v;
	}
	return 0;
}

/* Has a queue other than @except the CPU of this vector? */
bool vmq_vector_is_allocated(const struct vmq_vector *v,
			     const struct vmq_queue *except)
{
	const struct vmq_queue *q;
	u16 i;

	for (i = 0; i < v->dev->caps->pools; i++) {
		q = &v->dev->queues[i];
		if (q->vector == v && q != except && vmq_queue_is_allocated(q))
			return true;
	}
	return false;
}

void vmq_vector_announce(struct vmq_vector *v, const char *file)
{
	u16 i;

	for (i = 0; i < v->dev->caps->pools; i++)
		if (v->dev->queues[i].vector == v)
			vmq_queue_announce(&v->dev->queues[i], file);
}

/* The interrupt has moved: tell who polls that file of its queues. */
void vmq_vector_notify(struct vmq_vector *v)
{
	struct net_device *uplink = v->dev->uplink;
	u16 i;

	if (uplink->reg_state != NETREG_REGISTERED)
		return;
	for (i = 0; i < v->dev->caps->pools; i++)
		if (v->dev->queues[i].line == v)
			sysfs_notify(&uplink->_rx[i].kobj, "vmq",
				     "cpu_effective");
}

/* Any of its queues raises the interrupt of all. */
void vmq_vector_kick(struct vmq_vector *v)
{
	if (v->users)
		v->dev->ops->queue_kick(v->dev, __ffs64(v->users));
}

/* The queue, whose rings start, is on its own vector. */
int vmq_vector_attach(struct vmq_queue *q)
{
	struct vmq_vector *v = q->line;
	bool first = !v->users;
	int err;

	if (first)
		vmq_placement_pin(v);
	err = q->dev->ops->queue_start(q->dev, q->id);
	if (err)
		return err;
	v->users |= BIT_ULL(q->id);
	WRITE_ONCE(q->started, true);
	if (first) {
		vmq_placement_lock_irq(v);
		return 0;
	}
	/* Another queue did not get away from it, and it was placed anew since. */
	q->dev->ops->queue_named(q->dev, q->id);
	if (!v->told) {
		vmq_placement_unhint(v);
		vmq_placement_unlock_irq(v);
		vmq_placement_lock_irq(v);
	}
	return 0;
}

/* Its rings stop, and the interrupt is freed after the last one's. */
void vmq_vector_detach(struct vmq_queue *q)
{
	struct vmq_vector *v = q->line;

	WRITE_ONCE(q->started, false);
	v->users &= ~BIT_ULL(q->id);
	if (!v->users)
		vmq_placement_unhint(v);
	q->dev->ops->queue_stop(q->dev, q->id);
	if (!v->users)
		vmq_placement_unlock_irq(v);
	WRITE_ONCE(q->line, q->vector);
}

static bool vmq_vector_may_share(const struct vmq_queue *q)
{
	return q->started && !q->vector->irq_shared &&
	       q->vector->cpu_policy == VMQ_CPU_STRICT;
}

/* The vector whose interrupt a queue should use. */
static struct vmq_vector *vmq_vector_line(const struct vmq_queue *q)
{
	struct vmq_queue *lower = q->dev->queues;

	if (!vmq_vector_may_share(q) ||
	    (!q->dev->coalesce &&
	     !vmq_dynamic_is_home(q->dev, q->vector->seat)))
		return q->vector;
	while (!vmq_vector_may_share(lower) ||
	       lower->vector->seat != q->vector->seat)
		lower++;
	return lower->vector;
}

/*
 * While the queue is held its ring goes on filling, and what is in it waits for
 * the poll after that: the old interrupt is not needed any more, the new one not
 * yet.
 */
static int vmq_vector_switch(struct vmq_queue *q, struct vmq_vector *to)
{
	const struct vmq_hw_ops *ops = q->dev->ops;
	struct vmq_vector *from = q->line;
	bool first = !to->users;
	int err;

	if (first)
		vmq_placement_pin(to);
	if (from->users == BIT_ULL(q->id))
		vmq_placement_unhint(from);
	ops->queue_hold(q->dev, q->id);
	err = ops->queue_vector(q->dev, q->id, to->id);
	if (!err) {
		from->users &= ~BIT_ULL(q->id);
		to->users |= BIT_ULL(q->id);
		WRITE_ONCE(q->line, to);
	}
	ops->queue_release(q->dev, q->id);
	if (err) {
		vmq_placement_lock_irq(from);
		return err;
	}
	if (!from->users)
		vmq_placement_unlock_irq(from);
	if (first)
		vmq_placement_lock_irq(to);
	vmq_vector_notify(to);
	return 0;
}

/*
 * Seats, policies or rings have changed. A queue that gets no interrupt of its
 * own keeps the one it has, on whatever CPU, and is tried again the next time.
 */
void vmq_vector_regroup(struct vmq_dev *dev)
{
	struct vmq_queue *q;
	int err;
	u16 i;

	lockdep_assert_held(&dev->lock);
	if (!dev->open)
		return;
	for (i = 0; i < dev->caps->pools; i++) {
		q = &dev->queues[i];
		if (!q->started || q->line == vmq_vector_line(q))
			continue;
		err = vmq_vector_switch(q, vmq_vector_line(q));
		if (err && net_ratelimit())
			netdev_warn(dev->uplink,
				    "queue %u keeps the interrupt of queue %u (%d)\n",
				    q->id, q->line->id, err);
	}
}
EXPORT_SYMBOL_IF_KUNIT(vmq_vector_regroup);
