// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the NIC has to be told, worked out from the filters alone: address
 * slots, VLAN slots, and the queues that take untagged frames. With VLAN
 * filtering off an address decides. With it on, a frame goes to the queues
 * that its address and its VLAN have in common, or to queue 0 if there are
 * none. A plan that does not work out changes nothing.
 */
#include <linux/list_sort.h>
#include <linux/slab.h>
#include "vmq_priv.h"

int vmq_route_init(struct vmq_dev *dev)
{
	dev->route = kzalloc(sizeof(*dev->route), GFP_KERNEL);
	if (!dev->route)
		return -ENOMEM;
	dev->next = kzalloc(sizeof(*dev->next), GFP_KERNEL);
	if (!dev->next)
		goto free_route;
	dev->software_vids = kcalloc(VLAN_N_VID, sizeof(*dev->software_vids),
				     GFP_KERNEL);
	if (!dev->software_vids)
		goto free_next;
	INIT_LIST_HEAD(&dev->filter_list);
	vmq_route_publish(dev);
	return 0;

free_next:
	kfree(dev->next);
free_route:
	kfree(dev->route);
	return -ENOMEM;
}

void vmq_route_fini(struct vmq_dev *dev)
{
	kfree(dev->software_vids);
	kfree(dev->next);
	kfree(dev->route);
}

/* Priority tags have VLAN ID 0, which is a VLAN like others to the NIC. */
static u16 vmq_route_vid(const struct vmq_filter *f)
{
	return f->m.vlan == VMQ_VLAN_ANY ? VMQ_VLAN_UNTAGGED : f->m.vlan;
}

/*
 * A plan looks at the filters of VM queues one by one, whose addresses are as few
 * as the NIC's slots, and at those that change. The rest is software's, and there
 * may be a hundred thousand of them: a plan wants to know their VLANs alone, so
 * they are a number in each.
 */
void vmq_route_add_idle(struct vmq_dev *dev, struct vmq_filter *f)
{
	lockdep_assert_held(&dev->lock);
	INIT_LIST_HEAD(&f->list);
	dev->software_vids[vmq_route_vid(f)]++;
}

void vmq_route_del_idle(struct vmq_dev *dev, const struct vmq_filter *f)
{
	lockdep_assert_held(&dev->lock);
	dev->software_vids[vmq_route_vid(f)]--;
}

/* Filters of the same VLAN that are software's alone, and do not change. */
u32 vmq_route_count_idle(const struct vmq_dev *dev, const struct vmq_filter *f)
{
	return dev->software_vids[vmq_route_vid(f)];
}

/* To be called before a filter is told to change. */
void vmq_route_list(struct vmq_dev *dev, struct vmq_filter *f)
{
	if (!list_empty(&f->list))
		return;
	vmq_route_del_idle(dev, f);
	list_add_tail(&f->list, &dev->filter_list);
	/* The next plan wants the oldest first. */
	dev->filters_unsorted = true;
}

static int vmq_route_compare_age(void *priv, const struct list_head *a,
				 const struct list_head *b)
{
	return list_entry(a, struct vmq_filter, list)->age >
	       list_entry(b, struct vmq_filter, list)->age;
}

/* After a change, made or refused. */
void vmq_route_unlist_idle(struct vmq_dev *dev)
{
	struct vmq_filter *f, *next;

	list_for_each_entry_safe(f, next, &dev->filter_list, list) {
		if (f->queue || f->home || f->change != VMQ_CHANGE_NONE)
			continue;
		list_del(&f->list);
		vmq_route_add_idle(dev, f);
	}
}

/*
 * A slot keeps its key from one plan to the next, and one that the NIC still
 * uses is not free in the plan: no write gives a slot two meanings.
 */
static int vmq_route_find_mac(const struct vmq_dev *dev, const u8 *addr)
{
	const struct vmq_mac_slot *s;
	int i, unused = -ENOSPC;

	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++) {
		s = &dev->next->macs[i];
		if (!s->users && !dev->route->macs[i].users)
			unused = unused < 0 ? i : unused;
		else if (ether_addr_equal(s->addr, addr))
			return i;
	}
	return unused;
}

static int vmq_route_find_vlan(const struct vmq_dev *dev, u16 vid)
{
	const struct vmq_vlan_slot *s;
	int i, unused = -ENOSPC;

	for (i = 0; i < dev->caps->vlan_slots; i++) {
		s = &dev->next->vlans[i];
		if (!s->users && !dev->route->vlans[i].users)
			unused = unused < 0 ? i : unused;
		else if (s->vid == vid)
			return i;
	}
	return unused;
}

