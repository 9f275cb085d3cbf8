// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMQ off and on, live. While it is off queue 0 serves everybody: ports give
 * their queues back, and the administrator's are remembered until it is on.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/rtnetlink.h>
#include "vmq_priv.h"

static void vmq_enable_put_away(struct vmq_queue *q)
{
	if (!vmq_queue_is_allocated(q))
		return;
	q->restore = vmq_queue_is_committed(q) ? VMQ_RESTORE_COMMITTED :
						 VMQ_RESTORE_ALLOCATED;
	vmq_filter_leave_home_locked(q);
	vmq_queue_end_locked(q);
}

/*
 * Owner, names and CPU are still those of before. What does not work out is in
 * last_error and the log: the queue is then without rings or without filters,
 * whose frames go on using queue 0.
 */
void vmq_enable_restore_locked(struct vmq_queue *q)
{
	u8 how = q->restore;

	if (how < VMQ_RESTORE_ALLOCATED || q->state != VMQ_QUEUE_UNDEFINED)
		return;
	q->restore = VMQ_RESTORE_NONE;
	vmq_placement_revive(q);
	WARN_ON_ONCE(vmq_queue_event(q, VMQ_EVENT_ALLOCATE));
	if (how == VMQ_RESTORE_COMMITTED)
		vmq_queue_commit_locked(q, q->owner, NULL);
	vmq_filter_come_home_locked(q);
}

static void vmq_enable_admin(struct vmq_dev *dev, bool on)
{
	u16 id;

	mutex_lock(&dev->lock);
	for (id = 1; id < dev->caps->pools; id++) {
		/* One whose frames are not back yet follows when they are. */
		if (on)
			vmq_enable_restore_locked(&dev->queues[id]);
		else
			vmq_enable_put_away(&dev->queues[id]);
	}
	mutex_unlock(&dev->lock);
}

/* Ports get their CPUs back, for the oldest takes the lowest queue again. */
static void vmq_enable_keep_cpus(struct vmq_dev *dev, bool keep)
{
	struct vmq_queue *q;
	u16 id;

	mutex_lock(&dev->lock);
	for (id = 1; id < dev->caps->pools; id++) {
		q = &dev->queues[id];
		if (keep && vmq_queue_is_allocated(q) &&
		    q->owner == VMQ_OWNER_VSWITCH)
			q->restore = VMQ_RESTORE_CPU;
		else if (!keep && q->restore == VMQ_RESTORE_CPU)
			q->restore = VMQ_RESTORE_NONE;
	}
	mutex_unlock(&dev->lock);
}

static void vmq_enable_switch(struct vmq_dev *dev, bool on)
{
	struct vmq_switch *sw = rtnl_dereference(dev->sw);

	if (!on)
		vmq_enable_keep_cpus(dev, true);
	if (sw)
		sw->ops->enabled(sw, on);
	if (on)
		vmq_enable_keep_cpus(dev, false);
}

static void vmq_enable_announce(struct vmq_dev *dev)
{
	struct net_device *uplink = dev->uplink;
	char enabled[sizeof("VMQ_ENABLED=0")];
	char *env[2] = { enabled };

	if (uplink->reg_state != NETREG_REGISTERED)
		return;
	snprintf(enabled, sizeof(enabled), "VMQ_ENABLED=%d", dev->enabled);
	sysfs_notify(&uplink->dev.kobj, "vmq", "enabled");
	kobject_uevent_env(&uplink->dev.kobj, KOBJ_CHANGE, env);
}

int vmq_dev_enable(struct vmq_dev *dev, bool on, struct netlink_ext_ack *extack)
{
	ASSERT_RTNL();
	if (on && !vmq_dev_has_vmq(dev))
		return vmq_queue_check_vmq(dev, extack);
	if (on == dev->enabled)
		return 0;

	/* Before the first queue goes: nobody takes it again. */
	mutex_lock(&dev->lock);
	WRITE_ONCE(dev->enabled, on);
	mutex_unlock(&dev->lock);
	/* The administrator's queues are numbered, ports take any. */
	if (on)
		vmq_enable_admin(dev, on);
	vmq_enable_switch(dev, on);
	if (!on)
		vmq_enable_admin(dev, on);
	vmq_enable_announce(dev);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_dev_enable);
