// SPDX-License-Identifier: GPL-2.0-only
/* VLANs of a port: what is sent, what is heard, and how it is told. */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <vmq/vmq.h>
#include "vsw_vlan.h"

#define PCP(n)	((n) << VLAN_PRIO_SHIFT)

/* A configuration in words; each is made by the same calls as a user's. */
enum vlan_test_config {
	VLAN_PLAIN,
	VLAN_ACCESS,		/* 7 */
	VLAN_TRUNK,		/* 7, 10-12, all with a tag */
	VLAN_NATIVE,		/* the same, native 7 */
	VLAN_PROMISCUOUS,	/* 100, hears 101-102 */
	VLAN_COMMUNITY,		/* 100, 101 */
	VLAN_ISOLATED,		/* 100, 102 */
	VLAN_CONFIGS,
};

static void vlan_parse(struct kunit *test, const char *list, unsigned long *set)
{
	KUNIT_ASSERT_EQ(test, bitmap_parselist(list, set, VLAN_N_VID), 0);
}

static unsigned long *vlan_set(struct kunit *test, const char *list)
{
	unsigned long *set = kunit_kcalloc(test, BITS_TO_LONGS(VLAN_N_VID),
					   sizeof(*set), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, set);
	vlan_parse(test, list, set);
	return set;
}

static struct vsw_vlans *vlan_new(struct kunit *test)
{
	struct vsw_vlans *v = kunit_kzalloc(test, sizeof(*v), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, v);
	return v;
}

static void vlan_private(struct kunit *test, struct vsw_vlans *v,
			 enum vsw_vlan_isolation isolation, const char *list)
{
	int err = 0;

	KUNIT_EXPECT_NULL(test, vsw_vlan_set_private(v, isolation, 100,
						     vlan_set(test, list),
						     &err));
}

static struct vsw_vlans *vlan_make(struct kunit *test,
				   enum vlan_test_config config)
{
	struct vsw_vlans *v;
	int err = 0;

