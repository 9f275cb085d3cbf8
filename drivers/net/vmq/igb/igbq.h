/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of vmq_igb share. */
#ifndef _IGBQ_H
#define _IGBQ_H

#include <linux/bpf.h>
#include <linux/completion.h>
#include <linux/dim.h>
#include <linux/ethtool.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <vmq/hw.h>
#include "igbq_desc.h"

struct page_pool;

/*
 * Vector 0 serves link and errors, vector n + 1 serves queue n. Without MSI-X
 * one interrupt serves queue 0, link and errors, and there is no other queue.
 */
#define IGBQ_VEC_OTHER		0
#define IGBQ_VEC_QUEUE(id)	((id) + 1)

/* A transmit ring must hold two of the longest frames to be woken at all. */
#define IGBQ_RX_RING_MIN	64
#define IGBQ_TX_RING_MIN	128
#define IGBQ_RING_MAX		4096
#define IGBQ_RING_DEFAULT	512

/* Frames up to 9.5 KB fit the packet buffers (82576 DS 1.3). */
#define IGBQ_MTU_MAX		9216
/* Room for two VLAN tags: a service tag comes on top of the MTU. */
#define IGBQ_FRAME_OVERHEAD	(ETH_HLEN + 2 * VLAN_HLEN + ETH_FCS_LEN)

#define IGBQ_RX_USECS_DEFAULT	20
#define IGBQ_RX_USECS_MAX	8191

/* Software makes TCP segments that are smaller; no peer asks for them. */
#define IGBQ_TSO_MSS_MIN	256

/*
 * One page a buffer: headroom for XDP, what the NIC fills, and the skb's shared
 * info, which needs at most a quarter of a page. The NIC counts in kilobytes.
 */
#define IGBQ_RX_HEADROOM	XDP_PACKET_HEADROOM
#define IGBQ_RX_BUF_LEN		3072
#define IGBQ_RX_POOL_SIZE	1024

/*
 * Longest transmit frame in descriptors: data, and a context. Longer ones are
 * linearised.
 */
#define IGBQ_TX_FRAME_DESCS	40
#define IGBQ_TX_STOP		(IGBQ_TX_FRAME_DESCS + 1)
#define IGBQ_TX_WAKE		(2 * IGBQ_TX_STOP)

enum igbq_ivar_layout {
	/* queue n and n + 8 share register n (82576) */
	IGBQ_IVAR_COLUMNS,
	/* queues 2n and 2n + 1 share register n (82580, I350) */
	IGBQ_IVAR_ROWS,
};

/**
 * struct igbq_chip - what differs between the members of the family
 * @name: for messages
 * @caps: for the core
 * @rings: receive rings, and transmit rings, of the whole chip
 * @ivar: how queues map to IVAR registers
 * @strip: register with the STRVLAN and STRCRC bits of pool 0
 * @strip_stride: distance to that of the next pool
 * @strip_in_vmolr: @strip is VMOLR, whose other bits must be kept
 * @has_rplolr: replicated frames have strip bits of their own
 * @loopback: register of the local switch, or 0
 * @dtxctl: bits that DTXCTL needs for VLAN insertion
 */
struct igbq_chip {
	const char *name;
	struct vmq_hw_caps caps;
	u8 rings;
	enum igbq_ivar_layout ivar;
	u32 strip;
	u32 strip_stride;
	bool strip_in_vmolr;
	bool has_rplolr;
	u32 loopback;
	u32 dtxctl;
};

/**
 * struct igbq_ring_mem - memory of one ring
 * @desc: descriptors, coherent
 * @dma: their bus address
 * @bufs: what software remembers for each descriptor
 * @count: descriptors, a power of two
 */
struct igbq_ring_mem {
	void *desc;
	dma_addr_t dma;
	void *bufs;
	u32 count;
};

/**
 * struct igbq_rx_ring - receive ring; counters run freely, masked by the size
 * @mem: descriptors and pages
 * @pool: where the pages come from; outlives a stop, so that pages which
 *	readers still hold can be counted
 * @posted: descriptors given to the NIC
 * @rung: what the NIC was told of @posted; under igbq_drain.lock
 * @cleaned: descriptors taken back
 * @skb: a frame of which the last descriptor did not come yet
 * @skb_descs: descriptors of that frame so far, or of the one being discarded
 * @discard: why everything up to the end of the current frame is dropped, or 0
 * @alloc_fail: polls that found no memory for new buffers
 */
struct igbq_rx_ring {
	struct igbq_ring_mem mem;
	struct page_pool *pool;
	u32 posted;
	u32 rung;
	u32 cleaned;
	struct sk_buff *skb;
	u32 skb_descs;
	enum skb_drop_reason discard;
	unsigned long alloc_fail;
};

