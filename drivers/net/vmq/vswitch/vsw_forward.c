// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data path. Frames of a port's own queue come here without a lookup; what
 * the NIC did not route, and what ports and host send, is switched.
 *
 * A frame that changes from transmit to receive goes through netif_rx(), so
 * that no path calls itself.
 */
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/rculist.h>
#include <net/pkt_sched.h>
#include "vsw_group.h"
#include "vsw_priv.h"

/*
 * Frames that a port may send while its transmit moves to another ring. The
 * move takes a grace period; senders pay for what waits from their own sockets.
 */
#define VSW_HELD_MAX	1024
/* Looks for room in the new ring, 0.1 ms or more apart. */
#define VSW_RELEASE_TRIES	1000

static struct vsw_port *vsw_member_port(struct vsw_member *member)
{
	return container_of(member, struct vsw_port, member);
}

static struct vsw_port *vsw_forward_lookup(struct vsw_uplink *up,
					   const struct vmq_match *match)
{
	struct vsw_switch_stats *stats = this_cpu_ptr(up->stats);
	struct vsw_entry *entry;

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->lookups);
	u64_stats_update_end(&stats->syncp);

	entry = vsw_table_lookup_rcu(&up->table, match);
	return entry ? vsw_member_port(entry->member) : NULL;
}

/*
 * What a frame that is being sent asks for, or why it cannot be read. Its tag
 * may still be in the payload (AF_PACKET, a VLAN device without tag insertion);
 * receivers take it off there themselves.
 */
static enum skb_drop_reason vsw_forward_match(struct vmq_match *match,
					      struct sk_buff *skb)
{
	const struct vlan_ethhdr *eth;
	enum skb_drop_reason reason;

	reason = pskb_may_pull_reason(skb, ETH_HLEN);
	if (unlikely(reason))
		return reason;
	vmq_match_from_skb(match, skb);

	eth = (const struct vlan_ethhdr *)skb->data;
	if (skb_vlan_tag_present(skb) ||
	    eth->h_vlan_proto != htons(ETH_P_8021Q))
		return SKB_NOT_DROPPED_YET;

	reason = pskb_may_pull_reason(skb, VLAN_ETH_HLEN);
	if (unlikely(reason))
		return reason;
	eth = (const struct vlan_ethhdr *)skb->data;
	match->vlan = ntohs(eth->h_vlan_TCI) & VLAN_VID_MASK;
	return SKB_NOT_DROPPED_YET;
}

static void vsw_port_count_switched(struct vsw_port *port)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->rx_switch_packets);
	u64_stats_update_end(&stats->syncp);
}

static void vsw_port_count_mirrored(struct vsw_port *port)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->rx_mirror_packets);
	u64_stats_update_end(&stats->syncp);
}

static void vsw_port_count_queue(struct vsw_port *port, unsigned int packets)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_add(&stats->rx_queue_packets, packets);
	u64_stats_update_end(&stats->syncp);
}

/* Not of the port's VLANs: that only happens while they change. */
static bool vsw_port_admit(struct vsw_port *port, struct sk_buff *skb)
{
	const struct vsw_vlans *v = rcu_dereference(port->vlans);

	if (likely(!v) || vsw_port_vlan_admit(v, skb))
		return true;
	kfree_skb_reason(skb, SKB_DROP_REASON_OTHERHOST);
	dev_dstats_rx_dropped(port->dev);
	return false;
}

/* The frame becomes one that the port received; false: dropped and counted. */
static bool vsw_port_take(struct vsw_port *port, struct sk_buff *skb)
{
	struct net_device *dev = port->dev;

	if (unlikely(vsw_port_is_off(port))) {
		kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
		dev_dstats_rx_dropped(dev);
		return false;
	}
	dev_dstats_rx_add(dev, skb->len);
	skb->dev = dev;
	/* The port has one queue, whatever ring the frame came from. */
	skb_set_queue_mapping(skb, 0);
	skb->protocol = eth_type_trans(skb, dev);
	return true;
}

/* Of a frame from the NIC. A mirror gets it before GRO does. */
static bool vsw_port_adopt(struct vsw_port *port, struct sk_buff *skb)
{
	unsigned long policy = READ_ONCE(port->policy) & VSW_POLICY_RECEIVE;

	if (unlikely(policy) && !vsw_port_is_off(port))
		vsw_policy_receive(port, skb, policy);
	return vsw_port_admit(port, skb) && vsw_port_take(port, skb);
}

