// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt moderation of a queue: the interval that the user wrote, or one
 * that the kernel's dim library chooses by what the polls had to do.
 */
#include <linux/dim.h>
#include "igbq.h"

/*
 * Runs without any lock: igbq_moderation_stop() waits for it under rtnl. While
 * it is queued the library does not measure, so nobody else writes the state.
 */
static void igbq_moderation_work(struct work_struct *work)
{
	struct dim *dim = container_of(work, struct dim, work);
	struct igbq_queue *q = container_of(dim, struct igbq_queue, dim);
	struct dim_cq_moder moder;

	moder = net_dim_get_rx_moderation(dim->mode, dim->profile_ix);
	igbq_irq_queue_set_usecs(q, moder.usec);
	dim->state = DIM_START_MEASURE;
}

/* Begin with the shortest interval, whatever was learned before. */
static u16 igbq_moderation_restart(struct igbq_queue *q)
{
	q->dim = (struct dim) { .mode = DIM_CQ_PERIOD_MODE_START_FROM_EQE };
	INIT_WORK(&q->dim.work, igbq_moderation_work);
	return net_dim_get_rx_moderation(q->dim.mode, q->dim.profile_ix).usec;
}

/**
 * igbq_moderation_init - the interval that a queue has until told otherwise
 * @q: new
 */
void igbq_moderation_init(struct igbq_queue *q)
{
	q->rx_usecs = IGBQ_RX_USECS_DEFAULT;
	igbq_moderation_restart(q);
}

/**
 * igbq_moderation_start - let the queue's interval take effect
 * @q: its poll does not run, and igbq_moderation_stop() was the last call
 *
 * Context: rtnl held.
 */
void igbq_moderation_start(struct igbq_queue *q)
{
	u16 usecs = q->adaptive ? igbq_moderation_restart(q) : q->rx_usecs;

	igbq_irq_queue_set_usecs(q, usecs);
}

/**
 * igbq_moderation_stop - nobody changes the interval any more
 * @q: its poll does not run
 *
 * Context: rtnl held, may sleep.
 */
void igbq_moderation_stop(struct igbq_queue *q)
{
	cancel_work_sync(&q->dim.work);
}

/**
 * igbq_moderation_set - what the user wants of a queue
 * @q: in any state, not held
 * @adaptive: the interval is chosen by load
 * @usecs: interval while it is not; kept meanwhile
 *
 * Between fixed and adaptive the poll is locked out, so it sees one or the
 * other.
 *
 * Context: rtnl held, may sleep.
 */
void igbq_moderation_set(struct igbq_queue *q, bool adaptive, u16 usecs)
{
	q->rx_usecs = usecs;
	if (adaptive == q->adaptive) {
		if (!adaptive)
			igbq_irq_queue_set_usecs(q, usecs);
		return;
	}

	igbq_queue_lock(q);
	igbq_moderation_stop(q);
	q->adaptive = adaptive;
	igbq_moderation_start(q);
	igbq_queue_unlock(q);
}

/**
 * igbq_moderation_sample - tell the library of a poll that is complete
 * @q: adaptive
 *
 * Context: the queue's poll.
 */
void igbq_moderation_sample(struct igbq_queue *q)
{
	const struct vmq_queue_rx_stats *rx = &q->vq->rx;
	struct dim_sample *now = &q->dim.measuring_sample;
	u64 packets = u64_stats_read(&rx->packets);

	/* For transmit alone, or for nothing: some parts raise such, too. */
	if ((u32)packets == now->pkt_ctr)
		return;
	dim_update_sample(now->event_ctr + 1, packets,
			  u64_stats_read(&rx->bytes), now);
	net_dim(&q->dim, *now);
}