static int vmq_route_claim_mac(struct vmq_dev *dev, const struct vmq_filter *f)
{
	int i = vmq_route_find_mac(dev, f->m.addr);
	struct vmq_mac_slot *s;

	if (i < 0)
		return i;
	s = &dev->next->macs[i];
	ether_addr_copy(s->addr, f->m.addr);
	s->users++;
	s->queues |= BIT_ULL(f->to);
	return 0;
}

/* A VLAN without a slot goes to queue 0; who cannot have that, looks. */
static void vmq_route_claim_vlan(struct vmq_dev *dev, u16 vid, u64 queues)
{
	int i = vmq_route_find_vlan(dev, vid);
	struct vmq_vlan_slot *s;

	if (i < 0) {
		if (!dev->next->lacking)
			dev->next->lacking_vid = vid;
		dev->next->lacking = true;
		return;
	}
	s = &dev->next->vlans[i];
	s->vid = vid;
	s->users++;
	s->queues |= queues;
}

static bool vmq_route_has_vlan(const struct vmq_dev *dev, u16 vid)
{
	int i = vmq_route_find_vlan(dev, vid);

	return i >= 0 && dev->next->vlans[i].users;
}

/* The VM queues whose rings run and may be used. */
u64 vmq_route_live(const struct vmq_dev *dev)
{
	u64 live = 0;
	u16 id;

	for (id = 1; id < dev->caps->pools; id++)
		if (dev->queues[id].started && !dev->queues[id].parked)
			live |= BIT_ULL(id);
	return live;
}

static void vmq_route_begin(struct vmq_dev *dev)
{
	struct vmq_route *r = dev->next;
	unsigned int i;

	*r = *dev->route;
	for (i = 0; i < dev->caps->mac_slots; i++) {
		r->macs[i].users = 0;
		r->macs[i].queues = 0;
	}
	for (i = 0; i < dev->caps->vlan_slots; i++) {
		r->vlans[i].users = 0;
		r->vlans[i].queues = 0;
	}
	r->untagged = 0;
	r->lacking = false;
	r->live = vmq_route_live(dev);
}

/* What a filter of queue 0 wants is software's: it needs no address slot. */
static bool vmq_route_is_steered(const struct vmq_filter *f)
{
	return f->change != VMQ_CHANGE_LEAVE && f->to;
}

static int vmq_route_plan_macs(struct vmq_dev *dev,
			       struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;

	list_for_each_entry(f, &dev->filter_list, list)
		if (vmq_route_is_steered(f) && vmq_route_claim_mac(dev, f))
			return vmq_refuse(dev, extack, -ENOSPC,
					  "filter slots full");
	return 0;
}

/* Frames of a group reach its claimant and queue 0: there is one claimant. */
static int vmq_route_check_groups(struct vmq_dev *dev,
				  struct netlink_ext_ack *extack)
{
	const struct vmq_mac_slot *s;
	unsigned int i;

	for (i = 0; i < dev->caps->mac_slots; i++) {
		s = &dev->next->macs[i];
		if (is_multicast_ether_addr(s->addr) && hweight64(s->queues) > 1)
			return vmq_refuse(dev, extack, -EBUSY,
					  "the group %pM is claimed by another queue",
					  s->addr);
	}
	return 0;
}

/* An address of several queues, whose frames only their VLANs tell apart. */
static const u8 *vmq_route_find_split(const struct vmq_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->caps->mac_slots; i++)
		if (hweight64(dev->next->macs[i].queues) > 1)
			return dev->next->macs[i].addr;
	return NULL;
}

static int vmq_route_plan_mode(struct vmq_dev *dev,
			       struct netlink_ext_ack *extack)
{
	const u8 *split = vmq_route_find_split(dev);

	dev->next->vlan_filtering = dev->caps->vlan_slots &&
				    (dev->vlan_mode == VMQ_VLAN_MODE_ON ||
				     (dev->vlan_mode == VMQ_VLAN_MODE_AUTO &&
				      split));
	if (!split || dev->next->vlan_filtering)
		return 0;
	return vmq_refuse(dev, extack, -EOPNOTSUPP,
			  "%pM is on another queue, and vlan_filtering is off",
			  split);
}

