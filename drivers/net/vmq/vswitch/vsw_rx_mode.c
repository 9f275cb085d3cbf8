// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the stack, and devices that stand on a port, want to hear
 * (ndo_set_rx_mode). Groups and promiscuous mode are bits of the port, set at
 * once: IPv6 asks who has an address right after it has joined. Unicast
 * addresses become entries like those of bridge fdb, which takes rtnl.
 */
#include <linux/etherdevice.h>
#include <linux/if_macvlan.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include "vsw_group.h"
#include "vsw_priv.h"

/* Unicast addresses that a port has for what stands on it. */
#define VSW_ADDRESSES_MAX	64

static int vsw_rx_mode_count_passthru(struct net_device *upper,
				      struct netdev_nested_priv *priv)
{
	const struct macvlan_dev *vlan = netdev_priv(upper);
	unsigned int *count = priv->data;

	/* A bridge hands no promiscuity down from what stands on it. */
	if (netif_is_macvlan(upper) && netif_running(upper) &&
	    !netif_is_bridge_master(vlan->lowerdev) &&
	    vlan->mode == MACVLAN_MODE_PASSTHRU &&
	    !(vlan->flags & MACVLAN_FLAG_NOPROMISC))
		(*count)++;
	return 0;
}

/*
 * A macvtap in passthru mode makes its device promiscuous, whatever the VM
 * wants: every VM of the host would get a copy of what every other one sends
 * to the wire. Only who asks for more than that gets it, and no container: what
 * is nobody's is not its root's to hear.
 */
static bool vsw_rx_mode_wants_unknown(const struct vsw_port *port)
{
	unsigned int passthru = 0;
	struct netdev_nested_priv priv = { .data = &passthru };

	if (!(port->dev->flags & IFF_PROMISC) || vsw_port_is_foreign(port))
		return false;
	rcu_read_lock();
	netdev_walk_all_upper_dev_rcu(port->dev, vsw_rx_mode_count_passthru,
				      &priv);
	rcu_read_unlock();
	return port->dev->promiscuity > passthru;
}

/* What found no memory, with nobody to be told: again in a moment. */
static void vsw_rx_mode_retry(struct vsw_uplink *up)
{
	schedule_delayed_work(&up->rx_mode, HZ / 10);
}

/*
 * Without memory for its groups the port gets all of them until there is some,
 * and loses none. The address lock is held.
 */
static void vsw_rx_mode_join(struct vsw_port *port)
{
	struct net_device *dev = port->dev;
	unsigned int wanted = netdev_mc_count(dev);
	unsigned int room = min(wanted, VSW_GROUPS_MAX);
	bool all = dev->flags & (IFF_PROMISC | IFF_ALLMULTI), poor = false;
	const struct netdev_hw_addr *ha;
	struct vsw_groups *groups = NULL;

	if (room && !all) {
		groups = vsw_groups_alloc(room);
		poor = !groups;
		all = poor;
	}
	/* The list may be of any length: no further than there is room. */
	if (groups)
		netdev_for_each_mc_addr(ha, dev)
			if (!vsw_groups_add(groups, ha->addr))
				break;
	WRITE_ONCE(port->groups_refused, all ? 0 : wanted - room);
	vsw_group_join(&port->member, groups, all);
	WRITE_ONCE(port->groups_stale, poor);
	if (poor)
		vsw_rx_mode_retry(port->uplink);
}

/* The port's unicast list is looked at again, soon. Any context. */
void vsw_rx_mode_recheck(struct vsw_port *port)
{
	WRITE_ONCE(port->rx_stale, true);
	mod_delayed_work(system_wq, &port->uplink->rx_mode, 0);
}

/*
 * The port's address lock is held, BH off. It is up: the grace period of its
 * end waits for this.
 */
void vsw_rx_mode_set(struct net_device *dev)
{
	struct vsw_port *port = netdev_priv(dev);

	vsw_rx_mode_join(port);
	vsw_group_set_promisc(&port->uplink->table, &port->member,
			      vsw_rx_mode_wants_unknown(port));
	if (!netdev_uc_empty(dev) || READ_ONCE(port->rx_addresses))
		vsw_rx_mode_recheck(port);
}

/* The list as it is now, @n addresses; NULL without memory. */
static u8 (*vsw_rx_mode_snapshot(struct net_device *dev,
				 unsigned int *n))[ETH_ALEN]
{
	/* It may grow before it is locked, and is looked at again then. */
	unsigned int room = netdev_uc_count(dev) + 1;
	const struct netdev_hw_addr *ha;
	u8 (*addrs)[ETH_ALEN];

	*n = 0;
	addrs = kvmalloc_array(room, sizeof(*addrs), GFP_KERNEL);
	if (!addrs)
		return NULL;
	netif_addr_lock_bh(dev);
	netdev_for_each_uc_addr(ha, dev)
		if (*n < room)
			ether_addr_copy(addrs[(*n)++], ha->addr);
	netif_addr_unlock_bh(dev);
	return addrs;
}

