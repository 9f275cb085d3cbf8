// SPDX-License-Identifier: GPL-2.0-only
/* The token bucket: what it gives in which time. */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/time64.h>
#include "vsw_bucket.h"

#define SECOND	((s64)NSEC_PER_SEC)
#define MS	((s64)NSEC_PER_MSEC)
/* An uptime that nothing may depend on. */
#define START	(12345 * SECOND)

/* Frames of those that ask at an even pace from @from to @to that get a token. */
static unsigned int bucket_count(struct vsw_bucket *b, s64 from, s64 to,
				 unsigned int pps, unsigned int asked)
{
	unsigned int n, got = 0;
	s64 now;

	for (n = 0; n < asked; n++) {
		now = from + (to - from) * n / asked;
		got += vsw_bucket_take(b, now, SECOND / pps, SECOND);
	}
	return got;
}

/* A full bucket gives a second's worth at once, and not one more. */
static void vsw_bucket_test_burst(struct kunit *test)
{
	static const unsigned int rates[] = { 1, 2, 10, 1000, 100000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		struct vsw_bucket b = {};

		KUNIT_EXPECT_EQ(test, rates[i],
				bucket_count(&b, START, START, rates[i],
					     2 * rates[i]));
	}
}

/* After the burst it is the rate, however much is asked for. */
static void vsw_bucket_test_rate(struct kunit *test)
{
	struct vsw_bucket b = {};
	unsigned int s, got;

	bucket_count(&b, START, START, 1000, 2000);
	for (s = 0; s < 5; s++) {
		got = bucket_count(&b, START + s * SECOND,
				   START + (s + 1) * SECOND, 1000, 7777);
		KUNIT_EXPECT_GE(test, got, 999);
		KUNIT_EXPECT_LE(test, got, 1001);
	}
}

/* Below the rate nothing is refused, for as long as one likes. */
static void vsw_bucket_test_below(struct kunit *test)
{
	struct vsw_bucket b = {};

	KUNIT_EXPECT_EQ(test, 9000u,
			bucket_count(&b, START, START + 10 * SECOND, 1000,
				     9000));
}

/* Time earns up to a second's worth; ten idle seconds are no more than one. */
static void vsw_bucket_test_refill(struct kunit *test)
{
	struct vsw_bucket b = {};

	bucket_count(&b, START, START, 100, 200);
	KUNIT_EXPECT_EQ(test, 50u,
			bucket_count(&b, START + SECOND / 2,
				     START + SECOND / 2, 100, 200));
	KUNIT_EXPECT_EQ(test, 100u,
			bucket_count(&b, START + 11 * SECOND,
				     START + 11 * SECOND, 100, 200));
}

/* What does not fit takes nothing: a smaller one still does. */
static void vsw_bucket_test_refused(struct kunit *test)
{
	struct vsw_bucket b = {};

	KUNIT_EXPECT_TRUE(test, vsw_bucket_take(&b, START, 9 * MS, 10 * MS));
	KUNIT_EXPECT_FALSE(test, vsw_bucket_take(&b, START, 2 * MS, 10 * MS));
	KUNIT_EXPECT_TRUE(test, vsw_bucket_take(&b, START, 1 * MS, 10 * MS));
	KUNIT_EXPECT_FALSE(test, vsw_bucket_take(&b, START, 1, 10 * MS));
	KUNIT_EXPECT_TRUE(test, vsw_bucket_take(&b, START + 1, 1, 10 * MS));
}

/* A clock of another CPU may be behind: that gives nothing away. */
static void vsw_bucket_test_back(struct kunit *test)
{
	struct vsw_bucket b = {};

	KUNIT_EXPECT_TRUE(test, vsw_bucket_take(&b, START, 10 * MS, 10 * MS));
	KUNIT_EXPECT_FALSE(test, vsw_bucket_take(&b, START - MS, 1, 10 * MS));
}

