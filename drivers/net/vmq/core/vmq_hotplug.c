// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that come and go. Callbacks only write down which and queue work: they
 * run with the CPU hotplug lock held, which who holds rtnl may wait for.
 *
 * A leaving CPU is told of while it still runs. The kernel takes all interrupts
 * off it later, on its own, to CPUs of its choice; the work may run before that
 * or after.
 */
#include <kunit/visibility.h>
#include <linux/cpuhotplug.h>
#include <linux/export.h>
#include <linux/workqueue.h>
#include "vmq_priv.h"

static enum cpuhp_state vmq_hotplug_state;

/* @dev shall do without the CPU from now on, or may use it again. */
void vmq_hotplug_tell(struct vmq_dev *dev, unsigned int cpu, bool leaving)
{
	cpumask_assign_cpu(cpu, dev->leaving, leaving);
	if (leaving)
		cpumask_set_cpu(cpu, dev->left);
	/* Unbound: no worker of the CPU that goes. */
	queue_work(system_unbound_wq, &dev->hotplug);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_hotplug_tell);

/* Also for a CPU that was leaving, and stays because somebody objected. */
static int vmq_hotplug_online(unsigned int cpu, struct hlist_node *node)
{
	vmq_hotplug_tell(hlist_entry(node, struct vmq_dev, hotplug_node), cpu,
			 false);
	return 0;
}

static int vmq_hotplug_offline(unsigned int cpu, struct hlist_node *node)
{
	vmq_hotplug_tell(hlist_entry(node, struct vmq_dev, hotplug_node), cpu,
			 true);
	return 0;
}

/* The kernel has, or will have, moved what was on a CPU that left. */
static void vmq_hotplug_mark(struct vmq_dev *dev)
{
	unsigned int cpu;
	u16 i;

	for_each_cpu(cpu, dev->left) {
		if (!cpumask_test_and_clear_cpu(cpu, dev->left))
			continue;
		for (i = 0; i < vmq_dev_vectors(dev); i++)
			if (dev->vectors[i].seat == cpu)
				dev->vectors[i].unseated = true;
	}
}

static void vmq_hotplug_work(struct work_struct *work)
{
	struct vmq_dev *dev = container_of(work, struct vmq_dev, hotplug);
	struct vmq_vector *v;
	u16 i;

	/* For the announcements, see vmq_queue_freeing_work(). */
	rtnl_lock();
	mutex_lock(&dev->lock);
	vmq_hotplug_mark(dev);
	for (i = 0; i < vmq_dev_vectors(dev); i++) {
		v = &dev->vectors[i];
		vmq_placement_reseat(v, vmq_placement_why(v));
	}
	vmq_vector_regroup(dev);
	mutex_unlock(&dev->lock);
	rtnl_unlock();
}

int vmq_hotplug_join(struct vmq_dev *dev)
{
	INIT_WORK(&dev->hotplug, vmq_hotplug_work);
	return cpuhp_state_add_instance_nocalls(vmq_hotplug_state,
						&dev->hotplug_node);
}

/* Its queues stay where they are. */
void vmq_hotplug_leave(struct vmq_dev *dev)
{
	cpuhp_state_remove_instance_nocalls(vmq_hotplug_state,
					    &dev->hotplug_node);
	cancel_work_sync(&dev->hotplug);
}

int vmq_hotplug_setup(void)
{
	int ret = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "net/vmq:online",
					  vmq_hotplug_online,
					  vmq_hotplug_offline);

	if (ret < 0)
		return ret;
	vmq_hotplug_state = ret;
	return 0;
}

void vmq_hotplug_remove(void)
{
	cpuhp_remove_multi_state(vmq_hotplug_state);
}
