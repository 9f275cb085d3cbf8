// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells what only servers and routers say. The sender is not trusted: it may
 * hide it behind tags, SNAP, options and extension headers, or cut it into
 * fragments. Every byte is read through vsw_guard_at(), which knows where the
 * frame ends; every walk has a bound; what cannot be read is VSW_GUARD_OPAQUE.
 *
 * What a receiver sees only after it has taken a tunnel apart is not looked at.
 */
#include <kunit/visibility.h>
#include <linux/bits.h>
#include <linux/etherdevice.h>
#include <linux/icmp.h>
#include <linux/if_vlan.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include "vsw_guard.h"

/* Tags and SNAP headers before the packet. Nobody honest needs so many. */
#define VSW_GUARD_LINK_HEADERS	4
#define VSW_GUARD_IPV6_HEADERS	8

#define VSW_GUARD_LLC_SNAP	"\xaa\xaa\x03"
/* That, and three bytes of the organisation whose type follows. */
#define VSW_GUARD_SNAP_LEN	6

/* Headers of IPv6 that are walked over, but have no name in the kernel. */
#define VSW_GUARD_HIP		139
#define VSW_GUARD_SHIM6		140
/* No extension header is shorter. */
#define VSW_GUARD_IPV6_EXT_LEN	8

#define VSW_GUARD_UDP_LEN	8
#define VSW_GUARD_ICMP_ADVERT	9
#define VSW_GUARD_ICMP6_ADVERT	134

struct vsw_guard_frame {
	const u8 *bytes;
	unsigned int len;
	/* It will be cut: later messages are not seen. */
	bool segmented;
};

/* How a server's DHCP is told: ports, and types of message, a bit each. */
struct vsw_guard_dhcp {
	u16 client;
	u16 server;
	u32 replies;
};

static const struct vsw_guard_dhcp vsw_guard_dhcp4 = {
	.client		= 68,
	.server		= 67,
	/* BOOTREPLY */
	.replies	= BIT(2),
};

static const struct vsw_guard_dhcp vsw_guard_dhcp6 = {
	.client		= 546,
	.server		= 547,
	/* ADVERTISE, REPLY, RECONFIGURE, RELAY-REPL */
	.replies	= BIT(2) | BIT(7) | BIT(10) | BIT(13),
};

/* NULL when the frame has not @n bytes from @at on. */
static const u8 *vsw_guard_at(const struct vsw_guard_frame *f, unsigned int at,
			      unsigned int n)
{
	return at <= f->len && n <= f->len - at ? f->bytes + at : NULL;
}

/*
 * A packet ends where its header says: what pads a fragment to a whole frame is
 * not what the receiver puts together. 0 says nothing, of one too long for it.
 */
static void vsw_guard_end(struct vsw_guard_frame *f, unsigned int at,
			  unsigned int len)
{
	if (len && len < f->len - at)
		f->len = at + len;
}

/*
 * A server's own port is a habit, not a rule: clients take an answer from any.
 * Nobody but a server sends to the client's, nor a reply to the server's.
 */
static enum vsw_guard_kind vsw_guard_udp(const struct vsw_guard_frame *f,
					 unsigned int at,
					 const struct vsw_guard_dhcp *dhcp)
{
	const u8 *udp = vsw_guard_at(f, at, VSW_GUARD_UDP_LEN), *type;
	u16 source, dest;

	if (!udp)
		return VSW_GUARD_OPAQUE;
	source = get_unaligned_be16(udp);
	dest = get_unaligned_be16(udp + 2);
	if (source == dhcp->server || dest == dhcp->client)
		return VSW_GUARD_DHCP;
	if (dest != dhcp->server)
		return VSW_GUARD_OTHER;
	if (f->segmented)
		return VSW_GUARD_DHCP;

	type = vsw_guard_at(f, at + VSW_GUARD_UDP_LEN, 1);
	if (!type)
		return VSW_GUARD_OPAQUE;
	return *type < 32 && dhcp->replies & BIT(*type) ? VSW_GUARD_DHCP :
							  VSW_GUARD_OTHER;
}

static enum vsw_guard_kind vsw_guard_icmp(const struct vsw_guard_frame *f,
					  unsigned int at, u8 advert,
					  u8 redirect)
{
	const u8 *type = vsw_guard_at(f, at, 1);

	if (!type)
		return VSW_GUARD_OPAQUE;
	return *type == advert || *type == redirect ? VSW_GUARD_ROUTER :
						      VSW_GUARD_OTHER;
}

/* A fragment that is not the first has no header, and is nothing without it. */
static enum vsw_guard_kind vsw_guard_ipv4(struct vsw_guard_frame *f,
					  unsigned int at)
{
	const u8 *ip = vsw_guard_at(f, at, sizeof(struct iphdr));
	unsigned int words;

	if (!ip || ip[0] >> 4 != 4)
		return VSW_GUARD_OPAQUE;
	words = ip[0] & 0xf;
	if (words < 5)
		return VSW_GUARD_OPAQUE;
	if (get_unaligned_be16(ip + offsetof(struct iphdr, frag_off)) &
	    IP_OFFSET)
		return VSW_GUARD_OTHER;

	vsw_guard_end(f, at,
		      get_unaligned_be16(ip + offsetof(struct iphdr, tot_len)));
	at += words * 4;
	switch (ip[offsetof(struct iphdr, protocol)]) {
	case IPPROTO_UDP:
		return vsw_guard_udp(f, at, &vsw_guard_dhcp4);
	case IPPROTO_ICMP:
		return vsw_guard_icmp(f, at, VSW_GUARD_ICMP_ADVERT,
				      ICMP_REDIRECT);
	}
	return VSW_GUARD_OTHER;
}

