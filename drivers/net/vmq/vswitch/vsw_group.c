// SPDX-License-Identifier: GPL-2.0-only
/*
 * Group membership in software. A member that does not want a group costs its
 * frames one test of a word: VMs join few groups, and there may be many VMs.
 */
#include <kunit/visibility.h>
#include <linux/hash.h>
#include <linux/slab.h>
#include "vsw_group.h"

/* Any context; NULL without memory. */
struct vsw_groups *vsw_groups_alloc(unsigned int room)
{
	struct vsw_groups *groups;

	groups = kmalloc(struct_size(groups, addrs, room),
			 GFP_ATOMIC | __GFP_NOWARN);
	if (!groups)
		return NULL;
	groups->n = 0;
	groups->room = room;
	return groups;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_groups_alloc);

/* Before the set is joined. False: there is no room for one more. */
bool vsw_groups_add(struct vsw_groups *groups, const u8 *addr)
{
	if (groups->n == groups->room)
		return false;
	ether_addr_copy(groups->addrs[groups->n++], addr);
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_groups_add);

static u64 vsw_group_bit(const u8 *addr)
{
	return BIT_ULL(hash_64(ether_addr_to_u64(addr), 6));
}

static u64 vsw_groups_bits(const struct vsw_groups *groups)
{
	u64 bits = 0;
	unsigned int i;

	for (i = 0; groups && i < groups->n; i++)
		bits |= vsw_group_bit(groups->addrs[i]);
	return bits;
}

/*
 * The member's groups from now on, NULL for none, or @all there are. @groups is
 * the member's, or freed. Writers take turns.
 *
 * A group that stays is never missed: it is in both sets and its bit in both
 * words, whichever of them a reader sees; a reader that finds "all" gone finds
 * what came in its place.
 */
void vsw_group_join(struct vsw_member *member, struct vsw_groups *groups,
		    bool all)
{
	struct vsw_groups *old = rcu_dereference_protected(member->groups, 1);

	if (all) {
		/* A reader that has not seen it yet finds the old set still. */
		WRITE_ONCE(member->all_groups, true);
		kfree(groups);
		return;
	}
	rcu_assign_pointer(member->groups, groups);
	WRITE_ONCE(member->group_bits, vsw_groups_bits(groups));
	/* Pairs with the load in vsw_group_joined_rcu(). */
	smp_store_release(&member->all_groups, false);
	if (old)
		kfree_rcu(old, rcu);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_group_join);

void vsw_group_set_promisc(struct vsw_table *table, struct vsw_member *member,
			   bool on)
{
	if (member->promisc == on)
		return;
	WRITE_ONCE(member->promisc, on);
	atomic_add(on ? 1 : -1, &table->nr_promisc);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_group_set_promisc);

/* The member's end: no other writer is left. */
void vsw_group_leave(struct vsw_table *table, struct vsw_member *member)
{
	vsw_group_join(member, NULL, false);
	vsw_group_set_promisc(table, member, false);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_group_leave);

static const struct vsw_member *
vsw_group_claimant_rcu(struct vsw_table *table, const struct vmq_match *match)
{
	struct vsw_entry *entry;

	if (likely(!READ_ONCE(table->nr_groups)))
		return NULL;
	entry = vsw_table_lookup_rcu(table, match);
	return entry ? entry->member : NULL;
}

/*
 * A frame to @match->addr, which outlives the walk, of a member or from
 * elsewhere (@origin NULL).
 */
void vsw_group_begin_rcu(struct vsw_flood *f, struct vsw_table *table,
			 const struct vmq_match *match,
			 const struct vsw_member *origin)
{
	*f = (struct vsw_flood){
		.table = table,
		.addr = match->addr,
		.vlan = match->vlan,
		.origin = origin,
	};
	if (!is_multicast_ether_addr(f->addr)) {
		f->unknown = true;
	} else if (!is_broadcast_ether_addr(f->addr)) {
		f->group = vsw_group_bit(f->addr);
		f->link_local = vsw_group_link_local(f->addr);
		f->claimant = vsw_group_claimant_rcu(table, match);
	}
}
EXPORT_SYMBOL_IF_KUNIT(vsw_group_begin_rcu);

static bool vsw_group_joined_rcu(const struct vsw_member *member,
				 const struct vsw_flood *f)
{
	const struct vsw_groups *groups;
	unsigned int i;

	/* Pairs with vsw_group_join(): not all, then at least the set of then. */
	if (smp_load_acquire(&member->all_groups))
		return true;
	if (likely(!(READ_ONCE(member->group_bits) & f->group)))
		return false;
	groups = rcu_dereference(member->groups);
	for (i = 0; groups && i < groups->n; i++)
		if (ether_addr_equal(groups->addrs[i], f->addr))
			return true;
	return false;
}

static bool vsw_group_wants_rcu(const struct vsw_member *member,
				const struct vsw_flood *f)
{
	if (f->unknown)
		return READ_ONCE(member->promisc);
	if (!f->group || member == f->claimant)
		return true;
	if (unlikely(f->link_local) &&
	    !(READ_ONCE(member->link_local) & f->link_local))
		return false;
	return vsw_group_joined_rcu(member, f);
}

/* The one after @prev who gets the frame; NULL for the first, and at the end. */
struct vsw_member *vsw_group_next_rcu(const struct vsw_flood *f,
				      struct vsw_member *prev)
{
	do {
		prev = vsw_table_next_rcu(f->table, prev, f->vlan, f->origin);
	} while (prev && !vsw_group_wants_rcu(prev, f));
	return prev;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_group_next_rcu);
