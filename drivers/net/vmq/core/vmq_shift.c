// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the route in force to the next one, with frames coming in all the time:
 * none is lost, doubled or reordered, and none is seen by a queue that it is
 * not for. It cannot fail.
 */
#include "vmq_priv.h"

struct vmq_shift {
	struct vmq_dev *dev;
	const struct vmq_route *old;
	const struct vmq_route *new;
	u64 losers;	/* VM queues whose rings some frames leave */
	u64 gainers;	/* ... that some frames come to */
	u64 judges;	/* ... that keep frames which get another owner */
};

/* The NIC is told of queues only whose rings run. */
static u64 vmq_route_mac_queues(const struct vmq_route *r, unsigned int slot)
{
	return r->macs[slot].queues & r->live;
}

static u64 vmq_route_vlan_queues(const struct vmq_route *r, unsigned int slot)
{
	return r->vlan_filtering ? r->vlans[slot].queues & r->live : r->live;
}

static u64 vmq_route_untagged_queues(const struct vmq_route *r)
{
	return r->vlan_filtering ? r->untagged & r->live : r->live;
}

static u64 vmq_route_in_vlan(const struct vmq_dev *dev,
			     const struct vmq_route *r, u16 vlan)
{
	unsigned int i;

	if (!r->vlan_filtering)
		return r->live;
	/* Untagged are frames of VLAN 0, too: a claim needs both. */
	for (i = 0; i < dev->caps->vlan_slots; i++)
		if (r->vlans[i].users && r->vlans[i].vid == vlan)
			return vmq_route_vlan_queues(r, i) &
			       (vlan ? ~0ULL : vmq_route_untagged_queues(r));
	return 0;
}

/* Does the NIC give the queue that a filter goes to what it claims? */
static bool vmq_route_steers(const struct vmq_dev *dev,
			     const struct vmq_route *r,
			     const struct vmq_filter *f)
{
	u64 queues = vmq_route_in_vlan(dev, r, f->m.vlan) & BIT_ULL(f->to);
	unsigned int i;

	for (i = 0; i < dev->caps->mac_slots; i++)
		if (r->macs[i].users &&
		    ether_addr_equal(r->macs[i].addr, f->m.addr) &&
		    vmq_route_mac_queues(r, i) & queues)
			return true;
	return false;
}

static u64 vmq_shift_pools(const struct vmq_dev *dev, u64 queues)
{
	u64 pools = 0;
	u16 id;

	for (id = 0; id < dev->caps->pools; id++)
		if (queues & BIT_ULL(id))
			pools |= BIT_ULL(dev->queues[id].pool);
	return pools;
}

/* Writers */

/* Of a group's frames queue 0 has a copy in any case. */
static void vmq_shift_write_mac(struct vmq_dev *dev, unsigned int slot,
				const u8 *addr, u64 queues)
{
	if (queues && is_multicast_ether_addr(addr))
		queues |= BIT(0);
	dev->ops->mac_write(dev, slot, addr, vmq_shift_pools(dev, queues));
}

/* Queue 0 is in every VLAN: frames of a VLAN go there that nobody claims. */
static void vmq_shift_write_vlan(struct vmq_dev *dev, unsigned int slot,
				 const struct vmq_vlan_slot *s, u64 queues)
{
	dev->ops->vlan_write(dev, slot, s->vid,
			     s->users ? vmq_shift_pools(dev, queues | BIT(0)) :
					0);
}

static void vmq_shift_write_untagged(struct vmq_dev *dev, u64 queues, bool on)
{
	u16 id;

	for (id = 1; id < dev->caps->pools; id++)
		if (queues & BIT_ULL(id))
			dev->ops->untagged_write(dev, id, on);
}

static void vmq_shift_write_vlans(struct vmq_dev *dev,
				  const struct vmq_route *r)
{
	unsigned int i;

	for (i = 0; i < dev->caps->vlan_slots; i++)
		if (r->vlans[i].users)
			vmq_shift_write_vlan(dev, i, &r->vlans[i],
					     vmq_route_vlan_queues(r, i));
	vmq_shift_write_untagged(dev, vmq_route_untagged_queues(r), true);
}

/* The slots say what they will; nothing of it counts until filtering is on. */
static void vmq_shift_vlans_on(struct vmq_dev *dev, const struct vmq_route *r)
{
	vmq_shift_write_vlans(dev, r);
	dev->ops->vlan_filtering(dev, true);
}

