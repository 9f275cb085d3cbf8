// SPDX-License-Identifier: GPL-2.0-only
/* A NIC made of tables: the backend under the core's tests. See fake.h. */
#include <linux/etherdevice.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include "fake.h"

#define FAKE_DEFAULT_SEED	17

const struct vmq_hw_caps fake_caps = {
	.pools		= FAKE_QUEUES,
	.default_pool	= 0,
	.mac_slots	= 12,
	.mac_slots_host	= 2,
	.vlan_slots	= 32,
	.buffers	= 512,
	.buffers_min	= 64,
	.buffers_max	= 4096,
};

static struct fake_nic *fake_from_dev(struct vmq_dev *dev)
{
	return container_of(dev, struct fake_nic, dev);
}

/* Common to all ops: the contract on locks, and frames that come meanwhile. */
static struct fake_queue *fake_enter(struct vmq_dev *dev, u16 id)
{
	struct fake_nic *f = fake_from_dev(dev);

	if (!mutex_is_locked(&dev->lock))
		fake_break(f, "called without vmq_dev.lock");
	if (id >= f->caps.pools)
		fake_break(f, "called for queue %u of %u", id, f->caps.pools);
	fake_inject(f);
	return &f->queues[id % FAKE_QUEUES];
}

static void fake_leave(struct vmq_dev *dev)
{
	fake_inject(fake_from_dev(dev));
}

/* The receivers */

/* A copy of a group's frame for a member, from the NIC or the switch. */
static void fake_claimed(struct fake_nic *f, struct fake_stream *s, u32 serial,
			 u16 id)
{
	if (serial > s->claimed[id])
		fake_break(f, "group %pM: frame %u after %u at queue %u",
			   s->m.addr, serial, s->claimed[id], id);
	else if (serial < s->claimed[id])
		s->doubled++;
	else
		s->claimed[id]++;
}

/* What queue 0 has of a group goes to all who have no copy from the NIC. */
static bool fake_received_group(struct fake_nic *f, struct fake_stream *s,
				u32 serial, u16 to)
{
	struct vmq_consumer *c;
	u16 id;

	if (to) {
		if (!(s->may_copy & BIT_ULL(to)))
			fake_break(f, "group %pM at queue %u", s->m.addr, to);
		fake_claimed(f, s, serial, to);
		return true;
	}
	c = vmq_group_consumer_rcu(&f->dev, &s->m);
	for (id = 1; id < f->caps.pools; id++)
		if (s->members & BIT_ULL(id) && c != &f->queues[id].consumer)
			fake_claimed(f, s, serial, id);
	return false;
}

static void fake_received(struct fake_nic *f, struct sk_buff *skb, u16 to)
{
	struct fake_stream *s;
	struct fake_frame frame;

	memcpy(&frame, skb->data + ETH_HLEN, sizeof(frame));
	s = &f->streams[frame.stream];
	if (is_multicast_ether_addr(s->m.addr) &&
	    fake_received_group(f, s, frame.serial, to)) {
		kfree_skb(skb);
		return;
	}
	if (frame.serial != s->received)
		fake_break(f, "%pM vlan %u: frame %u after %u", s->m.addr,
			   s->m.vlan, frame.serial, s->received);
	if (!(s->may_go & BIT_ULL(to)))
		fake_break(f, "%pM vlan %u went to queue %u, allowed: %#llx",
			   s->m.addr, s->m.vlan, to, s->may_go);
	s->received++;
	s->last = to;
	kfree_skb(skb);
}

static void fake_receive_batch(struct fake_nic *f, struct list_head *batch,
			       u16 to)
{
	struct sk_buff *skb, *next;

	list_for_each_entry_safe(skb, next, batch, list) {
		skb_list_del_init(skb);
		fake_received(f, skb, to);
	}
}

static void fake_consumer_receive(struct vmq_consumer *c,
				  struct napi_struct *napi,
				  struct list_head *batch)
{
	struct fake_queue *q = container_of(c, struct fake_queue, consumer);

	fake_receive_batch(q->nic, batch, q->id);
}

static void fake_consumer_tx_wake(struct vmq_consumer *c)
{
	container_of(c, struct fake_queue, consumer)->wakes++;
}

static const struct vmq_consumer_ops fake_consumer_ops = {
	.receive	= fake_consumer_receive,
	.tx_wake	= fake_consumer_tx_wake,
};

static void fake_switch_receive(struct vmq_switch *sw, struct napi_struct *napi,
				struct list_head *batch)
{
	fake_receive_batch(container_of(sw, struct fake_nic, sw), batch, 0);
}

