// SPDX-License-Identifier: GPL-2.0-only
/* The switch's files in the uplink's own directory, /sys/class/net/<uplink>/vmq. */
#include <linux/device.h>
#include <linux/sysfs.h>
#include "vsw_priv.h"

/* The files go before it does, which waits for who uses them: no lock is needed. */
static struct vsw_uplink *vsw_sysfs_uplink(struct device *dev)
{
	return vsw_uplink_find(to_net_dev(dev));
}

static ssize_t
vsw_sysfs_uplink_store(struct device *dev, const char *buf, size_t len,
		       int (*set)(struct vsw_uplink *up, const char *text))
{
	int err = vmq_uplink_begin_store(vmq_dev_from_uplink(to_net_dev(dev)),
					 buf, len);

	if (err)
		return err;
	err = set(vsw_sysfs_uplink(dev), buf);
	vmq_uplink_end_store();
	return err ? err : len;
}

static ssize_t uplink_flood_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vsw_sysfs_uplink(dev)->flood));
}

static int vsw_sysfs_set_flood(struct vsw_uplink *up, const char *text)
{
	bool flood;
	int err;

	err = vsw_sysfs_parse_bool(up->vmq, "uplink_flood", text, &flood);
	if (!err)
		WRITE_ONCE(up->flood, flood);
	return err;
}

static ssize_t uplink_flood_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t len)
{
	return vsw_sysfs_uplink_store(dev, buf, len, vsw_sysfs_set_flood);
}
static DEVICE_ATTR_RW(uplink_flood);

static const char * const vsw_sysfs_policies[] = {
	[VSW_WEIGHT_BY_AGE]	= "weight",
	[VSW_WEIGHT_BY_LOAD]	= "load",
};

static ssize_t queue_policy_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	u8 policy = READ_ONCE(vsw_sysfs_uplink(dev)->weight.policy);

	return sysfs_emit(buf, "%s\n", vsw_sysfs_policies[policy]);
}

static int vsw_sysfs_set_policy(struct vsw_uplink *up, const char *text)
{
	int policy = sysfs_match_string(vsw_sysfs_policies, text);

	if (policy < 0)
		return vmq_refuse(up->vmq, NULL, -EINVAL,
				  "queue_policy takes weight or load");
	return vsw_promote_set_policy(up, policy);
}

static ssize_t queue_policy_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t len)
{
	return vsw_sysfs_uplink_store(dev, buf, len, vsw_sysfs_set_policy);
}
static DEVICE_ATTR_RW(queue_policy);

static ssize_t tx_max_mbps_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_uplink(dev)->meter.max_mbps));
}

static int vsw_sysfs_set_max(struct vsw_uplink *up, const char *text)
{
	u32 mbps;
	int err;

	err = vsw_sysfs_parse_limit(up->vmq, "the uplink's tx_max_mbps",
				    "the link's speed", text, VSW_TX_MBPS_MAX,
				    &mbps);
	if (!err)
		vsw_meter_set_max(up, mbps);
	return err;
}

static ssize_t tx_max_mbps_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t len)
{
	return vsw_sysfs_uplink_store(dev, buf, len, vsw_sysfs_set_max);
}

/* A port has a file of this name, too. */
static struct device_attribute vsw_sysfs_uplink_max =
	__ATTR_RW(tx_max_mbps);

static struct attribute *vsw_sysfs_uplink_attrs[] = {
	&dev_attr_queue_policy.attr,
	&vsw_sysfs_uplink_max.attr,
	&dev_attr_uplink_flood.attr,
	NULL
};

/* Merged into the directory that the core has made. */
static const struct attribute_group vsw_sysfs_uplink_group = {
	.name = "vmq",
	.attrs = vsw_sysfs_uplink_attrs,
};

int vsw_sysfs_uplink_add(struct vsw_uplink *up)
{
	return sysfs_merge_group(&up->dev->dev.kobj, &vsw_sysfs_uplink_group);
}

/* Waits for who reads or writes; nobody does that and waits for rtnl, held here. */
void vsw_sysfs_uplink_del(struct vsw_uplink *up)
{
	sysfs_unmerge_group(&up->dev->dev.kobj, &vsw_sysfs_uplink_group);
}
