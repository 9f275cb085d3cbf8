// SPDX-License-Identifier: GPL-2.0-only
/* The switch's table: lookup, and the set of ports that get a clone. */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/rhashtable.h>
#include "vsw_table.h"

#define TABLE_MEMBERS	5
#define TABLE_ENTRIES	600

struct table_test {
	struct vsw_table table;
	struct vsw_member members[TABLE_MEMBERS];
	struct vsw_entry entries[TABLE_ENTRIES];
};

static void table_match(struct vmq_match *m, u32 addr, u16 vlan)
{
	u64_to_ether_addr(0x525400000000ULL | addr, m->addr);
	m->vlan = vlan;
}

/* Entry @i as it is tried: it joins the table only if there is no other. */
static int table_insert(struct table_test *t, unsigned int i,
			unsigned int member, u32 addr, u16 vlan)
{
	struct vsw_entry *entry = &t->entries[i];

	table_match(&entry->match, addr, vlan);
	entry->member = &t->members[member];
	return vsw_table_insert(&t->table, entry);
}

/* Number of the member that has the match, or -1. */
static int table_lookup(struct table_test *t, u32 addr, u16 vlan)
{
	struct vsw_entry *entry;
	struct vmq_match m;
	int member = -1;

	table_match(&m, addr, vlan);
	rcu_read_lock();
	entry = vsw_table_lookup_rcu(&t->table, &m);
	if (entry)
		member = entry->member - t->members;
	rcu_read_unlock();
	return member;
}

static bool table_has_source(struct table_test *t, unsigned int member,
			     u32 addr)
{
	struct vmq_match m;
	bool has;

	table_match(&m, addr, 0);
	rcu_read_lock();
	has = vsw_table_has_source_rcu(&t->table, &t->members[member], m.addr);
	rcu_read_unlock();
	return has;
}

/* The members that get a clone, as digits in the order they get it. */
static const char *table_clones(struct table_test *t, u16 vid, int origin)
{
	static char text[TABLE_MEMBERS + 2];
	struct vsw_member *m = NULL, *from;
	unsigned int n = 0;

	from = origin < 0 ? NULL : &t->members[origin];
	rcu_read_lock();
	while ((m = vsw_table_next_rcu(&t->table, m, vid, from)) &&
	       n <= TABLE_MEMBERS)
		text[n++] = '0' + (m - t->members);
	rcu_read_unlock();
	text[n] = '\0';
	return text;
}

static int vsw_table_test_init(struct kunit *test)
{
	struct table_test *t;
	unsigned int i;
	int err;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	err = vsw_table_init(&t->table);
	if (err)
		return err;
	for (i = 0; i < TABLE_MEMBERS; i++) {
		vsw_table_member_init(&t->members[i]);
		vsw_table_member_add(&t->table, &t->members[i]);
	}
	test->priv = t;
	return 0;
}

/* The entries are the test's memory: the table lets go of them first. */
static void vsw_table_test_exit(struct kunit *test)
{
	struct table_test *t = test->priv;
	struct vsw_entry *entry, *next;
	unsigned int i;

	if (!t)
		return;
	for (i = 0; i < TABLE_MEMBERS; i++)
		list_for_each_entry_safe(entry, next, &t->members[i].entries,
					 list)
			vsw_table_remove(&t->table, entry);
	synchronize_rcu();
	vsw_table_fini(&t->table);
}

static void vsw_table_test_lookup(struct kunit *test)
{
	struct table_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 0), -1);
	KUNIT_EXPECT_EQ(test, table_insert(t, 0, 0, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 1, 1, 1, 100), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 2, 2, 2, 100), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 3, 3, 3, 4094), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 100), 1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 2, 100), 2);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 3, 4094), 3);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 2, 0), -1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 101), -1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 4, 0), -1);
}

