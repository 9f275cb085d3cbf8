// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table of {MAC, VLAN} -> port. A hash, so that the cost of a frame does not
 * grow with the number of addresses; a bitmap of VLANs a port for the set of
 * ports that get a clone of a group frame.
 */
#include <kunit/visibility.h>
#include <linux/etherdevice.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include "vsw_table.h"

static const struct rhashtable_params vsw_table_params = {
	.head_offset = offsetof(struct vsw_entry, node),
	.key_offset = offsetof(struct vsw_entry, match),
	.key_len = sizeof(struct vmq_match),
	.automatic_shrinking = true,
};

/* The same entries by address alone. */
static const struct rhashtable_params vsw_table_source_params = {
	.head_offset = offsetof(struct vsw_entry, source),
	.key_offset = offsetof(struct vsw_entry, match.addr),
	.key_len = ETH_ALEN,
	.automatic_shrinking = true,
};

int vsw_table_init(struct vsw_table *table)
{
	int err;

	INIT_LIST_HEAD(&table->members);
	table->nr_any = 0;
	table->nr_groups = 0;
	atomic_set(&table->nr_promisc, 0);
	err = rhashtable_init(&table->hash, &vsw_table_params);
	if (err)
		return err;
	err = rhltable_init(&table->sources, &vsw_table_source_params);
	if (err)
		rhashtable_destroy(&table->hash);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_init);

/* The table is empty and no reader is left. */
void vsw_table_fini(struct vsw_table *table)
{
	rhltable_destroy(&table->sources);
	rhashtable_destroy(&table->hash);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_fini);

void vsw_table_member_init(struct vsw_member *member)
{
	INIT_LIST_HEAD(&member->node);
	INIT_LIST_HEAD(&member->entries);
	bitmap_zero(member->vlans, VLAN_N_VID);
	member->told = false;
	RCU_INIT_POINTER(member->groups, NULL);
	member->group_bits = 0;
	member->all_groups = false;
	member->promisc = false;
	member->link_local = 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_member_init);

void vsw_table_member_add(struct vsw_table *table, struct vsw_member *member)
{
	list_add_tail_rcu(&member->node, &table->members);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_member_add);

/* The member's memory must outlive the readers that still look at it. */
void vsw_table_member_del(struct vsw_member *member)
{
	list_del_rcu(&member->node);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_member_del);

static void vsw_table_count_group(struct vsw_table *table,
				  const struct vsw_entry *entry, int n)
{
	if (is_multicast_ether_addr(entry->match.addr))
		WRITE_ONCE(table->nr_groups, table->nr_groups + n);
}

/* A bit may be shared by several entries: look whether one is left. */
static bool vsw_table_in_vlan(const struct vsw_member *member, u16 vid)
{
	const struct vsw_entry *entry;

	list_for_each_entry(entry, &member->entries, list)
		if (entry->match.vlan == vid)
			return true;
	return false;
}

/* One look at each entry: there may be many of both. */
static void vsw_table_collect_vlans(const struct vsw_member *member,
				    unsigned long *vlans)
{
	const struct vsw_entry *entry;

	bitmap_zero(vlans, VLAN_N_VID);
	list_for_each_entry(entry, &member->entries, list)
		if (entry->match.vlan != VMQ_VLAN_ANY)
			__set_bit(entry->match.vlan, vlans);
}

/*
 * The member is told what it hears, or with NULL nothing any more. In two steps,
 * for what its owner does in between: out of VLANs, into others. What it hears
 * before and after it hears all the while.
 */
void vsw_table_member_leave(struct vsw_member *member,
			    const unsigned long *vlans)
{
	DECLARE_BITMAP(has, VLAN_N_VID);
	unsigned long vid;

	if (!vlans)
		vsw_table_collect_vlans(member, has);
	for_each_set_bit(vid, member->vlans, VLAN_N_VID)
		if (!test_bit(vid, vlans ? vlans : has))
			clear_bit(vid, member->vlans);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_member_leave);

void vsw_table_member_join(struct vsw_member *member,
			   const unsigned long *vlans)
{
	const struct vsw_entry *entry;
	unsigned long vid;

	member->told = vlans;
	if (vlans) {
		for_each_set_bit(vid, vlans, VLAN_N_VID)
			set_bit(vid, member->vlans);
		return;
	}
	list_for_each_entry(entry, &member->entries, list)
		if (entry->match.vlan != VMQ_VLAN_ANY)
			set_bit(entry->match.vlan, member->vlans);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_member_join);

/* @change: 1 with a new entry, -1 without one that was there. */
static void vsw_table_count_any(struct vsw_table *table, int change)
{
	WRITE_ONCE(table->nr_any, table->nr_any + change);
}

/* -EEXIST when another entry has the same match. */
int vsw_table_insert(struct vsw_table *table, struct vsw_entry *entry)
{
	bool any = entry->match.vlan == VMQ_VLAN_ANY;
	int err;

	if (!any && entry->match.vlan >= VLAN_N_VID)
		return -EINVAL;

	err = rhashtable_lookup_insert_fast(&table->hash, &entry->node,
					    vsw_table_params);
	if (err)
		return err;
	err = rhltable_insert(&table->sources, &entry->source,
			      vsw_table_source_params);
	if (err) {
		rhashtable_remove_fast(&table->hash, &entry->node,
				       vsw_table_params);
		return err;
	}

	list_add_tail(&entry->list, &entry->member->entries);
	if (any)
		vsw_table_count_any(table, 1);
	else if (!entry->member->told)
		set_bit(entry->match.vlan, entry->member->vlans);
	vsw_table_count_group(table, entry, 1);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_insert);

