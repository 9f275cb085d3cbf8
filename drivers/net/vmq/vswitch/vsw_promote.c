// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which ports hold queues: vsw_weight.c decides, and here its steps are taken
 * whenever something changed that they depend on.
 */
#include <linux/math64.h>
#include <linux/rtnetlink.h>
#include "vsw_priv.h"

#define VSW_PROMOTE_ROUND	msecs_to_jiffies(VSW_WEIGHT_ROUND_MS)
/*
 * Asking a port that could not take a queue may cost another one its own for a
 * moment. A VM that makes filters come and go does not do that to the others
 * more often.
 */
#define VSW_PROMOTE_RETRY	HZ

static struct vsw_port *vsw_promote_port(struct vsw_weight_port *rank)
{
	return container_of(rank, struct vsw_port, rank);
}

static enum vsw_reason vsw_promote_reason(const struct vsw_port *port)
{
	if (port->queue)
		return VSW_REASON_NONE;
	if (port->rank.exclusive)
		return VSW_REASON_EXCLUSIVE;
	if (!vmq_dev_has_vmq(port->uplink->vmq))
		return VSW_REASON_NO_VMQ;
	if (!vmq_dev_is_enabled(port->uplink->vmq))
		return VSW_REASON_DISABLED;
	if (!port->rank.weight)
		return VSW_REASON_WEIGHT_0;
	return port->rank.cannot ? port->failure : VSW_REASON_NO_QUEUE;
}

/* Tell what became of a port. Returns whether it is without its queue. */
static bool vsw_promote_report(struct vsw_port *port)
{
	enum vsw_reason reason = vsw_promote_reason(port);
	bool lost = port->told && !port->queue;

	if (port->queue == port->told && reason == port->reason)
		return false;
	port->told = port->queue;
	WRITE_ONCE(port->reason, reason);
	vsw_port_update_carrier(port);
	/* A new port is announced by rtnl when it is whole. */
	if (port->dev->rtnl_link_state == RTNL_LINK_INITIALIZED)
		vsw_queue_announce(port);
	return lost;
}

static bool vsw_promote_report_all(struct vsw_uplink *up)
{
	struct vsw_port *port;
	bool lost = false;

	list_for_each_entry(port, &up->ports, node)
		lost |= vsw_promote_report(port);
	return lost;
}

static void vsw_promote_count(struct vsw_uplink *up)
{
	up->weight.now = vmq_queue_available(up->vmq);
	up->weight.soon = vmq_queue_coming(up->vmq);
}

static bool vsw_promote_step(struct vsw_uplink *up)
{
	struct vsw_weight_port *rank;

	vsw_promote_count(up);
	switch (vsw_weight_next(&up->weight, &rank)) {
	case VSW_WEIGHT_GIVE:
		vsw_queue_give(vsw_promote_port(rank));
		return true;
	case VSW_WEIGHT_TAKE:
		vsw_queue_take(vsw_promote_port(rank));
		return true;
	case VSW_WEIGHT_STAY:
		break;
	}
	vsw_weight_settled(&up->weight);
	return false;
}

/*
 * Bring the queues to where they belong; ends, since each port takes or fails to
 * take one once. Returns whether a step was taken.
 */
static bool vsw_promote_move(struct vsw_uplink *up)
{
	bool moved = false;

	if (vmq_dev_has_vmq(up->vmq) && vmq_dev_is_enabled(up->vmq))
		while (vsw_promote_step(up))
			moved = true;
	return moved;
}

/*
 * @joined: a new port that is all that changed, or NULL. It costs a look at
 * every other port only if a queue moves.
 *
 * Filters that left the NIC for a port that could not take the queue, and came
 * back with it, are no reason to ask that port again: it would never end.
 */
static void vsw_promote_settle_joined(struct vsw_uplink *up,
				      struct vsw_port *joined)
{
	bool filters = test_bit(VMQ_FREED_FILTER, &up->freed);
	bool all = vsw_promote_move(up) || !joined;

	if (!(all ? vsw_promote_report_all(up) : vsw_promote_report(joined)) &&
	    !filters)
		clear_bit(VMQ_FREED_FILTER, &up->freed);
}

