// SPDX-License-Identifier: GPL-2.0-only
/* Random operations on the core and the model, and the comparison. See oracle.h. */
#include "oracle.h"

#define ORACLE_MOVE_MAX	5
#define ORACLE_MODES	3

/* What frames carry; the last one only a filter for any VLAN claims. */
static const u16 oracle_tags[] = { VMQ_VLAN_UNTAGGED, 5, 4094, 6 };
/* Besides, frames with a priority tag, which are as good as untagged. */
#define ORACLE_STREAMS	(ARRAY_SIZE(oracle_tags) + 1)

const char * const oracle_reasons[ORACLE_LIMITS] = {
	[ORACLE_NO_QUEUE]	= "no free queue",
	[ORACLE_NO_VLAN_SLOT]	= "VLAN filter slots full",
	[ORACLE_NO_SLOT]	= "filter slots full",
	[ORACLE_VLAN_LEFT]	= "has no slot",
	[ORACLE_TWO_QUEUES]	= "would go to two queues",
	[ORACLE_NO_SPLIT]	= "vlan_filtering is off",
	[ORACLE_CLAIMED]	= "is claimed by another queue",
	[ORACLE_DISABLED]	= "VMQ is disabled",
};

u32 oracle_below(struct oracle *o, u32 limit)
{
	return prandom_u32_state(&o->rnd) % limit;
}

/* A queue in one of these states, if there is one; at times just any. */
static u16 oracle_queue(struct oracle *o, unsigned long states)
{
	u16 first = oracle_below(o, o->f->caps.pools), id;
	bool wild = !oracle_below(o, 6);
	unsigned int i;

	for (i = 0; !wild && i < o->f->caps.pools; i++) {
		id = (first + i) % o->f->caps.pools;
		if (states & BIT(o->queues[id].state))
			return id;
	}
	return first;
}

/* Comparison: the first difference is kept, as text. */

static __printf(3, 4)
void oracle_same(struct oracle *o, bool same, const char *fmt, ...)
{
	va_list args;

	if (likely(same) || o->diff[0])
		return;
	va_start(args, fmt);
	vscnprintf(o->diff, sizeof(o->diff), fmt, args);
	va_end(args);
}

/* The nearest number that is a power of two and in bounds. */
static u32 oracle_buffers(u32 wanted)
{
	u32 best = fake_caps.buffers_min, n;

	if (!wanted)
		return fake_caps.buffers;
	for (n = best; n <= fake_caps.buffers_max; n *= 2)
		if (abs((int)n - (int)wanted) <= abs((int)best - (int)wanted))
			best = n;
	return best;
}

static void oracle_check_queues(struct oracle *o)
{
	const struct oracle_queue *m;
	const struct vmq_queue *q;
	u16 id;

	for (id = 0; id < o->f->caps.pools; id++) {
		q = &o->f->dev.queues[id];
		m = &o->queues[id];
		oracle_same(o, q->state == m->state,
			    "queue %u is %s, model says %s", id,
			    vmq_state_name(q->state), vmq_state_name(m->state));
		oracle_same(o, !m->state || q->owner == m->owner,
			    "queue %u has owner %u", id, q->owner);
		oracle_same(o, o->f->queues[id].started ==
			    oracle_running(o, id),
			    "ring %u runs: %d", id, o->f->queues[id].started);
		oracle_same(o, !oracle_running(o, id) || m->parked ||
			    o->f->queues[id].buffers ==
			    oracle_buffers(m->wanted),
			    "ring %u has %u buffers", id,
			    o->f->queues[id].buffers);
	}
}

static bool oracle_same_filter(const struct oracle_filter *m,
			       const struct vmq_filter *flt)
{
	if (!flt || !m->used)
		return !flt && !m->used;
	return flt->m.addr[ETH_ALEN - 1] == m->addr &&
	       flt->m.vlan == m->vlan && flt->queue == m->queue &&
	       flt->owner == m->owner;
}

/* Is all that the NIC lets in to this queue, of what may come, its own? */
static bool oracle_exact(const struct oracle *o, u16 id)
{
	const struct fake_stream *s;
	unsigned int i;

	for (i = 0; i < o->f->nr_streams && id; i++) {
		s = &o->f->streams[i];
		if (fake_route(o->f, &s->m, s->priority) & BIT_ULL(id) &&
		    oracle_fate(o, s) != id && oracle_copy(o, s) != id)
			return false;
	}
	return true;
}

