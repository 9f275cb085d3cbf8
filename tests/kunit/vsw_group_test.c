// SPDX-License-Identifier: GPL-2.0-only
/* Who of a VLAN wants a frame: groups joined, all groups, what is unknown. */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include "vsw_group.h"

#define GROUP_MEMBERS	5
/* Twice what a hash word can tell apart. */
#define GROUP_ADDRS	128

struct group_test {
	struct vsw_table table;
	struct vsw_member members[GROUP_MEMBERS];
	struct vsw_entry entries[GROUP_MEMBERS + 2];
};

static void group_addr(u8 *addr, u32 n)
{
	u64_to_ether_addr(0x333300000000ULL | n, addr);
}

/* Who gets a frame, as digits in the order they get it. */
static const char *group_takers(struct group_test *t, const u8 *addr, u16 vid,
				int origin)
{
	static char text[GROUP_MEMBERS + 2];
	struct vmq_match match = { .vlan = vid };
	struct vsw_member *m = NULL;
	struct vsw_flood f;
	unsigned int n = 0;

	ether_addr_copy(match.addr, addr);
	rcu_read_lock();
	vsw_group_begin_rcu(&f, &t->table, &match,
			    origin < 0 ? NULL : &t->members[origin]);
	while ((m = vsw_group_next_rcu(&f, m)) && n <= GROUP_MEMBERS)
		text[n++] = '0' + (m - t->members);
	rcu_read_unlock();
	text[n] = '\0';
	return text;
}

static const char *group_of(struct group_test *t, u32 n, u16 vid, int origin)
{
	u8 addr[ETH_ALEN];

	group_addr(addr, n);
	return group_takers(t, addr, vid, origin);
}

/* The member's groups are those whose bit is in @set from now on. */
static void group_join(struct kunit *test, unsigned int member,
		       const unsigned long *set)
{
	unsigned int room = bitmap_weight(set, GROUP_ADDRS), n;
	struct group_test *t = test->priv;
	struct vsw_groups *groups;
	u8 addr[ETH_ALEN];

	groups = vsw_groups_alloc(room);
	KUNIT_ASSERT_NOT_NULL(test, groups);
	for_each_set_bit(n, set, GROUP_ADDRS) {
		group_addr(addr, n);
		KUNIT_EXPECT_TRUE(test, vsw_groups_add(groups, addr));
	}
	group_addr(addr, GROUP_ADDRS);
	KUNIT_EXPECT_FALSE(test, vsw_groups_add(groups, addr));
	vsw_group_join(&t->members[member], groups, false);
}

static void group_join_one(struct kunit *test, unsigned int member, u32 n)
{
	DECLARE_BITMAP(set, GROUP_ADDRS) = {};

	__set_bit(n, set);
	group_join(test, member, set);
}

/* Entry @i of @member, unicast, unless @addr says something else. */
static int group_enter(struct group_test *t, unsigned int i,
		       unsigned int member, u16 vlan, const u8 *addr)
{
	struct vsw_entry *entry = &t->entries[i];

	u64_to_ether_addr(0x525400000000ULL | i, entry->match.addr);
	if (addr)
		ether_addr_copy(entry->match.addr, addr);
	entry->match.vlan = vlan;
	entry->member = &t->members[member];
	return vsw_table_insert(&t->table, entry);
}

/* Members 0 to 3 are untagged, 4 is in VLAN 7 alone. */
static int vsw_group_test_init(struct kunit *test)
{
	struct group_test *t;
	unsigned int i;
	int err;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	err = vsw_table_init(&t->table);
	if (err)
		return err;
	test->priv = t;
	for (i = 0; i < GROUP_MEMBERS && !err; i++) {
		vsw_table_member_init(&t->members[i]);
		vsw_table_member_add(&t->table, &t->members[i]);
		err = group_enter(t, i, i, i == 4 ? 7 : 0, NULL);
	}
	return err;
}

