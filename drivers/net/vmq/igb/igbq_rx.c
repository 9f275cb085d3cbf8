// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receive: one page of the queue's page pool a descriptor. A poll takes what
 * is there, hands it over as one list, refills, and rings the doorbell once.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/sched.h>
#include <net/gro.h>
#include <net/page_pool/helpers.h>
#include "igbq.h"
#include "igbq_regs.h"

static union igbq_rxd *igbq_rx_desc(const struct igbq_rx_ring *rx, u32 pos)
{
	return (union igbq_rxd *)rx->mem.desc + (pos & (rx->mem.count - 1));
}

static struct page **igbq_rx_page(const struct igbq_rx_ring *rx, u32 pos)
{
	return (struct page **)rx->mem.bufs + (pos & (rx->mem.count - 1));
}

/*
 * A full ring has one descriptor less: tail at head would mean empty.
 *
 * Never GFP_KERNEL, not even where sleeping is fine: when memory is short the
 * page pool's DMA index of 6.12 would sleep with BH off.
 */
static bool igbq_rx_refill(struct igbq_rx_ring *rx)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;

	while (rx->posted - rx->cleaned < rx->mem.count - 1) {
		struct page *page = page_pool_alloc_pages(rx->pool, gfp);

		if (unlikely(!page))
			return false;
		*igbq_rx_page(rx, rx->posted) = page;
		igbq_rxd_encode(igbq_rx_desc(rx, rx->posted),
				page_pool_get_dma_addr(page) +
				IGBQ_RX_HEADROOM);
		rx->posted++;
	}
	return true;
}

static void igbq_rx_program(struct igbq_queue *q)
{
	struct igbq_nic *nic = q->nic;
	dma_addr_t dma = q->rx.mem.dma;

	igbq_wr32(nic, IGBQ_RXDCTL(q->id), 0);
	igbq_wr32(nic, IGBQ_RDBAL(q->id), lower_32_bits(dma));
	igbq_wr32(nic, IGBQ_RDBAH(q->id), upper_32_bits(dma));
	igbq_wr32(nic, IGBQ_RDLEN(q->id),
		  q->rx.mem.count * sizeof(union igbq_rxd));
	igbq_wr32(nic, IGBQ_SRRCTL(q->id), IGBQ_SRRCTL_DROP_EN |
		  FIELD_PREP(IGBQ_SRRCTL_DESCTYPE, IGBQ_SRRCTL_DESCTYPE_ADV) |
		  FIELD_PREP(IGBQ_SRRCTL_BSIZEPACKET, IGBQ_RX_BUF_LEN / SZ_1K));
	igbq_wr32(nic, IGBQ_RDH(q->id), 0);
	igbq_wr32(nic, IGBQ_RDT(q->id), 0);
	igbq_wr32(nic, IGBQ_RXDCTL(q->id), IGBQ_DCTL_ENABLE |
		  FIELD_PREP(IGBQ_DCTL_PTHRESH, 8) |
		  FIELD_PREP(IGBQ_DCTL_HTHRESH, 8) |
		  FIELD_PREP(IGBQ_DCTL_WTHRESH, 1));
}

/**
 * igbq_rx_start - fill the ring and let the NIC use it
 * @q: allocated, its NAPI disabled; descriptors are posted by igbq_rx_post()
 *
 * Context: may sleep. Return: 0, -ENOMEM, -ETIMEDOUT or -ENODEV.
 */
int igbq_rx_start(struct igbq_queue *q)
{
	struct igbq_rx_ring *rx = &q->rx;
	int err = -ENOMEM;

	rx->posted = 0;
	rx->cleaned = 0;
	/* A ring that is not full is filled up by its polls. */
	if (!igbq_rx_refill(rx) && !rx->posted)
		goto err_release;

	igbq_rx_program(q);
	err = igbq_hw_wait(q->nic, IGBQ_RXDCTL(q->id), IGBQ_DCTL_ENABLE,
			   IGBQ_DCTL_ENABLE, 10);
	if (err)
		goto err_stop;
	return 0;

err_stop:
	igbq_rx_stop(q);
err_release:
	igbq_rx_release(q);
	return err;
}

