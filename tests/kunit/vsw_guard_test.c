// SPDX-License-Identifier: GPL-2.0-only
/* What the guards take a frame for, honest, disguised or cut off. */
#include <kunit/test.h>
#include <linux/if_ether.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include "vsw_guard.h"

/* What a frame is described with: a word for each header, with what is in it. */
static const struct {
	const char *word;
	/* In hexadecimal; each % is a byte, or two, that the word is told. */
	const char *bytes;
} guard_words[] = {
	{ "MACS", "525400000002525400000001" },
	{ "TAG", "81000007" },
	{ "STAG", "88a80007" },
	{ "V4", "0800" },
	{ "V6", "86dd" },
	/* Protocol, or next header; lengths that say nothing. */
	{ "IP4", "450000000000000040%00000a0000010a000002" },
	{ "IP6",
	  "600000000000%40fe80000000000000000000000000000aff02000000000000000000000000000b" },
	{ "IP6_LEN",
	  "60000000%%40fe80000000000000000000000000000aff02000000000000000000000000000b" },
	/* From, to. */
	{ "UDP", "%%00080000" },
	/* Next header; of 8 bytes, and of 24. */
	{ "EXT", "%00000000000000" },
	{ "EXT24", "%0200000000000000000000000000000000000000000000" },
	{ "AH", "%0400000000000100000001000000000000000000000000" },
	/* Next header, offset. */
	{ "FRAG", "%00%00000001" },
};

#define GUARD_FRAME_MAX	512

struct guard_case {
	const char *name;
	const char *frame;
	enum vsw_guard_kind kind;
};

static const struct guard_case guard_dhcp[] = {
	{ "v4 server",
	  "MACS V4 IP4/11 UDP/0043/0044 02",
	  VSW_GUARD_DHCP },
	{ "v4 client",
	  "MACS V4 IP4/11 UDP/0044/0043 01",
	  VSW_GUARD_OTHER },
	{ "v4 relay",
	  "MACS V4 IP4/11 UDP/0043/0043 01",
	  VSW_GUARD_DHCP },
	{ "v4 any port to a client",
	  "MACS V4 IP4/11 UDP/8001/0044",
	  VSW_GUARD_DHCP },
	{ "v4 reply to a relay",
	  "MACS V4 IP4/11 UDP/8001/0043 02",
	  VSW_GUARD_DHCP },
	{ "v4 request from any port",
	  "MACS V4 IP4/11 UDP/8001/0043 01",
	  VSW_GUARD_OTHER },
	{ "v4 other",
	  "MACS V4 IP4/11 UDP/8001/0035 02",
	  VSW_GUARD_OTHER },
	{ "v4 TCP",
	  "MACS V4 IP4/06 UDP/0043/0044",
	  VSW_GUARD_OTHER },
	{ "v6 server",
	  "MACS V6 IP6/11 UDP/0223/0222 02",
	  VSW_GUARD_DHCP },
	{ "v6 client",
	  "MACS V6 IP6/11 UDP/0222/0223 01",
	  VSW_GUARD_OTHER },
	{ "v6 relay",
	  "MACS V6 IP6/11 UDP/0223/0223 0c",
	  VSW_GUARD_DHCP },
	{ "v6 any port to a client",
	  "MACS V6 IP6/11 UDP/8001/0222",
	  VSW_GUARD_DHCP },
	{ "v6 relayed reply",
	  "MACS V6 IP6/11 UDP/8001/0223 0d",
	  VSW_GUARD_DHCP },
	{ "v6 type beyond the bits",
	  "MACS V6 IP6/11 UDP/0222/0223 22",
	  VSW_GUARD_OTHER },
	{ "v6 with ports of v4",
	  "MACS V6 IP6/11 UDP/0043/0044 02",
	  VSW_GUARD_OTHER },
	{ "v4 with ports of v6",
	  "MACS V4 IP4/11 UDP/0223/0222 02",
	  VSW_GUARD_OTHER },
};