/*
 * On credit: whoever waits until it is ready gets the rate to the byte, with
 * frames larger than the bucket, and with a timer that is late.
 */
static void vsw_bucket_test_charge(struct kunit *test)
{
	s64 now = START, sent = 0, cost;
	struct vsw_bucket b = {};
	unsigned int n;

	for (n = 0; n < 5000; n++) {
		now = max(now, vsw_bucket_ready(&b, 10 * MS));
		/* Late by up to 6 ms, which the bucket bridges. */
		now += n % 7 * MS;
		while (vsw_bucket_ready(&b, 10 * MS) <= now) {
			cost = n % 11 ? MS / 8 : 25 * MS;
			vsw_bucket_charge(&b, now, cost);
			sent += cost;
		}
	}
	/* The first ten milliseconds, and one frame, are on top. */
	KUNIT_EXPECT_GE(test, sent, now - START);
	KUNIT_EXPECT_LE(test, sent, now - START + 10 * MS + 25 * MS);
}

/* A pause earns the depth of the bucket, and no more. */
static void vsw_bucket_test_charge_idle(struct kunit *test)
{
	struct vsw_bucket b = {};
	unsigned int n = 0;

	vsw_bucket_charge(&b, START, MS);
	while (vsw_bucket_ready(&b, 10 * MS) <= START + SECOND) {
		vsw_bucket_charge(&b, START + SECOND, MS);
		n++;
	}
	KUNIT_EXPECT_EQ(test, n, 11u);
}

/* Tokens that are there when their price changes stay as many, and no more. */
static void vsw_bucket_test_rescale(struct kunit *test)
{
	struct vsw_bucket b = {};

	/* 60 of 100 are left. A token of 1 ms costs 0.1 ms, and 1 ms again. */
	vsw_bucket_charge(&b, START, 40 * MS);
	vsw_bucket_rescale(&b, START, 100 * MS, 1000, 10000);
	KUNIT_EXPECT_EQ(test, vsw_bucket_ready(&b, 100 * MS),
			START - 6 * MS);
	vsw_bucket_rescale(&b, START, 100 * MS, 10000, 1000);
	KUNIT_EXPECT_EQ(test, vsw_bucket_ready(&b, 100 * MS),
			START - 60 * MS);
	/* There is room for so many only. */
	vsw_bucket_rescale(&b, START, 100 * MS, 1000, 10);
	KUNIT_EXPECT_EQ(test, vsw_bucket_ready(&b, 100 * MS),
			START - 100 * MS);
	/* 100 ms of debt. */
	vsw_bucket_charge(&b, START, 200 * MS);
	vsw_bucket_rescale(&b, START, 100 * MS, 10, 1000);
	KUNIT_EXPECT_EQ(test, vsw_bucket_ready(&b, 100 * MS), START + MS);
	/* None was to be had before. */
	vsw_bucket_rescale(&b, START, 100 * MS, 0, 1000);
	KUNIT_EXPECT_EQ(test, vsw_bucket_ready(&b, 100 * MS), START);
}

static struct kunit_case vsw_bucket_test_cases[] = {
	KUNIT_CASE(vsw_bucket_test_burst),
	KUNIT_CASE(vsw_bucket_test_rate),
	KUNIT_CASE(vsw_bucket_test_below),
	KUNIT_CASE(vsw_bucket_test_refill),
	KUNIT_CASE(vsw_bucket_test_refused),
	KUNIT_CASE(vsw_bucket_test_back),
	KUNIT_CASE(vsw_bucket_test_charge),
	KUNIT_CASE(vsw_bucket_test_charge_idle),
	KUNIT_CASE(vsw_bucket_test_rescale),
	{}
};

static struct kunit_suite vsw_bucket_test_suite = {
	.name		= "vsw_bucket",
	.test_cases	= vsw_bucket_test_cases,
};

kunit_test_suite(vsw_bucket_test_suite);