static void oracle_check_filters(struct oracle *o)
{
	unsigned int nr[FAKE_QUEUES] = {}, i;
	const struct oracle_filter *m;

	mutex_lock(&o->f->dev.lock);
	for (i = 1; i < ORACLE_FILTERS; i++) {
		m = &o->filters[i];
		nr[m->queue] += m->used;
		oracle_same(o, oracle_same_filter(m,
						  vmq_filter_by_id(&o->f->dev,
								   i)),
			    "filter %u is another", i);
	}
	mutex_unlock(&o->f->dev.lock);
	for (i = 0; i < o->f->caps.pools; i++)
		oracle_same(o, o->f->dev.queues[i].nr_filters == nr[i],
			    "queue %u has %u filters, model says %u", i,
			    o->f->dev.queues[i].nr_filters, nr[i]);
	for (i = 0; i < o->f->caps.pools; i++)
		oracle_same(o, !o->f->queues[i].started ||
			    o->queues[i].parked || o->f->dev.queues[i].exact == oracle_exact(o, i),
			    "queue %u is exact: %d", i, oracle_exact(o, i));
}

static u64 oracle_pools(const struct oracle *o, u8 addr)
{
	u64 homes = oracle_homes(o, addr), pools = 0;
	u16 id;

	/* Queue 0 gets all frames of a group. */
	if (homes && addr >= FAKE_GROUP)
		homes |= BIT_ULL(0);
	for (id = 0; id < o->f->caps.pools; id++)
		if (homes & BIT_ULL(id))
			pools |= BIT_ULL(o->f->dev.queues[id].pool);
	return pools;
}

/* The NIC has each address of a running queue once, and nothing else. */
static void oracle_check_nic(struct oracle *o)
{
	unsigned int i, nr[U8_MAX + 1] = {};
	struct fake_slot *s;
	u8 addr;

	for (i = 0; i < o->f->caps.mac_slots && o->open; i++) {
		s = &o->f->slots[i];
		if (!s->pools)
			continue;
		addr = s->addr[ETH_ALEN - 1];
		nr[addr]++;
		oracle_same(o, s->pools == oracle_pools(o, addr),
			    "%02x goes to the pools %#llx", addr, s->pools);
	}
	for (i = 0; i < o->addrs + ORACLE_GROUPS && o->open; i++) {
		addr = oracle_addr(o, i);
		oracle_same(o, nr[addr] == !!oracle_homes(o, addr),
			    "%02x has %u slots of the NIC", addr, nr[addr]);
	}
	oracle_same(o, !o->open || o->f->vlan_filtering == oracle_vlans_on(o),
		    "the NIC compares VLANs: %d", o->f->vlan_filtering);
	oracle_same(o, o->f->dev.mac_slots_free == oracle_free_slots(o),
		    "%u slots are free, model says %u",
		    o->f->dev.mac_slots_free, oracle_free_slots(o));
}

/*
 * With VLANs on, what only a filter for any VLAN claims may come by queue 0,
 * and so may a VLAN for which the NIC has no room.
 */
static u64 oracle_allowed(const struct oracle *o, const struct fake_stream *s,
			  bool vlans_on)
{
	u64 there = BIT_ULL(oracle_fate(o, s));

	if (vlans_on && (!oracle_find(o, s->m.addr[ETH_ALEN - 1], s->m.vlan) ||
			 oracle_vlans_lack(o)))
		there |= BIT_ULL(0);
	return there;
}

static u64 oracle_may_copy(const struct oracle *o, const struct fake_stream *s)
{
	u16 id = oracle_copy(o, s);

	return id ? BIT_ULL(id) : 0;
}

/*
 * A group frame is lost only by a NIC like the emulated one, which compares
 * VLANs, and only if it has a tag of a VLAN that nobody named or that found no
 * slot.
 */
static bool oracle_may_lose(const struct oracle *o, const struct fake_stream *s,
			    bool vlans_on)
{
	if (!is_multicast_ether_addr(s->m.addr) || o->f->silicon)
		return false;
	return vlans_on && (s->m.vlan || s->priority) &&
	       (!oracle_names_vlan(o, s->m.vlan) || oracle_vlans_lack(o));
}

/* Whoever wants the frames of a group has all of them. */
static void oracle_check_group(struct oracle *o, const struct fake_stream *s)
{
	u16 id;

	for (id = 1; id < o->f->caps.pools; id++)
		oracle_same(o, s->claimed[id] == s->sent,
			    "group %pM vlan %u: queue %u has %u of %u frames",
			    s->m.addr, s->m.vlan, id, s->claimed[id], s->sent);
}

static void oracle_check_streams(struct oracle *o)
{
	const struct fake_stream *s;
	unsigned int i;

	for (i = 0; i < o->f->nr_streams; i++) {
		s = &o->f->streams[i];
		oracle_same(o, s->received == s->sent,
			    "frames of %pM vlan %u lost", s->m.addr,
			    s->m.vlan);
		if (is_multicast_ether_addr(s->m.addr))
			oracle_check_group(o, s);
	}
}

