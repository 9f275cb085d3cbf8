// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table of {MAC, VLAN} -> port. A hash, so that the cost of a frame does not
 * grow with the number of addresses; a bitmap of VLANs a port for the set of
 * ports that get a clone of a group frame.
 */
#include <kunit/visibility.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include "vsw_table.h"

static const struct rhashtable_params vsw_table_params = {
	.head_offset = offsetof(struct vsw_entry, node),
	.key_offset = offsetof(struct vsw_entry, match),
	.key_len = sizeof(struct vmq_match),
	.automatic_shrinking = true,
};

int vsw_table_init(struct vsw_table *table)
{
	INIT_LIST_HEAD(&table->members);
	return rhashtable_init(&table->hash, &vsw_table_params);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_init);

/* The table is empty and no reader is left. */
void vsw_table_fini(struct vsw_table *table)
{
	rhashtable_destroy(&table->hash);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_fini);

void vsw_table_member_init(struct vsw_member *member)
{
	INIT_LIST_HEAD(&member->node);
	INIT_LIST_HEAD(&member->entries);
	bitmap_zero(member->vlans, VLAN_N_VID);
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

/* A bit may be shared by several entries: look whether one is left. */
static bool vsw_table_in_vlan(const struct vsw_member *member, u16 vid)
{
	const struct vsw_entry *entry;

	list_for_each_entry(entry, &member->entries, list)
		if (entry->match.vlan == vid)
			return true;
	return false;
}

/* -EEXIST when another entry has the same match. */
int vsw_table_insert(struct vsw_table *table, struct vsw_entry *entry)
{
	int err;

	if (entry->match.vlan >= VLAN_N_VID)
		return -EINVAL;

	err = rhashtable_lookup_insert_fast(&table->hash, &entry->node,
					    vsw_table_params);
	if (err)
		return err;

	list_add_tail(&entry->list, &entry->member->entries);
	set_bit(entry->match.vlan, entry->member->vlans);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_insert);

/* The caller frees @entry after a grace period. */
void vsw_table_remove(struct vsw_table *table, struct vsw_entry *entry)
{
	rhashtable_remove_fast(&table->hash, &entry->node, vsw_table_params);
	list_del(&entry->list);
	if (!vsw_table_in_vlan(entry->member, entry->match.vlan))
		clear_bit(entry->match.vlan, entry->member->vlans);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_remove);

struct vsw_entry *vsw_table_lookup_rcu(struct vsw_table *table,
				       const struct vmq_match *match)
{
	return rhashtable_lookup(&table->hash, match, vsw_table_params);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_table_lookup_rcu);

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
