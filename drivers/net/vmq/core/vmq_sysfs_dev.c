// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<uplink>/vmq/: what the NIC has, and allocation by name. */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>
#include "vmq_priv.h"

/*
 * rtnl, the uplink still there, the writer the uplink's owner, the text without
 * a NUL: who parses words would not see what comes after it. Unregistering
 * waits for stores with rtnl held, so rtnl may only be tried.
 */
int vmq_uplink_begin_store(struct vmq_dev *dev, const char *buf, size_t len)
{
	struct net_device *uplink = dev->uplink;
	int err;

	if (!rtnl_trylock())
		return restart_syscall();
	err = -ENODEV;
	if (uplink->reg_state != NETREG_REGISTERED)
		goto unlock_rtnl;
	if (!ns_capable(dev_net(uplink)->user_ns, CAP_NET_ADMIN)) {
		err = vmq_refuse(dev, NULL, -EPERM,
				 "CAP_NET_ADMIN over the uplink's network namespace is needed");
		goto unlock_rtnl;
	}
	if (memchr(buf, '\0', len)) {
		err = vmq_refuse(dev, NULL, -EINVAL,
				 "there is a NUL in the text");
		goto unlock_rtnl;
	}
	return 0;

unlock_rtnl:
	rtnl_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(vmq_uplink_begin_store);

void vmq_uplink_end_store(void)
{
	rtnl_unlock();
}
EXPORT_SYMBOL_GPL(vmq_uplink_end_store);

/* The same with the device's mutex. */
int vmq_sysfs_begin_store(struct vmq_dev *dev, const char *buf, size_t len)
{
	int err = vmq_uplink_begin_store(dev, buf, len);

	if (!err)
		mutex_lock(&dev->lock);
	return err;
}

void vmq_sysfs_end_store(struct vmq_dev *dev)
{
	mutex_unlock(&dev->lock);
	vmq_uplink_end_store();
}

static struct vmq_dev *vmq_dev_from_device(struct device *d)
{
	return vmq_dev_from_netdev(to_net_dev(d));
}

/* With VMQ off there is nothing that could be used. */
static ssize_t vmq_dev_emit(const struct vmq_dev *dev, char *buf,
			    unsigned int number)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(dev->enabled) ? number : 0);
}

/* A snapshot: shows take no lock. */
static unsigned int vmq_dev_count_free(const struct vmq_dev *dev)
{
	unsigned int nr = 0;
	u16 i;

	for (i = 1; i < dev->caps->pools; i++)
		if (READ_ONCE(dev->queues[i].state) == VMQ_QUEUE_UNDEFINED)
			nr++;
	return nr;
}

static ssize_t hw_queues_show(struct device *d, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n", vmq_dev_from_device(d)->caps->pools - 1);
}
static DEVICE_ATTR_RO(hw_queues);

static ssize_t hw_mac_filters_show(struct device *d,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  vmq_dev_addrs_max(vmq_dev_from_device(d)));
}
static DEVICE_ATTR_RO(hw_mac_filters);

static ssize_t hw_vlan_filters_show(struct device *d,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  vmq_dev_from_device(d)->caps->vlan_slots);
}
static DEVICE_ATTR_RO(hw_vlan_filters);

static ssize_t queues_max_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, dev->caps->pools - 1);
}
static DEVICE_ATTR_RO(queues_max);

static ssize_t queues_free_show(struct device *d, struct device_attribute *attr,
				char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, vmq_dev_count_free(dev));
}
static DEVICE_ATTR_RO(queues_free);

static ssize_t mac_filters_max_show(struct device *d,
				    struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, vmq_dev_addrs_max(dev));
}
static DEVICE_ATTR_RO(mac_filters_max);

static ssize_t mac_filters_free_show(struct device *d,
				     struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, READ_ONCE(dev->mac_slots_free));
}
static DEVICE_ATTR_RO(mac_filters_free);

static ssize_t vlan_filters_max_show(struct device *d,
				     struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, dev->caps->vlan_slots);
}
static DEVICE_ATTR_RO(vlan_filters_max);

static ssize_t vlan_filters_free_show(struct device *d,
				      struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_emit(dev, buf, READ_ONCE(dev->vlan_slots_free));
}
static DEVICE_ATTR_RO(vlan_filters_free);

