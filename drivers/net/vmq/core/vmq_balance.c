// SPDX-License-Identifier: GPL-2.0-only
/*
 * When queues change their CPU as load comes and goes: numbers in, moves out.
 *
 * Idle queues are together on one CPU, the home: its caches are warm, and the
 * others sleep. They spread when a CPU has too much to do, and gather when one
 * is enough. A saturated CPU hides how much more its queues want, so a spread
 * is a guess: what the next rounds measure corrects it, without a new delay.
 */
#include <kunit/visibility.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "vmq_balance.h"

/*
 * In permille of a CPU. Half a CPU is left to what the frames are for, and for
 * the bursts inside a round. Far below it one is enough: what made the queues
 * spread must be gone, not just be less.
 */
#define VMQ_BALANCE_HIGH	500
#define VMQ_BALANCE_LOW		200
/* The home with what others chose it for: as far below HIGH as LOW is wide. */
#define VMQ_BALANCE_HOME	(VMQ_BALANCE_HIGH - VMQ_BALANCE_LOW)

/* A CPU that serves queues and has no time left, as measured. */
#define VMQ_BALANCE_FULL	1000
#define VMQ_BALANCE_BUSY	950

/*
 * A move has to leave the CPU that gets the queue with less than the other had
 * by a quarter: loads that vary by a fifth move nothing, and one queue more
 * or less on CPUs with many is no reason.
 */
#define VMQ_BALANCE_MARGIN	4

/* In permille of a CPU: less relief is noise. */
#define VMQ_BALANCE_RELIEF	10

/*
 * The queues gather after two seconds of quiet. When that was too early, after
 * twice as long the next time; always within ten seconds.
 */
#define VMQ_BALANCE_PATIENCE	VMQ_BALANCE_ROUNDS(2)
#define VMQ_BALANCE_PATIENCE_MAX VMQ_BALANCE_ROUNDS(8)

/* A gather and a spread each time: what lasts so long stays in the budget. */
#define VMQ_BALANCE_TRIAL	(VMQ_BALANCE_WINDOW / (VMQ_BALANCE_MOVES / 2))

void vmq_balance_init(struct vmq_balance *b, u16 nr_queues)
{
	memset(b, 0, sizeof(*b));
	b->nr_queues = nr_queues;
	/* The zeros in the queues' moves are long ago. */
	b->now = VMQ_BALANCE_WINDOW;
	b->patience = VMQ_BALANCE_PATIENCE;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_balance_init);

/* Nobody chose its CPU, it stays so far, and it has so many moves left. */
static bool vmq_balance_may_move(const struct vmq_balance *b,
				 const struct vmq_balance_queue *q,
				 unsigned int moves)
{
	u32 at = q->moved[(q->oldest + moves - 1) % VMQ_BALANCE_MOVES];

	return q->movable && !q->why && b->now - at >= VMQ_BALANCE_WINDOW;
}

static void vmq_balance_move(struct vmq_balance *b,
			     struct vmq_balance_queue *q, u16 to,
			     enum vmq_balance_why why)
{
	if (q->to != VMQ_BALANCE_NOWHERE)
		b->load[q->to] -= q->mean;
	b->load[to] += q->mean;
	q->to = to;
	q->why = why;
	q->moved[q->oldest] = b->now;
	q->oldest = (q->oldest + 1) % VMQ_BALANCE_MOVES;
}

static u16 vmq_balance_idlest(const struct vmq_balance *b)
{
	u16 best = 0, cpu;

	for (cpu = 1; cpu < b->nr_cpus; cpu++)
		if (b->load[cpu] < b->load[best])
			best = cpu;
	return best;
}

/*
 * One round may be a burst: plans are made of two, except after a move. What
 * was measured before that is no longer true, and a correction cannot wait.
 */
static void vmq_balance_begin(struct vmq_balance *b)
{
	struct vmq_balance_queue *q;

	b->now++;
	memset(b->load, 0, b->nr_cpus * sizeof(*b->load));
	for (q = b->queues; q < b->queues + b->nr_queues; q++) {
		q->why = VMQ_BALANCE_STAY;
		q->to = q->cpu;
		q->mean = b->moved ? q->load : (q->load + q->last) / 2;
		q->last = q->load;
		if (q->cpu != VMQ_BALANCE_NOWHERE)
			b->load[q->cpu] += q->mean;
	}
}

/* At once, and whatever the queue's budget: its CPU is gone. */
static void vmq_balance_evict(struct vmq_balance *b)
{
	struct vmq_balance_queue *q;
	u16 to;

	for (q = b->queues; q < b->queues + b->nr_queues; q++) {
		if (!q->movable || q->cpu != VMQ_BALANCE_NOWHERE)
			continue;
		/* Idle ones stay together. */
		to = b->home;
		if (b->load[to] + q->mean >= VMQ_BALANCE_LOW)
			to = vmq_balance_idlest(b);
		vmq_balance_move(b, q, to, VMQ_BALANCE_EVICT);
	}
}

static bool vmq_balance_is_hot(const struct vmq_balance *b)
{
	u16 cpu;

	for (cpu = 0; cpu < b->nr_cpus; cpu++)
		if (b->load[cpu] > VMQ_BALANCE_HIGH)
			return true;
	return false;
}

/* Less by what is worth a move. */
static u32 vmq_balance_less(u32 load)
{
	return load - load / VMQ_BALANCE_MARGIN;
}

