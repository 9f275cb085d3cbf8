// SPDX-License-Identifier: GPL-2.0-only
/*
 * When queues change their CPU: a simulation of queues, CPUs and load. Nothing
 * of it runs on a CPU of this machine, so one is enough.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include "vmq_balance.h"

#define BALANCE_CPUS	16
/* Load changes in the midst of a round, too. */
#define BALANCE_TICKS	4
#define BALANCE_FULL	1000
#define BALANCE_SETTLED	5
#define BALANCE_SPREAD	VMQ_BALANCE_ROUNDS(2)
#define BALANCE_GATHER	VMQ_BALANCE_ROUNDS(10)
#define BALANCE_MINUTE	VMQ_BALANCE_ROUNDS(60)
/* The thresholds that are promised. */
#define BALANCE_HIGH	500
#define BALANCE_LOW	200

/* Who gets how much of a CPU that cannot serve all. */
enum balance_share {
	BALANCE_PROPORTIONAL,
	BALANCE_FAIR,
};

struct balance_sim {
	struct kunit *test;
	struct vmq_balance b;
	struct rnd_state rnd;
	u32 seed;
	u16 nr_queues;
	u16 nr_cpus;
	u16 home;
	u8 share;		/* enum balance_share */
	u8 noise;		/* per cent of a demand, each way */
	bool gone[BALANCE_CPUS];
	bool fixed[VMQ_MAX_QUEUES];
	u16 demand[VMQ_MAX_QUEUES];	/* permille of a CPU */
	u16 wanted[VMQ_MAX_QUEUES];	/* the same with noise */
	u16 at[VMQ_MAX_QUEUES];
	u32 served[VMQ_MAX_QUEUES];	/* in this round, by tick */
	u32 load[BALANCE_CPUS];
	u32 ticks;
	u32 rounds;
	u32 last_move;		/* the round of it */
	u32 moves;
	u8 last_moves[VMQ_MAX_QUEUES][VMQ_BALANCE_WINDOW];
};

static u32 balance_random(struct balance_sim *s, u32 limit)
{
	return prandom_u32_state(&s->rnd) % limit;
}

/* All queues are idle and at home, which is CPU 0. */
static void balance_begin(struct balance_sim *s, u16 nr_queues, u16 nr_cpus,
			  u32 seed)
{
	struct kunit *test = s->test;

	memset(s, 0, sizeof(*s));
	s->test = test;
	s->nr_queues = nr_queues;
	s->nr_cpus = nr_cpus;
	s->seed = seed;
	prandom_seed_state(&s->rnd, seed);
	vmq_balance_init(&s->b, nr_queues);
}

static struct balance_sim *balance_new(struct kunit *test, u16 nr_queues,
				       u16 nr_cpus)
{
	struct balance_sim *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->test = test;
	balance_begin(s, nr_queues, nr_cpus, 1);
	return s;
}

static void balance_demand(struct balance_sim *s, u16 each)
{
	u16 i;

	for (i = 0; i < s->nr_queues; i++)
		s->demand[i] = each;
}

static u32 balance_sum(const struct balance_sim *s, const u16 *of, u16 cpu)
{
	u32 sum = 0;
	u16 i;

	for (i = 0; i < s->nr_queues; i++)
		if (s->at[i] == cpu)
			sum += of[i];
	return sum;
}

/* What the hungry ones get each, when those that want less have theirs. */
static u32 balance_fair_level(const struct balance_sim *s, u16 cpu)
{
	u32 level = 0, last, sum, hungry;
	u16 i;

	do {
		last = level;
		sum = 0;
		hungry = 0;
		for (i = 0; i < s->nr_queues; i++) {
			if (s->at[i] != cpu)
				continue;
			if (s->wanted[i] <= level)
				sum += s->wanted[i];
			else
				hungry++;
		}
		if (hungry)
			level = (BALANCE_FULL - sum) / hungry;
	} while (level > last);
	return level;
}

