// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<port>/vmq: what the port may send, and its mirror. */
#include <linux/ctype.h>
#include <linux/etherdevice.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "vsw_priv.h"

/* So that a token is 100 ns or more. */
#define VSW_STORM_PPS_MAX	10000000

#define VSW_MAC_TEXT_LEN	(3 * ETH_ALEN - 1)

static ssize_t vsw_sysfs_emit_bit(struct device *dev, enum vsw_policy_bit bit,
				  char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  test_bit(bit, &vsw_sysfs_port(dev)->policy));
}

static int vsw_sysfs_set_bit(struct vsw_port *port, enum vsw_policy_bit bit,
			     const char *name, const char *text)
{
	bool on;
	int err;

	err = vsw_sysfs_parse_bool(port->uplink->vmq, name, text, &on);
	if (!err)
		vsw_policy_set(port, bit, on);
	return err;
}

#define VSW_SYSFS_SWITCH(_name, _bit)					\
static const enum vsw_policy_bit vsw_sysfs_bit_##_name = _bit;		\
									\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	return vsw_sysfs_emit_bit(dev, vsw_sysfs_bit_##_name, buf);	\
}									\
									\
static int vsw_sysfs_set_##_name(struct vsw_port *port,			\
				 const char *text)			\
{									\
	return vsw_sysfs_set_bit(port, vsw_sysfs_bit_##_name, #_name,	\
				 text);					\
}									\
									\
static ssize_t _name##_store(struct device *dev,			\
			     struct device_attribute *attr,		\
			     const char *buf, size_t len)		\
{									\
	return vsw_sysfs_store(dev, attr, buf, len,			\
			       vsw_sysfs_set_##_name);			\
}									\
DEVICE_ATTR_RW(_name)

VSW_SYSFS_SWITCH(spoof_check, VSW_POLICY_SPOOF);
VSW_SYSFS_SWITCH(dhcp_guard, VSW_POLICY_DHCP);
VSW_SYSFS_SWITCH(router_guard, VSW_POLICY_ROUTER);

static ssize_t allowed_macs_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	const struct vsw_allowed *list;
	unsigned int i;
	int len = 0;

	rcu_read_lock();
	list = rcu_dereference(vsw_sysfs_port(dev)->allowed);
	for (i = 0; list && i < list->n; i++)
		len += sysfs_emit_at(buf, len, "%pM\n", list->macs[i]);
	rcu_read_unlock();
	return len;
}

/* An address that a VM may use besides its own; another port's is one, too. */
static int vsw_sysfs_check_mac(struct vsw_port *port, const u8 *mac)
{
	struct vsw_uplink *up = port->uplink;
	bool host;

	if (!is_valid_ether_addr(mac))
		return vmq_refuse(up->vmq, NULL, -EINVAL,
				  "an address is neither zero nor a group");
	rcu_read_lock();
	host = vsw_forward_is_host(up->dev, mac);
	rcu_read_unlock();
	if (host)
		return vmq_refuse(up->vmq, NULL, -EADDRINUSE,
				  "address %pM is the host's", mac);
	return 0;
}

/* Takes the words of @text for addresses, as many as @list has room for. */
static int vsw_sysfs_parse_macs(struct vsw_port *port, char *text,
				struct vsw_allowed *list)
{
	char *word;
	int err;

	while ((word = strsep(&text, " ,\t\n"))) {
		if (!*word)
			continue;
		if (list->n == VSW_ALLOWED_MAX)
			return vmq_refuse(port->uplink->vmq, NULL, -EINVAL,
					  "allowed_macs takes %d addresses at most",
					  VSW_ALLOWED_MAX);
		if (strlen(word) != VSW_MAC_TEXT_LEN ||
		    !mac_pton(word, list->macs[list->n]))
			return vmq_refuse(port->uplink->vmq, NULL, -EINVAL,
					  "allowed_macs takes addresses such as 52:54:00:12:34:56");
		err = vsw_sysfs_check_mac(port, list->macs[list->n]);
		if (err)
			return err;
		list->n++;
	}
	return 0;
}