/* By how much the busier of the two CPUs gets less, or 0: do not move it. */
static u32 vmq_balance_relief(const struct vmq_balance *b,
			      const struct vmq_balance_queue *q, u16 to)
{
	u32 before, after, relief;

	if (!vmq_balance_may_move(b, q, 1))
		return 0;
	before = b->load[q->to];
	after = b->load[to] + q->mean;
	if (after > vmq_balance_less(before))
		return 0;
	relief = min(before - after, q->mean);
	return relief < VMQ_BALANCE_RELIEF ? 0 : relief;
}

/*
 * The move that relieves most, again and again. It goes on below the threshold:
 * one that stops there has to be followed by the next when load rises.
 */
static bool vmq_balance_spread(struct vmq_balance *b)
{
	struct vmq_balance_queue *q, *best;
	u32 relief, most;
	bool spread;
	u16 to;

	for (spread = false; ; spread = true) {
		to = vmq_balance_idlest(b);
		most = 0;
		for (q = b->queues; q < b->queues + b->nr_queues; q++) {
			relief = vmq_balance_relief(b, q, to);
			if (relief > most) {
				most = relief;
				best = q;
			}
		}
		if (!most)
			return spread;
		vmq_balance_move(b, best, to, VMQ_BALANCE_SPREAD);
	}
}

/*
 * What a queue gets on a full CPU, when it is about the same for those that
 * take most of it: so many want more. Otherwise 0: nothing is known.
 */
static u32 vmq_balance_level(const struct vmq_balance *b, u16 cpu)
{
	const struct vmq_balance_queue *q;
	u32 level = 0, equal = 0;

	for (q = b->queues; q < b->queues + b->nr_queues; q++)
		if (q->to == cpu)
			level = max(level, q->mean);
	for (q = b->queues; q < b->queues + b->nr_queues; q++)
		if (q->to == cpu && q->mean >= vmq_balance_less(level))
			equal += q->mean;
	return equal >= vmq_balance_less(b->load[cpu]) ? level : 0;
}

/*
 * With all CPUs full, the loads add up to the same on each of them, and what a
 * queue gets is all that tells how crowded it is. One move in a round: what it
 * changes has to be measured.
 */
static bool vmq_balance_even_out(struct vmq_balance *b)
{
	u32 level, share, most = 0, least = VMQ_BALANCE_FULL;
	struct vmq_balance_queue *q, *best = NULL;
	u16 to = 0, cpu;

	for (cpu = 0; cpu < b->nr_cpus; cpu++) {
		if (b->load[cpu] < VMQ_BALANCE_BUSY)
			return false;
		level = vmq_balance_level(b, cpu);
		if (level > most) {
			most = level;
			to = cpu;
		}
	}
	for (q = b->queues; q < b->queues + b->nr_queues; q++) {
		if (!vmq_balance_may_move(b, q, 1) || q->mean >= least)
			continue;
		level = vmq_balance_level(b, q->to);
		if (!level || q->mean < level)
			continue;
		least = q->mean;
		best = q;
	}
	/* As many as the level goes into the whole, and the queue. */
	share = most * VMQ_BALANCE_FULL / (most + VMQ_BALANCE_FULL);
	if (!best || least > vmq_balance_less(share))
		return false;
	vmq_balance_move(b, best, to, VMQ_BALANCE_SPREAD);
	return true;
}

/* Is one CPU enough for all that may move, together with what has to be there? */
static bool vmq_balance_is_quiet(struct vmq_balance *b)
{
	const struct vmq_balance_queue *q;
	u32 movable = 0, fixed = 0;

	for (q = b->queues; q < b->queues + b->nr_queues; q++)
		if (q->movable)
			movable += q->load;
		else if (q->cpu == b->home)
			fixed += q->load;
	if (movable >= VMQ_BALANCE_LOW || movable + fixed >= VMQ_BALANCE_HOME)
		b->quiet = 0;
	else
		b->quiet = min(b->quiet + 1, VMQ_BALANCE_PATIENCE_MAX);
	return b->quiet >= b->patience;
}

/*
 * A queue that has one move left needs it to get away again: at home with none,
 * it could be stuck there for a minute with all others.
 */
static void vmq_balance_gather(struct vmq_balance *b)
{
	struct vmq_balance_queue *q;

	for (q = b->queues; q < b->queues + b->nr_queues; q++) {
		if (q->to == b->home || !vmq_balance_may_move(b, q, 2))
			continue;
		vmq_balance_move(b, q, b->home, VMQ_BALANCE_GATHER);
		b->trial = VMQ_BALANCE_TRIAL;
	}
}

/* Did the last gather last? Otherwise the next one waits longer. */
static void vmq_balance_learn(struct vmq_balance *b, bool spread)
{
	if (!b->trial)
		return;
	b->trial = spread ? 0 : b->trial - 1;
	if (spread)
		b->patience = min(b->patience * 2, VMQ_BALANCE_PATIENCE_MAX);
	else if (!b->trial)
		b->patience = VMQ_BALANCE_PATIENCE;
}

/* Once in VMQ_BALANCE_ROUND_MS. Returns how many queues are to move. */
unsigned int vmq_balance_round(struct vmq_balance *b)
{
	const struct vmq_balance_queue *q;
	unsigned int moves = 0;
	bool spread;

	vmq_balance_begin(b);
	vmq_balance_evict(b);
	if (vmq_balance_is_quiet(b))
		vmq_balance_gather(b);
	spread = vmq_balance_is_hot(b) &&
		 (vmq_balance_spread(b) || vmq_balance_even_out(b));
	vmq_balance_learn(b, spread);
	for (q = b->queues; q < b->queues + b->nr_queues; q++)
		moves += q->why != VMQ_BALANCE_STAY;
	b->moved = moves;
	return moves;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_balance_round);
