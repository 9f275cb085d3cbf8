/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types that the core shares with the hardware backends (vmq/hw.h) and with
 * the vswitch (vmq/switch.h). No register, no policy.
 */
#ifndef _VMQ_VMQ_H
#define _VMQ_VMQ_H

#include <linux/bits.h>
#include <linux/etherdevice.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/types.h>
#include <linux/unaligned.h>

/* 64 pools is what the largest family (82599, X540, X550) has. */
#define VMQ_MAX_QUEUES		64
/* Most slots that a backend may state in struct vmq_hw_caps. */
#define VMQ_MAX_MAC_SLOTS	128
#define VMQ_MAX_VLAN_SLOTS	64
/* Bytes of a VM or queue name, with the terminating NUL. */
#define VMQ_NAME_LEN		64
/*
 * Filter ids and ntuple locations are 1 .. VMQ_MAX_FILTERS - 1; 0 is invalid. A
 * limit all the same: each filter is kernel memory.
 */
#define VMQ_MAX_FILTERS		(128 * 1024)

/* What vmq_match.vlan holds besides a VID of 1 .. 4094. */
#define VMQ_VLAN_UNTAGGED	0
#define VMQ_VLAN_ANY		0xffff

/**
 * struct vmq_match - what a filter compares in a frame's header
 * @addr: destination MAC address
 * @vlan: a VID (1 .. 4094), VMQ_VLAN_UNTAGGED (no tag, or VID 0) or
 *	VMQ_VLAN_ANY
 *
 * Eight bytes without padding, so that two matches compare as bytes.
 */
struct vmq_match {
	u8 addr[ETH_ALEN];
	u16 vlan;
} __aligned(8);

/**
 * enum vmq_queue_state - life of a queue
 * @VMQ_QUEUE_UNDEFINED: does not exist
 * @VMQ_QUEUE_ALLOCATED: has an id and an owner, no filter, not committed
 * @VMQ_QUEUE_SET: has filters, not committed; its frames use the default queue
 * @VMQ_QUEUE_RUNNING: committed and has filters
 * @VMQ_QUEUE_PAUSED: committed, no filter, holds no frame
 * @VMQ_QUEUE_STOPPING: being freed, DMA is stopping
 * @VMQ_QUEUE_FREEING: DMA has stopped, readers still hold frames
 */
enum vmq_queue_state {
	VMQ_QUEUE_UNDEFINED,
	VMQ_QUEUE_ALLOCATED,
	VMQ_QUEUE_SET,
	VMQ_QUEUE_RUNNING,
	VMQ_QUEUE_PAUSED,
	VMQ_QUEUE_STOPPING,
	VMQ_QUEUE_FREEING,
};

/**
 * enum vmq_owner - who made a queue or a filter, and alone may change it
 * @VMQ_OWNER_ADMIN: sysfs or ethtool
 * @VMQ_OWNER_VSWITCH: a port of the vswitch
 */
enum vmq_owner {
	VMQ_OWNER_ADMIN,
	VMQ_OWNER_VSWITCH,
};

/**
 * enum vmq_vlan_mode - who compares the VLAN of a frame
 * @VMQ_VLAN_MODE_AUTO: the NIC while some address is on several VM queues, which
 *	only VLANs tell apart; otherwise software
 * @VMQ_VLAN_MODE_ON: the NIC, and software what the NIC cannot
 * @VMQ_VLAN_MODE_OFF: software alone
 */
enum vmq_vlan_mode {
	VMQ_VLAN_MODE_AUTO,
	VMQ_VLAN_MODE_ON,
	VMQ_VLAN_MODE_OFF,
};

struct netlink_ext_ack;
struct vmq_dev;

/**
 * vmq_refuse - tell why a request is refused
 * @dev: the device that it is about
 * @extack: where the requester looks for the reason; NULL for one who cannot be
 *	answered in words, then the kernel log gets it, rate limited
 * @err: negative errno
 * @fmt: the reason, in the words of the user, without newline
 *
 * The uplink's vmq/last_error shows the reason in any case. Context: any, but
 * for hard interrupts.
 *
 * Return: @err.
 */
__printf(4, 5)
int vmq_refuse(struct vmq_dev *dev, struct netlink_ext_ack *extack, int err,
	       const char *fmt, ...);

/**
 * vmq_make_key - an address and a VLAN as one integer
 * @addr: MAC address, with two bytes behind it that are read, and ignored, too
 * @vlan: as in struct vmq_match
 *
 * Return: a value equal for equal addresses and VLANs only.
 */
static inline u64 vmq_make_key(const void *addr, u16 vlan)
{
	return (get_unaligned_le64(addr) & GENMASK_ULL(47, 0)) |
	       (u64)vlan << 48;
}

/**
 * vmq_match_from_skb - the match that a received frame asks for
 * @m: filled in
 * @skb: frame with its Ethernet header at skb->data and its outer 802.1Q tag,
 *	if any, in the skb's metadata
 *
 * A priority tag (VID 0) counts as untagged (IEEE 802.1Q 6.9.1).
 */
static inline void vmq_match_from_skb(struct vmq_match *m,
				      const struct sk_buff *skb)
{
	ether_addr_copy(m->addr, skb->data);
	m->vlan = skb_vlan_tag_present(skb) ? skb_vlan_tag_get_id(skb) :
					      VMQ_VLAN_UNTAGGED;
}

/**
 * vmq_match_key - a match as one integer
 * @m: the match
 *
 * Return: a value equal for equal matches only.
 */
static inline u64 vmq_match_key(const struct vmq_match *m)
{
	return vmq_make_key(m, m->vlan);
}

/**
 * vmq_match_key_from_skb - the key of what vmq_match_from_skb() says
 * @skb: as there; without a tag the metadata's VLAN ID is 0
 *
 * Return: as vmq_match_key().
 */
static inline u64 vmq_match_key_from_skb(const struct sk_buff *skb)
{
	return vmq_make_key(skb->data, skb_vlan_tag_get_id(skb));
}

#endif /* _VMQ_VMQ_H */
