// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: a few arrays, and rules that are written from what VMQ promises,
 * not from the core. See oracle.h.
 */
#include "oracle.h"

const u16 oracle_vlans[ORACLE_VLANS] = {
	VMQ_VLAN_UNTAGGED, 5, 4094, VMQ_VLAN_ANY, 4095,
};

void oracle_may(struct oracle_errnos *e, bool reason, int err)
{
	if (reason)
		e->err[e->n++] = err;
}

bool oracle_is_allowed(const struct oracle_errnos *e, int ret)
{
	unsigned int i;

	for (i = 0; i < e->n; i++)
		if (e->err[i] == ret)
			return true;
	return !e->n && ret >= 0;
}

/* Groups come after the addresses, but the NIC's numbers have a gap. */
u8 oracle_addr(const struct oracle *o, unsigned int i)
{
	return i < o->addrs ? i : FAKE_GROUP + i - o->addrs;
}

/* Queues */

bool oracle_committed(const struct oracle *o, u16 id)
{
	return o->queues[id].state == VMQ_QUEUE_RUNNING ||
	       o->queues[id].state == VMQ_QUEUE_PAUSED;
}

bool oracle_running(const struct oracle *o, u16 id)
{
	return o->open && oracle_committed(o, id);
}

/* May the NIC put frames into its ring? */
static bool oracle_serves(const struct oracle *o, u16 id)
{
	return oracle_committed(o, id) && !o->queues[id].parked;
}

bool oracle_has_filters(const struct oracle *o, u16 id)
{
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].queue == id)
			return true;
	return false;
}

/* Between allocation and free, filters and commit alone decide the state. */
void oracle_settle(struct oracle *o, u16 id, bool committed)
{
	bool filters = oracle_has_filters(o, id);

	if (!id)
		return;
	if (committed)
		o->queues[id].state = filters ? VMQ_QUEUE_RUNNING :
						VMQ_QUEUE_PAUSED;
	else
		o->queues[id].state = filters ? VMQ_QUEUE_SET :
						VMQ_QUEUE_ALLOCATED;
}

void oracle_freed(struct oracle *o, u16 id)
{
	o->queues[id].state = oracle_running(o, id) && o->queues[id].held ?
				      VMQ_QUEUE_FREEING : VMQ_QUEUE_UNDEFINED;
}

/* What VMQ off takes away: neither what is not there, nor what is going. */
bool oracle_exists(const struct oracle *o, u16 id)
{
	return o->queues[id].state != VMQ_QUEUE_UNDEFINED &&
	       o->queues[id].state != VMQ_QUEUE_FREEING;
}

/* Filters */

unsigned int oracle_find(const struct oracle *o, u8 addr, u16 vlan)
{
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].addr == addr &&
		    o->filters[i].vlan == vlan)
			return i;
	return 0;
}

unsigned int oracle_free_id(const struct oracle *o)
{
	unsigned int i;

	for (i = 1; i < ORACLE_FILTERS; i++)
		if (!o->filters[i].used)
			return i;
	return 0;
}

/*
 * Whose is a frame? The queue's of the filter of its VLAN, or else of the one
 * for any VLAN, if the NIC may use its ring; in all other cases queue 0's.
 */
static u16 oracle_claimant(const struct oracle *o, u8 addr, u16 vlan)
{
	unsigned int i = oracle_find(o, addr, vlan);
	u16 queue;

	if (!i)
		i = oracle_find(o, addr, VMQ_VLAN_ANY);
	queue = i ? o->filters[i].queue : 0;
	return o->open && oracle_serves(o, queue) ? queue : 0;
}

/* Where all of a stream's frames have to be: those of groups at queue 0. */
u16 oracle_fate(const struct oracle *o, const struct fake_stream *s)
{
	if (is_multicast_ether_addr(s->m.addr))
		return 0;
	return oracle_claimant(o, s->m.addr[ETH_ALEN - 1], s->m.vlan);
}

/* The VM queue that the NIC may give a copy of a group's frames; 0: none. */
u16 oracle_copy(const struct oracle *o, const struct fake_stream *s)
{
	if (!is_multicast_ether_addr(s->m.addr))
		return 0;
	return oracle_claimant(o, s->m.addr[ETH_ALEN - 1], s->m.vlan);
}

/* A VM queue that has this address, whatever the VLAN; 0 for none. */
u16 oracle_home(const struct oracle *o, u8 addr)
{
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].addr == addr &&
		    o->filters[i].queue)
			return o->filters[i].queue;
	return 0;
}

/* The VM queues with this address whose rings the NIC may use. */
u64 oracle_homes(const struct oracle *o, u8 addr)
{
	const struct oracle_filter *m;
	u64 homes = 0;
	unsigned int i;

	for (i = 1; i < o->top; i++) {
		m = &o->filters[i];
		if (m->used && m->addr == addr && m->queue &&
		    oracle_serves(o, m->queue))
			homes |= BIT_ULL(m->queue);
	}
	return homes;
}

