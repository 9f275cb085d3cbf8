// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors as bytes: what the 82576 datasheet says of each bit (sections
 * 7.1.5 and 7.2.2), in numbers of its own rather than the driver's names.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include "igbq_desc.h"

static const u8 *bytes(const void *d)
{
	return d;
}

static u32 le32_at(const void *d, unsigned int offset)
{
	const u8 *b = bytes(d) + offset;

	return b[0] | b[1] << 8 | b[2] << 16 | (u32)b[3] << 24;
}

static u64 le64_at(const void *d, unsigned int offset)
{
	return le32_at(d, offset) | (u64)le32_at(d, offset + 4) << 32;
}

static void put_le32(void *d, unsigned int offset, u32 value)
{
	u8 *b = (u8 *)d + offset;
	unsigned int i;

	for (i = 0; i < 4; i++)
		b[i] = value >> 8 * i;
}

/* Writing a buffer's address also takes the old write-back's DD away. */
static void igbq_desc_test_rxd_encode(struct kunit *test)
{
	union igbq_rxd d;

	memset(&d, 0xff, sizeof(d));
	igbq_rxd_encode(&d, 0x1122334455667788ULL);
	KUNIT_EXPECT_EQ(test, le64_at(&d, 0), 0x1122334455667788ULL);
	KUNIT_EXPECT_EQ(test, le64_at(&d, 8), 0);
	KUNIT_EXPECT_EQ(test, igbq_rxd_status(&d) & IGBQ_RXD_DD, 0);
}

static void igbq_desc_test_rxd_decode(struct kunit *test)
{
	union igbq_rxd d = {};

	put_le32(&d, 8, 0x80000023);
	put_le32(&d, 12, 0xa0645dc);
	KUNIT_EXPECT_EQ(test, igbq_rxd_status(&d), 0x80000023);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(d.wb.length), 0x45dc);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(d.wb.vlan), 0x0a06);
}

/* Bit numbers of table 7-14 and 7-15. */
static void igbq_desc_test_rxd_bits(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, IGBQ_RXD_DD, 1UL << 0);
	KUNIT_EXPECT_EQ(test, IGBQ_RXD_EOP, 1UL << 1);
	KUNIT_EXPECT_EQ(test, IGBQ_RXD_VP, 1UL << 3);
	KUNIT_EXPECT_EQ(test, IGBQ_RXD_ERR_RXE, 1UL << 31);
	KUNIT_EXPECT_TRUE(test, IGBQ_RXD_ERR_FRAME & IGBQ_RXD_ERR_RXE);
	/* A wrong checksum is for the stack to find, not a bad frame. */
	KUNIT_EXPECT_FALSE(test, IGBQ_RXD_ERR_FRAME & BIT(29));
	KUNIT_EXPECT_FALSE(test, IGBQ_RXD_ERR_FRAME & BIT(30));
}

struct csum_case {
	const char *name;
	u32 status;
	bool good;
};

static const struct csum_case csum_cases[] = {
	{ "nothing checked", 0x00000003, false },
	{ "TCP checked", 0x00000023, true },
	{ "UDP checked", 0x00000013, true },
	{ "IP header alone checked", 0x00000043, false },
	{ "checked but to be ignored", 0x00000027, false },
	{ "TCP wrong", 0x20000023, false },
	{ "IP header wrong", 0x40000063, false },
	{ "both wrong", 0x60000063, false },
};

static void igbq_desc_test_csum(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(csum_cases); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    igbq_rxd_csum_good(csum_cases[i].status),
				    csum_cases[i].good, "%s",
				    csum_cases[i].name);
}

struct offload_case {
	const char *name;
	struct igbq_tx_offload o;
	bool any;
	u32 vlan_macip_lens;
	u32 type_tucmd;
	u32 mss_l4len_idx;
	u32 cmd;
	u32 olinfo;
};

