/* SPDX-License-Identifier: GPL-2.0-only */
/* A token bucket over time that it is told. Times are nanoseconds. */
#ifndef _VSW_BUCKET_H
#define _VSW_BUCKET_H

#include <linux/atomic.h>
#include <linux/types.h>

/* One instance is what was taken: it is paid for at @until. Zero: full. */
struct vsw_bucket {
	atomic64_t until;
};

bool vsw_bucket_take(struct vsw_bucket *b, s64 now, s64 cost, s64 depth);
s64 vsw_bucket_ready(const struct vsw_bucket *b, s64 depth);
void vsw_bucket_charge(struct vsw_bucket *b, s64 now, s64 cost);
void vsw_bucket_rescale(struct vsw_bucket *b, s64 now, s64 depth, u32 old,
			u32 new);

#endif /* _VSW_BUCKET_H */