/* What the poll did becomes visible to a drain, and the NIC gets buffers. */
static bool igbq_rx_publish(struct igbq_queue *q)
{
	struct igbq_drain *d = &q->drain;
	struct igbq_rx_ring *rx = &q->rx;
	bool passed;

	spin_lock(&d->lock);
	d->cleaned = rx->cleaned;
	d->delivered = rx->cleaned - rx->skb_descs;
	if (rx->rung != rx->posted) {
		rx->rung = rx->posted;
		igbq_wr32(q->nic, IGBQ_RDT(q->id),
			  rx->posted & (rx->mem.count - 1));
	}
	passed = d->stage == IGBQ_DRAIN_ARMED &&
		 (s32)(d->delivered - d->mark) >= 0;
	if (passed)
		d->stage = IGBQ_DRAIN_FLUSHED;
	spin_unlock(&d->lock);
	return passed;
}

/* A tail written before the ring was enabled would not be seen. */
void igbq_rx_post(struct igbq_queue *q)
{
	q->rx.rung = 0;
	local_bh_disable();
	igbq_rx_publish(q);
	local_bh_enable();
}

void igbq_rx_stop(struct igbq_queue *q)
{
	igbq_hw_stop_ring(q->nic, IGBQ_RXDCTL(q->id));
}

/* Frames in a stopped ring, the one included that was cut off by that. */
static unsigned int igbq_rx_count_left(const struct igbq_rx_ring *rx)
{
	bool begun = rx->skb_descs;
	unsigned int frames = 0;
	u32 pos, status;

	for (pos = rx->cleaned; pos != rx->posted; pos++) {
		status = igbq_rxd_status(igbq_rx_desc(rx, pos));
		if (!(status & IGBQ_RXD_DD))
			break;
		begun = !(status & IGBQ_RXD_EOP);
		frames += !begun;
	}
	return frames + begun;
}

/* Give everything in a stopped ring back to the page pool. */
void igbq_rx_release(struct igbq_queue *q)
{
	struct igbq_rx_ring *rx = &q->rx;

	local_bh_disable();
	vmq_queue_rx_drop(q->vq, VMQ_RX_DROP_STOPPED, igbq_rx_count_left(rx));
	local_bh_enable();
	kfree_skb_reason(rx->skb, SKB_DROP_REASON_QUEUE_PURGE);
	rx->skb = NULL;
	rx->skb_descs = 0;
	rx->discard = SKB_NOT_DROPPED_YET;
	for (; rx->cleaned != rx->posted; rx->cleaned++) {
		page_pool_put_full_page(rx->pool,
					*igbq_rx_page(rx, rx->cleaned), false);
		/* Thousands of pages are a long time on a debug kernel. */
		cond_resched();
	}
}

static struct sk_buff *igbq_rx_build(struct igbq_rx_ring *rx,
				     struct page *page, u32 len)
{
	void *va = page_address(page);
	struct sk_buff *skb;

	net_prefetch(va + IGBQ_RX_HEADROOM);
	skb = napi_build_skb(va, PAGE_SIZE);
	if (unlikely(!skb))
		return NULL;

	skb_reserve(skb, IGBQ_RX_HEADROOM);
	skb_put(skb, len);
	skb_mark_for_recycle(skb);
	return skb;
}

/* Add a filled buffer to the current frame, or tell why it is not used. */
static enum skb_drop_reason igbq_rx_add(struct igbq_rx_ring *rx,
					struct page *page, u32 len)
{
	struct sk_buff *skb = rx->skb;

	if (unlikely(rx->discard))
		return rx->discard;
	if (unlikely(len > IGBQ_RX_BUF_LEN))
		return SKB_DROP_REASON_DEV_HDR;

