// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmit: frames are posted under the lock of the uplink's tx queue, and
 * completed by the poll of the same queue.
 */
#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/sctp.h>
#include <linux/sizes.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip6_checksum.h>
#include <net/netdev_queues.h>
#include <net/tcp.h>
#include "igbq.h"
#include "igbq_regs.h"

/* DTALEN would allow 64 KB - 1; halves keep the pieces aligned. */
#define IGBQ_TX_DESC_LEN	SZ_32K
#define IGBQ_TX_CLEAN_MAX	256
/* The NIC adds the FCS. */
#define IGBQ_TX_FRAME_MAX	(IGBQ_MTU_MAX + IGBQ_FRAME_OVERHEAD - \
				 ETH_FCS_LEN)

static union igbq_txd *igbq_tx_desc(const struct igbq_tx_ring *tx, u32 pos)
{
	return (union igbq_txd *)tx->mem.desc + (pos & (tx->mem.count - 1));
}

static struct igbq_tx_buf *igbq_tx_buf(const struct igbq_tx_ring *tx, u32 pos)
{
	return (struct igbq_tx_buf *)tx->mem.bufs + (pos & (tx->mem.count - 1));
}

/* A full ring has one descriptor less: tail at head would mean empty. */
static u32 igbq_tx_room(const struct igbq_tx_ring *tx)
{
	return tx->mem.count - 1 -
	       (READ_ONCE(tx->posted) - READ_ONCE(tx->cleaned));
}

static int igbq_tx_check_room(const struct igbq_tx_ring *tx)
{
	if (unlikely(!tx->on))
		return -ENETDOWN;
	return unlikely(igbq_tx_room(tx) < IGBQ_TX_STOP) ? -ENOBUFS : 0;
}

static void igbq_tx_program(struct igbq_queue *q)
{
	struct igbq_nic *nic = q->nic;
	dma_addr_t dma = q->tx.mem.dma;

	igbq_wr32(nic, IGBQ_TXDCTL(q->id), 0);
	igbq_wr32(nic, IGBQ_TDBAL(q->id), lower_32_bits(dma));
	igbq_wr32(nic, IGBQ_TDBAH(q->id), upper_32_bits(dma));
	igbq_wr32(nic, IGBQ_TDLEN(q->id),
		  q->tx.mem.count * sizeof(union igbq_txd));
	igbq_wr32(nic, IGBQ_TDH(q->id), 0);
	igbq_wr32(nic, IGBQ_TDT(q->id), 0);
	igbq_wr32(nic, IGBQ_TXDCTL(q->id), IGBQ_DCTL_ENABLE |
		  FIELD_PREP(IGBQ_DCTL_PTHRESH, 8) |
		  FIELD_PREP(IGBQ_DCTL_HTHRESH, 1) |
		  FIELD_PREP(IGBQ_DCTL_WTHRESH, 1));
}

static void igbq_tx_set_on(struct igbq_queue *q, bool on)
{
	__netif_tx_lock_bh(q->txq);
	q->tx.on = on;
	__netif_tx_unlock_bh(q->txq);
}

/**
 * igbq_tx_start - let the NIC use the ring, and others post frames
 * @q: allocated, its pool enabled for transmit
 *
 * Context: may sleep. Return: 0, -ETIMEDOUT or -ENODEV.
 */
int igbq_tx_start(struct igbq_queue *q)
{
	int err;

	q->tx.posted = 0;
	q->tx.rung = 0;
	q->tx.cleaned = 0;
	igbq_tx_program(q);
	err = igbq_hw_wait(q->nic, IGBQ_TXDCTL(q->id), IGBQ_DCTL_ENABLE,
			   IGBQ_DCTL_ENABLE, 10);
	if (err) {
		igbq_wr32(q->nic, IGBQ_TXDCTL(q->id), 0);
		return err;
	}

	/* Whoever found the ring full or off before now has to look again. */
	igbq_tx_set_on(q, true);
	netif_tx_stop_queue(q->txq);
	netif_tx_wake_queue(q->txq);
	local_bh_disable();
	vmq_queue_tx_wake(q->vq);
	local_bh_enable();
	return 0;
}

void igbq_tx_stop(struct igbq_queue *q)
{
	igbq_tx_set_on(q, false);
	igbq_hw_stop_ring(q->nic, IGBQ_TXDCTL(q->id));
}