static void vsw_promote_settle(struct vsw_uplink *up)
{
	vsw_promote_settle_joined(up, NULL);
}

static void vsw_promote_ask_all(struct vsw_uplink *up)
{
	struct vsw_port *port;

	list_for_each_entry(port, &up->ports, node)
		port->rank.cannot = false;
}

/* A filter left the NIC: who could not take a queue may be able to, now or later. */
static void vsw_promote_retry(struct vsw_uplink *up)
{
	unsigned long now = jiffies;

	if (!test_bit(VMQ_FREED_FILTER, &up->freed))
		return;
	if (time_before(now, up->retry_at)) {
		schedule_delayed_work(&up->promote, up->retry_at - now);
		return;
	}
	clear_bit(VMQ_FREED_FILTER, &up->freed);
	up->retry_at = now + VSW_PROMOTE_RETRY;
	vsw_promote_ask_all(up);
}

static void vsw_promote_work(struct work_struct *work)
{
	struct vsw_uplink *up = container_of(work, struct vsw_uplink,
					     promote.work);

	/* The uplink's end waits for this work under rtnl: only try. */
	if (!rtnl_trylock()) {
		schedule_delayed_work(&up->promote, 1);
		return;
	}
	vsw_promote_retry(up);
	vsw_promote_settle(up);
	rtnl_unlock();
}

/* The device is locked by the caller: the offer is made later. */
void vsw_promote_freed(struct vmq_switch *sw, enum vmq_freed what)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);

	set_bit(what, &up->freed);
	/* At once, also where a retry is due later. */
	mod_delayed_work(system_wq, &up->promote, 0);
	/* Room for what was refused. A failure frees a filter, too: no hurry. */
	if (what == VMQ_FREED_FILTER)
		schedule_delayed_work(&up->rx_mode, HZ / 10);
}

/*
 * All ports lose their queues, or get queues again: those first that have no
 * other way to the wire, then as their weights say, who had one before others.
 */
void vsw_promote_enabled(struct vmq_switch *sw, bool on)
{
	struct vsw_uplink *up = container_of(sw, struct vsw_uplink, sw);
	struct vsw_port *port;

	vsw_promote_ask_all(up);
	list_for_each_entry(port, &up->ports, node) {
		if (!on) {
			port->rank.party = false;
			if (port->rank.holds)
				vsw_weight_set_party(&up->weight, &port->rank);
			vsw_queue_give(port);
		} else if (port->rank.exclusive &&
			   vmq_queue_available(up->vmq)) {
			vsw_queue_take(port);
		}
	}
	vsw_promote_settle(up);
}

static u64 vsw_promote_frames(const struct vsw_port *port)
{
	struct rtnl_link_stats64 stats;

	dev_get_stats(port->dev, &stats);
	return stats.rx_packets + stats.tx_packets;
}

static void vsw_promote_measure(struct vsw_uplink *up)
{
	unsigned long elapsed = max(jiffies - up->sampled_at, 1UL);
	struct vsw_port *port;
	u64 frames, load;

	up->sampled_at = jiffies;
	list_for_each_entry(port, &up->ports, node) {
		frames = vsw_promote_frames(port);
		load = div64_u64((frames - port->frames) * HZ, elapsed);
		vsw_weight_measure(&port->rank, min_t(u64, load, U32_MAX));
		port->frames = frames;
	}
}

static void vsw_promote_sample(struct work_struct *work)
{
	struct vsw_uplink *up = container_of(work, struct vsw_uplink,
					     sample.work);
	struct vsw_weight_port *rank;

	/* Who ends it waits for it under rtnl: only try. */
	if (!rtnl_trylock()) {
		schedule_delayed_work(&up->sample, 1);
		return;
	}
	vsw_promote_measure(up);
	vsw_promote_count(up);
	rank = vsw_weight_round(&up->weight);
	if (rank) {
		vsw_queue_give(vsw_promote_port(rank));
		vsw_promote_settle(up);
	}
	schedule_delayed_work(&up->sample, VSW_PROMOTE_ROUND);
	rtnl_unlock();
}

