// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses of a port: an entry in the switch's table and a filter of the core
 * for each, so that software and hardware cannot disagree. From outside they
 * are the port's fdb (bridge fdb ... dev PORT self).
 */
#include <linux/etherdevice.h>
#include <linux/neighbour.h>
#include <linux/slab.h>
#include <net/rtnetlink.h>
#include "vsw_group.h"
#include "vsw_priv.h"

/* A port of many VLANs has an address in each of them, without an entry there. */
static int vsw_fdb_check_any(const struct vsw_port *port, const u8 *addr,
			     u16 vid, struct netlink_ext_ack *extack)
{
	struct vmq_match any = { .vlan = VMQ_VLAN_ANY };
	const struct vsw_entry *entry;

	ether_addr_copy(any.addr, addr);
	entry = vsw_table_find(&port->uplink->table, &any);
	if (!entry || entry->member == &port->member || vid >= VLAN_N_VID ||
	    !test_bit(vid, entry->member->vlans))
		return 0;
	return vmq_refuse(port->uplink->vmq, extack, -EEXIST,
			  "another port has %pM in VLAN %u", addr, vid);
}

/*
 * Claim {@addr, @vid} for the queue that the port holds, or in software alone.
 * The switch does not know of it before vsw_fdb_publish().
 */
struct vsw_entry *vsw_fdb_claim(struct vsw_port *port, const u8 *addr, u16 vid,
				struct netlink_ext_ack *extack)
{
	struct vsw_entry *entry;
	int fid, err;

	err = vsw_fdb_check_any(port, addr, vid, extack);
	if (err)
		return ERR_PTR(err);
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return ERR_PTR(vmq_refuse(port->uplink->vmq, extack, -ENOMEM,
					  "no memory for an address"));

	ether_addr_copy(entry->match.addr, addr);
	entry->match.vlan = vid;
	entry->member = &port->member;
	INIT_LIST_HEAD(&entry->list);

	fid = vmq_filter_add(port->uplink->vmq, port->queue, &entry->match,
			     extack);
	if (fid < 0) {
		kfree(entry);
		return ERR_PTR(fid);
	}
	entry->fid = fid;
	return entry;
}

int vsw_fdb_publish(struct vsw_port *port, struct vsw_entry *entry,
		    struct netlink_ext_ack *extack)
{
	int err = vsw_table_insert(&port->uplink->table, entry);

	if (err)
		return vmq_refuse(port->uplink->vmq, extack, err,
				  "no memory for an address");
	return 0;
}

/* Published or not. The filter goes first: its last frames find the port. */
void vsw_fdb_unclaim(struct vsw_port *port, struct vsw_entry *entry)
{
	vmq_filter_del(port->uplink->vmq, entry->fid);
	if (!list_empty(&entry->list))
		vsw_table_remove(&port->uplink->table, entry);
	kfree_rcu(entry, rcu);
}

/* Claims that the switch does not know of yet. */
void vsw_fdb_unclaim_all(struct vsw_port *port, struct list_head *claims)
{
	struct vsw_entry *entry, *next;

	list_for_each_entry_safe(entry, next, claims, list) {
		list_del_init(&entry->list);
		vsw_fdb_unclaim(port, entry);
	}
}

/*
 * Claim an address without a VLAN in one that the port is in. @rx_mode: it is
 * what stands on the port that wants it.
 */
int vsw_fdb_claim_implied(struct vsw_port *port, const u8 *addr, u16 key,
			  bool rx_mode, struct list_head *claims,
			  struct netlink_ext_ack *extack)
{
	struct vsw_entry *entry = vsw_fdb_claim(port, addr, key, extack);

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	entry->implied = true;
	entry->rx_mode = rx_mode;
	list_add_tail(&entry->list, claims);
	return 0;
}

/* All or none; @claims is empty on return, and given up after an error. */
int vsw_fdb_publish_all(struct vsw_port *port, struct list_head *claims,
			struct netlink_ext_ack *extack)
{
	struct vsw_entry *entry;
	unsigned int done = 0;
	int err = 0;

	while (!err && !list_empty(claims)) {
		entry = list_first_entry(claims, struct vsw_entry, list);
		list_del_init(&entry->list);
		err = vsw_fdb_publish(port, entry, extack);
		if (err)
			vsw_fdb_unclaim(port, entry);
		else
			done++;
	}
	if (!err)
		return 0;

	vsw_fdb_unclaim_all(port, claims);
	/* They are the last ones. */
	while (done--)
		vsw_fdb_unclaim(port, list_last_entry(&port->member.entries,
						      struct vsw_entry, list));
	return err;
}

