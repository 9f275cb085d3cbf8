// SPDX-License-Identifier: GPL-2.0-only
/* Who holds the queues: the decision alone, with ports that are numbers. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/string.h>
#include "vsw_weight.h"

#define WEIGHT_PORTS	20
#define WEIGHT_QUEUES	7
/* No decision takes more: each port gives once and is offered one twice. */
#define WEIGHT_STEPS	(4 * WEIGHT_PORTS)

struct weight_test {
	struct kunit *test;
	struct vsw_weight w;
	struct vsw_weight_port ports[WEIGHT_PORTS];
	/* Takes no queue, whatever it is offered. */
	bool hopeless[WEIGHT_PORTS];
	/* What is given back is not free at once. */
	bool frames_are_held;
	unsigned int gives, takes, swaps;
	/* In which round the last swaps were. */
	u32 swapped[VSW_WEIGHT_SWAPS];
	char holders[WEIGHT_PORTS + 1];
};

static void weight_give(struct weight_test *t, struct vsw_weight_port *p)
{
	KUNIT_EXPECT_TRUE(t->test, p->holds);
	vsw_weight_release(p);
	t->gives++;
	if (t->frames_are_held)
		t->w.soon++;
	else
		t->w.now++;
}

static void weight_take(struct weight_test *t, struct vsw_weight_port *p)
{
	KUNIT_EXPECT_FALSE(t->test, p->holds);
	KUNIT_EXPECT_GT(t->test, t->w.now, 0);
	t->takes++;
	p->cannot = t->hopeless[p - t->ports];
	if (p->cannot)
		return;
	vsw_weight_hold(&t->w, p);
	t->w.now--;
}

static void weight_settle(struct weight_test *t)
{
	struct vsw_weight_port *p;
	unsigned int steps = 0;

	for (;;) {
		switch (vsw_weight_next(&t->w, &p)) {
		case VSW_WEIGHT_GIVE:
			weight_give(t, p);
			break;
		case VSW_WEIGHT_TAKE:
			weight_take(t, p);
			break;
		default:
			vsw_weight_settled(&t->w);
			return;
		}
		KUNIT_ASSERT_LT(t->test, ++steps, WEIGHT_STEPS);
	}
}

/* The ports that hold a queue, as letters, the oldest first. */
static const char *weight_holders(struct weight_test *t)
{
	struct vsw_weight_port *p;
	char *to = t->holders;

	list_for_each_entry(p, &t->w.ports, node)
		if (p->holds)
			*to++ = 'a' + (p - t->ports);
	*to = '\0';
	return t->holders;
}

static const char *weight_set(struct weight_test *t, char port, u8 weight)
{
	t->ports[port - 'a'].weight = weight;
	t->ports[port - 'a'].cannot = false;
	weight_settle(t);
	return weight_holders(t);
}

/* The first @n ports come one after the other, with this weight each. */
static void weight_fill(struct weight_test *t, unsigned int n, u8 weight)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		t->ports[i].weight = weight;
		vsw_weight_join(&t->w, &t->ports[i]);
		weight_settle(t);
	}
}

static int vsw_weight_test_init(struct kunit *test)
{
	struct weight_test *t;
	unsigned int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	t->test = test;
	vsw_weight_init(&t->w);
	t->w.now = WEIGHT_QUEUES;
	for (i = 0; i < WEIGHT_PORTS; i++)
		vsw_weight_port_init(&t->ports[i]);
	test->priv = t;
	return 0;
}

/* Twenty ports, each heavier than the one before: each new one has a queue. */
static void vsw_weight_test_heaviest(struct kunit *test)
{
	struct weight_test *t = test->priv;
	unsigned int i;

	for (i = 0; i < WEIGHT_PORTS; i++) {
		t->ports[i].weight = i * 5;
		vsw_weight_join(&t->w, &t->ports[i]);
		weight_settle(t);
		KUNIT_EXPECT_EQ(test, t->ports[i].holds, i > 0);
	}
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "nopqrst");
	/* Each took once; those that lost gave once: no detour. */
	KUNIT_EXPECT_EQ(test, t->takes, WEIGHT_PORTS - 1);
	KUNIT_EXPECT_EQ(test, t->gives, WEIGHT_PORTS - 1 - WEIGHT_QUEUES);

	KUNIT_EXPECT_STREQ(test, weight_set(t, 'c', 100), "copqrst");
	KUNIT_EXPECT_STREQ(test, weight_set(t, 't', 1), "cnopqrs");
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'a', 66), "acopqrs");
}

