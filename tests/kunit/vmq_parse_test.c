// SPDX-License-Identifier: GPL-2.0-only
/* What users may write into filter_add and the name files. */
#include <kunit/test.h>
#include <linux/ctype.h>
#include "vmq_priv.h"

#define ADDR	{ 0x52, 0x54, 0x00, 0x00, 0x17, 0x01 }

/* Text, and the match it stands for; vlan is not looked at when refused. */
struct parse_case {
	const char *text;
	int err;
	u16 vlan;
};

static const struct parse_case parse_cases[] = {
	{ "52:54:00:00:17:01", 0, VMQ_VLAN_UNTAGGED },
	{ "52:54:00:00:17:01\n", 0, VMQ_VLAN_UNTAGGED },
	{ "  52:54:00:00:17:01  ", 0, VMQ_VLAN_UNTAGGED },
	{ "52:54:00:00:17:01 untagged", 0, VMQ_VLAN_UNTAGGED },
	{ "52:54:00:00:17:01 any", 0, VMQ_VLAN_ANY },
	{ "52:54:00:00:17:01 vlan 1", 0, 1 },
	{ "52:54:00:00:17:01 vlan 100\n", 0, 100 },
	{ "52:54:00:00:17:01  vlan 4094", 0, 4094 },

	{ "", -EINVAL },
	{ "\n", -EINVAL },
	{ "untagged", -EINVAL },
	{ "52:54:00:00:17", -EINVAL },
	{ "52:54:00:00:17:0", -EINVAL },
	{ "52:54:00:00:17:0g", -EINVAL },
	{ "52-54-00-00-17-01", -EINVAL },
	{ "525400001701", -EINVAL },
	{ "52:54:00:00:17:01:02", -EINVAL },
	{ "52:54:00:00:17:01untagged", -EINVAL },
	{ "52:54:00:00:17:01,any", -EINVAL },
	{ "52:54:00:00:17:01 Untagged", -EINVAL },
	{ "52:54:00:00:17:01 tagged", -EINVAL },
	{ "52:54:00:00:17:01 any any", -EINVAL },
	{ "52:54:00:00:17:01 untagged 5", -EINVAL },
	{ "52:54:00:00:17:01 5", -EINVAL },
	{ "52:54:00:00:17:01 vlan", -EINVAL },
	{ "52:54:00:00:17:01 vlan ", -EINVAL },
	{ "52:54:00:00:17:01 vlan5", -EINVAL },
	{ "52:54:00:00:17:01 vlan x", -EINVAL },
	{ "52:54:00:00:17:01 vlan 0x64", -EINVAL },
	{ "52:54:00:00:17:01 vlan -1", -EINVAL },
	{ "52:54:00:00:17:01 vlan 5 6", -EINVAL },
	{ "52:54:00:00:17:01 vlan 5x", -EINVAL },
	{ "52:54:00:00:17:01 vlan 0", -EINVAL },
	{ "52:54:00:00:17:01 vlan 4095", -EINVAL },
	{ "52:54:00:00:17:01 vlan 4096", -EINVAL },
	{ "52:54:00:00:17:01 vlan 65535", -EINVAL },
	{ "52:54:00:00:17:01 vlan 65536", -EINVAL },
	{ "52:54:00:00:17:01 vlan 65541", -EINVAL },
	{ "52:54:00:00:17:01 vlan 99999999999999999999", -EINVAL },
	{ "52:54:00:00:17:01              vlan 5", -EINVAL },
};

static void vmq_parse_test_match(struct kunit *test)
{
	static const u8 addr[ETH_ALEN] = ADDR;
	const struct parse_case *c;
	struct vmq_match m;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parse_cases); i++) {
		c = &parse_cases[i];
		memset(&m, 0xa5, sizeof(m));
		KUNIT_EXPECT_EQ_MSG(test, vmq_match_parse(c->text, &m), c->err,
				    "'%s'", c->text);
		if (c->err)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, m.vlan, c->vlan, "'%s'", c->text);
		KUNIT_EXPECT_MEMEQ(test, m.addr, addr, ETH_ALEN);
	}
}

/* The columns that one file shows, with "vlan" in between, the other takes. */
static void vmq_parse_test_roundtrip(struct kunit *test)
{
	struct vmq_match in = { .addr = { 0x02, 0xab, 0xcd, 0xef, 0, 0xff } };
	const size_t mac = 3 * ETH_ALEN - 1;
	char text[64], words[80];
	struct vmq_match out;
	u32 vlan;
	int len;

	for (vlan = 0; vlan <= 4095; vlan++) {
		in.vlan = vlan == 4095 ? VMQ_VLAN_ANY : vlan;
		len = vmq_match_format(text, sizeof(text), &in);
		KUNIT_EXPECT_EQ(test, len, strlen(text));
		snprintf(words, sizeof(words), "%.*s%s%s", (int)mac, text,
			 isdigit(text[mac + 1]) ? " vlan" : "", text + mac);
		KUNIT_ASSERT_EQ_MSG(test, vmq_match_parse(words, &out), 0,
				    "'%s'", words);
		KUNIT_ASSERT_EQ_MSG(test, vmq_match_key(&in),
				    vmq_match_key(&out), "'%s'", words);
	}
}