static const struct guard_case guard_router[] = {
	{ "v6 advertisement",
	  "MACS V6 IP6/3a 86000000",
	  VSW_GUARD_ROUTER },
	{ "v6 redirect",
	  "MACS V6 IP6/3a 89000000",
	  VSW_GUARD_ROUTER },
	{ "v6 solicitation",
	  "MACS V6 IP6/3a 85000000",
	  VSW_GUARD_OTHER },
	{ "v6 neighbour",
	  "MACS V6 IP6/3a 88000000",
	  VSW_GUARD_OTHER },
	{ "v6 echo",
	  "MACS V6 IP6/3a 80000000",
	  VSW_GUARD_OTHER },
	{ "v4 advertisement",
	  "MACS V4 IP4/01 09000000",
	  VSW_GUARD_ROUTER },
	{ "v4 redirect",
	  "MACS V4 IP4/01 05010000",
	  VSW_GUARD_ROUTER },
	{ "v4 echo",
	  "MACS V4 IP4/01 08000000",
	  VSW_GUARD_OTHER },
	{ "v4 with v6's type",
	  "MACS V4 IP4/01 86000000",
	  VSW_GUARD_OTHER },
	{ "ARP",
	  "MACS 080600010800060400010000000000000000000000000000",
	  VSW_GUARD_OTHER },
};

static const struct guard_case guard_disguised[] = {
	{ "tag",
	  "MACS TAG V6 IP6/3a 86",
	  VSW_GUARD_ROUTER },
	{ "provider's tag",
	  "MACS STAG V6 IP6/3a 86",
	  VSW_GUARD_ROUTER },
	{ "two tags",
	  "MACS STAG 81000000 V4 IP4/11 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "four tags",
	  "MACS 81000000810000008100000081000000 V4 IP4/11 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "five tags",
	  "MACS 8100000081000000810000008100000081000000 V4 IP4/06",
	  VSW_GUARD_OPAQUE },
	{ "SNAP",
	  "MACS 0064aaaa03000000 V6 IP6/3a 86",
	  VSW_GUARD_ROUTER },
	{ "tag and SNAP",
	  "MACS 810000000064aaaa03000000 V4 IP4/11 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "SNAP and tag",
	  "MACS 0064aaaa0300000081000000 V4 IP4/11 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "LLC",
	  "MACS 0026424203000000000000",
	  VSW_GUARD_OTHER },
	{ "v4 options",
	  "MACS V4 4f00000000000000401100000a0000010a00000201010101010101010101010101010101010101010101010101010101010101010101010101010101 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "v6 hop by hop",
	  "MACS V6 IP6/00 EXT/3a 86",
	  VSW_GUARD_ROUTER },
	{ "v6 long option",
	  "MACS V6 IP6/3c EXT24/11 UDP/0223/0222",
	  VSW_GUARD_DHCP },
	{ "v6 authenticated",
	  "MACS V6 IP6/33 AH/3a 86",
	  VSW_GUARD_ROUTER },
	{ "v6 chain",
	  "MACS V6 IP6/00 EXT/2b EXT/3c EXT24/87 EXT/8b EXT/8c EXT/33 AH/3a 89",
	  VSW_GUARD_ROUTER },
	{ "v6 eight headers",
	  "MACS V6 IP6/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3a 86",
	  VSW_GUARD_ROUTER },
	{ "v6 nine headers",
	  "MACS V6 IP6/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/3c EXT/06",
	  VSW_GUARD_OPAQUE },
	{ "v6 encrypted",
	  "MACS V6 IP6/32 0000000100000001",
	  VSW_GUARD_OTHER },
	{ "v6 nothing",
	  "MACS V6 IP6/3b",
	  VSW_GUARD_OTHER },
};