/* 0 or 1, or why it is neither. */
static int vmq_dev_parse_switch(struct vmq_dev *dev, const char *file,
				const char *buf)
{
	unsigned int on;

	if (kstrtouint(buf, 10, &on) || on > 1)
		return vmq_refuse(dev, NULL, -EINVAL, "%s takes 0 or 1", file);
	return on;
}

/* Write 0 or 1 to @flag, and let @apply do what follows from it. */
static ssize_t vmq_dev_store_switch(struct vmq_dev *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count, bool *flag,
				    void (*apply)(struct vmq_dev *dev))
{
	int ret;

	ret = vmq_sysfs_begin_store(dev, buf, count);
	if (ret)
		return ret;
	ret = vmq_dev_parse_switch(dev, attr->attr.name, buf);
	if (ret >= 0) {
		WRITE_ONCE(*flag, ret);
		apply(dev);
	}
	vmq_sysfs_end_store(dev);
	return ret < 0 ? ret : count;
}

static ssize_t enabled_show(struct device *d, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vmq_dev_from_device(d)->enabled));
}

static ssize_t enabled_store(struct device *d, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	int ret;

	ret = vmq_uplink_begin_store(dev, buf, count);
	if (ret)
		return ret;
	ret = vmq_dev_parse_switch(dev, attr->attr.name, buf);
	if (ret >= 0)
		ret = vmq_dev_enable(dev, ret, NULL);
	vmq_uplink_end_store();
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(enabled);

static const char * const vmq_vlan_modes[] = {
	[VMQ_VLAN_MODE_AUTO]	= "auto",
	[VMQ_VLAN_MODE_ON]	= "on",
	[VMQ_VLAN_MODE_OFF]	= "off",
};

static ssize_t vlan_filtering_show(struct device *d,
				   struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return sysfs_emit(buf, "%s\n",
			  vmq_vlan_modes[READ_ONCE(dev->vlan_mode)]);
}

static ssize_t vlan_filtering_store(struct device *d,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	int mode, err;

	err = vmq_sysfs_begin_store(dev, buf, count);
	if (err)
		return err;
	mode = sysfs_match_string(vmq_vlan_modes, buf);
	if (mode < 0)
		err = vmq_refuse(dev, NULL, -EINVAL,
				 "vlan_filtering takes auto, on or off");
	else
		err = vmq_vlan_set_mode_locked(dev, mode, NULL);
	vmq_sysfs_end_store(dev);
	return err ? err : count;
}
static DEVICE_ATTR_RW(vlan_filtering);

static ssize_t vlan_filtering_effective_show(struct device *d,
					     struct device_attribute *attr,
					     char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return sysfs_emit(buf, "%s\n",
			  READ_ONCE(dev->vlan_filtering) ? "on" : "off");
}
static DEVICE_ATTR_RO(vlan_filtering_effective);

static ssize_t count_hits_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vmq_dev_from_device(d)->count_hits));
}

static ssize_t count_hits_store(struct device *d, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_store_switch(dev, attr, buf, count, &dev->count_hits,
				    vmq_shift_settle);
}
static DEVICE_ATTR_RW(count_hits);

static ssize_t coalesce_shared_show(struct device *d,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vmq_dev_from_device(d)->coalesce));
}

static ssize_t coalesce_shared_store(struct device *d,
				     struct device_attribute *attr,
				     const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return vmq_dev_store_switch(dev, attr, buf, count, &dev->coalesce,
				    vmq_vector_regroup);
}
static DEVICE_ATTR_RW(coalesce_shared);

/* Written under the same lock, so that nobody sees half of a set. */
static ssize_t cpus_show(struct device *d, struct device_attribute *attr,
			 char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	ssize_t len;

	spin_lock_bh(&dev->text_lock);
	len = sysfs_emit(buf, "%*pbl\n", cpumask_pr_args(dev->cpus));
	spin_unlock_bh(&dev->text_lock);
	return len;
}

static int vmq_dev_write_cpus(struct vmq_dev *dev, const char *buf,
			      struct cpumask *cpus)
{
	if (sysfs_streq(buf, "auto"))
		cpumask_copy(cpus, cpu_possible_mask);
	else if (cpulist_parse(buf, cpus))
		return vmq_refuse(dev, NULL, -EINVAL,
				  "cpus takes a list of CPUs like 0-3,6, or auto");
	return vmq_cpus_set_locked(dev, cpus, NULL);
}

