// SPDX-License-Identifier: GPL-2.0-only
/*
 * The port: a VM's netdev on an uplink (rtnl kind "vmq"). Exists whether or
 * not it holds a queue.
 */
#include <linux/ethtool.h>
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <net/rtnetlink.h>
#include <uapi/linux/if_vmq.h>
#include "vsw_group.h"
#include "vsw_priv.h"

#define VSW_PORT_FEATURES	(NETIF_F_SG | NETIF_F_HW_CSUM |		\
				 NETIF_F_HIGHDMA | NETIF_F_ALL_TSO |	\
				 NETIF_F_GSO_UDP_L4 | NETIF_F_RXCSUM |	\
				 NETIF_F_GRO)

/*
 * Addresses are policy of the uplink's owner: being root of the namespace that
 * the port was handed to is not enough.
 *
 * Not a case for vmq/last_error, which would be the container's to write.
 */
int vsw_port_may_change(const struct vsw_port *port,
			struct netlink_ext_ack *extack)
{
	if (ns_capable(dev_net(port->lower)->user_ns, CAP_NET_ADMIN))
		return 0;
	NL_SET_ERR_MSG(extack,
		       "addresses of a port belong to the uplink's owner");
	return -EPERM;
}

static int vsw_port_upper_is_foreign(struct net_device *upper,
				     struct netdev_nested_priv *priv)
{
	return dev_net(upper)->user_ns != priv->data;
}

/* Is the port, or something that stands on it, in the hands of another root? */
bool vsw_port_is_foreign(const struct vsw_port *port)
{
	struct user_namespace *owner = dev_net(port->lower)->user_ns;
	struct netdev_nested_priv priv = { .data = owner };
	bool foreign = dev_net(port->dev)->user_ns != owner;

	rcu_read_lock();
	if (netdev_walk_all_upper_dev_rcu(port->dev, vsw_port_upper_is_foreign,
					  &priv))
		foreign = true;
	rcu_read_unlock();
	return foreign;
}

/*
 * Who asks need not be who wants it. A bond that fails over gives its address
 * to a slave, a macvlan hands it down: from a kernel thread, or from whatever
 * the uplink's owner does that makes the other slave go. So while the address
 * is another root's to want, a thread may not change it, and nobody may while
 * something stands on the port.
 */
static int vsw_port_check_asker(const struct vsw_port *port,
				struct netlink_ext_ack *extack)
{
	if (!vsw_port_is_foreign(port) ||
	    (!(current->flags & PF_KTHREAD) &&
	     !netdev_has_any_upper_dev(port->dev)))
		return 0;
	NL_SET_ERR_MSG(extack,
		       "a device of another owner stands on the port, take it off first");
	return -EPERM;
}

/* Is the address another's, in a VLAN that the port is in? */
static int vsw_port_check_claim(const struct vsw_port *port, const u8 *addr,
				struct netlink_ext_ack *extack)
{
	u16 keys[VSW_VLAN_KEYS];
	struct vmq_match match;
	unsigned int i, n;
	int err = 0;

	ether_addr_copy(match.addr, addr);
	n = vsw_vlan_keys(rtnl_dereference(port->vlans), keys);
	for (i = 0; i < n && !err; i++) {
		match.vlan = keys[i];
		err = vmq_filter_check(port->uplink->vmq, &match, extack);
	}
	return err;
}

/* May the port have this address? The reason is in @extack if not. */
int vsw_port_check_addr(const struct vsw_port *port, const u8 *addr,
			struct netlink_ext_ack *extack)
{
	int err;

	/* What the uplink's owner has listed is anybody's to take. */
	err = vsw_policy_is_allowed(port, addr) ? 0 :
	      vsw_port_may_change(port, extack) ?:
	      vsw_port_check_asker(port, extack);
	if (err)
		return err;
	/* A macvlan that goes together with its port gives it its address back. */
	if (!port->uplink)
		return -ENODEV;
	if (!is_valid_ether_addr(addr)) {
		NL_SET_ERR_MSG(extack,
			       "an address is neither zero nor a group");
		return -EINVAL;
	}
	if (ether_addr_equal(port->dev->dev_addr, addr))
		return 0;
	return vsw_port_check_claim(port, addr, extack);
}

void vsw_port_update_carrier(struct vsw_port *port)
{
	if (netif_running(port->lower) && !port->starved)
		netif_stacked_transfer_operstate(port->lower, port->dev);
	else
		netif_carrier_off(port->dev);
}

void vsw_port_update_mtu(struct vsw_port *port)
{
	WRITE_ONCE(port->dev->max_mtu, port->lower->mtu);
	if (port->dev->mtu > port->lower->mtu)
		dev_set_mtu(port->dev, port->lower->mtu);
}