/* One owner for a match, whoever asks second; the first one stays. */
static void vsw_table_test_exists(struct kunit *test)
{
	struct table_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, table_insert(t, 0, 0, 1, 100), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 1, 1, 1, 100), -EEXIST);
	KUNIT_EXPECT_EQ(test, table_insert(t, 2, 0, 1, 100), -EEXIST);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 100), 0);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "0");
	vsw_table_remove(&t->table, &t->entries[0]);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 100), -1);
	KUNIT_EXPECT_EQ(test, table_insert(t, 1, 1, 1, 100), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 100), 1);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "1");
}

/* The bitmap has 4096 bits, a match has 16: what does not fit is refused. */
static void vsw_table_test_vlan_range(struct kunit *test)
{
	struct table_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, table_insert(t, 0, 0, 1, 4095), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 1, 0, 1, 4096), -EINVAL);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 4096), -1);
}

static void table_tell(struct kunit *test, struct table_test *t,
		       unsigned int member, const char *list)
{
	unsigned long *set = NULL;

	if (list) {
		set = kunit_kcalloc(test, BITS_TO_LONGS(VLAN_N_VID),
				    sizeof(*set), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, set);
		KUNIT_ASSERT_EQ(test, bitmap_parselist(list, set, VLAN_N_VID),
				0);
	}
	vsw_table_member_leave(&t->members[member], set);
	vsw_table_member_join(&t->members[member], set);
}

/* An entry for any VLAN is good in those that its port was told of. */
static void vsw_table_test_any(struct kunit *test)
{
	struct table_test *t = test->priv;

	table_tell(test, t, 0, "7,10-4094");
	KUNIT_EXPECT_EQ(test, table_insert(t, 0, 0, 1, VMQ_VLAN_ANY), 0);
	KUNIT_EXPECT_EQ(test, table_insert(t, 1, 1, 1, VMQ_VLAN_ANY), -EEXIST);
	KUNIT_EXPECT_EQ(test, table_insert(t, 2, 1, 1, 9), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 7), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 4094), 0);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 9), 1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 8), -1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 0), -1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 2, 7), -1);
	vsw_table_remove(&t->table, &t->entries[0]);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 7), -1);
	KUNIT_EXPECT_EQ(test, table_lookup(t, 1, 9), 1);
	KUNIT_EXPECT_EQ(test, t->table.nr_any, 0);
}

/* Who was told gets clones of these VLANs, and with its entries of no other. */
static void vsw_table_test_told(struct kunit *test)
{
	struct table_test *t = test->priv;

	table_insert(t, 0, 0, 1, 0);
	table_insert(t, 1, 1, 2, 0);
	table_tell(test, t, 0, "7,4094");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "1");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 7, -1), "0");
	table_insert(t, 2, 0, 1, 7);
	vsw_table_remove(&t->table, &t->entries[2]);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 7, -1), "0");
	table_tell(test, t, 0, "7-8");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 4094, -1), "");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 8, -1), "0");
	table_tell(test, t, 0, NULL);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 7, -1), "");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "01");
}

/* Clones go to each port of the VLAN but the sender, in order of creation. */
static void vsw_table_test_clones(struct kunit *test)
{
	struct table_test *t = test->priv;

	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "");
	table_insert(t, 0, 0, 1, 0);
	table_insert(t, 1, 1, 2, 0);
	table_insert(t, 2, 2, 3, 100);
	table_insert(t, 3, 4, 4, 0);
	table_insert(t, 4, 4, 4, 100);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "014");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, 0), "14");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, 1), "04");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, 4), "01");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, 3), "014");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "24");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, 2), "4");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, 4), "2");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 101, -1), "");
}

/* A port leaves a VLAN with its last entry there, not with the first. */
static void vsw_table_test_leave_vlan(struct kunit *test)
{
	struct table_test *t = test->priv;

	table_insert(t, 0, 1, 1, 100);
	table_insert(t, 1, 1, 2, 100);
	table_insert(t, 2, 1, 3, 0);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "1");
	vsw_table_remove(&t->table, &t->entries[0]);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "1");
	vsw_table_remove(&t->table, &t->entries[1]);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 100, -1), "");
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "1");
}