/* Is this address on several VM queues, so that only its VLAN decides? */
static bool oracle_is_split(const struct oracle *o, u8 addr)
{
	u16 home = oracle_home(o, addr);
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used && o->filters[i].addr == addr &&
		    o->filters[i].queue && o->filters[i].queue != home)
			return true;
	return false;
}

static bool oracle_any_split(const struct oracle *o)
{
	u8 addr;

	for (addr = 0; addr < o->addrs; addr++)
		if (oracle_is_split(o, addr))
			return true;
	return false;
}

/* A group has one claimant, or none. */
static bool oracle_any_group_split(const struct oracle *o)
{
	unsigned int i;

	for (i = o->addrs; i < o->addrs + ORACLE_GROUPS; i++)
		if (oracle_is_split(o, oracle_addr(o, i)))
			return true;
	return false;
}

/* VLANs */

/* Does the NIC have to compare VLANs? */
bool oracle_vlans_on(const struct oracle *o)
{
	return o->f->caps.vlan_slots &&
	       (o->mode == VMQ_VLAN_MODE_ON ||
		(o->mode == VMQ_VLAN_MODE_AUTO && oracle_any_split(o)));
}

/* VLANs that somebody names; untagged frames may have a tag of VLAN 0. */
static unsigned int oracle_vlans_used(const struct oracle *o)
{
	bool used[ORACLE_VLANS] = {};
	unsigned int i, v, nr = 0;
	u16 vlan;

	for (i = 1; i < o->top; i++) {
		if (!o->filters[i].used)
			continue;
		vlan = o->filters[i].vlan;
		if (vlan == VMQ_VLAN_ANY)
			vlan = VMQ_VLAN_UNTAGGED;
		for (v = 0; v < ORACLE_VLANS; v++)
			used[v] |= oracle_vlans[v] == vlan;
	}
	for (v = 0; v < ORACLE_VLANS; v++)
		nr += used[v];
	return nr;
}

bool oracle_vlans_lack(const struct oracle *o)
{
	return oracle_vlans_used(o) > o->f->caps.vlan_slots;
}

bool oracle_names_vlan(const struct oracle *o, u16 vlan)
{
	unsigned int i;

	for (i = 1; i < o->top; i++)
		if (o->filters[i].used &&
		    (o->filters[i].vlan == vlan ||
		     (!vlan && o->filters[i].vlan == VMQ_VLAN_ANY)))
			return true;
	return false;
}

/* Does the queue have a filter of this address, or one of this VLAN? */
static bool oracle_queue_names(const struct oracle *o, u16 id, int addr,
			       int vlan)
{
	const struct oracle_filter *m;
	unsigned int i;

	for (i = 1; i < o->top; i++) {
		m = &o->filters[i];
		if (m->used && m->queue == id && (m->addr == addr ||
						  m->vlan == vlan))
			return true;
	}
	return false;
}

/*
 * The NIC gives a frame to every queue that has its address and its VLAN, not
 * necessarily in one filter. That must never be two.
 */
static bool oracle_is_ambiguous(const struct oracle *o)
{
	unsigned int v, nr;
	u8 addr;
	u16 id;

	for (addr = 0; addr < o->addrs; addr++)
		for (v = 0; v < 3; v++) {
			nr = 0;
			for (id = 1; id < o->f->caps.pools; id++)
				nr += oracle_queue_names(o, id, addr, -1) &&
				      oracle_queue_names(o, id, -1,
							 oracle_vlans[v]);
			if (nr > 1)
				return true;
		}
	return false;
}

/* Room */

unsigned int oracle_free_slots(const struct oracle *o)
{
	unsigned int nr = o->f->caps.mac_slots - o->f->caps.mac_slots_host, i;

	for (i = 0; i < o->addrs + ORACLE_GROUPS; i++)
		nr -= !!oracle_home(o, oracle_addr(o, i));
	return nr;
}

/* The model is as it would be: can the NIC do that? @before: VLANs were on. */
void oracle_may_not_fit(const struct oracle *o, struct oracle_errnos *e,
			bool before)
{
	bool lacking = oracle_vlans_lack(o);

	oracle_may(e, (int)oracle_free_slots(o) < 0, -ENOSPC);
	oracle_may(e, oracle_any_group_split(o), -EBUSY);
	oracle_may(e, oracle_any_split(o) && !oracle_vlans_on(o), -EOPNOTSUPP);
	if (!oracle_vlans_on(o))
		return;
	oracle_may(e, lacking, -ENOSPC);
	oracle_may(e, lacking && !before, -EBUSY);
	oracle_may(e, oracle_is_ambiguous(o), -EBUSY);
}
