// SPDX-License-Identifier: GPL-2.0-only
/*
 * VLANs of a port put into force: what is claimed for it, in which sets it is,
 * and the tags of its frames.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include "vsw_priv.h"

/*
 * The tag of a frame at whose Ethernet header skb->data is: in the metadata, or
 * in the payload of what was sent without tag insertion.
 */
static bool vsw_port_vlan_tag(struct sk_buff *skb, u16 *tci)
{
	const struct vlan_ethhdr *eth = (const struct vlan_ethhdr *)skb->data;

	*tci = 0;
	if (skb_vlan_tag_present(skb)) {
		*tci = skb_vlan_tag_get(skb);
		return true;
	}
	if (eth->h_vlan_proto != htons(ETH_P_8021Q) ||
	    !pskb_may_pull(skb, VLAN_ETH_HLEN))
		return false;
	eth = (const struct vlan_ethhdr *)skb->data;
	*tci = ntohs(eth->h_vlan_TCI);
	return true;
}

/* Other holders of a clone keep their tag. */
static int vsw_port_vlan_strip(struct sk_buff *skb)
{
	u16 tci;

	if (skb_vlan_tag_present(skb)) {
		__vlan_hwaccel_clear_tag(skb);
		return 0;
	}
	skb_reset_mac_header(skb);
	return __skb_vlan_pop(skb, &tci);
}

static void vsw_port_vlan_count_dropped(struct vsw_port *port)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->tx_vlan_dropped);
	u64_stats_update_end(&stats->syncp);
}

/*
 * A frame of the VM becomes one of the wire: with the tag that it has there, in
 * the metadata. @match follows. RCU read side.
 */
enum skb_drop_reason vsw_port_vlan_send(struct vsw_port *port,
					struct sk_buff *skb,
					struct vmq_match *match)
{
	struct vsw_vlan_verdict verdict;
	bool tagged;
	u16 tci;

	tagged = vsw_port_vlan_tag(skb, &tci);
	verdict = vsw_vlan_egress(rcu_dereference(port->vlans),
				  !READ_ONCE(port->priority_untrusted), tagged,
				  tci);
	if (verdict.action == VSW_VLAN_DROP) {
		vsw_port_vlan_count_dropped(port);
		return SKB_DROP_REASON_NO_TX_TARGET;
	}
	if (verdict.action == VSW_VLAN_LEAVE)
		return SKB_NOT_DROPPED_YET;

	if (tagged && vsw_port_vlan_strip(skb))
		return SKB_DROP_REASON_NOMEM;
	__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), verdict.tci);
	match->vlan = verdict.tci & VLAN_VID_MASK;
	return SKB_NOT_DROPPED_YET;
}

/* A frame for the VM gets the tag that it sees there; false: it is not for it. */
bool vsw_port_vlan_admit(const struct vsw_vlans *v, struct sk_buff *skb)
{
	u16 tci;

	vsw_port_vlan_tag(skb, &tci);
	switch (vsw_vlan_ingress(v, tci & VLAN_VID_MASK)) {
	case VSW_VLAN_LEAVE:
		return true;
	case VSW_VLAN_STRIP:
		return !vsw_port_vlan_strip(skb);
	default:
		return false;
	}
}

static void vsw_port_vlan_update_tx(struct vsw_port *port)
{
	bool look = rcu_access_pointer(port->vlans) || port->priority_untrusted;

	WRITE_ONCE(port->vlan_tx, look);
}

void vsw_port_vlan_set_trust(struct vsw_port *port, bool trust)
{
	WRITE_ONCE(port->priority_untrusted, !trust);
	vsw_port_vlan_update_tx(port);
}

static bool vsw_port_vlan_has_key(const u16 *keys, unsigned int n, u16 key)
{
	while (n--)
		if (keys[n] == key)
			return true;
	return false;
}

static int vsw_port_vlan_check(const struct vsw_port *port,
			       const struct vsw_vlans *v, const u16 *keys,
			       struct netlink_ext_ack *extack)
{
	struct vmq_dev *vmq = port->uplink->vmq;
	const struct vsw_entry *entry;
	const char *why;
	int err = 0;

	why = vsw_vlan_check(v, &err);
	if (why)
		return vmq_refuse(vmq, extack, err, "%s", why);
	list_for_each_entry(entry, &port->member.entries, list) {
		if (!entry->implied && !test_bit(entry->match.vlan, v->rx))
			return vmq_refuse(vmq, extack, -EBUSY,
					  "the port has %pM in VLAN %u, take that off first",
					  entry->match.addr, entry->match.vlan);
		if (entry->implied && keys[0] == VMQ_VLAN_ANY)
			err = vsw_fdb_check_others(port, v, entry->match.addr,
						   extack);
		if (err)
			return err;
	}
	return 0;
}

static const struct vsw_entry *vsw_port_vlan_find(const struct vsw_port *port,
						  const u8 *addr, u16 key)
{
	const struct vsw_entry *entry;
	struct vmq_match match = { .vlan = key };

	ether_addr_copy(match.addr, addr);
	entry = vsw_table_find(&port->uplink->table, &match);
	return entry && entry->member == &port->member ? entry : NULL;
}

