/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which members of a VLAN want a frame that is nobody's in particular: of a
 * group, or to an address that the table does not know. Knows no netdev, so
 * that it is tested alone.
 */
#ifndef _VSW_GROUP_H
#define _VSW_GROUP_H

#include <linux/etherdevice.h>
#include "vsw_table.h"

/* Groups that one member can join. */
#define VSW_GROUPS_MAX	64

/*
 * Bits of vsw_member.link_local that stay 0: the link itself is not a VM's
 * (01:80:c2:00:00:00 spanning tree, :01 PAUSE, :02 LACP).
 */
#define VSW_LINK_LOCAL_NEVER	GENMASK(2, 0)

/* One instance is the set of groups that a member has joined. */
struct vsw_groups {
	struct rcu_head rcu;
	unsigned int n;
	unsigned int room;
	u8 addrs[][ETH_ALEN];
};

/* One instance is a frame on its way to those who want it. */
struct vsw_flood {
	struct vsw_table *table;
	const u8 *addr;
	u16 vlan;
	/* Bit of vsw_member.link_local that lets it through, or 0. */
	u16 link_local;
	/* Bit of vsw_member.group_bits; 0: of no group but broadcast. */
	u64 group;
	/* Unicast: for who asked for what is unknown. */
	bool unknown;
	const struct vsw_member *origin;
	/* Who has an entry for the group. */
	const struct vsw_member *claimant;
};

struct vsw_groups *vsw_groups_alloc(unsigned int room);
bool vsw_groups_add(struct vsw_groups *groups, const u8 *addr);

void vsw_group_join(struct vsw_member *member, struct vsw_groups *groups,
		    bool all);
void vsw_group_set_promisc(struct vsw_table *table, struct vsw_member *member,
			   bool on);
void vsw_group_leave(struct vsw_table *table, struct vsw_member *member);

void vsw_group_begin_rcu(struct vsw_flood *f, struct vsw_table *table,
			 const struct vmq_match *match,
			 const struct vsw_member *origin);
struct vsw_member *vsw_group_next_rcu(const struct vsw_flood *f,
				      struct vsw_member *prev);

/* Bit of vsw_member.link_local that a destination asks for, or 0. */
static inline u16 vsw_group_link_local(const u8 *addr)
{
	return is_link_local_ether_addr(addr) ? BIT(addr[5] & 0xf) : 0;
}

/* Does anybody want what is unknown? */
static inline bool vsw_group_any_promisc(const struct vsw_table *table)
{
	return unlikely(atomic_read(&table->nr_promisc));
}

#endif /* _VSW_GROUP_H */