static int vsw_port_init(struct net_device *dev)
{
	struct vsw_port *port = netdev_priv(dev);

	port->stats = netdev_alloc_pcpu_stats(struct vsw_port_stats);
	if (!port->stats)
		return -ENOMEM;
	netdev_lockdep_set_classes(dev);
	netdev_hold(port->lower, &port->lower_tracker, GFP_KERNEL);
	return 0;
}

/* Forget everything that others know of the port. May be called twice. */
static void vsw_port_withdraw(struct vsw_port *port)
{
	if (!port->uplink)
		return;

	vsw_table_member_del(&port->member);
	vsw_group_leave(&port->uplink->table, &port->member);
	vsw_queue_give(port);
	vsw_fdb_flush(port);
	vsw_uplink_put(port->uplink);
	port->uplink = NULL;
}

/*
 * Traffic has ended: the netdev is closed and a grace period has passed.
 * Receivers that still find the port see it not running, and drop.
 */
static void vsw_port_uninit(struct net_device *dev)
{
	vsw_port_withdraw(netdev_priv(dev));
}

/* Frees what link dumps and sysfs may look at up to the end. */
static void vsw_port_destructor(struct net_device *dev)
{
	struct vsw_port *port = netdev_priv(dev);

	netdev_put(port->lower, &port->lower_tracker);
	vsw_policy_fini(port);
	free_percpu(port->stats);
	kfree(rcu_access_pointer(port->vlans));
}

static int vsw_port_open(struct net_device *dev)
{
	vsw_shape_open(netdev_priv(dev));
	netif_tx_start_all_queues(dev);
	return 0;
}

static int vsw_port_stop(struct net_device *dev)
{
	netif_tx_stop_all_queues(dev);
	vsw_shape_stop(netdev_priv(dev));
	return 0;
}

/* The new address is claimed first, so that a refusal changes nothing. */
static int vsw_port_change_addr(struct vsw_port *port, const u8 *addr,
				struct netlink_ext_ack *extack)
{
	u8 old[ETH_ALEN];
	int err;

	err = vsw_fdb_add_addr(port, addr, false, extack);
	if (err)
		return err;
	ether_addr_copy(old, port->dev->dev_addr);
	eth_hw_addr_set(port->dev, addr);
	vsw_fdb_del_addr(port, old);
	return 0;
}

static int vsw_port_set_mac_address(struct net_device *dev, void *p)
{
	struct vsw_port *port = netdev_priv(dev);
	struct netlink_ext_ack extack = {};
	struct sockaddr *sa = p;
	int err;

	err = vsw_port_check_addr(port, sa->sa_data, &extack);
	if (err)
		goto refused;
	if (ether_addr_equal(dev->dev_addr, sa->sa_data))
		return 0;
	err = vsw_port_change_addr(port, sa->sa_data, &extack);
	if (err)
		goto refused;
	return 0;

refused:
	/* The ndo is not given the caller's extack. */
	if (net_ratelimit())
		netdev_err(dev, "address %pM refused: %s (%d)\n", sa->sa_data,
			   extack._msg ? : "no memory", err);
	return err;
}

static int vsw_port_get_iflink(const struct net_device *dev)
{
	const struct vsw_port *port = netdev_priv(dev);

	return READ_ONCE(port->lower->ifindex);
}

const struct net_device_ops vsw_port_netdev_ops = {
	.ndo_init		= vsw_port_init,
	.ndo_uninit		= vsw_port_uninit,
	.ndo_open		= vsw_port_open,
	.ndo_stop		= vsw_port_stop,
	.ndo_start_xmit		= vsw_forward_port_xmit,
	.ndo_set_rx_mode	= vsw_rx_mode_set,
	.ndo_set_mac_address	= vsw_port_set_mac_address,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_fdb_add		= vsw_fdb_add,
	.ndo_fdb_del		= vsw_fdb_del,
	.ndo_fdb_dump		= vsw_fdb_dump,
	.ndo_bridge_setlink	= vsw_bridge_setlink,
	.ndo_bridge_dellink	= vsw_bridge_dellink,
	.ndo_bridge_getlink	= vsw_bridge_getlink,
	.ndo_get_iflink		= vsw_port_get_iflink,
};

static void vsw_port_get_drvinfo(struct net_device *dev,
				 struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "vmq_vswitch", sizeof(info->driver));
}

static int vsw_port_get_link_ksettings(struct net_device *dev,
				       struct ethtool_link_ksettings *cmd)
{
	const struct vsw_port *port = netdev_priv(dev);

	return __ethtool_get_link_ksettings(port->lower, cmd);
}

static const struct ethtool_ops vsw_port_ethtool_ops = {
	.get_drvinfo		= vsw_port_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= vsw_port_get_link_ksettings,
	.get_ts_info		= ethtool_op_get_ts_info,
};

