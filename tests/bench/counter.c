// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU plugin that counts what the guest executes, by translation block and
 * CPU. A block runs from its first instruction to its end, but for exceptions.
 *
 * Argument socket=PATH: a unix socket on which one client is served. For each
 * byte that it sends it gets what was executed since its last one, a line each,
 * "CPU ADDRESS INSTRUCTIONS TIMES", and an empty line. The client asks while
 * the CPUs that it is interested in are idle: they are not stopped.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "plugin.h"

#define BLOCKS_MAX	131072
#define BUCKETS		(BLOCKS_MAX * 2)
#define CPUS_MAX	8

/* The first one stands for user space, and for all that there is no room for. */
struct block {
	__u64 addr;
	size_t insns;
	__u64 told[CPUS_MAX];
};

int qemu_plugin_version = PLUGIN_VERSION;

static struct block blocks[BLOCKS_MAX];
static unsigned int nr_blocks = 1;
static unsigned int buckets[BUCKETS];
static struct qemu_plugin_scoreboard *times;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int listener;

/* A block that is translated again goes on counting where it was. */
static unsigned int block_find(__u64 addr, size_t insns)
{
	unsigned int i = (addr * 0x9e3779b97f4a7c15ull + insns) % BUCKETS;
	struct block *b;

	/* The kernel's half of the address space. */
	if (!(addr >> 63))
		return 0;
	for (; buckets[i]; i = (i + 1) % BUCKETS) {
		b = &blocks[buckets[i]];
		if (b->addr == addr && b->insns == insns)
			return buckets[i];
	}
	if (nr_blocks == BLOCKS_MAX)
		return 0;
	blocks[nr_blocks].addr = addr;
	blocks[nr_blocks].insns = insns;
	buckets[i] = nr_blocks;
	return nr_blocks++;
}

static void on_translation(__u64 id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb);
	struct plugin_u64 entry = { .score = times };
	unsigned int block;

	(void)id;
	pthread_mutex_lock(&lock);
	block = block_find(qemu_plugin_tb_vaddr(tb), insns);
	pthread_mutex_unlock(&lock);
	entry.offset = block * sizeof(__u64);
	/* User space has blocks of all lengths: its instructions are counted. */
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb,
							  PLUGIN_INLINE_ADD_U64,
							  entry,
							  block ? 1 : insns);
}

static void tell(FILE *to)
{
	int cpu, cpus = qemu_plugin_num_vcpus();
	__u64 *now, new;
	unsigned int i;

	for (cpu = 0; cpu < cpus && cpu < CPUS_MAX; cpu++) {
		now = qemu_plugin_scoreboard_find(times, cpu);
		for (i = 0; i < nr_blocks; i++) {
			new = now[i] - blocks[i].told[cpu];
			blocks[i].told[cpu] += new;
			if (new)
				fprintf(to, "%d %llx %zu %llu\n", cpu,
					blocks[i].addr, i ? blocks[i].insns : 1,
					new);
		}
	}
	fputs("\n", to);
	fflush(to);
}

static void *serve(void *unused)
{
	int fd = accept(listener, NULL, NULL);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	char request;

	(void)unused;
	if (!to)
		return NULL;
	while (read(fd, &request, 1) == 1) {
		pthread_mutex_lock(&lock);
		tell(to);
		pthread_mutex_unlock(&lock);
	}
	fclose(to);
	return NULL;
}

static int start_server(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	pthread_t thread;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >=
	    (int)sizeof(at.sun_path))
		return -1;
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (void *)&at, sizeof(at)) ||
	    listen(listener, 1))
		return -1;
	return pthread_create(&thread, NULL, serve, NULL);
}

int qemu_plugin_install(__u64 id, const struct plugin_info *info, int argc,
			char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "socket=", 7)) {
		fputs("counter: the argument is socket=PATH\n", stderr);
		return -1;
	}
	times = qemu_plugin_scoreboard_new(BLOCKS_MAX * sizeof(__u64));
	if (start_server(argv[0] + 7)) {
		perror("counter");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
