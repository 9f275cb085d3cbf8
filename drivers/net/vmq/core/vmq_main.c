// SPDX-License-Identifier: GPL-2.0-only
/* VMQ core: a device's birth, open, close and end. Knows no register. */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "vmq_priv.h"

static void vmq_queue_init(struct vmq_dev *dev, u16 id)
{
	struct vmq_queue *q = &dev->queues[id];
	u16 def = dev->caps->default_pool;

	q->dev = dev;
	q->id = id;
	/* Queue 0 has the default pool; the others the rest, in order. */
	q->pool = !id ? def : id <= def ? id - 1 : id;
	q->exact = true;
	u64_stats_init(&q->rx.syncp);
	u64_stats_init(&q->tx.syncp);
}

static void vmq_queue_init_default(struct vmq_queue *q)
{
	q->owner = VMQ_OWNER_ADMIN;
	strscpy(q->vm_name, "default", sizeof(q->vm_name));
	vmq_placement_assign(q);
	q->state = VMQ_QUEUE_RUNNING;
}

int vmq_dev_init(struct vmq_dev *dev, struct net_device *uplink,
		 const struct vmq_hw_ops *ops, const struct vmq_hw_caps *caps)
{
	int err;
	u16 i;

	if (WARN_ON_ONCE(netdev_priv(uplink) != dev || !caps->pools ||
			 caps->pools > VMQ_MAX_QUEUES ||
			 caps->vectors > caps->pools ||
			 caps->mac_slots > VMQ_MAX_MAC_SLOTS ||
			 caps->vlan_slots > VMQ_MAX_VLAN_SLOTS))
		return -EINVAL;

	dev->uplink = uplink;
	dev->ops = ops;
	dev->caps = caps;
	dev->queues = kcalloc(caps->pools, sizeof(*dev->queues), GFP_KERNEL);
	if (!dev->queues)
		return -ENOMEM;
	err = vmq_vector_init(dev);
	if (err)
		goto free_queues;
	err = vmq_filter_table_init(dev);
	if (err)
		goto free_vectors;
	err = vmq_route_init(dev);
	if (err)
		goto fini_filters;
	err = vmq_cpus_init(dev);
	if (err)
		goto fini_route;

	mutex_init(&dev->lock);
	spin_lock_init(&dev->text_lock);
	INIT_DELAYED_WORK(&dev->freeing, vmq_queue_freeing_work);
	vmq_dynamic_init(dev);
	for (i = 0; i < caps->pools; i++)
		vmq_queue_init(dev, i);
	err = vmq_hotplug_join(dev);
	if (err)
		goto fini_cpus;
	mutex_lock(&dev->lock);
	vmq_queue_init_default(&dev->queues[0]);
	mutex_unlock(&dev->lock);
	dev->enabled = vmq_dev_has_vmq(dev);
	dev->buffers = caps->buffers;
	uplink->sysfs_groups[0] = &vmq_dev_group;
	uplink->sysfs_rx_queue_group = &vmq_queue_group;
	return 0;

fini_cpus:
	mutex_destroy(&dev->lock);
	vmq_cpus_fini(dev);
fini_route:
	vmq_route_fini(dev);
fini_filters:
	vmq_filter_table_fini(dev);
free_vectors:
	kfree(dev->vectors);
free_queues:
	kfree(dev->queues);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_dev_init);

void vmq_dev_fini(struct vmq_dev *dev)
{
	vmq_hotplug_leave(dev);
	cancel_delayed_work_sync(&dev->freeing);
	vmq_dynamic_fini(dev);
	mutex_lock(&dev->lock);
	/* Nothing comes back any more. */
	dev->enabled = false;
	vmq_queue_finish_freeing(dev);
	mutex_unlock(&dev->lock);
	vmq_cpus_fini(dev);
	vmq_route_fini(dev);
	vmq_filter_table_fini(dev);
	mutex_destroy(&dev->lock);
	kfree(dev->vectors);
	kfree(dev->queues);
}
EXPORT_SYMBOL_GPL(vmq_dev_fini);

static void vmq_dev_down(struct vmq_dev *dev)
{
	struct vmq_queue *q;
	u16 i = dev->caps->pools;

	dev->open = false;
	while (i--) {
		q = &dev->queues[i];
		vmq_queue_down(q);
		/* A freeing queue keeps its memory until the readers are done. */
		if (q->rings && q->state != VMQ_QUEUE_FREEING) {
			q->rings = false;
			dev->ops->queue_free(dev, q->id);
		}
	}
}

static int vmq_dev_up(struct vmq_dev *dev)
{
	int err;
	u16 i;

	for (i = 0; i < dev->caps->pools; i++) {
		if (!vmq_queue_is_committed(&dev->queues[i]))
			continue;
		err = vmq_queue_up(&dev->queues[i]);
		if (err)
			return err;
	}
	dev->open = true;
	vmq_vector_regroup(dev);
	vmq_route_replay(dev);
	return 0;
}

int vmq_dev_open(struct vmq_dev *dev)
{
	int err;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	err = vmq_dev_up(dev);
	if (err)
		vmq_dev_down(dev);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_dev_open);

void vmq_dev_close(struct vmq_dev *dev)
{
	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	if (dev->open)
		vmq_dev_down(dev);
	mutex_unlock(&dev->lock);
}
EXPORT_SYMBOL_GPL(vmq_dev_close);

struct vmq_dev *vmq_dev_from_uplink(struct net_device *uplink)
{
	if (uplink->sysfs_groups[0] != &vmq_dev_group)
		return NULL;
	return vmq_dev_from_netdev(uplink);
}
EXPORT_SYMBOL_GPL(vmq_dev_from_uplink);

unsigned int vmq_dev_addrs_max(const struct vmq_dev *dev)
{
	return dev->caps->mac_slots - dev->caps->mac_slots_host;
}
EXPORT_SYMBOL_GPL(vmq_dev_addrs_max);

bool vmq_dev_has_vmq(const struct vmq_dev *dev)
{
	return dev->caps->pools > 1;
}
EXPORT_SYMBOL_GPL(vmq_dev_has_vmq);

bool vmq_dev_is_enabled(const struct vmq_dev *dev)
{
	return READ_ONCE(dev->enabled);
}
EXPORT_SYMBOL_GPL(vmq_dev_is_enabled);

struct net_device *vmq_dev_uplink(const struct vmq_dev *dev)
{
	return dev->uplink;
}
EXPORT_SYMBOL_GPL(vmq_dev_uplink);

static int __init vmq_main_init(void)
{
	return vmq_hotplug_setup();
}

static void __exit vmq_main_exit(void)
{
	vmq_hotplug_remove();
}

module_init(vmq_main_init);
module_exit(vmq_main_exit);
MODULE_DESCRIPTION("Virtual machine queues: core");
MODULE_LICENSE("GPL");