	if (config == VLAN_PLAIN)
		return NULL;
	v = vlan_new(test);
	switch (config) {
	case VLAN_ACCESS:
		vsw_vlan_add(v, 7, 7, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED, &err);
		break;
	case VLAN_NATIVE:
		vsw_vlan_add(v, 10, 12, 0, &err);
		vsw_vlan_add(v, 7, 7, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED, &err);
		break;
	case VLAN_TRUNK:
		vsw_vlan_add(v, 7, 7, 0, &err);
		vsw_vlan_add(v, 10, 12, 0, &err);
		break;
	case VLAN_PROMISCUOUS:
		vlan_private(test, v, VSW_VLAN_PROMISCUOUS, "101-102");
		break;
	case VLAN_COMMUNITY:
		vlan_private(test, v, VSW_VLAN_COMMUNITY, "101");
		break;
	default:
		vlan_private(test, v, VSW_VLAN_ISOLATED, "102");
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	return v;
}

static void vsw_vlan_test_egress(struct kunit *test)
{
	static const struct {
		enum vlan_test_config config;
		bool trust, tagged;
		u16 tci;
		enum vsw_vlan_action action;
		u16 wanted;
	} rows[] = {
		{ VLAN_PLAIN, true, false, 0, VSW_VLAN_LEAVE, 0 },
		{ VLAN_PLAIN, true, true, PCP(5) | 9, VSW_VLAN_LEAVE,
		  PCP(5) | 9 },
		{ VLAN_PLAIN, false, false, 0, VSW_VLAN_LEAVE, 0 },
		{ VLAN_PLAIN, false, true, 9, VSW_VLAN_LEAVE, 9 },
		{ VLAN_PLAIN, false, true, PCP(5) | 9, VSW_VLAN_TAG, 9 },
		{ VLAN_PLAIN, false, true, PCP(5), VSW_VLAN_TAG, 0 },
		{ VLAN_PLAIN, false, true, PCP(5) | VLAN_CFI_MASK | 9,
		  VSW_VLAN_TAG, VLAN_CFI_MASK | 9 },
		{ VLAN_ACCESS, true, false, 0, VSW_VLAN_TAG, 7 },
		{ VLAN_ACCESS, true, true, PCP(5), VSW_VLAN_TAG, PCP(5) | 7 },
		{ VLAN_ACCESS, false, true, PCP(5), VSW_VLAN_TAG, 7 },
		{ VLAN_ACCESS, true, true, PCP(3) | 7, VSW_VLAN_LEAVE,
		  PCP(3) | 7 },
		{ VLAN_ACCESS, false, true, PCP(3) | 7, VSW_VLAN_TAG, 7 },
		{ VLAN_ACCESS, true, true, 8, VSW_VLAN_DROP, 0 },
		{ VLAN_ACCESS, true, true, PCP(7) | 4095, VSW_VLAN_DROP, 0 },
		{ VLAN_TRUNK, true, false, 0, VSW_VLAN_DROP, 0 },
		{ VLAN_TRUNK, true, true, PCP(5), VSW_VLAN_DROP, 0 },
		{ VLAN_TRUNK, true, true, 12, VSW_VLAN_LEAVE, 12 },
		{ VLAN_TRUNK, true, true, 13, VSW_VLAN_DROP, 0 },
		{ VLAN_NATIVE, true, false, 0, VSW_VLAN_TAG, 7 },
		{ VLAN_NATIVE, true, true, 11, VSW_VLAN_LEAVE, 11 },
		{ VLAN_NATIVE, true, true, 9, VSW_VLAN_DROP, 0 },
		{ VLAN_PROMISCUOUS, true, false, 0, VSW_VLAN_TAG, 100 },
		{ VLAN_PROMISCUOUS, true, true, 101, VSW_VLAN_DROP, 0 },
		{ VLAN_COMMUNITY, true, false, 0, VSW_VLAN_TAG, 101 },
		{ VLAN_COMMUNITY, true, true, 100, VSW_VLAN_DROP, 0 },
		{ VLAN_ISOLATED, true, false, 0, VSW_VLAN_TAG, 102 },
		{ VLAN_ISOLATED, true, true, 100, VSW_VLAN_DROP, 0 },
	};
	struct vsw_vlan_verdict got;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		got = vsw_vlan_egress(vlan_make(test, rows[i].config),
				      rows[i].trust, rows[i].tagged,
				      rows[i].tci);
		KUNIT_EXPECT_EQ_MSG(test, got.action, rows[i].action,
				    "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, got.tci, rows[i].wanted, "row %u", i);
	}
}

static void vsw_vlan_test_ingress(struct kunit *test)
{
	static const struct {
		enum vlan_test_config config;
		u16 vid;
		enum vsw_vlan_action action;
	} rows[] = {
		{ VLAN_ACCESS, 7, VSW_VLAN_STRIP },
		{ VLAN_ACCESS, 0, VSW_VLAN_DROP },
		{ VLAN_ACCESS, 8, VSW_VLAN_DROP },
		{ VLAN_TRUNK, 7, VSW_VLAN_LEAVE },
		{ VLAN_TRUNK, 12, VSW_VLAN_LEAVE },
		{ VLAN_TRUNK, 13, VSW_VLAN_DROP },
		{ VLAN_TRUNK, 0, VSW_VLAN_DROP },
		{ VLAN_NATIVE, 7, VSW_VLAN_STRIP },
		{ VLAN_NATIVE, 10, VSW_VLAN_LEAVE },
		{ VLAN_NATIVE, 4095, VSW_VLAN_DROP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    vsw_vlan_ingress(vlan_make(test,
							       rows[i].config),
						     rows[i].vid),
				    rows[i].action, "row %u", i);
}

/* Who hears whom in a private VLAN: all but isolated to isolated or community. */
static void vsw_vlan_test_private(struct kunit *test)
{
	static const bool heard[3][3] = {
		{ true, true, true },
		{ true, true, false },
		{ true, false, false },
	};
	struct vsw_vlan_verdict sent;
	unsigned int from, to;

	for (from = 0; from < 3; from++) {
		sent = vsw_vlan_egress(vlan_make(test, VLAN_PROMISCUOUS + from),
				       true, false, 0);
		KUNIT_EXPECT_EQ(test, sent.action, VSW_VLAN_TAG);
		for (to = 0; to < 3; to++)
			KUNIT_EXPECT_EQ_MSG(test,
					    vsw_vlan_ingress(vlan_make(test, VLAN_PROMISCUOUS + to),
							     sent.tci),
					    heard[from][to] ? VSW_VLAN_STRIP :
							      VSW_VLAN_DROP,
					    "%u to %u", from, to);
	}
}

static void vsw_vlan_test_mode(struct kunit *test)
{
	static const enum vsw_vlan_mode modes[VLAN_CONFIGS] = {
		VSW_VLAN_MODE_PLAIN, VSW_VLAN_MODE_ACCESS, VSW_VLAN_MODE_TRUNK,
		VSW_VLAN_MODE_TRUNK, VSW_VLAN_MODE_PRIVATE,
		VSW_VLAN_MODE_PRIVATE, VSW_VLAN_MODE_PRIVATE,
	};
	struct vsw_vlans *v = vlan_new(test);
	unsigned int i;
	int err = 0;

	for (i = 0; i < VLAN_CONFIGS; i++)
		KUNIT_EXPECT_EQ(test, vsw_vlan_mode(vlan_make(test, i)),
				modes[i]);
	vsw_vlan_add(v, 7, 7, 0, &err);
	KUNIT_EXPECT_EQ(test, vsw_vlan_mode(v), VSW_VLAN_MODE_TRUNK);
	vsw_vlan_add(v, 7, 7, VSW_VLAN_PVID, &err);
	KUNIT_EXPECT_EQ(test, vsw_vlan_mode(v), VSW_VLAN_MODE_TRUNK);
}

/* A few VLANs are claimed one by one, more of them as any. */
static void vsw_vlan_test_keys(struct kunit *test)
{
	struct vsw_vlans *v = vlan_new(test);
	u16 keys[VSW_VLAN_KEYS];
	int err = 0;

	KUNIT_EXPECT_EQ(test, vsw_vlan_keys(NULL, keys), 1);
	KUNIT_EXPECT_EQ(test, keys[0], VMQ_VLAN_UNTAGGED);
	vsw_vlan_add(v, 4094, 4094, 0, &err);
	vsw_vlan_add(v, 1, 3, 0, &err);
	KUNIT_EXPECT_EQ(test, vsw_vlan_keys(v, keys), 4);
	KUNIT_EXPECT_EQ(test, keys[0], 1);
	KUNIT_EXPECT_EQ(test, keys[3], 4094);
	vsw_vlan_add(v, 9, 9, 0, &err);
	KUNIT_EXPECT_EQ(test, vsw_vlan_keys(v, keys), 1);
	KUNIT_EXPECT_EQ(test, keys[0], VMQ_VLAN_ANY);
	vsw_vlan_del(v, 1, 3, &err);
	KUNIT_EXPECT_EQ(test, vsw_vlan_keys(v, keys), 2);
	/* Of an isolated port it is what it hears, not what it says. */
	KUNIT_EXPECT_EQ(test, vsw_vlan_keys(vlan_make(test, VLAN_ISOLATED),
					    keys), 1);
	KUNIT_EXPECT_EQ(test, keys[0], 100);
}

static void vlan_expect(struct kunit *test, const struct vsw_vlans *v,
			const char *allowed, const char *untagged, u16 pvid)
{
	unsigned long *set = vlan_set(test, allowed);

	KUNIT_EXPECT_TRUE(test, bitmap_equal(v->rx, set, VLAN_N_VID));
	KUNIT_EXPECT_TRUE(test, bitmap_equal(v->tx, set, VLAN_N_VID));
	set = vlan_set(test, untagged);
	KUNIT_EXPECT_TRUE(test, bitmap_equal(v->untagged, set, VLAN_N_VID));
	KUNIT_EXPECT_EQ(test, v->pvid, pvid);
}

/* As a bridge's: the last pvid counts, flags replace flags. */
static void vsw_vlan_test_add_del(struct kunit *test)
{
	struct vsw_vlans *v = vlan_new(test);
	int err = 0;

	vsw_vlan_add(v, 7, 7, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED, &err);
	vsw_vlan_add(v, 10, 20, 0, &err);
	vlan_expect(test, v, "7,10-20", "7", 7);
	vsw_vlan_add(v, 10, 10, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED, &err);
	vlan_expect(test, v, "7,10-20", "7,10", 10);
	vsw_vlan_add(v, 10, 10, 0, &err);
	vlan_expect(test, v, "7,10-20", "7", 0);
	KUNIT_EXPECT_NULL(test, vsw_vlan_del(v, 1, 12, &err));
	vlan_expect(test, v, "13-20", "", 0);
	KUNIT_EXPECT_NULL(test, vsw_vlan_add(v, 1, 1, VSW_VLAN_PVID, &err));
	KUNIT_EXPECT_NULL(test, vsw_vlan_del(v, 1, 1, &err));
	vlan_expect(test, v, "13-20", "", 0);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void vsw_vlan_test_allowed_native(struct kunit *test)
{
	struct vsw_vlans *v = vlan_new(test);
	int err = 0;

	/* For an access port the native VLAN is its VLAN. */
	KUNIT_EXPECT_NULL(test, vsw_vlan_set_native(v, 7, &err));
	vlan_expect(test, v, "7", "7", 7);
	KUNIT_EXPECT_NULL(test, vsw_vlan_set_native(v, 8, &err));
	vlan_expect(test, v, "8", "8", 8);
	/* A trunk keeps the one before. */
	KUNIT_EXPECT_NULL(test, vsw_vlan_set_allowed(v, vlan_set(test, "5,8-9"),
						     &err));
	vlan_expect(test, v, "5,8-9", "8", 8);
	KUNIT_EXPECT_NULL(test, vsw_vlan_set_native(v, 9, &err));
	vlan_expect(test, v, "5,8-9", "9", 9);
	KUNIT_EXPECT_NULL(test, vsw_vlan_set_native(v, 0, &err));
	vlan_expect(test, v, "5,8-9", "", 0);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void vsw_vlan_test_refused(struct kunit *test)
{
	struct vsw_vlans *v = vlan_make(test, VLAN_NATIVE);
	int err = 0;

#define REFUSED(call, errno) do {					\
		err = 0;						\
		KUNIT_EXPECT_NOT_NULL(test, call);			\
		KUNIT_EXPECT_EQ(test, err, errno);			\
	} while (0)

	REFUSED(vsw_vlan_add(v, 0, 0, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_add(v, 0, 5, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_add(v, 4095, 4095, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_add(v, 4000, 5000, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_add(v, 9, 8, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_add(v, 20, 30, VSW_VLAN_PVID, &err), -EINVAL);
	REFUSED(vsw_vlan_del(v, 0, 0, &err), -EINVAL);
	REFUSED(vsw_vlan_set_allowed(v, vlan_set(test, ""), &err), -EINVAL);
	REFUSED(vsw_vlan_set_allowed(v, vlan_set(test, "0,7"), &err), -EINVAL);
	REFUSED(vsw_vlan_set_allowed(v, vlan_set(test, "7,4095"), &err),
		-EINVAL);
	REFUSED(vsw_vlan_set_allowed(v, vlan_set(test, "10-12"), &err),
		-EINVAL);
	REFUSED(vsw_vlan_set_native(v, 4095, &err), -EINVAL);
	vlan_expect(test, v, "7,10-12", "7", 7);
	REFUSED(vsw_vlan_del(v, 20, 30, &err), -ENOENT);

	REFUSED(vsw_vlan_set_private(v, VSW_VLAN_ISOLATED, 0,
				     vlan_set(test, "5"), &err), -EINVAL);
	REFUSED(vsw_vlan_set_private(v, VSW_VLAN_ISOLATED, 100,
				     vlan_set(test, "100"), &err), -EINVAL);
	REFUSED(vsw_vlan_set_private(v, VSW_VLAN_ISOLATED, 100,
				     vlan_set(test, "101-102"), &err), -EINVAL);
	REFUSED(vsw_vlan_set_private(v, VSW_VLAN_COMMUNITY, 100,
				     vlan_set(test, ""), &err), -EINVAL);
	REFUSED(vsw_vlan_set_private(v, VSW_VLAN_PROMISCUOUS, 4095,
				     vlan_set(test, "5"), &err), -EINVAL);
	v = vlan_make(test, VLAN_COMMUNITY);
	REFUSED(vsw_vlan_add(v, 7, 7, 0, &err), -EBUSY);
	REFUSED(vsw_vlan_del(v, 100, 100, &err), -EBUSY);
	REFUSED(vsw_vlan_set_native(v, 7, &err), -EBUSY);
	REFUSED(vsw_vlan_set_allowed(v, vlan_set(test, "7"), &err), -EBUSY);
#undef REFUSED
}

/* Ranges are what a user is shown: next to each other, of the same kind. */
static void vsw_vlan_test_ranges(struct kunit *test)
{
	static const struct vsw_vlan_range wanted[] = {
		{ 1, 2, 0 },
		{ 3, 3, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED },
		{ 4, 5, 0 },
		{ 10, 11, VSW_VLAN_UNTAGGED },
		{ 4094, 4094, 0 },
	};
	struct vsw_vlans *v = vlan_new(test);
	struct vsw_vlan_range r = {};
	unsigned int n = 0, vid;
	int err = 0;

	KUNIT_EXPECT_FALSE(test, vsw_vlan_next(v, &r));
	vsw_vlan_add(v, 1, 5, 0, &err);
	vsw_vlan_add(v, 3, 3, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED, &err);
	vsw_vlan_add(v, 10, 11, VSW_VLAN_UNTAGGED, &err);
	vsw_vlan_add(v, 4094, 4094, 0, &err);
	while (n < ARRAY_SIZE(wanted) && vsw_vlan_next(v, &r)) {
		KUNIT_EXPECT_EQ(test, r.first, wanted[n].first);
		KUNIT_EXPECT_EQ(test, r.last, wanted[n].last);
		KUNIT_EXPECT_EQ(test, r.flags, wanted[n].flags);
		n++;
	}
	KUNIT_EXPECT_EQ(test, n, ARRAY_SIZE(wanted));
	KUNIT_EXPECT_FALSE(test, vsw_vlan_next(v, &r));

	v = vlan_new(test);
	for (vid = 1; vid < 2 * VSW_VLAN_RANGES; vid += 2)
		vsw_vlan_add(v, vid, vid, 0, &err);
	KUNIT_EXPECT_NULL(test, vsw_vlan_check(v, &err));
	vsw_vlan_add(v, 4000, 4094, 0, &err);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_NOT_NULL(test, vsw_vlan_check(v, &err));
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
}

static struct kunit_case vsw_vlan_test_cases[] = {
	KUNIT_CASE(vsw_vlan_test_egress),
	KUNIT_CASE(vsw_vlan_test_ingress),
	KUNIT_CASE(vsw_vlan_test_private),
	KUNIT_CASE(vsw_vlan_test_mode),
	KUNIT_CASE(vsw_vlan_test_keys),
	KUNIT_CASE(vsw_vlan_test_add_del),
	KUNIT_CASE(vsw_vlan_test_allowed_native),
	KUNIT_CASE(vsw_vlan_test_refused),
	KUNIT_CASE(vsw_vlan_test_ranges),
	{}
};

static struct kunit_suite vsw_vlan_test_suite = {
	.name		= "vsw_vlan",
	.test_cases	= vsw_vlan_test_cases,
};

kunit_test_suite(vsw_vlan_test_suite);