static const struct offload_case offload_cases[] = {
	{
		.name = "plain",
		.o = { .mac_len = 14, .paylen = 60 },
		.vlan_macip_lens = 14 << 9,
		.type_tucmd = 0x20200000,
		.cmd = 0x22300000,
		.olinfo = 60 << 14,
	}, {
		.name = "tag",
		.o = { .vlan = true, .vlan_tci = 0xa064, .mac_len = 14,
		       .paylen = 1514 },
		.any = true,
		.vlan_macip_lens = 0xa0641c00,
		.type_tucmd = 0x20200000,
		.cmd = 0x62300000,
		.olinfo = 1514 << 14,
	}, {
		.name = "UDP over IPv4",
		.o = { .l4_csum = true, .ipv4 = true, .l4_type = 0,
		       .mac_len = 14, .ip_len = 20, .paylen = 100 },
		.any = true,
		.vlan_macip_lens = 14 << 9 | 20,
		.type_tucmd = 0x20200400,
		.cmd = 0x22300000,
		.olinfo = 100 << 14 | 0x200,
	}, {
		.name = "TCP over IPv6",
		.o = { .l4_csum = true, .l4_type = 1, .mac_len = 14,
		       .ip_len = 40, .paylen = 100 },
		.any = true,
		.vlan_macip_lens = 14 << 9 | 40,
		.type_tucmd = 0x20200800,
		.cmd = 0x22300000,
		.olinfo = 100 << 14 | 0x200,
	}, {
		.name = "SCTP",
		.o = { .l4_csum = true, .ipv4 = true, .l4_type = 2,
		       .mac_len = 14, .ip_len = 60, .paylen = 100 },
		.any = true,
		.vlan_macip_lens = 14 << 9 | 60,
		.type_tucmd = 0x20201400,
		.cmd = 0x22300000,
		.olinfo = 100 << 14 | 0x200,
	}, {
		.name = "TSO over IPv4 with a tag",
		.o = { .vlan = true, .ip_csum = true, .l4_csum = true,
		       .tso = true, .ipv4 = true, .l4_type = 1, .mac_len = 14,
		       .ip_len = 20, .l4_len = 32, .mss = 1448,
		       .vlan_tci = 5, .paylen = 65160 },
		.any = true,
		.vlan_macip_lens = 5 << 16 | 14 << 9 | 20,
		.type_tucmd = 0x20200c00,
		.mss_l4len_idx = 1448U << 16 | 32 << 8,
		.cmd = 0xe2300000,
		.olinfo = 65160U << 14 | 0x300,
	}, {
		.name = "all lengths at their most",
		.o = { .vlan = true, .tso = true, .l4_csum = true,
		       .l4_type = 1, .mac_len = 127, .ip_len = 511,
		       .l4_len = 60, .mss = 0xffff, .vlan_tci = 0xffff,
		       .paylen = 0x3ffff },
		.any = true,
		.vlan_macip_lens = 0xffffffff,
		.type_tucmd = 0x20200800,
		.mss_l4len_idx = 0xffff3c00,
		.cmd = 0xe2300000,
		.olinfo = 0xffffc200,
	},
};

static void offload_case_desc(const struct offload_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(offload, offload_cases, offload_case_desc);

static void igbq_desc_test_txd_offload(struct kunit *test)
{
	const struct offload_case *c = test->param_value;
	union igbq_txd d;

	memset(&d, 0xff, sizeof(d));
	igbq_txd_encode_ctx(&d, &c->o);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 0), c->vlan_macip_lens);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 4), 0);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 8), c->type_tucmd);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 12), c->mss_l4len_idx);
	KUNIT_EXPECT_EQ(test, igbq_tx_offload_any(&c->o), c->any);
	KUNIT_EXPECT_EQ(test, igbq_txd_cmd(&c->o), c->cmd);
	KUNIT_EXPECT_EQ(test, igbq_txd_olinfo(&c->o), c->olinfo);
}

static void igbq_desc_test_txd_data(struct kunit *test)
{
	union igbq_txd d;

	memset(&d, 0xff, sizeof(d));
	igbq_txd_encode_data(&d, 0x1122334455667788ULL, 1514, 0x2b300000,
			     0x17a800);
	KUNIT_EXPECT_EQ(test, le64_at(&d, 0), 0x1122334455667788ULL);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 8), 0x2b3005ea);
	KUNIT_EXPECT_EQ(test, le32_at(&d, 12), 0x17a800);
	KUNIT_EXPECT_EQ(test, IGBQ_TXD_EOP, 1UL << 24);
	KUNIT_EXPECT_EQ(test, IGBQ_TXD_RS, 1UL << 27);
}

/* DD is where olinfo_status was; a fresh descriptor must not look done. */
static void igbq_desc_test_txd_done(struct kunit *test)
{
	struct igbq_tx_offload o = { .ip_csum = true, .l4_csum = true };
	union igbq_txd d = {};

	for (o.paylen = 0; o.paylen < 1 << 18; o.paylen += 0x111) {
		igbq_txd_encode_data(&d, 0, 1, igbq_txd_cmd(&o),
				     igbq_txd_olinfo(&o));
		KUNIT_ASSERT_FALSE(test, igbq_txd_done(&d));
	}
	put_le32(&d, 12, 1);
	KUNIT_EXPECT_TRUE(test, igbq_txd_done(&d));
	put_le32(&d, 12, 0xfffffffe);
	KUNIT_EXPECT_FALSE(test, igbq_txd_done(&d));
}

static struct kunit_case igbq_desc_test_cases[] = {
	KUNIT_CASE(igbq_desc_test_rxd_encode),
	KUNIT_CASE(igbq_desc_test_rxd_decode),
	KUNIT_CASE(igbq_desc_test_rxd_bits),
	KUNIT_CASE(igbq_desc_test_csum),
	KUNIT_CASE_PARAM(igbq_desc_test_txd_offload, offload_gen_params),
	KUNIT_CASE(igbq_desc_test_txd_data),
	KUNIT_CASE(igbq_desc_test_txd_done),
	{}
};

static struct kunit_suite igbq_desc_test_suite = {
	.name		= "igbq_desc",
	.test_cases	= igbq_desc_test_cases,
};

kunit_test_suite(igbq_desc_test_suite);

MODULE_DESCRIPTION("KUnit tests of the 82576 descriptors");
MODULE_LICENSE("GPL");
