// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter table: {MAC, VLAN} -> queue. Filters enter, move and leave in one
 * way: say where they will be, plan the route of that, put it in force.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/slab.h>
#include <trace/events/vmq.h>
#include "vmq_priv.h"

static const struct rhashtable_params vmq_filter_params = {
	.key_len = sizeof(struct vmq_match),
	.key_offset = offsetof(struct vmq_filter, m),
	.head_offset = offsetof(struct vmq_filter, node),
	.automatic_shrinking = true,
};

static const struct rhashtable_params vmq_filter_addr_params = {
	.key_len = ETH_ALEN,
	.key_offset = offsetof(struct vmq_filter, m.addr),
	.head_offset = offsetof(struct vmq_filter, same_addr),
	.automatic_shrinking = true,
};

int vmq_filter_table_init(struct vmq_dev *dev)
{
	int err = -ENOMEM;

	dev->filters = kzalloc(sizeof(*dev->filters), GFP_KERNEL);
	if (!dev->filters)
		return err;
	dev->filter_addrs = kzalloc(sizeof(*dev->filter_addrs), GFP_KERNEL);
	if (!dev->filter_addrs)
		goto free_filters;
	err = rhashtable_init(dev->filters, &vmq_filter_params);
	if (err)
		goto free_addrs;
	err = rhltable_init(dev->filter_addrs, &vmq_filter_addr_params);
	if (err)
		goto destroy_filters;
	xa_init_flags(&dev->filter_ids, XA_FLAGS_ALLOC1);
	/* A queue that was never asked remembers nothing. */
	dev->filter_changes = 1;
	return 0;

destroy_filters:
	rhashtable_destroy(dev->filters);
free_addrs:
	kfree(dev->filter_addrs);
free_filters:
	kfree(dev->filters);
	return err;
}

static void vmq_filter_free(void *ptr, void *arg)
{
	kfree_rcu((struct vmq_filter *)ptr, rcu);
}

void vmq_filter_table_fini(struct vmq_dev *dev)
{
	xa_destroy(&dev->filter_ids);
	rhltable_destroy(dev->filter_addrs);
	rhashtable_free_and_destroy(dev->filters, vmq_filter_free, NULL);
	kfree(dev->filter_addrs);
	kfree(dev->filters);
}

static struct vmq_filter *vmq_filter_find_rcu(const struct vmq_dev *dev,
					      const struct vmq_match *m)
{
	return rhashtable_lookup(dev->filters, m, vmq_filter_params);
}

/*
 * Whose is a frame? The filter of its VLAN wins over the one for any VLAN,
 * on whatever queue they are. Context: RCU read side.
 */
struct vmq_filter *vmq_filter_claims_rcu(const struct vmq_dev *dev,
					 const struct vmq_match *m)
{
	struct vmq_match any = { .vlan = VMQ_VLAN_ANY };
	struct vmq_filter *f = vmq_filter_find_rcu(dev, m);

	if (f || !READ_ONCE(dev->nr_any_filters))
		return f;
	ether_addr_copy(any.addr, m->addr);
	return vmq_filter_find_rcu(dev, &any);
}

bool vmq_match_is_claimed_rcu(const struct vmq_dev *dev,
			      const struct vmq_match *m)
{
	return vmq_filter_claims_rcu(dev, m);
}
EXPORT_SYMBOL_GPL(vmq_match_is_claimed_rcu);

struct vmq_consumer *vmq_group_consumer_rcu(const struct vmq_dev *dev,
					    const struct vmq_match *m)
{
	struct vmq_filter *f;

	if (likely(!READ_ONCE(dev->nr_group_filters)))
		return NULL;
	f = vmq_filter_find_rcu(dev, m);
	if (!f || !READ_ONCE(f->steered))
		return NULL;
	return rcu_dereference(dev->queues[READ_ONCE(f->queue)].consumer);
}
EXPORT_SYMBOL_GPL(vmq_group_consumer_rcu);