static void vsw_group_test_exit(struct kunit *test)
{
	struct group_test *t = test->priv;
	struct vsw_entry *entry, *next;
	unsigned int i;

	if (!t)
		return;
	for (i = 0; i < GROUP_MEMBERS; i++) {
		vsw_group_leave(&t->table, &t->members[i]);
		list_for_each_entry_safe(entry, next, &t->members[i].entries,
					 list)
			vsw_table_remove(&t->table, entry);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&t->table.nr_promisc), 0);
	synchronize_rcu();
	vsw_table_fini(&t->table);
}

static void vsw_group_test_broadcast(struct kunit *test)
{
	struct group_test *t = test->priv;
	u8 all[ETH_ALEN];

	eth_broadcast_addr(all);
	KUNIT_EXPECT_STREQ(test, group_takers(t, all, 0, -1), "0123");
	KUNIT_EXPECT_STREQ(test, group_takers(t, all, 0, 2), "013");
	KUNIT_EXPECT_STREQ(test, group_takers(t, all, 7, -1), "4");
}

static void vsw_group_test_join(struct kunit *test)
{
	struct group_test *t = test->priv;

	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "");
	group_join_one(test, 1, 1);
	group_join_one(test, 3, 1);
	group_join_one(test, 4, 1);
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "13");
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, 1), "3");
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 7, -1), "4");
	group_join_one(test, 1, 2);
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "3");
	KUNIT_EXPECT_STREQ(test, group_of(t, 2, 0, -1), "1");
	vsw_group_join(&t->members[1], NULL, false);
	KUNIT_EXPECT_STREQ(test, group_of(t, 2, 0, -1), "");
}

/* Many groups share a bit of the word: the address decides. */
static void vsw_group_test_same_bit(struct kunit *test)
{
	struct group_test *t = test->priv;
	unsigned int n, shared = 0;
	u64 bits;

	group_join_one(test, 0, 1);
	bits = t->members[0].group_bits;
	for (n = 2; n < 2000; n++) {
		group_join_one(test, 1, n % GROUP_ADDRS);
		shared += t->members[1].group_bits == bits;
		KUNIT_ASSERT_STREQ(test, group_of(t, n, 0, -1),
				   n < GROUP_ADDRS ? "1" : "");
	}
	KUNIT_EXPECT_GT(test, shared, 0);
}

static void vsw_group_test_all(struct kunit *test)
{
	struct group_test *t = test->priv;

	vsw_group_join(&t->members[2], NULL, true);
	vsw_group_join(&t->members[4], NULL, true);
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "2");
	KUNIT_EXPECT_STREQ(test, group_of(t, 9, 7, -1), "4");
	vsw_group_join(&t->members[2], NULL, false);
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "");
}

/* An entry for a group is a membership, in the VLAN of the entry. */
static void vsw_group_test_claimant(struct kunit *test)
{
	struct group_test *t = test->priv;
	u8 addr[ETH_ALEN];

	group_addr(addr, 5);
	KUNIT_ASSERT_EQ(test, group_enter(t, 5, 1, 0, addr), 0);
	KUNIT_ASSERT_EQ(test, group_enter(t, 6, 4, 0, NULL), 0);
	group_join_one(test, 3, 5);
	KUNIT_EXPECT_STREQ(test, group_of(t, 5, 0, -1), "13");
	KUNIT_EXPECT_STREQ(test, group_of(t, 5, 0, 1), "3");
	KUNIT_EXPECT_STREQ(test, group_of(t, 5, 7, -1), "");
	KUNIT_EXPECT_STREQ(test, group_of(t, 6, 0, -1), "");
	vsw_table_remove(&t->table, &t->entries[5]);
	KUNIT_EXPECT_EQ(test, t->table.nr_groups, 0);
	KUNIT_EXPECT_STREQ(test, group_of(t, 5, 0, -1), "3");
}