/* A sent frame is put on its way up a port's stack; false: dropped, counted. */
static bool vsw_port_pass(struct vsw_port *port, struct sk_buff *skb)
{
	struct net_device *dev = port->dev;
	unsigned int len = skb->len;

	if (unlikely(vsw_port_is_off(port))) {
		kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
		dev_dstats_rx_dropped(dev);
		return false;
	}
	/* Both count their drops on the port themselves. */
	if (__dev_forward_skb(dev, skb) || __netif_rx(skb) != NET_RX_SUCCESS)
		return false;
	dev_dstats_rx_add(dev, len);
	return true;
}

/* A sent frame is delivered to a local port. */
static void vsw_port_deliver(struct vsw_port *port, struct sk_buff *skb)
{
	struct sk_buff *copy = vsw_mirror_clone(port, skb);

	if (vsw_port_admit(port, skb) && vsw_port_pass(port, skb)) {
		vsw_port_count_switched(port);
		vsw_mirror_deliver(port, copy);
	} else {
		consume_skb(copy);
	}
}

/* A copy of what another port sent, or got from the switch. */
void vsw_forward_deliver_mirrored(struct vsw_port *to, struct sk_buff *skb)
{
	if (vsw_port_pass(to, skb))
		vsw_port_count_mirrored(to);
}

/* A copy of what another port got from the NIC. NAPI context. */
void vsw_forward_receive_mirrored(struct vsw_port *to, struct sk_buff *skb)
{
	if (!vsw_port_take(to, skb))
		return;
	vsw_port_count_mirrored(to);
	netif_receive_skb(skb);
}

/* A sent frame is delivered to the uplink's stack. */
static void vsw_uplink_deliver(struct vsw_uplink *up, struct sk_buff *skb)
{
	if (!__dev_forward_skb(up->dev, skb))
		__netif_rx(skb);
}

static void vsw_uplink_deliver_clone(struct vsw_uplink *up,
				     struct sk_buff *skb)
{
	struct sk_buff *clone;

	if (!netif_running(up->dev))
		return;
	clone = skb_clone(skb, GFP_ATOMIC);
	if (clone)
		vsw_uplink_deliver(up, clone);
	else
		dev_core_stats_rx_dropped_inc(up->dev);
}

/* A clone of a sent frame for every port but @origin that wants it. */
static void vsw_forward_flood(struct vsw_uplink *up, struct sk_buff *skb,
			      const struct vmq_match *match,
			      const struct vsw_member *origin)
{
	struct vsw_member *member = NULL;
	struct vsw_flood flood;
	struct sk_buff *clone;
	struct vsw_port *port;

	vsw_group_begin_rcu(&flood, &up->table, match, origin);
	while ((member = vsw_group_next_rcu(&flood, member))) {
		port = vsw_member_port(member);
		if (vsw_port_is_off(port))
			continue;
		clone = skb_clone(skb, GFP_ATOMIC);
		if (clone)
			vsw_port_deliver(port, clone);
		else
			dev_dstats_rx_dropped(port->dev);
	}
}

/* Does the uplink's stack want unicast to this address? RCU read side. */
bool vsw_forward_is_host(const struct net_device *dev, const u8 *addr)
{
	const struct netdev_hw_addr *ha;

	if (ether_addr_equal(dev->dev_addr, addr))
		return true;
	list_for_each_entry_rcu(ha, &dev->uc.list, list)
		if (ether_addr_equal(ha->addr, addr))
			return true;
	return false;
}

/*
 * Is there a port that wants unicast which no port has an entry for? The host's
 * is the host's, and what a queue without a port claims is that queue's, also
 * while it comes by the default queue.
 */
static bool vsw_forward_is_watched(const struct vsw_uplink *up,
				   const struct vmq_match *match)
{
	return vsw_group_any_promisc(&up->table) &&
	       !vsw_forward_is_host(up->dev, match->addr) &&
	       !vmq_match_is_claimed_rcu(up->vmq, match);
}

/* A port with a real qdisc is stopped while its ring is full. */
static void vsw_port_stop_if_full(struct vsw_port *port, u16 id)
{
	struct netdev_queue *txq = netdev_get_tx_queue(port->dev, 0);
	struct vmq_dev *vmq = port->uplink->vmq;

	/* Without a qdisc there is nobody to wait. */
	if (!rcu_dereference_bh(txq->qdisc)->enqueue)
		return;
	if (!vmq_queue_tx_full(vmq, id))
		return;

	netif_tx_stop_queue(txq);
	/* The room may have come, and the wake-up gone, before the stop. */
	smp_mb__after_atomic();
	if (!vmq_queue_tx_full(vmq, id))
		netif_tx_wake_queue(txq);
}