static bool fake_switch_uplink_xmit(struct vmq_switch *sw, struct sk_buff *skb)
{
	container_of(sw, struct fake_nic, sw)->uplink_xmits++;
	return false;
}

static void fake_switch_tx_wake(struct vmq_switch *sw)
{
	container_of(sw, struct fake_nic, sw)->switch_wakes++;
}

/* As the vswitch does it. */
static void fake_switch_enabled(struct vmq_switch *sw, bool on)
{
	struct fake_nic *f = container_of(sw, struct fake_nic, sw);
	struct vmq_queue *q;
	u16 id;

	for (id = 1; id < f->caps.pools && !on; id++) {
		q = &f->dev.queues[id];
		if (q->owner == VSWITCH && q->state != VMQ_QUEUE_UNDEFINED &&
		    q->state < VMQ_QUEUE_STOPPING)
			vmq_queue_release(&f->dev, id);
	}
	if (on && f->reclaim && vmq_queue_allocate(&f->dev, "vm", NULL) < 0)
		fake_break(f, "no queue to reclaim");
}

static void fake_switch_freed(struct vmq_switch *sw, enum vmq_freed what)
{
	container_of(sw, struct fake_nic, sw)->freed[what]++;
}

static const struct vmq_switch_ops fake_switch_ops = {
	.receive	= fake_switch_receive,
	.uplink_xmit	= fake_switch_uplink_xmit,
	.tx_wake	= fake_switch_tx_wake,
	.enabled	= fake_switch_enabled,
	.freed		= fake_switch_freed,
};

/* Frames: wire, routing, rings, polls */

void fake_match(struct vmq_match *m, u8 addr, u16 vlan)
{
	const u8 single[ETH_ALEN] = { 0x52, 0x54, 0x00, 0x00, 0x17, addr };
	const u8 group[ETH_ALEN] = { 0x01, 0x00, 0x5e, 0x00, 0x17, addr };

	ether_addr_copy(m->addr, addr < FAKE_GROUP ? single : group);
	m->vlan = vlan;
}

struct fake_stream *fake_stream_add(struct fake_nic *f, u8 addr, u16 vlan)
{
	struct fake_stream *s = &f->streams[f->nr_streams++];

	fake_match(&s->m, addr, vlan);
	s->may_go = U64_MAX;
	return s;
}

/* From the next frame on, all frames of the group are the claimant's, too. */
void fake_stream_claim(struct fake_stream *s, u16 claimant)
{
	s->members = BIT_ULL(claimant);
	s->may_copy = BIT_ULL(claimant);
	s->claimed[claimant] = s->received;
}

struct sk_buff *fake_skb(struct fake_nic *f, const struct vmq_match *m,
			 const void *data, unsigned int len)
{
	struct sk_buff *skb = alloc_skb(ETH_HLEN + ETH_DATA_LEN, GFP_ATOMIC);
	struct ethhdr *eth;

	if (!skb)
		return NULL;
	eth = skb_put_zero(skb, ETH_HLEN);
	ether_addr_copy(eth->h_dest, m->addr);
	eth->h_source[0] = 0x52;
	eth->h_source[5] = 0x99;
	eth->h_proto = htons(ETH_P_802_EX1);
	skb_put_data(skb, data, len);
	skb->dev = f->uplink;
	if (m->vlan)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), m->vlan);
	return skb;
}

/*
 * The pools of the slots that have this address. With two slots the emulated
 * NIC takes the pools of both; what the real one does its data sheet leaves open.
 */
static u64 fake_mac_pools(struct fake_nic *f, const u8 *addr)
{
	unsigned int i, nr = 0;
	u64 pools = 0;

	for (i = 0; i < f->caps.mac_slots; i++) {
		if (!f->slots[i].pools ||
		    !ether_addr_equal(f->slots[i].addr, addr))
			continue;
		pools |= f->slots[i].pools;
		nr++;
	}
	if (f->silicon && nr > 1)
		fake_break(f, "%pM is in %u slots", addr, nr);
	return pools;
}

/* Pools that are on. */
static u64 fake_live_pools(const struct fake_nic *f)
{
	u64 pools = 0;
	u16 id;

	for (id = 0; id < f->caps.pools; id++)
		if (f->queues[id].started)
			pools |= BIT_ULL(f->dev.queues[id].pool);
	return pools;
}