/* An address that is claimed in any VLAN may not be another port's in one. */
int vsw_fdb_check_others(const struct vsw_port *port, const struct vsw_vlans *v,
			 const u8 *addr, struct netlink_ext_ack *extack)
{
	const struct vsw_entry *other;

	other = vsw_table_find_other(&port->uplink->table, &port->member, addr,
				     v->rx);
	return other ? vmq_refuse(port->uplink->vmq, extack, -EEXIST,
				  "another port has %pM in VLAN %u", addr,
				  other->match.vlan) : 0;
}

/* An address without a VLAN: in each one that the port is in, or in none. */
int vsw_fdb_add_addr(struct vsw_port *port, const u8 *addr, bool rx_mode,
		     struct netlink_ext_ack *extack)
{
	const struct vsw_vlans *v = rtnl_dereference(port->vlans);
	u16 keys[VSW_VLAN_KEYS];
	unsigned int i, n;
	LIST_HEAD(claims);
	int err = 0;

	n = vsw_vlan_keys(v, keys);
	if (keys[0] == VMQ_VLAN_ANY)
		err = vsw_fdb_check_others(port, v, addr, extack);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		err = vsw_fdb_claim_implied(port, addr, keys[i], rx_mode,
					    &claims, extack);
		if (err)
			goto unclaim;
	}
	return vsw_fdb_publish_all(port, &claims, extack);

unclaim:
	vsw_fdb_unclaim_all(port, &claims);
	return err;
}

void vsw_fdb_del_addr(struct vsw_port *port, const u8 *addr)
{
	struct vsw_entry *entry;

	while ((entry = vsw_fdb_find(port, addr, VMQ_VLAN_UNTAGGED)))
		vsw_fdb_unclaim(port, entry);
}

/* All addresses of a port, for its end. */
void vsw_fdb_flush(struct vsw_port *port)
{
	struct vsw_entry *entry, *next;

	/* A port whose netdev could not be registered is not in the table. */
	if (port->own)
		vsw_fdb_unclaim(port, port->own);
	port->own = NULL;
	list_for_each_entry_safe(entry, next, &port->member.entries, list)
		vsw_fdb_unclaim(port, entry);
}

/* @vid is 0 for an address without a VLAN. */
struct vsw_entry *vsw_fdb_find(const struct vsw_port *port, const u8 *addr,
			       u16 vid)
{
	struct vsw_table *table = &port->uplink->table;
	struct vmq_match match = { .vlan = vid };
	struct vsw_entry *entry;

	if (!vid)
		return vsw_table_find_implied(table, &port->member, addr);
	ether_addr_copy(match.addr, addr);
	entry = vsw_table_find(table, &match);
	return entry && entry->member == &port->member && !entry->implied ?
	       entry : NULL;
}

/* What a static {MAC, VLAN} of a port cannot express is refused, not ignored. */
static int vsw_fdb_check(const struct vsw_port *port, const struct ndmsg *ndm,
			 struct nlattr *tb[], const u8 *addr,
			 struct netlink_ext_ack *extack)
{
	struct vmq_dev *vmq = port->uplink->vmq;
	int i;

	for (i = NDA_UNSPEC + 1; i <= NDA_MAX; i++) {
		if (!tb[i] || i == NDA_LLADDR || i == NDA_VLAN)
			continue;
		NL_SET_BAD_ATTR(extack, tb[i]);
		return vmq_refuse(vmq, extack, -EOPNOTSUPP,
				  "an entry of a port is an address and a VLAN, nothing else");
	}
	if (ndm->ndm_flags & ~NTF_SELF)
		return vmq_refuse(vmq, extack, -EOPNOTSUPP,
				  "no flag but self is supported");
	if (ndm->ndm_state & ~(NUD_PERMANENT | NUD_NOARP))
		return vmq_refuse(vmq, extack, -EINVAL,
				  "entries of a port are static");
	if (is_zero_ether_addr(addr))
		return vmq_refuse(vmq, extack, -EINVAL,
				  "an address is not zero");
	if (vsw_group_link_local(addr) & VSW_LINK_LOCAL_NEVER)
		return vmq_refuse(vmq, extack, -EINVAL,
				  "spanning tree, PAUSE and LACP are the link's own");
	return 0;
}

static int vsw_fdb_add_vlan(struct vsw_port *port, const u8 *addr, u16 vid,
			    struct netlink_ext_ack *extack)
{
	const struct vsw_vlans *v = rtnl_dereference(port->vlans);
	struct vsw_entry *entry;
	int err;

	if (v && !test_bit(vid, v->rx))
		return vmq_refuse(port->uplink->vmq, extack, -EINVAL,
				  "the port is not in VLAN %u", vid);
	entry = vsw_fdb_claim(port, addr, vid, extack);
	if (IS_ERR(entry))
		return PTR_ERR(entry);
	err = vsw_fdb_publish(port, entry, extack);
	if (err)
		vsw_fdb_unclaim(port, entry);
	return err;
}

