// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mirroring: a port gets a copy of all that another one sends and receives. One
 * that gets copies has none made of them, so there are no loops.
 */
#include <linux/rtnetlink.h>
#include <linux/sysfs.h>
#include "vsw_priv.h"

/*
 * Of a frame that is about to be sent, or handed to the port: it may be gone by
 * the time it is known that it was. Context: RCU read side.
 */
struct sk_buff *__vsw_mirror_clone(struct vsw_port *port, struct sk_buff *skb)
{
	struct vsw_port *to = rcu_dereference(port->mirror);
	struct sk_buff *copy;

	if (!to)
		return NULL;
	copy = skb_clone(skb, GFP_ATOMIC);
	if (!copy)
		dev_dstats_rx_dropped(to->dev);
	return copy;
}

/* The frame went where it should; @copy may be NULL. RCU read side, BH off. */
void vsw_mirror_deliver(struct vsw_port *port, struct sk_buff *copy)
{
	struct vsw_port *to;

	if (!copy)
		return;
	to = rcu_dereference(port->mirror);
	if (to)
		vsw_forward_deliver_mirrored(to, copy);
	else
		consume_skb(copy);
}

/*
 * A frame that the NIC has put into the port's hands, its Ethernet header at
 * skb->data. It goes on to GRO, which may take its memory apart. NAPI context.
 */
void vsw_mirror_receive(struct vsw_port *port, const struct sk_buff *skb)
{
	struct vsw_port *to = rcu_dereference(port->mirror);
	struct sk_buff *copy;

	if (!to)
		return;
	copy = skb_copy(skb, GFP_ATOMIC);
	if (copy)
		vsw_forward_receive_mirrored(to, copy);
	else
		dev_dstats_rx_dropped(to->dev);
}

static void vsw_mirror_assign(struct vsw_port *port, struct vsw_port *to)
{
	struct vsw_port *old = rtnl_dereference(port->mirror);

	if (old)
		old->mirrored--;
	if (to)
		to->mirrored++;
	rcu_assign_pointer(port->mirror, to);
	vsw_policy_set(port, VSW_POLICY_MIRROR, to);
	if (to != old)
		sysfs_notify(&port->dev->dev.kobj, "vmq", "mirror_to");
}

static struct vsw_port *vsw_mirror_find(const struct vsw_uplink *up,
					const char *name)
{
	struct vsw_port *port;

	list_for_each_entry(port, &up->ports, node)
		if (net_eq(dev_net(port->dev), dev_net(up->dev)) &&
		    !strcmp(netdev_name(port->dev), name))
			return port;
	return NULL;
}

/* "": no mirror. Context: rtnl held. */
int vsw_mirror_set(struct vsw_port *port, const char *name)
{
	struct vmq_dev *vmq = port->uplink->vmq;
	struct vsw_port *to = NULL;

	if (!*name)
		goto assign;
	to = vsw_mirror_find(port->uplink, name);
	if (!to)
		return vmq_refuse(vmq, NULL, -ENOENT,
				  "the uplink has no port of this name in its network namespace");
	if (to == port)
		return vmq_refuse(vmq, NULL, -EINVAL,
				  "a port is not its own mirror");
	if (rtnl_dereference(to->mirror))
		return vmq_refuse(vmq, NULL, -EBUSY,
				  "port %s is mirrored itself", name);
	if (port->mirrored)
		return vmq_refuse(vmq, NULL, -EBUSY,
				  "port %s gets the copies of another port",
				  netdev_name(port->dev));
assign:
	vsw_mirror_assign(port, to);
	return 0;
}

/*
 * The port goes: it is mirrored no more, nor gets copies. Whoever still has the
 * pointer is waited for before its netdev is freed. Context: rtnl held.
 */
void vsw_mirror_leave(struct vsw_port *port)
{
	struct vsw_port *other;

	vsw_mirror_assign(port, NULL);
	if (!port->mirrored)
		return;
	list_for_each_entry(other, &port->uplink->ports, node)
		if (rtnl_dereference(other->mirror) == port)
			vsw_mirror_assign(other, NULL);
}