/* The pools that the VLAN of a frame lets in, as the 82576 has it. */
static u64 fake_vlan_pools(const struct fake_nic *f, u16 vlan, bool priority)
{
	u64 pools = 0;
	unsigned int i;

	if (!f->vlan_filtering)
		return U64_MAX;
	if (!vlan && !priority)
		return f->untagged | BIT_ULL(f->caps.default_pool);
	for (i = 0; i < f->caps.vlan_slots; i++)
		if (f->vlans[i].vid == vlan)
			pools |= f->vlans[i].pools;
	return pools;
}

/*
 * The pools that a frame goes to: slots decide, alone. Group frames are the
 * default pool's. The real NIC knows no pool that is off, and gives the default
 * pool all that is left over; the emulated one drops what goes to a pool that
 * is off, and a group frame of a VLAN without a slot.
 */
static u64 fake_pools(struct fake_nic *f, const struct vmq_match *m,
		      bool priority)
{
	u64 def = BIT_ULL(f->caps.default_pool);
	bool group = is_multicast_ether_addr(m->addr);
	u64 pools = fake_mac_pools(f, m->addr);

	if (f->silicon)
		pools &= fake_live_pools(f);
	if (group)
		pools |= def;
	pools &= fake_vlan_pools(f, m->vlan, priority);
	if (!pools && (f->silicon || !group))
		pools = def;
	return pools;
}

/* The rings that the NIC puts a frame into, by queue. */
u64 fake_route(struct fake_nic *f, const struct vmq_match *m, bool priority)
{
	u64 pools = fake_pools(f, m, priority), queues = 0;
	u16 id;

	for (id = 0; id < f->caps.pools; id++)
		if (pools & BIT_ULL(f->dev.queues[id].pool))
			queues |= BIT_ULL(id);
	return queues;
}

static void fake_ring_add(struct fake_queue *q, unsigned int stream, u32 serial)
{
	struct fake_nic *f = q->nic;

	if (!q->started) {
		fake_break(f, "%pM routed to ring %u, which does not run",
			   f->streams[stream].m.addr, q->id);
		return;
	}
	if (q->nr == FAKE_RING) {
		fake_break(f, "ring %u overflows", q->id);
		return;
	}
	q->ring[q->nr].stream = stream;
	q->ring[q->nr++].serial = serial;
}

/* A frame comes in from the wire, and goes to each of its rings. */
void fake_send(struct fake_nic *f, unsigned int stream)
{
	struct fake_stream *s = &f->streams[stream];
	u64 queues = fake_route(f, &s->m, s->priority);
	u16 id;

	if (!queues && s->may_lose)
		return;
	if (!queues)
		fake_break(f, "%pM vlan %u routed nowhere", s->m.addr,
			   s->m.vlan);
	for (id = 0; id < f->caps.pools; id++)
		if (queues & BIT_ULL(id))
			fake_ring_add(&f->queues[id], stream, s->sent);
	s->sent++;
}

/* The stream's tag, which fake_skb() leaves out for VLAN ID 0. */
static struct sk_buff *fake_stream_skb(struct fake_nic *f,
				       const struct fake_frame *frame)
{
	const struct fake_stream *s = &f->streams[frame->stream];
	struct sk_buff *skb = fake_skb(f, &s->m, frame, sizeof(*frame));

	if (skb && s->priority)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), 0xe000);
	return skb;
}

static void fake_poll(struct fake_queue *q)
{
	struct fake_nic *f = q->nic;
	struct sk_buff *skb;
	LIST_HEAD(batch);
	unsigned int i;

	if (!q->nr || q->hold || !q->started)
		return;
	for (i = 0; i < q->nr; i++) {
		skb = fake_stream_skb(f, &q->ring[i]);
		if (skb)
			list_add_tail(&skb->list, &batch);
	}
	q->nr = 0;
	local_bh_disable();
	vmq_queue_receive(&f->dev.queues[q->id], NULL, &batch);
	local_bh_enable();
	if (!list_empty(&batch))
		fake_break(f, "frames left on the batch of queue %u", q->id);
}

void fake_poll_queue(struct fake_nic *f, u16 id)
{
	fake_poll(&f->queues[id]);
}

void fake_poll_all(struct fake_nic *f)
{
	u16 id;

	for (id = 0; id < f->caps.pools; id++)
		fake_poll(&f->queues[id]);
}

/* Frames of some streams come in, and some queues happen to be polled. */
void fake_inject(struct fake_nic *f)
{
	unsigned int i;

	/* The work that frees queues calls too, at times of its own. */
	if (!f->traffic || current != f->task)
		return;
	for (i = 0; i < min(f->nr_streams, FAKE_BURST); i++)
		if (prandom_u32_state(&f->rnd) & 1)
			fake_send(f, prandom_u32_state(&f->rnd) %
				  f->nr_streams);
	for (i = 0; i < f->caps.pools; i++)
		if (prandom_u32_state(&f->rnd) & 1)
			fake_poll(&f->queues[i]);
}

