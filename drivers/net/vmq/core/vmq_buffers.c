// SPDX-License-Identifier: GPL-2.0-only
/* How many frames a queue's receive ring can hold, changed while it runs. */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/log2.h>
#include "vmq_priv.h"

/* What is asked for is a hint: the nearest number that the NIC can have. */
u32 vmq_buffers_fit(const struct vmq_hw_caps *caps, u32 wanted)
{
	u32 up;

	wanted = clamp(wanted, caps->buffers_min, caps->buffers_max);
	up = roundup_pow_of_two(wanted);
	return up - wanted <= wanted - up / 2 ? up : up / 2;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_buffers_fit);

/* Its frames come by queue 0, or by its own ring again. */
static void vmq_buffers_park(struct vmq_queue *q, bool parked)
{
	q->parked = parked;
	if (!q->nr_filters)
		return;
	vmq_shift_replan(q->dev);
	vmq_shift_settle(q->dev);
}

static int vmq_buffers_change_ring(struct vmq_queue *q,
				   struct netlink_ext_ack *extack)
{
	struct vmq_dev *dev = q->dev;
	/* There is no old ring: an earlier change left none. */
	bool dead = q->parked;
	int err;

	vmq_buffers_park(q, true);
	if (!dead)
		vmq_queue_run_dry(q);
	err = !dead && q->undrained ? -EBUSY :
				      dev->ops->queue_resize(dev, q->id);
	/* Parked it stays: queue 0 has its frames. */
	if (err == -EIO || (err && dead))
		return vmq_refuse(dev, extack, -EIO,
				  "the ring of queue %u does not start again, set the uplink down and up",
				  q->id);
	vmq_buffers_park(q, false);
	if (err)
		return vmq_refuse(dev, extack, err, "another ring: %s",
				  err == -EBUSY ? "this one does not run dry" :
						  vmq_queue_up_reason(err));
	return 0;
}

/*
 * @wanted: descriptors, or 0 for as many as the other queues have. A queue
 * without rings gets the number with them.
 */
int vmq_buffers_set_locked(struct vmq_queue *q, u32 wanted,
			   struct netlink_ext_ack *extack)
{
	u32 old = q->buffers, before = vmq_queue_buffers(q);
	int err;

	lockdep_assert_held(&q->dev->lock);
	if (!q->id)
		return vmq_refuse(q->dev, extack, -EOPNOTSUPP,
				  "queue 0 has as many as ethtool -G says");
	if (wanted)
		wanted = vmq_buffers_fit(q->dev->caps, wanted);
	WRITE_ONCE(q->buffers, wanted);
	if (!q->started || (vmq_queue_buffers(q) == before && !q->parked))
		return 0;
	err = vmq_buffers_change_ring(q, extack);
	if (err)
		WRITE_ONCE(q->buffers, old);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_buffers_set_locked);
