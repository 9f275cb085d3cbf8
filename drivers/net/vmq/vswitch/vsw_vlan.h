/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VLANs of a port: what it may receive and send, and which tags its VM sees.
 * Knows no netdev, so that it is tested alone.
 */
#ifndef _VSW_VLAN_H
#define _VSW_VLAN_H

#include <linux/bitmap.h>
#include <linux/if_vlan.h>
#include <linux/types.h>

/* A port of more VLANs has one filter for any VLAN instead of one for each. */
#define VSW_VLAN_KEYS		4
/* Ranges of one kind that a port may have: they fit a message and a page. */
#define VSW_VLAN_RANGES		128

#define VSW_VLAN_PVID		BIT(0)
#define VSW_VLAN_UNTAGGED	BIT(1)

enum vsw_vlan_mode {
	VSW_VLAN_MODE_PLAIN,
	VSW_VLAN_MODE_ACCESS,
	VSW_VLAN_MODE_TRUNK,
	VSW_VLAN_MODE_PRIVATE,
};

enum vsw_vlan_isolation {
	VSW_VLAN_ISOLATION_NONE,
	VSW_VLAN_PROMISCUOUS,
	VSW_VLAN_COMMUNITY,
	VSW_VLAN_ISOLATED,
};

/* What becomes of a frame. */
enum vsw_vlan_action {
	VSW_VLAN_DROP,
	VSW_VLAN_LEAVE,
	VSW_VLAN_STRIP,
	VSW_VLAN_TAG,
};

/* @tci is the tag that the frame gets, in place of one it may have. */
struct vsw_vlan_verdict {
	enum vsw_vlan_action action;
	u16 tci;
};

/* One instance is what a port was told of VLANs; replaced whole. */
struct vsw_vlans {
	/* VLANs whose frames the VM may receive, and may send. */
	DECLARE_BITMAP(rx, VLAN_N_VID);
	DECLARE_BITMAP(tx, VLAN_N_VID);
	/* VLANs that the VM sees without a tag. */
	DECLARE_BITMAP(untagged, VLAN_N_VID);
	/* VLAN of what the VM sends without one, or 0: that is dropped. */
	u16 pvid;
	/* Of a private VLAN. */
	u16 primary;
	u8 isolation;
	struct rcu_head rcu;
};

/* VLANs next to each other with the same flags. Begin with all zero. */
struct vsw_vlan_range {
	u16 first;
	u16 last;
	unsigned int flags;
};

struct vsw_vlan_verdict vsw_vlan_egress(const struct vsw_vlans *v, bool trust,
					bool tagged, u16 tci);
enum vsw_vlan_action vsw_vlan_ingress(const struct vsw_vlans *v, u16 vid);

unsigned int vsw_vlan_keys(const struct vsw_vlans *v, u16 *keys);
enum vsw_vlan_mode vsw_vlan_mode(const struct vsw_vlans *v);
bool vsw_vlan_next(const struct vsw_vlans *v, struct vsw_vlan_range *r);

const char *vsw_vlan_add(struct vsw_vlans *v, u16 first, u16 last,
			 unsigned int flags, int *err);
const char *vsw_vlan_del(struct vsw_vlans *v, u16 first, u16 last, int *err);
const char *vsw_vlan_clear(struct vsw_vlans *v, int *err);
const char *vsw_vlan_set_allowed(struct vsw_vlans *v, const unsigned long *set,
				 int *err);
const char *vsw_vlan_set_native(struct vsw_vlans *v, u16 vid, int *err);
const char *vsw_vlan_set_private(struct vsw_vlans *v,
				 enum vsw_vlan_isolation isolation, u16 primary,
				 const unsigned long *secondary, int *err);
const char *vsw_vlan_check(const struct vsw_vlans *v, int *err);

#endif /* _VSW_VLAN_H */
