// SPDX-License-Identifier: GPL-2.0-only
/* How an uplink is divided: ports that send by their own mind, round by round. */
#include <kunit/test.h>
#include <linux/module.h>
#include "vsw_share.h"

#define PORTS		20
#define MBPS		1000
#define CAPACITY	(100 * MBPS)
#define ALL		U32_MAX
/* Rounds until everybody has what is his, after whatever change. */
#define SETTLE		8

/* One instance is an uplink, and what its ports would send. */
struct share_sim {
	struct vsw_share share;
	struct vsw_share_port ports[PORTS];
	u32 offered[PORTS];
	unsigned int n;
};

static void share_init(struct share_sim *sim, unsigned int n)
{
	unsigned int i;

	memset(sim, 0, sizeof(*sim));
	INIT_LIST_HEAD(&sim->share.ports);
	sim->share.capacity = CAPACITY;
	sim->n = n;
	for (i = 0; i < n; i++) {
		vsw_share_port_init(&sim->ports[i]);
		list_add_tail(&sim->ports[i].node, &sim->share.ports);
	}
	vsw_share_divide(&sim->share);
}

static struct share_sim *share_sim(struct kunit *test, unsigned int n)
{
	struct share_sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sim);
	share_init(sim, n);
	return sim;
}

/* What holds after each division, whatever went before. */
static void share_check(struct kunit *test, struct share_sim *sim)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < sim->n; i++) {
		KUNIT_ASSERT_GE(test, sim->ports[i].rate, 1);
		/* What the least gets is not taken from another. */
		sum += sim->ports[i].rate - (sim->ports[i].rate == 1);
	}
	KUNIT_ASSERT_LE(test, sum, (u64)sim->share.capacity);
}

static u32 share_sent(const struct share_sim *sim, unsigned int i)
{
	return min(sim->offered[i], sim->ports[i].rate);
}

static void share_run(struct kunit *test, struct share_sim *sim,
		      unsigned int rounds)
{
	unsigned int i;

	while (rounds--) {
		for (i = 0; i < sim->n; i++)
			vsw_share_measure(&sim->ports[i], share_sent(sim, i),
					  sim->offered[i] > sim->ports[i].rate);
		vsw_share_divide(&sim->share);
		share_check(test, sim);
	}
}

/* What is sent, in the round that is to come. */
static u64 share_total(const struct share_sim *sim)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < sim->n; i++)
		sum += share_sent(sim, i);
	return sum;
}

static void share_expect(struct kunit *test, u64 got, u64 want, u64 slack)
{
	KUNIT_EXPECT_GE(test, got + slack, want);
	KUNIT_EXPECT_LE(test, got, want + slack);
}

/* Two that want all get it as their weights are, to a part in ten thousand. */
static void vsw_share_test_two_to_one(struct kunit *test)
{
	static const u32 weights[][2] = {
		{ 200, 100 }, { 2, 1 }, { 10000, 5000 }, { 66, 33 },
	};
	struct share_sim *sim = share_sim(test, 2);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(weights); i++) {
		share_init(sim, 2);
		sim->ports[0].weight = weights[i][0];
		sim->ports[1].weight = weights[i][1];
		sim->offered[0] = ALL;
		sim->offered[1] = ALL;
		share_run(test, sim, 2);
		share_expect(test, sim->ports[0].rate, CAPACITY * 2 / 3, 10);
		share_expect(test, sim->ports[1].rate, CAPACITY / 3, 10);
		KUNIT_EXPECT_GE(test, share_total(sim), CAPACITY - 10);
	}
}

/* What an idle port does not use is the other's; it has its own back at once. */
static void vsw_share_test_idle(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, 2);

	sim->ports[0].weight = 200;
	sim->offered[1] = ALL;
	share_run(test, sim, 1);
	KUNIT_EXPECT_GE(test, sim->ports[1].rate, CAPACITY * 97 / 100);
	/* A little is kept ready. */
	KUNIT_EXPECT_GE(test, sim->ports[0].rate, CAPACITY / 100);

	sim->offered[0] = ALL;
	share_run(test, sim, 1);
	share_expect(test, sim->ports[0].rate, CAPACITY * 2 / 3, 10);

	/* He may have paused only: half of it is his a round later. */
	share_run(test, sim, 1);
	sim->offered[0] = 0;
	share_run(test, sim, 1);
	KUNIT_EXPECT_GE(test, sim->ports[0].rate, CAPACITY / 3);
	share_run(test, sim, 1);
	KUNIT_EXPECT_GE(test, sim->ports[1].rate, CAPACITY * 3 / 5);
	share_run(test, sim, SETTLE);
	KUNIT_EXPECT_GE(test, sim->ports[1].rate, CAPACITY * 97 / 100);
}

/* Who wants less than his share gets it, and the rest is another's. */
static void vsw_share_test_below(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, 3);

	/* A limit of his own is why he sends no more: it does not matter here. */
	sim->offered[0] = 10 * MBPS;
	sim->offered[1] = ALL;
	sim->offered[2] = ALL;
	sim->ports[2].weight = 200;
	share_run(test, sim, SETTLE);
	KUNIT_EXPECT_EQ(test, share_sent(sim, 0), 10 * MBPS);
	share_expect(test, sim->ports[1].rate, 30 * MBPS, MBPS);
	share_expect(test, sim->ports[2].rate, 60 * MBPS, MBPS);
	KUNIT_EXPECT_GE(test, share_total(sim), CAPACITY * 97 / 100);
}