/* A frame of each VLAN to an address or group, with nothing else going on. */
static void oracle_check_frames(struct oracle *o)
{
	unsigned int n = ORACLE_STREAMS, i;
	unsigned int first = n * oracle_below(o, o->f->nr_streams / n);
	bool vlans_on = oracle_vlans_on(o);
	struct fake_stream *s;
	u32 doubled[ORACLE_STREAMS];

	if (!o->open)
		return;
	fake_poll_all(o->f);
	for (i = first; i < first + n; i++) {
		s = &o->f->streams[i];
		s->may_go = oracle_allowed(o, s, vlans_on);
		s->may_lose = oracle_may_lose(o, s, vlans_on);
		s->may_copy = oracle_may_copy(o, s);
		doubled[i - first] = s->doubled;
		fake_send(o->f, i);
	}
	fake_poll_all(o->f);
	oracle_check_streams(o);
	for (i = first; i < first + n; i++)
		oracle_same(o, o->f->streams[i].doubled == doubled[i - first],
			    "group %pM vlan %u: frames twice",
			    o->f->streams[i].m.addr, o->f->streams[i].m.vlan);
	oracle_same(o, !o->f->broken[0], "%s", o->f->broken);
}

/* While the model says this of a frame, it may go there. Twice: old and new. */
static void oracle_let_go(struct oracle *o, bool first)
{
	bool vlans_on = oracle_vlans_on(o);
	bool change = vlans_on || o->f->vlan_filtering;
	struct fake_stream *s;
	unsigned int i;
	u64 there;

	for (i = 0; i < o->f->nr_streams; i++) {
		s = &o->f->streams[i];
		there = oracle_allowed(o, s, vlans_on);
		s->may_go = first ? there : s->may_go | there;
		there = oracle_may_copy(o, s);
		s->may_copy = first ? there : s->may_copy | there;
		s->may_lose = oracle_may_lose(o, s, change) ||
			      (!first && s->may_lose);
		/* A change of VLANs goes by queue 0. */
		if (change || o->detour)
			s->may_go |= BIT_ULL(0);
	}
}

/* From here to oracle_judge() the core is at work, and frames come in. */
static void oracle_begin(struct oracle *o)
{
	oracle_let_go(o, false);
	o->f->traffic = o->open;
}

static void oracle_note_limit(struct oracle *o)
{
	unsigned int i;

	for (i = 0; i < ORACLE_LIMITS; i++)
		if (strstr(o->f->why, oracle_reasons[i])) {
			o->met |= BIT(i);
			return;
		}
}

static void oracle_judge(struct oracle *o, const struct oracle_errnos *e,
			 int ret, unsigned int kind)
{
	o->f->traffic = false;
	o->detour = false;
	if (ret < 0)
		oracle_note_limit(o);
	oracle_same(o, oracle_is_allowed(e, ret),
		    "returned %d, wanted %d (of %u)", ret,
		    e->n ? e->err[0] : 0, e->n);
	if (e->n)
		o->sum->refused[kind]++;
	else
		o->sum->done[kind]++;
}

/* Operations: what may be refused and why; the model; the core */

/* Mostly the one that may. */
static enum vmq_owner oracle_owner(struct oracle *o, u8 owner)
{
	if (oracle_below(o, 6))
		return owner;
	return owner == ADMIN ? VSWITCH : ADMIN;
}

static void oracle_allocated(struct oracle *o, u16 id, u8 owner)
{
	o->queues[id].state = VMQ_QUEUE_ALLOCATED;
	o->queues[id].owner = owner;
	o->queues[id].wanted = 0;
}

/* Its rings are new, if there are any. */
static void oracle_committed_now(struct oracle *o, u16 id)
{
	oracle_settle(o, id, true);
	o->queues[id].parked = false;
}

static void oracle_allocate_admin(struct oracle *o)
{
	u16 id = oracle_queue(o, BIT(VMQ_QUEUE_UNDEFINED));
	struct oracle_errnos e = {};

	snprintf(o->what, sizeof(o->what), "allocate %u", id);
	oracle_may(&e, !id, -EPERM);
	oracle_may(&e, id && o->off, -EOPNOTSUPP);
	oracle_may(&e, id && o->queues[id].state, -EBUSY);
	if (!e.n)
		oracle_allocated(o, id, ADMIN);
	oracle_begin(o);
	oracle_judge(o, &e, fake_allocate(o->f, ADMIN, id), 0);
	if (!rcu_access_pointer(o->f->dev.queues[id].consumer) && id)
		fake_consume(o->f, id);
}