static void vsw_port_post(struct vsw_port *port, struct sk_buff *skb)
{
	struct sk_buff *copy = vsw_mirror_clone(port, skb);
	unsigned int len = skb->len;
	u16 id = READ_ONCE(port->queue);

	if (vmq_queue_xmit(port->uplink->vmq, id, skb) == NET_XMIT_SUCCESS) {
		dev_dstats_tx_add(port->dev, len);
		vsw_mirror_deliver(port, copy);
	} else {
		dev_dstats_tx_dropped(port->dev);
		consume_skb(copy);
	}
	vsw_port_stop_if_full(port, id);
}

/* False: the move is over by now, the ring may be used. */
static bool vsw_port_keep(struct vsw_port *port, struct sk_buff *skb)
{
	bool keep;

	spin_lock(&port->held.lock);
	keep = port->tx_holding;
	if (keep && skb_queue_len(&port->held) < VSW_HELD_MAX) {
		__skb_queue_tail(&port->held, skb);
	} else if (keep) {
		kfree_skb_reason(skb, SKB_DROP_REASON_QDISC_DROP);
		dev_dstats_tx_dropped(port->dev);
	}
	spin_unlock(&port->held.lock);
	return keep;
}

/* A frame to the wire that the port's share has room for. */
void vsw_forward_send_wire(struct vsw_port *port, struct sk_buff *skb)
{
	if (unlikely(READ_ONCE(port->tx_holding)) && vsw_port_keep(port, skb))
		return;
	vsw_port_post(port, skb);
}

static void vsw_port_send(struct vsw_port *port, struct sk_buff *skb)
{
	if (unlikely(READ_ONCE(port->policy) & BIT(VSW_POLICY_SHARE)))
		vsw_shape_xmit_wire(port, skb);
	else
		vsw_forward_send_wire(port, skb);
}

/* No frame of the port is posted to a ring from return until the release. */
void vsw_forward_hold(struct vsw_port *port)
{
	WRITE_ONCE(port->tx_holding, true);
	synchronize_net();
}

/* What was sent before the port lost the only queue that it may use. */
static void vsw_port_drop_held(struct vsw_port *port)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(&port->held))) {
		kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
		dev_dstats_tx_dropped(port->dev);
	}
}

/*
 * Post what waits, in order, as far as the ring has room, or all of it with
 * @force. True: nothing waits any more, and the port posts by itself again.
 *
 * The ring's lock nests in that of the list: a frame that is sent meanwhile
 * waits for the ones before it.
 */
static bool vsw_forward_flush(struct vsw_port *port, bool force)
{
	struct vmq_dev *vmq = port->uplink->vmq;
	struct sk_buff *skb;
	bool done;

	spin_lock_bh(&port->held.lock);
	/* Posting looks for the port's mirror. */
	rcu_read_lock();
	if (port->starved)
		vsw_port_drop_held(port);
	while (!skb_queue_empty(&port->held) &&
	       (force || !vmq_queue_tx_full(vmq, port->queue))) {
		skb = __skb_dequeue(&port->held);
		vsw_port_post(port, skb);
	}
	done = skb_queue_empty(&port->held);
	if (done)
		WRITE_ONCE(port->tx_holding, false);
	rcu_read_unlock();
	spin_unlock_bh(&port->held.lock);
	return done;
}

/* Undo vsw_forward_hold(). Context: rtnl held, sleeps, bounded. */
void vsw_forward_release(struct vsw_port *port)
{
	unsigned int tries = VSW_RELEASE_TRIES;

	/* More may wait than a ring takes at once. */
	while (!vsw_forward_flush(port, !tries) && tries--)
		usleep_range(100, 200);

	/* The old ring's wake-up does not reach the port any more. */
	netif_wake_queue(port->dev);
}