/**
 * struct igbq_tx_buf - what software remembers for one transmit descriptor
 * @skb: in the first descriptor of a frame only
 * @last: position of the frame's last descriptor; with @skb only
 * @charged: bytes on the wire, as told to BQL; 0: not told; with @skb only
 * @dma: mapped address
 * @len: mapped bytes, 0 when nothing is mapped
 * @paged: mapped by dma_map_page()
 */
struct igbq_tx_buf {
	struct sk_buff *skb;
	u32 last;
	u32 charged;
	dma_addr_t dma;
	u32 len;
	bool paged;
};

/**
 * struct igbq_tx_ring - transmit ring; counters run freely, masked by the size
 * @mem: descriptors and buffers
 * @on: frames may be posted; under the lock of the tx queue
 * @posted: descriptors filled; written under the lock of the tx queue
 * @rung: what the NIC was told of them; under the lock of the tx queue
 * @stops: how often the ring was found full; under the lock of the tx queue
 * @cleaned: descriptors completed; written by the poll
 */
struct igbq_tx_ring {
	struct igbq_ring_mem mem;
	bool on;
	u32 posted;
	u32 rung;
	unsigned long stops;
	u32 cleaned ____cacheline_aligned_in_smp;
};

enum igbq_drain_stage {
	IGBQ_DRAIN_IDLE,
	/* a waiter wants every descriptor before the mark delivered */
	IGBQ_DRAIN_ARMED,
	/* delivered; what GRO held is on its way with the end of the poll */
	IGBQ_DRAIN_FLUSHED,
};

/**
 * struct igbq_drain - a wait for the poll to get past a point of the ring
 * @lock: protects the fields and ties the doorbell to @cleaned: the NIC's head
 *	is never a whole ring ahead of what @cleaned says
 * @stage: enum igbq_drain_stage
 * @mark: position in the ring
 * @cleaned: igbq_rx_ring.cleaned as of the last poll's end
 * @delivered: the same without the descriptors of an unfinished frame
 * @done: the wait is over
 */
struct igbq_drain {
	spinlock_t lock;	/* all below but @done, and the doorbell */
	u8 stage;
	u32 mark;
	u32 cleaned;
	u32 delivered;
	struct completion done;
};

/**
 * struct igbq_vector - an interrupt of queues; requested while a queue uses it
 * @nic: device it is part of
 * @irq: Linux interrupt number
 * @index: number among the NIC's vectors
 * @queues: bitmap of the queues that use it; written under rtnl
 * @name: as it stands in /proc/interrupts: that of the queue whose own it is
 */
struct igbq_vector {
	struct igbq_nic *nic;
	int irq;
	u16 index;
	unsigned long queues;
	char name[IFNAMSIZ + 2 * VMQ_NAME_LEN + 16];
};

/**
 * struct igbq_queue - the backend's half of a queue
 * @nic: device it is part of
 * @vq: the core's half
 * @txq: the uplink's transmit queue of the same number
 * @napi: polls both rings
 * @rx: receive ring
 * @tx: transmit ring
 * @drain: waiters for the receive ring
 * @id: number, also of pool and rings
 * @own: its own vector, the only one that is made for it
 * @vector: the one that it uses; under rtnl, changes while the poll is locked out
 * @running: rings and interrupt live; under rtnl
 * @held: the poll is locked out; under rtnl
 * @untagged: gets untagged frames while VLAN filtering is on; under rtnl
 * @adaptive: the time between two interrupts follows the load; under rtnl,
 *	written while no poll runs
 * @rx_usecs: what it is while it does not, microseconds; under rtnl
 * @usecs: what it is, as asked of the NIC
 * @dim: measures the load while @adaptive; the poll's, or its own work's
 * @hw_last: PVFGPRC when it was last read; under igbq_nic.sample_lock
 * @hw_packets: its sum since the driver was bound; same lock
 * @hw_missed: frames that the NIC dropped because the ring was full; same lock
 */
struct igbq_queue {
	struct igbq_nic *nic;
	struct vmq_queue *vq;
	struct netdev_queue *txq;
	struct napi_struct napi;
	struct igbq_rx_ring rx;
	struct igbq_tx_ring tx;
	struct igbq_drain drain;
	struct igbq_vector own;
	struct igbq_vector *vector;
	u16 id;
	bool running;
	bool held;
	bool untagged;
	bool adaptive;
	u16 rx_usecs;
	u16 usecs;
	struct dim dim;
	u32 hw_last;
	u64 hw_packets;
	u64 hw_missed;
};