static void oracle_allocate_vswitch(struct oracle *o)
{
	struct oracle_errnos e = {};
	u16 id = 1;
	int ret;

	snprintf(o->what, sizeof(o->what), "allocate any");
	while (id < o->f->caps.pools && o->queues[id].state)
		id++;
	oracle_may(&e, o->off, -EOPNOTSUPP);
	oracle_may(&e, id == o->f->caps.pools, -ENOSPC);
	if (!e.n)
		oracle_allocated(o, id, VSWITCH);
	oracle_begin(o);
	ret = fake_allocate(o->f, VSWITCH, 0);
	oracle_judge(o, &e, ret, 1);
	if (e.n)
		return;
	oracle_same(o, ret == id, "got queue %d, wanted %u", ret, id);
	if (!rcu_access_pointer(o->f->dev.queues[id].consumer))
		fake_consume(o->f, id);
}

static void oracle_commit(struct oracle *o)
{
	u16 id = oracle_queue(o, BIT(VMQ_QUEUE_ALLOCATED) | BIT(VMQ_QUEUE_SET));
	struct oracle_queue *q = &o->queues[id];
	enum vmq_owner owner = oracle_owner(o, q->owner);
	struct oracle_errnos e = {};
	bool ready = q->state == VMQ_QUEUE_ALLOCATED ||
		     q->state == VMQ_QUEUE_SET;
	bool exists = q->state != VMQ_QUEUE_UNDEFINED;
	bool fail = !oracle_below(o, 6);

	snprintf(o->what, sizeof(o->what), "commit %u as %d%s", id, owner,
		 fail ? ", no memory" : "");
	if (oracle_below(o, 2))
		o->f->queues[id].alloc_err = fail ? -ENOMEM : 0;
	else
		o->f->queues[id].start_err = fail ? -ENOMEM : 0;
	oracle_may(&e, !exists, -ENOENT);
	oracle_may(&e, exists && owner != q->owner, -EADDRINUSE);
	oracle_may(&e, exists && !ready, -EINVAL);
	oracle_may(&e, ready && o->open && fail, -ENOMEM);
	oracle_let_go(o, true);
	if (!e.n)
		oracle_committed_now(o, id);
	oracle_begin(o);
	oracle_judge(o, &e, fake_commit(o->f, owner, id), 2);
	o->f->queues[id].alloc_err = 0;
	o->f->queues[id].start_err = 0;
}

static void oracle_free(struct oracle *o)
{
	u16 id = oracle_queue(o, BIT(VMQ_QUEUE_ALLOCATED) |
				 BIT(VMQ_QUEUE_PAUSED));
	struct oracle_queue *q = &o->queues[id];
	struct oracle_errnos e = {};
	bool exists = id && q->state != VMQ_QUEUE_UNDEFINED;

	snprintf(o->what, sizeof(o->what), "free %u", id);
	oracle_may(&e, !id, -EPERM);
	oracle_may(&e, id && !exists, -ENOENT);
	oracle_may(&e, exists && q->owner != ADMIN, -EADDRINUSE);
	oracle_may(&e, exists && oracle_has_filters(o, id), -EBUSY);
	oracle_may(&e, q->state == VMQ_QUEUE_FREEING, -EINVAL);
	oracle_let_go(o, true);
	if (!e.n)
		oracle_freed(o, id);
	oracle_begin(o);
	oracle_judge(o, &e, fake_free(o->f, id), 3);
}

/* Its filters go to queue 0, and remember where they were. */
static void oracle_park(struct oracle *o, u16 id, u16 home)
{
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].queue == id) {
			o->filters[i].queue = 0;
			o->filters[i].home = home;
		}
}

static void oracle_release(struct oracle *o)
{
	u16 id = oracle_below(o, o->f->caps.pools);
	struct oracle_queue *q = &o->queues[id];
	struct oracle_errnos none = {};

	if (!id || q->owner != VSWITCH || !oracle_exists(o, id))
		return;
	snprintf(o->what, sizeof(o->what), "release %u", id);
	oracle_let_go(o, true);
	oracle_park(o, id, 0);
	oracle_freed(o, id);
	oracle_begin(o);
	fake_release(o->f, id);
	oracle_judge(o, &none, 0, 4);
}

static void oracle_add_reasons(const struct oracle *o, struct oracle_errnos *e,
			       const struct oracle_filter *m)
{
	bool there = m->queue < o->f->caps.pools;
	const struct oracle_queue *q = &o->queues[there ? m->queue : 0];
	u16 home = oracle_home(o, m->addr);

	oracle_may(e, m->vlan == 4095, -EINVAL);
	oracle_may(e, m->addr >= FAKE_GROUP && m->vlan == VMQ_VLAN_ANY,
		   -EOPNOTSUPP);
	oracle_may(e, !there, -EINVAL);
	oracle_may(e, oracle_find(o, m->addr, m->vlan), -EEXIST);
	if (!there || !m->queue)
		return;
	oracle_may(e, q->state == VMQ_QUEUE_UNDEFINED, -ENOENT);
	oracle_may(e, q->state == VMQ_QUEUE_FREEING, -EINVAL);
	oracle_may(e, q->state && q->owner != m->owner, -EADDRINUSE);
	oracle_may(e, !home && !oracle_free_slots(o), -ENOSPC);
}

