// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core against the oracle: a few long lives, and many short ones on NICs of
 * every kind. The makefile says with which seed these begin, and how many there
 * are in all.
 */
#include "oracle.h"

/* Of a long life, and of a sequence at least and at most. */
#define ORACLE_OPS	1000
#define ORACLE_OPS_MIN	20
#define ORACLE_OPS_MAX	60
/* So many sequences meet every limit that there is, and the rare ones. */
#define ORACLE_MANY	400
#define ORACLE_PLENTY	5000

/* False: it went wrong, and was told. */
static bool oracle_sequence(struct kunit *test, struct oracle *o,
			    const struct oracle_nic *nic, bool silicon,
			    u32 seed)
{
	oracle_create(test, o, nic, silicon, seed);
	if (!oracle_below(o, 4))
		oracle_crowd(o);
	oracle_run(o, ORACLE_OPS_MIN +
		      oracle_below(o, ORACLE_OPS_MAX - ORACLE_OPS_MIN + 1));
	KUNIT_EXPECT_STREQ_MSG(test, o->diff, "",
			       "SEED=%u, operation %u: %s\n%s", seed, o->step,
			       o->what, o->f->log);
	oracle_add_up(o);
	fake_destroy(test, o->f);
	return !o->diff[0];
}

static struct oracle *oracle_alloc(struct kunit *test)
{
	struct oracle *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, o);
	o->sum = kunit_kzalloc(test, sizeof(*o->sum), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, o->sum);
	return o;
}

static void oracle_report(struct kunit *test, const struct oracle_sum *sum)
{
	unsigned int i;

	kunit_info(test, "%u sequences, %llu frames\n", sum->sequences,
		   sum->frames);
	for (i = 0; i < ARRAY_SIZE(oracle_kinds); i++)
		kunit_info(test, "%s: %u done, %u refused\n", oracle_kinds[i],
			   sum->done[i], sum->refused[i]);
}

/* One life, long enough for everything to happen. */

struct oracle_case {
	u32 seed;
	u16 mac_slots;
	u16 vlan_slots;
};

/* With few slots they run out. */
static const struct oracle_case oracle_cases[] = {
	{ 1, 8, 32 }, { 20261122, 8, 32 }, { 82576, 10, 32 },
	{ 20261123, 4, 2 }, { 7, 8, 1 }, { 8, 8, 0 },
};

static void oracle_case_desc(const struct oracle_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "seed %u, %u and %u slots",
		 c->seed, c->mac_slots, c->vlan_slots);
}

KUNIT_ARRAY_PARAM(oracle_case, oracle_cases, oracle_case_desc);

static void vmq_oracle_test_random(struct kunit *test)
{
	const struct oracle_case *c = test->param_value;
	struct oracle_nic nic = { .caps = fake_caps, .addrs = 8 };
	struct oracle *o = oracle_alloc(test);
	unsigned int i;

	nic.caps.mac_slots = c->mac_slots;
	nic.caps.vlan_slots = c->vlan_slots;
	oracle_create(test, o, &nic, false, c->seed);
	oracle_run(o, ORACLE_OPS);
	KUNIT_EXPECT_STREQ_MSG(test, o->diff, "", "operation %u: %s\n%s",
			       o->step, o->what, o->f->log);
	oracle_add_up(o);
	oracle_report(test, o->sum);
	for (i = 0; i < ARRAY_SIZE(oracle_kinds); i++)
		KUNIT_EXPECT_GT_MSG(test, o->sum->done[i], 0, "%s",
				    oracle_kinds[i]);
}

/* Many short ones, on NICs of every kind. */

#define ORACLE_NO_VLANS	(BIT(ORACLE_NO_VLAN_SLOT) | BIT(ORACLE_VLAN_LEFT) | \
			 BIT(ORACLE_TWO_QUEUES))

