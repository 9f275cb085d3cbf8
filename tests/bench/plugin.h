/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of QEMU's plugin interface that counter.c uses, in version 4, which
 * QEMU 10.0 has. Debian packages that with plugins built in, without the header.
 */
#ifndef _BENCH_PLUGIN_H
#define _BENCH_PLUGIN_H

#include <stddef.h>
#include <linux/types.h>

#define PLUGIN_VERSION	4

struct qemu_plugin_tb;
struct qemu_plugin_scoreboard;

/* Passed by value, as QEMU has it: a counter in a scoreboard's element. */
struct plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum plugin_op {
	PLUGIN_INLINE_ADD_U64,
};

typedef void (*plugin_tb_trans)(__u64 id, struct qemu_plugin_tb *tb);

void qemu_plugin_register_vcpu_tb_trans_cb(__u64 id, plugin_tb_trans cb);
void
qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb,
						  enum plugin_op op,
						  struct plugin_u64 entry,
						  __u64 imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
__u64 qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score,
				  unsigned int cpu);
int qemu_plugin_num_vcpus(void);

/* What QEMU calls and looks at. */
struct plugin_info;
int qemu_plugin_install(__u64 id, const struct plugin_info *info, int argc,
			char **argv);
extern int qemu_plugin_version;

#endif /* _BENCH_PLUGIN_H */
