/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Advanced descriptors of the 82576 family (82576 DS 7.1.5, 7.2.2): layouts in
 * memory, and pure helpers that encode and decode them.
 */
#ifndef _IGBQ_DESC_H
#define _IGBQ_DESC_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

/* Receive, as software writes it */
struct igbq_rxd_read {
	__le64 pkt_addr;
	__le64 hdr_addr;
};

/* Receive, as the NIC writes it back over the same bytes */
struct igbq_rxd_wb {
	__le16 pkt_info;
	__le16 hdr_info;
	__le32 rss_hash;
	__le32 status_error;
	__le16 length;
	__le16 vlan;
};

union igbq_rxd {
	struct igbq_rxd_read read;
	struct igbq_rxd_wb wb;
};

#define IGBQ_RXD_DD		BIT(0)
#define IGBQ_RXD_EOP		BIT(1)
#define IGBQ_RXD_IXSM		BIT(2)
#define IGBQ_RXD_VP		BIT(3)
#define IGBQ_RXD_UDPCS		BIT(4)
#define IGBQ_RXD_L4CS		BIT(5)
#define IGBQ_RXD_ERR_CE		BIT(24)
#define IGBQ_RXD_ERR_SE		BIT(25)
#define IGBQ_RXD_ERR_SEQ	BIT(26)
#define IGBQ_RXD_ERR_CXE	BIT(28)
#define IGBQ_RXD_ERR_L4E	BIT(29)
#define IGBQ_RXD_ERR_IPE	BIT(30)
#define IGBQ_RXD_ERR_RXE	BIT(31)
#define IGBQ_RXD_ERR_FRAME	(IGBQ_RXD_ERR_CE | IGBQ_RXD_ERR_SE | \
				 IGBQ_RXD_ERR_SEQ | IGBQ_RXD_ERR_CXE | \
				 IGBQ_RXD_ERR_RXE)

/* Transmit data */
struct igbq_txd_read {
	__le64 addr;
	__le32 cmd_type_len;
	__le32 olinfo_status;
};

struct igbq_txd_wb {
	__le64 rsvd;
	__le32 nxtseq_seed;
	__le32 status;
};

/* Transmit context: what the following data descriptors' offloads refer to */
struct igbq_txd_ctx {
	__le32 vlan_macip_lens;
	__le32 seqnum_seed;
	__le32 type_tucmd;
	__le32 mss_l4len_idx;
};

union igbq_txd {
	struct igbq_txd_read read;
	struct igbq_txd_wb wb;
	struct igbq_txd_ctx ctx;
};

#define IGBQ_TXD_DD		BIT(0)
/* cmd_type_len */
#define IGBQ_TXD_DTALEN		GENMASK(15, 0)
#define IGBQ_TXD_DTYP		GENMASK(23, 20)
#define   IGBQ_TXD_DTYP_CTX	2
#define   IGBQ_TXD_DTYP_DATA	3
#define IGBQ_TXD_EOP		BIT(24)
#define IGBQ_TXD_IFCS		BIT(25)
#define IGBQ_TXD_RS		BIT(27)
#define IGBQ_TXD_DEXT		BIT(29)
#define IGBQ_TXD_VLE		BIT(30)
#define IGBQ_TXD_TSE		BIT(31)
/* olinfo_status */
#define IGBQ_TXD_IXSM		BIT(8)
#define IGBQ_TXD_TXSM		BIT(9)
#define IGBQ_TXD_PAYLEN		GENMASK(31, 14)
/* vlan_macip_lens */
#define IGBQ_TXD_IPLEN		GENMASK(8, 0)
#define IGBQ_TXD_MACLEN		GENMASK(15, 9)
#define IGBQ_TXD_VLAN		GENMASK(31, 16)
/* type_tucmd */
#define IGBQ_TXD_TUCMD_IPV4	BIT(10)
#define IGBQ_TXD_TUCMD_L4T	GENMASK(12, 11)
#define   IGBQ_TXD_L4T_UDP	0
#define   IGBQ_TXD_L4T_TCP	1
#define   IGBQ_TXD_L4T_SCTP	2
/* mss_l4len_idx */
#define IGBQ_TXD_L4LEN		GENMASK(15, 8)
#define IGBQ_TXD_MSS		GENMASK(31, 16)

/* What the widths of MACLEN and IPLEN allow. */
#define IGBQ_TXD_MACLEN_MAX	127
#define IGBQ_TXD_IPLEN_MAX	511