/**
 * struct igbq_nic - one port of a NIC, netdev_priv() of the uplink
 * @vmq: the core's half; must stay first
 * @netdev: uplink
 * @pdev: PCI function
 * @chip: facts
 * @caps: those of @chip, or what is left of them without MSI-X
 * @io: registers
 * @msix: each queue has a vector; else one interrupt serves all
 * @gone: the device does not answer any more
 * @up: initialised and receiving; written under rtnl
 * @vlan_filtering: frames are for the pools of their VLAN; under rtnl
 * @queues: array of @caps->pools
 * @tx_count: descriptors of a transmit ring
 * @irq_other: interrupt of vector 0, or the only one
 * @link_offer: what the partner is offered, ADVERTISED_...; under rtnl, read
 *	by link_work
 * @link_bmcr: BMCR_ANENABLE, or speed and duplex without negotiation; the same
 * @link_partner: what the partner offers, ADVERTISED_..., or 0; link_work's
 * @link_asked: @link_partner is what it said; link_work's, or it does not run
 * @phy_restart: the PHY is to be set up anew; link_work does it
 * @link_work: link state, PHY access and counters that wrap
 * @reset_work: reset after a transmit timeout or on the NIC's demand
 * @moderation_lock: protects igbq_queue.usecs and EITR of the queues' vectors
 * @sample_lock: protects the per-pool packet counters
 * @tx_timeouts: transmit timeouts; the watchdog is the only writer
 * @resets: resets done by @reset_work, under rtnl
 * @irq_other_name: as it stands in /proc/interrupts
 */
struct igbq_nic {
	struct vmq_dev vmq;
	struct net_device *netdev;
	struct pci_dev *pdev;
	const struct igbq_chip *chip;
	const struct vmq_hw_caps *caps;
	void __iomem *io;
	bool msix;
	bool gone;
	bool up;
	bool vlan_filtering;
	struct igbq_queue *queues;
	u32 tx_count;
	int irq_other;
	u32 link_offer;
	u16 link_bmcr;
	u32 link_partner;
	bool link_asked;
	bool phy_restart;
	struct delayed_work link_work;
	struct work_struct reset_work;
	spinlock_t moderation_lock;	/* usecs of the queues, EITR */
	spinlock_t sample_lock;	/* hw_... of the queues */
	unsigned long tx_timeouts;
	unsigned long resets;
	char irq_other_name[IFNAMSIZ + 16];
};

extern const struct vmq_hw_ops igbq_hw_ops;
extern struct workqueue_struct *igbq_wq;

static inline struct igbq_nic *igbq_nic_from_vmq(struct vmq_dev *dev)
{
	return container_of(dev, struct igbq_nic, vmq);
}

static inline struct igbq_queue *igbq_queue_from_vmq(struct vmq_dev *dev,
						     u16 id)
{
	return &igbq_nic_from_vmq(dev)->queues[id];
}

/* For loops over all queues: NULL after the last one. */
static inline struct igbq_queue *igbq_queue_at(struct igbq_nic *nic,
					       unsigned int i)
{
	return i < nic->caps->pools ? &nic->queues[i] : NULL;
}

/* igbq_hw.c: registers, reset, initialisation */
u32 igbq_rd32(struct igbq_nic *nic, u32 reg);
void igbq_wr32(struct igbq_nic *nic, u32 reg, u32 val);
void igbq_hw_flush(struct igbq_nic *nic);
void igbq_hw_stop_ring(struct igbq_nic *nic, u32 dctl);
int igbq_hw_wait(struct igbq_nic *nic, u32 reg, u32 mask, u32 want,
		 unsigned int msecs);
int igbq_hw_reset(struct igbq_nic *nic);
void igbq_hw_init(struct igbq_nic *nic);
void igbq_hw_rx_on(struct igbq_nic *nic);
void igbq_hw_rx_off(struct igbq_nic *nic);
void igbq_hw_release(struct igbq_nic *nic);
int igbq_hw_read_addr(struct igbq_nic *nic, u8 *addr);
bool igbq_hw_is_copper(struct igbq_nic *nic);

/* igbq_phy.c: link */
#define IGBQ_LINK_SPEEDS	((u32)(BIT(ETHTOOL_LINK_MODE_10baseT_Half_BIT) | \
				       BIT(ETHTOOL_LINK_MODE_10baseT_Full_BIT) | \
				       BIT(ETHTOOL_LINK_MODE_100baseT_Half_BIT) | \
				       BIT(ETHTOOL_LINK_MODE_100baseT_Full_BIT) | \
				       BIT(ETHTOOL_LINK_MODE_1000baseT_Full_BIT)))
#define IGBQ_LINK_OTHERS	((u32)(BIT(ETHTOOL_LINK_MODE_Autoneg_BIT) | \
				       BIT(ETHTOOL_LINK_MODE_TP_BIT)))
#define IGBQ_LINK_MODES		(IGBQ_LINK_SPEEDS | IGBQ_LINK_OTHERS)