/* A port that goes is out of every set, and the others stay in theirs. */
static void vsw_table_test_member_gone(struct kunit *test)
{
	struct table_test *t = test->priv;

	table_insert(t, 0, 0, 1, 0);
	table_insert(t, 1, 1, 2, 0);
	table_insert(t, 2, 2, 3, 0);
	vsw_table_member_del(&t->members[1]);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "02");
	vsw_table_member_del(&t->members[0]);
	vsw_table_member_del(&t->members[2]);
	KUNIT_EXPECT_STREQ(test, table_clones(t, 0, -1), "");
}

static bool table_has_vlan(const struct table_test *t, const bool *used,
			   unsigned int member, u16 vlan)
{
	unsigned int i;

	for (i = 0; i < TABLE_ENTRIES; i++)
		if (used[i] && t->entries[i].match.vlan == vlan &&
		    t->entries[i].member == &t->members[member])
			return true;
	return false;
}

/* Entries come and go at random; lookups and sets are as a plain list says. */
static void vsw_table_test_random(struct kunit *test)
{
	struct table_test *t = test->priv;
	unsigned int i, op, n, vlan;
	char wanted[TABLE_MEMBERS + 1];
	struct rnd_state rnd;
	bool *used;

	used = kunit_kcalloc(test, TABLE_ENTRIES, sizeof(*used), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, used);
	prandom_seed_state(&rnd, 82576);
	for (op = 0; op < 5000; op++) {
		i = prandom_u32_state(&rnd) % TABLE_ENTRIES;
		if (used[i])
			vsw_table_remove(&t->table, &t->entries[i]);
		else
			KUNIT_EXPECT_EQ(test, table_insert(t, i,
							   i / 7 % TABLE_MEMBERS,
							   i, i % 7), 0);
		used[i] = !used[i];
	}
	for (i = 0; i < TABLE_ENTRIES; i++)
		KUNIT_EXPECT_EQ(test, table_lookup(t, i, i % 7),
				used[i] ? (int)(i / 7 % TABLE_MEMBERS) : -1);
	for (vlan = 0; vlan < 8; vlan++) {
		for (i = 0, n = 0; i < TABLE_MEMBERS; i++)
			if (table_has_vlan(t, used, i, vlan))
				wanted[n++] = '0' + i;
		wanted[n] = '\0';
		KUNIT_EXPECT_STREQ(test, table_clones(t, vlan, -1), wanted);
	}
}

/* An address is its member's in whatever VLAN, as long as one entry is left. */
static void vsw_table_test_source(struct kunit *test)
{
	struct table_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, table_insert(t, 0, 0, 1, 7), 0);
	KUNIT_ASSERT_EQ(test, table_insert(t, 1, 0, 1, 9), 0);
	KUNIT_ASSERT_EQ(test, table_insert(t, 2, 1, 1, 0), 0);
	KUNIT_EXPECT_TRUE(test, table_has_source(t, 0, 1));
	KUNIT_EXPECT_TRUE(test, table_has_source(t, 1, 1));
	KUNIT_EXPECT_FALSE(test, table_has_source(t, 2, 1));
	KUNIT_EXPECT_FALSE(test, table_has_source(t, 0, 2));
	vsw_table_remove(&t->table, &t->entries[0]);
	KUNIT_EXPECT_TRUE(test, table_has_source(t, 0, 1));
	vsw_table_remove(&t->table, &t->entries[1]);
	KUNIT_EXPECT_FALSE(test, table_has_source(t, 0, 1));
	KUNIT_EXPECT_TRUE(test, table_has_source(t, 1, 1));
	/* What is refused leaves nothing behind. */
	KUNIT_EXPECT_EQ(test, table_insert(t, 3, 3, 1, 0), -EEXIST);
	KUNIT_EXPECT_FALSE(test, table_has_source(t, 3, 1));
}

