// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy of a port's VLANs. One pair of sets, what the VM may receive and what
 * it may send, is all there is: access, trunk and private VLANs are names for
 * some of the pairs.
 *
 * What is refused leaves a configuration half changed: callers work on a copy.
 */
#include <kunit/visibility.h>
#include <vmq/vmq.h>
#include "vsw_vlan.h"

/*
 * A frame of the VM, with or without a tag. @v is NULL for a port that was told
 * nothing of VLANs, @trust false for one whose priorities do not count.
 */
struct vsw_vlan_verdict vsw_vlan_egress(const struct vsw_vlans *v, bool trust,
					bool tagged, u16 tci)
{
	const struct vsw_vlan_verdict drop = { VSW_VLAN_DROP };
	u16 wanted = tagged ? tci : 0;

	if (!trust)
		wanted &= ~VLAN_PRIO_MASK;
	/* A priority tag names no VLAN. */
	if (v && !(wanted & VLAN_VID_MASK))
		wanted |= v->pvid;
	if (v && !test_bit(wanted & VLAN_VID_MASK, v->tx))
		return drop;
	if (wanted == (tagged ? tci : 0))
		return (struct vsw_vlan_verdict){ VSW_VLAN_LEAVE, wanted };
	return (struct vsw_vlan_verdict){ VSW_VLAN_TAG, wanted };
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_egress);

/* A frame for the VM; @vid is 0 for one without a VLAN, which is none of it. */
enum vsw_vlan_action vsw_vlan_ingress(const struct vsw_vlans *v, u16 vid)
{
	if (!test_bit(vid, v->rx))
		return VSW_VLAN_DROP;
	return test_bit(vid, v->untagged) ? VSW_VLAN_STRIP : VSW_VLAN_LEAVE;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_ingress);

/*
 * What an address of the port is claimed with: struct vmq_match's vlan, at most
 * VSW_VLAN_KEYS of them. Returns how many.
 */
unsigned int vsw_vlan_keys(const struct vsw_vlans *v, u16 *keys)
{
	unsigned int n = 0;
	unsigned long vid;

	if (!v) {
		keys[0] = VMQ_VLAN_UNTAGGED;
		return 1;
	}
	if (bitmap_weight(v->rx, VLAN_N_VID) > VSW_VLAN_KEYS) {
		keys[0] = VMQ_VLAN_ANY;
		return 1;
	}
	for_each_set_bit(vid, v->rx, VLAN_N_VID)
		keys[n++] = vid;
	return n;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_keys);

enum vsw_vlan_mode vsw_vlan_mode(const struct vsw_vlans *v)
{
	if (!v)
		return VSW_VLAN_MODE_PLAIN;
	if (v->isolation)
		return VSW_VLAN_MODE_PRIVATE;
	if (v->pvid && test_bit(v->pvid, v->untagged) &&
	    bitmap_weight(v->rx, VLAN_N_VID) == 1)
		return VSW_VLAN_MODE_ACCESS;
	return VSW_VLAN_MODE_TRUNK;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_mode);

static bool vsw_vlan_has(const struct vsw_vlans *v, u16 vid)
{
	return test_bit(vid, v->rx) || test_bit(vid, v->tx);
}

static unsigned int vsw_vlan_flags(const struct vsw_vlans *v, u16 vid)
{
	return (vid == v->pvid ? VSW_VLAN_PVID : 0) |
	       (test_bit(vid, v->untagged) ? VSW_VLAN_UNTAGGED : 0);
}

/* The range after @r; false when there is none. */
bool vsw_vlan_next(const struct vsw_vlans *v, struct vsw_vlan_range *r)
{
	u16 vid = r->last + 1;

	while (vid < VLAN_N_VID && !vsw_vlan_has(v, vid))
		vid++;
	if (vid >= VLAN_N_VID)
		return false;
	r->first = vid;
	r->flags = vsw_vlan_flags(v, vid);
	while (vid + 1 < VLAN_N_VID && vsw_vlan_has(v, vid + 1) &&
	       vsw_vlan_flags(v, vid + 1) == r->flags)
		vid++;
	r->last = vid;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_next);

static const char *vsw_vlan_refuse(int *err, int value, const char *why)
{
	*err = value;
	return why;
}

/* May the sets be changed one by one? */
static const char *vsw_vlan_check_public(const struct vsw_vlans *v, int *err)
{
	if (v->isolation)
		return vsw_vlan_refuse(err, -EBUSY,
				       "the port is in a private VLAN, write none to isolation first");
	return NULL;
}

/* That, and are these VLANs? */
static const char *vsw_vlan_check_change(const struct vsw_vlans *v, u16 first,
					 u16 last, int *err)
{
	const char *why = vsw_vlan_check_public(v, err);

	if (why)
		return why;
	if (!first || last >= VLAN_VID_MASK)
		return vsw_vlan_refuse(err, -EINVAL,
				       "the VLAN ID must be 1 to 4094");
	if (first > last)
		return vsw_vlan_refuse(err, -EINVAL,
				       "a range of VLANs ends before it begins");
	return NULL;
}

/* As a bridge has it: the last pvid counts, and flags replace those before. */
static void vsw_vlan_add_one(struct vsw_vlans *v, u16 vid, unsigned int flags)
{
	__set_bit(vid, v->rx);
	__set_bit(vid, v->tx);
	__assign_bit(vid, v->untagged, flags & VSW_VLAN_UNTAGGED);
	if (flags & VSW_VLAN_PVID)
		v->pvid = vid;
	else if (v->pvid == vid)
		v->pvid = 0;
}

static void vsw_vlan_del_one(struct vsw_vlans *v, u16 vid)
{
	__clear_bit(vid, v->rx);
	__clear_bit(vid, v->tx);
	__clear_bit(vid, v->untagged);
	if (v->pvid == vid)
		v->pvid = 0;
}

