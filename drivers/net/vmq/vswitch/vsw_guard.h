/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a frame is, to the guards of a port. Looks at bytes alone, so that it is
 * tested alone.
 */
#ifndef _VSW_GUARD_H
#define _VSW_GUARD_H

#include <linux/types.h>

enum vsw_guard_kind {
	VSW_GUARD_OTHER,
	/* A DHCP server, or a relay, says this. */
	VSW_GUARD_DHCP,
	/* A router says this: an advertisement, or a redirect. */
	VSW_GUARD_ROUTER,
	/* It may be either: its headers end too early, or are too many. */
	VSW_GUARD_OPAQUE,
};

/* Enough for every header that is looked at in a frame with few options. */
#define VSW_GUARD_LEN	256

enum vsw_guard_kind vsw_guard_classify(const u8 *frame, unsigned int len,
				       bool segmented);

#endif /* _VSW_GUARD_H */
