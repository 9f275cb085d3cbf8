// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<port>/vmq: what the port holds, and how frames came to it. */
#include <linux/device.h>
#include <linux/rtnetlink.h>
#include <linux/sysfs.h>
#include "vsw_group.h"
#include "vsw_priv.h"

struct vsw_port *vsw_sysfs_port(struct device *dev)
{
	return netdev_priv(to_net_dev(dev));
}

/* Is who reads in another network namespace, and not the uplink's owner? */
bool vsw_sysfs_is_guest(const struct vsw_port *port)
{
	return !net_eq(dev_net(port->dev), dev_net(port->lower)) &&
	       !ns_capable(dev_net(port->lower)->user_ns, CAP_NET_ADMIN);
}

static ssize_t queue_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	u16 id = READ_ONCE(vsw_sysfs_port(dev)->queue);

	return id ? sysfs_emit(buf, "%u\n", id) : sysfs_emit(buf, "none\n");
}
static DEVICE_ATTR_RO(queue);

static ssize_t reason_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", vsw_queue_reason(vsw_sysfs_port(dev)));
}
static DEVICE_ATTR_RO(reason);

static ssize_t exclusive_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vsw_sysfs_port(dev)->rank.exclusive));
}

/* The port's end removes its files with rtnl held, so rtnl may only be tried. */
static int vsw_sysfs_begin_store(struct vsw_port *port, const char *name,
				 const char *buf, size_t len)
{
	int err;

	if (!rtnl_trylock())
		return restart_syscall();
	err = -ENODEV;
	if (port->dev->reg_state != NETREG_REGISTERED)
		goto unlock_rtnl;
	err = vsw_port_may_change(port, NULL);
	if (err) {
		if (net_ratelimit())
			netdev_err(port->dev,
				   "%s is the uplink's owner's to set\n", name);
		goto unlock_rtnl;
	}
	if (memchr(buf, '\0', len)) {
		err = vmq_refuse(port->uplink->vmq, NULL, -EINVAL,
				 "there is a NUL in the text");
		goto unlock_rtnl;
	}
	return 0;

unlock_rtnl:
	rtnl_unlock();
	return err;
}

/* A file of the port: @set is called with rtnl held, by the uplink's owner. */
ssize_t vsw_sysfs_store(struct device *dev,
			const struct device_attribute *attr, const char *buf,
			size_t len, int (*set)(struct vsw_port *port,
					       const char *text))
{
	struct vsw_port *port = vsw_sysfs_port(dev);
	int err;

	err = vsw_sysfs_begin_store(port, attr->attr.name, buf, len);
	if (err)
		return err;
	err = set(port, buf);
	rtnl_unlock();
	return err ? err : len;
}

/* What a file that is on or off was told. */
int vsw_sysfs_parse_bool(struct vmq_dev *vmq, const char *name,
			 const char *text, bool *on)
{
	u8 value;

	if (kstrtou8(text, 10, &value) || value > 1)
		return vmq_refuse(vmq, NULL, -EINVAL, "%s takes 0 or 1", name);
	*on = value;
	return 0;
}

/* What a file that takes a number was told. */
int vsw_sysfs_parse_number(struct vmq_dev *vmq, const char *name,
			   const char *text, u32 min, u32 max, u32 *value)
{
	if (kstrtou32(text, 10, value) || *value < min || *value > max)
		return vmq_refuse(vmq, NULL, -EINVAL, "%s takes %u to %u",
				  name, min, max);
	return 0;
}

/* The same of a limit, of which 0 is none, or what @zero says. */
int vsw_sysfs_parse_limit(struct vmq_dev *vmq, const char *name,
			  const char *zero, const char *text, u32 max,
			  u32 *value)
{
	if (kstrtou32(text, 10, value) || *value > max)
		return vmq_refuse(vmq, NULL, -EINVAL, "%s takes 0 (%s) to %u",
				  name, zero, max);
	return 0;
}

static int vsw_sysfs_set_exclusive(struct vsw_port *port, const char *text)
{
	bool exclusive;
	int err;

	err = vsw_sysfs_parse_bool(port->uplink->vmq, "exclusive", text,
				   &exclusive);
	return err ? : vsw_promote_set_exclusive(port, exclusive, NULL);
}

static ssize_t exclusive_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_exclusive);
}
static DEVICE_ATTR_RW(exclusive);

static ssize_t queue_weight_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_port(dev)->rank.weight));
}

static int vsw_sysfs_set_weight(struct vsw_port *port, const char *text)
{
	u32 weight;
	int err;

	err = vsw_sysfs_parse_number(port->uplink->vmq, "queue_weight", text,
				     0, VSW_WEIGHT_MAX, &weight);
	return err ? : vsw_promote_set_weight(port, weight);
}

static ssize_t queue_weight_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_weight);
}
static DEVICE_ATTR_RW(queue_weight);
static int vsw_sysfs_set_link_local(struct vsw_port *port, const char *text)
{
	u16 mask;

	if (kstrtou16(text, 0, &mask))
		return vmq_refuse(port->uplink->vmq, NULL, -EINVAL,
				  "link_local takes a mask of 16 bits, bit n for 01:80:c2:00:00:0n");
	if (mask & VSW_LINK_LOCAL_NEVER)
		return vmq_refuse(port->uplink->vmq, NULL, -EINVAL,
				  "spanning tree, PAUSE and LACP (bits 0, 1 and 2) are the link's own");
	WRITE_ONCE(port->member.link_local, mask);
	return 0;
}

static ssize_t link_local_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%#x\n",
			  READ_ONCE(vsw_sysfs_port(dev)->member.link_local));
}