/* An address stays when the device on the port that asked for it goes. */
void vsw_fdb_keep(struct vsw_port *port, const u8 *addr)
{
	struct vsw_entry *entry;
	bool changed = false;

	/* None of what may be a hundred thousand is a device's. */
	if (!port->rx_addresses)
		return;
	list_for_each_entry(entry, &port->member.entries, list) {
		if (!entry->rx_mode ||
		    !ether_addr_equal(entry->match.addr, addr))
			continue;
		entry->rx_mode = false;
		changed = true;
	}
	if (changed)
		WRITE_ONCE(port->rx_addresses, port->rx_addresses - 1);
}

int vsw_fdb_add(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid, u16 flags,
		struct netlink_ext_ack *extack)
{
	struct vsw_port *port = netdev_priv(dev);
	struct vsw_entry *entry;
	int err;

	err = vsw_port_may_change(port, extack);
	if (err)
		return err;
	err = vsw_fdb_check(port, ndm, tb, addr, extack);
	if (err)
		return err;
	if (flags & NLM_F_APPEND)
		return vmq_refuse(port->uplink->vmq, extack, -EOPNOTSUPP,
				  "an address of a port has one entry");
	entry = vsw_fdb_find(port, addr, vid);
	if (entry && entry->rx_mode) {
		vsw_fdb_keep(port, addr);
		return 0;
	}
	/* bridge fdb replace: it is there already. */
	if (!(flags & NLM_F_EXCL) && entry)
		return 0;

	if (vid)
		return vsw_fdb_add_vlan(port, addr, vid, extack);
	return vsw_fdb_add_addr(port, addr, false, extack);
}

int vsw_fdb_del(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid,
		struct netlink_ext_ack *extack)
{
	struct vsw_port *port = netdev_priv(dev);
	struct vsw_entry *entry;
	int err;

	err = vsw_port_may_change(port, extack);
	if (err)
		return err;
	entry = vsw_fdb_find(port, addr, vid);
	if (!entry)
		return vmq_refuse(port->uplink->vmq, extack, -ENOENT,
				  "the port has no such entry");
	if (!vid && ether_addr_equal(addr, dev->dev_addr))
		return vmq_refuse(port->uplink->vmq, extack, -EINVAL,
				  "the port's own address, change it with ip link set");
	if (entry->rx_mode)
		return vmq_refuse(port->uplink->vmq, extack, -EINVAL,
				  "the address of a device on the port, which has to go first");
	if (vid)
		vsw_fdb_unclaim(port, entry);
	else
		vsw_fdb_del_addr(port, addr);
	/* A device on the port may want it still. */
	if (!netdev_uc_empty(dev))
		vsw_rx_mode_recheck(port);
	return 0;
}

static int vsw_fdb_fill(struct sk_buff *skb, struct netlink_callback *cb,
			const struct net_device *dev,
			const struct vsw_entry *entry)
{
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;

	nlh = nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			RTM_NEWNEIGH, sizeof(*ndm), NLM_F_MULTI);
	if (!nlh)
		return -EMSGSIZE;

	ndm = nlmsg_data(nlh);
	memset(ndm, 0, sizeof(*ndm));
	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_flags = NTF_SELF;
	ndm->ndm_ifindex = dev->ifindex;
	ndm->ndm_state = NUD_PERMANENT;

	if (nla_put(skb, NDA_LLADDR, ETH_ALEN, entry->match.addr) ||
	    (!entry->implied &&
	     nla_put_u16(skb, NDA_VLAN, entry->match.vlan))) {
		nlmsg_cancel(skb, nlh);
		return -EMSGSIZE;
	}
	nlmsg_end(skb, nlh);
	return 0;
}

int vsw_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb,
		 struct net_device *dev, struct net_device *filter_dev,
		 int *idx)
{
	struct vsw_port *port = netdev_priv(dev);
	u16 keys[VSW_VLAN_KEYS];
	struct vsw_entry *entry;
	int err;

	ASSERT_RTNL();
	vsw_vlan_keys(rtnl_dereference(port->vlans), keys);
	list_for_each_entry(entry, &port->member.entries, list) {
		/* Of an address in several VLANs one is shown, without any. */
		if (entry->implied && entry->match.vlan != keys[0])
			continue;
		/* args[2] is where the previous part of the dump ended. */
		if (*idx >= cb->args[2]) {
			err = vsw_fdb_fill(skb, cb, dev, entry);
			if (err)
				return err;
		}
		*idx += 1;
	}
	return 0;
}
