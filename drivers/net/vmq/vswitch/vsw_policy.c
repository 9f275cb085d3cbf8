// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a port's VM may send: addresses of its own, nothing that only servers and
 * routers say, and no more than so much. In this order, so that a frame that is
 * not allowed takes nothing from a limit.
 */
#include <linux/etherdevice.h>
#include <linux/hash.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "vsw_guard.h"
#include "vsw_priv.h"

static const enum skb_drop_reason vsw_policy_reasons[] = {
	[VSW_POLICY_SPOOF]	= SKB_DROP_REASON_MAC_INVALID_SOURCE,
	[VSW_POLICY_DHCP]	= SKB_DROP_REASON_SECURITY_HOOK,
	[VSW_POLICY_ROUTER]	= SKB_DROP_REASON_SECURITY_HOOK,
	[VSW_POLICY_STORM]	= SKB_DROP_REASON_QDISC_DROP,
	[VSW_POLICY_RATE]	= SKB_DROP_REASON_QDISC_DROP,
	[VSW_POLICY_SHARE]	= SKB_DROP_REASON_QDISC_DROP,
};

/* Context: BH off. */
void vsw_policy_drop(struct vsw_port *port, struct sk_buff *skb,
		     enum vsw_policy_bit why)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);

	kfree_skb_reason(skb, vsw_policy_reasons[why]);
	dev_dstats_tx_dropped(port->dev);
	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->tx_policy_dropped[why]);
	u64_stats_update_end(&stats->syncp);
}

void vsw_policy_set(struct vsw_port *port, enum vsw_policy_bit bit, bool on)
{
	/* Atomic: the shaper clears its own when it has run dry. */
	if (on)
		set_bit(bit, &port->policy);
	else
		clear_bit(bit, &port->policy);
}

/* Has the uplink's owner listed this address for the port? */
bool vsw_policy_is_allowed(const struct vsw_port *port, const u8 *addr)
{
	const struct vsw_allowed *list;
	bool found = false;
	unsigned int i;

	rcu_read_lock();
	list = rcu_dereference(port->allowed);
	for (i = 0; list && i < list->n && !found; i++)
		found = ether_addr_equal_unaligned(list->macs[i], addr);
	rcu_read_unlock();
	return found;
}

/*
 * While the port's address changes both are in the table: what was read of the
 * netdev's may be half of each.
 */
static bool vsw_policy_is_own(struct vsw_port *port, const u8 *addr)
{
	if (likely(ether_addr_equal(port->dev->dev_addr, addr)))
		return true;
	/* A group that the port has an entry for is nobody's source. */
	if (is_multicast_ether_addr(addr))
		return false;
	return vsw_table_has_source_rcu(&port->uplink->table, &port->member,
					addr) ||
	       vsw_policy_is_allowed(port, addr);
}

/* Does this protocol's sum, and it alone, stand there behind its header? */
static bool vsw_policy_sum_is_of(u8 proto, unsigned int offset)
{
	switch (proto) {
	case IPPROTO_TCP:
		return offset == offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offset == offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
		return offset == offsetof(struct icmp6hdr, icmp6_cksum);
	}
	return false;
}

/* Is the sum that is still to be filled in where the packet has its own? */
static bool vsw_policy_sum_is_plain(const struct sk_buff *skb)
{
	unsigned int start = skb_checksum_start_offset(skb);
	const u8 *packet = skb->data + ETH_HLEN;
	const struct ethhdr *eth = (const struct ethhdr *)skb->data;

	if (start > skb_headlen(skb))
		return false;
	if (eth->h_proto == htons(ETH_P_IP) && packet[0] >> 4 == 4 &&
	    start == ETH_HLEN + (packet[0] & 0xf) * 4)
		return vsw_policy_sum_is_of(packet[offsetof(struct iphdr,
							    protocol)],
					    skb->csum_offset);
	if (eth->h_proto == htons(ETH_P_IPV6) &&
	    start == ETH_HLEN + sizeof(struct ipv6hdr))
		return vsw_policy_sum_is_of(packet[offsetof(struct ipv6hdr,
							    nexthdr)],
					    skb->csum_offset);
	return false;
}

/* Any other is filled in before the frame is judged: the sender says where. */
static bool vsw_policy_fill_sum(struct sk_buff *skb)
{
	if (skb->ip_summed != CHECKSUM_PARTIAL || vsw_policy_sum_is_plain(skb))
		return true;
	return !skb_is_gso(skb) && !skb_checksum_help(skb);
}

/*
 * Headers are judged in memory that the sender cannot change any more: pages
 * of a frame may be mapped by who sent it.
 */
static enum vsw_guard_kind vsw_policy_classify(struct sk_buff *skb)
{
	bool segmented = skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4;
	unsigned int len = min_t(unsigned int, skb->len, VSW_GUARD_LEN);
	enum vsw_guard_kind kind;

	if (!vsw_policy_fill_sum(skb))
		return VSW_GUARD_OPAQUE;
	kind = vsw_guard_classify(skb->data, skb_headlen(skb), segmented);
	if (kind != VSW_GUARD_OPAQUE || skb_headlen(skb) >= len)
		return kind;
	if (!pskb_may_pull(skb, len))
		return VSW_GUARD_OPAQUE;
	return vsw_guard_classify(skb->data, skb_headlen(skb), segmented);
}