static void balance_serve(struct balance_sim *s, u16 cpu)
{
	u32 sum = balance_sum(s, s->wanted, cpu), level = 0, got;
	u16 i;

	if (sum > BALANCE_FULL && s->share == BALANCE_FAIR)
		level = balance_fair_level(s, cpu);
	for (i = 0; i < s->nr_queues; i++) {
		if (s->at[i] != cpu)
			continue;
		got = s->wanted[i];
		if (level)
			got = min(got, level);
		else if (sum > BALANCE_FULL)
			got = got * BALANCE_FULL / sum;
		s->served[i] += got;
	}
}

static void balance_make_noise(struct balance_sim *s)
{
	u32 percent;
	u16 i;

	for (i = 0; i < s->nr_queues; i++) {
		percent = 100 - s->noise + balance_random(s, 2 * s->noise + 1);
		s->wanted[i] = min(s->demand[i] * percent / 100, BALANCE_FULL);
	}
}

/* The CPUs that are there, and where the home is among them. */
static u16 balance_candidates(struct balance_sim *s, u16 *cpus)
{
	u16 nr = 0, cpu;

	s->b.home = 0;
	for (cpu = 0; cpu < s->nr_cpus; cpu++) {
		if (s->gone[cpu])
			continue;
		if (cpu == s->home)
			s->b.home = nr;
		cpus[nr++] = cpu;
	}
	return nr;
}

static void balance_measure(struct balance_sim *s, const u16 *cpus)
{
	struct vmq_balance_queue *q;
	u16 i, place;

	for (i = 0; i < s->nr_queues; i++) {
		q = &s->b.queues[i];
		q->load = s->served[i] / BALANCE_TICKS;
		q->movable = !s->fixed[i];
		q->cpu = VMQ_BALANCE_NOWHERE;
		for (place = 0; place < s->b.nr_cpus; place++)
			if (cpus[place] == s->at[i])
				q->cpu = place;
		s->served[i] = 0;
	}
}

/* A move that is in order; its budget is counted here, in another way. */
static void balance_check_move(struct balance_sim *s, u16 id)
{
	const struct vmq_balance_queue *q = &s->b.queues[id];
	u32 recent = 1;
	u16 i;

	KUNIT_ASSERT_FALSE_MSG(s->test, s->fixed[id], "queue %u seed %u", id,
			       s->seed);
	KUNIT_ASSERT_LT(s->test, q->to, s->b.nr_cpus);
	KUNIT_ASSERT_NE(s->test, q->to, q->cpu);
	KUNIT_ASSERT_EQ(s->test, q->cpu == VMQ_BALANCE_NOWHERE,
			q->why == VMQ_BALANCE_EVICT);
	for (i = 0; i < VMQ_BALANCE_WINDOW; i++)
		recent += s->last_moves[id][i];
	if (q->why != VMQ_BALANCE_EVICT)
		KUNIT_ASSERT_LE_MSG(s->test, recent, VMQ_BALANCE_MOVES,
				    "queue %u seed %u", id, s->seed);
}

static void balance_decide(struct balance_sim *s)
{
	unsigned int moves, seen = 0;
	u16 cpus[BALANCE_CPUS], i;

	s->b.nr_cpus = balance_candidates(s, cpus);
	s->b.load = s->load;
	balance_measure(s, cpus);
	moves = vmq_balance_round(&s->b);
	s->rounds++;
	for (i = 0; i < s->nr_queues; i++) {
		s->last_moves[i][s->rounds % VMQ_BALANCE_WINDOW] = 0;
		if (!s->b.queues[i].why) {
			KUNIT_ASSERT_EQ(s->test, s->b.queues[i].to,
					s->b.queues[i].cpu);
			continue;
		}
		balance_check_move(s, i);
		s->last_moves[i][s->rounds % VMQ_BALANCE_WINDOW] = 1;
		s->at[i] = cpus[s->b.queues[i].to];
		s->last_move = s->rounds;
		seen++;
	}
	KUNIT_ASSERT_EQ(s->test, seen, moves);
	s->moves += moves;
}

