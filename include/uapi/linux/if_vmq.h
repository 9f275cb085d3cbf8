/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What rtnetlink tells of a port: IFLA_INFO_DATA of kind "vmq". */
#ifndef _UAPI_LINUX_IF_VMQ_H
#define _UAPI_LINUX_IF_VMQ_H

/**
 * enum - attributes of a port, all read-only
 * @IFLA_VMQ_QUEUE: u32, the queue that the port holds; absent while none
 * @IFLA_VMQ_REASON: string, why it holds none; absent while it holds one
 */
enum {
	IFLA_VMQ_UNSPEC,
	IFLA_VMQ_QUEUE,
	IFLA_VMQ_REASON,
	__IFLA_VMQ_MAX
};

#define IFLA_VMQ_MAX (__IFLA_VMQ_MAX - 1)

#endif /* _UAPI_LINUX_IF_VMQ_H */