/*
 * What queues remember of the filters is not right any more: to be called after
 * one got another queue, which is also how it enters, and after one has left
 * the table, before it is freed. A poll that does not see the new number yet is
 * one that the grace period waits for.
 */
void vmq_filter_changed(struct vmq_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	/* Pairs with vmq_rx_recall(). */
	smp_store_release(&dev->filter_changes, dev->filter_changes + 1);
}

struct vmq_filter *vmq_filter_find_locked(struct vmq_dev *dev,
					  const struct vmq_match *m)
{
	lockdep_assert_held(&dev->lock);
	return rhashtable_lookup_fast(dev->filters, m, vmq_filter_params);
}

struct vmq_filter *vmq_filter_by_id(struct vmq_dev *dev, u32 id)
{
	RCU_LOCKDEP_WARN(!lockdep_is_held(&dev->lock) && !rcu_read_lock_held(),
			 "the filter may go at any time");
	return xa_load(&dev->filter_ids, id);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_by_id);

/* All filters of an address, in whatever VLAN, by same_addr. */
struct rhlist_head *vmq_filter_find_addr_rcu(const struct vmq_dev *dev,
					     const u8 *addr)
{
	lockdep_assert_held(&dev->lock);
	return rhltable_lookup(dev->filter_addrs, addr, vmq_filter_addr_params);
}

/* Count a filter onto (+1) or off (-1) a queue, and step its state. */
static void vmq_filter_account(struct vmq_queue *q, int change)
{
	enum vmq_queue_event event;

	WRITE_ONCE(q->nr_filters, q->nr_filters + change);
	if (!q->id) {
		WRITE_ONCE(q->dev->nr_default_filters, q->nr_filters);
		return;
	}
	if (change > 0)
		event = VMQ_EVENT_FILTER_SET;
	else
		event = q->nr_filters ? VMQ_EVENT_FILTER_CLEAR :
					VMQ_EVENT_FILTER_CLEAR_LAST;
	WARN_ON_ONCE(vmq_queue_event(q, event));
}

static bool vmq_filter_is_host_addr(struct vmq_dev *dev, const u8 *addr)
{
	struct net_device *uplink = dev->uplink;
	struct netdev_hw_addr *ha;
	bool found = false;

	ASSERT_RTNL();
	if (ether_addr_equal(uplink->dev_addr, addr))
		return true;
	netif_addr_lock_bh(uplink);
	netdev_for_each_uc_addr(ha, uplink)
		found |= ether_addr_equal(ha->addr, addr);
	netif_addr_unlock_bh(uplink);
	return found;
}

static int vmq_filter_check_queue(struct vmq_queue *q, enum vmq_owner owner,
				  struct netlink_ext_ack *extack)
{
	return q->id ? vmq_queue_check_owner(q, owner, extack) : 0;
}

/* Can a filter with this match be added to whatever queue? */
int vmq_filter_check_match(struct vmq_dev *dev, const struct vmq_match *m,
			   struct netlink_ext_ack *extack)
{
	struct vmq_filter *other;
	const char *why;
	int err;

	why = vmq_match_check(m, &err);
	if (why)
		return vmq_refuse(dev, extack, err, "%s", why);
	if (vmq_filter_is_host_addr(dev, m->addr))
		return vmq_refuse(dev, extack, -EADDRINUSE,
				  "%pM is an address of the host", m->addr);
	other = vmq_filter_find_locked(dev, m);
	if (other)
		return vmq_refuse(dev, extack, -EEXIST,
				  "queue %u has this filter already, id %u",
				  other->queue, other->id);
	return 0;
}

/* The id is taken, and has no filter yet: later nothing can fail for it. */
static int vmq_filter_reserve_id(struct vmq_dev *dev, u32 location, u32 *id,
				 struct netlink_ext_ack *extack)
{
	int err;

