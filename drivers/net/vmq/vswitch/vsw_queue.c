// SPDX-License-Identifier: GPL-2.0-only
/* A port's queue: how it is taken, and given back. Who gets one: vsw_promote.c */
#include <linux/ctype.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include "vsw_priv.h"

static const char * const vsw_queue_reasons[] = {
	[VSW_REASON_NONE]	= "",
	[VSW_REASON_NO_QUEUE]	= "no free queue",
	[VSW_REASON_WEIGHT_0]	= "queue weight 0",
	[VSW_REASON_EXCLUSIVE]	= "exclusive queue lost",
	[VSW_REASON_NO_VMQ]	= "VMQ is not available",
	[VSW_REASON_DISABLED]	= "VMQ disabled",
	[VSW_REASON_NO_SLOT]	= "filter slots full",
	[VSW_REASON_NOT_EXACT]	= "filter not exact",
	[VSW_REASON_NO_MEMORY]	= "no memory",
	[VSW_REASON_NO_START]	= "queue does not start",
};

const char *vsw_queue_reason(const struct vsw_port *port)
{
	return vsw_queue_reasons[READ_ONCE(port->reason)];
}

/*
 * A netdev's name may hold almost any byte, and a container names its port. The
 * VM's name gets to scripts of the host: what a shell or a terminal would take
 * for more than a letter stays out.
 */
static void vsw_queue_vm_name(char *buf, size_t size, const char *name)
{
	char *p;

	strscpy(buf, name, size);
	for (p = buf; *p; p++)
		if (!isascii(*p) || (!isalnum(*p) && !strchr("-_.:@", *p)))
			*p = '_';
}

/*
 * Later frames of the port use ring @to. They wait until the old ring has sent
 * the earlier ones: two rings keep no order among each other.
 */
static void vsw_queue_tx_move(struct vsw_port *port, u16 to)
{
	bool running = netif_running(port->dev);

	if (running)
		vsw_forward_hold(port);
	if (vmq_queue_tx_drain(port->uplink->vmq, port->queue))
		netdev_warn(port->dev,
			    "queue %u did not send all, frames may be reordered\n",
			    port->queue);
	WRITE_ONCE(port->queue, to);
	if (running)
		vsw_forward_release(port);
}

/* Steer every address of the port from the default queue to queue @id. */
static int vsw_queue_steer(struct vsw_port *port, u16 id,
			   struct netlink_ext_ack *extack)
{
	struct vsw_entry *entry;
	unsigned int n = 0;
	u32 *fids;
	int err;

	list_for_each_entry(entry, &port->member.entries, list)
		n++;
	fids = kvcalloc(n, sizeof(*fids), GFP_KERNEL);
	if (!fids)
		return vmq_refuse(port->uplink->vmq, extack, -ENOMEM,
				  "no memory for a move");

	n = 0;
	list_for_each_entry(entry, &port->member.entries, list)
		fids[n++] = entry->fid;
	err = vmq_filter_move(port->uplink->vmq, fids, n, id, extack);
	kvfree(fids);
	return err;
}

static enum vsw_reason vsw_queue_reason_of(int err)
{
	switch (err) {
	case -ENOSPC:
		return VSW_REASON_NO_SLOT;
	case -EOPNOTSUPP:
	case -EBUSY:
		/* An address of the port is on another VM queue. */
		return VSW_REASON_NOT_EXACT;
	case -ENOMEM:
		return VSW_REASON_NO_MEMORY;
	}
	/* No interrupt to be had, or a ring that does not come up. */
	return VSW_REASON_NO_START;
}

static enum vsw_reason vsw_queue_try_take(struct vsw_port *port)
{
	struct vmq_dev *vmq = port->uplink->vmq;
	/* A port without a queue is no error: keep the refusal off the log. */
	struct netlink_ext_ack extack = {};
	char name[IFNAMSIZ];
	int id, err;
	u16 queue;

	if (!vmq_queue_available(vmq))
		return VSW_REASON_NO_QUEUE;
	/* Trying costs rings, and a look at each of what may be very many. */
	if (vsw_table_has_more_addrs(&port->uplink->table, &port->member,
				     vmq_dev_addrs_max(vmq)))
		return VSW_REASON_NO_SLOT;
	vsw_queue_vm_name(name, sizeof(name), port->dev->name);
	id = vmq_queue_allocate(vmq, name, &extack);
	if (id < 0)
		return VSW_REASON_NO_QUEUE;

	queue = id;
	vmq_queue_set_consumer(vmq, queue, &port->consumer);
	if (vmq_queue_commit(vmq, &queue, &err, 1, &extack))
		goto release;
	err = vsw_queue_steer(port, id, &extack);
	if (err)
		goto release;

	vsw_queue_tx_move(port, id);
	return VSW_REASON_NONE;

release:
	vmq_queue_release(vmq, id);
	return vsw_queue_reason_of(err);
}

void vsw_queue_announce(struct vsw_port *port)
{
	struct net_device *dev = port->dev;

	sysfs_notify(&dev->dev.kobj, "vmq", "queue");
	sysfs_notify(&dev->dev.kobj, "vmq", "reason");
	call_netdevice_notifiers(NETDEV_CHANGEINFODATA, dev);
}

/* Of the queues that are free; rtnl. */
void vsw_queue_take(struct vsw_port *port)
{
	port->failure = vsw_queue_try_take(port);
	port->rank.cannot = port->failure;
	if (port->failure)
		return;
	vsw_weight_hold(&port->uplink->weight, &port->rank);
	WRITE_ONCE(port->starved, false);
}

/* At the end of a port, whose netdev is closed, or while it runs. */
void vsw_queue_give(struct vsw_port *port)
{
	u16 id = port->queue;

	if (!id)
		return;

	/* Before ring 0 is its ring: an exclusive port sends nothing there. */
	WRITE_ONCE(port->starved, port->rank.exclusive);
	vsw_queue_tx_move(port, 0);
	vmq_queue_release(port->uplink->vmq, id);
	vsw_weight_release(&port->rank);
}

int vsw_queue_errno(enum vsw_reason reason)
{
	switch (reason) {
	case VSW_REASON_NOT_EXACT:
	case VSW_REASON_NO_VMQ:
	case VSW_REASON_DISABLED:
		return -EOPNOTSUPP;
	case VSW_REASON_NO_MEMORY:
		return -ENOMEM;
	case VSW_REASON_NO_START:
		return -EIO;
	default:
		return -ENOSPC;
	}
}