static void vsw_port_setup(struct net_device *dev)
{
	ether_setup(dev);

	dev->netdev_ops = &vsw_port_netdev_ops;
	dev->ethtool_ops = &vsw_port_ethtool_ops;
	dev->priv_destructor = vsw_port_destructor;
	dev->needs_free_netdev = true;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_DSTATS;
	dev->sysfs_groups[0] = &vsw_sysfs_port_group;

	dev->lltx = true;
	/* A frame is handed on: pktgen must not send one skb twice. */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	/*
	 * The ring's lock is taken inside our transmit: netpoll, which sends
	 * with interrupts off, could find it held by its own CPU.
	 */
	dev->priv_flags |= IFF_NO_QUEUE | IFF_DISABLE_NETPOLL |
			   IFF_LIVE_ADDR_CHANGE | IFF_UNICAST_FLT;

	dev->hw_features = VSW_PORT_FEATURES;
	dev->features = VSW_PORT_FEATURES | NETIF_F_HW_VLAN_CTAG_TX |
			NETIF_F_HW_VLAN_CTAG_RX;
	dev->vlan_features = VSW_PORT_FEATURES;
	dev->hw_enc_features = VSW_PORT_FEATURES;

	/* The uplink's MTU becomes the limit as soon as it is known. */
	dev->max_mtu = ETH_MAX_MTU;
}

static int vsw_port_validate(struct nlattr *tb[], struct nlattr *data[],
			     struct netlink_ext_ack *extack)
{
	if (!tb[IFLA_ADDRESS])
		return 0;
	if (nla_len(tb[IFLA_ADDRESS]) != ETH_ALEN) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "an address has 6 bytes");
		return -EINVAL;
	}
	if (!is_valid_ether_addr(nla_data(tb[IFLA_ADDRESS]))) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "an address is neither zero nor a group");
		return -EINVAL;
	}
	return 0;
}

static struct vmq_dev *vsw_port_find_uplink(struct net *net,
					    struct nlattr *tb[],
					    struct netlink_ext_ack *extack)
{
	struct net_device *lower;
	struct vmq_dev *vmq;

	if (!tb[IFLA_LINK]) {
		NL_SET_ERR_MSG(extack, "a port needs an uplink (link DEV)");
		return ERR_PTR(-EINVAL);
	}
	lower = __dev_get_by_index(net, nla_get_u32(tb[IFLA_LINK]));
	if (!lower) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_LINK],
				    "there is no such uplink");
		return ERR_PTR(-ENODEV);
	}
	vmq = vmq_dev_from_uplink(lower);
	if (vmq)
		return vmq;

	if (netif_is_bond_master(lower) || netif_is_team_master(lower))
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_LINK],
				    "VMQ on a bond is not supported, use a port of the NIC");
	else
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_LINK],
				    "the uplink has no VMQ, is it bound to a VMQ driver?");
	return ERR_PTR(-EOPNOTSUPP);
}

/* What the netdev takes over from its uplink. */
static int vsw_port_inherit(struct net_device *dev, struct net_device *lower,
			    struct nlattr *tb[], struct netlink_ext_ack *extack)
{
	if (!tb[IFLA_MTU]) {
		dev->mtu = lower->mtu;
	} else if (dev->mtu > lower->mtu) {
		NL_SET_BAD_ATTR(extack, tb[IFLA_MTU]);
		return vmq_refuse(vmq_dev_from_uplink(lower), extack, -EINVAL,
				  "the MTU is larger than the uplink's");
	}
	dev->max_mtu = lower->mtu;
	dev->needed_headroom = lower->needed_headroom;
	dev->needed_tailroom = lower->needed_tailroom;
	netif_inherit_tso_max(dev, lower);
	if (!tb[IFLA_ADDRESS])
		eth_hw_addr_random(dev);
	return 0;
}

static void vsw_port_prepare(struct vsw_port *port, struct net_device *dev,
			     struct net_device *lower)
{
	port->dev = dev;
	port->lower = lower;
	port->consumer.ops = &vsw_forward_consumer_ops;
	port->consumer.dev = dev;
	vsw_table_member_init(&port->member);
	INIT_LIST_HEAD(&port->node);
	skb_queue_head_init(&port->held);
	vsw_weight_port_init(&port->rank);
	vsw_policy_init(port);
	vsw_share_port_init(&port->share);
}

static int vsw_port_claim(struct vsw_port *port, struct vmq_dev *vmq,
			  struct netlink_ext_ack *extack)
{
	struct vsw_uplink *up;
	struct vsw_entry *own;

	up = vsw_uplink_get(vmq, extack);
	if (IS_ERR(up))
		return PTR_ERR(up);
	port->uplink = up;