static ssize_t link_local_store(struct device *dev,
				struct device_attribute *attr, const char *buf,
				size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_link_local);
}
static DEVICE_ATTR_RW(link_local);

static ssize_t addresses_refused_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_port(dev)->addresses_refused));
}
static DEVICE_ATTR_RO(addresses_refused);

static ssize_t groups_refused_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_port(dev)->groups_refused));
}
static DEVICE_ATTR_RO(groups_refused);

/* The device goes before the port's files do, as vsw_sysfs_emit_switch() says. */
static ssize_t cpu_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev);
	int cpu = -1;

	/* It changes with what other VMs do: none of a container's business. */
	if (vsw_sysfs_is_guest(port))
		return -EPERM;
	rcu_read_lock();
	if (READ_ONCE(port->dev->reg_state) == NETREG_REGISTERED)
		cpu = vmq_queue_cpu(port->uplink->vmq, READ_ONCE(port->queue));
	rcu_read_unlock();
	return cpu < 0 ? sysfs_emit(buf, "none\n") :
			 sysfs_emit(buf, "%d\n", cpu);
}
static DEVICE_ATTR_RO(cpu);

static u64 vsw_sysfs_read(const u64_stats_t *value,
			  const struct u64_stats_sync *syncp)
{
	unsigned int start;
	u64 v;

	do {
		start = u64_stats_fetch_begin(syncp);
		v = u64_stats_read(value);
	} while (u64_stats_fetch_retry(syncp, start));
	return v;
}

/* The counter at @offset of the port; lives as long as its sysfs files. */
ssize_t vsw_sysfs_emit_port(struct device *dev, size_t offset, char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev);
	struct vsw_port_stats *stats;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		stats = per_cpu_ptr(port->stats, cpu);
		sum += vsw_sysfs_read((void *)stats + offset, &stats->syncp);
	}
	return sysfs_emit(buf, "%llu\n", sum);
}

/*
 * The counter at @offset of the uplink's switch. That object goes before the
 * port's files do, a grace period after the port stops being registered.
 */
static ssize_t vsw_sysfs_emit_switch(struct device *dev, size_t offset,
				     char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev);
	struct vsw_switch_stats *stats;
	u64 sum = 0;
	int cpu;

	/* All VMs of the uplink together: none of a container's business. */
	if (vsw_sysfs_is_guest(port))
		return -EPERM;
	rcu_read_lock();
	if (READ_ONCE(port->dev->reg_state) != NETREG_REGISTERED) {
		rcu_read_unlock();
		return -ENODEV;
	}
	for_each_possible_cpu(cpu) {
		stats = per_cpu_ptr(port->uplink->stats, cpu);
		sum += vsw_sysfs_read((void *)stats + offset, &stats->syncp);
	}
	rcu_read_unlock();
	return sysfs_emit(buf, "%llu\n", sum);
}

static ssize_t rx_queue_packets_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_emit_port(dev, offsetof(struct vsw_port_stats,
						 rx_queue_packets), buf);
}
static DEVICE_ATTR_RO(rx_queue_packets);

static ssize_t rx_switch_packets_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_emit_port(dev, offsetof(struct vsw_port_stats,
						 rx_switch_packets), buf);
}
static DEVICE_ATTR_RO(rx_switch_packets);

static ssize_t lookups_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return vsw_sysfs_emit_switch(dev, offsetof(struct vsw_switch_stats,
						   lookups), buf);
}
static DEVICE_ATTR_RO(lookups);

static ssize_t reflected_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return vsw_sysfs_emit_switch(dev, offsetof(struct vsw_switch_stats,
						   reflected), buf);
}
static DEVICE_ATTR_RO(reflected);

static struct attribute *vsw_sysfs_port_attrs[] = {
	&dev_attr_queue.attr,
	&dev_attr_reason.attr,
	&dev_attr_exclusive.attr,
	&dev_attr_queue_weight.attr,
	&dev_attr_link_local.attr,
	&dev_attr_cpu.attr,
	&dev_attr_addresses_refused.attr,
	&dev_attr_groups_refused.attr,
	&dev_attr_rx_queue_packets.attr,
	&dev_attr_rx_switch_packets.attr,
	&dev_attr_lookups.attr,
	&dev_attr_reflected.attr,
	&dev_attr_vlan_mode.attr,
	&dev_attr_vlan.attr,
	&dev_attr_native_vlan.attr,
	&dev_attr_isolation.attr,
	&dev_attr_priority_trust.attr,
	&dev_attr_rx_vlan_mismatch_packets.attr,
	&dev_attr_tx_vlan_dropped.attr,
	&dev_attr_spoof_check.attr,
	&dev_attr_allowed_macs.attr,
	&dev_attr_dhcp_guard.attr,
	&dev_attr_router_guard.attr,
	&dev_attr_storm_pps.attr,
	&dev_attr_tx_max_mbps.attr,
	&dev_attr_tx_weight.attr,
	&dev_attr_tx_share_kbps.attr,
	&dev_attr_mirror_to.attr,
	&dev_attr_rx_mirror_packets.attr,
	&dev_attr_tx_spoof_dropped.attr,
	&dev_attr_tx_dhcp_dropped.attr,
	&dev_attr_tx_router_dropped.attr,
	&dev_attr_tx_storm_dropped.attr,
	&dev_attr_tx_rate_dropped.attr,
	&dev_attr_tx_share_dropped.attr,
	NULL
};

const struct attribute_group vsw_sysfs_port_group = {
	.name = "vmq",
	.attrs = vsw_sysfs_port_attrs,
};