static void balance_run_ticks(struct balance_sim *s, u32 ticks)
{
	u16 cpu;

	while (ticks--) {
		if (!(s->ticks % BALANCE_TICKS))
			balance_make_noise(s);
		if (!s->noise)
			memcpy(s->wanted, s->demand, sizeof(s->wanted));
		for (cpu = 0; cpu < s->nr_cpus; cpu++)
			balance_serve(s, cpu);
		if (!(++s->ticks % BALANCE_TICKS))
			balance_decide(s);
	}
}

/* Until so many decisions have been taken. */
static void balance_run(struct balance_sim *s, u32 rounds)
{
	balance_run_ticks(s, rounds * BALANCE_TICKS - s->ticks % BALANCE_TICKS);
}

static u32 balance_busiest(const struct balance_sim *s)
{
	u32 most = 0;
	u16 cpu;

	for (cpu = 0; cpu < s->nr_cpus; cpu++)
		most = max(most, balance_sum(s, s->demand, cpu));
	return most;
}

/* Without load to go by: one queue for each CPU in turn. */
static u32 balance_busiest_static(const struct balance_sim *s)
{
	u32 load[BALANCE_CPUS] = {}, most = 0;
	u16 i, cpu = 0;

	for (i = 0; i < s->nr_queues; i++) {
		while (s->gone[cpu])
			cpu = (cpu + 1) % s->nr_cpus;
		load[cpu] += s->demand[i];
		most = max(most, load[cpu]);
		cpu = (cpu + 1) % s->nr_cpus;
	}
	return most;
}

static u16 balance_used(const struct balance_sim *s)
{
	u16 used = 0, cpu, i;

	for (cpu = 0; cpu < s->nr_cpus; cpu++) {
		for (i = 0; i < s->nr_queues && s->at[i] != cpu; i++)
			;
		used += i < s->nr_queues;
	}
	return used;
}

/* The busiest CPU has at most 1.25 times what the static spread's has. */
static void balance_expect_spread(struct balance_sim *s)
{
	u32 most = balance_busiest(s), is_static = balance_busiest_static(s);

	if (most > BALANCE_HIGH)
		KUNIT_ASSERT_LE_MSG(s->test, most * 4, is_static * 5,
				    "seed %u: %u queues, %u CPUs", s->seed,
				    s->nr_queues, s->nr_cpus);
}

/* The same in per cent, and of what a CPU can do: more is wanted, not done. */
static u32 balance_busy(const struct balance_sim *s)
{
	u32 most = min(balance_busiest(s), BALANCE_FULL);
	u32 is_static = min(balance_busiest_static(s), BALANCE_FULL);

	return most > BALANCE_HIGH ? most * 100 / is_static : 0;
}

/* Five rounds after a change no queue moves any more, for minutes. */
static void balance_expect_settled(struct balance_sim *s, u32 minutes)
{
	u32 until;

	balance_run(s, BALANCE_SETTLED);
	until = s->rounds;
	balance_run(s, minutes * BALANCE_MINUTE);
	KUNIT_ASSERT_LE_MSG(s->test, s->last_move, until,
			    "seed %u: %u queues, %u CPUs", s->seed,
			    s->nr_queues, s->nr_cpus);
}

struct balance_step {
	u16 queues, cpus, demand;
};

static const struct balance_step balance_steps[] = {
	{ 4, 4, 1000 },
	{ 4, 4, 150 },
	{ 7, 4, 300 },
	{ 7, 4, 600 },
	{ 7, 4, 1000 },
	{ 2, 4, 400 },
	{ 12, 8, 300 },
	{ 16, 4, 40 },
	{ 64, 8, 10 },
	{ 64, 8, 100 },
	{ 64, 8, 1000 },
	{ 64, 16, 250 },
};

static void balance_step_desc(const struct balance_step *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u queues of %u on %u CPUs",
		 c->queues, c->demand, c->cpus);
}

KUNIT_ARRAY_PARAM(balance_step, balance_steps, balance_step_desc);