	own = vsw_fdb_claim(port, port->dev->dev_addr, VMQ_VLAN_UNTAGGED,
			    extack);
	if (IS_ERR(own)) {
		port->uplink = NULL;
		vsw_uplink_put(up);
		return PTR_ERR(own);
	}
	own->implied = true;
	port->own = own;
	return 0;
}

static bool vsw_port_wants_queue(struct nlattr *data[])
{
	return data && data[IFLA_VMQ_EXCLUSIVE] &&
	       nla_get_u8(data[IFLA_VMQ_EXCLUSIVE]);
}

/*
 * The address is claimed before the netdev exists, and the switch learns of
 * the port when it is whole: a frame in between goes up the uplink's stack as
 * it did before.
 */
static int vsw_port_newlink(struct net *src_net, struct net_device *dev,
			    struct nlattr *tb[], struct nlattr *data[],
			    struct netlink_ext_ack *extack)
{
	struct vsw_port *port = netdev_priv(dev);
	struct net_device *lower;
	struct vmq_dev *vmq;
	int err;

	vmq = vsw_port_find_uplink(src_net, tb, extack);
	if (IS_ERR(vmq))
		return PTR_ERR(vmq);
	lower = vmq_dev_uplink(vmq);
	err = vsw_port_inherit(dev, lower, tb, extack);
	if (err)
		return err;

	vsw_port_prepare(port, dev, lower);
	err = vsw_port_claim(port, vmq, extack);
	if (err)
		return err;

	err = register_netdevice(dev);
	if (err)
		goto withdraw;

	vsw_table_member_add(&port->uplink->table, &port->member);
	err = vsw_fdb_publish(port, port->own, extack);
	if (err)
		goto unregister;
	port->own = NULL;
	err = netdev_upper_dev_link(lower, dev, extack);
	if (err)
		goto unregister;

	list_add_tail(&port->node, &port->uplink->ports);
	vsw_port_update_carrier(port);
	linkwatch_fire_event(dev);
	vsw_meter_join(port);
	err = vsw_promote_join(port, vsw_port_wants_queue(data), extack);
	if (err)
		goto leave;
	return 0;

leave:
	list_del_init(&port->node);
	vsw_promote_leave(port);
	vsw_meter_leave(port);
	netdev_upper_dev_unlink(lower, dev);
unregister:
	unregister_netdevice(dev);
	return err;
withdraw:
	vsw_port_withdraw(port);
	return err;
}

static void vsw_port_dellink(struct net_device *dev, struct list_head *head)
{
	struct vsw_port *port = netdev_priv(dev);

	vsw_mirror_leave(port);
	/* Off the list: the uplink's end must not delete it once more. */
	list_del_init(&port->node);
	vsw_promote_leave(port);
	vsw_meter_leave(port);
	unregister_netdevice_queue(dev, head);
	netdev_upper_dev_unlink(port->lower, dev);
}

static struct net *vsw_port_get_link_net(const struct net_device *dev)
{
	const struct vsw_port *port = netdev_priv(dev);

	return dev_net(port->lower);
}

static size_t vsw_port_get_size(const struct net_device *dev)
{
	return nla_total_size(sizeof(u32)) +
	       nla_total_size(VSW_REASON_LEN) +
	       nla_total_size(sizeof(u8));
}

static int vsw_port_fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct vsw_port *port = netdev_priv(dev);
	u16 id = READ_ONCE(port->queue);

	if (nla_put_u8(skb, IFLA_VMQ_EXCLUSIVE, port->rank.exclusive))
		return -EMSGSIZE;
	if (id)
		return nla_put_u32(skb, IFLA_VMQ_QUEUE, id);
	return nla_put_string(skb, IFLA_VMQ_REASON, vsw_queue_reason(port));
}

static const struct nla_policy vsw_port_policy[IFLA_VMQ_MAX + 1] = {
	[IFLA_VMQ_QUEUE]	= { .type = NLA_REJECT },
	[IFLA_VMQ_REASON]	= { .type = NLA_REJECT },
	[IFLA_VMQ_EXCLUSIVE]	= NLA_POLICY_MAX(NLA_U8, 1),
};

struct rtnl_link_ops vsw_port_link_ops = {
	.kind		= "vmq",
	.maxtype	= IFLA_VMQ_MAX,
	.policy		= vsw_port_policy,
	.priv_size	= sizeof(struct vsw_port),
	.setup		= vsw_port_setup,
	.validate	= vsw_port_validate,
	.newlink	= vsw_port_newlink,
	.dellink	= vsw_port_dellink,
	.get_link_net	= vsw_port_get_link_net,
	.get_size	= vsw_port_get_size,
	.fill_info	= vsw_port_fill_info,
};
