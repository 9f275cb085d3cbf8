// SPDX-License-Identifier: GPL-2.0-only
/* ethtool's rules to matches and back, and every rule the NIC cannot do. */
#include <kunit/test.h>
#include "vmq_priv.h"

static const u8 ntuple_addr[ETH_ALEN] = { 0x52, 0x54, 0, 0, 0x17, 1 };

/* ethtool -N ... flow-type ether dst MAC [vlan tci m ~mask] action 3 */
static void ntuple_rule(struct ethtool_rx_flow_spec *fs, bool vlan, u16 tci,
			u16 mask)
{
	memset(fs, 0, sizeof(*fs));
	fs->flow_type = ETHER_FLOW;
	ether_addr_copy(fs->h_u.ether_spec.h_dest, ntuple_addr);
	eth_broadcast_addr(fs->m_u.ether_spec.h_dest);
	fs->ring_cookie = 3;
	fs->location = RX_CLS_LOC_ANY;
	if (!vlan)
		return;
	fs->flow_type |= FLOW_EXT;
	fs->h_ext.vlan_tci = htons(tci);
	fs->m_ext.vlan_tci = htons(mask);
}

struct ntuple_vlan {
	u16 tci;
	u16 mask;
	u16 vlan;
	int err;
};

static const struct ntuple_vlan ntuple_vlans[] = {
	{ 0, 0x0fff, VMQ_VLAN_UNTAGGED, 0 },
	{ 0, 0xffff, VMQ_VLAN_UNTAGGED, 0 },
	{ 1, 0x0fff, 1, 0 },
	{ 100, 0x0fff, 100, 0 },
	{ 100, 0xffff, 100, 0 },
	{ 4094, 0xffff, 4094, 0 },
	/* The VID itself is vmq_match_check()'s to judge. */
	{ 4095, 0x0fff, 4095, 0 },
	/* Priority under the mask's zero bits means nothing. */
	{ 0x6064, 0x0fff, 100, 0 },
	{ 100, 0, VMQ_VLAN_ANY, 0 },
	{ 0x2064, 0xffff, 0, -EOPNOTSUPP },
	{ 0x1064, 0xffff, 0, -EOPNOTSUPP },
	{ 100, 0x0ffe, 0, -EOPNOTSUPP },
	{ 100, 0x0001, 0, -EOPNOTSUPP },
	{ 0x2000, 0xe000, 0, -EOPNOTSUPP },
	{ 100, 0xefff, 0, -EOPNOTSUPP },
	{ 100, 0xf000, 0, -EOPNOTSUPP },
};

static void vmq_ntuple_test_vlan(struct kunit *test)
{
	struct ethtool_rx_flow_spec fs;
	const struct ntuple_vlan *c;
	struct vmq_match m;
	unsigned int i;
	const char *why;
	int err;

	for (i = 0; i < ARRAY_SIZE(ntuple_vlans); i++) {
		c = &ntuple_vlans[i];
		ntuple_rule(&fs, true, c->tci, c->mask);
		err = 1;
		why = vmq_ntuple_parse(&fs, &m, &err);
		KUNIT_EXPECT_EQ_MSG(test, err, c->err, "vlan %#x mask %#x",
				    c->tci, c->mask);
		KUNIT_EXPECT_EQ(test, !!why, !!c->err);
		if (err)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, m.vlan, c->vlan, "vlan %#x mask %#x",
				    c->tci, c->mask);
		KUNIT_EXPECT_MEMEQ(test, m.addr, ntuple_addr, ETH_ALEN);
	}
}

static void vmq_ntuple_test_no_vlan(struct kunit *test)
{
	struct ethtool_rx_flow_spec fs;
	struct vmq_match m;
	int err = 1;

	ntuple_rule(&fs, false, 0, 0);
	KUNIT_EXPECT_NULL(test, vmq_ntuple_parse(&fs, &m, &err));
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, m.vlan, VMQ_VLAN_ANY);

	/* Without FLOW_EXT what stands in the extension is not set. */
	fs.h_ext.vlan_tci = htons(7);
	fs.m_ext.vlan_tci = htons(0x0ffe);
	KUNIT_EXPECT_NULL(test, vmq_ntuple_parse(&fs, &m, &err));
	KUNIT_EXPECT_EQ(test, m.vlan, VMQ_VLAN_ANY);
}

/* One thing that spoils a good rule, and nothing else. */
struct ntuple_spoil {
	const char *name;
	void (*spoil)(struct ethtool_rx_flow_spec *fs);
};