/* Equals: the oldest, and who holds one keeps it, whoever else is equal. */
static void vsw_weight_test_ties(struct kunit *test)
{
	struct weight_test *t = test->priv;

	weight_fill(t, 10, 50);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdefg");
	KUNIT_EXPECT_EQ(test, t->gives, 0);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'a', 49), "bcdefgh");
	/* As heavy as the others again is not heavier. */
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'a', 50), "bcdefgh");
	KUNIT_EXPECT_EQ(test, t->gives, 1);
	/* The youngest of the lightest loses. */
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'j', 51), "bcdefgj");
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'c', 40), "abdefgj");
	/* A queue more: the oldest of those that wait. */
	t->w.now++;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abdefghj");
}

/* Weight 0: no queue, even if there is one that nobody else wants. */
static void vsw_weight_test_zero(struct kunit *test)
{
	struct weight_test *t = test->priv;

	weight_fill(t, 5, 100);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'b', 0), "acde");
	KUNIT_EXPECT_EQ(test, t->w.now, WEIGHT_QUEUES - 4);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'b', 1), "abcde");
}

/* The queue of an exclusive port is not taken, and it takes none but by weight. */
static void vsw_weight_test_exclusive(struct kunit *test)
{
	struct weight_test *t = test->priv;
	unsigned int i;

	weight_fill(t, 9, 50);
	t->ports['g' - 'a'].exclusive = true;
	t->ports['a' - 'a'].exclusive = true;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'g', 10), "abcdefg");
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'h', 60), "abcdegh");
	/* One that has lost its queue waits as all do. */
	t->ports['i' - 'a'].exclusive = true;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdegh");
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'i', 51), "abcdghi");
	/* With exclusive ones alone nobody's weight helps. */
	for (i = 0; i < 9; i++)
		t->ports[i].exclusive = t->ports[i].holds;
	t->gives = 0;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'f', 100), "abcdghi");
	KUNIT_EXPECT_EQ(test, t->gives, 0);
}

/* Who gave for one that could not take it has it back, before older equals. */
static void vsw_weight_test_cannot(struct kunit *test)
{
	struct weight_test *t = test->priv;

	weight_fill(t, 9, 50);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'a', 40), "bcdefgh");
	weight_set(t, 'a', 50);
	t->hopeless['i' - 'a'] = true;
	t->gives = 0;
	t->takes = 0;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'i', 90), "bcdefgh");
	KUNIT_EXPECT_EQ(test, t->gives, 1);
	KUNIT_EXPECT_EQ(test, t->takes, 2);
	/* It is not asked over and over. */
	weight_settle(t);
	KUNIT_EXPECT_EQ(test, t->takes, 2);
	/* Two of them, in one go, and a third that can. */
	t->hopeless['a' - 'a'] = true;
	t->ports['a' - 'a'].weight = 95;
	t->ports['i' - 'a'].cannot = false;
	vsw_weight_join(&t->w, &t->ports['j' - 'a']);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'j', 80), "bcdefgj");
	KUNIT_EXPECT_TRUE(test, t->ports['a' - 'a'].cannot);
	KUNIT_EXPECT_TRUE(test, t->ports['i' - 'a'].cannot);
	KUNIT_EXPECT_EQ(test, t->w.now, 0);
}