/* Whoever can do without a slot comes last: software, then the host. */
static void vmq_route_plan_vlans(struct vmq_dev *dev)
{
	struct vmq_filter *f;
	unsigned long vid;

	list_for_each_entry(f, &dev->filter_list, list) {
		if (!vmq_route_is_steered(f))
			continue;
		if (f->m.vlan == VMQ_VLAN_UNTAGGED)
			dev->next->untagged |= BIT_ULL(f->to);
		vmq_route_claim_vlan(dev, vmq_route_vid(f),
				     f->m.vlan == VMQ_VLAN_ANY ?
				     0 : BIT_ULL(f->to));
	}
	for (vid = 0; vid < VLAN_N_VID; vid++)
		if (dev->software_vids[vid])
			vmq_route_claim_vlan(dev, vid, 0);
	list_for_each_entry(f, &dev->filter_list, list)
		if (f->change != VMQ_CHANGE_LEAVE && !f->to)
			vmq_route_claim_vlan(dev, vmq_route_vid(f), 0);
	for_each_set_bit(vid, dev->host_vids, VLAN_N_VID)
		vmq_route_claim_vlan(dev, vid, 0);
}

static int vmq_route_check_slots(struct vmq_dev *dev,
				 struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;

	if (!dev->next->lacking)
		return 0;
	list_for_each_entry(f, &dev->filter_list, list)
		if ((f->change == VMQ_CHANGE_ENTER ||
		     (f->change == VMQ_CHANGE_MOVE && f->to)) &&
		    !vmq_route_has_vlan(dev, vmq_route_vid(f)))
			return vmq_refuse(dev, extack, -ENOSPC,
					  "VLAN filter slots full");
	if (dev->route->vlan_filtering || dev->vlan_mode == VMQ_VLAN_MODE_ON)
		return 0;
	return vmq_refuse(dev, extack, -EBUSY,
			  "VLAN filtering would be on, and VLAN %u has no slot",
			  dev->next->lacking_vid);
}

static bool vmq_route_names_vlan(const struct vmq_filter *f)
{
	return vmq_route_is_steered(f) && f->m.vlan != VMQ_VLAN_ANY;
}

/* One VLAN that two of these queues name, or NULL. */
static const struct vmq_filter *vmq_route_find_clash(struct vmq_dev *dev,
						     u64 queues)
{
	struct vmq_filter *f, *g;

	list_for_each_entry(f, &dev->filter_list, list) {
		if (!vmq_route_names_vlan(f) || !(queues & BIT_ULL(f->to)))
			continue;
		g = f;
		list_for_each_entry_continue(g, &dev->filter_list, list)
			if (vmq_route_names_vlan(g) && g->to != f->to &&
			    g->m.vlan == f->m.vlan && queues & BIT_ULL(g->to))
				return f;
	}
	return NULL;
}

/*
 * No frame may have two queues. Asked of the filters and not of the slots: a
 * VLAN that has none may get one when another leaves, which cannot be refused.
 */
static int vmq_route_check_once(struct vmq_dev *dev,
				struct netlink_ext_ack *extack)
{
	const struct vmq_route *r = dev->next;
	const struct vmq_filter *f;
	unsigned int i;

	for (i = 0; i < dev->caps->mac_slots; i++) {
		if (hweight64(r->macs[i].queues) < 2)
			continue;
		f = vmq_route_find_clash(dev, r->macs[i].queues);
		if (f && f->m.vlan)
			return vmq_refuse(dev, extack, -EBUSY,
					  "frames to %pM of VLAN %u would go to two queues",
					  r->macs[i].addr, f->m.vlan);
		if (f)
			return vmq_refuse(dev, extack, -EBUSY,
					  "untagged frames to %pM would go to two queues",
					  r->macs[i].addr);
	}
	return 0;
}

/* Would the queue, in one more VLAN, get frames that another one gets? */
static bool vmq_route_may_join(const struct vmq_dev *dev, u16 queue, u64 queues)
{
	const struct vmq_route *r = dev->next;
	unsigned int i;

	for (i = 0; i < dev->caps->mac_slots; i++)
		if (r->macs[i].queues & BIT_ULL(queue) &&
		    r->macs[i].queues & queues & ~BIT_ULL(queue))
			return false;
	return true;
}

/*
 * A filter for any VLAN takes part in every VLAN that has a slot and in which
 * no address of its queue is another's. The rest of its frames come by queue 0.
 */
static void vmq_route_plan_any(struct vmq_dev *dev, u16 queue)
{
	struct vmq_route *r = dev->next;
	unsigned int v;

	for (v = 0; v < dev->caps->vlan_slots; v++)
		if (r->vlans[v].users &&
		    vmq_route_may_join(dev, queue, r->vlans[v].queues))
			r->vlans[v].queues |= BIT_ULL(queue);
	if (vmq_route_may_join(dev, queue, r->untagged))
		r->untagged |= BIT_ULL(queue);
}

