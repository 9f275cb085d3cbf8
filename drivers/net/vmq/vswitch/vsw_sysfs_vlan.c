// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<port>/vmq: what the port was told of VLANs. */
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include "vsw_priv.h"

static const char * const vsw_sysfs_modes[] = {
	[VSW_VLAN_MODE_PLAIN]	= "plain",
	[VSW_VLAN_MODE_ACCESS]	= "access",
	[VSW_VLAN_MODE_TRUNK]	= "trunk",
	[VSW_VLAN_MODE_PRIVATE]	= "private",
};

static const char * const vsw_sysfs_isolations[] = {
	[VSW_VLAN_ISOLATION_NONE]	= "none",
	[VSW_VLAN_PROMISCUOUS]		= "promiscuous",
	[VSW_VLAN_COMMUNITY]		= "community",
	[VSW_VLAN_ISOLATED]		= "isolated",
};

struct vsw_sysfs_private {
	enum vsw_vlan_isolation isolation;
	u16 primary;
	unsigned long *secondary;
};

/* Show what the port was told, NULL: nothing. */
static ssize_t vsw_sysfs_vlan_show(struct device *dev, char *buf,
				   int (*emit)(const struct vsw_vlans *v,
					       char *buf))
{
	ssize_t len;

	rcu_read_lock();
	len = emit(rcu_dereference(vsw_sysfs_port(dev)->vlans), buf);
	rcu_read_unlock();
	return len;
}

static int vsw_sysfs_vlan_refuse(struct vsw_port *port, const char *why)
{
	return vmq_refuse(port->uplink->vmq, NULL, -EINVAL, "%s", why);
}

static int vsw_sysfs_vlan_no_memory(struct vsw_port *port)
{
	return vmq_refuse(port->uplink->vmq, NULL, -ENOMEM,
			  "no memory for VLANs");
}

static int vsw_sysfs_emit_mode(const struct vsw_vlans *v, char *buf)
{
	return sysfs_emit(buf, "%s\n", vsw_sysfs_modes[vsw_vlan_mode(v)]);
}

static ssize_t vlan_mode_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return vsw_sysfs_vlan_show(dev, buf, vsw_sysfs_emit_mode);
}

static int vsw_sysfs_set_mode(struct vsw_port *port, const char *text)
{
	if (!sysfs_streq(text, vsw_sysfs_modes[VSW_VLAN_MODE_PLAIN]))
		return vsw_sysfs_vlan_refuse(port,
					     "vlan_mode takes plain, other modes follow from vlan, native_vlan and isolation");
	return vsw_port_vlan_apply(port, NULL, NULL);
}

static ssize_t vlan_mode_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_mode);
}
DEVICE_ATTR_RW(vlan_mode);

/* The limit on ranges keeps the list below a page. */
static int vsw_sysfs_emit_vlan(const struct vsw_vlans *v, char *buf)
{
	return v ? sysfs_emit(buf, "%*pbl\n", VLAN_N_VID, v->rx) :
		   sysfs_emit(buf, "none\n");
}

static ssize_t vlan_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return vsw_sysfs_vlan_show(dev, buf, vsw_sysfs_emit_vlan);
}

static const char *vsw_sysfs_edit_vlan(struct vsw_vlans *v, const void *arg,
				       int *err)
{
	return vsw_vlan_set_allowed(v, arg, err);
}

static const char *vsw_sysfs_edit_none(struct vsw_vlans *v, const void *arg,
				       int *err)
{
	return vsw_vlan_clear(v, err);
}

static int vsw_sysfs_set_vlan(struct vsw_port *port, const char *text)
{
	unsigned long *set;
	int err;

	if (sysfs_streq(text, "none"))
		return vsw_port_vlan_change(port, vsw_sysfs_edit_none, NULL,
					    NULL);
	set = bitmap_zalloc(VLAN_N_VID, GFP_KERNEL);
	if (!set)
		return vsw_sysfs_vlan_no_memory(port);
	if (bitmap_parselist(text, set, VLAN_N_VID))
		err = vsw_sysfs_vlan_refuse(port,
					    "vlan takes a list of VLAN IDs like 2,10-20, or none");
	else
		err = vsw_port_vlan_change(port, vsw_sysfs_edit_vlan, set,
					   NULL);
	bitmap_free(set);
	return err;
}

static ssize_t vlan_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_vlan);
}
DEVICE_ATTR_RW(vlan);

static int vsw_sysfs_emit_native(const struct vsw_vlans *v, char *buf)
{
	return v && v->pvid ? sysfs_emit(buf, "%u\n", v->pvid) :
			      sysfs_emit(buf, "none\n");
}

static ssize_t native_vlan_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_vlan_show(dev, buf, vsw_sysfs_emit_native);
}

static const char *vsw_sysfs_edit_native(struct vsw_vlans *v, const void *arg,
					 int *err)
{
	return vsw_vlan_set_native(v, *(const u16 *)arg, err);
}

static int vsw_sysfs_set_native(struct vsw_port *port, const char *text)
{
	u16 vid = 0;

	if (!sysfs_streq(text, "none") && kstrtou16(text, 10, &vid))
		return vsw_sysfs_vlan_refuse(port,
					     "native_vlan takes a VLAN ID, 0 or none");
	return vsw_port_vlan_change(port, vsw_sysfs_edit_native, &vid, NULL);
}

