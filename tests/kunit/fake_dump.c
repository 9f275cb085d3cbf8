// SPDX-License-Identifier: GPL-2.0-only
/* What the fake NIC saw, and the whole state of a device as text. */
#include "fake.h"

/* Keeps the first breach: what follows is mostly its consequence. */
void fake_break(struct fake_nic *f, const char *fmt, ...)
{
	va_list args;

	if (f->broken[0])
		return;
	va_start(args, fmt);
	vscnprintf(f->broken, sizeof(f->broken), fmt, args);
	va_end(args);
}

void fake_log(struct fake_nic *f, const char *fmt, ...)
{
	size_t len = strlen(f->log);
	va_list args;

	if (len)
		len += scnprintf(f->log + len, sizeof(f->log) - len, ", ");
	va_start(args, fmt);
	vscnprintf(f->log + len, sizeof(f->log) - len, fmt, args);
	va_end(args);
}

void fake_log_clear(struct fake_nic *f)
{
	f->log[0] = '\0';
	f->mac_writes = 0;
}

/* The place of one that is allocated anew is chosen then. */
static int fake_dump_place(const struct vmq_queue *q, char *buf, int size)
{
	const struct vmq_vector *v = q->vector;

	if (q->state == VMQ_QUEUE_UNDEFINED && q->restore == VMQ_RESTORE_NONE)
		return 0;
	return scnprintf(buf, size, "  cpu %u%s seat %u policy %u\n", v->cpu,
			 v->cpu_auto ? " auto" : "", v->seat, v->cpu_policy);
}

static int fake_dump_queues(struct fake_nic *f, char *buf, int size)
{
	struct vmq_queue *q;
	int len = 0;
	u16 id;

	for (id = 0; id < f->caps.pools; id++) {
		q = &f->dev.queues[id];
		len += scnprintf(buf + len, size - len,
				 "queue %u %s owner %u filters %u rings %d%d started %d%d hold %d vector %u irq %d buffers %u %u parked %d\n",
				 id, vmq_state_name(q->state), q->owner,
				 q->nr_filters, q->rings, f->queues[id].rings,
				 q->started, f->queues[id].started,
				 f->queues[id].hold, q->line->id,
				 q->vector->pinned, q->buffers,
				 f->queues[id].rings ? f->queues[id].buffers : 0,
				 q->parked);
		len += fake_dump_place(q, buf + len, size - len);
	}
	return len;
}

static int fake_dump_filters(struct fake_nic *f, char *buf, int size)
{
	struct vmq_filter *flt;
	unsigned long id;
	int len = 0;

	mutex_lock(&f->dev.lock);
	xa_for_each(&f->dev.filter_ids, id, flt)
		len += scnprintf(buf + len, size - len,
				 "filter %lu %pM vlan %u queue %u to %u change %u owner %u\n",
				 id, flt->m.addr, flt->m.vlan, flt->queue,
				 flt->to, flt->change, flt->owner);
	mutex_unlock(&f->dev.lock);
	return len;
}

/* Slots that hold nothing may hold anything. */
static int fake_dump_slots(struct fake_nic *f, char *buf, int size)
{
	const struct vmq_mac_slot *s;
	int i, len = 0;

	for (i = 0; i < f->caps.mac_slots; i++) {
		s = &f->dev.route->macs[i];
		if (s->users)
			len += scnprintf(buf + len, size - len,
					 "slot %d %pM queues %#llx users %u\n",
					 i, s->addr, s->queues, s->users);
		if (f->slots[i].pools)
			len += scnprintf(buf + len, size - len,
					 "nic %d %pM pools %#llx\n", i,
					 f->slots[i].addr, f->slots[i].pools);
	}
	return len;
}

static int fake_dump_vlans(struct fake_nic *f, char *buf, int size)
{
	const struct vmq_vlan_slot *s;
	int i, len;

	len = scnprintf(buf, size, "mode %u vlans %d%d untagged %#llx %#llx\n",
			f->dev.vlan_mode, f->dev.route->vlan_filtering,
			f->vlan_filtering, f->dev.route->untagged, f->untagged);
	for (i = 0; i < f->caps.vlan_slots; i++) {
		s = &f->dev.route->vlans[i];
		if (s->users)
			len += scnprintf(buf + len, size - len,
					 "vlan %d %u queues %#llx users %u\n",
					 i, s->vid, s->queues, s->users);
		if (f->vlans[i].pools)
			len += scnprintf(buf + len, size - len,
					 "nic %d vlan %u pools %#llx\n", i,
					 f->vlans[i].vid, f->vlans[i].pools);
	}
	return len;
}

static void fake_dump(struct fake_nic *f, char *buf)
{
	int len;

	len = fake_dump_queues(f, buf, FAKE_TEXT);
	len += fake_dump_filters(f, buf + len, FAKE_TEXT - len);
	len += fake_dump_slots(f, buf + len, FAKE_TEXT - len);
	len += fake_dump_vlans(f, buf + len, FAKE_TEXT - len);
	len += scnprintf(buf + len, FAKE_TEXT - len, "cpus %*pbl\n",
			 cpumask_pr_args(f->dev.cpus));
	scnprintf(buf + len, FAKE_TEXT - len, "writes %u\n", f->mac_writes);
}

void fake_remember(struct fake_nic *f)
{
	fake_dump(f, f->before);
}

void fake_expect_unchanged(struct kunit *test, struct fake_nic *f)
{
	fake_dump(f, f->now);
	KUNIT_EXPECT_STREQ(test, f->before, f->now);
}

/* Nothing broke, nothing is lost, and no queue was left held. */
void fake_expect_sound(struct kunit *test, struct fake_nic *f)
{
	struct fake_stream *s;
	unsigned int i;

	fake_poll_all(f);
	for (i = 0; i < f->caps.pools; i++)
		KUNIT_EXPECT_FALSE_MSG(test, f->queues[i].hold,
				       "queue %u is still held", i);
	for (i = 0; i < f->nr_streams; i++) {
		s = &f->streams[i];
		KUNIT_EXPECT_EQ_MSG(test, s->received, s->sent,
				    "frames of %pM vlan %u lost", s->m.addr,
				    s->m.vlan);
	}
	KUNIT_EXPECT_STREQ(test, f->broken, "");
}