/* From nothing to all at once, whenever in a round, and however it is shared. */
static void vmq_balance_test_step(struct kunit *test)
{
	const struct balance_step *c = test->param_value;
	struct balance_sim *s = balance_new(test, c->queues, c->cpus);
	u32 phase;

	for (phase = 0; phase < 2 * BALANCE_TICKS; phase++) {
		balance_begin(s, c->queues, c->cpus, phase);
		s->share = phase & 1 ? BALANCE_FAIR : BALANCE_PROPORTIONAL;
		balance_run_ticks(s, BALANCE_TICKS + phase / 2);
		KUNIT_ASSERT_EQ(test, s->moves, 0);
		balance_demand(s, c->demand);
		balance_expect_settled(s, 5);
		balance_expect_spread(s);
		KUNIT_ASSERT_EQ(test, balance_used(s), min(c->queues, c->cpus));
	}
}

static void balance_demand_random(struct balance_sim *s)
{
	u32 top = 1 + balance_random(s, BALANCE_FULL);
	u16 i;

	for (i = 0; i < s->nr_queues; i++)
		s->demand[i] = balance_random(s, balance_random(s, 3) ?
					      top + 1 : top / 10 + 1);
}

/* Any loads, from home: spread as well as somebody who knows them would. */
static void vmq_balance_test_random(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u32 seed;

	for (seed = 1; seed <= 400; seed++) {
		balance_begin(s, 1, 1, seed);
		s->nr_queues = 1 + balance_random(s, 24);
		s->nr_cpus = 1 + balance_random(s, 8);
		vmq_balance_init(&s->b, s->nr_queues);
		balance_run(s, 1);
		balance_demand_random(s);
		balance_run_ticks(s, balance_random(s, BALANCE_TICKS));
		balance_expect_settled(s, 1);
		balance_expect_spread(s);
	}
}

/*
 * Other loads, from where the ones before had spread the queues, and shared in
 * both ways. Full CPUs hide how much is wanted, so a few may do worse.
 */
static void vmq_balance_test_change(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u32 seed, busy, worse = 0;

	for (seed = 1; seed <= 400; seed++) {
		balance_begin(s, 1, 1, seed);
		s->nr_queues = 2 + balance_random(s, 14);
		s->nr_cpus = 2 + balance_random(s, 6);
		s->share = seed & 1;
		vmq_balance_init(&s->b, s->nr_queues);
		balance_demand(s, BALANCE_FULL);
		balance_expect_settled(s, 1);
		balance_demand_random(s);
		balance_run(s, BALANCE_GATHER);
		balance_run(s, BALANCE_MINUTE);
		busy = balance_busy(s);
		worse += busy > 125;
		KUNIT_ASSERT_LE_MSG(test, busy, 200, "seed %u", seed);
		KUNIT_ASSERT_LE_MSG(test, s->last_move + BALANCE_MINUTE,
				    s->rounds, "seed %u", seed);
	}
	KUNIT_EXPECT_LE(test, worse, 4);
}

/* Up and down for ten minutes; never crowded at home for two seconds. */
static void vmq_balance_test_oscillate(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u32 period, up, done, at;

	for (period = 1; period <= 20; period++) {
		balance_begin(s, 4, 4, period);
		/* In ticks; a period need not fit in with the rounds. */
		up = VMQ_BALANCE_ROUNDS(period) * BALANCE_TICKS / 2;
		for (done = 0; done < 10 * BALANCE_MINUTE * BALANCE_TICKS;
		     done += 2 * up) {
			balance_demand(s, BALANCE_FULL);
			for (at = 0; at < up; at++) {
				balance_run_ticks(s, 1);
				if (at >= BALANCE_SPREAD * BALANCE_TICKS)
					balance_expect_spread(s);
			}
			balance_demand(s, 0);
			balance_run_ticks(s, up);
		}
		KUNIT_ASSERT_GT(test, s->moves, 0);
	}
}