static void oracle_add_filter(struct oracle *o, const struct oracle_filter *m)
{
	unsigned int id = oracle_free_id(o);
	bool before = oracle_vlans_on(o);
	struct oracle_errnos e = {};
	int ret;

	snprintf(o->what, sizeof(o->what), "add %02x vlan %u to %u as %d",
		 m->addr, m->vlan, m->queue, m->owner);
	oracle_add_reasons(o, &e, m);
	oracle_let_go(o, true);
	if (!e.n) {
		o->filters[id] = *m;
		o->top = max(o->top, id + 1);
		oracle_may_not_fit(o, &e, before);
		o->filters[id].used = !e.n;
	}
	if (!e.n)
		oracle_settle(o, m->queue, oracle_committed(o, m->queue));
	oracle_begin(o);
	ret = fake_add(o->f, m->owner, m->queue, m->addr, m->vlan);
	oracle_judge(o, &e, ret, 5);
	if (!e.n)
		oracle_same(o, ret == id, "got id %d, wanted %u", ret, id);
}

/* One that has a filter already is more interesting than another. */
static u8 oracle_any_addr(struct oracle *o)
{
	const struct oracle_filter *m;

	switch (oracle_below(o, 4)) {
	case 0:
	case 1:
		m = &o->filters[oracle_below(o, o->top)];
		return m->used ? m->addr : 0;
	case 2:
		return oracle_addr(o, o->addrs +
				      oracle_below(o, ORACLE_GROUPS));
	}
	return oracle_below(o, o->addrs);
}

static void oracle_add(struct oracle *o)
{
	struct oracle_filter m = {
		.used	= true,
		.addr	= oracle_any_addr(o),
		.vlan	= oracle_vlans[oracle_below(o, 32) ?
				       oracle_below(o, 4) : 4],
		.queue	= oracle_below(o, 20) ?
			  oracle_queue(o, ~BIT(VMQ_QUEUE_UNDEFINED)) :
			  o->f->caps.pools,
	};

	m.owner = oracle_owner(o, o->queues[m.queue % FAKE_QUEUES].owner);
	oracle_add_filter(o, &m);
}

static void oracle_del(struct oracle *o)
{
	u32 fid = oracle_below(o, o->top + 1);
	struct oracle_filter *m = &o->filters[fid];
	enum vmq_owner owner = oracle_owner(o, m->owner);
	struct oracle_errnos e = {};
	u16 queue = m->queue;

	snprintf(o->what, sizeof(o->what), "delete %u as %d", fid, owner);
	oracle_may(&e, !m->used, -ENOENT);
	oracle_may(&e, m->used && m->owner != owner, -EADDRINUSE);
	oracle_let_go(o, true);
	if (!e.n) {
		m->used = false;
		oracle_settle(o, queue, oracle_committed(o, queue));
	}
	oracle_begin(o);
	oracle_judge(o, &e, fake_del(o->f, owner, fid), 6);
}

static void oracle_put(struct oracle *o, const u32 *fids, unsigned int n,
		       u16 queue)
{
	while (n--)
		o->filters[fids[n]].queue = queue;
}

/* Try it on the model; what does not fit is taken back. */
static void oracle_move_slots(struct oracle *o, struct oracle_errnos *e,
			      const u32 *fids, unsigned int n, u16 to)
{
	u16 from = o->filters[fids[0]].queue;
	bool before = oracle_vlans_on(o);

	oracle_put(o, fids, n, to);
	oracle_may_not_fit(o, e, before);
	oracle_put(o, fids, n, from);
}

static void oracle_move_reasons(struct oracle *o, struct oracle_errnos *e,
				const u32 *fids, unsigned int n, u16 to)
{
	const struct oracle_filter *first = &o->filters[fids[0]], *m;
	bool unknown = false, several = false, taken;
	unsigned int i;

	for (i = 0; i < n; i++) {
		m = &o->filters[fids[i]];
		unknown |= !m->used || m->owner != VSWITCH;
		several |= m->used && m->queue != first->queue;
	}
	oracle_may(e, to >= o->f->caps.pools, -EINVAL);
	oracle_may(e, unknown, -ENOENT);
	oracle_may(e, several, -EINVAL);
	if (e->n)
		return;
	oracle_may(e, !o->queues[to].state, -ENOENT);
	taken = to && o->queues[to].state && o->queues[to].owner != VSWITCH;
	oracle_may(e, taken, -EADDRINUSE);
	if (first->queue == to)
		return;
	oracle_may(e, o->queues[to].state == VMQ_QUEUE_FREEING, -EINVAL);
	if (to && !e->n)
		oracle_move_slots(o, e, fids, n, to);
}

