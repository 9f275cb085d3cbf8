// SPDX-License-Identifier: GPL-2.0-only
/* A port's queue: taken when there is one, given back when the port goes. */
#include <linux/ctype.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include "vsw_priv.h"

static const char * const vsw_queue_reasons[] = {
	[VSW_REASON_NONE]	= "",
	[VSW_REASON_NO_QUEUE]	= "no free queue",
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
	fids = kcalloc(n, sizeof(*fids), GFP_KERNEL);
	if (!fids)
		return vmq_refuse(port->uplink->vmq, extack, -ENOMEM,
				  "no memory for a move");

	n = 0;
	list_for_each_entry(entry, &port->member.entries, list)
		fids[n++] = entry->fid;
	err = vmq_filter_move(port->uplink->vmq, fids, n, id, extack);
	kfree(fids);
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

	if (!vmq_dev_has_vmq(vmq))
		return VSW_REASON_NO_VMQ;
	if (!vmq_dev_is_enabled(vmq))
		return VSW_REASON_DISABLED;
	if (!vmq_queue_available(vmq))
		return VSW_REASON_NO_QUEUE;
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

static void vsw_queue_announce(struct vsw_port *port)
{
	struct net_device *dev = port->dev;

	sysfs_notify(&dev->dev.kobj, "vmq", "queue");
	sysfs_notify(&dev->dev.kobj, "vmq", "reason");
	call_netdevice_notifiers(NETDEV_CHANGEINFODATA, dev);
}

/* Without a queue the port works through the default queue; rtnl. */
void vsw_queue_take(struct vsw_port *port)
{
	enum vsw_reason reason = vsw_queue_try_take(port);
	bool changed = reason != port->reason;

	WRITE_ONCE(port->reason, reason);
	/* A new port is announced by rtnl when it is whole. */
	if (changed && port->dev->rtnl_link_state == RTNL_LINK_INITIALIZED)
		vsw_queue_announce(port);
}

/* At the end of a port, whose netdev is closed, or while it runs. */
void vsw_queue_give(struct vsw_port *port)
{
	u16 id = port->queue;

	if (!id)
		return;

	vsw_queue_tx_move(port, 0);
	vmq_queue_release(port->uplink->vmq, id);
}

static int vsw_queue_errno(enum vsw_reason reason)
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

/* An exclusive port has a queue, or the wish is refused; rtnl. */
int vsw_queue_set_exclusive(struct vsw_port *port, bool exclusive)
{
	if (exclusive && !port->queue)
		vsw_queue_take(port);
	if (exclusive && !port->queue)
		return vmq_refuse(port->uplink->vmq, NULL,
				  vsw_queue_errno(port->reason),
				  "port %s gets no queue of its own: %s",
				  netdev_name(port->dev),
				  vsw_queue_reason(port));
	port->exclusive = exclusive;
	return 0;
}

/* All ports lose their queues, or get queues again, the oldest first. */
void vsw_queue_enabled(struct vmq_switch *sw, bool on)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);
	struct vsw_port *port;

	list_for_each_entry(port, &up->ports, node) {
		vsw_queue_give(port);
		vsw_queue_take(port);
	}
}

/* The device is locked by the caller: the offer is made later. */
void vsw_queue_freed(struct vmq_switch *sw, enum vmq_freed what)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);

	set_bit(what, &up->freed);
	schedule_delayed_work(&up->promote, 0);
}

/*
 * Oldest first. A port that its addresses keep off every queue would take one,
 * fail and give it back, which is an event again: such ports are asked only
 * when an address left the NIC, which their own failure does not cause.
 */
static void vsw_queue_offer(struct vsw_uplink *up)
{
	bool all = test_and_clear_bit(VMQ_FREED_FILTER, &up->freed);
	struct vsw_port *port;

	list_for_each_entry(port, &up->ports, node) {
		if (port->queue ||
		    (!all && port->reason != VSW_REASON_NO_QUEUE))
			continue;
		if (!vmq_queue_available(up->vmq)) {
			/* The rest is asked when there is a queue. */
			if (all)
				set_bit(VMQ_FREED_FILTER, &up->freed);
			return;
		}
		vsw_queue_take(port);
	}
}

void vsw_queue_promote(struct work_struct *work)
{
	struct vsw_uplink *up = container_of(work, struct vsw_uplink,
					     promote.work);

	/* The uplink's end waits for this work under rtnl: only try. */
	if (!rtnl_trylock()) {
		schedule_delayed_work(&up->promote, 1);
		return;
	}
	vsw_queue_offer(up);
	rtnl_unlock();
}