/* An address without a VLAN is found among all that have the same. */
static void vsw_table_test_implied(struct kunit *test)
{
	struct table_test *t = test->priv;
	struct vsw_member *mine = &t->members[0], *other = &t->members[1];
	u8 addr[ETH_ALEN];

	KUNIT_ASSERT_EQ(test, table_insert(t, 0, 0, 1, 7), 0);
	ether_addr_copy(addr, t->entries[0].match.addr);
	KUNIT_EXPECT_NULL(test, vsw_table_find_implied(&t->table, mine, addr));
	KUNIT_ASSERT_EQ(test, table_insert(t, 1, 0, 1, 9), 0);
	t->entries[1].implied = true;
	KUNIT_ASSERT_EQ(test, table_insert(t, 2, 1, 1, 0), 0);
	KUNIT_EXPECT_PTR_EQ(test,
			    vsw_table_find_implied(&t->table, mine, addr),
			    &t->entries[1]);
	KUNIT_EXPECT_NULL(test, vsw_table_find_implied(&t->table, other, addr));
	vsw_table_remove(&t->table, &t->entries[1]);
	KUNIT_EXPECT_NULL(test, vsw_table_find_implied(&t->table, mine, addr));
}

/* Another member's address in one of some VLANs; one that is in any is not. */
static void vsw_table_test_other(struct kunit *test)
{
	struct table_test *t = test->priv;
	struct vsw_member *mine = &t->members[0], *other = &t->members[1];
	DECLARE_BITMAP(vlans, VLAN_N_VID) = {};
	u8 addr[ETH_ALEN];

	KUNIT_ASSERT_EQ(test, table_insert(t, 0, 1, 1, 7), 0);
	KUNIT_ASSERT_EQ(test, table_insert(t, 1, 1, 1, VMQ_VLAN_ANY), 0);
	ether_addr_copy(addr, t->entries[0].match.addr);
	set_bit(8, vlans);
	KUNIT_EXPECT_NULL(test, vsw_table_find_other(&t->table, mine, addr,
						     vlans));
	set_bit(7, vlans);
	KUNIT_EXPECT_PTR_EQ(test, vsw_table_find_other(&t->table, mine, addr,
						       vlans), &t->entries[0]);
	KUNIT_EXPECT_NULL(test, vsw_table_find_other(&t->table, other, addr,
						     vlans));
}

/* Addresses are counted, in however many VLANs they are, and no one else's. */
static void vsw_table_test_more_addrs(struct kunit *test)
{
	struct table_test *t = test->priv;
	struct vsw_member *mine = &t->members[0];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, table_insert(t, 3 * i, 0, i, 7), 0);
		KUNIT_ASSERT_EQ(test, table_insert(t, 3 * i + 1, 0, i, 8), 0);
		KUNIT_ASSERT_EQ(test, table_insert(t, 3 * i + 2, 1, i, 9), 0);
	}
	KUNIT_EXPECT_TRUE(test, vsw_table_has_more_addrs(&t->table, mine, 3));
	KUNIT_EXPECT_FALSE(test, vsw_table_has_more_addrs(&t->table, mine, 4));
}

static struct kunit_case vsw_table_test_cases[] = {
	KUNIT_CASE(vsw_table_test_lookup),
	KUNIT_CASE(vsw_table_test_exists),
	KUNIT_CASE(vsw_table_test_vlan_range),
	KUNIT_CASE(vsw_table_test_any),
	KUNIT_CASE(vsw_table_test_told),
	KUNIT_CASE(vsw_table_test_clones),
	KUNIT_CASE(vsw_table_test_leave_vlan),
	KUNIT_CASE(vsw_table_test_member_gone),
	KUNIT_CASE(vsw_table_test_source),
	KUNIT_CASE(vsw_table_test_implied),
	KUNIT_CASE(vsw_table_test_other),
	KUNIT_CASE(vsw_table_test_more_addrs),
	KUNIT_CASE(vsw_table_test_random),
	{}
};

static struct kunit_suite vsw_table_test_suite = {
	.name		= "vsw_table",
	.init		= vsw_table_test_init,
	.exit		= vsw_table_test_exit,
	.test_cases	= vsw_table_test_cases,
};

kunit_test_suite(vsw_table_test_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of the VM switch's table");
MODULE_LICENSE("GPL");