/* Every queue on its own, up and down: the budget, and nobody is left alone. */
static void vmq_balance_test_bursts(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u32 seed, tick;
	u16 id;

	for (seed = 1; seed <= 10; seed++) {
		balance_begin(s, 6, 4, seed);
		for (tick = 0; tick < 10 * BALANCE_MINUTE; tick++) {
			id = balance_random(s, 6);
			if (!balance_random(s, 5))
				s->demand[id] = s->demand[id] ? 0 :
					balance_random(s, BALANCE_FULL);
			balance_run_ticks(s, BALANCE_TICKS);
		}
		KUNIT_ASSERT_GT(test, s->moves, 0);
		/* However spent the budgets are: two minutes later all is well. */
		balance_demand(s, BALANCE_FULL);
		balance_run(s, 2 * BALANCE_MINUTE);
		balance_expect_spread(s);
	}
}

/* All CPUs are full, and one has more queues than its share. */
static void vmq_balance_test_crowded(struct kunit *test)
{
	static const u8 places[][8] = {
		{ 0, 0, 0, 1, 2, 3 },
		{ 3, 2, 2, 2, 2, 2, 1, 0 },
		{ 1, 1, 1, 1, 1, 0, 2, 3 },
	};
	struct balance_sim *s = balance_new(test, 1, 1);
	u16 i, id;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		balance_begin(s, i ? 8 : 6, 4, i);
		s->share = i & 1;
		for (id = 0; id < s->nr_queues; id++)
			s->at[id] = places[i][id];
		balance_demand(s, BALANCE_FULL);
		balance_expect_settled(s, 5);
		balance_expect_spread(s);
	}
	/* Many small ones are no crowd where a large one has as much. */
	balance_begin(s, 22, 2, 1);
	for (id = 0; id < 22; id++) {
		s->at[id] = id >= 10;
		s->demand[id] = id >= 10 ? 150 : id ? 100 : 900;
	}
	balance_run(s, BALANCE_MINUTE);
	KUNIT_EXPECT_EQ(test, s->moves, 0);

	/* Nor light ones with a heavy one. */
	balance_begin(s, 8, 4, 1);
	for (id = 0; id < 8; id++) {
		s->at[id] = id < 4 ? id : 0;
		s->demand[id] = id < 4 ? BALANCE_FULL : 50;
	}
	balance_run(s, 5 * BALANCE_MINUTE);
	KUNIT_EXPECT_EQ(test, s->moves, 0);
}

static const u16 balance_noises[][8] = {
	{ 300, 300, 300, 300, 300, 300, 300 },
	{ 450, 450, 450, 450, 450, 450, 450 },
	{ 900, 60, 60, 60, 60, 60, 60, 60 },
	{ 100, 150, 200, 250, 300, 350, 400, 450 },
	{ 100, 190, 280, 370, 460, 550, 640, 730 },
};

/* Loads that vary by a fifth from round to round are no reason to move. */
static void vmq_balance_test_noise(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u32 before, seed;
	const u16 *loads;

	for (seed = 0; seed < 5 * ARRAY_SIZE(balance_noises); seed++) {
		loads = balance_noises[seed % ARRAY_SIZE(balance_noises)];
		balance_begin(s, 8, 4, seed);
		s->noise = 20;
		memcpy(s->demand, loads, sizeof(balance_noises[0]));
		balance_run(s, 2 * BALANCE_SETTLED);
		balance_expect_spread(s);
		before = s->moves;
		balance_run(s, 10 * BALANCE_MINUTE);
		/* Not even one for each queue. */
		KUNIT_EXPECT_LT_MSG(test, s->moves - before, 8, "seed %u",
				    seed);
		balance_expect_spread(s);
	}
}

/* A queue that takes all of a CPU has it for itself. */
static void vmq_balance_test_heavy(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 1, 1);
	u16 light, heavy, i;

	for (light = 30; light <= 150; light += 40) {
		for (heavy = 0; heavy < 7; heavy++) {
			balance_begin(s, 7, 4, light);
			s->share = heavy & 1;
			balance_run(s, 1);
			balance_demand(s, light);
			s->demand[heavy] = BALANCE_FULL;
			balance_expect_settled(s, 5);
			balance_expect_spread(s);
			for (i = 0; i < 7; i++)
				KUNIT_ASSERT_EQ(test, i == heavy,
						s->at[i] == s->at[heavy]);
		}
	}
}

