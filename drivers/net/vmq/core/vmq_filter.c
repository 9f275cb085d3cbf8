// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter table: {MAC, VLAN} -> queue. Every change of where frames go is
 * one move: hold the queue they go to, write the NIC, drain the queue they
 * came from, let go. So nothing is lost, doubled or reordered.
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

/* A move under preparation: all filters are on one queue. */
struct vmq_move {
	struct vmq_dev *dev;
	struct vmq_filter **filters;
	unsigned int n;
	struct vmq_queue *from;
	struct vmq_queue *to;
	s16 slots[];		/* slot of each filter after the move, or -1 */
};

int vmq_filter_table_init(struct vmq_dev *dev)
{
	int err = -ENOMEM;

	dev->filter_ids = kvcalloc(VMQ_MAX_FILTERS, sizeof(*dev->filter_ids),
				   GFP_KERNEL);
	if (!dev->filter_ids)
		return err;
	dev->mac_slots = kcalloc(dev->caps->mac_slots, sizeof(*dev->mac_slots),
				 GFP_KERNEL);
	if (!dev->mac_slots)
		goto free_ids;
	dev->filters = kzalloc(sizeof(*dev->filters), GFP_KERNEL);
	if (!dev->filters)
		goto free_slots;
	err = rhashtable_init(dev->filters, &vmq_filter_params);
	if (err)
		goto free_filters;
	return 0;

free_filters:
	kfree(dev->filters);
free_slots:
	kfree(dev->mac_slots);
free_ids:
	kvfree(dev->filter_ids);
	return err;
}

static void vmq_filter_free(void *ptr, void *arg)
{
	kfree_rcu((struct vmq_filter *)ptr, rcu);
}