static void vsw_promote_start_sample(struct vsw_uplink *up)
{
	if (schedule_delayed_work(&up->sample, VSW_PROMOTE_ROUND))
		up->sampled_at = jiffies;
}

int vsw_promote_set_policy(struct vsw_uplink *up,
			   enum vsw_weight_policy policy)
{
	struct vsw_port *port;

	if (policy == VSW_WEIGHT_BY_LOAD && !vmq_dev_has_vmq(up->vmq))
		return vmq_refuse(up->vmq, NULL, -EOPNOTSUPP,
				  "VMQ is not available");
	if (policy == up->weight.policy)
		return 0;

	WRITE_ONCE(up->weight.policy, policy);
	if (policy == VSW_WEIGHT_BY_AGE) {
		/* It only tries rtnl, so waiting for it is safe. */
		cancel_delayed_work_sync(&up->sample);
		return 0;
	}
	list_for_each_entry(port, &up->ports, node) {
		port->frames = vsw_promote_frames(port);
		port->rank.load = 0;
	}
	if (up->nr_ports)
		vsw_promote_start_sample(up);
	return 0;
}

void vsw_promote_init(struct vsw_uplink *up)
{
	vsw_weight_init(&up->weight);
	up->retry_at = jiffies;
	INIT_DELAYED_WORK(&up->promote, vsw_promote_work);
	INIT_DELAYED_WORK(&up->sample, vsw_promote_sample);
}

/* With the last port, after the switch is detached; rtnl. */
void vsw_promote_stop(struct vsw_uplink *up)
{
	/* Both only try rtnl, so waiting for them is safe. */
	cancel_delayed_work_sync(&up->promote);
	cancel_delayed_work_sync(&up->sample);
}

/* A new port competes, too. Refused only if it is to be @exclusive; rtnl. */
int vsw_promote_join(struct vsw_port *port, bool exclusive,
		     struct netlink_ext_ack *extack)
{
	struct vsw_uplink *up = port->uplink;

	vsw_weight_join(&up->weight, &port->rank);
	if (up->weight.policy == VSW_WEIGHT_BY_LOAD)
		vsw_promote_start_sample(up);
	vsw_promote_settle_joined(up, port);
	return exclusive ? vsw_promote_set_exclusive(port, true, extack) : 0;
}

/* The port is being deleted. It gives its queue later, when it is closed. */
void vsw_promote_leave(struct vsw_port *port)
{
	vsw_weight_leave(&port->rank);
}

/* Ask a port that could not take a queue before, since somebody wants it to. */
static void vsw_promote_ask(struct vsw_port *port)
{
	port->rank.cannot = false;
	vsw_promote_settle(port->uplink);
}

int vsw_promote_set_weight(struct vsw_port *port, u8 weight)
{
	if (!weight && port->rank.exclusive)
		return vmq_refuse(port->uplink->vmq, NULL, -EBUSY,
				  "port %s is exclusive, it is never without a queue",
				  netdev_name(port->dev));
	WRITE_ONCE(port->rank.weight, weight);
	vsw_promote_ask(port);
	return 0;
}

/*
 * An exclusive port has a queue, or the wish is refused. That its weight is
 * higher gets it another's, that it is exclusive does not; rtnl.
 */
int vsw_promote_set_exclusive(struct vsw_port *port, bool exclusive,
			      struct netlink_ext_ack *extack)
{
	if (exclusive && !port->queue && !port->rank.exclusive)
		vsw_promote_ask(port);
	if (exclusive && !port->queue && !port->rank.exclusive)
		return vmq_refuse(port->uplink->vmq, extack,
				  vsw_queue_errno(port->reason),
				  "port %s gets no queue of its own: %s",
				  netdev_name(port->dev),
				  vsw_queue_reason(port));

	WRITE_ONCE(port->rank.exclusive, exclusive);
	WRITE_ONCE(port->starved, exclusive && !port->queue);
	vsw_promote_settle(port->uplink);
	return 0;
}