void igbq_link_init(struct igbq_nic *nic);
void igbq_link_start(struct igbq_nic *nic);
void igbq_link_stop(struct igbq_nic *nic);
void igbq_link_check(struct igbq_nic *nic);
void igbq_link_get(struct igbq_nic *nic, u32 *speed, u8 *duplex);

/* igbq_vmdq.c: pools and address slots */
void igbq_vmdq_init(struct igbq_nic *nic);
void igbq_vmdq_set_frame_max(struct igbq_nic *nic);
void igbq_vmdq_set_host_addr(struct igbq_nic *nic);
void igbq_vmdq_pool_enable(struct igbq_queue *q);
void igbq_vmdq_pool_disable(struct igbq_queue *q);
void igbq_vmdq_vlan_write(struct vmq_dev *dev, u16 slot, u16 vid, u64 pools);
void igbq_vmdq_untagged_write(struct vmq_dev *dev, u16 id, bool on);
void igbq_vmdq_vlan_filtering(struct vmq_dev *dev, bool on);
void igbq_vmdq_mac_write(struct vmq_dev *dev, u16 slot, const u8 *addr,
			 u64 pools);
void igbq_vmdq_sample(struct igbq_nic *nic);
void igbq_vmdq_sample_reset(struct igbq_nic *nic);

/* igbq_irq.c: vectors */
int igbq_irq_alloc(struct pci_dev *pdev, const struct igbq_chip *chip);
void igbq_irq_free(struct pci_dev *pdev);
void igbq_irq_assign(struct igbq_nic *nic);
void igbq_irq_init(struct igbq_nic *nic);
int igbq_irq_other_request(struct igbq_nic *nic);
void igbq_irq_other_free(struct igbq_nic *nic);
void igbq_irq_other_unmask(struct igbq_nic *nic);
void igbq_irq_queue_name(struct igbq_queue *q);
int igbq_irq_queue_request(struct igbq_queue *q);
void igbq_irq_queue_free(struct igbq_queue *q);
void igbq_irq_queue_map(struct igbq_queue *q);
int igbq_irq_queue_switch(struct igbq_queue *q, struct igbq_vector *to);
void igbq_irq_queue_silence(struct igbq_queue *q);
void igbq_irq_queue_mask(struct igbq_queue *q);
void igbq_irq_queue_unmask(struct igbq_queue *q);
void igbq_irq_queue_kick(struct igbq_queue *q);
void igbq_irq_queue_set_usecs(struct igbq_queue *q, u16 usecs);

/* igbq_moderation.c: the time between two interrupts */
void igbq_moderation_init(struct igbq_queue *q);
void igbq_moderation_start(struct igbq_queue *q);
void igbq_moderation_stop(struct igbq_queue *q);
void igbq_moderation_set(struct igbq_queue *q, bool adaptive, u16 usecs);
void igbq_moderation_sample(struct igbq_queue *q);

/* igbq_ring.c: memory */
int igbq_ring_alloc(struct igbq_queue *q);
void igbq_ring_free(struct igbq_queue *q);
int igbq_ring_resize(struct igbq_nic *nic, u32 rx_count, u32 tx_count);
int igbq_ring_resize_rx(struct igbq_queue *q);

/* igbq_queue.c: life of a queue */
int igbq_queue_poll(struct napi_struct *napi, int budget);
void igbq_queue_lock(struct igbq_queue *q);
void igbq_queue_unlock(struct igbq_queue *q);

/* igbq_rx.c */
int igbq_rx_start(struct igbq_queue *q);
void igbq_rx_post(struct igbq_queue *q);
void igbq_rx_stop(struct igbq_queue *q);
void igbq_rx_release(struct igbq_queue *q);
int igbq_rx_poll(struct igbq_queue *q, int budget);
void igbq_rx_drain_arm(struct igbq_queue *q);
void igbq_rx_drain_cancel(struct igbq_queue *q);
void igbq_rx_drain_finish(struct igbq_queue *q);
u32 igbq_rx_held(const struct igbq_queue *q);

/* igbq_tx.c */
int igbq_tx_start(struct igbq_queue *q);
void igbq_tx_stop(struct igbq_queue *q);
void igbq_tx_release(struct igbq_queue *q);
bool igbq_tx_clean(struct igbq_queue *q, int budget);
void igbq_tx_xmit(struct igbq_queue *q, struct sk_buff *skb, bool more,
		  bool charge);
void igbq_tx_doorbell(struct igbq_queue *q);
u32 igbq_tx_mark(struct igbq_queue *q);

/* igbq_netdev.c */
void igbq_netdev_setup(struct igbq_nic *nic);
int igbq_up(struct igbq_nic *nic);
void igbq_down(struct igbq_nic *nic);

/* igbq_ethtool.c */
extern const struct ethtool_ops igbq_ethtool_ops;

#endif /* _IGBQ_H */
