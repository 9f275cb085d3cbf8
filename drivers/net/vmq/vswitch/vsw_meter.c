// SPDX-License-Identifier: GPL-2.0-only
/*
 * The uplink's transmit, divided among its ports while there is something to
 * divide by: weights that differ, or a wire that carries less than the link.
 *
 * Rounds instead of a scheduler: vsw_share.c says from what each one sent what
 * each one may send, and the ports' own buckets keep to it, so that no lock is
 * taken by all that send. What goes to the host and to other ports is not counted.
 *
 * Nothing here holds the host to anything, a qdisc on the uplink does that: the
 * ports divide what it leaves them.
 */
#include <linux/ethtool.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/rtnetlink.h>
#include "vsw_priv.h"

#define VSW_METER_ROUND		msecs_to_jiffies(VSW_SHARE_ROUND_MS)
/* What was queued before it was switched off and on comes early: too few frames. */
#define VSW_METER_LEAST		(VSW_SHARE_ROUND_MS * NSEC_PER_MSEC / 2)
/*
 * Of a link's megabit/s so many kilobit/s are divided: what the NIC's rings have
 * to hold back, they hold back from all alike.
 */
#define VSW_METER_LINK_KBPS	990
#define VSW_METER_KBPS		1000

/* Kilobit/s that the uplink carries, or 0: nobody knows. Context: rtnl held. */
static u32 vsw_meter_capacity(const struct vsw_uplink *up)
{
	u32 max = up->meter.max_mbps * VSW_METER_KBPS, link;
	struct ethtool_link_ksettings cmd;

	if (!netif_running(up->dev) || !netif_carrier_ok(up->dev))
		return 0;
	if (__ethtool_get_link_ksettings(up->dev, &cmd) || !cmd.base.speed ||
	    cmd.base.speed == SPEED_UNKNOWN)
		return max;
	link = cmd.base.speed * VSW_METER_LINK_KBPS;
	return max ? min(max, link) : link;
}

static struct vsw_port *vsw_meter_port(struct vsw_share_port *p)
{
	return container_of(p, struct vsw_port, share);
}

static u32 vsw_meter_kbps(u64 bytes, s64 elapsed)
{
	u64 kbps = div64_u64(bytes * BITS_PER_BYTE * USEC_PER_SEC, elapsed);

	return min_t(u64, kbps, U32_MAX);
}

static u64 vsw_meter_host_bytes(const struct vsw_uplink *up)
{
	struct vsw_switch_stats *stats;
	unsigned int start;
	u64 sum = 0, bytes;
	int cpu;

	for_each_possible_cpu(cpu) {
		stats = per_cpu_ptr(up->stats, cpu);
		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			bytes = u64_stats_read(&stats->host_bytes);
		} while (u64_stats_fetch_retry(&stats->syncp, start));
		sum += bytes;
	}
	return sum;
}

