// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMDq: pools, address slots and what decides about a frame's pool
 * (82576 DS 7.10.3).
 */
#include <linux/bitfield.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/unaligned.h>
#include "igbq.h"
#include "igbq_regs.h"

static u32 igbq_vmdq_frame_max(const struct igbq_nic *nic)
{
	return READ_ONCE(nic->netdev->mtu) + IGBQ_FRAME_OVERHEAD;
}

/*
 * Broadcast, multicast and untagged frames that no slot claims are for the
 * default pool alone: VM pools get what their slots say and nothing else.
 */
static u32 igbq_vmdq_vmolr(struct igbq_nic *nic, unsigned int pool)
{
	u32 val = IGBQ_VMOLR_LPE |
		  FIELD_PREP(IGBQ_VMOLR_RLPML, igbq_vmdq_frame_max(nic));
	const struct igbq_queue *q;

	if (pool == nic->chip->caps.default_pool)
		val |= IGBQ_VMOLR_AUPE | IGBQ_VMOLR_ROMPE | IGBQ_VMOLR_BAM |
		       IGBQ_VMOLR_MPME;
	q = igbq_queue_at(nic, pool);
	if (q && q->untagged)
		val |= IGBQ_VMOLR_AUPE;
	if (nic->chip->strip_in_vmolr)
		val |= IGBQ_VMOLR_STRVLAN | IGBQ_VMOLR_STRCRC;
	return val;
}

/**
 * igbq_vmdq_set_frame_max - let frames of the uplink's MTU in
 * @nic: the device; its rings may run, buffers do not depend on the MTU
 *
 * Context: rtnl held.
 */
void igbq_vmdq_set_frame_max(struct igbq_nic *nic)
{
	unsigned int i;

	igbq_wr32(nic, IGBQ_RLPML, igbq_vmdq_frame_max(nic));
	for (i = 0; i < nic->chip->caps.pools; i++)
		igbq_wr32(nic, IGBQ_VMOLR(i), igbq_vmdq_vmolr(nic, i));
	igbq_hw_flush(nic);
}

static void igbq_vmdq_init_strip(struct igbq_nic *nic)
{
	const struct igbq_chip *chip = nic->chip;
	u32 strip = IGBQ_VMOLR_STRVLAN | IGBQ_VMOLR_STRCRC;
	unsigned int i;

	for (i = 0; i < chip->caps.pools && !chip->strip_in_vmolr; i++)
		igbq_wr32(nic, chip->strip + chip->strip_stride * i, strip);
	if (chip->has_rplolr)
		igbq_wr32(nic, IGBQ_RPLOLR, strip);
}

/*
 * The multicast table says yes to everything and the unicast table no to
 * everything: the default pool gets what is left over without them. The VLAN
 * table says yes: what it does not know would be gone, for the default pool,
 * too.
 */
static void igbq_vmdq_init_tables(struct igbq_nic *nic)
{
	unsigned int i;

	for (i = 0; i < nic->chip->caps.mac_slots; i++) {
		igbq_wr32(nic, IGBQ_RAH(i), 0);
		igbq_wr32(nic, IGBQ_RAL(i), 0);
	}
	for (i = 0; i < nic->chip->caps.vlan_slots; i++)
		igbq_wr32(nic, IGBQ_VLVF(i), 0);
	for (i = 0; i < IGBQ_HASH_REGS; i++) {
		igbq_wr32(nic, IGBQ_MTA(i), ~0u);
		igbq_wr32(nic, IGBQ_UTA(i), 0);
		igbq_wr32(nic, IGBQ_VFTA(i), ~0u);
	}
}

/* Written after a reset, before any ring runs. */
void igbq_vmdq_init(struct igbq_nic *nic)
{
	const struct igbq_chip *chip = nic->chip;
	struct igbq_queue *q;
	unsigned int i;

	/* With replication a claimed group reaches claimant and default. */
	igbq_wr32(nic, IGBQ_VT_CTL, IGBQ_VT_CTL_RPL_EN |
		  FIELD_PREP(IGBQ_VT_CTL_DEF_PL, chip->caps.default_pool));
	igbq_wr32(nic, IGBQ_MRQC,
		  FIELD_PREP(IGBQ_MRQC_ENABLE, IGBQ_MRQC_ENABLE_VMDQ));
	/* Frames between local ports are switched in software. */
	if (chip->loopback)
		igbq_wr32(nic, chip->loopback, 0);
	nic->vlan_filtering = false;
	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		q->untagged = false;
	for (i = 0; i < chip->caps.pools; i++) {
		igbq_wr32(nic, IGBQ_PSRTYPE(i), 0);
		igbq_wr32(nic, IGBQ_VMVIR(i), 0);
	}
	igbq_vmdq_init_tables(nic);
	igbq_vmdq_init_strip(nic);
	igbq_vmdq_set_frame_max(nic);
	igbq_vmdq_set_host_addr(nic);
	igbq_vmdq_sample_reset(nic);
}

static void igbq_vmdq_set_bit(struct igbq_nic *nic, u32 reg, u32 bit, bool on)
{
	u32 val = igbq_rd32(nic, reg);

	igbq_wr32(nic, reg, on ? val | bit : val & ~bit);
}