/* Does the port have this address in all its VLANs? @first is one's key. */
static bool vsw_port_vlan_is_addr(const struct vsw_port *port, const u8 *addr,
				  u16 first)
{
	const struct vsw_entry *entry = vsw_port_vlan_find(port, addr, first);

	return entry && entry->implied;
}

/* Claim each address without a VLAN where it will be claimed, and is not yet. */
static int vsw_port_vlan_claim(struct vsw_port *port, u16 first, const u16 *keys,
			       unsigned int n, struct list_head *claims,
			       struct netlink_ext_ack *extack)
{
	const struct vsw_entry *entry;
	unsigned int i;
	int err = 0;

	list_for_each_entry(entry, &port->member.entries, list) {
		if (!entry->implied || entry->match.vlan != first)
			continue;
		for (i = 0; i < n && !err; i++)
			if (!vsw_port_vlan_find(port, entry->match.addr,
						keys[i]))
				err = vsw_fdb_claim_implied(port,
							    entry->match.addr,
							    keys[i],
							    entry->rx_mode,
							    claims, extack);
		if (err)
			break;
	}
	return err;
}

/*
 * An entry that the address without a VLAN needs, too, is that one's from now
 * on. Where addresses are not claimed any more their entries go.
 */
static void vsw_port_vlan_settle(struct vsw_port *port, u16 first,
				 const u16 *keys, unsigned int n)
{
	struct vsw_entry *entry, *next;
	struct list_head *all = &port->member.entries;

	list_for_each_entry(entry, all, list) {
		if (entry->implied ||
		    !vsw_port_vlan_has_key(keys, n, entry->match.vlan) ||
		    !vsw_port_vlan_is_addr(port, entry->match.addr, first))
			continue;
		entry->implied = true;
		/* The owner's wish outlives that of a device on the port. */
		vsw_fdb_keep(port, entry->match.addr);
	}
	list_for_each_entry_safe(entry, next, all, list)
		if (entry->implied &&
		    !vsw_port_vlan_has_key(keys, n, entry->match.vlan))
			vsw_fdb_unclaim(port, entry);
}

static void vsw_port_vlan_replace(struct vsw_port *port, struct vsw_vlans *v)
{
	const unsigned long *rx = v ? v->rx : NULL;

	vsw_table_member_leave(&port->member, rx);
	rcu_assign_pointer(port->vlans, v);
	vsw_port_vlan_update_tx(port);
	vsw_table_member_join(&port->member, rx);
}

/*
 * The port's VLANs become @v, NULL: it was told nothing. The new is claimed
 * before the old goes, so that a refusal changes nothing and a VLAN that stays
 * loses no frame. @v is the port's after success only; rtnl, sleeps.
 */
int vsw_port_vlan_apply(struct vsw_port *port, struct vsw_vlans *v,
			struct netlink_ext_ack *extack)
{
	struct vsw_vlans *old = rtnl_dereference(port->vlans);
	u16 keys[VSW_VLAN_KEYS], old_keys[VSW_VLAN_KEYS];
	LIST_HEAD(claims);
	unsigned int n;
	int err;

	vsw_vlan_keys(old, old_keys);
	n = vsw_vlan_keys(v, keys);
	err = v ? vsw_port_vlan_check(port, v, keys, extack) : 0;
	if (err)
		return err;
	err = vsw_port_vlan_claim(port, old_keys[0], keys, n, &claims, extack);
	if (err) {
		vsw_fdb_unclaim_all(port, &claims);
		return err;
	}
	err = vsw_fdb_publish_all(port, &claims, extack);
	if (err)
		return err;

	vsw_port_vlan_replace(port, v);
	/* Who did not find the new entry yet is about to look for that one. */
	if (old_keys[0] == VMQ_VLAN_ANY)
		synchronize_net();
	vsw_port_vlan_settle(port, old_keys[0], keys, n);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/*
 * Change what the port was told: @edit is given a copy, and returns why not,
 * with an errno in @err. A port that is in no VLAN any more was told nothing.
 */
int vsw_port_vlan_change(struct vsw_port *port,
			 const char *(*edit)(struct vsw_vlans *v,
					     const void *arg, int *err),
			 const void *arg, struct netlink_ext_ack *extack)
{
	const struct vsw_vlans *old = rtnl_dereference(port->vlans);
	struct vmq_dev *vmq = port->uplink->vmq;
	struct vsw_vlans *v;
	const char *why;
	int err = 0;

	v = old ? kmemdup(old, sizeof(*v), GFP_KERNEL) :
		  kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		return vmq_refuse(vmq, extack, -ENOMEM, "no memory for VLANs");
	why = edit(v, arg, &err);
	if (why) {
		err = vmq_refuse(vmq, extack, err, "%s", why);
		goto free_vlans;
	}
	if (bitmap_empty(v->rx, VLAN_N_VID)) {
		err = vsw_port_vlan_apply(port, NULL, extack);
		goto free_vlans;
	}
	err = vsw_port_vlan_apply(port, v, extack);
	if (err)
		goto free_vlans;
	return 0;

free_vlans:
	kfree(v);
	return err;
}
