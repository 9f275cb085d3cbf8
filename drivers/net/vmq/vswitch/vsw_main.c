// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vswitch module: the switch object of an uplink, which is there as long as
 * the uplink and serves it from its first port to its last, and what happens to
 * ports when the uplink changes.
 */
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/rtnetlink.h>
#include <net/rtnetlink.h>
#include "vsw_priv.h"

/* All VMQ uplinks; written under rtnl, read in RCU. */
static LIST_HEAD(vsw_uplinks);
/* No uplink is taken up any more; rtnl. */
static bool vsw_main_leaving;

/* Context: rtnl held, or something else keeps this uplink's object. */
struct vsw_uplink *vsw_uplink_find(const struct net_device *dev)
{
	struct vsw_uplink *up, *found = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(up, &vsw_uplinks, node)
		if (up->dev == dev)
			found = up;
	rcu_read_unlock();
	return found;
}

static void vsw_uplink_free(struct vsw_uplink *up)
{
	vsw_table_fini(&up->table);
	free_percpu(up->stats);
	/* Files of other uplinks may still step over it. */
	kfree_rcu(up, rcu);
}

static struct vsw_uplink *vsw_uplink_create(struct vmq_dev *vmq)
{
	struct vsw_uplink *up;
	int err = -ENOMEM;

	up = kzalloc(sizeof(*up), GFP_KERNEL);
	if (!up)
		return ERR_PTR(err);

	up->sw.ops = &vsw_forward_switch_ops;
	up->vmq = vmq;
	up->dev = vmq_dev_uplink(vmq);
	up->flood = true;
	INIT_LIST_HEAD(&up->ports);
	vsw_promote_init(up);
	INIT_DELAYED_WORK(&up->rx_mode, vsw_rx_mode_work);
	vsw_meter_init(up);

	up->stats = netdev_alloc_pcpu_stats(struct vsw_switch_stats);
	if (!up->stats)
		goto free_uplink;
	err = vsw_table_init(&up->table);
	if (err)
		goto free_stats;

	/* Who reads its files looks for it in the list. */
	list_add_tail_rcu(&up->node, &vsw_uplinks);
	err = vsw_sysfs_uplink_add(up);
	if (err)
		goto del_uplink;
	return up;

del_uplink:
	list_del_rcu(&up->node);
	vsw_uplink_free(up);
	return ERR_PTR(err);
free_stats:
	free_percpu(up->stats);
free_uplink:
	kfree(up);
	return ERR_PTR(err);
}

struct vsw_uplink *vsw_uplink_get(struct vmq_dev *vmq,
				  struct netlink_ext_ack *extack)
{
	struct vsw_uplink *up = vsw_uplink_find(vmq_dev_uplink(vmq));
	int err;

	/* There was no memory when the uplink was registered. */
	if (!up)
		up = vsw_uplink_create(vmq);
	if (IS_ERR(up))
		return ERR_PTR(vmq_refuse(vmq, extack, PTR_ERR(up),
					  "no memory for a switch"));
	if (!up->nr_ports) {
		err = vmq_switch_attach(vmq, &up->sw);
		if (err) {
			NL_SET_ERR_MSG(extack,
				       "another vswitch serves this uplink");
			return ERR_PTR(err);
		}
	}
	up->nr_ports++;
	return up;
}

void vsw_uplink_put(struct vsw_uplink *up)
{
	if (--up->nr_ports)
		return;

	/* After this nothing schedules the works any more. */
	vmq_switch_detach(up->vmq, &up->sw);
	vsw_promote_stop(up);
	vsw_meter_stop(up);
	/* It only tries rtnl, so waiting for it under rtnl is safe. */
	cancel_delayed_work_sync(&up->rx_mode);
	/* The uplink went before its last port. */
	if (up->gone)
		vsw_uplink_free(up);
}

static void vsw_uplink_kill_ports(struct vsw_uplink *up)
{
	struct vsw_port *port, *next;
	LIST_HEAD(kill);

	list_for_each_entry_safe(port, next, &up->ports, node)
		vsw_port_link_ops.dellink(port->dev, &kill);
	unregister_netdevice_many(&kill);
}