	if (location >= VMQ_MAX_FILTERS)
		return vmq_refuse(dev, extack, -EINVAL,
				  "a filter location is 1 to %u",
				  VMQ_MAX_FILTERS - 1);
	*id = location;
	err = location ? xa_insert(&dev->filter_ids, location, NULL,
				   GFP_KERNEL) :
			 xa_alloc(&dev->filter_ids, id, NULL,
				  XA_LIMIT(1, VMQ_MAX_FILTERS - 1), GFP_KERNEL);
	if (!err)
		return 0;
	if (err != -EBUSY)
		return vmq_refuse(dev, extack, err, "no memory for a filter");
	if (location)
		return vmq_refuse(dev, extack, -EEXIST,
				  "location %u holds a filter already",
				  location);
	return vmq_refuse(dev, extack, -ENOSPC, "all %u filter ids used",
			  VMQ_MAX_FILTERS - 1);
}

static int vmq_filter_check_state(struct vmq_queue *q,
				  struct netlink_ext_ack *extack)
{
	int err = vmq_state_next(q->state, VMQ_EVENT_FILTER_SET);

	if (err >= 0)
		return 0;
	return vmq_refuse(q->dev, extack, err,
			  "queue %u is %s, it can have no filter", q->id,
			  vmq_state_name(q->state));
}

/*
 * Whose are the filter's frames without it? Only one for any VLAN claims what
 * another filter does, too.
 */
static u16 vmq_filter_heir(struct vmq_dev *dev, const struct vmq_filter *f)
{
	struct vmq_match any = { .vlan = VMQ_VLAN_ANY };
	const struct vmq_filter *heir;

	if (f->m.vlan == VMQ_VLAN_ANY)
		return 0;
	ether_addr_copy(any.addr, f->m.addr);
	heir = vmq_filter_find_locked(dev, &any);
	return heir ? heir->queue : 0;
}

static void vmq_filter_forget_change(struct vmq_dev *dev)
{
	struct vmq_filter *f;

	list_for_each_entry(f, &dev->filter_list, list) {
		f->to = f->queue;
		f->change = VMQ_CHANGE_NONE;
	}
	vmq_route_unlist_idle(dev);
}

/* What frames are asked about only if somebody has such a filter. */
static void vmq_filter_count_kind(struct vmq_dev *dev,
				  const struct vmq_filter *f, int change)
{
	if (f->m.vlan == VMQ_VLAN_ANY)
		WRITE_ONCE(dev->nr_any_filters, dev->nr_any_filters + change);
	if (is_multicast_ether_addr(f->m.addr))
		WRITE_ONCE(dev->nr_group_filters,
			   dev->nr_group_filters + change);
}

static int vmq_filter_hash(struct vmq_dev *dev, struct vmq_filter *f,
			   struct netlink_ext_ack *extack)
{
	int err;

	err = rhltable_insert(dev->filter_addrs, &f->same_addr,
			      vmq_filter_addr_params);
	if (err)
		goto refuse;
	err = rhashtable_insert_fast(dev->filters, &f->node, vmq_filter_params);
	if (err)
		goto remove_addr;
	vmq_filter_count_kind(dev, f, 1);
	return 0;

remove_addr:
	rhltable_remove(dev->filter_addrs, &f->same_addr,
			vmq_filter_addr_params);
refuse:
	return vmq_refuse(dev, extack, err, "no memory for a filter");
}

static void vmq_filter_unhash(struct vmq_dev *dev, struct vmq_filter *f)
{
	vmq_filter_count_kind(dev, f, -1);
	rhashtable_remove_fast(dev->filters, &f->node, vmq_filter_params);
	rhltable_remove(dev->filter_addrs, &f->same_addr,
			vmq_filter_addr_params);
	vmq_filter_changed(dev);
}

/*
 * Does the NIC not care about a filter? One whose frames are software's with and
 * without it changes nothing of the route while addresses alone decide, nor if
 * its VLAN is that of others, too: @same, of which it is not one.
 */