/* struct vmq_hw_ops */

static void fake_mac_write(struct vmq_dev *dev, u16 slot, const u8 *addr,
			   u64 pools)
{
	struct fake_nic *f = fake_from_dev(dev);
	u16 id;

	fake_enter(dev, 0);
	fake_log(f, "write %02x %#llx", addr[ETH_ALEN - 1], pools);
	f->mac_writes++;
	if (slot < f->caps.mac_slots_host || slot >= f->caps.mac_slots) {
		fake_break(f, "slot %u is not for filters", slot);
		return;
	}
	if (pools && is_multicast_ether_addr(addr) &&
	    !(pools & BIT_ULL(f->caps.default_pool)))
		fake_break(f, "group %pM without the default pool", addr);
	for (id = 0; id < f->caps.pools; id++)
		if (pools & BIT_ULL(dev->queues[id].pool) &&
		    !f->queues[id].started)
			fake_break(f, "slot %u to queue %u, which is stopped",
				   slot, id);
	ether_addr_copy(f->slots[slot].addr, addr);
	f->slots[slot].pools = pools;
	fake_leave(dev);
}

static void fake_vlan_write(struct vmq_dev *dev, u16 slot, u16 vid, u64 pools)
{
	struct fake_nic *f = fake_from_dev(dev);
	unsigned int i;

	fake_enter(dev, 0);
	fake_log(f, "vlan %u %#llx", vid, pools);
	if (slot >= f->caps.vlan_slots) {
		fake_break(f, "there is no VLAN slot %u", slot);
		return;
	}
	if (pools && !(pools & BIT_ULL(f->caps.default_pool)))
		fake_break(f, "VLAN %u without the default pool", vid);
	for (i = 0; i < f->caps.vlan_slots; i++)
		if (pools && i != slot && f->vlans[i].pools &&
		    f->vlans[i].vid == vid)
			fake_break(f, "VLAN %u in two slots", vid);
	f->vlans[slot].vid = vid;
	f->vlans[slot].pools = pools;
	fake_leave(dev);
}

static void fake_untagged_write(struct vmq_dev *dev, u16 id, bool on)
{
	struct fake_queue *q = fake_enter(dev, id);
	u64 pool = BIT_ULL(dev->queues[id].pool);

	fake_log(q->nic, "untagged %u %d", id, on);
	if (on)
		q->nic->untagged |= pool;
	else
		q->nic->untagged &= ~pool;
	fake_leave(dev);
}

static void fake_vlan_filtering(struct vmq_dev *dev, bool on)
{
	struct fake_nic *f = fake_from_dev(dev);

	fake_enter(dev, 0);
	fake_log(f, "vlans %s", on ? "on" : "off");
	f->vlan_filtering = on;
	fake_leave(dev);
}

static int fake_queue_alloc(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "alloc %u", id);
	if (q->rings)
		fake_break(q->nic, "rings of queue %u allocated twice", id);
	if (q->alloc_err)
		return q->alloc_err;
	q->rings = true;
	q->buffers = vmq_queue_buffers(&dev->queues[id]);
	return 0;
}

static int fake_queue_resize(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);
	struct fake_nic *f = q->nic;
	unsigned int i;

	fake_log(f, "resize %u to %u", id, vmq_queue_buffers(&dev->queues[id]));
	if (!q->started || q->hold || q->nr)
		fake_break(f, "ring of queue %u resized with %u frames%s", id,
			   q->nr, q->started ? "" : ", stopped");
	for (i = 0; i < f->caps.mac_slots; i++)
		if (f->slots[i].pools & BIT_ULL(dev->queues[id].pool))
			fake_break(f, "ring of queue %u resized in use", id);
	if (q->resize_err)
		return q->resize_err;
	q->buffers = vmq_queue_buffers(&dev->queues[id]);
	return 0;
}

static void fake_queue_free(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "free %u", id);
	if (!q->rings || q->started)
		fake_break(q->nic, "rings of queue %u freed, but %s", id,
			   q->started ? "they run" : "there are none");
	q->rings = false;
}

/* The interrupt that the NIC uses for the queue. */
static struct irq_data *fake_irq(const struct fake_queue *q)
{
	return irq_get_irq_data(q->nic->queues[q->vector].irq);
}