/* The length of an extension header; 0: it is that of a later fragment. */
static unsigned int vsw_guard_ipv6_ext_len(u8 type, const u8 *hdr)
{
	switch (type) {
	case NEXTHDR_FRAGMENT:
		/* The lower bits are no offset. */
		return get_unaligned_be16(hdr + 2) & IP6_OFFSET ?
		       0 : VSW_GUARD_IPV6_EXT_LEN;
	case NEXTHDR_AUTH:
		return (hdr[1] + 2) * 4;
	default:
		return (hdr[1] + 1) * 8;
	}
}

static bool vsw_guard_ipv6_is_ext(u8 type)
{
	switch (type) {
	case NEXTHDR_HOP:
	case NEXTHDR_ROUTING:
	case NEXTHDR_FRAGMENT:
	case NEXTHDR_AUTH:
	case NEXTHDR_DEST:
	case NEXTHDR_MOBILITY:
	case VSW_GUARD_HIP:
	case VSW_GUARD_SHIM6:
		return true;
	}
	return false;
}

static enum vsw_guard_kind
vsw_guard_ipv6_upper(const struct vsw_guard_frame *f, unsigned int at, u8 type)
{
	switch (type) {
	case NEXTHDR_UDP:
		return vsw_guard_udp(f, at, &vsw_guard_dhcp6);
	case NEXTHDR_ICMP:
		return vsw_guard_icmp(f, at, VSW_GUARD_ICMP6_ADVERT,
				      NDISC_REDIRECT);
	}
	return VSW_GUARD_OTHER;
}

/*
 * All headers have to be in the first fragment (RFC 7112): one that ends before
 * the last of them is opaque, as is a packet with more than anybody needs.
 */
static enum vsw_guard_kind vsw_guard_ipv6(struct vsw_guard_frame *f,
					  unsigned int at)
{
	const u8 *ip = vsw_guard_at(f, at, sizeof(struct ipv6hdr)), *hdr;
	unsigned int n = 0, len;
	u8 type;

	if (!ip || ip[0] >> 4 != 6)
		return VSW_GUARD_OPAQUE;
	type = ip[offsetof(struct ipv6hdr, nexthdr)];
	at += sizeof(struct ipv6hdr);
	vsw_guard_end(f, at, get_unaligned_be16(ip + offsetof(struct ipv6hdr,
							      payload_len)));

	while (vsw_guard_ipv6_is_ext(type)) {
		hdr = vsw_guard_at(f, at, VSW_GUARD_IPV6_EXT_LEN);
		if (!hdr || ++n > VSW_GUARD_IPV6_HEADERS)
			return VSW_GUARD_OPAQUE;
		len = vsw_guard_ipv6_ext_len(type, hdr);
		if (!len)
			return VSW_GUARD_OTHER;
		type = hdr[0];
		at += len;
	}
	return vsw_guard_ipv6_upper(f, at, type);
}

/* Is there a type behind a length of 802.3, as far as the frame is there? */
static bool vsw_guard_may_be_snap(const struct vsw_guard_frame *f,
				  unsigned int at)
{
	size_t n = min_t(size_t, strlen(VSW_GUARD_LLC_SNAP), f->len - at);

	return !memcmp(f->bytes + at, VSW_GUARD_LLC_SNAP, n);
}

/*
 * Where the packet begins, behind what some receivers take off before they look
 * at it, and its protocol in @type. 0: not found.
 */
static unsigned int vsw_guard_find_packet(const struct vsw_guard_frame *f,
					  u16 *type)
{
	unsigned int at = offsetof(struct ethhdr, h_proto), n;
	const u8 *proto;

	for (n = 0; n <= VSW_GUARD_LINK_HEADERS; n++) {
		proto = vsw_guard_at(f, at, sizeof(*type));
		if (!proto)
			return 0;
		*type = get_unaligned_be16(proto);
		at += sizeof(*type);

		if (*type == ETH_P_8021Q || *type == ETH_P_8021AD)
			at += sizeof(__be16);
		else if (*type < ETH_P_802_3_MIN &&
			 vsw_guard_may_be_snap(f, at))
			at += VSW_GUARD_SNAP_LEN;
		else
			return at;
	}
	return 0;
}

/*
 * @frame begins with its Ethernet header; the tag need not be in it. @segmented:
 * it will be cut into datagrams, and only the first one's type can be read.
 */
enum vsw_guard_kind vsw_guard_classify(const u8 *frame, unsigned int len,
				       bool segmented)
{
	struct vsw_guard_frame f = {
		.bytes = frame, .len = len, .segmented = segmented,
	};
	unsigned int at;
	u16 type;

	at = vsw_guard_find_packet(&f, &type);
	if (!at)
		return VSW_GUARD_OPAQUE;
	switch (type) {
	case ETH_P_IP:
		return vsw_guard_ipv4(&f, at);
	case ETH_P_IPV6:
		return vsw_guard_ipv6(&f, at);
	}
	return VSW_GUARD_OTHER;
}
EXPORT_SYMBOL_IF_KUNIT(vsw_guard_classify);