/* The frames of the queue that was given are still held: the winner waits. */
static void vsw_weight_test_freeing(struct kunit *test)
{
	struct weight_test *t = test->priv;

	weight_fill(t, 10, 50);
	weight_set(t, 'a', 40);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'a', 50), "bcdefgh");
	t->frames_are_held = true;
	t->gives = 0;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'i', 60), "bcdefg");
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "bcdefg");
	KUNIT_EXPECT_EQ(test, t->gives, 1);
	/* A second one, no lighter than the first, gets another's. */
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'j', 60), "bcdef");
	KUNIT_EXPECT_EQ(test, t->w.soon, 2);
	/* Frames come back one after the other: the older one first. */
	t->w.soon--;
	t->w.now++;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "bcdefi");
	/* The other cannot: it is for those who gave, before an older equal. */
	t->hopeless['j' - 'a'] = true;
	t->w.soon--;
	t->w.now++;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "bcdefgi");
}

/* A queue of somebody else's is on its way: the first who waits needs no other. */
static void vsw_weight_test_soon(struct kunit *test)
{
	struct weight_test *t = test->priv;

	weight_fill(t, 10, 50);
	t->w.soon = 1;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'i', 60), "abcdefg");
	/* The second does, and what is free first is for the older one. */
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'j', 60), "abcdefi");
	t->w.soon = 0;
	t->w.now = 1;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdefij");
}

/* Loads of one round, in frames a second, and what they lead to. */
static void weight_round(struct weight_test *t, const u32 *loads)
{
	struct vsw_weight_port *p;

	list_for_each_entry(p, &t->w.ports, node)
		vsw_weight_measure(p, loads[p - t->ports]);
	p = vsw_weight_round(&t->w);
	if (!p)
		return;
	KUNIT_EXPECT_FALSE(t->test, p->exclusive);
	/* The budget: the one so many swaps ago is out of the window. */
	KUNIT_EXPECT_GE(t->test,
			t->w.round - t->swapped[t->swaps % VSW_WEIGHT_SWAPS],
			VSW_WEIGHT_WINDOW);
	t->swapped[t->swaps++ % VSW_WEIGHT_SWAPS] = t->w.round;
	weight_give(t, p);
	weight_settle(t);
}

static void weight_rounds(struct weight_test *t, const u32 *loads,
			  unsigned int n)
{
	while (n--)
		weight_round(t, loads);
}

static void weight_by_load(struct weight_test *t)
{
	t->w.policy = VSW_WEIGHT_BY_LOAD;
}

/* One of those that wait becomes busy: it has a queue within three rounds. */
static void vsw_weight_test_load_step(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS] = { 500, 500, 20, 500, 500, 500, 500 };

	weight_fill(t, WEIGHT_PORTS, 100);
	weight_by_load(t);
	weight_rounds(t, loads, 50);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdefg");
	loads['k' - 'a'] = 1000;
	weight_rounds(t, loads, 3);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abdefgk");
	/* Idle again it keeps the queue: nobody else wants it. */
	loads['k' - 'a'] = 0;
	weight_rounds(t, loads, 300);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abdefgk");
	KUNIT_EXPECT_EQ(test, t->swaps, 1);
	/* A queue that is free goes to the busiest. */
	loads['p' - 'a'] = 100;
	loads['q' - 'a'] = 90;
	weight_rounds(t, loads, 30);
	t->w.now++;
	weight_settle(t);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abdefgkp");
}

/* All are about as busy, and vary by a sixth: nothing moves, ever. */
static void vsw_weight_test_load_noise(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS];
	struct rnd_state rnd;
	unsigned int n, i;

	prandom_seed_state(&rnd, 1);
	weight_fill(t, WEIGHT_PORTS, 100);
	weight_by_load(t);
	for (n = 0; n < 5000; n++) {
		for (i = 0; i < WEIGHT_PORTS; i++)
			loads[i] = 10000 + prandom_u32_state(&rnd) % 3400 - 1700;
		weight_round(t, loads);
	}
	KUNIT_EXPECT_EQ(test, t->swaps, 0);
}

/*
 * Two ports are busy in turn, for one queue. They swap less and less often: in
 * ten hours, whatever the beat, as often as the longest rest allows, and a few
 * times while they learn.
 */