	page_pool_dma_sync_for_cpu(rx->pool, page, 0, len);
	if (!skb) {
		rx->skb = igbq_rx_build(rx, page, len);
		return likely(rx->skb) ? SKB_NOT_DROPPED_YET :
					 SKB_DROP_REASON_NOMEM;
	}
	if (unlikely(skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS))
		return SKB_DROP_REASON_PKT_TOO_BIG;
	skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, IGBQ_RX_HEADROOM,
			len, PAGE_SIZE);
	return SKB_NOT_DROPPED_YET;
}

/* The current frame is lost; its remaining descriptors are skipped. */
static void igbq_rx_discard(struct igbq_rx_ring *rx, struct page *page,
			    enum skb_drop_reason reason)
{
	page_pool_recycle_direct(rx->pool, page);
	kfree_skb_reason(rx->skb, reason);
	rx->skb = NULL;
	rx->discard = reason;
}

/* Why the frame that is complete cannot be delivered, or 0. */
static enum skb_drop_reason igbq_rx_check(const struct igbq_rx_ring *rx,
					  u32 status)
{
	if (likely(rx->skb && !(status & IGBQ_RXD_ERR_FRAME) &&
		   rx->skb->len >= ETH_HLEN))
		return SKB_NOT_DROPPED_YET;
	if (!rx->skb)
		return rx->discard;
	return status & IGBQ_RXD_ERR_FRAME ? SKB_DROP_REASON_DEV_HDR :
					     SKB_DROP_REASON_PKT_TOO_SMALL;
}

static void igbq_rx_drop(struct igbq_queue *q, enum skb_drop_reason reason)
{
	enum vmq_rx_drop why = VMQ_RX_DROP_BAD;

	if (reason == SKB_DROP_REASON_NOMEM)
		why = VMQ_RX_DROP_NOMEM;
	else if (reason == SKB_DROP_REASON_PKT_TOO_BIG)
		why = VMQ_RX_DROP_LONG;
	vmq_queue_rx_drop(q->vq, why, 1);
	kfree_skb_reason(q->rx.skb, reason);
}

/* The last descriptor of a frame came: fill the skb in, or drop the frame. */
static struct sk_buff *igbq_rx_finish(struct igbq_queue *q, u32 status,
				      u16 vlan)
{
	struct net_device *netdev = q->nic->netdev;
	struct sk_buff *skb = q->rx.skb;
	enum skb_drop_reason reason;

	reason = igbq_rx_check(&q->rx, status);
	if (unlikely(reason)) {
		igbq_rx_drop(q, reason);
		skb = NULL;
		goto out;
	}

	skb->dev = netdev;
	skb_record_rx_queue(skb, q->id);
	if ((netdev->features & NETIF_F_RXCSUM) && igbq_rxd_csum_good(status))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (status & IGBQ_RXD_VP)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), vlan);
out:
	q->rx.skb = NULL;
	q->rx.skb_descs = 0;
	q->rx.discard = SKB_NOT_DROPPED_YET;
	return skb;
}

/* Takes frames off the ring; a frame may end in a later poll than it began. */
static int igbq_rx_clean(struct igbq_queue *q, int budget,
			 struct list_head *batch)
{
	struct igbq_rx_ring *rx = &q->rx;
	int frames = 0;

	while (frames < budget && rx->cleaned != rx->posted) {
		union igbq_rxd *desc = igbq_rx_desc(rx, rx->cleaned);
		struct page *page = *igbq_rx_page(rx, rx->cleaned);
		u32 status = igbq_rxd_status(desc);
		enum skb_drop_reason reason;
		struct sk_buff *skb;

		if (!(status & IGBQ_RXD_DD))
			break;
		/* Nothing else of the descriptor may be read before DD. */
		dma_rmb();

		rx->cleaned++;
		rx->skb_descs++;
		reason = igbq_rx_add(rx, page, le16_to_cpu(desc->wb.length));
		if (unlikely(reason))
			igbq_rx_discard(rx, page, reason);
		if (!(status & IGBQ_RXD_EOP))
			continue;

		frames++;
		skb = igbq_rx_finish(q, status, le16_to_cpu(desc->wb.vlan));
		if (skb)
			list_add_tail(&skb->list, batch);
	}
	return frames;
}