void igbq_vmdq_pool_enable(struct igbq_queue *q)
{
	igbq_vmdq_set_bit(q->nic, IGBQ_VFRE, BIT(q->id), true);
	igbq_vmdq_set_bit(q->nic, IGBQ_VFTE, BIT(q->id), true);
}

void igbq_vmdq_pool_disable(struct igbq_queue *q)
{
	igbq_vmdq_set_bit(q->nic, IGBQ_VFRE, BIT(q->id), false);
	igbq_vmdq_set_bit(q->nic, IGBQ_VFTE, BIT(q->id), false);
}

/* The slot matches nothing while its two halves do not belong together. */
static void igbq_vmdq_slot_load(struct igbq_nic *nic, u16 slot, u32 low,
				u32 high)
{
	if (igbq_rd32(nic, IGBQ_RAL(slot)) == low &&
	    FIELD_GET(IGBQ_RAH_ADDR, igbq_rd32(nic, IGBQ_RAH(slot))) == high)
		return;
	igbq_wr32(nic, IGBQ_RAH(slot), 0);
	igbq_wr32(nic, IGBQ_RAL(slot), low);
}

/* vmq_hw_ops.mac_write: the write of RAH decides (82576 DS 8.10.17). */
void igbq_vmdq_mac_write(struct vmq_dev *dev, u16 slot, const u8 *addr,
			 u64 pools)
{
	struct igbq_nic *nic = igbq_nic_from_vmq(dev);
	u32 low, high;

	if (!pools) {
		igbq_wr32(nic, IGBQ_RAH(slot), 0);
		igbq_wr32(nic, IGBQ_RAL(slot), 0);
		igbq_hw_flush(nic);
		return;
	}

	low = get_unaligned_le32(addr);
	high = get_unaligned_le16(addr + 4);
	igbq_vmdq_slot_load(nic, slot, low, high);
	igbq_wr32(nic, IGBQ_RAH(slot), IGBQ_RAH_AV | high |
				       FIELD_PREP(IGBQ_RAH_POOLSEL, pools));
	igbq_hw_flush(nic);
}

/* vmq_hw_ops.vlan_write: one write of VLVF (82576 DS 8.10.20) */
void igbq_vmdq_vlan_write(struct vmq_dev *dev, u16 slot, u16 vid, u64 pools)
{
	struct igbq_nic *nic = igbq_nic_from_vmq(dev);
	u32 val = 0;

	if (pools)
		val = IGBQ_VLVF_EN | FIELD_PREP(IGBQ_VLVF_VID, vid) |
		      FIELD_PREP(IGBQ_VLVF_POOLSEL, pools);
	igbq_wr32(nic, IGBQ_VLVF(slot), val);
	igbq_hw_flush(nic);
}

/* vmq_hw_ops.untagged_write */
void igbq_vmdq_untagged_write(struct vmq_dev *dev, u16 id, bool on)
{
	struct igbq_nic *nic = igbq_nic_from_vmq(dev);

	nic->queues[id].untagged = on;
	igbq_wr32(nic, IGBQ_VMOLR(id), igbq_vmdq_vmolr(nic, id));
	igbq_hw_flush(nic);
}

/* vmq_hw_ops.vlan_filtering: with the rest of RCTL when that is not on yet */
void igbq_vmdq_vlan_filtering(struct vmq_dev *dev, bool on)
{
	struct igbq_nic *nic = igbq_nic_from_vmq(dev);

	nic->vlan_filtering = on;
	if (nic->up)
		igbq_hw_rx_on(nic);
}

void igbq_vmdq_set_host_addr(struct igbq_nic *nic)
{
	igbq_vmdq_mac_write(&nic->vmq, 0, nic->netdev->dev_addr,
			    BIT(nic->chip->caps.default_pool));
}

/*
 * The counters are 32 bits wide, wrap, and keep what they held if written. A
 * step of more than half the range is a reset that nobody announced.
 */
static void igbq_vmdq_sample_locked(struct igbq_queue *q)
{
	u32 now = igbq_rd32(q->nic, IGBQ_PVFGPRC(q->id));
	u32 step = now - q->hw_last;
	/* Reading clears it. */
	u32 missed = igbq_rd32(q->nic, IGBQ_RQDPC(q->id));

	if (READ_ONCE(q->nic->gone))
		return;
	q->hw_missed += FIELD_GET(IGBQ_RQDPC_COUNT, missed);
	q->hw_packets += step > S32_MAX ? now : step;
	q->hw_last = now;
}

/**
 * igbq_vmdq_sample - bring the per-pool packet counters up to date
 * @nic: the device; must be called more often than 2^32 frames can pass
 *
 * Context: process.
 */
void igbq_vmdq_sample(struct igbq_nic *nic)
{
	struct igbq_queue *q;
	unsigned int i;

	spin_lock_bh(&nic->sample_lock);
	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		igbq_vmdq_sample_locked(q);
	spin_unlock_bh(&nic->sample_lock);
}

/* A reset has cleared the counters: go on from whatever they show. */
void igbq_vmdq_sample_reset(struct igbq_nic *nic)
{
	struct igbq_queue *q;
	unsigned int i;

	spin_lock_bh(&nic->sample_lock);
	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		q->hw_last = igbq_rd32(nic, IGBQ_PVFGPRC(q->id));
	spin_unlock_bh(&nic->sample_lock);
}