/* A frame of the host that goes to the wire. Context: BH off. */
void vsw_meter_count_host(struct vsw_uplink *up, const struct sk_buff *skb)
{
	struct vsw_switch_stats *stats = this_cpu_ptr(up->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_add(&stats->host_bytes, vsw_shape_wire_bytes(skb));
	u64_stats_update_end(&stats->syncp);
}

/* Since the last time; or forget what was before @now. */
static void vsw_meter_measure(struct vsw_uplink *up, s64 now)
{
	s64 elapsed = max_t(s64, now - up->meter.measured_at, 1);
	struct vsw_meter *m = &up->meter;
	u64 bytes, host = vsw_meter_host_bytes(up);
	struct vsw_share_port *p;
	bool waits;

	list_for_each_entry(p, &m->share.ports, node) {
		waits = vsw_shape_measure(vsw_meter_port(p), &bytes);
		vsw_share_measure(p, vsw_meter_kbps(bytes, elapsed), waits);
	}
	vsw_share_measure(&m->host,
			  vsw_meter_kbps(host - m->host_bytes, elapsed), false);
	m->share.others = m->host.load;
	m->host_bytes = host;
	m->measured_at = now;
}

/* Tell the ports what they may send, or that they may send all. */
static void vsw_meter_apply(struct vsw_meter *m)
{
	struct vsw_share_port *p;

	list_for_each_entry(p, &m->share.ports, node) {
		if (vsw_meter_is_on(m))
			vsw_shape_set_share(vsw_meter_port(p), p->rate,
					    p->due);
		else
			vsw_shape_set_share(vsw_meter_port(p), 0, 0);
	}
}

/* On any CPU: the timers that it sets again would come together on that one. */
static void vsw_meter_queue(struct vsw_meter *m)
{
	queue_delayed_work(system_unbound_wq, &m->work, VSW_METER_ROUND);
}

static void vsw_meter_work(struct work_struct *work)
{
	struct vsw_uplink *up = container_of(work, struct vsw_uplink,
					     meter.work.work);
	struct vsw_meter *m = &up->meter;
	s64 now = ktime_get_ns();

	mutex_lock(&m->lock);
	if (!vsw_meter_is_on(m))
		goto unlock;
	if (now - m->measured_at >= VSW_METER_LEAST) {
		vsw_meter_measure(up, now);
		vsw_share_divide(&m->share);
		vsw_meter_apply(m);
	}
	vsw_meter_queue(m);
unlock:
	mutex_unlock(&m->lock);
}

/* What was measured before it was switched off is nothing to divide by. */
static void vsw_meter_start(struct vsw_uplink *up)
{
	vsw_meter_measure(up, ktime_get_ns());
	vsw_share_start(&up->meter.share);
	vsw_share_port_forget(&up->meter.host);
}

/* On, off, or what is divided has changed. */
static void vsw_meter_switch(struct vsw_uplink *up, u32 capacity)
{
	struct vsw_meter *m = &up->meter;
	bool starts;

	mutex_lock(&m->lock);
	starts = capacity && !vsw_meter_is_on(m);
	WRITE_ONCE(m->share.capacity, capacity);
	if (starts)
		vsw_meter_start(up);
	if (starts || !capacity)
		vsw_meter_apply(m);
	mutex_unlock(&m->lock);
	/* What changes while it is on is seen in the next round. */
	if (capacity)
		vsw_meter_queue(m);
}

static bool vsw_meter_is_wanted(const struct vsw_uplink *up)
{
	return (up->meter.max_mbps || up->meter.uneven) &&
	       !list_empty(&up->ports);
}

/* The link, or what the wire carries, may be another. Context: rtnl held. */
void vsw_meter_update(struct vsw_uplink *up)
{
	u32 capacity = vsw_meter_is_wanted(up) ? vsw_meter_capacity(up) : 0;

	if (capacity || vsw_meter_is_on(&up->meter))
		vsw_meter_switch(up, capacity);
}

/* The ports, or their weights, are others: asking the NIC for the link is dear. */
static void vsw_meter_update_ports(struct vsw_uplink *up)
{
	if (vsw_meter_is_wanted(up) != vsw_meter_is_on(&up->meter))
		vsw_meter_update(up);
}

/* What the wire carries: 0 is what the link does. Context: rtnl held. */
void vsw_meter_set_max(struct vsw_uplink *up, u32 mbps)
{
	WRITE_ONCE(up->meter.max_mbps, mbps);
	vsw_meter_update(up);
}

static void vsw_meter_count_uneven(struct vsw_port *port, int n)
{
	if (port->share.weight != VSW_SHARE_WEIGHT_DEFAULT)
		port->uplink->meter.uneven += n;
}

/* Context: rtnl held. */
void vsw_meter_set_weight(struct vsw_port *port, u32 weight)
{
	struct vsw_meter *m = &port->uplink->meter;

	vsw_meter_count_uneven(port, -1);
	mutex_lock(&m->lock);
	WRITE_ONCE(port->share.weight, weight);
	mutex_unlock(&m->lock);
	vsw_meter_count_uneven(port, 1);
	vsw_meter_update_ports(port->uplink);
}

/* A new port, in the uplink's list. Context: rtnl held. */
void vsw_meter_join(struct vsw_port *port)
{
	struct vsw_meter *m = &port->uplink->meter;

	mutex_lock(&m->lock);
	list_add_tail(&port->share.node, &m->share.ports);
	mutex_unlock(&m->lock);
	vsw_meter_update_ports(port->uplink);
}

/* It is being deleted, and off the uplink's list. Context: rtnl held. */
void vsw_meter_leave(struct vsw_port *port)
{
	struct vsw_meter *m = &port->uplink->meter;

	/* It has left already, and is not counted any more. */
	if (list_empty(&port->share.node))
		return;
	vsw_meter_count_uneven(port, -1);
	mutex_lock(&m->lock);
	list_del_init(&port->share.node);
	mutex_unlock(&m->lock);
	vsw_meter_update_ports(port->uplink);
}

void vsw_meter_init(struct vsw_uplink *up)
{
	struct vsw_meter *m = &up->meter;

	mutex_init(&m->lock);
	INIT_LIST_HEAD(&m->share.ports);
	vsw_share_port_init(&m->host);
	INIT_DELAYED_WORK(&m->work, vsw_meter_work);
}

/* With the last port, which has switched it off. Context: rtnl held. */
void vsw_meter_stop(struct vsw_uplink *up)
{
	/* It takes no rtnl. */
	cancel_delayed_work_sync(&up->meter.work);
}