/* A queue whose CPU somebody chose stays, the others make way for it. */
static void vmq_balance_test_fixed(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 6, 4);

	s->fixed[0] = true;
	s->fixed[1] = true;
	s->fixed[5] = true;
	s->at[1] = 2;
	balance_demand(s, BALANCE_FULL);
	balance_expect_settled(s, 2);
	KUNIT_EXPECT_EQ(test, balance_used(s), 4);
	KUNIT_EXPECT_EQ(test, s->at[1], 2);
	KUNIT_EXPECT_EQ(test, s->at[5], 0);
	KUNIT_EXPECT_EQ(test, balance_sum(s, s->demand, 0), 2 * BALANCE_FULL);
	balance_demand(s, 0);
	balance_run(s, BALANCE_GATHER);
	KUNIT_EXPECT_EQ(test, balance_used(s), 2);
	KUNIT_EXPECT_EQ(test, s->at[1], 2);
	/* Its CPU is gone: for whoever chose it to mend. */
	s->gone[2] = true;
	balance_run(s, BALANCE_SETTLED);
	KUNIT_EXPECT_EQ(test, s->at[1], 2);

	/* All are fixed, and crowded. */
	balance_begin(s, 4, 4, 1);
	memset(s->fixed, true, sizeof(s->fixed));
	balance_demand(s, BALANCE_FULL);
	balance_run(s, BALANCE_MINUTE);
	balance_demand(s, 0);
	balance_run(s, BALANCE_MINUTE);
	KUNIT_EXPECT_EQ(test, s->moves, 0);
}

/* Light queues on the CPU of a fixed one that takes all of it. */
static void vmq_balance_test_fixed_hot(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 4);

	s->fixed[0] = true;
	balance_demand(s, 30);
	s->demand[0] = 950;
	balance_expect_settled(s, 5);
	KUNIT_EXPECT_EQ(test, s->at[0], 0);
	KUNIT_EXPECT_EQ(test, balance_sum(s, s->demand, 0), 950);

	/* Less than a hundredth of a CPU is not worth a move. */
	balance_begin(s, 4, 4, 1);
	s->fixed[0] = true;
	balance_demand(s, 9);
	s->demand[0] = 950;
	balance_run(s, 5 * BALANCE_MINUTE);
	KUNIT_EXPECT_EQ(test, s->moves, 0);
}

/* A queue that is driven out again and again has six moves a minute, no less. */
static void vmq_balance_test_budget(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 3, 2);
	u32 i, minute;

	s->fixed[0] = true;
	s->fixed[1] = true;
	s->at[1] = 1;
	s->demand[2] = 100;
	for (minute = 1; minute <= 3; minute++) {
		for (i = 0; i < 20; i++) {
			s->demand[0] = i & 1 ? 0 : 800;
			s->demand[1] = 800 - s->demand[0];
			balance_run(s, BALANCE_MINUTE / 20);
		}
		KUNIT_EXPECT_EQ(test, s->moves, minute * VMQ_BALANCE_MOVES);
	}
}

/* What a home has to do already, and what the queues would bring. */
static void vmq_balance_test_home_busy(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 4);
	u16 fixed;

	for (fixed = 0; fixed < BALANCE_HIGH; fixed += 50) {
		balance_begin(s, 4, 4, fixed);
		s->fixed[0] = true;
		balance_demand(s, BALANCE_FULL);
		balance_run(s, BALANCE_SETTLED);
		KUNIT_ASSERT_EQ(test, balance_used(s), 4);
		balance_demand(s, 0);
		s->demand[0] = fixed;
		balance_run(s, BALANCE_GATHER);
		KUNIT_EXPECT_EQ_MSG(test, balance_used(s),
				    fixed < BALANCE_HIGH - BALANCE_LOW ? 1 : 4,
				    "%u at home", fixed);
	}
}