/**
 * struct igbq_tx_offload - what the NIC shall do to one frame
 * @vlan: insert @vlan_tci
 * @ip_csum: fill in the IPv4 header checksum
 * @l4_csum: fill in the checksum of @l4_type
 * @tso: cut into segments of @mss bytes of payload
 * @ipv4: network header is IPv4
 * @l4_type: IGBQ_TXD_L4T_*
 * @mac_len: bytes before the network header
 * @ip_len: bytes of the network header with its extensions
 * @l4_len: bytes of the TCP header; with @tso only
 * @mss: with @tso only
 * @vlan_tci: priority and VID
 * @paylen: bytes that the data descriptors stand for: the frame, or with @tso
 *	what follows the headers (7.2.2.3.11)
 */
struct igbq_tx_offload {
	bool vlan;
	bool ip_csum;
	bool l4_csum;
	bool tso;
	bool ipv4;
	u8 l4_type;
	u8 mac_len;
	u8 l4_len;
	u16 ip_len;
	u16 mss;
	u16 vlan_tci;
	u32 paylen;
};

/* hdr_addr 0 clears DD of the write-back that the bytes held before. */
static inline void igbq_rxd_encode(union igbq_rxd *d, u64 addr)
{
	d->read.pkt_addr = cpu_to_le64(addr);
	d->read.hdr_addr = 0;
}

static inline u32 igbq_rxd_status(const union igbq_rxd *d)
{
	return le32_to_cpu(READ_ONCE(d->wb.status_error));
}

/* Did the NIC find the transport checksum to be right? */
static inline bool igbq_rxd_csum_good(u32 status)
{
	if (status & (IGBQ_RXD_IXSM | IGBQ_RXD_ERR_L4E | IGBQ_RXD_ERR_IPE))
		return false;
	return status & (IGBQ_RXD_L4CS | IGBQ_RXD_UDPCS);
}

/* A context descriptor is needed for whatever is not plain bytes. */
static inline bool igbq_tx_offload_any(const struct igbq_tx_offload *o)
{
	return o->vlan || o->l4_csum || o->tso;
}

static inline void igbq_txd_encode_ctx(union igbq_txd *d,
				       const struct igbq_tx_offload *o)
{
	u32 lens = FIELD_PREP(IGBQ_TXD_MACLEN, o->mac_len) |
		   FIELD_PREP(IGBQ_TXD_IPLEN, o->ip_len);
	u32 tucmd = IGBQ_TXD_DEXT |
		    FIELD_PREP(IGBQ_TXD_DTYP, IGBQ_TXD_DTYP_CTX) |
		    FIELD_PREP(IGBQ_TXD_TUCMD_L4T, o->l4_type);
	u32 mss = 0;

	if (o->vlan)
		lens |= FIELD_PREP(IGBQ_TXD_VLAN, o->vlan_tci);
	if (o->ipv4)
		tucmd |= IGBQ_TXD_TUCMD_IPV4;
	if (o->tso)
		mss = FIELD_PREP(IGBQ_TXD_MSS, o->mss) |
		      FIELD_PREP(IGBQ_TXD_L4LEN, o->l4_len);

	d->ctx.vlan_macip_lens = cpu_to_le32(lens);
	d->ctx.seqnum_seed = 0;
	d->ctx.type_tucmd = cpu_to_le32(tucmd);
	d->ctx.mss_l4len_idx = cpu_to_le32(mss);
}

static inline u32 igbq_txd_cmd(const struct igbq_tx_offload *o)
{
	u32 cmd = FIELD_PREP(IGBQ_TXD_DTYP, IGBQ_TXD_DTYP_DATA) |
		  IGBQ_TXD_DEXT | IGBQ_TXD_IFCS;

	if (o->vlan)
		cmd |= IGBQ_TXD_VLE;
	if (o->tso)
		cmd |= IGBQ_TXD_TSE;
	return cmd;
}

static inline u32 igbq_txd_olinfo(const struct igbq_tx_offload *o)
{
	u32 olinfo = FIELD_PREP(IGBQ_TXD_PAYLEN, o->paylen);

	if (o->ip_csum)
		olinfo |= IGBQ_TXD_IXSM;
	if (o->l4_csum)
		olinfo |= IGBQ_TXD_TXSM;
	return olinfo;
}

static inline void igbq_txd_encode_data(union igbq_txd *d, u64 addr, u32 len,
					u32 cmd, u32 olinfo)
{
	d->read.addr = cpu_to_le64(addr);
	d->read.cmd_type_len = cpu_to_le32(cmd |
					   FIELD_PREP(IGBQ_TXD_DTALEN, len));
	d->read.olinfo_status = cpu_to_le32(olinfo);
}

static inline bool igbq_txd_done(const union igbq_txd *d)
{
	return le32_to_cpu(READ_ONCE(d->wb.status)) & IGBQ_TXD_DD;
}

static_assert(sizeof(union igbq_rxd) == 16);
static_assert(sizeof(union igbq_txd) == 16);

#endif /* _IGBQ_DESC_H */