static void spoil_dst_mask(struct ethtool_rx_flow_spec *fs)
{
	fs->m_u.ether_spec.h_dest[5] = 0xfe;
}

static void spoil_no_dst(struct ethtool_rx_flow_spec *fs)
{
	eth_zero_addr(fs->m_u.ether_spec.h_dest);
}

static void spoil_source(struct ethtool_rx_flow_spec *fs)
{
	eth_broadcast_addr(fs->m_u.ether_spec.h_source);
}

static void spoil_source_bit(struct ethtool_rx_flow_spec *fs)
{
	fs->m_u.ether_spec.h_source[5] = 1;
}

static void spoil_proto(struct ethtool_rx_flow_spec *fs)
{
	fs->h_u.ether_spec.h_proto = htons(ETH_P_IP);
	fs->m_u.ether_spec.h_proto = htons(0xffff);
}

static void spoil_mac_ext(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type |= FLOW_MAC_EXT;
}

static void spoil_rss(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type |= FLOW_RSS;
}

static void spoil_tcp4(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type = TCP_V4_FLOW;
}

static void spoil_tcp4_ext(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type = TCP_V4_FLOW | FLOW_EXT;
}

static void spoil_ip6(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type = IPV6_USER_FLOW;
}

static void spoil_no_type(struct ethtool_rx_flow_spec *fs)
{
	fs->flow_type = 0;
}

static void spoil_discard(struct ethtool_rx_flow_spec *fs)
{
	fs->ring_cookie = RX_CLS_FLOW_DISC;
}

static void spoil_wake(struct ethtool_rx_flow_spec *fs)
{
	fs->ring_cookie = RX_CLS_FLOW_WAKE;
}

static void spoil_vf(struct ethtool_rx_flow_spec *fs)
{
	fs->ring_cookie = 3 | 1ULL << ETHTOOL_RX_FLOW_SPEC_RING_VF_OFF;
}

static void spoil_etype_mask(struct ethtool_rx_flow_spec *fs)
{
	fs->h_ext.vlan_etype = htons(ETH_P_8021Q);
	fs->m_ext.vlan_etype = htons(0xff00);
}

static void spoil_etype_qinq(struct ethtool_rx_flow_spec *fs)
{
	fs->h_ext.vlan_etype = htons(ETH_P_8021AD);
	fs->m_ext.vlan_etype = htons(0xffff);
}

static void spoil_etype_any(struct ethtool_rx_flow_spec *fs)
{
	fs->h_ext.vlan_etype = htons(ETH_P_8021Q);
	fs->m_ext.vlan_etype = htons(0xffff);
	fs->m_ext.vlan_tci = 0;
}

static void spoil_etype_zero(struct ethtool_rx_flow_spec *fs)
{
	fs->h_ext.vlan_etype = htons(ETH_P_8021Q);
	fs->m_ext.vlan_etype = htons(0xffff);
	fs->h_ext.vlan_tci = 0;
}

static void spoil_data0(struct ethtool_rx_flow_spec *fs)
{
	fs->m_ext.data[0] = htonl(1);
}

static void spoil_data1(struct ethtool_rx_flow_spec *fs)
{
	fs->m_ext.data[1] = htonl(0xffffffff);
}

static const struct ntuple_spoil ntuple_spoils[] = {
	{ "part of dst", spoil_dst_mask },
	{ "no dst", spoil_no_dst },
	{ "src", spoil_source },
	{ "one bit of src", spoil_source_bit },
	{ "proto", spoil_proto },
	{ "dst-mac", spoil_mac_ext },
	{ "context", spoil_rss },
	{ "tcp4", spoil_tcp4 },
	{ "tcp4 with vlan", spoil_tcp4_ext },
	{ "ip6", spoil_ip6 },
	{ "no flow type", spoil_no_type },
	{ "action -1", spoil_discard },
	{ "action -2", spoil_wake },
	{ "vf", spoil_vf },
	{ "part of vlan-etype", spoil_etype_mask },
	{ "vlan-etype 0x88a8", spoil_etype_qinq },
	{ "vlan-etype without vlan", spoil_etype_any },
	{ "vlan-etype with vlan 0", spoil_etype_zero },
	{ "user-def, high word", spoil_data0 },
	{ "user-def, low word", spoil_data1 },
};