const char *vsw_vlan_add(struct vsw_vlans *v, u16 first, u16 last,
			 unsigned int flags, int *err)
{
	const char *why = vsw_vlan_check_change(v, first, last, err);
	unsigned int vid;

	if (why)
		return why;
	if ((flags & VSW_VLAN_PVID) && first != last)
		return vsw_vlan_refuse(err, -EINVAL,
				       "one VLAN can be the pvid, not a range");
	for (vid = first; vid <= last; vid++)
		vsw_vlan_add_one(v, vid, flags);
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_add);

/* Of a range some may be missing, but not all. */
const char *vsw_vlan_del(struct vsw_vlans *v, u16 first, u16 last, int *err)
{
	const char *why = vsw_vlan_check_change(v, first, last, err);
	bool any = false;
	unsigned int vid;

	if (why)
		return why;
	for (vid = first; vid <= last; vid++) {
		any |= vsw_vlan_has(v, vid);
		vsw_vlan_del_one(v, vid);
	}
	if (!any)
		return vsw_vlan_refuse(err, -ENOENT,
				       "the port is not in that VLAN");
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_del);

/* In no VLAN any more. */
const char *vsw_vlan_clear(struct vsw_vlans *v, int *err)
{
	const char *why = vsw_vlan_check_public(v, err);

	if (!why)
		bitmap_zero(v->rx, VLAN_N_VID);
	return why;
}

/* The VLANs become these; what stays keeps its flags. */
const char *vsw_vlan_set_allowed(struct vsw_vlans *v, const unsigned long *set,
				 int *err)
{
	u16 first = find_first_bit(set, VLAN_N_VID);
	u16 last = find_last_bit(set, VLAN_N_VID);
	const char *why;

	if (first == VLAN_N_VID)
		return vsw_vlan_refuse(err, -EINVAL,
				       "a port of no VLAN is a plain one, write plain to vlan_mode");
	why = vsw_vlan_check_change(v, first, last, err);
	if (why)
		return why;
	if (v->pvid && !test_bit(v->pvid, set))
		return vsw_vlan_refuse(err, -EINVAL,
				       "the native VLAN is not among them, write native_vlan first");
	bitmap_copy(v->rx, set, VLAN_N_VID);
	bitmap_copy(v->tx, set, VLAN_N_VID);
	bitmap_and(v->untagged, v->untagged, set, VLAN_N_VID);
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_set_allowed);

/*
 * An access port's only VLAN becomes this one; a trunk keeps the one it had,
 * with a tag. 0: the VM must tag.
 */
const char *vsw_vlan_set_native(struct vsw_vlans *v, u16 vid, int *err)
{
	const char *why = vsw_vlan_check_change(v, vid ? : 1, vid ? : 1, err);
	u16 old = v->pvid;

	if (why)
		return why;
	if (old && vid && vsw_vlan_mode(v) == VSW_VLAN_MODE_ACCESS)
		vsw_vlan_del_one(v, old);
	else if (old)
		vsw_vlan_add_one(v, old, 0);
	if (vid)
		vsw_vlan_add_one(v, vid, VSW_VLAN_PVID | VSW_VLAN_UNTAGGED);
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_set_native);

static const char *vsw_vlan_check_private(enum vsw_vlan_isolation isolation,
					  u16 primary,
					  const unsigned long *secondary,
					  int *err)
{
	unsigned int n = bitmap_weight(secondary, VLAN_N_VID);

	if (!primary || primary >= VLAN_VID_MASK || test_bit(0, secondary) ||
	    test_bit(VLAN_VID_MASK, secondary))
		return vsw_vlan_refuse(err, -EINVAL,
				       "the VLAN ID must be 1 to 4094");
	if (test_bit(primary, secondary))
		return vsw_vlan_refuse(err, -EINVAL,
				       "the primary VLAN cannot be a secondary one, too");
	if (!n || (n > 1 && isolation != VSW_VLAN_PROMISCUOUS))
		return vsw_vlan_refuse(err, -EINVAL,
				       "the port needs one secondary VLAN");
	return NULL;
}

/*
 * All hear the primary VLAN, which promiscuous ports speak. These hear what
 * the others speak, a community hears itself, and the isolated hear no other.
 * Replaces what the port was told before.
 */
const char *vsw_vlan_set_private(struct vsw_vlans *v,
				 enum vsw_vlan_isolation isolation, u16 primary,
				 const unsigned long *secondary, int *err)
{
	const char *why;

	why = vsw_vlan_check_private(isolation, primary, secondary, err);
	if (why)
		return why;
	bitmap_zero(v->rx, VLAN_N_VID);
	bitmap_zero(v->tx, VLAN_N_VID);
	if (isolation != VSW_VLAN_ISOLATED)
		bitmap_copy(v->rx, secondary, VLAN_N_VID);
	__set_bit(primary, v->rx);
	v->pvid = isolation == VSW_VLAN_PROMISCUOUS ?
		  primary : find_first_bit(secondary, VLAN_N_VID);
	__set_bit(v->pvid, v->tx);
	bitmap_or(v->untagged, v->rx, v->tx, VLAN_N_VID);
	v->primary = primary;
	v->isolation = isolation;
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_set_private);

/* Is the whole one that can be shown? */
const char *vsw_vlan_check(const struct vsw_vlans *v, int *err)
{
	struct vsw_vlan_range r = {};
	unsigned int n = 0;

	while (vsw_vlan_next(v, &r))
		n++;
	if (n > VSW_VLAN_RANGES)
		return vsw_vlan_refuse(err, -ENOSPC,
				       "a port has at most 128 ranges of VLANs");
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_vlan_check);