/* The caller frees @entry after a grace period. */
void vsw_table_remove(struct vsw_table *table, struct vsw_entry *entry)
{
	rhltable_remove(&table->sources, &entry->source,
			vsw_table_source_params);
	rhashtable_remove_fast(&table->hash, &entry->node, vsw_table_params);
	list_del(&entry->list);
	vsw_table_count_group(table, entry, -1);
	if (entry->match.vlan == VMQ_VLAN_ANY)
		vsw_table_count_any(table, -1);
	else if (!entry->member->told &&
		 !vsw_table_in_vlan(entry->member, entry->match.vlan))
		clear_bit(entry->match.vlan, entry->member->vlans);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_remove);

/* The entry with just this match, under rtnl. */
struct vsw_entry *vsw_table_find(struct vsw_table *table,
				 const struct vmq_match *match)
{
	return rhashtable_lookup_fast(&table->hash, match, vsw_table_params);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_find);

/* An entry of another member for this address in one of the VLANs; rtnl. */
struct vsw_entry *vsw_table_find_other(struct vsw_table *table,
				       const struct vsw_member *member,
				       const u8 *addr,
				       const unsigned long *vlans)
{
	struct vsw_entry *entry, *found = NULL;
	struct rhlist_head *pos, *list;

	rcu_read_lock();
	list = rhltable_lookup(&table->sources, addr, vsw_table_source_params);
	rhl_for_each_entry_rcu(entry, pos, list, source)
		if (entry->member != member &&
		    entry->match.vlan != VMQ_VLAN_ANY &&
		    test_bit(entry->match.vlan, vlans))
			found = entry;
	rcu_read_unlock();
	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_find_other);

/*
 * Has the member entries of more addresses than that? Of what may be a hundred
 * thousand, no more are looked at than it takes; rtnl.
 */
bool vsw_table_has_more_addrs(struct vsw_table *table,
			      const struct vsw_member *member,
			      unsigned int most)
{
	struct rhlist_head *pos, *list;
	const struct vsw_entry *entry;
	struct vsw_entry *first;
	unsigned int n = 0;

	rcu_read_lock();
	list_for_each_entry(entry, &member->entries, list) {
		list = rhltable_lookup(&table->sources, entry->match.addr,
				       vsw_table_source_params);
		rhl_for_each_entry_rcu(first, pos, list, source)
			if (first->member == member)
				break;
		n += first == entry;
		if (n > most)
			break;
	}
	rcu_read_unlock();
	return n > most;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_has_more_addrs);

/* The member's entry for an address without a VLAN, in any of its VLANs; rtnl. */
struct vsw_entry *vsw_table_find_implied(struct vsw_table *table,
					 const struct vsw_member *member,
					 const u8 *addr)
{
	struct vsw_entry *entry, *found = NULL;
	struct rhlist_head *pos, *list;

	rcu_read_lock();
	list = rhltable_lookup(&table->sources, addr, vsw_table_source_params);
	rhl_for_each_entry_rcu(entry, pos, list, source)
		if (entry->member == member && entry->implied)
			found = entry;
	rcu_read_unlock();
	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_find_implied);

/* An entry for any VLAN is one for those that its member hears. */
static struct vsw_entry *vsw_table_lookup_any(struct vsw_table *table,
					      const struct vmq_match *match)
{
	struct vmq_match any = { .vlan = VMQ_VLAN_ANY };
	struct vsw_entry *entry;

	ether_addr_copy(any.addr, match->addr);
	entry = rhashtable_lookup(&table->hash, &any, vsw_table_params);
	return entry && match->vlan < VLAN_N_VID &&
	       test_bit(match->vlan, entry->member->vlans) ? entry : NULL;
}

struct vsw_entry *vsw_table_lookup_rcu(struct vsw_table *table,
				       const struct vmq_match *match)
{
	struct vsw_entry *entry;

	entry = rhashtable_lookup(&table->hash, match, vsw_table_params);
	if (entry || likely(!READ_ONCE(table->nr_any)))
		return entry;
	return vsw_table_lookup_any(table, match);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_lookup_rcu);

/* Is this an address of the member, in whatever VLAN? */
bool vsw_table_has_source_rcu(struct vsw_table *table,
			      const struct vsw_member *member, const u8 *addr)
{
	struct rhlist_head *pos, *list;
	struct vsw_entry *entry;

	list = rhltable_lookup(&table->sources, addr, vsw_table_source_params);
	rhl_for_each_entry_rcu(entry, pos, list, source)
		if (entry->member == member)
			return true;
	return false;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_has_source_rcu);

/*
 * Walk the members of a VLAN except @origin, which never gets its own frame
 * back. @prev is NULL for the first; NULL is returned after the last.
 */
struct vsw_member *vsw_table_next_rcu(struct vsw_table *table,
				      struct vsw_member *prev, u16 vid,
				      const struct vsw_member *origin)
{
	struct vsw_member *member;

	member = prev ? prev : list_entry(&table->members, typeof(*member),
					  node);
	list_for_each_entry_continue_rcu(member, &table->members, node)
		if (member != origin && test_bit(vid, member->vlans))
			return member;
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_next_rcu);
