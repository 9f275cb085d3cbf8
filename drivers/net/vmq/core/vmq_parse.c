// SPDX-License-Identifier: GPL-2.0-only
/* Text and checks of what users write: matches and names. */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/hex.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "vmq_priv.h"

/* Longest is "xx:xx:xx:xx:xx:xx vlan 4094". */
#define VMQ_MATCH_TEXT_LEN	32
#define VMQ_MAC_TEXT_LEN	(3 * ETH_ALEN - 1)

/*
 * Can a filter have this match at all? NULL when it can, else the reason in
 * the user's words, and its errno in @err.
 */
const char *vmq_match_check(const struct vmq_match *m, int *err)
{
	*err = -EINVAL;
	if (is_zero_ether_addr(m->addr))
		return "the MAC address is zero";
	if (is_broadcast_ether_addr(m->addr))
		return "broadcast cannot be claimed by one queue";
	if (m->vlan != VMQ_VLAN_ANY && m->vlan >= VLAN_VID_MASK)
		return "the VLAN ID must be 1 to 4094";

	*err = -EOPNOTSUPP;
	if (is_multicast_ether_addr(m->addr) && m->vlan == VMQ_VLAN_ANY)
		return "a group can be claimed in one VLAN, or untagged";
	*err = 0;
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_match_check);

static int vmq_vlan_parse(const char *word, u16 *vlan)
{
	static const char vlan_prefix[] = "vlan ";
	int err;

	if (!*word || !strcmp(word, "untagged")) {
		*vlan = VMQ_VLAN_UNTAGGED;
		return 0;
	}
	if (!strcmp(word, "any")) {
		*vlan = VMQ_VLAN_ANY;
		return 0;
	}
	if (strncmp(word, vlan_prefix, strlen(vlan_prefix)))
		return -EINVAL;

	err = kstrtou16(word + strlen(vlan_prefix), 10, vlan);
	if (err)
		return -EINVAL;
	/* 0 has a name of its own, 4095 is reserved (802.1Q table 9-2). */
	return *vlan >= 1 && *vlan < VLAN_VID_MASK ? 0 : -EINVAL;
}

/* "MAC", "MAC untagged", "MAC vlan V" or "MAC any"; -EINVAL for all else. */
int vmq_match_parse(const char *buf, struct vmq_match *m)
{
	char text[VMQ_MATCH_TEXT_LEN];
	char *word;

	if (strscpy(text, buf, sizeof(text)) < 0)
		return -EINVAL;
	word = strim(text);
	if (strlen(word) < VMQ_MAC_TEXT_LEN || !mac_pton(word, m->addr))
		return -EINVAL;

	word += VMQ_MAC_TEXT_LEN;
	if (*word && *word != ' ')
		return -EINVAL;
	return vmq_vlan_parse(skip_spaces(word), &m->vlan);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_match_parse);

/* The columns MAC and VLAN of a list of filters. Returns their length. */
int vmq_match_format(char *buf, size_t size, const struct vmq_match *m)
{
	if (m->vlan == VMQ_VLAN_ANY)
		return scnprintf(buf, size, "%pM any", m->addr);
	if (m->vlan == VMQ_VLAN_UNTAGGED)
		return scnprintf(buf, size, "%pM untagged", m->addr);
	return scnprintf(buf, size, "%pM %u", m->addr, m->vlan);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_match_format);

/* 1 .. 63 printable ASCII characters, no '/', no white space at the ends. */
bool vmq_name_valid(const char *name)
{
	size_t len = strnlen(name, VMQ_NAME_LEN), i;

	if (!len || len == VMQ_NAME_LEN)
		return false;
	if (name[0] == ' ' || name[len - 1] == ' ')
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isprint(name[i]) || name[i] == '/')
			return false;
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_name_valid);