static void vmq_shift_vlans_off(struct vmq_dev *dev, const struct vmq_route *r)
{
	const struct vmq_vlan_slot none = {};
	unsigned int i;

	dev->ops->vlan_filtering(dev, false);
	for (i = 0; i < dev->caps->vlan_slots; i++)
		if (r->vlans[i].users)
			vmq_shift_write_vlan(dev, i, &none, 0);
	vmq_shift_write_untagged(dev, vmq_route_untagged_queues(r), false);
}

/*
 * The vswitch gives claimants of groups no copy of what is steered. No longer
 * so is told before the claimant's ring is drained for the last time, and newly
 * so after queue 0 was, with that ring held: a frame may reach the claimant by
 * both rings, but never by neither.
 */
static void vmq_shift_tell_groups(struct vmq_dev *dev,
				  const struct vmq_route *old,
				  const struct vmq_route *new)
{
	struct vmq_filter *f;

	if (!dev->nr_group_filters)
		return;
	list_for_each_entry(f, &dev->filter_list, list)
		if (is_multicast_ether_addr(f->m.addr))
			WRITE_ONCE(f->steered, vmq_route_steers(dev, new, f) &&
				   vmq_route_steers(dev, old, f));
}

/* After a reset, before the NIC receives: everything at once. */
void vmq_route_replay(struct vmq_dev *dev)
{
	struct vmq_route *r = dev->route;
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	r->live = vmq_route_live(dev);
	if (r->vlan_filtering)
		vmq_shift_vlans_on(dev, r);
	for (i = 0; i < dev->caps->mac_slots; i++)
		if (vmq_route_mac_queues(r, i))
			vmq_shift_write_mac(dev, i, r->macs[i].addr,
					    vmq_route_mac_queues(r, i));
	vmq_shift_tell_groups(dev, r, r);
}

/* Sets of queues */

static void vmq_shift_hold(struct vmq_dev *dev, u64 queues)
{
	u16 id;

	for (id = 0; id < dev->caps->pools; id++)
		if (queues & BIT_ULL(id))
			dev->ops->queue_hold(dev, id);
}

static void vmq_shift_release(struct vmq_dev *dev, u64 queues)
{
	u16 id;

	for (id = 0; id < dev->caps->pools; id++)
		if (queues & BIT_ULL(id))
			dev->ops->queue_release(dev, id);
}

static void vmq_shift_drain(struct vmq_dev *dev, u64 queues)
{
	u16 id;

	for (id = 0; id < dev->caps->pools; id++)
		if (queues & BIT_ULL(id))
			vmq_queue_run_dry(&dev->queues[id]);
}

/* What changes */

static void vmq_shift_note(struct vmq_shift *s, u64 old, u64 new)
{
	s->losers |= old & ~new;
	s->gainers |= new & ~old;
}

/*
 * Frames of a filter that stay in the ring they are in get another owner, or
 * had one: that ring decides anew about them.
 */
static void vmq_shift_note_judges(struct vmq_shift *s,
				  const struct vmq_filter *f)
{
	unsigned int i;

	if (f->change == VMQ_CHANGE_NONE || f->queue == f->to)
		return;
	for (i = 0; i < s->dev->caps->mac_slots; i++)
		if (s->new->macs[i].users &&
		    ether_addr_equal(s->new->macs[i].addr, f->m.addr))
			s->judges |= vmq_route_mac_queues(s->old, i) &
				     vmq_route_mac_queues(s->new, i) &
				     (BIT_ULL(f->queue) | BIT_ULL(f->to));
}

static void vmq_shift_compare(struct vmq_shift *s)
{
	const struct vmq_hw_caps *caps = s->dev->caps;
	u64 all = 0;
	unsigned int i;

	for (i = 0; i < caps->mac_slots; i++) {
		vmq_shift_note(s, vmq_route_mac_queues(s->old, i),
			       vmq_route_mac_queues(s->new, i));
		all |= vmq_route_mac_queues(s->old, i) |
		       vmq_route_mac_queues(s->new, i);
	}
	if (s->old->vlan_filtering != s->new->vlan_filtering) {
		/* VLANs without a slot are lost to, or won by, any of them. */
		vmq_shift_note(s, s->old->vlan_filtering ? 0 : all,
			       s->new->vlan_filtering ? 0 : all);
		return;
	}
	for (i = 0; i < caps->vlan_slots; i++)
		vmq_shift_note(s, vmq_route_vlan_queues(s->old, i) & all,
			       vmq_route_vlan_queues(s->new, i) & all);
	vmq_shift_note(s, vmq_route_untagged_queues(s->old) & all,
		       vmq_route_untagged_queues(s->new) & all);
}

