// SPDX-License-Identifier: GPL-2.0-only
/*
 * The three senders and listeners that the kernel's forwarding selftests call and
 * Debian has not, or has with many libraries; as much of each as
 * local_termination.sh uses. Which one it is says its name:
 *
 *   msend -g GROUP -I IFACE -c 1     send one UDP datagram to the group
 *   mreceive -g GROUP -I IFACE       join the group until killed
 *   mausezahn -q IFACE "HEX HEX ..." send this frame
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT	4444
#define HOPS	4

struct group {
	struct sockaddr_storage addr;
	socklen_t len;
	int index;
	int sock;
};

static void must(int result, const char *what)
{
	if (result < 0)
		error(1, errno, "%s", what);
}

/* A route of another interface, or VRF, must not get the datagram. */
static void open_group(struct group *g, const char *text, const char *iface)
{
	struct sockaddr_in6 *six = (void *)&g->addr;
	struct sockaddr_in *four = (void *)&g->addr;

	g->index = if_nametoindex(iface);
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(PORT);
		g->len = sizeof(*four);
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(PORT);
		six->sin6_scope_id = g->index;
		g->len = sizeof(*six);
	} else {
		error(1, 0, "%s is no group", text);
	}
	g->sock = socket(g->addr.ss_family, SOCK_DGRAM, 0);
	must(g->sock, "socket");
	must(setsockopt(g->sock, SOL_SOCKET, SO_BINDTODEVICE, iface,
			strlen(iface) + 1), iface);
}

static int send_group(struct group *g)
{
	struct ip_mreqn out = { .imr_ifindex = g->index };
	int hops = HOPS;

	if (g->addr.ss_family == AF_INET)
		must(setsockopt(g->sock, IPPROTO_IP, IP_MULTICAST_IF, &out,
				sizeof(out)), "IP_MULTICAST_IF");
	else
		must(setsockopt(g->sock, IPPROTO_IPV6, IPV6_MULTICAST_HOPS,
				&hops, sizeof(hops)), "IPV6_MULTICAST_HOPS");
	must(sendto(g->sock, "hello", 5, 0, (void *)&g->addr, g->len), "sendto");
	return 0;
}

static int join_group(struct group *g)
{
	struct group_req join = { .gr_interface = g->index };
	int level = g->addr.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	memcpy(&join.gr_group, &g->addr, g->len);
	must(setsockopt(g->sock, level, MCAST_JOIN_GROUP, &join, sizeof(join)),
	     "MCAST_JOIN_GROUP");
	return pause();
}

static int send_frame(const char *iface, char *text)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	unsigned char frame[1514];
	size_t len = 0;
	char *byte;
	int sock;

	for (byte = strtok(text, " :\n"); byte; byte = strtok(NULL, " :\n")) {
		if (len == sizeof(frame))
			error(1, 0, "the frame is too long");
		frame[len++] = strtoul(byte, NULL, 16);
	}
	sock = socket(AF_PACKET, SOCK_RAW, 0);
	must(sock, "socket");
	to.sll_ifindex = if_nametoindex(iface);
	must(sendto(sock, frame, len, 0, (void *)&to, sizeof(to)), iface);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const char *text = "", *iface = "";
	struct group g = {};
	int option;

	name = name ? name + 1 : argv[0];
	while ((option = getopt(argc, argv, "vqg:I:c:")) != -1) {
		if (option == 'v') {
			/* The lowest that lib.sh takes. */
			puts("msend version 3.0");
			return 0;
		} else if (option == 'g') {
			text = optarg;
		} else if (option == 'I') {
			iface = optarg;
		} else if (option == '?') {
			return 2;
		}
	}
	if (!strcmp(name, "mausezahn"))
		return optind + 2 == argc ?
		       send_frame(argv[optind], argv[optind + 1]) : 2;
	open_group(&g, text, iface);
	return !strcmp(name, "msend") ? send_group(&g) : join_group(&g);
}