static void vsw_weight_test_load_oscillates(struct kunit *test)
{
	struct weight_test *t = test->priv;
	const unsigned int rounds = VSW_WEIGHT_ROUNDS(36000);
	u32 loads[WEIGHT_PORTS] = {};
	unsigned int beat, n, first;

	t->w.now = 1;
	weight_fill(t, 2, 100);
	weight_by_load(t);
	for (beat = 1; beat <= 512; beat *= 2) {
		first = t->swaps;
		for (n = 0; n < rounds; n++) {
			loads[0] = n / beat % 2 ? 5000 : 0;
			loads[1] = n / beat % 2 ? 0 : 5000;
			weight_round(t, loads);
		}
		kunit_info(test, "a beat of %u s: %u swaps in 10 hours",
			   beat * VSW_WEIGHT_ROUND_MS / 1000, t->swaps - first);
		KUNIT_EXPECT_LE(test, t->swaps - first,
				rounds / VSW_WEIGHT_REST_MAX + 5);
	}
}

/* Seven become busy together: one swap a round, and the last in a minute's time. */
static void vsw_weight_test_load_budget(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS] = {};
	unsigned int i;

	weight_fill(t, 2 * WEIGHT_QUEUES, 100);
	weight_by_load(t);
	for (i = WEIGHT_QUEUES; i < 2 * WEIGHT_QUEUES; i++)
		loads[i] = 5000;
	/* Who waits for a queue that is on its way needs nobody's. */
	t->w.soon = 1;
	weight_rounds(t, loads, 10);
	KUNIT_EXPECT_EQ(test, t->swaps, 0);
	t->w.soon = 0;
	weight_rounds(t, loads, VSW_WEIGHT_SWAPS);
	KUNIT_EXPECT_EQ(test, t->swaps, VSW_WEIGHT_SWAPS);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "ahijklm");
	weight_rounds(t, loads, VSW_WEIGHT_WINDOW - VSW_WEIGHT_SWAPS);
	KUNIT_EXPECT_EQ(test, t->swaps, VSW_WEIGHT_SWAPS);
	weight_round(t, loads);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "hijklmn");
}

/* Everybody's load is another each minute: so many swaps in one, at most. */
static void vsw_weight_test_load_changes(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS];
	struct rnd_state rnd;
	unsigned int n, i;

	prandom_seed_state(&rnd, 2);
	weight_fill(t, WEIGHT_PORTS, 100);
	weight_by_load(t);
	for (n = 0; n < 3000; n++) {
		if (n % VSW_WEIGHT_WINDOW == 0)
			for (i = 0; i < WEIGHT_PORTS; i++)
				loads[i] = prandom_u32_state(&rnd) % 100000;
		weight_round(t, loads);
	}
	kunit_info(test, "%u swaps in %u minutes", t->swaps,
		   n / VSW_WEIGHT_WINDOW);
	/* weight_round() has looked at each minute. */
	KUNIT_EXPECT_GT(test, t->swaps, 100);
	KUNIT_EXPECT_EQ(test, strlen(weight_holders(t)), WEIGHT_QUEUES);
}

/* Weight comes before load, and so does exclusive. */
static void vsw_weight_test_load_weights(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS] = {};

	weight_fill(t, 9, 50);
	weight_by_load(t);
	loads['h' - 'a'] = 90000;
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'h', 49), "abcdefg");
	weight_rounds(t, loads, 100);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdefg");
	t->ports['g' - 'a'].exclusive = true;
	weight_set(t, 'h', 50);
	weight_rounds(t, loads, 100);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdegh");
	/* Among lighter holders the idlest goes for a heavier port. */
	loads['a' - 'a'] = 500;
	loads['b' - 'a'] = 10;
	loads['c' - 'a'] = 500;
	loads['d' - 'a'] = 500;
	loads['e' - 'a'] = 500;
	weight_rounds(t, loads, 20);
	KUNIT_EXPECT_STREQ(test, weight_set(t, 'i', 60), "acdeghi");
	KUNIT_EXPECT_EQ(test, t->swaps, 1);
}