static ssize_t native_vlan_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_native);
}
DEVICE_ATTR_RW(native_vlan);

/* Secondary VLANs of a promiscuous port are what it hears besides its own. */
static int vsw_sysfs_emit_promiscuous(const struct vsw_vlans *v, char *buf)
{
	int len = sysfs_emit(buf, "promiscuous %u ", v->primary);
	struct vsw_vlan_range r = {};
	const char *comma = "";

	/* The primary one has the flag of the pvid: a range of its own. */
	while (vsw_vlan_next(v, &r)) {
		if (r.first == v->primary)
			continue;
		len += sysfs_emit_at(buf, len, "%s%u", comma, r.first);
		if (r.last != r.first)
			len += sysfs_emit_at(buf, len, "-%u", r.last);
		comma = ",";
	}
	return len + sysfs_emit_at(buf, len, "\n");
}

static int vsw_sysfs_emit_isolation(const struct vsw_vlans *v, char *buf)
{
	if (!v || !v->isolation)
		return sysfs_emit(buf, "none\n");
	if (v->isolation == VSW_VLAN_PROMISCUOUS)
		return vsw_sysfs_emit_promiscuous(v, buf);
	return sysfs_emit(buf, "%s %u %u\n", vsw_sysfs_isolations[v->isolation],
			  v->primary, v->pvid);
}

static ssize_t isolation_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return vsw_sysfs_vlan_show(dev, buf, vsw_sysfs_emit_isolation);
}

static const char *vsw_sysfs_edit_isolation(struct vsw_vlans *v,
					    const void *arg, int *err)
{
	const struct vsw_sysfs_private *p = arg;

	return vsw_vlan_set_private(v, p->isolation, p->primary, p->secondary,
				    err);
}

/* "KIND PRIMARY SECONDARY[,...]" */
static int vsw_sysfs_parse_isolation(struct vsw_sysfs_private *p, char *text)
{
	char *kind, *primary, *secondary;
	int isolation;

	text = strim(text);
	kind = strsep(&text, " ");
	primary = strsep(&text, " ");
	secondary = strsep(&text, " ");
	if (!secondary || text)
		return -EINVAL;
	isolation = match_string(vsw_sysfs_isolations,
				 ARRAY_SIZE(vsw_sysfs_isolations), kind);
	if (isolation <= VSW_VLAN_ISOLATION_NONE)
		return -EINVAL;
	p->isolation = isolation;
	return kstrtou16(primary, 10, &p->primary) ?:
	       bitmap_parselist(secondary, p->secondary, VLAN_N_VID);
}

static int vsw_sysfs_set_private(struct vsw_port *port, char *text)
{
	DECLARE_BITMAP(secondary, VLAN_N_VID) = {};
	struct vsw_sysfs_private p = { .secondary = secondary };

	if (vsw_sysfs_parse_isolation(&p, text))
		return vsw_sysfs_vlan_refuse(port,
					     "isolation takes none, or promiscuous, community or isolated, a primary VLAN and secondary ones");
	return vsw_port_vlan_change(port, vsw_sysfs_edit_isolation, &p, NULL);
}

static int vsw_sysfs_set_isolation(struct vsw_port *port, const char *text)
{
	const struct vsw_vlans *v = rtnl_dereference(port->vlans);
	char *copy;
	int err;

	if (sysfs_streq(text,
			vsw_sysfs_isolations[VSW_VLAN_ISOLATION_NONE]))
		return v && v->isolation ?
		       vsw_port_vlan_apply(port, NULL, NULL) : 0;
	copy = kstrdup(text, GFP_KERNEL);
	if (!copy)
		return vsw_sysfs_vlan_no_memory(port);
	err = vsw_sysfs_set_private(port, copy);
	kfree(copy);
	return err;
}

static ssize_t isolation_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len, vsw_sysfs_set_isolation);
}
DEVICE_ATTR_RW(isolation);

static ssize_t priority_trust_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	struct vsw_port *port = vsw_sysfs_port(dev);

	return sysfs_emit(buf, "%d\n", !READ_ONCE(port->priority_untrusted));
}

static int vsw_sysfs_set_priority_trust(struct vsw_port *port, const char *text)
{
	bool trust;
	int err;

	err = vsw_sysfs_parse_bool(port->uplink->vmq, "priority_trust", text,
				   &trust);
	if (!err)
		vsw_port_vlan_set_trust(port, trust);
	return err;
}

static ssize_t priority_trust_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t len)
{
	return vsw_sysfs_store(dev, attr, buf, len,
			       vsw_sysfs_set_priority_trust);
}
DEVICE_ATTR_RW(priority_trust);

static ssize_t rx_vlan_mismatch_packets_show(struct device *dev,
					     struct device_attribute *attr,
					     char *buf)
{
	return vsw_sysfs_emit_port(dev, offsetof(struct vsw_port_stats,
						 rx_vlan_mismatch_packets),
				   buf);
}
DEVICE_ATTR_RO(rx_vlan_mismatch_packets);

static ssize_t tx_vlan_dropped_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	return vsw_sysfs_emit_port(dev, offsetof(struct vsw_port_stats,
						 tx_vlan_dropped), buf);
}
DEVICE_ATTR_RO(tx_vlan_dropped);