/* The queue of some filter of the vswitch. */
static u16 oracle_move_from(struct oracle *o)
{
	u32 i, first = oracle_below(o, 16);
	const struct oracle_filter *m;

	for (i = 0; i < 16; i++) {
		m = &o->filters[(first + i) % 16];
		if (m->used && m->owner == VSWITCH)
			return m->queue;
	}
	return 0;
}

/* Mostly filters of one queue, sometimes whatever comes up. */
static unsigned int oracle_pick(struct oracle *o, u32 *fids)
{
	bool wild = !oracle_below(o, 8);
	u16 from = oracle_move_from(o);
	unsigned int n = 0;
	u32 i;

	for (i = 1; i < ORACLE_FILTERS && n < ORACLE_MOVE_MAX; i++) {
		if (!wild && (!o->filters[i].used ||
			      o->filters[i].owner != VSWITCH ||
			      o->filters[i].queue != from))
			continue;
		if (oracle_below(o, 4))
			fids[n++] = i;
	}
	return n;
}

/* While a group gets another claimant, all that moves goes by queue 0. */
static bool oracle_is_detour(const struct oracle *o, const u32 *fids,
			     unsigned int n, u16 to)
{
	bool group = false;
	unsigned int i;

	for (i = 0; i < n; i++)
		group |= o->filters[fids[i]].addr >= FAKE_GROUP;
	return group && to && o->filters[fids[0]].queue;
}

static void oracle_move(struct oracle *o)
{
	u16 to = oracle_below(o, o->f->caps.pools + 1), from;
	struct oracle_errnos e = {};
	u32 fids[ORACLE_MOVE_MAX];
	unsigned int n;

	n = oracle_pick(o, fids);
	if (!n)
		return;
	from = o->filters[fids[0]].queue;
	snprintf(o->what, sizeof(o->what), "move %u filters, first %u, %u to %u",
		 n, fids[0], from, to);
	oracle_move_reasons(o, &e, fids, n, to);
	oracle_let_go(o, true);
	o->detour = oracle_is_detour(o, fids, n, to);
	if (!e.n && from != to) {
		oracle_put(o, fids, n, to);
		oracle_settle(o, from, oracle_committed(o, from));
		oracle_settle(o, to, oracle_committed(o, to));
	}
	oracle_begin(o);
	oracle_judge(o, &e, fake_move(o->f, fids, n, to), 7);
}

static void oracle_close(struct oracle *o)
{
	struct oracle_errnos none = {};

	snprintf(o->what, sizeof(o->what), "close");
	fake_poll_all(o->f);
	o->open = false;
	fake_close(o->f);
	oracle_judge(o, &none, 0, 8);
}

static void oracle_open(struct oracle *o)
{
	u16 id = oracle_below(o, o->f->caps.pools);
	struct oracle_errnos e = {};
	bool fail = !oracle_below(o, 3);

	snprintf(o->what, sizeof(o->what), "open%s", fail ? ", no irq" : "");
	o->f->queues[id].start_err = fail ? -EIO : 0;
	oracle_may(&e, fail && oracle_committed(o, id), -EIO);
	oracle_judge(o, &e, fake_open(o->f), 9);
	o->open = !e.n;
	o->f->queues[id].start_err = 0;
	for (id = 0; id < o->f->caps.pools && o->open; id++)
		o->queues[id].parked = false;
}

/* Most of the time the uplink is up. */
static void oracle_toggle(struct oracle *o)
{
	if (!o->open)
		oracle_open(o);
	else if (!oracle_below(o, 3))
		oracle_close(o);
}

/* Its filters come back, all of them or none. */
static void oracle_come_home(struct oracle *o, u16 id)
{
	bool before = oracle_vlans_on(o);
	struct oracle_errnos e = {};
	u32 fids[ORACLE_FILTERS], i;
	unsigned int n = 0;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].home == id) {
			o->filters[i].home = 0;
			fids[n++] = i;
		}
	oracle_put(o, fids, n, id);
	oracle_may_not_fit(o, &e, before);
	if (e.n)
		oracle_put(o, fids, n, 0);
	oracle_settle(o, id, oracle_committed(o, id));
}

/* VMQ is on again: what the queue of the administrator was, it becomes. */
static void oracle_restore(struct oracle *o, u16 id, bool fail)
{
	struct oracle_queue *q = &o->queues[id];

	if (o->off || !q->restore || q->state != VMQ_QUEUE_UNDEFINED)
		return;
	q->state = VMQ_QUEUE_ALLOCATED;
	if (q->restore == VMQ_QUEUE_RUNNING && !(o->open && fail))
		oracle_committed_now(o, id);
	q->restore = VMQ_QUEUE_UNDEFINED;
	oracle_come_home(o, id);
}

