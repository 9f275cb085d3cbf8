// SPDX-License-Identifier: GPL-2.0-only
/* ethtool's flow specifications to and from matches: no device, no lock. */
#include <kunit/visibility.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/export.h>
#include "vmq_priv.h"

/* PCP and CFI of a TCI; the NIC compares the VID alone. */
#define VMQ_TCI_PRIO	(VLAN_PRIO_MASK | VLAN_CFI_MASK)

static const char *vmq_ntuple_parse_vlan(const struct ethtool_rx_flow_spec *fs,
					 struct vmq_match *m)
{
	u16 mask = ntohs(fs->m_ext.vlan_tci);
	u16 tci = ntohs(fs->h_ext.vlan_tci);
	__be16 etype = fs->m_ext.vlan_etype;

	if (fs->m_ext.data[0] || fs->m_ext.data[1])
		return "user-def cannot be matched";
	if (etype && (etype != htons(0xffff) ||
		      fs->h_ext.vlan_etype != htons(ETH_P_8021Q)))
		return "only 802.1Q (0x8100) VLAN tags can be matched";

	/* Any VLAN, and VID 0, take frames without a tag, too. */
	if (etype && !(tci & mask & VLAN_VID_MASK))
		return "a tag (vlan-etype) can be matched with a VLAN ID only";

	switch (mask) {
	case 0:
		m->vlan = VMQ_VLAN_ANY;
		return NULL;
	case 0xffff:
		if (tci & VMQ_TCI_PRIO)
			return "the VLAN priority cannot be matched, use m 0xf000";
		fallthrough;
	case VLAN_VID_MASK:
		m->vlan = tci & VLAN_VID_MASK;
		return NULL;
	}
	return "the VLAN mask must be 0xf000 (the whole VLAN ID)";
}

static const char *
vmq_ntuple_parse_cookie(const struct ethtool_rx_flow_spec *fs)
{
	if (fs->ring_cookie == RX_CLS_FLOW_DISC)
		return "dropping frames by a filter is not supported";
	if (fs->ring_cookie == RX_CLS_FLOW_WAKE)
		return "wake-up filters are not supported";
	if (ethtool_get_flow_spec_ring_vf(fs->ring_cookie))
		return "queues of virtual functions cannot be addressed";
	return NULL;
}

/*
 * What a rule matches. NULL when the NIC can do it, else the reason and its
 * errno. Malformed addresses are left to vmq_match_check().
 */
const char *
vmq_ntuple_parse(const struct ethtool_rx_flow_spec *fs, struct vmq_match *m,
		 int *err)
{
	const struct ethhdr *mask = &fs->m_u.ether_spec;
	const char *why;

	*err = -EOPNOTSUPP;
	if ((fs->flow_type & ~FLOW_EXT) != ETHER_FLOW)
		return "only flow-type ether, with dst and vlan, is supported";
	if (!is_broadcast_ether_addr(mask->h_dest))
		return "the whole destination MAC (dst, no mask) must be given";
	if (!is_zero_ether_addr(mask->h_source))
		return "the source MAC cannot be matched";
	if (mask->h_proto)
		return "the EtherType (proto) cannot be matched";
	why = vmq_ntuple_parse_cookie(fs);
	if (why)
		return why;

	ether_addr_copy(m->addr, fs->h_u.ether_spec.h_dest);
	m->vlan = VMQ_VLAN_ANY;
	if (fs->flow_type & FLOW_EXT)
		why = vmq_ntuple_parse_vlan(fs, m);
	if (!why)
		*err = 0;
	return why;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_ntuple_parse);

/* The rule that vmq_ntuple_parse() would make this match of. */
void vmq_ntuple_format(struct ethtool_rx_flow_spec *fs,
		       const struct vmq_match *m)
{
	fs->flow_type = ETHER_FLOW;
	ether_addr_copy(fs->h_u.ether_spec.h_dest, m->addr);
	eth_broadcast_addr(fs->m_u.ether_spec.h_dest);
	if (m->vlan == VMQ_VLAN_ANY)
		return;

	fs->flow_type |= FLOW_EXT;
	fs->h_ext.vlan_tci = htons(m->vlan);
	fs->m_ext.vlan_tci = htons(VLAN_VID_MASK);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_ntuple_format);