/* From here on frames are compared with the new owners. */
static void vmq_shift_claim(struct vmq_dev *dev, const struct vmq_route *new)
{
	struct vmq_filter *f;

	list_for_each_entry(f, &dev->filter_list, list) {
		if (f->change == VMQ_CHANGE_NONE)
			continue;
		WRITE_ONCE(f->queue, f->to);
		if (f->change != VMQ_CHANGE_LEAVE)
			f->change = VMQ_CHANGE_NONE;
	}
	vmq_filter_changed(dev);
	vmq_shift_tell_groups(dev, new, new);
}

/*
 * The usual case: VLAN filtering is off, so one write of a slot takes an
 * address from its old ring to its new one. Not when a ring would have to be
 * held and run dry at the same time, nor when a group gets another claimant.
 */
static bool vmq_shift_try_direct(const struct vmq_shift *s)
{
	struct vmq_dev *dev = s->dev;
	u64 from = 0, to = 0, old, new;
	bool groups = false;
	unsigned int i;

	if (s->old->vlan_filtering || s->new->vlan_filtering || s->judges)
		return false;
	for (i = 0; i < dev->caps->mac_slots; i++) {
		old = vmq_route_mac_queues(s->old, i);
		new = vmq_route_mac_queues(s->new, i);
		if (old == new)
			continue;
		from |= old ?: BIT_ULL(0);
		to |= new ?: BIT_ULL(0);
		/* In between the switch has to serve both claimants. */
		groups |= old && new &&
			  is_multicast_ether_addr(s->new->macs[i].addr);
	}
	if (from & to || groups)
		return false;

	vmq_shift_hold(dev, to);
	for (i = 0; i < dev->caps->mac_slots; i++) {
		old = vmq_route_mac_queues(s->old, i);
		new = vmq_route_mac_queues(s->new, i);
		if (old != new)
			vmq_shift_write_mac(dev, i, s->new->macs[i].addr, new);
	}
	vmq_shift_drain(dev, from);
	vmq_shift_claim(dev, s->new);
	vmq_shift_release(dev, to);
	return true;
}

/* To what the old route and the new one have in common. */
static void vmq_shift_write_less(const struct vmq_shift *s)
{
	struct vmq_dev *dev = s->dev;
	u64 old, both;
	unsigned int i;

	if (s->new->vlan_filtering && !s->old->vlan_filtering)
		vmq_shift_vlans_on(dev, s->new);
	for (i = 0; i < dev->caps->vlan_slots && s->old->vlan_filtering; i++) {
		old = vmq_route_vlan_queues(s->old, i);
		both = old & vmq_route_vlan_queues(s->new, i);
		if (old != both)
			vmq_shift_write_vlan(dev, i, &s->old->vlans[i], both);
	}
	if (s->old->vlan_filtering)
		vmq_shift_write_untagged(dev,
					 vmq_route_untagged_queues(s->old) &
					 ~vmq_route_untagged_queues(s->new),
					 false);
	for (i = 0; i < dev->caps->mac_slots; i++) {
		old = vmq_route_mac_queues(s->old, i);
		both = old & vmq_route_mac_queues(s->new, i);
		if (old != both)
			vmq_shift_write_mac(dev, i, s->old->macs[i].addr, both);
	}
}

static void vmq_shift_write_more_vlans(const struct vmq_shift *s)
{
	const struct vmq_vlan_slot *old = s->old->vlans, *new = s->new->vlans;
	u64 now, then;
	unsigned int i;

	for (i = 0; i < s->dev->caps->vlan_slots; i++) {
		then = vmq_route_vlan_queues(s->new, i);
		now = vmq_route_vlan_queues(s->old, i) & then;
		if (now != then || !old[i].users != !new[i].users)
			vmq_shift_write_vlan(s->dev, i, &new[i], then);
	}
	vmq_shift_write_untagged(s->dev, vmq_route_untagged_queues(s->new) &
				 ~vmq_route_untagged_queues(s->old), true);
}