/* Unicast of a port: to a port, the host, or the wire. */
static void vsw_port_switch(struct vsw_port *port, struct sk_buff *skb,
			    const struct vmq_match *match)
{
	struct vsw_port *to = vsw_forward_lookup(port->uplink, match);
	struct vsw_uplink *up = port->uplink;
	unsigned int len = skb->len;

	if (!to && !vsw_forward_is_host(up->dev, match->addr)) {
		/* A bridge on the uplink may know who it is for. */
		if ((up->dev->flags & IFF_PROMISC) && READ_ONCE(up->flood))
			vsw_uplink_deliver_clone(up, skb);
		if (vsw_forward_is_watched(up, match))
			vsw_forward_flood(up, skb, match, &port->member);
		vsw_port_send(port, skb);
		return;
	}
	if (unlikely(to == port)) {
		/* No switch sends a frame back to where it came from. */
		kfree_skb_reason(skb, SKB_DROP_REASON_NO_TX_TARGET);
		dev_dstats_tx_dropped(port->dev);
		return;
	}

	/* The uplink's driver does this for what goes to the wire. */
	skb_tx_timestamp(skb);
	dev_dstats_tx_add(port->dev, len);
	vsw_mirror_deliver(port, vsw_mirror_clone(port, skb));
	if (to)
		vsw_port_deliver(to, skb);
	else
		vsw_uplink_deliver(up, skb);
}

/*
 * What only the two ends of a wire may say to each other (802.1Q 8.6.3) is not
 * a VM's: PAUSE, by whatever address, would silence the link for all, and a
 * BPDU may make the switch shut it. The uplink's owner may let some through.
 */
static bool vsw_forward_is_barred(const struct vsw_port *port,
				  const struct sk_buff *skb)
{
	const struct ethhdr *eth = (const struct ethhdr *)skb->data;
	u16 bit = vsw_group_link_local(eth->h_dest);

	return eth->h_proto == htons(ETH_P_PAUSE) ||
	       (bit && !(READ_ONCE(port->member.link_local) & bit));
}

static enum skb_drop_reason vsw_forward_check(struct sk_buff *skb,
					      const struct vsw_port *port,
					      struct vmq_match *match)
{
	enum skb_drop_reason reason;

	/* BH is off: who sees it running is done before the port's end. */
	if (unlikely(vsw_port_is_off(port)))
		return SKB_DROP_REASON_DEV_READY;
	reason = vsw_forward_match(match, skb);
	if (unlikely(reason))
		return reason;
	if (unlikely(vsw_forward_is_barred(port, skb)))
		return SKB_DROP_REASON_UNHANDLED_PROTO;
	return SKB_NOT_DROPPED_YET;
}

/* A frame that the port may send. Context: BH off, RCU read side. */
void vsw_forward_send(struct vsw_port *port, struct sk_buff *skb,
		      const struct vmq_match *match)
{
	if (is_multicast_ether_addr(match->addr)) {
		vsw_forward_flood(port->uplink, skb, match, &port->member);
		vsw_uplink_deliver_clone(port->uplink, skb);
		vsw_port_send(port, skb);
	} else {
		vsw_port_switch(port, skb, match);
	}
}

/*
 * The sum is filled in after the frame was judged, where the sender says: not
 * in a header that is looked at here.
 */
static bool vsw_forward_sum_is_sane(const struct sk_buff *skb)
{
	return skb->ip_summed != CHECKSUM_PARTIAL ||
	       skb_checksum_start_offset(skb) >=
	       (int)(ETH_HLEN + sizeof(struct iphdr));
}

netdev_tx_t vsw_forward_port_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct vsw_port *port = netdev_priv(dev);
	enum skb_drop_reason reason;
	struct vmq_match match;
	unsigned long policy;

	/* The caller's is of the BH kind, the table asks for the plain one. */
	rcu_read_lock();
	reason = vsw_forward_check(skb, port, &match);
	if (unlikely(READ_ONCE(port->vlan_tx)) && !reason)
		reason = vsw_port_vlan_send(port, skb, &match);
	if (unlikely(!reason && !vsw_forward_sum_is_sane(skb)))
		reason = SKB_DROP_REASON_SKB_CSUM;
	if (unlikely(reason)) {
		kfree_skb_reason(skb, reason);
		dev_dstats_tx_dropped(dev);
		goto unlock;
	}

	policy = READ_ONCE(port->policy) & VSW_POLICY_SEND;
	if (!policy || vsw_policy_admit(port, skb, &match, policy))
		vsw_forward_send(port, skb, &match);
unlock:
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

/* True: the frame was a local port's. False: it goes to the wire, unchanged. */
static bool vsw_uplink_switch(struct vsw_uplink *up, struct sk_buff *skb)
{
	struct vmq_match match;
	struct vsw_port *to;

	if (unlikely(vsw_forward_match(&match, skb)))
		return false;
	if (is_multicast_ether_addr(match.addr)) {
		vsw_forward_flood(up, skb, &match, NULL);
		return false;
	}

	to = vsw_forward_lookup(up, &match);
	if (!to) {
		if (vsw_forward_is_watched(up, &match))
			vsw_forward_flood(up, skb, &match, NULL);
		return false;
	}
	/* pktgen on the uplink may send one skb many times. */
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (skb)
		vsw_port_deliver(to, skb);
	else
		dev_dstats_rx_dropped(to->dev);
	return true;
}