static bool vmq_filter_is_idle(const struct vmq_dev *dev, u16 from, u16 to,
			       u32 same)
{
	return !from && !to && (!dev->route->vlan_filtering || same);
}

static int vmq_filter_insert_idle(struct vmq_dev *dev, struct vmq_filter *f,
				  struct netlink_ext_ack *extack)
{
	int err = vmq_filter_hash(dev, f, extack);

	if (err)
		return err;
	vmq_route_add_idle(dev, f);
	vmq_filter_account(&dev->queues[0], 1);
	vmq_filter_changed(dev);
	xa_store(&dev->filter_ids, f->id, f, GFP_KERNEL);
	trace_vmq_filter_add(dev, f->id, &f->m, 0);
	return 0;
}

static void vmq_filter_remove_idle(struct vmq_dev *dev, struct vmq_filter *f)
{
	vmq_filter_unhash(dev, f);
	vmq_route_del_idle(dev, f);
	xa_erase(&dev->filter_ids, f->id);
	trace_vmq_filter_del(dev, f->id, &f->m, 0);
	vmq_filter_account(&dev->queues[0], -1);
	kfree_rcu(f, rcu);
}

/*
 * A filter enters the table as the owner that its frames have had so far, and
 * becomes its queue's with the change of the route. So no poll sees one frame
 * claimed by the old filters and the next one by the new.
 */
static int vmq_filter_insert(struct vmq_dev *dev, struct vmq_filter *f,
			     u16 to, struct netlink_ext_ack *extack)
{
	struct vmq_queue *q = &dev->queues[to];
	int err;

	err = vmq_filter_check_state(q, extack);
	if (err)
		return err;
	f->queue = vmq_filter_heir(dev, f);
	f->to = to;
	f->age = ++dev->filter_age;
	if (vmq_filter_is_idle(dev, f->queue, to, vmq_route_count_idle(dev, f)))
		return vmq_filter_insert_idle(dev, f, extack);
	f->change = VMQ_CHANGE_ENTER;
	list_add_tail(&f->list, &dev->filter_list);
	err = vmq_route_plan(dev, extack);
	if (err)
		goto unlist;
	err = vmq_filter_hash(dev, f, extack);
	if (err)
		goto unlist;

	/* From here on nothing fails: the NIC is written last. */
	vmq_filter_account(q, 1);
	vmq_shift_apply(dev);
	xa_store(&dev->filter_ids, f->id, f, GFP_KERNEL);
	trace_vmq_filter_add(dev, f->id, &f->m, to);
	vmq_shift_settle(dev);
	return 0;

unlist:
	list_del(&f->list);
	return err;
}

/* @location: wanted id, or 0 for the lowest free one. Returns the id. */
int vmq_filter_add_locked(struct vmq_dev *dev, u16 id,
			  const struct vmq_match *m, enum vmq_owner owner,
			  u32 location, struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;
	u32 fid;
	int err;

	lockdep_assert_held(&dev->lock);
	err = vmq_queue_check_id(dev, id, extack);
	if (err)
		return err;
	err = vmq_filter_check_match(dev, m, extack);
	if (err)
		return err;
	err = vmq_filter_check_queue(&dev->queues[id], owner, extack);
	if (err)
		return err;
	err = vmq_filter_reserve_id(dev, location, &fid, extack);
	if (err)
		return err;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f) {
		err = vmq_refuse(dev, extack, -ENOMEM,
				 "no memory for a filter");
		goto release_id;
	}
	f->m = *m;
	f->id = fid;
	f->owner = owner;
	err = vmq_filter_insert(dev, f, id, extack);
	if (err)
		goto free_filter;
	return fid;

free_filter:
	kfree(f);
release_id:
	xa_erase(&dev->filter_ids, fid);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_add_locked);

/* The filters that are marked go from one queue to the other; cannot fail. */
static void vmq_filter_transfer_marked(struct vmq_queue *from,
				       struct vmq_queue *to, unsigned int n)
{
	struct vmq_dev *dev = from->dev;
	unsigned int i;

