/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What rtnetlink says of a port, and is told: IFLA_INFO_DATA of kind "vmq". */
#ifndef _UAPI_LINUX_IF_VMQ_H
#define _UAPI_LINUX_IF_VMQ_H

/**
 * enum - attributes of a port; a request with one that is read-only is refused
 * @IFLA_VMQ_QUEUE: u32, the queue that the port holds; absent while none.
 *	Read-only
 * @IFLA_VMQ_REASON: string, why it holds none; absent while it holds one.
 *	Read-only
 * @IFLA_VMQ_EXCLUSIVE: u8, 1: the port has carrier only while it holds a queue.
 *	In RTM_NEWLINK of a new port: no port without a queue is made (-ENOSPC,
 *	or why else there is none). Later changes: vmq/exclusive of the port
 */
enum {
	IFLA_VMQ_UNSPEC,
	IFLA_VMQ_QUEUE,
	IFLA_VMQ_REASON,
	IFLA_VMQ_EXCLUSIVE,
	__IFLA_VMQ_MAX
};

#define IFLA_VMQ_MAX (__IFLA_VMQ_MAX - 1)

#endif /* _UAPI_LINUX_IF_VMQ_H */