static void igbq_tx_unmap(struct igbq_queue *q, struct igbq_tx_buf *buf)
{
	struct device *dev = &q->nic->pdev->dev;

	if (!buf->len)
		return;
	if (buf->paged)
		dma_unmap_page(dev, buf->dma, buf->len, DMA_TO_DEVICE);
	else
		dma_unmap_single(dev, buf->dma, buf->len, DMA_TO_DEVICE);
	buf->len = 0;
}

/* Forget the frame that begins at @pos, but for its skb. */
static struct sk_buff *igbq_tx_frame_take(struct igbq_queue *q, u32 pos)
{
	struct igbq_tx_buf *first = igbq_tx_buf(&q->tx, pos);
	struct sk_buff *skb = first->skb;
	u32 end = first->last + 1;

	for (; pos != end; pos++)
		igbq_tx_unmap(q, igbq_tx_buf(&q->tx, pos));
	first->skb = NULL;
	return skb;
}

static bool igbq_tx_frame_sent(const struct igbq_tx_ring *tx, u32 pos)
{
	return igbq_txd_done(igbq_tx_desc(tx, igbq_tx_buf(tx, pos)->last));
}

/* Free what is in a stopped ring, sent or not. Its NAPI is disabled. */
void igbq_tx_release(struct igbq_queue *q)
{
	struct igbq_tx_ring *tx = &q->tx;
	unsigned int lost = 0;
	struct sk_buff *skb;
	bool sent;
	u32 end;

	for (; tx->cleaned != tx->posted; tx->cleaned = end) {
		end = igbq_tx_buf(tx, tx->cleaned)->last + 1;
		sent = igbq_tx_frame_sent(tx, tx->cleaned);
		skb = igbq_tx_frame_take(q, tx->cleaned);
		lost += !sent;
		kfree_skb_reason(skb, sent ? SKB_CONSUMED :
				 SKB_DROP_REASON_QUEUE_PURGE);
	}

	__netif_tx_lock_bh(q->txq);
	vmq_queue_tx_drop(q->vq, VMQ_TX_DROP_STOPPED, lost);
	__netif_tx_unlock_bh(q->txq);
	netdev_tx_reset_queue(q->txq);
	/* The watchdog would take a queue left stopped for a hung one. */
	netif_tx_start_queue(q->txq);
}

static void igbq_tx_wake(struct igbq_queue *q, u32 frames, u32 bytes)
{
	netif_txq_completed_wake(q->txq, frames, bytes, igbq_tx_room(&q->tx),
				 IGBQ_TX_WAKE);
	/*
	 * Whoever waits for room is told always: BQL stops and starts the
	 * queue without saying so, and a look before it may come too early.
	 */
	if (!netif_xmit_stopped(q->txq))
		vmq_queue_tx_wake(q->vq);
}

/**
 * igbq_tx_clean - transmit part of a queue's poll
 * @q: running
 * @budget: NAPI's
 *
 * Return: false when more may be there.
 */
bool igbq_tx_clean(struct igbq_queue *q, int budget)
{
	struct igbq_tx_ring *tx = &q->tx;
	/* Pairs with the release in igbq_tx_post(). */
	u32 posted = smp_load_acquire(&tx->posted);
	u32 frames = 0, bytes = 0;
	u32 pos = tx->cleaned;

	while (pos != posted && frames < IGBQ_TX_CLEAN_MAX) {
		struct igbq_tx_buf *buf = igbq_tx_buf(tx, pos);

		if (!igbq_tx_frame_sent(tx, pos))
			break;
		bytes += buf->charged;
		frames++;
		napi_consume_skb(igbq_tx_frame_take(q, pos), budget);
		pos = buf->last + 1;
	}
	if (!frames)
		return true;

	/* The buffers are free before the room is seen. */
	smp_store_release(&tx->cleaned, pos);
	igbq_tx_wake(q, frames, bytes);
	return frames < IGBQ_TX_CLEAN_MAX;
}

/* A frame that is still to be cut has no one checksum: features_check() asks. */
static int igbq_tx_sum_in_software(struct sk_buff *skb)
{
	return skb_is_gso(skb) ? -EOPNOTSUPP : skb_checksum_help(skb);
}

