/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The switch's table: which port takes the frames of a {MAC, VLAN}, and which
 * ports are in a VLAN. Knows no netdev, so that it is tested alone.
 */
#ifndef _VSW_TABLE_H
#define _VSW_TABLE_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/rhashtable-types.h>
#include <vmq/vmq.h>

struct vsw_groups;

/* One instance is what the table knows of a port; embedded in the port. */
struct vsw_member {
	/* In vsw_table.members, in order of creation; RCU. */
	struct list_head node;
	/* Entries of this member; rtnl. */
	struct list_head entries;
	/*
	 * VLANs that the member hears: those it was told, if it was told any,
	 * or else those in which it has an entry; untagged is bit 0.
	 */
	DECLARE_BITMAP(vlans, VLAN_N_VID);
	bool told;
	/* Hash of each of @groups: no bit, no member; see vsw_group.c. */
	u64 group_bits;
	struct vsw_groups __rcu *groups;
	bool all_groups;
	/* Wants what is sent to unknown addresses, too. */
	bool promisc;
	/* Bit n: 01:80:c2:00:00:0n is let through; rtnl. */
	u16 link_local;
};

/* One instance says that frames matching @match are for @member. */
struct vsw_entry {
	struct rhash_head node;
	/* Among the entries with the same address, of any VLAN and member. */
	struct rhlist_head source;
	struct vmq_match match;
	struct vsw_member *member;
	struct list_head list;
	/* An address without a VLAN, claimed in one that its port is in. */
	bool implied;
	u32 fid;
	/* Asked for by what stands on the port, not by the uplink's owner. */
	bool rx_mode;
	struct rcu_head rcu;
};

/* One instance is the table of one uplink. Written under rtnl, read in RCU. */
struct vsw_table {
	struct rhashtable hash;
	struct rhltable sources;
	struct list_head members;
	/* Entries for any VLAN. */
	unsigned int nr_any;
	/* Entries for groups, so that without any no frame is looked up. */
	unsigned int nr_groups;
	/* Members with @promisc, likewise. */
	atomic_t nr_promisc;
};

int vsw_table_init(struct vsw_table *table);
void vsw_table_fini(struct vsw_table *table);

void vsw_table_member_init(struct vsw_member *member);
void vsw_table_member_add(struct vsw_table *table, struct vsw_member *member);
void vsw_table_member_del(struct vsw_member *member);
void vsw_table_member_leave(struct vsw_member *member,
			    const unsigned long *vlans);
void vsw_table_member_join(struct vsw_member *member,
			   const unsigned long *vlans);

int vsw_table_insert(struct vsw_table *table, struct vsw_entry *entry);
void vsw_table_remove(struct vsw_table *table, struct vsw_entry *entry);

struct vsw_entry *vsw_table_find(struct vsw_table *table,
				 const struct vmq_match *match);
struct vsw_entry *vsw_table_find_other(struct vsw_table *table,
				       const struct vsw_member *member,
				       const u8 *addr,
				       const unsigned long *vlans);
bool vsw_table_has_more_addrs(struct vsw_table *table,
			      const struct vsw_member *member,
			      unsigned int most);
struct vsw_entry *vsw_table_find_implied(struct vsw_table *table,
					 const struct vsw_member *member,
					 const u8 *addr);
struct vsw_entry *vsw_table_lookup_rcu(struct vsw_table *table,
				       const struct vmq_match *match);
bool vsw_table_has_source_rcu(struct vsw_table *table,
			      const struct vsw_member *member, const u8 *addr);
struct vsw_member *vsw_table_next_rcu(struct vsw_table *table,
				      struct vsw_member *prev, u16 vid,
				      const struct vsw_member *origin);

#endif /* _VSW_TABLE_H */