/* As the kernel does when all but one of the CPUs are offline. */
static void fake_irq_startup(struct fake_queue *q)
{
	struct irq_data *data = fake_irq(q);
	struct cpumask *cpus = (void *)irq_data_get_affinity_mask(data);

	if (IS_ENABLED(CONFIG_SMP) && cpumask_weight(cpus) > 1)
		cpumask_copy(cpus, cpumask_of(cpumask_first(cpus)));
}

static int fake_queue_start(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "start %u", id);
	if (!q->rings || q->started)
		fake_break(q->nic, "queue %u started, but it %s", id,
			   q->started ? "runs" : "has no rings");
	/* An interrupt nobody may balance is not moved when requested. */
	q->vector = dev->queues[id].line->id;
	if (!dev->vectors[q->vector].users &&
	    irq_balancing_disabled(fake_irq(q)->irq))
		fake_break(q->nic, "irq of queue %u locked too early", id);
	if (q->start_err)
		return q->start_err;
	q->started = true;
	q->hold = false;
	if (!dev->vectors[q->vector].users)
		fake_irq_startup(q);
	/* The next interrupt applies what waited. */
	if (q->stale >= 0)
		irq_data_update_effective_affinity(fake_irq(q),
						   cpumask_of(q->stale));
	q->stale = -1;
	return 0;
}

/* The last queue of a vector goes: its interrupt is freed. */
static void fake_irq_free(struct fake_nic *f, u16 vector, bool locked)
{
	struct irq_data *data = irq_get_irq_data(f->queues[vector].irq);

	if (irq_balancing_disabled(data->irq) != locked)
		fake_break(f, "irq of vector %u was %slocked", vector,
			   locked ? "not " : "");
	if (fake_irq_hint(data))
		fake_break(f, "irq of vector %u freed with its hint", vector);
}

static bool fake_is_locked(const struct vmq_vector *v)
{
	return !v->irq_shared && v->cpu_policy == VMQ_CPU_STRICT;
}

static void fake_queue_stop(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);
	struct vmq_vector *v;

	fake_log(q->nic, "stop %u", id);
	if (!q->started || q->hold)
		fake_break(q->nic, "queue %u stopped, but it %s", id,
			   q->hold ? "is held" : "does not run");
	v = dev->queues[id].line;
	if (!v->users)
		fake_irq_free(q->nic, v->id, fake_is_locked(v));
	q->started = false;
	/* What is still in the ring is lost; fake_received() will notice. */
	q->nr = 0;
}

static u32 fake_queue_held(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	if (!q->rings || q->started)
		fake_break(q->nic, "queue %u asked for frames, but it %s", id,
			   q->started ? "runs" : "has no rings");
	return q->held;
}

static void fake_queue_hold(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "hold %u", id);
	if (!q->started || q->hold)
		fake_break(q->nic, "queue %u to be held, but it %s", id,
			   q->hold ? "is already" : "does not run");
	q->hold = true;
	fake_leave(dev);
}

static void fake_queue_release(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "release %u", id);
	if (!q->hold)
		fake_break(q->nic, "queue %u released, but not held", id);
	q->hold = false;
	fake_leave(dev);
}

static int fake_queue_drain(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	fake_log(q->nic, "drain %u", id);
	if (!q->started || q->hold)
		fake_break(q->nic, "queue %u to run dry, but it %s", id,
			   q->hold ? "is held" : "does not run");
	if (q->drain_err)
		return q->drain_err;
	fake_poll(q);
	fake_leave(dev);
	return 0;
}

static int fake_queue_tx_drain(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	if (!q->started)
		fake_break(q->nic, "tx of queue %u drained at rest", id);
	q->tx_drains++;
	return q->drain_err;
}

static void fake_queue_named(struct vmq_dev *dev, u16 id)
{
	struct fake_queue *q = fake_enter(dev, id);

	if (!q->started)
		fake_break(q->nic, "named %u, whose rings do not run", id);
	fake_log(q->nic, "named %u %s", id, dev->queues[id].vm_name);
}

static int fake_queue_vector(struct vmq_dev *dev, u16 id, u16 vector)
{
	struct fake_queue *q = fake_enter(dev, id);
	struct vmq_vector *from = &dev->vectors[q->vector];

	fake_log(q->nic, "vector %u %u", id, vector);
	if (!q->started || !q->hold)
		fake_break(q->nic, "queue %u to use vector %u, but it %s", id,
			   vector, q->started ? "is not held" : "does not run");
	if (q->vector == vector)
		fake_break(q->nic, "queue %u has vector %u", id, vector);
	if (q->vector_err)
		return q->vector_err;
	if (from->users == BIT_ULL(id))
		fake_irq_free(q->nic, from->id, from->pinned);
	q->vector = vector;
	fake_leave(dev);
	return 0;
}