static int igbq_tx_fill_csum(struct sk_buff *skb, struct igbq_tx_offload *o)
{
	int ip_len = skb_checksum_start_offset(skb) - skb_network_offset(skb);
	int mac_len = skb_network_offset(skb);

	if (mac_len < ETH_HLEN || mac_len > IGBQ_TXD_MACLEN_MAX ||
	    ip_len < (int)sizeof(struct iphdr) || ip_len > IGBQ_TXD_IPLEN_MAX)
		return igbq_tx_sum_in_software(skb);

	switch (skb->csum_offset) {
	case offsetof(struct tcphdr, check):
		o->l4_type = IGBQ_TXD_L4T_TCP;
		break;
	case offsetof(struct udphdr, check):
		o->l4_type = IGBQ_TXD_L4T_UDP;
		break;
	case offsetof(struct sctphdr, checksum):
		if (skb_csum_is_sctp(skb)) {
			o->l4_type = IGBQ_TXD_L4T_SCTP;
			break;
		}
		fallthrough;
	default:
		return igbq_tx_sum_in_software(skb);
	}
	o->mac_len = mac_len;
	o->ip_len = ip_len;
	o->ipv4 = ip_hdr(skb)->version == 4;
	o->l4_csum = true;
	return 0;
}

/* The NIC adds each segment's length to the pseudo header's checksum. */
static void igbq_tx_prepare_tso(struct sk_buff *skb, bool ipv4)
{
	struct tcphdr *th = (struct tcphdr *)skb_checksum_start(skb);
	struct ipv6hdr *ip6 = ipv6_hdr(skb);
	struct iphdr *ip = ip_hdr(skb);

	if (ipv4) {
		ip->tot_len = 0;
		ip->check = 0;
		th->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, 0,
					       IPPROTO_TCP, 0);
	} else {
		ip6->payload_len = 0;
		th->check = ~csum_ipv6_magic(&ip6->saddr, &ip6->daddr, 0,
					     IPPROTO_TCP, 0);
	}
}

static int igbq_tx_fill_tso(struct sk_buff *skb, struct igbq_tx_offload *o)
{
	const u32 types = SKB_GSO_TCPV4 | SKB_GSO_TCPV6;
	unsigned int start = skb_checksum_start_offset(skb);
	struct tcphdr *th;
	int err;

	if (!(skb_shinfo(skb)->gso_type & types) || !o->l4_csum ||
	    o->l4_type != IGBQ_TXD_L4T_TCP ||
	    !pskb_may_pull(skb, start + sizeof(*th)))
		return -EOPNOTSUPP;

	th = (struct tcphdr *)skb_checksum_start(skb);
	o->l4_len = th->doff * 4;
	if (o->l4_len < sizeof(*th) || !pskb_may_pull(skb, start + o->l4_len) ||
	    skb->len <= start + o->l4_len)
		return -EINVAL;
	/* A VM says what size it likes; the NIC would try to send that. */
	if (start + o->l4_len + skb_shinfo(skb)->gso_size > IGBQ_TX_FRAME_MAX)
		return -EMSGSIZE;

	err = skb_cow_head(skb, 0);
	if (err)
		return err;
	igbq_tx_prepare_tso(skb, o->ipv4);
	o->tso = true;
	o->ip_csum = o->ipv4;
	o->mss = skb_shinfo(skb)->gso_size;
	o->paylen = skb->len - start - o->l4_len;
	return 0;
}

static int igbq_tx_fill_offload(struct sk_buff *skb, struct igbq_tx_offload *o)
{
	int err;

	o->mac_len = ETH_HLEN;
	o->paylen = skb->len;
	if (skb_vlan_tag_present(skb)) {
		o->vlan = true;
		o->vlan_tci = skb_vlan_tag_get(skb);
	}
	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		err = igbq_tx_fill_csum(skb, o);
		if (err)
			return err;
	}
	if (skb_is_gso(skb))
		return igbq_tx_fill_tso(skb, o);
	return skb->len > IGBQ_TX_FRAME_MAX ? -EMSGSIZE : 0;
}

static u32 igbq_tx_descs(const struct sk_buff *skb)
{
	u32 n = DIV_ROUND_UP(skb_headlen(skb), IGBQ_TX_DESC_LEN);
	unsigned int i;

	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++)
		n += DIV_ROUND_UP(skb_frag_size(&skb_shinfo(skb)->frags[i]),
				  IGBQ_TX_DESC_LEN);
	return n;
}