static void vmq_shift_write_more(const struct vmq_shift *s)
{
	struct vmq_dev *dev = s->dev;
	u64 now, then;
	unsigned int i;

	if (s->old->vlan_filtering && s->new->vlan_filtering)
		vmq_shift_write_more_vlans(s);
	for (i = 0; i < dev->caps->mac_slots; i++) {
		then = vmq_route_mac_queues(s->new, i);
		now = vmq_route_mac_queues(s->old, i) & then;
		if (now != then)
			vmq_shift_write_mac(dev, i, s->new->macs[i].addr, then);
	}
	if (s->old->vlan_filtering && !s->new->vlan_filtering)
		vmq_shift_vlans_off(dev, s->old);
}

/*
 * In two steps, whatever changes. First frames only leave VM queues, for queue
 * 0: it is held until the rings that lose them are empty. Then frames only
 * come to VM queues, from queue 0: those are held until its ring is empty. In
 * between each write makes the set of a frame's queues only smaller, or only
 * larger up to the one it is for.
 */
static void vmq_shift_in_two(const struct vmq_shift *s)
{
	struct vmq_dev *dev = s->dev;
	u64 left = s->losers ? BIT_ULL(0) : 0;
	u64 held = s->gainers | s->judges;

	vmq_shift_hold(dev, left);
	vmq_shift_write_less(s);
	vmq_shift_tell_groups(dev, s->old, s->new);
	vmq_shift_drain(dev, s->losers | s->judges);
	vmq_shift_release(dev, left);

	vmq_shift_hold(dev, held);
	vmq_shift_write_more(s);
	/* The frame of a group that a judge turned away is in that ring, too. */
	if (s->gainers || (s->judges && dev->nr_group_filters))
		vmq_shift_drain(dev, BIT_ULL(0));
	vmq_shift_claim(dev, s->new);
	vmq_shift_release(dev, held);
}

/* Until the change is over every frame of a VM queue is compared. */
static void vmq_shift_check_all(struct vmq_dev *dev)
{
	u16 id;

	for (id = 1; id < dev->caps->pools; id++) {
		WRITE_ONCE(dev->queues[id].check, true);
		RCU_INIT_POINTER(dev->queues[id].sole, NULL);
	}
}

static void vmq_shift_once(struct vmq_dev *dev)
{
	struct vmq_shift s = {
		.dev	= dev,
		.old	= dev->route,
		.new	= dev->next,
	};
	struct vmq_filter *f;

	vmq_shift_compare(&s);
	list_for_each_entry(f, &dev->filter_list, list)
		vmq_shift_note_judges(&s, f);
	if (!dev->open)
		vmq_shift_claim(dev, s.new);
	else if (!vmq_shift_try_direct(&s))
		vmq_shift_in_two(&s);
	swap(dev->route, dev->next);
}

/*
 * Put dev->next in force. The filters that leave are still in the table when
 * it returns, but claim nothing; vmq_shift_settle() has to follow.
 */
void vmq_shift_apply(struct vmq_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	vmq_shift_check_all(dev);
	vmq_shift_once(dev);
	/* A slot that has become free is for a VLAN that waits for one. */
	if (vmq_route_can_improve(dev) &&
	    !WARN_ON_ONCE(vmq_route_plan(dev, NULL)))
		vmq_shift_once(dev);
}

/* Plan anew where that cannot be refused, and put it in force. */
void vmq_shift_replan(struct vmq_dev *dev)
{
	if (!WARN_ON_ONCE(vmq_route_plan(dev, NULL)))
		vmq_shift_apply(dev);
}

static struct vmq_filter *vmq_shift_sole(const struct vmq_queue *q)
{
	struct vmq_filter *f;

	if (q->nr_filters != 1)
		return NULL;
	list_for_each_entry(f, &q->dev->filter_list, list)
		if (f->queue == q->id)
			return f;
	return NULL;
}

/*
 * The table is as the route says: a queue to which the NIC lets in just what
 * it claims is not compared any more, and what its ring holds it claims, too,
 * unless the ring kept frames of the time before.
 */
void vmq_shift_settle(struct vmq_dev *dev)
{
	struct vmq_queue *q;
	bool check;
	u16 id;

	lockdep_assert_held(&dev->lock);
	for (id = 1; id < dev->caps->pools; id++) {
		q = &dev->queues[id];
		WRITE_ONCE(q->exact, vmq_route_is_exact(dev, id));
		if (q->exact)
			rcu_assign_pointer(q->sole, vmq_shift_sole(q));
		check = !q->exact || q->undrained || dev->count_hits;
		WRITE_ONCE(q->check, check);
	}
	vmq_route_unlist_idle(dev);
	vmq_route_publish(dev);
}