static ssize_t cpus_store(struct device *d, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	cpumask_var_t cpus;
	int err;

	if (!alloc_cpumask_var(&cpus, GFP_KERNEL))
		return -ENOMEM;
	err = vmq_sysfs_begin_store(dev, buf, count);
	if (err)
		goto free_cpus;
	err = vmq_dev_write_cpus(dev, buf, cpus);
	if (!err)
		sysfs_notify(&d->kobj, "vmq", "cpus");
	vmq_sysfs_end_store(dev);

free_cpus:
	free_cpumask_var(cpus);
	return err ? err : count;
}
static DEVICE_ATTR_RW(cpus);

static const char * const vmq_placement_modes[] = { "static", "dynamic" };

static ssize_t placement_mode_show(struct device *d,
				   struct device_attribute *attr, char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);

	return sysfs_emit(buf, "%s\n",
			  vmq_placement_modes[READ_ONCE(dev->measure)]);
}

static ssize_t placement_mode_store(struct device *d,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	int ret;

	ret = vmq_sysfs_begin_store(dev, buf, count);
	if (ret)
		return ret;
	ret = sysfs_match_string(vmq_placement_modes, buf);
	if (ret < 0)
		ret = vmq_refuse(dev, NULL, -EINVAL,
				 "placement_mode takes static or dynamic");
	else
		ret = vmq_dynamic_set_locked(dev, ret, NULL);
	vmq_sysfs_end_store(dev);
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(placement_mode);

static ssize_t default_queue_show(struct device *d,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", vmq_dev_from_device(d)->queues[0].id);
}
static DEVICE_ATTR_RO(default_queue);

static ssize_t last_error_show(struct device *d, struct device_attribute *attr,
			       char *buf)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	ssize_t len;

	spin_lock_bh(&dev->text_lock);
	len = sysfs_emit(buf, "%s\n", dev->last_error);
	spin_unlock_bh(&dev->text_lock);
	return len;
}
static DEVICE_ATTR_RO(last_error);

static ssize_t allocate_show(struct device *d, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vmq_dev_from_device(d)->last_queue));
}

static ssize_t allocate_store(struct device *d, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	struct vmq_dev *dev = vmq_dev_from_device(d);
	char name[VMQ_NAME_LEN + 1];
	size_t len = count;
	int ret;

	if (len && buf[len - 1] == '\n')
		len--;
	ret = vmq_sysfs_begin_store(dev, buf, count);
	if (ret)
		return ret;
	/* Too long a name is cut one byte beyond what is valid: refused. */
	strscpy(name, buf, min(len + 1, sizeof(name)));
	ret = vmq_queue_allocate_any_locked(dev, VMQ_OWNER_ADMIN, name, NULL);
	if (ret > 0)
		WRITE_ONCE(dev->last_queue, ret);
	vmq_sysfs_end_store(dev);
	return ret < 0 ? ret : count;
}
static DEVICE_ATTR_RW(allocate);

static struct attribute *vmq_dev_attrs[] = {
	&dev_attr_allocate.attr,
	&dev_attr_coalesce_shared.attr,
	&dev_attr_count_hits.attr,
	&dev_attr_cpus.attr,
	&dev_attr_default_queue.attr,
	&dev_attr_enabled.attr,
	&dev_attr_hw_mac_filters.attr,
	&dev_attr_hw_queues.attr,
	&dev_attr_hw_vlan_filters.attr,
	&dev_attr_last_error.attr,
	&dev_attr_mac_filters_free.attr,
	&dev_attr_mac_filters_max.attr,
	&dev_attr_placement_mode.attr,
	&dev_attr_queues_free.attr,
	&dev_attr_queues_max.attr,
	&dev_attr_vlan_filtering.attr,
	&dev_attr_vlan_filtering_effective.attr,
	&dev_attr_vlan_filters_free.attr,
	&dev_attr_vlan_filters_max.attr,
	NULL
};

const struct attribute_group vmq_dev_group = {
	.name = "vmq",
	.attrs = vmq_dev_attrs,
};