static void oracle_turn_on(struct oracle *o)
{
	u16 bad = oracle_below(o, 3 * o->f->caps.pools), id;
	struct oracle_errnos none = {};

	snprintf(o->what, sizeof(o->what), "on, no memory for %u", bad);
	if (bad < o->f->caps.pools)
		o->f->queues[bad].alloc_err = -ENOMEM;
	oracle_let_go(o, true);
	o->off = false;
	for (id = 1; id < o->f->caps.pools; id++)
		oracle_restore(o, id, id == bad);
	oracle_begin(o);
	oracle_judge(o, &none, fake_enable(o->f, true), 12);
	if (bad < o->f->caps.pools)
		o->f->queues[bad].alloc_err = 0;
}

static void oracle_turn_off(struct oracle *o)
{
	struct oracle_errnos none = {};
	u16 id;

	snprintf(o->what, sizeof(o->what), "off");
	oracle_let_go(o, true);
	o->off = true;
	for (id = 1; id < o->f->caps.pools; id++) {
		if (!oracle_exists(o, id))
			continue;
		/* Ports ask for another one when VMQ is on. */
		if (o->queues[id].owner == ADMIN)
			o->queues[id].restore = oracle_committed(o, id) ?
				VMQ_QUEUE_RUNNING : VMQ_QUEUE_ALLOCATED;
		oracle_park(o, id, o->queues[id].owner == ADMIN ? id : 0);
		oracle_freed(o, id);
	}
	oracle_begin(o);
	oracle_judge(o, &none, fake_enable(o->f, false), 12);
}

static void oracle_enable(struct oracle *o)
{
	if (o->off)
		oracle_turn_on(o);
	else if (!oracle_below(o, 4))
		oracle_turn_off(o);
}

static void oracle_resize_reasons(struct oracle *o, struct oracle_errnos *e,
				  u16 id, u32 wanted, int err)
{
	struct oracle_queue *q = &o->queues[id];
	bool change = oracle_running(o, id) &&
		      (oracle_buffers(wanted) != oracle_buffers(q->wanted) ||
		       q->parked);

	oracle_may(e, !id, -EOPNOTSUPP);
	if (!id || !change)
		return;
	/* A queue without a ring stays without one, whatever it was. */
	oracle_may(e, err, q->parked ? -EIO : err);
	q->parked |= !!err;
}

/* While its ring is another its frames come by queue 0. */
static void oracle_resize(struct oracle *o)
{
	static const u32 numbers[] = { 0, 64, 100, 512, 1024, 5000 };
	static const int errs[] = { -EIO, -ENOMEM };
	u32 wanted = numbers[oracle_below(o, ARRAY_SIZE(numbers))];
	u16 id = oracle_queue(o, BIT(VMQ_QUEUE_RUNNING));
	int err = oracle_below(o, 4) ? 0 : errs[oracle_below(o, 2)];
	struct oracle_queue *q = &o->queues[id];
	struct oracle_errnos e = {};
	bool parked = q->parked;

	snprintf(o->what, sizeof(o->what), "%u buffers of %u, %d", wanted, id,
		 err);
	o->f->queues[id].resize_err = err;
	oracle_let_go(o, true);
	oracle_resize_reasons(o, &e, id, wanted, err);
	q->parked = true;
	oracle_let_go(o, false);
	q->parked = e.n ? parked || (id && err == -EIO) : false;
	if (!e.n)
		q->wanted = wanted;
	oracle_begin(o);
	oracle_judge(o, &e, fake_buffers(o->f, id, wanted), 13);
	o->f->queues[id].resize_err = 0;
}

/* Readers take frames of a queue, or give them back. */
static void oracle_readers(struct oracle *o)
{
	u16 id = 1 + oracle_below(o, o->f->caps.pools - 1);
	struct oracle_queue *q = &o->queues[id];
	struct oracle_errnos none = {};

	snprintf(o->what, sizeof(o->what), "readers of %u", id);
	q->held = q->state == VMQ_QUEUE_FREEING ? 0 : oracle_below(o, 2);
	WRITE_ONCE(o->f->queues[id].held, q->held);
	if (q->state == VMQ_QUEUE_FREEING) {
		q->state = VMQ_QUEUE_UNDEFINED;
		oracle_restore(o, id, false);
		fake_wait_freeing(o->f);
	}
	oracle_judge(o, &none, 0, 10);
}

