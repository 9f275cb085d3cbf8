// SPDX-License-Identifier: GPL-2.0-only
/* VLANs of a port as bridge vlan ... dev PORT self adds, deletes and shows them. */
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>
#include "vsw_priv.h"

/* More VLANs are always told as ranges, so that they fit one message. */
#define VSW_BRIDGE_LIST_MAX	256

struct vsw_bridge_request {
	const struct nlattr *spec;
	bool add;
};

static const char *vsw_bridge_refuse(int *err, int value, const char *why)
{
	*err = value;
	return why;
}

/* One VLAN, or the last one of a range that began with @first. */
static const char *vsw_bridge_edit_range(struct vsw_vlans *v, bool add,
					 u16 first,
					 const struct bridge_vlan_info *info,
					 int *err)
{
	unsigned int flags = 0;

	if (!add)
		return vsw_vlan_del(v, first, info->vid, err);
	if (info->flags & BRIDGE_VLAN_INFO_PVID)
		flags |= VSW_VLAN_PVID;
	if (info->flags & BRIDGE_VLAN_INFO_UNTAGGED)
		flags |= VSW_VLAN_UNTAGGED;
	return vsw_vlan_add(v, first, info->vid, flags, err);
}

/* @first is 0, or where a range that is not complete yet begins. */
static const char *vsw_bridge_edit_one(struct vsw_vlans *v, bool add,
				       const struct nlattr *attr, u16 *first,
				       int *err)
{
	const u16 range = BRIDGE_VLAN_INFO_RANGE_BEGIN |
			  BRIDGE_VLAN_INFO_RANGE_END;
	const struct bridge_vlan_info *info = nla_data(attr);
	const char *why;

	if (nla_len(attr) != sizeof(*info))
		return vsw_bridge_refuse(err, -EINVAL, "malformed VLAN");
	if (info->flags & ~(range | BRIDGE_VLAN_INFO_PVID |
			    BRIDGE_VLAN_INFO_UNTAGGED))
		return vsw_bridge_refuse(err, -EOPNOTSUPP,
					 "a VLAN of a port is pvid or untagged, nothing else");
	if (!!*first != !!(info->flags & BRIDGE_VLAN_INFO_RANGE_END) ||
	    (info->flags & range) == range)
		return vsw_bridge_refuse(err, -EINVAL,
					 "a range of VLANs has a begin and an end");
	if (info->flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
		*first = info->vid;
		/* VLAN 0 is no VLAN, and would look like no range. */
		return *first ? NULL :
		       vsw_bridge_refuse(err, -EINVAL,
					 "the VLAN ID must be 1 to 4094");
	}
	why = vsw_bridge_edit_range(v, add, *first ? : info->vid, info, err);
	*first = 0;
	return why;
}

static const char *vsw_bridge_edit(struct vsw_vlans *v, const void *arg,
				   int *err)
{
	const struct vsw_bridge_request *request = arg;
	const struct nlattr *attr;
	const char *why;
	u16 first = 0;
	int rem;

	nla_for_each_nested(attr, request->spec, rem) {
		if (nla_type(attr) == IFLA_BRIDGE_FLAGS)
			continue;
		if (nla_type(attr) != IFLA_BRIDGE_VLAN_INFO)
			return vsw_bridge_refuse(err, -EOPNOTSUPP,
						 "a port has VLANs, and nothing else of a bridge's");
		why = vsw_bridge_edit_one(v, request->add, attr, &first, err);
		if (why)
			return why;
	}
	if (first)
		return vsw_bridge_refuse(err, -EINVAL,
					 "a range of VLANs has a begin and an end");
	return NULL;
}

static int vsw_bridge_change(struct net_device *dev, struct nlmsghdr *nlh,
			     bool add, struct netlink_ext_ack *extack)
{
	struct vsw_bridge_request request = { .add = add };
	struct vsw_port *port = netdev_priv(dev);
	int err;

	err = vsw_port_may_change(port, extack);
	if (err) {
		NL_SET_ERR_MSG(extack,
			       "VLANs of a port belong to the uplink's owner");
		return err;
	}
	request.spec = nlmsg_find_attr(nlh, sizeof(struct ifinfomsg),
				       IFLA_AF_SPEC);
	if (!request.spec ||
	    nlmsg_find_attr(nlh, sizeof(struct ifinfomsg), IFLA_PROTINFO))
		return vmq_refuse(port->uplink->vmq, extack, -EOPNOTSUPP,
				  "a port has VLANs, and nothing else of a bridge's");
	return vsw_port_vlan_change(port, vsw_bridge_edit, &request, extack);
}

int vsw_bridge_setlink(struct net_device *dev, struct nlmsghdr *nlh, u16 flags,
		       struct netlink_ext_ack *extack)
{
	return vsw_bridge_change(dev, nlh, true, extack);
}

/* The kernel has no place for a reason here: it goes to the log. */
int vsw_bridge_dellink(struct net_device *dev, struct nlmsghdr *nlh, u16 flags)
{
	return vsw_bridge_change(dev, nlh, false, NULL);
}

static int vsw_bridge_put(struct sk_buff *skb, u16 vid, u16 flags)
{
	struct bridge_vlan_info info = { .flags = flags, .vid = vid };

	return nla_put(skb, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

static int vsw_bridge_put_range(struct sk_buff *skb,
				const struct vsw_vlan_range *r, bool compressed)
{
	unsigned int vid;
	u16 flags = 0;
	int err = 0;

	if (r->flags & VSW_VLAN_PVID)
		flags |= BRIDGE_VLAN_INFO_PVID;
	if (r->flags & VSW_VLAN_UNTAGGED)
		flags |= BRIDGE_VLAN_INFO_UNTAGGED;
	if (compressed && r->first != r->last)
		return vsw_bridge_put(skb, r->first, flags |
				      BRIDGE_VLAN_INFO_RANGE_BEGIN) ?:
		       vsw_bridge_put(skb, r->last, flags |
				      BRIDGE_VLAN_INFO_RANGE_END);
	for (vid = r->first; vid <= r->last && !err; vid++)
		err = vsw_bridge_put(skb, vid, flags);
	return err;
}

static int vsw_bridge_fill(struct sk_buff *skb, struct net_device *dev,
			   u32 filter_mask)
{
	bool compressed = filter_mask & RTEXT_FILTER_BRVLAN_COMPRESSED;
	const struct vsw_port *port = netdev_priv(dev);
	struct vsw_vlan_range r = {};
	const struct vsw_vlans *v;
	int err = 0;

	if (!compressed && !(filter_mask & RTEXT_FILTER_BRVLAN))
		return 0;
	rcu_read_lock();
	v = rcu_dereference(port->vlans);
	if (v && bitmap_weight(v->rx, VLAN_N_VID) > VSW_BRIDGE_LIST_MAX)
		compressed = true;
	while (v && !err && vsw_vlan_next(v, &r))
		err = vsw_bridge_put_range(skb, &r, compressed);
	rcu_read_unlock();
	return err;
}

/* A port that was told no VLANs is nothing that a bridge's tools know. */
int vsw_bridge_getlink(struct sk_buff *skb, u32 pid, u32 seq,
		       struct net_device *dev, u32 filter_mask, int nlflags)
{
	const struct vsw_port *port = netdev_priv(dev);

	if (!rcu_access_pointer(port->vlans))
		return 0;
	return ndo_dflt_bridge_getlink(skb, pid, seq, dev, BRIDGE_MODE_UNDEF, 0,
				       0, nlflags, filter_mask,
				       vsw_bridge_fill);
}