/**
 * igbq_rx_poll - receive part of a queue's poll
 * @q: running
 * @budget: most frames to take, above 0
 *
 * Return: frames taken, or @budget to be called again.
 */
int igbq_rx_poll(struct igbq_queue *q, int budget)
{
	LIST_HEAD(batch);
	bool filled;
	int frames;

	/* The end of the poll before this one has flushed GRO's list. */
	igbq_rx_drain_finish(q);

	frames = igbq_rx_clean(q, budget, &batch);
	if (!list_empty(&batch))
		vmq_queue_receive(q->vq, &q->napi, &batch);

	filled = igbq_rx_refill(&q->rx);
	if (igbq_rx_publish(q))
		napi_gro_flush(&q->napi, false);
	if (likely(filled))
		return frames;

	/* An empty ring raises no interrupt: come back until there is memory */
	q->rx.alloc_fail++;
	return budget;
}

/**
 * igbq_rx_drain_arm - remember what the NIC has put into the ring so far
 * @q: running and not held; no other drain of it is under way
 *
 * Context: process, may sleep.
 */
void igbq_rx_drain_arm(struct igbq_queue *q)
{
	struct igbq_drain *d = &q->drain;
	u32 head;

	/* A frame past the filters may still be in the NIC's packet buffer. */
	usleep_range(50, 100);

	spin_lock_bh(&d->lock);
	head = igbq_rd32(q->nic, IGBQ_RDH(q->id));
	d->mark = d->cleaned + ((head - d->cleaned) & (q->rx.mem.count - 1));
	d->stage = IGBQ_DRAIN_ARMED;
	reinit_completion(&d->done);
	spin_unlock_bh(&d->lock);
}

void igbq_rx_drain_cancel(struct igbq_queue *q)
{
	spin_lock_bh(&q->drain.lock);
	q->drain.stage = IGBQ_DRAIN_IDLE;
	spin_unlock_bh(&q->drain.lock);
}

/* Called where nothing of an earlier poll is left in GRO's lists. */
void igbq_rx_drain_finish(struct igbq_queue *q)
{
	struct igbq_drain *d = &q->drain;

	if (likely(READ_ONCE(d->stage) != IGBQ_DRAIN_FLUSHED))
		return;
	spin_lock(&d->lock);
	if (d->stage == IGBQ_DRAIN_FLUSHED) {
		d->stage = IGBQ_DRAIN_IDLE;
		complete(&d->done);
	}
	spin_unlock(&d->lock);
}

/* Entries of a page pool's ring; consumed ones linger until zeroed in bulk. */
static u32 igbq_rx_pool_fill(struct ptr_ring *r)
{
	u32 fill = 0;
	int i, most;

	spin_lock_bh(&r->consumer_lock);
	most = r->size - (r->consumer_head - r->consumer_tail);
	for (i = r->consumer_head; most-- && READ_ONCE(r->queue[i]); fill++)
		if (++i == r->size)
			i = 0;
	spin_unlock_bh(&r->consumer_lock);
	return fill;
}

/**
 * igbq_rx_held - pages of a stopped queue that are with readers
 * @q: allocated and not running
 *
 * The ring is counted first: a page on its way back is then counted as held.
 *
 * Context: process.
 */
u32 igbq_rx_held(const struct igbq_queue *q)
{
	struct page_pool *pool = q->rx.pool;
	u32 idle = igbq_rx_pool_fill(&pool->ring) + pool->alloc.count;
	u32 out;

	out = pool->pages_state_hold_cnt -
	      (u32)atomic_read(&pool->pages_state_release_cnt);
	return out - idle;
}