/* The uplink's tx queue is locked: deliver, never transmit. */
static bool vsw_uplink_xmit(struct vmq_switch *sw, struct sk_buff *skb)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);

	if (vsw_uplink_switch(up, skb))
		return true;
	if (unlikely(vsw_meter_is_on(&up->meter)))
		vsw_meter_count_host(up, skb);
	return false;
}

/* A port whose queue has claimed the group: the NIC gave it a copy. */
static const struct vsw_member *
vsw_receive_claimant(struct vsw_uplink *up, const struct vmq_match *match)
{
	struct vmq_consumer *c = vmq_group_consumer_rcu(up->vmq, match);

	return c ? &container_of(c, struct vsw_port, consumer)->member : NULL;
}

/*
 * A frame from the wire for all who want it. The ports share clones of one
 * copy: the frame itself goes on to the uplink's GRO, which may take its memory
 * apart.
 */
static void vsw_receive_flood(struct vsw_uplink *up, struct sk_buff *skb,
			      const struct vmq_match *match,
			      const struct vsw_member *has_it)
{
	struct sk_buff *copy = NULL, *clone;
	struct vsw_member *member = NULL;
	struct vsw_flood flood;
	struct vsw_port *port;

	vsw_group_begin_rcu(&flood, &up->table, match, has_it);
	while ((member = vsw_group_next_rcu(&flood, member))) {
		port = vsw_member_port(member);
		if (vsw_port_is_off(port))
			continue;
		if (!copy)
			copy = skb_copy(skb, GFP_ATOMIC);
		clone = copy ? skb_clone(copy, GFP_ATOMIC) : NULL;
		if (!clone) {
			dev_dstats_rx_dropped(port->dev);
			continue;
		}
		if (!vsw_port_adopt(port, clone))
			continue;
		vsw_port_count_switched(port);
		netif_receive_skb(clone);
	}
	consume_skb(copy);
}

/* A frame that one of our ports sent came back over the wire. */
static bool vsw_receive_reflected(struct vsw_uplink *up, struct sk_buff *skb,
				  u16 vid)
{
	const struct ethhdr *eth = (const struct ethhdr *)skb->data;
	struct vsw_switch_stats *stats = this_cpu_ptr(up->stats);
	struct vmq_match source = { .vlan = vid };

	ether_addr_copy(source.addr, eth->h_source);
	if (likely(!vsw_forward_lookup(up, &source)))
		return false;

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->reflected);
	u64_stats_update_end(&stats->syncp);
	return true;
}

/* True: it was given to GRO as a port's. */
static bool vsw_receive_one(struct vsw_uplink *up, struct napi_struct *napi,
			    struct sk_buff *skb)
{
	struct vmq_match match;
	struct vsw_port *port;

	vmq_match_from_skb(&match, skb);
	if (vsw_receive_reflected(up, skb, match.vlan)) {
		skb_list_del_init(skb);
		kfree_skb_reason(skb, SKB_DROP_REASON_LOCAL_MAC);
		return false;
	}
	if (is_multicast_ether_addr(match.addr)) {
		vsw_receive_flood(up, skb, &match,
				  vsw_receive_claimant(up, &match));
		return false;
	}

	port = vsw_forward_lookup(up, &match);
	if (!port) {
		if (vsw_forward_is_watched(up, &match))
			vsw_receive_flood(up, skb, &match, NULL);
		return false;
	}
	skb_list_del_init(skb);
	if (!vsw_port_adopt(port, skb))
		return false;
	vsw_port_count_switched(port);
	napi_gro_receive(napi, skb);
	return true;
}

/*
 * GRO may keep a frame from poll to poll, for as long as the uplink's
 * gro_flush_timeout says, even while the NAPI is disabled. The port may be gone
 * by then, and only the end of a poll is waited for when it goes.
 */
static void vsw_receive_flush(struct napi_struct *napi)
{
	napi_gro_flush(napi, false);
}