static void ntuple_spoil_desc(const struct ntuple_spoil *s, char *desc)
{
	strscpy(desc, s->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ntuple_spoil, ntuple_spoils, ntuple_spoil_desc);

static void vmq_ntuple_test_refuse(struct kunit *test)
{
	const struct ntuple_spoil *s = test->param_value;
	struct ethtool_rx_flow_spec fs;
	struct vmq_match m;
	const char *why;
	int err = 1;

	ntuple_rule(&fs, true, 100, 0x0fff);
	why = vmq_ntuple_parse(&fs, &m, &err);
	KUNIT_EXPECT_NULL(test, why);
	KUNIT_EXPECT_EQ(test, err, 0);

	s->spoil(&fs);
	why = vmq_ntuple_parse(&fs, &m, &err);
	KUNIT_ASSERT_NOT_NULL(test, why);
	KUNIT_EXPECT_GT(test, strlen(why), 10);
	KUNIT_EXPECT_EQ(test, err, -EOPNOTSUPP);
}

/* A tag's EtherType may be named as long as it is the one the NIC knows. */
static void vmq_ntuple_test_etype(struct kunit *test)
{
	struct ethtool_rx_flow_spec fs;
	struct vmq_match m;
	int err = 1;

	ntuple_rule(&fs, true, 100, 0xffff);
	fs.h_ext.vlan_etype = htons(ETH_P_8021Q);
	fs.m_ext.vlan_etype = htons(0xffff);
	KUNIT_EXPECT_NULL(test, vmq_ntuple_parse(&fs, &m, &err));
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, m.vlan, 100);
}

/* Listed rules can be given back to ethtool -N. */
static void vmq_ntuple_test_roundtrip(struct kunit *test)
{
	struct ethtool_rx_flow_spec fs;
	struct vmq_match in, out;
	u32 vlan;
	int err;

	ether_addr_copy(in.addr, ntuple_addr);
	for (vlan = 0; vlan <= 4095; vlan++) {
		in.vlan = vlan == 4095 ? VMQ_VLAN_ANY : vlan;
		memset(&fs, 0, sizeof(fs));
		vmq_ntuple_format(&fs, &in);
		KUNIT_ASSERT_NULL(test, vmq_ntuple_parse(&fs, &out, &err));
		KUNIT_ASSERT_EQ(test, vmq_match_key(&in), vmq_match_key(&out));
	}
}

/* Kernel masks: bits that are compared. ethtool shows them inverted. */
static void vmq_ntuple_test_format(struct kunit *test)
{
	struct vmq_match m = { .vlan = VMQ_VLAN_UNTAGGED };
	struct ethtool_rx_flow_spec fs = {};

	ether_addr_copy(m.addr, ntuple_addr);
	vmq_ntuple_format(&fs, &m);
	KUNIT_EXPECT_EQ(test, fs.flow_type, ETHER_FLOW | FLOW_EXT);
	KUNIT_EXPECT_EQ(test, ntohs(fs.m_ext.vlan_tci), 0x0fff);
	KUNIT_EXPECT_EQ(test, ntohs(fs.h_ext.vlan_tci), 0);
	KUNIT_EXPECT_TRUE(test,
			  is_broadcast_ether_addr(fs.m_u.ether_spec.h_dest));
	KUNIT_EXPECT_MEMEQ(test, fs.h_u.ether_spec.h_dest, ntuple_addr,
			   ETH_ALEN);

	memset(&fs, 0, sizeof(fs));
	m.vlan = VMQ_VLAN_ANY;
	vmq_ntuple_format(&fs, &m);
	KUNIT_EXPECT_EQ(test, fs.flow_type, ETHER_FLOW);
	KUNIT_EXPECT_EQ(test, ntohs(fs.m_ext.vlan_tci), 0);
}

static struct kunit_case vmq_ntuple_test_cases[] = {
	KUNIT_CASE(vmq_ntuple_test_vlan),
	KUNIT_CASE(vmq_ntuple_test_no_vlan),
	KUNIT_CASE_PARAM(vmq_ntuple_test_refuse, ntuple_spoil_gen_params),
	KUNIT_CASE(vmq_ntuple_test_etype),
	KUNIT_CASE(vmq_ntuple_test_roundtrip),
	KUNIT_CASE(vmq_ntuple_test_format),
	{}
};

static struct kunit_suite vmq_ntuple_test_suite = {
	.name		= "vmq_ntuple",
	.test_cases	= vmq_ntuple_test_cases,
};

kunit_test_suite(vmq_ntuple_test_suite);