static void vmq_parse_test_format(struct kunit *test)
{
	struct vmq_match m = { .addr = ADDR };
	char text[64];

	vmq_match_format(text, sizeof(text), &m);
	KUNIT_EXPECT_STREQ(test, text, "52:54:00:00:17:01 untagged");
	m.vlan = 100;
	vmq_match_format(text, sizeof(text), &m);
	KUNIT_EXPECT_STREQ(test, text, "52:54:00:00:17:01 100");
	m.vlan = VMQ_VLAN_ANY;
	vmq_match_format(text, sizeof(text), &m);
	KUNIT_EXPECT_STREQ(test, text, "52:54:00:00:17:01 any");

	/* A short buffer is filled, ended and not overrun. */
	memset(text, 'x', sizeof(text));
	vmq_match_format(text, 6, &m);
	KUNIT_EXPECT_STREQ(test, text, "52:54");
	KUNIT_EXPECT_EQ(test, text[6], 'x');
}

/* Which matches a filter can have, and the errno of the others. */
struct check_case {
	const char *name;
	u8 addr[ETH_ALEN];
	u16 vlan;
	int err;
};

static const struct check_case check_cases[] = {
	{ "untagged", ADDR, VMQ_VLAN_UNTAGGED, 0 },
	{ "vlan 1", ADDR, 1, 0 },
	{ "vlan 4094", ADDR, 4094, 0 },
	{ "vlan 4095", ADDR, 4095, -EINVAL },
	{ "vlan 4096", ADDR, 4096, -EINVAL },
	{ "vlan 65534", ADDR, 0xfffe, -EINVAL },
	{ "any vlan", ADDR, VMQ_VLAN_ANY, 0 },
	{ "zero address", { 0 }, 5, -EINVAL },
	{ "zero address, any vlan", { 0 }, VMQ_VLAN_ANY, -EINVAL },
	{ "broadcast", { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 0, -EINVAL },
	{ "IPv4 group", { 0x01, 0x00, 0x5e, 0, 0, 1 }, 0, 0 },
	{ "IPv6 group", { 0x33, 0x33, 0, 0, 0, 1 }, 5, 0 },
	{ "group of any VLAN", { 0x33, 0x33, 0, 0, 0, 1 }, VMQ_VLAN_ANY,
	  -EOPNOTSUPP },
};

static void vmq_parse_test_check(struct kunit *test)
{
	const struct check_case *c;
	struct vmq_match m;
	const char *why;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(check_cases); i++) {
		c = &check_cases[i];
		ether_addr_copy(m.addr, c->addr);
		m.vlan = c->vlan;
		err = 1;
		why = vmq_match_check(&m, &err);
		KUNIT_EXPECT_EQ_MSG(test, err, c->err, "%s", c->name);
		KUNIT_EXPECT_EQ_MSG(test, !!why, !!c->err, "%s", c->name);
		if (why)
			KUNIT_EXPECT_GT_MSG(test, strlen(why), 10, "%s",
					    c->name);
	}
}

/* Equal matches only have equal keys, so no bit may be left out. */
static void vmq_parse_test_key(struct kunit *test)
{
	struct vmq_match a = { .addr = ADDR, .vlan = 100 }, b = a;
	u8 *bytes = (u8 *)&b;
	unsigned int bit;

	KUNIT_EXPECT_EQ(test, vmq_match_key(&a), vmq_match_key(&b));
	for (bit = 0; bit < 8 * sizeof(b); bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		KUNIT_EXPECT_NE_MSG(test, vmq_match_key(&a), vmq_match_key(&b),
				    "bit %u", bit);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void vmq_parse_test_name(struct kunit *test)
{
	static const char * const good[] = {
		"a", "vm17", "two words", "UTF~!@#$%^&*()", "..",
	};
	static const char * const bad[] = {
		"", " ", " a", "a ", "a/b", "/", "a\n", "a\tb", "\177", "a\001",
		"\xc3\xa9", "caf\xe9",
	};
	char name[VMQ_NAME_LEN + 8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		KUNIT_EXPECT_TRUE_MSG(test, vmq_name_valid(good[i]), "'%s'",
				      good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_FALSE_MSG(test, vmq_name_valid(bad[i]), "'%*pE'",
				       (int)strlen(bad[i]), bad[i]);

	memset(name, 'n', sizeof(name));
	name[63] = '\0';
	KUNIT_EXPECT_TRUE(test, vmq_name_valid(name));
	name[63] = 'n';
	name[64] = '\0';
	KUNIT_EXPECT_FALSE(test, vmq_name_valid(name));
}

static struct kunit_case vmq_parse_test_cases[] = {
	KUNIT_CASE(vmq_parse_test_match),
	KUNIT_CASE(vmq_parse_test_roundtrip),
	KUNIT_CASE(vmq_parse_test_format),
	KUNIT_CASE(vmq_parse_test_check),
	KUNIT_CASE(vmq_parse_test_key),
	KUNIT_CASE(vmq_parse_test_name),
	{}
};

static struct kunit_suite vmq_parse_test_suite = {
	.name		= "vmq_parse",
	.test_cases	= vmq_parse_test_cases,
};

kunit_test_suite(vmq_parse_test_suite);