static void fake_queue_kick(struct vmq_dev *dev, u16 id)
{
	fake_from_dev(dev)->queues[id].kicks++;
}

static void fake_queue_xmit(struct vmq_dev *dev, u16 id, struct sk_buff *skb,
			    bool more)
{
	struct netdev_queue *txq = netdev_get_tx_queue(dev->uplink, id);
	struct fake_queue *q = &fake_from_dev(dev)->queues[id];

	if (READ_ONCE(txq->xmit_lock_owner) != smp_processor_id())
		fake_break(q->nic, "transmit on queue %u without its lock", id);
	q->xmits++;
	q->more += more;
	consume_skb(skb);
}

static const struct vmq_hw_ops fake_ops = {
	.mac_write	= fake_mac_write,
	.vlan_write	= fake_vlan_write,
	.untagged_write	= fake_untagged_write,
	.vlan_filtering	= fake_vlan_filtering,
	.queue_alloc	= fake_queue_alloc,
	.queue_free	= fake_queue_free,
	.queue_start	= fake_queue_start,
	.queue_stop	= fake_queue_stop,
	.queue_resize	= fake_queue_resize,
	.queue_held	= fake_queue_held,
	.queue_hold	= fake_queue_hold,
	.queue_release	= fake_queue_release,
	.queue_drain	= fake_queue_drain,
	.queue_tx_drain	= fake_queue_tx_drain,
	.queue_named	= fake_queue_named,
	.queue_vector	= fake_queue_vector,
	.queue_kick	= fake_queue_kick,
	.queue_xmit	= fake_queue_xmit,
};

/* Interrupts: real descriptors on a chip that only notes the CPU. */

static int fake_irq_set_affinity(struct irq_data *data,
				 const struct cpumask *mask, bool force)
{
	struct fake_queue *q = irq_data_get_irq_chip_data(data);
	unsigned int cpu = cpumask_first(mask);

	if (q->affinity_err)
		return q->affinity_err;
	q->pinned = cpu;
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK_DONE;
}

static struct irq_chip fake_irq_chip = {
	.name			= "vmq-fake",
	.irq_set_affinity	= fake_irq_set_affinity,
};

/*
 * User Mode Linux has all of its few numbers in use from the beginning, but
 * needs none of the last ones.
 */
static int fake_irq_descs_alloc(unsigned int n)
{
	int base = irq_alloc_descs(-1, 1, n, NUMA_NO_NODE);

	if (base < 0 && IS_ENABLED(CONFIG_UML)) {
		irq_free_descs(NR_IRQS - FAKE_QUEUES, FAKE_QUEUES);
		base = irq_alloc_descs(-1, 1, n, NUMA_NO_NODE);
	}
	return base;
}

static int fake_irqs_alloc(struct fake_nic *f)
{
	u16 n = vmq_dev_vectors(&f->dev);
	int base = fake_irq_descs_alloc(n);
	struct fake_queue *q;
	u16 id;

	if (base < 0)
		return base;
	for (id = 0; id < n; id++) {
		q = &f->queues[id];
		q->irq = base + id;
		f->dev.vectors[id].irq = q->irq;
		irq_set_chip(q->irq, &fake_irq_chip);
		irq_set_chip_data(q->irq, q);
		irq_set_status_flags(q->irq, IRQ_MOVE_PCNTXT);
	}
	return 0;
}

/* The uplink */

static int fake_ndo_open(struct net_device *uplink)
{
	struct fake_nic *f = netdev_priv(uplink);

	/* As the real one comes out of a reset. */
	memset(f->slots, 0, sizeof(f->slots));
	memset(f->vlans, 0, sizeof(f->vlans));
	f->untagged = 0;
	f->vlan_filtering = false;
	return vmq_dev_open(&f->dev);
}

static int fake_ndo_stop(struct net_device *uplink)
{
	struct fake_nic *f = netdev_priv(uplink);

	vmq_dev_close(&f->dev);
	return 0;
}