/* CPUs go and come back, more often than the budget is large. */
static void vmq_balance_test_hotplug(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 6, 4);
	u16 i, gone;

	balance_demand(s, 700);
	balance_run(s, BALANCE_SETTLED);
	for (i = 0; i < 12; i++) {
		gone = i % 4;
		s->gone[gone] = true;
		balance_run(s, 1);
		KUNIT_ASSERT_EQ(test, balance_sum(s, s->demand, gone), 0);
		balance_run(s, BALANCE_SETTLED - 1);
		s->gone[gone] = false;
		balance_run(s, BALANCE_SETTLED);
	}
	/* Some had no move left to use the CPU that came back. */
	balance_run(s, BALANCE_MINUTE);
	balance_expect_spread(s);
	KUNIT_EXPECT_EQ(test, balance_used(s), 4);

	/* The first time they have. */
	balance_begin(s, 6, 4, 1);
	balance_demand(s, 700);
	balance_run(s, BALANCE_SETTLED);
	s->gone[3] = true;
	balance_expect_settled(s, 2);
	balance_expect_spread(s);
	KUNIT_EXPECT_EQ(test, balance_used(s), 3);
	s->gone[3] = false;
	balance_expect_settled(s, 2);
	balance_expect_spread(s);
	KUNIT_EXPECT_EQ(test, balance_used(s), 4);
}

/* Idle queues whose home goes away stay together, and so they come back. */
static void vmq_balance_test_home_gone(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 4);

	balance_demand(s, 10);
	balance_run(s, 1);
	s->gone[0] = true;
	balance_run(s, 1);
	KUNIT_EXPECT_EQ(test, balance_used(s), 1);
	KUNIT_EXPECT_EQ(test, s->at[0], 1);
	s->gone[0] = false;
	balance_run(s, BALANCE_GATHER);
	KUNIT_EXPECT_EQ(test, balance_used(s), 1);
	KUNIT_EXPECT_EQ(test, s->at[0], 0);
}

/* One CPU left of many, and none to spread to. */
static void vmq_balance_test_one_cpu(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 8, 3);

	balance_demand(s, BALANCE_FULL);
	balance_run(s, BALANCE_SETTLED);
	s->gone[0] = true;
	s->gone[2] = true;
	balance_run(s, 1);
	KUNIT_EXPECT_EQ(test, balance_sum(s, s->demand, 1), 8 * BALANCE_FULL);
	balance_expect_settled(s, 2);
	balance_demand(s, 0);
	balance_expect_settled(s, 2);
}

/* How many rounds until all queues are on so many CPUs. */
static u32 balance_rounds_until(struct balance_sim *s, u16 used)
{
	u32 rounds;

	for (rounds = 0; rounds < BALANCE_MINUTE && balance_used(s) != used;
	     rounds++)
		balance_run(s, 1);
	return rounds;
}

/* Four VMs, all at once: four CPUs in two seconds, and one in ten. */
static void vmq_balance_test_home_and_back(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 8);
	u32 i;

	s->home = 5;
	for (i = 0; i < 4; i++)
		s->at[i] = 5;
	for (i = 0; i < 20; i++) {
		balance_demand(s, BALANCE_FULL);
		KUNIT_EXPECT_LE(test, balance_rounds_until(s, 4),
				BALANCE_SPREAD);
		balance_run(s, BALANCE_MINUTE);
		balance_demand(s, 0);
		KUNIT_EXPECT_LE(test, balance_rounds_until(s, 1),
				BALANCE_GATHER);
		KUNIT_EXPECT_EQ(test, s->at[0], 5);
	}
}