	for (i = 0; i < n; i++)
		vmq_filter_account(to, 1);
	vmq_shift_apply(dev);
	for (i = 0; i < n; i++)
		vmq_filter_account(from, -1);
	vmq_shift_settle(dev);
	if (from->id)
		vmq_switch_tell(dev, VMQ_FREED_FILTER);
}

static void vmq_filter_mark(struct vmq_dev *dev, struct vmq_filter *f, u16 to)
{
	vmq_route_list(dev, f);
	f->to = to;
	f->change = VMQ_CHANGE_MOVE;
}

/*
 * Move filters of one owner that are all on one queue, to queue 0 or one of his;
 * a move to queue 0 cannot fail.
 */
int vmq_filter_transfer(struct vmq_dev *dev, struct vmq_filter **filters,
			unsigned int n, u16 to,
			struct netlink_ext_ack *extack)
{
	struct vmq_queue *from = &dev->queues[filters[0]->queue];
	struct vmq_queue *q = &dev->queues[to];
	unsigned int i;
	int err;

	err = vmq_filter_check_queue(q, filters[0]->owner, extack);
	if (err || from == q)
		return err;
	err = vmq_filter_check_state(q, extack);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		vmq_filter_mark(dev, filters[i], to);
	err = vmq_route_plan(dev, extack);
	if (err)
		goto forget_change;
	/* A queue that was off and is not back yet has lost them. */
	for (i = 0; i < n; i++)
		filters[i]->home = 0;
	vmq_filter_transfer_marked(from, q, n);
	for (i = 0; i < n; i++)
		trace_vmq_filter_move(dev, filters[i]->id, &filters[i]->m, to);
	return 0;

forget_change:
	vmq_filter_forget_change(dev);
	return err;
}

/* It claims nothing any more, or what another one does, when it leaves. */
static void vmq_filter_remove(struct vmq_dev *dev, struct vmq_filter *f)
{
	struct vmq_queue *from = &dev->queues[f->queue];
	u16 heir = vmq_filter_heir(dev, f);

	if (list_empty(&f->list) &&
	    vmq_filter_is_idle(dev, f->queue, heir,
			       vmq_route_count_idle(dev, f) - 1)) {
		vmq_filter_remove_idle(dev, f);
		return;
	}
	vmq_route_list(dev, f);
	f->to = heir;
	f->change = VMQ_CHANGE_LEAVE;
	vmq_shift_replan(dev);
	vmq_filter_unhash(dev, f);
	list_del(&f->list);
	xa_erase(&dev->filter_ids, f->id);
	trace_vmq_filter_del(dev, f->id, &f->m, from->id);
	vmq_filter_account(from, -1);
	vmq_shift_settle(dev);
	if (from->id)
		vmq_switch_tell(dev, VMQ_FREED_FILTER);
	kfree_rcu(f, rcu);
}

int vmq_filter_del_locked(struct vmq_dev *dev, u32 fid, enum vmq_owner owner,
			  struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;

	lockdep_assert_held(&dev->lock);
	f = vmq_filter_by_id(dev, fid);
	if (!f)
		return vmq_refuse(dev, extack, -ENOENT, "there is no filter %u",
				  fid);
	if (f->owner != owner)
		return vmq_refuse(dev, extack, -EADDRINUSE,
				  "filter %u belongs to a port, use bridge fdb",
				  fid);
	vmq_filter_remove(dev, f);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_del_locked);

/* All to queue 0. Needs neither memory nor slots: teardown cannot fail. */
void vmq_filter_park_locked(struct vmq_queue *q)
{
	struct vmq_dev *dev = q->dev;
	struct vmq_filter *f;
	unsigned int n = 0;

	list_for_each_entry(f, &dev->filter_list, list) {
		if (f->queue != q->id)
			continue;
		vmq_filter_mark(dev, f, 0);
		trace_vmq_filter_move(dev, f->id, &f->m, 0);
		n++;
	}
	if (!n)
		return;
	if (WARN_ON_ONCE(vmq_route_plan(dev, NULL)))
		vmq_filter_forget_change(dev);
	else
		vmq_filter_transfer_marked(q, &dev->queues[0], n);
}

