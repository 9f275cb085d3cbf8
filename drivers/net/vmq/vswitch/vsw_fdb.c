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
#include "vsw_priv.h"

/*
 * Claim {@addr, @vid} for the queue that the port holds, or in software alone.
 * The switch does not know of it before vsw_fdb_publish().
 */
struct vsw_entry *vsw_fdb_claim(struct vsw_port *port, const u8 *addr, u16 vid,
				struct netlink_ext_ack *extack)
{
	struct vsw_entry *entry;
	int fid;

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

/* All addresses of a port, for its end. */
void vsw_fdb_flush(struct vsw_port *port)
{
	struct vsw_entry *entry, *next;

	/* A port whose netdev could not be registered is not in the table. */
	if (port->own && list_empty(&port->own->list))
		vsw_fdb_unclaim(port, port->own);
	port->own = NULL;
	list_for_each_entry_safe(entry, next, &port->member.entries, list)
		vsw_fdb_unclaim(port, entry);
}

static struct vsw_entry *vsw_fdb_find(const struct vsw_port *port,
				      const u8 *addr, u16 vid)
{
	struct vsw_entry *entry;

	list_for_each_entry(entry, &port->member.entries, list)
		if (entry->match.vlan == vid &&
		    ether_addr_equal(entry->match.addr, addr))
			return entry;
	return NULL;
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
	return 0;
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
	/* bridge fdb replace: it is there already. */
	if (!(flags & NLM_F_EXCL) && vsw_fdb_find(port, addr, vid))
		return 0;

	entry = vsw_fdb_claim(port, addr, vid, extack);
	if (IS_ERR(entry))
		return PTR_ERR(entry);
	err = vsw_fdb_publish(port, entry, extack);
	if (err)
		vsw_fdb_unclaim(port, entry);
	return err;
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
	if (entry == port->own)
		return vmq_refuse(port->uplink->vmq, extack, -EINVAL,
				  "the port's own address, change it with ip link set");
	vsw_fdb_unclaim(port, entry);
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
	    (entry->match.vlan &&
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
	struct vsw_entry *entry;
	int err;

	ASSERT_RTNL();
	list_for_each_entry(entry, &port->member.entries, list) {
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