static bool vsw_rx_mode_has(const u8 (*addrs)[ETH_ALEN], unsigned int n,
			    const u8 *addr)
{
	while (n--)
		if (ether_addr_equal(addrs[n], addr))
			return true;
	return false;
}

static const struct vsw_entry *
vsw_rx_mode_find_old(const struct vsw_port *port, const u8 (*addrs)[ETH_ALEN],
		     unsigned int n)
{
	const struct vsw_entry *entry;

	list_for_each_entry(entry, &port->member.entries, list)
		if (entry->rx_mode &&
		    !vsw_rx_mode_has(addrs, n, entry->match.addr))
			return entry;
	return NULL;
}

/* An address is an entry in each VLAN of the port. */
static void vsw_rx_mode_drop_old(struct vsw_port *port,
				 const u8 (*addrs)[ETH_ALEN], unsigned int n)
{
	const struct vsw_entry *entry;
	u8 addr[ETH_ALEN];

	while ((entry = vsw_rx_mode_find_old(port, addrs, n))) {
		ether_addr_copy(addr, entry->match.addr);
		vsw_fdb_del_addr(port, addr);
		WRITE_ONCE(port->rx_addresses, port->rx_addresses - 1);
	}
}

static int vsw_rx_mode_may_claim(const struct vsw_port *port, const u8 *addr,
				 bool foreign, struct netlink_ext_ack *extack)
{
	/* Who set the address of a device in a container? Its root may have. */
	if (foreign) {
		NL_SET_ERR_MSG(extack,
			       "addresses of a port belong to the uplink's owner");
		return -EPERM;
	}
	if (!is_valid_ether_addr(addr)) {
		NL_SET_ERR_MSG(extack,
			       "an address is neither zero nor a group");
		return -EINVAL;
	}
	if (port->rx_addresses >= VSW_ADDRESSES_MAX) {
		NL_SET_ERR_MSG(extack,
			       "devices on a port have 64 addresses at most");
		return -ENOSPC;
	}
	return 0;
}

static int vsw_rx_mode_claim(struct vsw_port *port, const u8 *addr,
			     bool foreign, struct netlink_ext_ack *extack)
{
	int err;

	if (vsw_fdb_find(port, addr, VMQ_VLAN_UNTAGGED))
		return 0;
	err = vsw_rx_mode_may_claim(port, addr, foreign, extack) ?:
	      vsw_fdb_add_addr(port, addr, true, extack);
	if (err)
		return err;
	WRITE_ONCE(port->rx_addresses, port->rx_addresses + 1);
	return 0;
}

static void vsw_rx_mode_sync(struct vsw_port *port)
{
	/* Once: a container's root may put any number of devices on a port. */
	bool foreign = vsw_port_is_foreign(port);
	unsigned int i, n, refused = 0;
	struct netlink_ext_ack extack;
	u8 (*addrs)[ETH_ALEN];
	int err;

	addrs = vsw_rx_mode_snapshot(port->dev, &n);
	if (!addrs) {
		WRITE_ONCE(port->addresses_refused,
			   netdev_uc_count(port->dev));
		/* None may be wanted any more: those that were have to go. */
		WRITE_ONCE(port->rx_stale, true);
		vsw_rx_mode_retry(port->uplink);
		return;
	}
	vsw_rx_mode_drop_old(port, addrs, n);
	for (i = 0; i < n; i++) {
		/* Its text is of the last refusal. */
		extack = (struct netlink_ext_ack){};
		err = vsw_rx_mode_claim(port, addrs[i], foreign, &extack);
		if (!err)
			continue;
		if (err == -ENOMEM)
			vsw_rx_mode_retry(port->uplink);
		if (++refused > port->addresses_refused && net_ratelimit())
			netdev_err(port->dev,
				   "address %pM of a device on the port refused: %s (%d)\n",
				   addrs[i], extack._msg ? : "no memory", err);
	}
	WRITE_ONCE(port->addresses_refused, refused);
	kvfree(addrs);
}

static void vsw_rx_mode_join_again(struct vsw_port *port)
{
	netif_addr_lock_bh(port->dev);
	if (port->groups_stale)
		vsw_rx_mode_join(port);
	netif_addr_unlock_bh(port->dev);
}

/* What was refused is tried again: its reason may be gone. */
void vsw_rx_mode_work(struct work_struct *work)
{
	struct vsw_uplink *up = container_of(work, struct vsw_uplink,
					     rx_mode.work);
	struct vsw_port *port;

	/* The uplink's end waits for this work under rtnl: only try. */
	if (!rtnl_trylock()) {
		schedule_delayed_work(&up->rx_mode, 1);
		return;
	}
	list_for_each_entry(port, &up->ports, node) {
		if (READ_ONCE(port->groups_stale))
			vsw_rx_mode_join_again(port);
		if (xchg(&port->rx_stale, false) || port->addresses_refused)
			vsw_rx_mode_sync(port);
	}
	rtnl_unlock();
}