static int vsw_sysfs_set_allowed_macs(struct vsw_port *port, const char *text)
{
	struct vsw_allowed *list;
	char *words;
	int err;

	list = kzalloc(struct_size(list, macs, VSW_ALLOWED_MAX), GFP_KERNEL);
	words = kstrdup(text, GFP_KERNEL);
	if (list && words)
		err = vsw_sysfs_parse_macs(port, words, list);
	else
		err = vmq_refuse(port->uplink->vmq, NULL, -ENOMEM,
				 "no memory for addresses");
	kfree(words);
	if (err || !list->n) {
		kfree(list);
		list = NULL;
	}
	if (!err)
		vsw_policy_set_allowed(port, list);
	return err;
}

static ssize_t allowed_macs_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_allowed_macs);
}
DEVICE_ATTR_RW(allowed_macs);

static ssize_t storm_pps_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(vsw_sysfs_port(dev)->storm_pps));
}

static int vsw_sysfs_set_storm_pps(struct vsw_port *port, const char *text)
{
	u32 pps;
	int err;

	err = vsw_sysfs_parse_limit(port->uplink->vmq, "storm_pps", "no limit",
				    text, VSW_STORM_PPS_MAX, &pps);
	return err ? : vsw_policy_set_storm(port, pps);
}

static ssize_t storm_pps_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_storm_pps);
}
DEVICE_ATTR_RW(storm_pps);

static ssize_t tx_max_mbps_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  vsw_shape_rate(vsw_sysfs_port(dev)));
}

static int vsw_sysfs_set_tx_max_mbps(struct vsw_port *port, const char *text)
{
	u32 mbps;
	int err;

	err = vsw_sysfs_parse_limit(port->uplink->vmq, "tx_max_mbps",
				    "no limit", text, VSW_TX_MBPS_MAX, &mbps);
	if (!err)
		vsw_shape_set_rate(port, mbps);
	return err;
}

static ssize_t tx_max_mbps_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_tx_max_mbps);
}
DEVICE_ATTR_RW(tx_max_mbps);

static ssize_t mirror_to_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev), *to;
	char name[IFNAMSIZ] = "";

	/* Who looks at it, and that somebody does, is not a container's business. */
	if (vsw_sysfs_is_guest(port))
		return -EPERM;
	rcu_read_lock();
	to = rcu_dereference(port->mirror);
	if (to)
		strscpy(name, netdev_name(to->dev));
	rcu_read_unlock();
	return sysfs_emit(buf, "%s\n", name);
}

static int vsw_sysfs_set_mirror_to(struct vsw_port *port, const char *text)
{
	/* With a newline behind it. */
	char name[IFNAMSIZ + 1];

	if (strscpy(name, skip_spaces(text)) < 0)
		return vmq_refuse(port->uplink->vmq, NULL, -ENOENT,
				  "the name of a port is shorter");
	strim(name);
	return vsw_mirror_set(port, name);
}

static ssize_t mirror_to_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_mirror_to);
}
DEVICE_ATTR_RW(mirror_to);

static ssize_t rx_mirror_packets_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_emit_port(dev, offsetof(struct vsw_port_stats,
						 rx_mirror_packets), buf);
}
DEVICE_ATTR_RO(rx_mirror_packets);

#define VSW_SYSFS_DROPPED(_name, _bit)					\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	return vsw_sysfs_emit_port(dev,					\
				   offsetof(struct vsw_port_stats,	\
					    tx_policy_dropped[_bit]),	\
				   buf);				\
}									\
DEVICE_ATTR_RO(_name)

VSW_SYSFS_DROPPED(tx_spoof_dropped, VSW_POLICY_SPOOF);
VSW_SYSFS_DROPPED(tx_dhcp_dropped, VSW_POLICY_DHCP);
VSW_SYSFS_DROPPED(tx_router_dropped, VSW_POLICY_ROUTER);
VSW_SYSFS_DROPPED(tx_storm_dropped, VSW_POLICY_STORM);
VSW_SYSFS_DROPPED(tx_rate_dropped, VSW_POLICY_RATE);
