// SPDX-License-Identifier: GPL-2.0-only
/*
 * A token bucket as one point in time: when all that was taken has been paid
 * for, a token being the time it takes to earn one. The bucket is full when that
 * has passed, and empty when it is the bucket's depth ahead.
 */
#include <kunit/visibility.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include "vsw_bucket.h"

/* Take @cost, or nothing when there is not so much. Any number at a time. */
bool vsw_bucket_take(struct vsw_bucket *b, s64 now, s64 cost, s64 depth)
{
	s64 old = atomic64_read(&b->until), until;

	do {
		until = max(old, now) + cost;
		if (until - now > depth)
			return false;
	} while (!atomic64_try_cmpxchg(&b->until, &old, until));
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_bucket_take);

/* From when on vsw_bucket_charge() may be called: the bucket is not empty. */
s64 vsw_bucket_ready(const struct vsw_bucket *b, s64 depth)
{
	return atomic64_read(&b->until) - depth;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_bucket_ready);

/* Take @cost, on credit as far as it is more than there is. One at a time. */
void vsw_bucket_charge(struct vsw_bucket *b, s64 now, s64 cost)
{
	atomic64_set(&b->until, max_t(s64, atomic64_read(&b->until), now) +
				cost);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_bucket_charge);

/*
 * One token takes @old / @new of the time that it took: what is in the bucket, or
 * lacks, is as many tokens as before, or as many as there is room for. One at a
 * time, and not beside the others.
 */
void vsw_bucket_rescale(struct vsw_bucket *b, s64 now, s64 depth, u32 old,
			u32 new)
{
	s64 has = depth - max_t(s64, atomic64_read(&b->until) - now, 0);

	has = min(div_s64(has * old, new), depth);
	atomic64_set(&b->until, now + depth - has);
}
EXPORT_SYMBOL_IF_KUNIT(vsw_bucket_rescale);