/*
 * Work out dev->next for the filters as they will be: each on the queue that
 * it goes to, without those that leave. Only filters that enter or move to a
 * VM queue, or another VLAN mode, can make it fail.
 */
int vmq_route_plan(struct vmq_dev *dev, struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;
	int err;

	lockdep_assert_held(&dev->lock);
	if (dev->filters_unsorted)
		list_sort(NULL, &dev->filter_list, vmq_route_compare_age);
	dev->filters_unsorted = false;
	vmq_route_begin(dev);
	err = vmq_route_plan_macs(dev, extack);
	if (err)
		return err;
	err = vmq_route_check_groups(dev, extack);
	if (err)
		return err;
	err = vmq_route_plan_mode(dev, extack);
	if (err || !dev->next->vlan_filtering)
		return err;
	vmq_route_plan_vlans(dev);
	err = vmq_route_check_slots(dev, extack);
	if (err)
		return err;
	err = vmq_route_check_once(dev, extack);
	if (err)
		return err;
	list_for_each_entry(f, &dev->filter_list, list)
		if (vmq_route_is_steered(f) && f->m.vlan == VMQ_VLAN_ANY)
			vmq_route_plan_any(dev, f->to);
	return 0;
}

/* Is there a VLAN without a slot, and by now a slot without a VLAN? */
bool vmq_route_can_improve(const struct vmq_dev *dev)
{
	unsigned int i;

	if (!dev->route->vlan_filtering || !dev->route->lacking)
		return false;
	for (i = 0; i < dev->caps->vlan_slots; i++)
		if (!dev->route->vlans[i].users)
			return true;
	return false;
}

/* For sysfs, which takes no lock. */
void vmq_route_publish(struct vmq_dev *dev)
{
	unsigned int macs = 0, vlans = 0;
	int i;

	for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++)
		macs += !dev->route->macs[i].users;
	for (i = 0; i < dev->caps->vlan_slots; i++)
		vlans += !dev->route->vlans[i].users;
	WRITE_ONCE(dev->mac_slots_free, macs);
	WRITE_ONCE(dev->vlan_slots_free, vlans);
	WRITE_ONCE(dev->vlan_filtering, dev->route->vlan_filtering);
}

/* Is every frame to @addr, of whatever VLAN, the queue's? */
static bool vmq_route_owns(const struct vmq_dev *dev, u16 queue, const u8 *addr)
{
	struct rhlist_head *pos, *same;
	const struct vmq_filter *f;
	bool any = false, all = true;

	rcu_read_lock();
	same = vmq_filter_find_addr_rcu(dev, addr);
	rhl_for_each_entry_rcu(f, pos, same, same_addr) {
		all &= f->queue == queue;
		any |= f->m.vlan == VMQ_VLAN_ANY;
	}
	rcu_read_unlock();
	return all && any;
}

static bool vmq_route_claims(struct vmq_dev *dev, u16 queue, const u8 *addr,
			     u16 vlan)
{
	struct vmq_match m = { .vlan = vlan };
	const struct vmq_filter *f;
	bool claims;

	ether_addr_copy(m.addr, addr);
	rcu_read_lock();
	f = vmq_filter_claims_rcu(dev, &m);
	claims = f && f->queue == queue;
	rcu_read_unlock();
	return claims;
}

static bool vmq_route_owns_vlans(struct vmq_dev *dev, u16 queue, const u8 *addr)
{
	const struct vmq_route *r = dev->route;
	unsigned int v;

	for (v = 0; v < dev->caps->vlan_slots; v++)
		if (r->vlans[v].queues & BIT_ULL(queue) &&
		    !vmq_route_claims(dev, queue, addr, r->vlans[v].vid))
			return false;
	return !(r->untagged & BIT_ULL(queue)) ||
	       vmq_route_claims(dev, queue, addr, VMQ_VLAN_UNTAGGED);
}

/*
 * Does the NIC let in just what the queue claims? Queue 0 claims nothing by
 * itself, and a queue without filters gets nothing.
 */
bool vmq_route_is_exact(struct vmq_dev *dev, u16 queue)
{
	const struct vmq_mac_slot *s;
	unsigned int i;
	bool owns;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < dev->caps->mac_slots; i++) {
		s = &dev->route->macs[i];
		if (!(s->queues & BIT_ULL(queue)))
			continue;
		if (dev->route->vlan_filtering)
			owns = vmq_route_owns_vlans(dev, queue, s->addr);
		else
			owns = vmq_route_owns(dev, queue, s->addr);
		if (!owns)
			return false;
	}
	return true;
}