/* What stays on the list is for the uplink's stack. */
static void vsw_receive(struct vmq_switch *sw, struct napi_struct *napi,
			struct list_head *batch)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);
	struct sk_buff *skb, *next;
	bool to_port = false;

	list_for_each_entry_safe(skb, next, batch, list)
		to_port |= vsw_receive_one(up, napi, skb);
	if (to_port)
		vsw_receive_flush(napi);
}

static void vsw_port_wake(struct vsw_port *port)
{
	if (netif_running(port->dev))
		netif_wake_queue(port->dev);
}

/* Ports without a queue share ring 0. */
static void vsw_switch_tx_wake(struct vmq_switch *sw)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);
	struct vsw_member *member;
	struct vsw_port *port;

	list_for_each_entry_rcu(member, &up->table.members, node) {
		port = vsw_member_port(member);
		if (!READ_ONCE(port->queue))
			vsw_port_wake(port);
	}
}

const struct vmq_switch_ops vsw_forward_switch_ops = {
	.receive	= vsw_receive,
	.uplink_xmit	= vsw_uplink_xmit,
	.tx_wake	= vsw_switch_tx_wake,
	.enabled	= vsw_promote_enabled,
	.freed		= vsw_promote_freed,
};

/* Of a group that the port has claimed: what came back is dropped, as ever. */
static bool vsw_consumer_reflected(struct vsw_port *port, struct sk_buff *skb)
{
	if (likely(!is_multicast_ether_addr(skb->data)))
		return false;
	if (!vsw_receive_reflected(port->uplink, skb, skb_vlan_tag_get_id(skb)))
		return false;
	kfree_skb_reason(skb, SKB_DROP_REASON_LOCAL_MAC);
	return true;
}

/*
 * A port of many VLANs claims its addresses in any: of a frame of another one
 * it is told here that it is none of the VM's.
 */
static bool vsw_consumer_is_mismatch(const struct vsw_port *port,
				     const struct sk_buff *skb)
{
	const struct vsw_vlans *v = rcu_dereference(port->vlans);

	return unlikely(v) && !test_bit(skb_vlan_tag_get_id(skb), v->rx);
}

/*
 * They go the default queue's way, and look like that. Of a group's frames the
 * default queue has a copy already.
 */
static void vsw_consumer_turn_away(struct vsw_port *port,
				   struct napi_struct *napi,
				   struct list_head *mismatch)
{
	struct vsw_port_stats *stats = this_cpu_ptr(port->stats);
	struct vsw_uplink *up = port->uplink;
	struct sk_buff *skb, *next;

	u64_stats_update_begin(&stats->syncp);
	u64_stats_add(&stats->rx_vlan_mismatch_packets,
		      list_count_nodes(mismatch));
	u64_stats_update_end(&stats->syncp);

	list_for_each_entry_safe(skb, next, mismatch, list) {
		skb_record_rx_queue(skb, 0);
		if (!is_multicast_ether_addr(skb->data))
			continue;
		skb_list_del_init(skb);
		consume_skb(skb);
	}
	vsw_receive(&up->sw, napi, mismatch);
	list_for_each_entry_safe(skb, next, mismatch, list) {
		skb_list_del_init(skb);
		vmq_stack_receive(up->vmq, napi, skb);
	}
}

/* Frames of the port's own queue: the NIC has looked them up. */
static void vsw_consumer_receive(struct vmq_consumer *c,
				 struct napi_struct *napi,
				 struct list_head *batch)
{
	struct vsw_port *port = container_of(c, struct vsw_port, consumer);
	struct sk_buff *skb, *next;
	unsigned int packets = 0;
	LIST_HEAD(mismatch);

	list_for_each_entry_safe(skb, next, batch, list) {
		skb_list_del_init(skb);
		if (vsw_consumer_is_mismatch(port, skb)) {
			list_add_tail(&skb->list, &mismatch);
			continue;
		}
		if (unlikely(vsw_consumer_reflected(port, skb)) ||
		    !vsw_port_adopt(port, skb))
			continue;
		packets++;
		napi_gro_receive(napi, skb);
	}
	vsw_receive_flush(napi);
	vsw_port_count_queue(port, packets);
	if (unlikely(!list_empty(&mismatch)))
		vsw_consumer_turn_away(port, napi, &mismatch);
}

static void vsw_consumer_tx_wake(struct vmq_consumer *c)
{
	vsw_port_wake(container_of(c, struct vsw_port, consumer));
}

const struct vmq_consumer_ops vsw_forward_consumer_ops = {
	.receive	= vsw_consumer_receive,
	.tx_wake	= vsw_consumer_tx_wake,
};
