// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow of the NIC's address slots. The shadow is the truth: the NIC is
 * written from it, and again from it after every reset.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include "vmq_priv.h"

/* The slot that holds @addr, or -ENOENT. */
int vmq_slot_find(const struct vmq_dev *dev, const u8 *addr)
{
	int i;

	lockdep_assert_held(&dev->lock);
	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++)
		if (dev->mac_slots[i].users &&
		    ether_addr_equal(dev->mac_slots[i].addr, addr))
			return i;
	return -ENOENT;
}

int vmq_slot_find_free(const struct vmq_dev *dev)
{
	int i;

	lockdep_assert_held(&dev->lock);
	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++)
		if (!dev->mac_slots[i].users)
			return i;
	return -ENOSPC;
}

/* Do several filters, of one queue, have the address in this slot? */
bool vmq_slot_is_shared(const struct vmq_dev *dev, s16 slot)
{
	lockdep_assert_held(&dev->lock);
	return slot >= 0 && dev->mac_slots[slot].users > 1;
}

/* A snapshot for sysfs, which takes no lock. */
unsigned int vmq_slot_count_free(const struct vmq_dev *dev)
{
	unsigned int nr = 0;
	int i;

	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++)
		if (!READ_ONCE(dev->mac_slots[i].users))
			nr++;
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_slot_count_free);

/*
 * Bring the NIC in line with the shadow. Frames for a queue whose rings do not
 * run belong to the default queue, which takes every address without a slot.
 */
void vmq_slot_write(struct vmq_dev *dev, int slot)
{
	const struct vmq_mac_slot *s = &dev->mac_slots[slot];
	const struct vmq_queue *q = &dev->queues[s->queue];
	u64 pools = 0;

	lockdep_assert_held(&dev->lock);
	if (!dev->open)
		return;
	if (s->users && q->started)
		pools = BIT_ULL(q->pool);
	dev->ops->mac_write(dev, slot, s->addr, pools);
}

/* Write every slot of a queue. */
void vmq_slot_replay(struct vmq_dev *dev, u16 queue)
{
	int i;

	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++)
		if (dev->mac_slots[i].users && dev->mac_slots[i].queue == queue)
			vmq_slot_write(dev, i);
}