static const struct oracle_nic oracle_nics[] = {
	{
		.name	= "82576",
		.caps	= { 8, 0, 24, 1, 32 },
		.addrs	= ORACLE_ADDRS,
		.never	= BIT(ORACLE_NO_VLAN_SLOT) | BIT(ORACLE_VLAN_LEFT),
	}, {
		.name	= "the default pool in the middle",
		.caps	= { 8, 3, 12, 2, 32 },
		.addrs	= 8,
		.never	= BIT(ORACLE_NO_VLAN_SLOT) | BIT(ORACLE_VLAN_LEFT) |
			  BIT(ORACLE_NO_SLOT),
	}, {
		.name	= "2 address slots, 1 VLAN slot",
		.caps	= { 3, 0, 2, 0, 1 },
		.addrs	= 3,
		.rare	= BIT(ORACLE_TWO_QUEUES),
	}, {
		.name	= "4 address slots, 2 VLAN slots",
		.caps	= { 4, 3, 5, 1, 2 },
		.addrs	= 5,
	}, {
		.name	= "1 address slot, no VLAN slot",
		.caps	= { 3, 1, 2, 1, 0 },
		.addrs	= 4,
		.never	= ORACLE_NO_VLANS,
	}, {
		.name	= "one VM queue",
		.caps	= { 2, 0, 3, 1, 3 },
		.addrs	= 4,
		.never	= ORACLE_NO_VLANS | BIT(ORACLE_NO_SPLIT) |
			  BIT(ORACLE_CLAIMED),
	},
};

/*
 * Each routes once as the emulated NIC does, and once as the real one. KUnit
 * gives no test more than five minutes: they come in parts.
 */
#define ORACLE_PARTS	4
#define ORACLE_NICS	(2 * ARRAY_SIZE(oracle_nics))

static const void *oracle_gen_nics(const void *prev, char *desc)
{
	uintptr_t i = (uintptr_t)prev, kind = i / ORACLE_PARTS;

	if (kind == ORACLE_NICS)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s, part %lu",
		 oracle_nics[kind / 2].name, kind % 2 ? ", as silicon" : "",
		 i % ORACLE_PARTS + 1);
	return (void *)(i + 1);
}

/* Of the parts so far of the kind that is being tested. */
static struct oracle_sum oracle_parts;

static void oracle_expect_limits(struct kunit *test,
				 const struct oracle_nic *nic,
				 const struct oracle_sum *sum)
{
	unsigned int i, enough;

	for (i = 0; i < ORACLE_LIMITS; i++) {
		enough = nic->rare & BIT(i) ? ORACLE_PLENTY : ORACLE_MANY;
		kunit_info(test, "\"%s\" in %u of %u sequences\n",
			   oracle_reasons[i], sum->met[i], sum->sequences);
		if (nic->never & BIT(i))
			KUNIT_EXPECT_EQ_MSG(test, sum->met[i], 0, "%s",
					    oracle_reasons[i]);
		else if (sum->sequences >= enough)
			KUNIT_EXPECT_NE_MSG(test, sum->met[i], 0, "%s",
					    oracle_reasons[i]);
	}
}

static void vmq_oracle_test_sequences(struct kunit *test)
{
	u32 n = DIV_ROUND_UP(ORACLE_SEQUENCES, ORACLE_NICS), i;
	uintptr_t param = (uintptr_t)test->param_value - 1;
	uintptr_t part = param % ORACLE_PARTS, kind = param / ORACLE_PARTS;
	const struct oracle_nic *nic = &oracle_nics[kind / 2];
	struct oracle *o = oracle_alloc(test);

	if (!part)
		memset(&oracle_parts, 0, sizeof(oracle_parts));
	o->sum = &oracle_parts;
	for (i = part; i < n; i += ORACLE_PARTS)
		if (!oracle_sequence(test, o, nic, kind % 2, ORACLE_SEED + i))
			return;
	if (part < ORACLE_PARTS - 1)
		return;
	oracle_report(test, &oracle_parts);
	oracle_expect_limits(test, nic, &oracle_parts);
}

static struct kunit_case vmq_oracle_test_cases[] = {
	KUNIT_CASE_PARAM(vmq_oracle_test_random, oracle_case_gen_params),
	KUNIT_CASE_PARAM(vmq_oracle_test_sequences, oracle_gen_nics),
	{}
};

static struct kunit_suite vmq_oracle_test_suite = {
	.name		= "vmq_oracle",
	.exit		= fake_test_exit,
	.test_cases	= vmq_oracle_test_cases,
};

kunit_test_suite(vmq_oracle_test_suite);