static void oracle_vlan_mode(struct oracle *o)
{
	u8 old = o->mode, mode = oracle_below(o, ORACLE_MODES);
	bool before = oracle_vlans_on(o);
	struct oracle_errnos e = {};

	/* Where VLANs would not fit, on lets some of them come by queue 0. */
	if (mode == VMQ_VLAN_MODE_ON && o->f->caps.vlan_slots < 3)
		return;
	snprintf(o->what, sizeof(o->what), "mode %u", mode);
	oracle_let_go(o, true);
	o->mode = mode;
	oracle_may_not_fit(o, &e, before);
	if (e.n)
		o->mode = old;
	oracle_begin(o);
	oracle_judge(o, &e, fake_vlan_mode(o->f, mode), 11);
}

static void (* const oracle_ops[])(struct oracle *o) = {
	oracle_allocate_admin,
	oracle_allocate_vswitch,
	oracle_commit, oracle_commit,
	oracle_free,
	oracle_release,
	oracle_add, oracle_add, oracle_add,
	oracle_del,
	oracle_move, oracle_move,
	oracle_toggle,
	oracle_readers,
	oracle_vlan_mode,
	oracle_enable,
	oracle_resize,
};

const char * const oracle_kinds[ORACLE_KINDS] = {
	"allocate", "allocate any", "commit", "free", "release", "add",
	"delete", "move", "close", "open", "readers", "VLAN mode", "enabled",
	"buffers",
};

/* Sequences */

static void oracle_check(struct oracle *o)
{
	oracle_check_queues(o);
	oracle_check_filters(o);
	oracle_check_nic(o);
	oracle_check_frames(o);
}

static void oracle_add_streams(struct oracle *o, const u8 *addr)
{
	struct fake_stream *s;
	unsigned int i;

	for (i = 0; i < ORACLE_STREAMS; i++) {
		s = fake_stream_add(o->f, 0, i < ARRAY_SIZE(oracle_tags) ?
					     oracle_tags[i] : VMQ_VLAN_UNTAGGED);
		ether_addr_copy(s->m.addr, addr);
		s->priority = i == ARRAY_SIZE(oracle_tags);
		/* All want all groups, by whatever way. */
		s->members = GENMASK(o->f->caps.pools - 1, 1);
	}
}

static void oracle_start(struct oracle *o)
{
	static const u8 broadcast[ETH_ALEN] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	struct vmq_match m;
	unsigned int i;

	o->top = 1;
	o->queues[0].state = VMQ_QUEUE_RUNNING;
	o->queues[0].owner = ADMIN;
	/* And one group more, which nobody claims. */
	for (i = 0; i <= o->addrs + ORACLE_GROUPS; i++) {
		fake_match(&m, oracle_addr(o, i), 0);
		oracle_add_streams(o, m.addr);
	}
	oracle_add_streams(o, broadcast);
	oracle_open(o);
}

/* Almost all address slots in use, which chance alone would hardly do. */
void oracle_crowd(struct oracle *o)
{
	struct oracle_filter m = { .used = true, .queue = 1, .owner = VSWITCH };
	unsigned int left = oracle_below(o, 3);

	oracle_allocate_vswitch(o);
	for (m.addr = 0; m.addr < o->addrs && !o->diff[0]; m.addr++)
		if (oracle_free_slots(o) > left)
			oracle_add_filter(o, &m);
	oracle_check(o);
}

/* Ends at the first difference. */
void oracle_run(struct oracle *o, unsigned int ops)
{
	for (o->step = 0; o->step < ops && !o->diff[0]; o->step++) {
		fake_log_clear(o->f);
		oracle_ops[oracle_below(o, ARRAY_SIZE(oracle_ops))](o);
		oracle_check(o);
		cond_resched();
	}
}

void oracle_add_up(struct oracle *o)
{
	unsigned int i;

	for (i = 0; i < ORACLE_LIMITS; i++)
		o->sum->met[i] += !!(o->met & BIT(i));
	for (i = 0; i < o->f->nr_streams; i++)
		o->sum->frames += o->f->streams[i].sent;
	o->sum->sequences++;
}

void oracle_create(struct kunit *test, struct oracle *o,
		   const struct oracle_nic *nic, bool silicon, u32 seed)
{
	struct vmq_hw_caps caps = nic->caps;
	struct oracle_sum *sum = o->sum;

	caps.buffers = fake_caps.buffers;
	caps.buffers_min = fake_caps.buffers_min;
	caps.buffers_max = fake_caps.buffers_max;
	memset(o, 0, sizeof(*o));
	o->sum = sum;
	o->addrs = nic->addrs;
	o->f = fake_create(test, &caps);
	o->f->silicon = silicon;
	prandom_seed_state(&o->rnd, seed);
	prandom_seed_state(&o->f->rnd, seed);
	oracle_start(o);
}