void vmq_filter_table_fini(struct vmq_dev *dev)
{
	rhashtable_free_and_destroy(dev->filters, vmq_filter_free, NULL);
	kfree(dev->filters);
	kfree(dev->mac_slots);
	kvfree(dev->filter_ids);
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

struct vmq_filter *vmq_filter_find_locked(struct vmq_dev *dev,
					  const struct vmq_match *m)
{
	lockdep_assert_held(&dev->lock);
	return rhashtable_lookup_fast(dev->filters, m, vmq_filter_params);
}

struct vmq_filter *vmq_filter_by_id(struct vmq_dev *dev, u32 id)
{
	if (!id || id >= VMQ_MAX_FILTERS)
		return NULL;
	return rcu_dereference_check(dev->filter_ids[id],
				     lockdep_is_held(&dev->lock));
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_by_id);

/*
 * Does the NIC let in just what the queue claims? It compares addresses only:
 * so each has to be the queue's in any VLAN, and none of them another's.
 * Queue 0 claims nothing by itself. A snapshot for sysfs.
 */
bool vmq_filter_is_exact(const struct vmq_queue *q)
{
	struct vmq_match m = { .vlan = VMQ_VLAN_ANY };
	struct vmq_filter *f, *any;
	bool exact = true;
	u32 id;

	rcu_read_lock();
	for (id = 1; id < VMQ_MAX_FILTERS && q->id && exact; id++) {
		f = rcu_dereference(q->dev->filter_ids[id]);
		if (!f)
			continue;
		ether_addr_copy(m.addr, f->m.addr);
		any = vmq_filter_find_rcu(q->dev, &m);
		exact = (READ_ONCE(f->queue) == q->id) ==
			(any && READ_ONCE(any->queue) == q->id);
	}
	rcu_read_unlock();
	return exact;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_is_exact);

static u32 vmq_filter_first_free_id(struct vmq_dev *dev)
{
	u32 id;

	for (id = 1; id < VMQ_MAX_FILTERS; id++)
		if (!vmq_filter_by_id(dev, id))
			return id;
	return 0;
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

static unsigned int vmq_move_count(const struct vmq_move *mv, const u8 *addr)
{
	unsigned int i, nr = 0;

	for (i = 0; i < mv->n; i++)
		if (ether_addr_equal(mv->filters[i]->m.addr, addr))
			nr++;
	return nr;
}

/*
 * Claim, in the shadow, the slot that @addr needs on the queue it goes to. The
 * NIC sends one address to one queue, whatever the VLAN, so an address cannot
 * be on two VM queues.
 */
static int vmq_move_claim_slot(struct vmq_move *mv, const u8 *addr, s16 *slot)
{
	struct vmq_dev *dev = mv->dev;
	struct vmq_mac_slot *s;
	int found;

	*slot = -1;
	if (!mv->to->id)
		return 0;

	found = vmq_slot_find(dev, addr);
	if (found < 0) {
		found = vmq_slot_find_free(dev);
		if (found < 0)
			return -ENOSPC;
		s = &dev->mac_slots[found];
		ether_addr_copy(s->addr, addr);
		s->queue = mv->to->id;
	}
	s = &dev->mac_slots[found];
	if (s->queue != mv->to->id &&
	    (s->queue != mv->from->id || s->users != vmq_move_count(mv, addr)))
		return -EOPNOTSUPP;

	*slot = found;
	if (s->queue == mv->to->id)
		WRITE_ONCE(s->users, s->users + 1);
	return 0;
}

static void vmq_move_unclaim_slots(struct vmq_move *mv, unsigned int n)
{
	struct vmq_mac_slot *s;

	while (n--) {
		if (mv->slots[n] < 0)
			continue;
		s = &mv->dev->mac_slots[mv->slots[n]];
		if (s->queue == mv->to->id)
			WRITE_ONCE(s->users, s->users - 1);
	}
}

/* Everything that can fail. Nothing has changed when it does. */
static int vmq_move_prepare(struct vmq_move *mv, struct netlink_ext_ack *extack)
{
	const u8 *addr;
	unsigned int i;
	int err;

	err = vmq_state_next(mv->to->state, VMQ_EVENT_FILTER_SET);
	if (err < 0)
		return vmq_refuse(mv->dev, extack, err,
				  "queue %u is %s, it can have no filter",
				  mv->to->id, vmq_state_name(mv->to->state));

	for (i = 0; i < mv->n; i++) {
		addr = mv->filters[i]->m.addr;
		err = vmq_move_claim_slot(mv, addr, &mv->slots[i]);
		if (err)
			goto unclaim_slots;
	}
	return 0;

unclaim_slots:
	vmq_move_unclaim_slots(mv, i);
	if (err == -ENOSPC)
		return vmq_refuse(mv->dev, extack, err, "filter slots full");
	return vmq_refuse(mv->dev, extack, err,
			  "%pM is on another queue, with another VLAN", addr);
}

static void vmq_move_write(struct vmq_move *mv, unsigned int i)
{
	struct vmq_mac_slot *slots = mv->dev->mac_slots;
	struct vmq_filter *f = mv->filters[i];
	s16 new = mv->slots[i];

	if (new >= 0) {
		slots[new].queue = mv->to->id;
		vmq_slot_write(mv->dev, new);
	}
	if (f->slot >= 0 && f->slot != new) {
		WRITE_ONCE(slots[f->slot].users, slots[f->slot].users - 1);
		if (!slots[f->slot].users) {
			vmq_slot_write(mv->dev, f->slot);
			vmq_switch_tell(mv->dev, VMQ_FREED_FILTER);
		}
	}
	f->slot = new;
}

/* Where the frames of a queue really are: a queue at rest uses queue 0. */
static struct vmq_queue *vmq_move_ring(struct vmq_queue *q)
{
	return q->started ? q : &q->dev->queues[0];
}

/*
 * The move itself; cannot fail. While the new ring is held the NIC switches
 * over with one write a slot, and the old ring runs dry. A filter changes its
 * queue in between: the frames of the old ring were checked against the old
 * queue, those of the new one will be against the new.
 */
static void vmq_move_apply(struct vmq_move *mv)
{
	struct vmq_queue *from = vmq_move_ring(mv->from);
	struct vmq_queue *to = vmq_move_ring(mv->to);
	const struct vmq_hw_ops *ops = mv->dev->ops;
	bool live = from != to;
	unsigned int i;

	if (live)
		ops->queue_hold(mv->dev, to->id);
	for (i = 0; i < mv->n; i++)
		vmq_move_write(mv, i);
	if (live)
		vmq_queue_run_dry(from);
	for (i = 0; i < mv->n; i++)
		WRITE_ONCE(mv->filters[i]->queue, mv->to->id);
	if (live)
		ops->queue_release(mv->dev, to->id);
}

static struct vmq_move *vmq_move_create(struct vmq_dev *dev,
					struct vmq_filter **filters,
					unsigned int n, u16 from, u16 to)
{
	struct vmq_move *mv;

	mv = kzalloc(struct_size(mv, slots, n), GFP_KERNEL);
	if (!mv)
		return NULL;
	mv->dev = dev;
	mv->filters = filters;
	mv->n = n;
	mv->from = &dev->queues[from];
	mv->to = &dev->queues[to];
	return mv;
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

static int vmq_filter_pick_id(struct vmq_dev *dev, u32 location, u32 *id,
			      struct netlink_ext_ack *extack)
{
	*id = location ? location : vmq_filter_first_free_id(dev);
	if (!*id)
		return vmq_refuse(dev, extack, -ENOSPC, "all %u filter ids used",
				  VMQ_MAX_FILTERS - 1);
	if (*id >= VMQ_MAX_FILTERS)
		return vmq_refuse(dev, extack, -EINVAL,
				  "a filter location is 1 to %u",
				  VMQ_MAX_FILTERS - 1);
	if (vmq_filter_by_id(dev, *id))
		return vmq_refuse(dev, extack, -EEXIST,
				  "location %u holds a filter already", *id);
	return 0;
}

/*
 * The VM queue in whose ring frames to this address are whatever their VLAN,
 * or NULL: then they are in the default queue's, which is told by no filter.
 */
static struct vmq_queue *vmq_filter_ring(struct vmq_dev *dev, const u8 *addr)
{
	int slot = vmq_slot_find(dev, addr);
	struct vmq_queue *q;

	if (slot < 0)
		return NULL;
	q = &dev->queues[dev->mac_slots[slot].queue];
	return q->started ? q : NULL;
}

/*
 * A change of the table alone decides anew about frames of a ring that is being
 * polled. Held, no poll sees some of them before and some after: it would hand
 * over the later ones first.
 */
static int vmq_filter_enter(struct vmq_dev *dev, struct vmq_filter *f,
			    struct vmq_queue *ring)
{
	int err;

	if (ring)
		dev->ops->queue_hold(dev, ring->id);
	err = rhashtable_insert_fast(dev->filters, &f->node, vmq_filter_params);
	if (!err && f->m.vlan == VMQ_VLAN_ANY)
		WRITE_ONCE(dev->nr_any_filters, dev->nr_any_filters + 1);
	if (ring)
		dev->ops->queue_release(dev, ring->id);
	return err;
}

/* The counterpart; what is in the ring by now is delivered as it was claimed. */
static void vmq_filter_leave(struct vmq_dev *dev, struct vmq_filter *f,
			     struct vmq_queue *ring)
{
	if (ring) {
		vmq_queue_run_dry(ring);
		dev->ops->queue_hold(dev, ring->id);
	}
	if (f->m.vlan == VMQ_VLAN_ANY)
		WRITE_ONCE(dev->nr_any_filters, dev->nr_any_filters - 1);
	rhashtable_remove_fast(dev->filters, &f->node, vmq_filter_params);
	if (ring)
		dev->ops->queue_release(dev, ring->id);
}

/*
 * A filter is on queue 0 until its frames have changed the ring. Those of an
 * address that is on the queue already do not: between insertion and the end
 * of the move they would be nobody's, although a filter for any VLAN had them.
 */
static int vmq_filter_insert(struct vmq_dev *dev, struct vmq_filter *f,
			     u16 to, struct netlink_ext_ack *extack)
{
	struct vmq_queue *ring = vmq_filter_ring(dev, f->m.addr);
	struct vmq_move *mv;
	int err = -ENOMEM;

	mv = vmq_move_create(dev, &f, 1, 0, to);
	if (!mv)
		return vmq_refuse(dev, extack, err, "no memory for a filter");
	err = vmq_move_prepare(mv, extack);
	if (err)
		goto free_move;
	if (vmq_slot_is_shared(dev, mv->slots[0]))
		f->queue = to;
	err = vmq_filter_enter(dev, f, ring);
	if (err) {
		vmq_refuse(dev, extack, err, "no memory for a filter");
		goto unclaim_slots;
	}

	/* From here on nothing fails: the NIC is written last. */
	rcu_assign_pointer(dev->filter_ids[f->id], f);
	trace_vmq_filter_add(dev, f->id, &f->m, to);
	vmq_filter_account(mv->to, 1);
	vmq_move_apply(mv);
	kfree(mv);
	return 0;

unclaim_slots:
	vmq_move_unclaim_slots(mv, 1);
free_move:
	kfree(mv);
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
	if (id >= dev->caps->pools)
		return vmq_refuse(dev, extack, -EINVAL,
				  "there is no queue %u, the last one is %u",
				  id, dev->caps->pools - 1);
	err = vmq_filter_check_match(dev, m, extack);
	if (err)
		return err;
	err = vmq_filter_check_queue(&dev->queues[id], owner, extack);
	if (err)
		return err;
	err = vmq_filter_pick_id(dev, location, &fid, extack);
	if (err)
		return err;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return vmq_refuse(dev, extack, -ENOMEM,
				  "no memory for a filter");
	f->m = *m;
	f->id = fid;
	f->slot = -1;
	f->owner = owner;
	err = vmq_filter_insert(dev, f, id, extack);
	if (err)
		goto free_filter;
	return fid;

free_filter:
	kfree(f);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_filter_add_locked);

/*
 * Move filters that are all on one queue. Only a move to a VM queue can fail
 * for lack of slots; one to the default queue may fail for lack of memory.
 */
static int vmq_filter_transfer(struct vmq_dev *dev, struct vmq_filter **filters,
			       unsigned int n, u16 to,
			       struct netlink_ext_ack *extack)
{
	struct vmq_queue *from = &dev->queues[filters[0]->queue];
	struct vmq_move *mv;
	unsigned int i;
	int err;

	if (from->id == to)
		return 0;
	mv = vmq_move_create(dev, filters, n, from->id, to);
	if (!mv)
		return vmq_refuse(dev, extack, -ENOMEM, "no memory for a move");
	err = vmq_move_prepare(mv, extack);
	if (err)
		goto free_move;
	for (i = 0; i < n; i++)
		vmq_filter_account(mv->to, 1);
	vmq_move_apply(mv);
	for (i = 0; i < n; i++) {
		trace_vmq_filter_move(dev, filters[i]->id, &filters[i]->m, to);
		vmq_filter_account(from, -1);
	}
free_move:
	kfree(mv);
	return err;
}

/* One filter's move fits on the stack: teardown must not need memory. */
static void vmq_filter_unsteer(struct vmq_dev *dev, struct vmq_filter *f)
{
	DEFINE_RAW_FLEX(struct vmq_move, mv, slots, 1);

	mv->dev = dev;
	mv->filters = &f;
	mv->n = 1;
	mv->from = &dev->queues[f->queue];
	mv->to = &dev->queues[0];
	mv->slots[0] = -1;
	if (mv->from != mv->to)
		vmq_move_apply(mv);
}

/*
 * With another filter of its address on the queue no frame changes the ring;
 * one for any VLAN claims from then on what this one did.
 */
static void vmq_filter_remove(struct vmq_dev *dev, struct vmq_filter *f)
{
	struct vmq_queue *from = &dev->queues[f->queue];
	struct vmq_mac_slot *s;

	if (vmq_slot_is_shared(dev, f->slot)) {
		s = &dev->mac_slots[f->slot];
		WRITE_ONCE(s->users, s->users - 1);
	} else {
		vmq_filter_unsteer(dev, f);
	}
	vmq_filter_leave(dev, f, vmq_filter_ring(dev, f->m.addr));
	RCU_INIT_POINTER(dev->filter_ids[f->id], NULL);
	trace_vmq_filter_del(dev, f->id, &f->m, from->id);
	vmq_filter_account(from, -1);
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

/* One by one, so that it needs no memory: teardown cannot fail. */
void vmq_filter_park_locked(struct vmq_queue *q)
{
	struct vmq_dev *dev = q->dev;
	struct vmq_filter *f;
	u32 id;

	for (id = 1; id < VMQ_MAX_FILTERS && q->nr_filters; id++) {
		f = vmq_filter_by_id(dev, id);
		if (!f || f->queue != q->id)
			continue;
		vmq_filter_unsteer(dev, f);
		trace_vmq_filter_move(dev, f->id, &f->m, 0);
		vmq_filter_account(&dev->queues[0], 1);
		vmq_filter_account(q, -1);
	}
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
	filters = kcalloc(n, sizeof(*filters), GFP_KERNEL);
	if (!filters)
		return vmq_refuse(dev, extack, -ENOMEM, "no memory for a move");
	mutex_lock(&dev->lock);
	err = vmq_filter_gather(dev, fids, n, filters, extack);
	if (!err)
		err = vmq_filter_transfer(dev, filters, n, to, extack);
	mutex_unlock(&dev->lock);
	kfree(filters);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_filter_move);

int vmq_dev_addr_check(struct vmq_dev *dev, const u8 *addr,
		       struct netlink_ext_ack *extack)
{
	struct vmq_filter *f;
	int err = 0;
	u32 id;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	for (id = 1; id < VMQ_MAX_FILTERS && !err; id++) {
		f = vmq_filter_by_id(dev, id);
		if (f && ether_addr_equal(f->m.addr, addr))
			err = vmq_refuse(dev, extack, -EADDRINUSE,
					 "%pM is claimed by filter %u", addr,
					 id);
	}
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_dev_addr_check);