/* The NIC inserts customer tags only. */
static int igbq_tx_push_tag(struct sk_buff *skb)
{
	__be16 proto = skb->vlan_proto;
	int err;

	if (!skb_vlan_tag_present(skb) || proto == htons(ETH_P_8021Q))
		return 0;
	/* Others of its kind free the frame when they fail, without a reason. */
	err = __vlan_insert_tag(skb, proto, skb_vlan_tag_get(skb));
	if (err)
		return err;
	__vlan_hwaccel_clear_tag(skb);
	skb->protocol = proto;
	return 0;
}

/* Bring a frame into a form that the ring takes. */
static int igbq_tx_shape(struct sk_buff *skb)
{
	int err;

	err = igbq_tx_push_tag(skb);
	if (err)
		return err;
	/*
	 * A checksum that the NIC fills in must not see padding: QEMU's model
	 * takes the padded length into the sum.
	 */
	if (skb->len < ETH_ZLEN && skb->ip_summed == CHECKSUM_PARTIAL) {
		err = skb_checksum_help(skb);
		if (err)
			return err;
	}
	err = __skb_put_padto(skb, ETH_ZLEN, false);
	if (err)
		return err;
	if (skb_has_frag_list(skb) || igbq_tx_descs(skb) > IGBQ_TX_FRAME_DESCS)
		return skb_linearize(skb);
	return 0;
}

/* What is being written of a frame */
struct igbq_tx_cursor {
	u32 pos;
	u32 cmd;
	u32 olinfo;
};

static int igbq_tx_map(struct igbq_queue *q, struct igbq_tx_cursor *c,
		       dma_addr_t dma, u32 len, bool paged)
{
	struct igbq_tx_buf *buf = igbq_tx_buf(&q->tx, c->pos);

	if (dma_mapping_error(&q->nic->pdev->dev, dma))
		return -ENOMEM;

	buf->dma = dma;
	buf->len = len;
	buf->paged = paged;
	while (len) {
		u32 part = min_t(u32, len, IGBQ_TX_DESC_LEN);

		igbq_txd_encode_data(igbq_tx_desc(&q->tx, c->pos), dma, part,
				     c->cmd, c->olinfo);
		c->pos++;
		dma += part;
		len -= part;
	}
	return 0;
}

static int igbq_tx_map_frame(struct igbq_queue *q, struct igbq_tx_cursor *c,
			     struct sk_buff *skb)
{
	struct device *dev = &q->nic->pdev->dev;
	u32 len = skb_headlen(skb);
	unsigned int i;
	int err;

	err = igbq_tx_map(q, c, dma_map_single(dev, skb->data, len,
					       DMA_TO_DEVICE), len, false);
	for (i = 0; !err && i < skb_shinfo(skb)->nr_frags; i++) {
		skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		len = skb_frag_size(frag);
		if (!len)
			continue;
		err = igbq_tx_map(q, c, skb_frag_dma_map(dev, frag, 0, len,
							 DMA_TO_DEVICE),
				  len, true);
	}
	return err;
}

/* Write the frame's descriptors; the NIC does not see them yet. */
static int igbq_tx_write(struct igbq_queue *q, struct sk_buff *skb,
			 const struct igbq_tx_offload *o, u32 *end)
{
	struct igbq_tx_ring *tx = &q->tx;
	struct igbq_tx_cursor c = {
		.pos = tx->posted,
		.cmd = igbq_txd_cmd(o),
		.olinfo = igbq_txd_olinfo(o),
	};
	int err;

	if (igbq_tx_offload_any(o))
		igbq_txd_encode_ctx(igbq_tx_desc(tx, c.pos++), o);
	err = igbq_tx_map_frame(q, &c, skb);
	if (err) {
		while (c.pos != tx->posted)
			igbq_tx_unmap(q, igbq_tx_buf(tx, --c.pos));
		return err;
	}
	igbq_tx_desc(tx, c.pos - 1)->read.cmd_type_len |=
		cpu_to_le32(IGBQ_TXD_EOP | IGBQ_TXD_RS);
	*end = c.pos;
	return 0;
}

void igbq_tx_doorbell(struct igbq_queue *q)
{
	struct igbq_tx_ring *tx = &q->tx;

	if (!tx->on || tx->rung == tx->posted)
		return;
	tx->rung = tx->posted;
	igbq_wr32(q->nic, IGBQ_TDT(q->id), tx->posted & (tx->mem.count - 1));
}