static const struct guard_case guard_fragments[] = {
	{ "v4 first",
	  "MACS V4 4500000000012000401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "v4 later",
	  "MACS V4 4500000000012001401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_OTHER },
	{ "v4 first without a header",
	  "MACS V4 4500000000012000401100000a0000010a0000020043",
	  VSW_GUARD_OPAQUE },
	{ "v4 padded: the header is not its own",
	  "MACS V4 4500001400012000401100000a0000010a000002 UDP/8001/8001",
	  VSW_GUARD_OPAQUE },
	{ "v4 padded: the type is not its own",
	  "MACS V4 4500001c00012000401100000a0000010a000002 UDP/8001/0043 01",
	  VSW_GUARD_OPAQUE },
	{ "v6 first",
	  "MACS V6 IP6/2c FRAG/3a/0001 86",
	  VSW_GUARD_ROUTER },
	{ "v6 whole",
	  "MACS V6 IP6/2c FRAG/11/0000 UDP/0223/0222",
	  VSW_GUARD_DHCP },
	{ "v6 later",
	  "MACS V6 IP6/2c FRAG/3a/0008 86",
	  VSW_GUARD_OTHER },
	{ "v6 first without a header",
	  "MACS V6 IP6/2c FRAG/3a/0001",
	  VSW_GUARD_OPAQUE },
	{ "v6 first without all headers",
	  "MACS V6 IP6/2c FRAG/3c/0001 3a00",
	  VSW_GUARD_OPAQUE },
	{ "v6 padded: the type is not its own",
	  "MACS V6 IP6_LEN/0010/2c FRAG/3c/0001 EXT/3a 80",
	  VSW_GUARD_OPAQUE },
	{ "v6 behind an option",
	  "MACS V6 IP6/00 EXT/2c FRAG/3a/0001 89",
	  VSW_GUARD_ROUTER },
};

static const struct guard_case guard_malformed[] = {
	{ "nothing",
	  "",
	  VSW_GUARD_OPAQUE },
	{ "no type",
	  "MACS",
	  VSW_GUARD_OPAQUE },
	{ "half a type",
	  "MACS 08",
	  VSW_GUARD_OPAQUE },
	{ "tag without a type",
	  "MACS TAG",
	  VSW_GUARD_OPAQUE },
	{ "v4 without a header",
	  "MACS V4",
	  VSW_GUARD_OPAQUE },
	{ "v4 of version 6",
	  "MACS V4 6500000000000000400600000a0000010a000002",
	  VSW_GUARD_OPAQUE },
	{ "v4 with too short a header",
	  "MACS V4 4400000000000000401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_OPAQUE },
	{ "v4 with a header beyond the end",
	  "MACS V4 4f00000000000000401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_OPAQUE },
	{ "v4 longer than it is",
	  "MACS V4 4500ffff00000000401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_DHCP },
	{ "v4 shorter than its header",
	  "MACS V4 4500000100000000401100000a0000010a000002 UDP/0043/0044",
	  VSW_GUARD_OPAQUE },
	{ "v4 UDP cut off",
	  "MACS V4 IP4/11 004300440008",
	  VSW_GUARD_OPAQUE },
	{ "v4 UDP without a type",
	  "MACS V4 IP4/11 UDP/0044/0043",
	  VSW_GUARD_OPAQUE },
	{ "v4 ICMP without a type",
	  "MACS V4 IP4/01",
	  VSW_GUARD_OPAQUE },
	{ "v6 without a header",
	  "MACS V6 600000000000",
	  VSW_GUARD_OPAQUE },
	{ "v6 of version 4",
	  "MACS V6 4000000000003a40fe800000000000000000000000000001ff02000000000000000000000000000186",
	  VSW_GUARD_OPAQUE },
	{ "v6 option beyond the end",
	  "MACS V6 IP6/00 3aff00000000000086",
	  VSW_GUARD_OPAQUE },
	{ "v6 option cut off",
	  "MACS V6 IP6/00 3a00",
	  VSW_GUARD_OPAQUE },
	{ "v6 ICMP without a type",
	  "MACS V6 IP6/3a",
	  VSW_GUARD_OPAQUE },
};

/* The bytes of a word that begins at @text, in hexadecimal behind @hex. */
static void guard_expand(struct kunit *test, char *hex, const char *text,
			 size_t len)
{
	size_t n = strcspn(text, " /");
	const char *from = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(guard_words); i++)
		if (strlen(guard_words[i].word) == n &&
		    !strncmp(guard_words[i].word, text, n))
			from = guard_words[i].bytes;
	/* No word: the bytes themselves. */
	if (!from) {
		strncat(hex, text, len);
		return;
	}
	hex += strlen(hex);
	for (text += n; *from; from++) {
		if (*from != '%') {
			*hex++ = *from;
			continue;
		}
		KUNIT_ASSERT_EQ(test, *text, '/');
		n = strcspn(++text, " /");
		memcpy(hex, text, n);
		hex += n;
		text += n;
	}
	*hex = '\0';
}

/* The frame in memory of exactly its length, so that KASAN sees more. */
static u8 *guard_frame(struct kunit *test, const char *text, unsigned int *len)
{
	char *hex = kunit_kzalloc(test, 2 * GUARD_FRAME_MAX, GFP_KERNEL);
	u8 *frame;
	size_t n;

	KUNIT_ASSERT_NOT_NULL(test, hex);
	for (; *text; text += n + strspn(text + n, " ")) {
		n = strcspn(text, " ");
		guard_expand(test, hex, text, n);
	}
	*len = strlen(hex) / 2;
	frame = kunit_kmalloc(test, *len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, frame);
	KUNIT_ASSERT_EQ(test, 0, hex2bin(frame, hex, *len));
	return frame;
}

static void guard_run(struct kunit *test, const struct guard_case *cases,
		      unsigned int n)
{
	unsigned int i, len;
	u8 *frame;

	for (i = 0; i < n; i++) {
		frame = guard_frame(test, cases[i].frame, &len);
		KUNIT_EXPECT_EQ_MSG(test, cases[i].kind,
				    vsw_guard_classify(frame, len, false), "%s",
				    cases[i].name);
	}
}

static void vsw_guard_test_dhcp(struct kunit *test)
{
	guard_run(test, guard_dhcp, ARRAY_SIZE(guard_dhcp));
}

static void vsw_guard_test_router(struct kunit *test)
{
	guard_run(test, guard_router, ARRAY_SIZE(guard_router));
}

static void vsw_guard_test_disguised(struct kunit *test)
{
	guard_run(test, guard_disguised, ARRAY_SIZE(guard_disguised));
}

static void vsw_guard_test_fragments(struct kunit *test)
{
	guard_run(test, guard_fragments, ARRAY_SIZE(guard_fragments));
}

static void vsw_guard_test_malformed(struct kunit *test)
{
	guard_run(test, guard_malformed, ARRAY_SIZE(guard_malformed));
}

/*
 * Whatever is cut off of what a server or router says: it is never taken for
 * something else than cut off, and nothing behind the end is read.
 */
static void vsw_guard_test_truncated(struct kunit *test)
{
	static const char * const frames[] = {
		"MACS TAG V4 IP4/11 UDP/8001/0043 02",
		"MACS 0064aaaa03000000 V6 IP6/00 EXT24/2c FRAG/33/0001 AH/3a 86",
	};
	unsigned int i, len, whole;
	u8 *frame, *cut;

	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		frame = guard_frame(test, frames[i], &whole);
		for (len = 14; len < whole; len++) {
			enum vsw_guard_kind kind;

			cut = kmemdup(frame, len, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, cut);
			kind = vsw_guard_classify(cut, len, false);
			KUNIT_EXPECT_EQ_MSG(test, kind, VSW_GUARD_OPAQUE,
					    "%u of %u", len, whole);
			kfree(cut);
		}
		KUNIT_EXPECT_NE(test, vsw_guard_classify(frame, whole, false),
				VSW_GUARD_OPAQUE);
	}
}

/* Of what will be cut the first message alone is there to be read. */
static void vsw_guard_test_segmented(struct kunit *test)
{
	unsigned int len;
	u8 *frame;

	frame = guard_frame(test, "MACS V4 IP4/11 UDP/0044/0043 01", &len);
	KUNIT_EXPECT_EQ(test, vsw_guard_classify(frame, len, false),
			VSW_GUARD_OTHER);
	KUNIT_EXPECT_EQ(test, vsw_guard_classify(frame, len, true),
			VSW_GUARD_DHCP);
	frame = guard_frame(test, "MACS V4 IP4/11 UDP/0044/0050 01", &len);
	KUNIT_EXPECT_EQ(test, vsw_guard_classify(frame, len, true),
			VSW_GUARD_OTHER);
}

/* Any bytes get an answer; KASAN looks for what is read behind the end. */
static void vsw_guard_test_random(struct kunit *test)
{
	static const u16 types[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q, 60 };
	unsigned int n, len, kinds[VSW_GUARD_OPAQUE + 1] = {};
	struct rnd_state rnd;
	u8 *frame;

	prandom_seed_state(&rnd, 546);
	for (n = 0; n < 20000; n++) {
		len = 14 + prandom_u32_state(&rnd) % 100;
		frame = kmalloc(len, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, frame);
		prandom_bytes_state(&rnd, frame, len);
		put_unaligned_be16(types[n % ARRAY_SIZE(types)], frame + 12);
		if (len > 20) {
			frame[14] = n % 4 ? 0x60 : 0x45;
			frame[20] = n % 3 ? 0 : 44;
		}
		kinds[vsw_guard_classify(frame, len, false)]++;
		kfree(frame);
	}
	KUNIT_EXPECT_GT(test, kinds[VSW_GUARD_OTHER], 0u);
	KUNIT_EXPECT_GT(test, kinds[VSW_GUARD_OPAQUE], 0u);
}

static struct kunit_case vsw_guard_test_cases[] = {
	KUNIT_CASE(vsw_guard_test_dhcp),
	KUNIT_CASE(vsw_guard_test_router),
	KUNIT_CASE(vsw_guard_test_disguised),
	KUNIT_CASE(vsw_guard_test_fragments),
	KUNIT_CASE(vsw_guard_test_malformed),
	KUNIT_CASE(vsw_guard_test_truncated),
	KUNIT_CASE(vsw_guard_test_segmented),
	KUNIT_CASE(vsw_guard_test_random),
	{}
};

static struct kunit_suite vsw_guard_test_suite = {
	.name		= "vsw_guard",
	.test_cases	= vsw_guard_test_cases,
};

kunit_test_suite(vsw_guard_test_suite);