static netdev_tx_t fake_ndo_start_xmit(struct sk_buff *skb,
				       struct net_device *uplink)
{
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops fake_netdev_ops = {
	.ndo_open	= fake_ndo_open,
	.ndo_stop	= fake_ndo_stop,
	.ndo_start_xmit	= fake_ndo_start_xmit,
};

static int fake_attach(struct fake_nic *f)
{
	int err;

	rtnl_lock();
	err = vmq_switch_attach(&f->dev, &f->sw);
	rtnl_unlock();
	return err;
}

static int fake_setup(struct fake_nic *f, const struct vmq_hw_caps *caps)
{
	u16 id;
	int err;

	f->caps = *caps;
	f->sw.ops = &fake_switch_ops;
	prandom_seed_state(&f->rnd, FAKE_DEFAULT_SEED);
	for (id = 0; id < FAKE_QUEUES; id++) {
		f->queues[id].nic = f;
		f->queues[id].id = id;
		f->queues[id].pinned = -1;
		f->queues[id].stale = -1;
		f->queues[id].consumer.ops = &fake_consumer_ops;
		f->queues[id].consumer.dev = f->uplink;
	}
	err = vmq_dev_init(&f->dev, f->uplink, &fake_ops, &f->caps);
	if (err)
		return err;
	f->ready = true;
	return fake_irqs_alloc(f) ?: fake_attach(f);
}

struct fake_nic *fake_create(struct kunit *test, const struct vmq_hw_caps *caps)
{
	struct net_device *uplink;
	struct fake_nic *f;

	uplink = alloc_etherdev_mqs(sizeof(*f), caps->pools, caps->pools);
	KUNIT_ASSERT_NOT_NULL(test, uplink);
	f = netdev_priv(uplink);
	test->priv = f;
	f->uplink = uplink;
	f->task = current;
	uplink->netdev_ops = &fake_netdev_ops;
	/* Registration does this, but most tests need none. */
	spin_lock_init(&uplink->addr_list_lock);
	eth_hw_addr_random(uplink);
	strscpy(uplink->name, "vmqfake%d", IFNAMSIZ);
	KUNIT_ASSERT_EQ(test, fake_setup(f, caps), 0);
	return f;
}

/* Runs also when the test was aborted half way: whatever is there goes. */
void fake_destroy(struct kunit *test, struct fake_nic *f)
{
	struct vmq_switch *sw;
	u16 id;

	f->traffic = false;
	fake_expect_sound(test, f);
	if (f->registered)
		unregister_netdev(f->uplink);
	else
		fake_close(f);

	rtnl_lock();
	sw = rtnl_dereference(f->dev.sw);
	if (sw)
		vmq_switch_detach(&f->dev, sw);
	rtnl_unlock();
	if (f->ready)
		vmq_dev_fini(&f->dev);
	for (id = 0; id < f->caps.pools; id++)
		KUNIT_EXPECT_FALSE_MSG(test, f->queues[id].rings,
				       "rings of queue %u leaked", id);
	KUNIT_EXPECT_STREQ(test, f->broken, "");
	if (f->queues[0].irq > 0)
		irq_free_descs(f->queues[0].irq,
			       f->caps.vectors ?: f->caps.pools);
	free_netdev(f->uplink);
	test->priv = NULL;
}

int fake_test_init(struct kunit *test)
{
	fake_create(test, &fake_caps);
	return 0;
}

void fake_test_exit(struct kunit *test)
{
	if (test->priv)
		fake_destroy(test, test->priv);
}

int fake_register(struct fake_nic *f)
{
	int err = register_netdev(f->uplink);

	f->registered = !err;
	return err;
}

int fake_open(struct fake_nic *f)
{
	int err;

	rtnl_lock();
	if (f->registered)
		err = dev_open(f->uplink, NULL);
	else
		err = fake_ndo_open(f->uplink);
	rtnl_unlock();
	return err;
}

void fake_close(struct fake_nic *f)
{
	rtnl_lock();
	if (f->registered)
		dev_close(f->uplink);
	else if (f->ready)
		fake_ndo_stop(f->uplink);
	rtnl_unlock();
}

/*
 * Let the work that looks for returned frames run now. One that was at it
 * already may have looked before the test changed something: run it again.
 */
void fake_wait_freeing(struct fake_nic *f)
{
	flush_delayed_work(&f->dev.freeing);
	flush_delayed_work(&f->dev.freeing);
}

/* The core's calls */

static void fake_lock(struct fake_nic *f, struct netlink_ext_ack *extack)
{
	memset(extack, 0, sizeof(*extack));
	rtnl_lock();
	mutex_lock(&f->dev.lock);
}

/* Every refusal has to tell why. Returns @ret. */
static int fake_unlock(struct fake_nic *f, struct netlink_ext_ack *extack,
		       int ret)
{
	mutex_unlock(&f->dev.lock);
	rtnl_unlock();
	strscpy(f->why, ret < 0 && extack->_msg ? extack->_msg : "");
	if (ret < 0 && !extack->_msg)
		fake_break(f, "refused with %d and no reason", ret);
	return ret;
}

/* The vswitch takes the lowest free queue, the administrator names it. */
int fake_allocate(struct fake_nic *f, enum vmq_owner owner, u16 id)
{
	struct netlink_ext_ack extack = {};
	int ret;

	if (owner == VSWITCH) {
		rtnl_lock();
		ret = vmq_queue_allocate(&f->dev, "vm", &extack);
		rtnl_unlock();
		strscpy(f->why, extack._msg ?: "");
		return ret;
	}
	fake_lock(f, &extack);
	ret = vmq_queue_allocate_locked(&f->dev.queues[id], owner, "vm",
					&extack);
	return fake_unlock(f, &extack, ret);
}

int fake_commit(struct fake_nic *f, enum vmq_owner owner, u16 id)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_queue_commit_locked(&f->dev.queues[id], owner, &extack);
	return fake_unlock(f, &extack, ret);
}