/* The guard that a frame offends, or VSW_POLICY_SEND_BITS. */
static enum vsw_policy_bit vsw_policy_offends(struct sk_buff *skb,
					      unsigned long policy)
{
	enum vsw_guard_kind kind = vsw_policy_classify(skb);

	if (policy & BIT(VSW_POLICY_DHCP) &&
	    (kind == VSW_GUARD_DHCP || kind == VSW_GUARD_OPAQUE))
		return VSW_POLICY_DHCP;
	if (policy & BIT(VSW_POLICY_ROUTER) &&
	    (kind == VSW_GUARD_ROUTER || kind == VSW_GUARD_OPAQUE))
		return VSW_POLICY_ROUTER;
	return VSW_POLICY_SEND_BITS;
}

static u64 *vsw_policy_heard(struct vsw_port *port, u64 key)
{
	/* Pairs with vsw_policy_set_storm(); stays until the port is freed. */
	struct vsw_heard *heard = smp_load_acquire(&port->heard);

	return heard ? &heard->keys[hash_64(key, VSW_HEARD_BITS)] : NULL;
}

/*
 * The table knows the NIC's own ports alone. On the wire somebody is known who
 * has sent the port a frame: what it answers is no storm.
 */
static bool vsw_policy_is_known(struct vsw_port *port,
				const struct vmq_match *match)
{
	u64 key = vmq_make_key(match, VMQ_VLAN_UNTAGGED);
	struct vsw_uplink *up = port->uplink;
	const u64 *slot;

	if (vsw_table_lookup_rcu(&up->table, match) ||
	    vsw_forward_is_host(up->dev, match->addr))
		return true;
	slot = vsw_policy_heard(port, key);
	return slot && READ_ONCE(*slot) == key;
}

/* Group frames, and unicast to who is not known. */
static bool vsw_policy_is_storm(struct vsw_port *port,
				const struct vmq_match *match)
{
	if (!is_multicast_ether_addr(match->addr) &&
	    vsw_policy_is_known(port, match))
		return false;
	return !vsw_bucket_take(&port->storm, ktime_get_ns(),
				READ_ONCE(port->storm_cost), NSEC_PER_SEC);
}

static void vsw_policy_hear(struct vsw_port *port, const struct sk_buff *skb)
{
	const struct ethhdr *eth = (const struct ethhdr *)skb->data;
	u64 key, *slot;

	/* Two bytes behind the address are read, too: the type is there. */
	key = vmq_make_key(eth->h_source, VMQ_VLAN_UNTAGGED);
	slot = vsw_policy_heard(port, key);
	if (slot && !is_multicast_ether_addr(eth->h_dest) &&
	    READ_ONCE(*slot) != key)
		WRITE_ONCE(*slot, key);
}

/*
 * Something of VSW_POLICY_RECEIVE is on: a frame from the NIC, its Ethernet
 * header at skb->data, is for the port. NAPI context.
 */
void vsw_policy_receive(struct vsw_port *port, const struct sk_buff *skb,
			unsigned long policy)
{
	if (policy & BIT(VSW_POLICY_STORM))
		vsw_policy_hear(port, skb);
	if (policy & BIT(VSW_POLICY_MIRROR))
		vsw_mirror_receive(port, skb);
}

/*
 * Something of VSW_POLICY_SEND is on. True: the frame may go on. False: it is
 * dropped, or waits. Context: BH off, RCU read side.
 */
bool vsw_policy_admit(struct vsw_port *port, struct sk_buff *skb,
		      const struct vmq_match *match, unsigned long policy)
{
	const struct ethhdr *eth = (const struct ethhdr *)skb->data;
	enum vsw_policy_bit why = VSW_POLICY_SEND_BITS;

	if (policy & BIT(VSW_POLICY_SPOOF) &&
	    !vsw_policy_is_own(port, eth->h_source))
		why = VSW_POLICY_SPOOF;
	else if (policy & VSW_POLICY_GUARDS)
		why = vsw_policy_offends(skb, policy);
	if (why == VSW_POLICY_SEND_BITS && policy & BIT(VSW_POLICY_STORM) &&
	    vsw_policy_is_storm(port, match))
		why = VSW_POLICY_STORM;

	if (unlikely(why != VSW_POLICY_SEND_BITS)) {
		vsw_policy_drop(port, skb, why);
		return false;
	}
	if (policy & BIT(VSW_POLICY_RATE)) {
		vsw_shape_xmit(port, skb, match);
		return false;
	}
	return true;
}

/* Frames a second, 0: no limit; or -ENOMEM. Context: rtnl held. */
int vsw_policy_set_storm(struct vsw_port *port, u32 pps)
{
	struct vsw_heard *heard;

	if (pps && !port->heard) {
		heard = kzalloc(sizeof(*heard), GFP_KERNEL);
		if (!heard)
			return vmq_refuse(port->uplink->vmq, NULL, -ENOMEM,
					  "no memory for a limit");
		/* Who sees it sees it empty. */
		smp_store_release(&port->heard, heard);
	}
	/* The limit before what looks at it. */
	if (pps)
		WRITE_ONCE(port->storm_cost, NSEC_PER_SEC / pps);
	WRITE_ONCE(port->storm_pps, pps);
	vsw_policy_set(port, VSW_POLICY_STORM, pps);
	return 0;
}

/* Takes @list over, NULL: none. Context: rtnl held. */
void vsw_policy_set_allowed(struct vsw_port *port, struct vsw_allowed *list)
{
	struct vsw_allowed *old = rtnl_dereference(port->allowed);

	rcu_assign_pointer(port->allowed, list);
	if (old)
		kfree_rcu(old, rcu);
}

void vsw_policy_init(struct vsw_port *port)
{
	port->policy = BIT(VSW_POLICY_SPOOF);
	vsw_shape_init(port);
}

/* The netdev is being freed: nobody looks at it any more. */
void vsw_policy_fini(struct vsw_port *port)
{
	kfree(rcu_dereference_protected(port->allowed, true));
	kfree(port->heard);
}