/* Park them, and remember where they were. */
void vmq_filter_leave_home_locked(struct vmq_queue *q)
{
	struct vmq_filter *f;

	list_for_each_entry(f, &q->dev->filter_list, list)
		if (f->queue == q->id)
			f->home = q->id;
	vmq_filter_park_locked(q);
}

/* All of them, or none: then queue 0 keeps them for good. */
void vmq_filter_come_home_locked(struct vmq_queue *q)
{
	struct vmq_dev *dev = q->dev;
	struct vmq_filter *f;
	unsigned int n = 0;

	list_for_each_entry(f, &dev->filter_list, list) {
		if (f->home != q->id)
			continue;
		f->home = 0;
		vmq_filter_mark(dev, f, q->id);
		n++;
	}
	if (!n)
		return;
	if (vmq_route_plan(dev, NULL))
		goto forget_change;
	vmq_filter_transfer_marked(&dev->queues[0], q, n);
	return;

forget_change:
	vmq_filter_forget_change(dev);
}

int vmq_filter_check(struct vmq_dev *dev, const struct vmq_match *m,
		     struct netlink_ext_ack *extack)
{
	int err;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	err = vmq_filter_check_match(dev, m, extack);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_filter_check);

int vmq_filter_add(struct vmq_dev *dev, u16 id, const struct vmq_match *m,
		   struct netlink_ext_ack *extack)
{
	int err;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	err = vmq_filter_add_locked(dev, id, m, VMQ_OWNER_VSWITCH, 0, extack);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_filter_add);

int vmq_filter_del(struct vmq_dev *dev, u32 fid)
{
	int err;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	err = vmq_filter_del_locked(dev, fid, VMQ_OWNER_VSWITCH, NULL);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_filter_del);

static int vmq_filter_gather(struct vmq_dev *dev, const u32 *fids,
			     unsigned int n, struct vmq_filter **filters,
			     struct netlink_ext_ack *extack)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		filters[i] = vmq_filter_by_id(dev, fids[i]);
		if (!filters[i] || filters[i]->owner != VMQ_OWNER_VSWITCH)
			return vmq_refuse(dev, extack, -ENOENT,
					  "there is no filter %u", fids[i]);
		if (filters[i]->queue != filters[0]->queue)
			return vmq_refuse(dev, extack, -EINVAL,
					  "the filters are on several queues");
	}
	return 0;
}

int vmq_filter_move(struct vmq_dev *dev, const u32 *fids, unsigned int n,
		    u16 to, struct netlink_ext_ack *extack)
{
	struct vmq_filter **filters;
	int err;

	ASSERT_RTNL();
	if (!n || to >= dev->caps->pools)
		return -EINVAL;
	filters = kvcalloc(n, sizeof(*filters), GFP_KERNEL);
	if (!filters)
		return vmq_refuse(dev, extack, -ENOMEM, "no memory for a move");
	mutex_lock(&dev->lock);
	err = vmq_filter_gather(dev, fids, n, filters, extack);
	if (!err)
		err = vmq_filter_transfer(dev, filters, n, to, extack);
	mutex_unlock(&dev->lock);
	kvfree(filters);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_filter_move);

int vmq_dev_addr_check(struct vmq_dev *dev, const u8 *addr,
		       struct netlink_ext_ack *extack)
{
	struct rhlist_head *same;
	int err = 0;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	rcu_read_lock();
	same = vmq_filter_find_addr_rcu(dev, addr);
	if (same)
		err = vmq_refuse(dev, extack, -EADDRINUSE,
				 "%pM is claimed by filter %u", addr,
				 container_of(same, struct vmq_filter,
					      same_addr)->id);
	rcu_read_unlock();
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_dev_addr_check);