/* Light traffic is never held back, and leaves the rest to who can use it. */
static void vsw_share_test_many(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, PORTS);
	unsigned int i;

	for (i = 0; i < PORTS; i++) {
		sim->ports[i].weight = 50 + 10 * i;
		sim->offered[i] = i % 2 ? ALL : i * 100;
	}
	share_run(test, sim, SETTLE);
	for (i = 0; i < PORTS; i += 2)
		KUNIT_EXPECT_EQ(test, share_sent(sim, i), i * 100);
	for (i = 3; i < PORTS; i += 2)
		share_expect(test, (u64)sim->ports[i].rate * 60,
			     (u64)sim->ports[1].rate * sim->ports[i].weight,
			     sim->ports[i].weight * 2);
	KUNIT_EXPECT_GE(test, share_total(sim), CAPACITY * 97 / 100);
}

/* The lightest of all goes on, beside the heaviest, on the slowest uplink. */
static void vsw_share_test_starvation(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, PORTS);
	unsigned int i;

	sim->share.capacity = MBPS;
	for (i = 0; i < PORTS; i++) {
		sim->ports[i].weight = i ? VSW_SHARE_WEIGHT_MAX :
					   VSW_SHARE_WEIGHT_MIN;
		sim->offered[i] = ALL;
	}
	share_run(test, sim, SETTLE);
	KUNIT_EXPECT_EQ(test, sim->ports[0].rate, 1);
	share_expect(test, sim->ports[1].rate, MBPS / (PORTS - 1), 1);
}

/* What the host sends the ports do not: the weights hold beside it, to a tenth. */
static void vsw_share_test_host(struct kunit *test)
{
	static const u32 leaves[][2] = {
		/* What it sends, in percent, and what is left. */
		{ 0, 100 }, { 1, 99 }, { 20, 80 }, { 75, 25 }, { 90, 10 },
		{ 95, 10 }, { 100, 10 }, { 300, 10 }, { 40, 60 },
	};
	struct share_sim *sim = share_sim(test, 2);
	unsigned int i;
	u32 left;

	sim->ports[0].weight = 200;
	sim->offered[0] = ALL;
	sim->offered[1] = ALL;
	for (i = 0; i < ARRAY_SIZE(leaves); i++) {
		sim->share.others = CAPACITY / 100 * leaves[i][0];
		left = CAPACITY / 100 * leaves[i][1];
		share_run(test, sim, 1);
		share_expect(test, sim->ports[0].rate, left * 2 / 3, 10);
		share_expect(test, sim->ports[1].rate, left / 3, 10);
		KUNIT_EXPECT_LE(test, share_total(sim), left);
		KUNIT_EXPECT_EQ(test, sim->ports[1].due, CAPACITY / 3);
	}
}

/* All capacities and weights, and ports that come, go and want what they like. */
static void vsw_share_test_random(struct kunit *test)
{
	static const u32 capacities[] = { 1 * MBPS, 990, 7777777, 10000 * MBPS };
	struct share_sim *sim = share_sim(test, PORTS);
	u32 seed = 1, round, i;

	for (round = 0; round < 2000; round++) {
		sim->share.capacity = capacities[round / 500];
		seed = seed * 1664525 + 1013904223;
		i = (seed >> 16) % PORTS;
		sim->ports[i].weight = 1 + (seed >> 8) % VSW_SHARE_WEIGHT_MAX;
		sim->offered[i] = seed & BIT(30) ? ALL : seed >> (seed >> 27);
		sim->share.others = seed >> (seed >> 27);
		share_run(test, sim, 1);
	}
}

/* Nobody sends: all of it is at hand for whoever is the first. */
static void vsw_share_test_quiet(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, 4);

	share_run(test, sim, SETTLE);
	share_expect(test, sim->ports[3].rate, CAPACITY / 4, 10);
}

/* Who is busy when it is switched on, or on again, goes on among many idle ones. */
static void vsw_share_test_start(struct kunit *test)
{
	struct share_sim *sim = share_sim(test, PORTS);
	unsigned int again, i;

	for (again = 0; again < 2; again++) {
		/* What went before is forgotten. */
		for (i = 0; i < PORTS; i++)
			vsw_share_measure(&sim->ports[i], CAPACITY, true);
		sim->share.others = CAPACITY;
		sim->offered[0] = 90 * MBPS;
		vsw_share_start(&sim->share);
		for (i = 0; i < 2 * SETTLE; i++) {
			KUNIT_EXPECT_EQ(test, share_sent(sim, 0), 90 * MBPS);
			share_run(test, sim, 1);
		}
	}
	sim->offered[0] = ALL;
	sim->offered[1] = ALL;
	vsw_share_start(&sim->share);
	share_run(test, sim, 1);
	share_expect(test, sim->ports[0].rate, CAPACITY / 2, MBPS);
	share_expect(test, sim->ports[1].rate, CAPACITY / 2, MBPS);
}

static struct kunit_case vsw_share_test_cases[] = {
	KUNIT_CASE(vsw_share_test_two_to_one),
	KUNIT_CASE(vsw_share_test_idle),
	KUNIT_CASE(vsw_share_test_below),
	KUNIT_CASE(vsw_share_test_many),
	KUNIT_CASE(vsw_share_test_starvation),
	KUNIT_CASE(vsw_share_test_host),
	KUNIT_CASE(vsw_share_test_random),
	KUNIT_CASE(vsw_share_test_quiet),
	KUNIT_CASE(vsw_share_test_start),
	{}
};

static struct kunit_suite vsw_share_test_suite = {
	.name		= "vsw_share",
	.test_cases	= vsw_share_test_cases,
};

kunit_test_suite(vsw_share_test_suite);