/* The busiest cannot hold a queue: the holder has it back, and no more of it. */
static void vsw_weight_test_load_cannot(struct kunit *test)
{
	struct weight_test *t = test->priv;
	u32 loads[WEIGHT_PORTS] = {};

	weight_fill(t, 9, 50);
	weight_by_load(t);
	t->hopeless['i' - 'a'] = true;
	loads['i' - 'a'] = 90000;
	/* Less idle than who gave, but no reason for a swap. */
	loads['h' - 'a'] = 50;
	weight_rounds(t, loads, 1000);
	KUNIT_EXPECT_STREQ(test, weight_holders(t), "abcdefg");
	KUNIT_EXPECT_EQ(test, t->swaps, 1);
	KUNIT_EXPECT_EQ(test, t->takes, WEIGHT_QUEUES + 2);
}

/* What must be so whenever no step is left. */
static void weight_check(struct weight_test *t)
{
	struct vsw_weight_port *p, *waits = NULL, *last = NULL;

	list_for_each_entry(p, &t->w.ports, node) {
		KUNIT_EXPECT_FALSE(t->test, p->holds && !p->weight &&
				   !p->exclusive);
		if (p->weight && !p->holds && !p->cannot &&
		    (!waits || p->weight > waits->weight))
			waits = p;
		if (p->holds && !p->exclusive &&
		    (!last || p->weight < last->weight))
			last = p;
	}
	KUNIT_EXPECT_FALSE(t->test, waits && t->w.now);
	if (waits && last && !t->w.soon)
		KUNIT_EXPECT_LE(t->test, waits->weight, last->weight);
	KUNIT_EXPECT_EQ(t->test, WEIGHT_QUEUES, t->w.now + t->w.soon +
			strlen(weight_holders(t)));
}

/* Everything at random: it always ends, and always with the heaviest. */
static void vsw_weight_test_random(struct kunit *test)
{
	struct weight_test *t = test->priv;
	struct vsw_weight_port *p;
	struct rnd_state rnd;
	unsigned int n, takes;

	prandom_seed_state(&rnd, 82576);
	weight_fill(t, WEIGHT_PORTS, 10);
	for (n = 0; n < 20000; n++) {
		p = &t->ports[prandom_u32_state(&rnd) % WEIGHT_PORTS];
		switch (prandom_u32_state(&rnd) % 8) {
		case 0:
			p->exclusive = p->holds && !p->exclusive;
			break;
		case 1:
			t->hopeless[p - t->ports] = !p->holds;
			p->cannot = false;
			break;
		case 2:
			t->frames_are_held = !t->frames_are_held;
			break;
		case 3:
			t->w.now += t->w.soon;
			t->w.soon = 0;
			break;
		default:
			p->weight = prandom_u32_state(&rnd) % 8;
			if (p->weight == 7)
				p->weight = VSW_WEIGHT_MAX;
			p->exclusive &= p->weight != 0;
		}
		weight_settle(t);
		weight_check(t);
		takes = t->takes;
		weight_settle(t);
		KUNIT_EXPECT_EQ(test, t->takes, takes);
	}
}

static struct kunit_case vsw_weight_test_cases[] = {
	KUNIT_CASE(vsw_weight_test_heaviest),
	KUNIT_CASE(vsw_weight_test_ties),
	KUNIT_CASE(vsw_weight_test_zero),
	KUNIT_CASE(vsw_weight_test_exclusive),
	KUNIT_CASE(vsw_weight_test_cannot),
	KUNIT_CASE(vsw_weight_test_freeing),
	KUNIT_CASE(vsw_weight_test_soon),
	KUNIT_CASE(vsw_weight_test_load_step),
	KUNIT_CASE(vsw_weight_test_load_noise),
	KUNIT_CASE(vsw_weight_test_load_oscillates),
	KUNIT_CASE(vsw_weight_test_load_budget),
	KUNIT_CASE(vsw_weight_test_load_changes),
	KUNIT_CASE(vsw_weight_test_load_weights),
	KUNIT_CASE(vsw_weight_test_load_cannot),
	KUNIT_CASE(vsw_weight_test_random),
	{}
};

static struct kunit_suite vsw_weight_test_suite = {
	.name		= "vsw_weight",
	.init		= vsw_weight_test_init,
	.test_cases	= vsw_weight_test_cases,
};

kunit_test_suite(vsw_weight_test_suite);