/* A gather that was too early makes the next one later, one that lasts not. */
static void vmq_balance_test_patience(struct kunit *test)
{
	static const u32 waits[] = { 2, 4, 8, 8 };
	struct balance_sim *s = balance_new(test, 4, 4);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		balance_demand(s, BALANCE_FULL);
		balance_run(s, BALANCE_MINUTE);
		balance_demand(s, 0);
		KUNIT_EXPECT_EQ(test, balance_rounds_until(s, 1),
				VMQ_BALANCE_ROUNDS(waits[i]));
		balance_run(s, VMQ_BALANCE_ROUNDS(10));
	}
	balance_run(s, BALANCE_MINUTE);
	balance_demand(s, BALANCE_FULL);
	balance_run(s, BALANCE_MINUTE);
	balance_demand(s, 0);
	KUNIT_EXPECT_EQ(test, balance_rounds_until(s, 1),
			VMQ_BALANCE_ROUNDS(waits[0]));
}

/* Between the thresholds everything stays where it is. */
static void vmq_balance_test_hysteresis(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 4);

	balance_demand(s, BALANCE_HIGH / 4);
	balance_run(s, BALANCE_MINUTE);
	KUNIT_EXPECT_EQ(test, s->moves, 0);

	balance_demand(s, BALANCE_HIGH / 4 + 1);
	balance_run(s, BALANCE_SETTLED);
	KUNIT_EXPECT_EQ(test, balance_used(s), 4);
	balance_demand(s, BALANCE_LOW / 4);
	balance_expect_settled(s, 5);
	KUNIT_EXPECT_EQ(test, balance_used(s), 4);

	balance_demand(s, BALANCE_LOW / 4 - 1);
	balance_run(s, BALANCE_GATHER);
	KUNIT_EXPECT_EQ(test, balance_used(s), 1);
}

/* What lasts one round, up or down, moves nothing. */
static void vmq_balance_test_blip(struct kunit *test)
{
	struct balance_sim *s = balance_new(test, 4, 4);
	u32 i;

	for (i = 0; i < 20; i++) {
		balance_demand(s, BALANCE_FULL);
		balance_run(s, 1);
		balance_demand(s, 0);
		balance_run(s, 1);
	}
	KUNIT_EXPECT_EQ(test, s->moves, 0);

	balance_demand(s, BALANCE_FULL);
	balance_run(s, BALANCE_SETTLED);
	s->moves = 0;
	for (i = 0; i < 20; i++) {
		balance_demand(s, 0);
		balance_run(s, VMQ_BALANCE_ROUNDS(2) - 1);
		balance_demand(s, BALANCE_FULL);
		balance_run(s, 1);
	}
	KUNIT_EXPECT_EQ(test, s->moves, 0);
}

static struct kunit_case vmq_balance_test_cases[] = {
	KUNIT_CASE_PARAM(vmq_balance_test_step, balance_step_gen_params),
	KUNIT_CASE(vmq_balance_test_random),
	KUNIT_CASE(vmq_balance_test_change),
	KUNIT_CASE(vmq_balance_test_oscillate),
	KUNIT_CASE(vmq_balance_test_bursts),
	KUNIT_CASE(vmq_balance_test_crowded),
	KUNIT_CASE(vmq_balance_test_noise),
	KUNIT_CASE(vmq_balance_test_heavy),
	KUNIT_CASE(vmq_balance_test_fixed),
	KUNIT_CASE(vmq_balance_test_fixed_hot),
	KUNIT_CASE(vmq_balance_test_budget),
	KUNIT_CASE(vmq_balance_test_home_busy),
	KUNIT_CASE(vmq_balance_test_hotplug),
	KUNIT_CASE(vmq_balance_test_home_gone),
	KUNIT_CASE(vmq_balance_test_one_cpu),
	KUNIT_CASE(vmq_balance_test_home_and_back),
	KUNIT_CASE(vmq_balance_test_patience),
	KUNIT_CASE(vmq_balance_test_hysteresis),
	KUNIT_CASE(vmq_balance_test_blip),
	{}
};

static struct kunit_suite vmq_balance_test_suite = {
	.name		= "vmq_balance",
	.test_cases	= vmq_balance_test_cases,
};

kunit_test_suite(vmq_balance_test_suite);