int fake_free(struct fake_nic *f, u16 id)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_queue_free_locked(&f->dev.queues[id], ADMIN, &extack);
	return fake_unlock(f, &extack, ret);
}

void fake_release(struct fake_nic *f, u16 id)
{
	rtnl_lock();
	vmq_queue_release(&f->dev, id);
	rtnl_unlock();
}

int fake_add(struct fake_nic *f, enum vmq_owner owner, u16 id, u8 addr,
	     u16 vlan)
{
	struct netlink_ext_ack extack;
	struct vmq_match m;
	int ret;

	fake_match(&m, addr, vlan);
	fake_lock(f, &extack);
	ret = vmq_filter_add_locked(&f->dev, id, &m, owner, 0, &extack);
	return fake_unlock(f, &extack, ret);
}

int fake_del(struct fake_nic *f, enum vmq_owner owner, u32 fid)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_filter_del_locked(&f->dev, fid, owner, &extack);
	return fake_unlock(f, &extack, ret);
}

int fake_enable(struct fake_nic *f, bool on)
{
	struct netlink_ext_ack extack = {};
	int ret;

	rtnl_lock();
	ret = vmq_dev_enable(&f->dev, on, &extack);
	rtnl_unlock();
	strscpy(f->why, extack._msg ?: "");
	return ret;
}

int fake_buffers(struct fake_nic *f, u16 id, u32 wanted)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_buffers_set_locked(&f->dev.queues[id], wanted, &extack);
	return fake_unlock(f, &extack, ret);
}

int fake_cpus(struct fake_nic *f, const struct cpumask *cpus)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_cpus_set_locked(&f->dev, cpus, &extack);
	return fake_unlock(f, &extack, ret);
}

/* As the kernel does it; the core has seen it when this returns. */
void fake_hotplug(struct fake_nic *f, unsigned int cpu, bool leaving)
{
	vmq_hotplug_tell(&f->dev, cpu, leaving);
	flush_work(&f->dev.hotplug);
}

int fake_vlan_mode(struct fake_nic *f, enum vmq_vlan_mode mode)
{
	struct netlink_ext_ack extack;
	int ret;

	fake_lock(f, &extack);
	ret = vmq_vlan_set_mode_locked(&f->dev, mode, &extack);
	return fake_unlock(f, &extack, ret);
}

int fake_move(struct fake_nic *f, const u32 *fids, unsigned int n, u16 to)
{
	struct netlink_ext_ack extack = {};
	int ret;

	rtnl_lock();
	ret = vmq_filter_move(&f->dev, fids, n, to, &extack);
	rtnl_unlock();
	strscpy(f->why, extack._msg ?: "");
	return ret;
}

/* The test takes the queue's frames. */
void fake_consume(struct fake_nic *f, u16 id)
{
	rtnl_lock();
	vmq_queue_set_consumer(&f->dev, id, &f->queues[id].consumer);
	rtnl_unlock();
}

/* A committed queue with one untagged filter; returns its id. */
int fake_make_running(struct fake_nic *f, enum vmq_owner owner, u8 addr)
{
	struct vmq_queue *q = NULL;
	int id, err;

	for (id = 1; id < f->caps.pools && !q; id++)
		if (fake_state(f, id) == VMQ_QUEUE_UNDEFINED)
			q = &f->dev.queues[id];
	if (!q)
		return -ENOSPC;
	err = fake_allocate(f, owner, q->id);
	if (err < 0)
		return err;
	fake_consume(f, q->id);
	err = fake_commit(f, owner, q->id);
	if (err)
		return err;
	err = fake_add(f, owner, q->id, addr, VMQ_VLAN_UNTAGGED);
	return err < 0 ? err : q->id;
}
