// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<port>/vmq: the port's share of the uplink. */
#include <linux/device.h>
#include <linux/sysfs.h>
#include "vsw_priv.h"

static ssize_t tx_weight_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_port(dev)->share.weight));
}

static int vsw_sysfs_set_tx_weight(struct vsw_port *port, const char *text)
{
	u32 weight;
	int err;

	err = vsw_sysfs_parse_number(port->uplink->vmq, "tx_weight", text,
				     VSW_SHARE_WEIGHT_MIN,
				     VSW_SHARE_WEIGHT_MAX, &weight);
	if (!err)
		vsw_meter_set_weight(port, weight);
	return err;
}

static ssize_t tx_weight_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_tx_weight);
}
DEVICE_ATTR_RW(tx_weight);

static ssize_t tx_share_kbps_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev);
	u32 kbps = READ_ONCE(port->wire.kbps);

	/* It changes with what other VMs do: none of a container's business. */
	if (vsw_sysfs_is_guest(port))
		return -EPERM;
	return kbps ? sysfs_emit(buf, "%u\n", kbps) :
		      sysfs_emit(buf, "none\n");
}
DEVICE_ATTR_RO(tx_share_kbps);

static ssize_t tx_share_dropped_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_emit_port(dev,
				   offsetof(struct vsw_port_stats,
					    tx_policy_dropped[VSW_POLICY_SHARE]),
				   buf);
}
DEVICE_ATTR_RO(tx_share_dropped);