/*
 * Called for every uplink there is, too, when the module is loaded. The NIC
 * works without a switch: its first port tries again.
 */
static void vsw_uplink_registered(struct net_device *dev)
{
	struct vmq_dev *vmq = vmq_dev_from_uplink(dev);

	/* A move to another namespace says REGISTER as well. */
	if (vmq && !vsw_uplink_find(dev) && !vsw_main_leaving)
		vsw_uplink_create(vmq);
}

static void vsw_uplink_unregistered(struct vsw_uplink *up)
{
	vsw_uplink_kill_ports(up);
	vsw_sysfs_uplink_del(up);
	list_del_rcu(&up->node);
	up->gone = true;
	/* A port that is deleted together with its uplink may be left. */
	if (!up->nr_ports)
		vsw_uplink_free(up);
}

/* Before the notifier goes: after it nobody tells that an uplink has gone. */
static void vsw_uplink_drop_all(void)
{
	struct vsw_uplink *up, *next;

	rtnl_lock();
	vsw_main_leaving = true;
	list_for_each_entry_safe(up, next, &vsw_uplinks, node)
		vsw_uplink_unregistered(up);
	rtnl_unlock();
}

/*
 * Asked before every address change. The ndo asks again, since it is reached by
 * other ways too, but only here is there an extack for the reason.
 */
static int vsw_main_pre_changeaddr(struct net_device *dev, void *ptr)
{
	struct netdev_notifier_pre_changeaddr_info *info = ptr;

	if (dev->netdev_ops != &vsw_port_netdev_ops)
		return NOTIFY_DONE;
	return notifier_from_errno(vsw_port_check_addr(netdev_priv(dev),
				info->dev_addr,
				netdev_notifier_info_to_extack(ptr)));
}

static int vsw_main_event(struct notifier_block *nb, unsigned long event,
			  void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct vsw_uplink *up = vsw_uplink_find(dev);
	struct vsw_port *port;

	if (event == NETDEV_PRE_CHANGEADDR)
		return vsw_main_pre_changeaddr(dev, ptr);
	if (event == NETDEV_REGISTER)
		vsw_uplink_registered(dev);
	if (!up)
		return NOTIFY_DONE;

	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		list_for_each_entry(port, &up->ports, node)
			vsw_port_update_carrier(port);
		/* The link may be another one, or none. */
		vsw_meter_update(up);
		break;
	case NETDEV_CHANGEMTU:
		list_for_each_entry(port, &up->ports, node)
			vsw_port_update_mtu(port);
		break;
	case NETDEV_FEAT_CHANGE:
		list_for_each_entry(port, &up->ports, node)
			netif_inherit_tso_max(port->dev, dev);
		break;
	case NETDEV_UNREGISTER:
		/* A move to another namespace says UNREGISTER as well. */
		if (dev->reg_state == NETREG_UNREGISTERING)
			vsw_uplink_unregistered(up);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block vsw_main_notifier = {
	.notifier_call = vsw_main_event,
};

static int __init vsw_main_init(void)
{
	int err;

	err = register_netdevice_notifier(&vsw_main_notifier);
	if (err)
		return err;

	err = rtnl_link_register(&vsw_port_link_ops);
	if (err)
		goto drop_uplinks;
	return 0;

drop_uplinks:
	vsw_uplink_drop_all();
	unregister_netdevice_notifier(&vsw_main_notifier);
	return err;
}
module_init(vsw_main_init);

static void __exit vsw_main_exit(void)
{
	/* Deletes all ports. */
	rtnl_link_unregister(&vsw_port_link_ops);
	vsw_uplink_drop_all();
	unregister_netdevice_notifier(&vsw_main_notifier);
}
module_exit(vsw_main_exit);

MODULE_DESCRIPTION("VM ports and software switch on VMQ uplinks");
MODULE_ALIAS_RTNL_LINK("vmq");
MODULE_LICENSE("GPL");