static void igbq_tx_count(struct igbq_queue *q, u32 frames, u32 bytes)
{
	struct vmq_queue_tx_stats *stats = &q->vq->tx;

	u64_stats_update_begin(&stats->syncp);
	u64_stats_add(&stats->packets, frames);
	u64_stats_add(&stats->bytes, bytes);
	u64_stats_update_end(&stats->syncp);
}

static enum skb_drop_reason igbq_tx_drop_reason(const struct sk_buff *skb,
						int err, enum vmq_tx_drop *why)
{
	switch (err) {
	case -ENETDOWN:
		*why = VMQ_TX_DROP_STOPPED;
		return SKB_DROP_REASON_DEV_READY;
	case -ENOBUFS:
		*why = VMQ_TX_DROP_FULL;
		return SKB_DROP_REASON_FULL_RING;
	case -ENOMEM:
		*why = VMQ_TX_DROP_NOMEM;
		return SKB_DROP_REASON_NOMEM;
	}
	*why = VMQ_TX_DROP_INVALID;
	if (err == -EMSGSIZE)
		return SKB_DROP_REASON_PKT_TOO_BIG;
	return skb_is_gso(skb) ? SKB_DROP_REASON_SKB_BAD_GSO :
				 SKB_DROP_REASON_SKB_CSUM;
}

static void igbq_tx_drop(struct igbq_queue *q, struct sk_buff *skb, int err)
{
	enum skb_drop_reason reason;
	enum vmq_tx_drop why;

	reason = igbq_tx_drop_reason(skb, err, &why);
	vmq_queue_tx_drop(q->vq, why, 1);
	/* netpoll sends with interrupts off. */
	dev_kfree_skb_any_reason(skb, reason);
}

/* Make a written frame visible to the poll, and to the NIC if it is time. */
static void igbq_tx_post(struct igbq_queue *q, struct sk_buff *skb,
			 const struct igbq_tx_offload *o, u32 end, bool more,
			 bool charge)
{
	struct igbq_tx_ring *tx = &q->tx;
	struct igbq_tx_buf *first = igbq_tx_buf(tx, tx->posted);
	u32 frames = o->tso ? DIV_ROUND_UP(o->paylen, o->mss) : 1;
	u32 bytes = skb->len + (frames - 1) * (skb->len - o->paylen);

	first->skb = skb;
	first->last = end - 1;
	first->charged = charge ? bytes : 0;
	skb_tx_timestamp(skb);
	/* Pairs with the acquire in igbq_tx_clean(). */
	smp_store_release(&tx->posted, end);

	txq_trans_cond_update(q->txq);
	igbq_tx_count(q, frames, bytes);
	if (!netif_txq_maybe_stop(q->txq, igbq_tx_room(tx), IGBQ_TX_STOP,
				  IGBQ_TX_WAKE))
		tx->stops++;
	if (__netdev_tx_sent_queue(q->txq, first->charged, more))
		igbq_tx_doorbell(q);
}

/**
 * igbq_tx_xmit - post one frame
 * @q: the queue; whatever state it is in
 * @skb: consumed
 * @more: another frame follows at once
 * @charge: the sender heeds BQL's limit, so count the frame against it. One
 *	that does not would keep all others above it for as long as it sends.
 *
 * Context: BH off, lock of the tx queue held.
 */
void igbq_tx_xmit(struct igbq_queue *q, struct sk_buff *skb, bool more,
		  bool charge)
{
	struct igbq_tx_offload o = {};
	u32 end;
	int err;

	err = igbq_tx_check_room(&q->tx) ?: igbq_tx_shape(skb) ?:
	      igbq_tx_fill_offload(skb, &o) ?: igbq_tx_write(q, skb, &o, &end);
	if (likely(!err)) {
		igbq_tx_post(q, skb, &o, end, more, charge);
		return;
	}
	igbq_tx_drop(q, skb, err);
	/* Frames before this one may have counted on its doorbell. */
	if (!more)
		igbq_tx_doorbell(q);
}

/* Position after the last frame posted so far, and all of them rung. */
u32 igbq_tx_mark(struct igbq_queue *q)
{
	u32 mark;

	__netif_tx_lock_bh(q->txq);
	igbq_tx_doorbell(q);
	mark = q->tx.posted;
	__netif_tx_unlock_bh(q->txq);
	return mark;
}