static void vsw_group_test_unknown(struct kunit *test)
{
	struct group_test *t = test->priv;
	const u8 stranger[ETH_ALEN] = { 0x52, 0x54, 0, 0x66, 0, 1 };

	KUNIT_EXPECT_FALSE(test, vsw_group_any_promisc(&t->table));
	vsw_group_set_promisc(&t->table, &t->members[1], true);
	vsw_group_set_promisc(&t->table, &t->members[1], true);
	vsw_group_set_promisc(&t->table, &t->members[4], true);
	/* Of groups it says nothing. */
	vsw_group_join(&t->members[0], NULL, true);
	KUNIT_EXPECT_TRUE(test, vsw_group_any_promisc(&t->table));
	KUNIT_EXPECT_STREQ(test, group_takers(t, stranger, 0, -1), "1");
	KUNIT_EXPECT_STREQ(test, group_takers(t, stranger, 0, 1), "");
	KUNIT_EXPECT_STREQ(test, group_takers(t, stranger, 7, -1), "4");
	KUNIT_EXPECT_STREQ(test, group_takers(t, stranger, 9, -1), "");
	KUNIT_EXPECT_STREQ(test, group_of(t, 1, 0, -1), "0");
	vsw_group_set_promisc(&t->table, &t->members[1], false);
	KUNIT_EXPECT_TRUE(test, vsw_group_any_promisc(&t->table));
	vsw_group_leave(&t->table, &t->members[4]);
	KUNIT_EXPECT_FALSE(test, vsw_group_any_promisc(&t->table));
}

/* What is the link's needs the bit, and the membership as well. */
static void vsw_group_test_link_local(struct kunit *test)
{
	u8 lldp[ETH_ALEN] = { 0x01, 0x80, 0xc2, 0, 0, 0x0e };
	const u8 other[ETH_ALEN] = { 0x01, 0x80, 0xc2, 0, 0, 0x10 };
	struct group_test *t = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, vsw_group_link_local(lldp), BIT(14));
	KUNIT_EXPECT_EQ(test, vsw_group_link_local(other), 0);
	for (i = 0; i < 3; i++)
		vsw_group_join(&t->members[i], NULL, true);
	KUNIT_EXPECT_STREQ(test, group_takers(t, lldp, 0, -1), "");
	KUNIT_EXPECT_STREQ(test, group_takers(t, other, 0, -1), "012");
	t->members[1].link_local = BIT(14) | BIT(3);
	t->members[2].link_local = BIT(13);
	t->members[3].link_local = BIT(14);
	KUNIT_EXPECT_STREQ(test, group_takers(t, lldp, 0, -1), "1");
	lldp[5] = 0x0d;
	KUNIT_EXPECT_STREQ(test, group_takers(t, lldp, 0, -1), "2");
	lldp[5] = 0x03;
	KUNIT_EXPECT_STREQ(test, group_takers(t, lldp, 0, -1), "1");
}

/* Members join and leave at random; who gets what is as a plain list says. */
static void vsw_group_test_random(struct kunit *test)
{
	DECLARE_BITMAP(sets[4], GROUP_ADDRS) = {};
	char wanted[GROUP_MEMBERS + 1];
	struct group_test *t = test->priv;
	unsigned int op, i, n, len;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 82576);
	for (op = 0; op < 2000; op++) {
		i = prandom_u32_state(&rnd) % ARRAY_SIZE(sets);
		n = prandom_u32_state(&rnd) % GROUP_ADDRS;
		__change_bit(n, sets[i]);
		group_join(test, i, sets[i]);
		n = prandom_u32_state(&rnd) % GROUP_ADDRS;
		for (i = 0, len = 0; i < ARRAY_SIZE(sets); i++)
			if (test_bit(n, sets[i]))
				wanted[len++] = '0' + i;
		wanted[len] = '\0';
		KUNIT_ASSERT_STREQ(test, group_of(t, n, 0, -1), wanted);
	}
}

static struct kunit_case vsw_group_test_cases[] = {
	KUNIT_CASE(vsw_group_test_broadcast),
	KUNIT_CASE(vsw_group_test_join),
	KUNIT_CASE(vsw_group_test_same_bit),
	KUNIT_CASE(vsw_group_test_all),
	KUNIT_CASE(vsw_group_test_claimant),
	KUNIT_CASE(vsw_group_test_unknown),
	KUNIT_CASE(vsw_group_test_link_local),
	KUNIT_CASE(vsw_group_test_random),
	{}
};

static struct kunit_suite vsw_group_test_suite = {
	.name		= "vsw_group",
	.init		= vsw_group_test_init,
	.exit		= vsw_group_test_exit,
	.test_cases	= vsw_group_test_cases,
};

kunit_test_suite(vsw_group_test_suite);
