// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/net/<uplink>/queues/rx-N/vmq/: one queue. */
#include <linux/rcupdate_wait.h>
#include <linux/sysfs.h>
#include <net/netdev_rx_queue.h>
#include "vmq_priv.h"

/* Room for the line that says how many filters did not fit the page. */
#define VMQ_FILTERS_TAIL	32
/* Longest is an id, MAC and VLAN, the owner and twenty digits of hits. */
#define VMQ_FILTERS_LINE	80

static struct vmq_queue *vmq_queue_from_rx(struct netdev_rx_queue *rxq)
{
	struct vmq_dev *dev = vmq_dev_from_netdev(rxq->dev);

	return &dev->queues[get_netdev_rx_queue_index(rxq)];
}

static bool vmq_queue_exists(const struct vmq_queue *q)
{
	return READ_ONCE(q->state) != VMQ_QUEUE_UNDEFINED;
}

#define VMQ_QUEUE_ATTR_RO(_name)					\
	static struct rx_queue_attribute vmq_attr_##_name =	\
		__ATTR(_name, 0444, vmq_##_name##_show, NULL)
#define VMQ_QUEUE_ATTR_WO(_name)					\
	static struct rx_queue_attribute vmq_attr_##_name =	\
		__ATTR(_name, 0200, NULL, vmq_##_name##_store)
#define VMQ_QUEUE_ATTR_RW(_name)					\
	static struct rx_queue_attribute vmq_attr_##_name =	\
		__ATTR(_name, 0644, vmq_##_name##_show, vmq_##_name##_store)

/* No valid word is longer than a name; one that is, reads as no word. */
static void vmq_text_copy(char *text, const char *buf, size_t len)
{
	if (len && buf[len - 1] == '\n')
		len--;
	if (len >= VMQ_NAME_LEN)
		len = 0;
	memcpy(text, buf, len);
	text[len] = '\0';
}

static ssize_t vmq_text_store(struct netdev_rx_queue *rxq, const char *buf,
			      size_t len,
			      int (*write)(struct vmq_queue *q,
					   const char *text))
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	char text[VMQ_NAME_LEN];
	int err;

	vmq_text_copy(text, buf, len);
	err = vmq_sysfs_begin_store(q->dev, buf, len);
	if (err)
		return err;
	err = write(q, text);
	vmq_sysfs_end_store(q->dev);
	return err ? err : len;
}

#define VMQ_QUEUE_TEXT_STORE(_name)					\
	static ssize_t vmq_##_name##_store(struct netdev_rx_queue *rxq,	\
					   const char *buf, size_t len)	\
	{								\
		return vmq_text_store(rxq, buf, len,			\
				      vmq_##_name##_write);		\
	}								\
	VMQ_QUEUE_ATTR_RW(_name)

static ssize_t vmq_state_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return sysfs_emit(buf, "%s\n", vmq_state_name(READ_ONCE(q->state)));
}

static int vmq_state_write(struct vmq_queue *q, const char *word)
{
	char name[VMQ_NAME_LEN];

	if (!strcmp(word, "allocate")) {
		scnprintf(name, sizeof(name), "queue-%u", q->id);
		return vmq_queue_allocate_locked(q, VMQ_OWNER_ADMIN, name,
						 NULL);
	}
	if (!strcmp(word, "commit"))
		return vmq_queue_commit_locked(q, VMQ_OWNER_ADMIN, NULL);
	if (!strcmp(word, "free"))
		return vmq_queue_free_locked(q, VMQ_OWNER_ADMIN, NULL);
	return vmq_refuse(q->dev, NULL, -EINVAL,
			  "state takes allocate, commit or free");
}

VMQ_QUEUE_TEXT_STORE(state);

static ssize_t vmq_name_show(struct vmq_queue *q, const char *name, char *buf)
{
	ssize_t len;

	spin_lock_bh(&q->dev->text_lock);
	len = sysfs_emit(buf, "%s\n", vmq_queue_exists(q) ? name : "");
	spin_unlock_bh(&q->dev->text_lock);
	return len;
}

/* Parameters may be set from allocation until the queue is being freed. */
static int vmq_queue_check_set(struct vmq_queue *q)
{
	if (q->state == VMQ_QUEUE_UNDEFINED)
		return vmq_refuse(q->dev, NULL, -ENOENT,
				  "queue %u is not allocated", q->id);
	if (q->state >= VMQ_QUEUE_STOPPING)
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "queue %u is being freed", q->id);
	return 0;
}

static int vmq_name_write(struct vmq_queue *q, const char *file, char *name,
			  const char *text)
{
	int err;

	err = vmq_queue_check_set(q);
	if (err)
		return err;
	if (!vmq_name_valid(text))
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "a name has 1 to 63 printable characters");
	spin_lock_bh(&q->dev->text_lock);
	strscpy(name, text, VMQ_NAME_LEN);
	spin_unlock_bh(&q->dev->text_lock);
	vmq_queue_renamed(q, file);
	return 0;
}

static ssize_t vmq_vm_name_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return vmq_name_show(q, q->vm_name, buf);
}

static int vmq_vm_name_write(struct vmq_queue *q, const char *text)
{
	return vmq_name_write(q, "vm_name", q->vm_name, text);
}

VMQ_QUEUE_TEXT_STORE(vm_name);

static ssize_t vmq_queue_name_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return vmq_name_show(q, q->queue_name, buf);
}

static int vmq_queue_name_write(struct vmq_queue *q, const char *text)
{
	return vmq_name_write(q, "queue_name", q->queue_name, text);
}

VMQ_QUEUE_TEXT_STORE(queue_name);

static ssize_t vmq_owner_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	const char *owner = "none";

	if (vmq_queue_exists(q))
		owner = READ_ONCE(q->owner) == VMQ_OWNER_VSWITCH ? "vswitch" :
								   "admin";
	return sysfs_emit(buf, "%s\n", owner);
}
VMQ_QUEUE_ATTR_RO(owner);

static ssize_t vmq_port_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	struct vmq_consumer *c;
	ssize_t len;

	rcu_read_lock();
	c = rcu_dereference(q->consumer);
	len = sysfs_emit(buf, "%s\n", c ? netdev_name(c->dev) : "none");
	rcu_read_unlock();
	return len;
}
VMQ_QUEUE_ATTR_RO(port);

static ssize_t vmq_cpu_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return vmq_queue_exists(q) && vmq_queue_has_cpu(q) ?
	       sysfs_emit(buf, "%u\n", READ_ONCE(q->vector->cpu)) :
	       sysfs_emit(buf, "none\n");
}

/* May the queue's interrupt be moved at all? */
static int vmq_queue_check_irq(struct vmq_queue *q)
{
	int err = vmq_queue_check_set(q);

	if (!err && q->vector->irq_shared)
		err = vmq_refuse(q->dev, NULL, -EOPNOTSUPP,
				 "the interrupt of queue %u is for other devices, too, and is not pinned",
				 q->id);
	return err;
}

/* The CPU that a word means for a queue, or why it means none. */
static int vmq_cpu_parse(struct vmq_queue *q, const char *word,
			 unsigned int *cpu)
{
	if (!strcmp(word, "auto")) {
		*cpu = vmq_cpus_pick(q->vector);
		return 0;
	}
	if (kstrtouint(word, 10, cpu))
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "cpu takes the number of a CPU, or auto");
	if (!vmq_cpus_usable(q->dev, *cpu))
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "CPU %u is not online", *cpu);
	if (!cpumask_test_cpu(*cpu, q->dev->cpus))
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "CPU %u is not among those in vmq/cpus",
				  *cpu);
	return 0;
}

static int vmq_cpu_write(struct vmq_queue *q, const char *word)
{
	bool cpu_auto = !strcmp(word, "auto");
	unsigned int cpu;
	int err;

	err = vmq_queue_check_irq(q);
	if (err)
		return err;
	if (q->vector->cpu_policy == VMQ_CPU_FREE)
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "queue %u has no CPU of its own while cpu_policy is free",
				  q->id);
	err = vmq_cpu_parse(q, word, &cpu);
	if (err)
		return err;
	err = vmq_placement_set(q->vector, cpu,
				cpu_auto ? VMQ_MOVE_AUTO : VMQ_MOVE_ADMIN);
	if (err)
		return vmq_refuse(q->dev, NULL, err,
				  "the interrupt of queue %u cannot go to CPU %u",
				  q->id, cpu);
	q->vector->cpu_auto = cpu_auto;
	vmq_vector_announce(q->vector, "cpu");
	return 0;
}

VMQ_QUEUE_TEXT_STORE(cpu);

static ssize_t vmq_cpu_effective_show(struct netdev_rx_queue *rxq, char *buf)
{
	int cpu = vmq_placement_effective(vmq_queue_from_rx(rxq));

	return cpu < 0 ? sysfs_emit(buf, "none\n") :
			 sysfs_emit(buf, "%d\n", cpu);
}
VMQ_QUEUE_ATTR_RO(cpu_effective);

static const char * const vmq_cpu_policies[] = {
	[VMQ_CPU_STRICT]	= "strict",
	[VMQ_CPU_HINT]		= "hint",
	[VMQ_CPU_FREE]		= "free",
};

static ssize_t vmq_cpu_policy_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	u8 policy = VMQ_CPU_STRICT;

	if (q->vector->irq_shared)
		policy = VMQ_CPU_FREE;
	else if (vmq_queue_exists(q))
		policy = READ_ONCE(q->vector->cpu_policy);
	return sysfs_emit(buf, "%s\n", vmq_cpu_policies[policy]);
}

static int vmq_cpu_policy_write(struct vmq_queue *q, const char *word)
{
	int policy, err;

	err = vmq_queue_check_irq(q);
	if (err)
		return err;
	policy = sysfs_match_string(vmq_cpu_policies, word);
	if (policy < 0)
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "cpu_policy takes strict, hint or free");
	err = vmq_placement_set_policy(q->vector, policy);
	if (err)
		return vmq_refuse(q->dev, NULL, err,
				  "the interrupt of queue %u cannot be moved",
				  q->id);
	vmq_vector_announce(q->vector, "cpu_policy");
	return 0;
}

VMQ_QUEUE_TEXT_STORE(cpu_policy);

static ssize_t vmq_cpu_moves_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return sysfs_emit(buf, "%u\n", READ_ONCE(q->vector->cpu_moves));
}
VMQ_QUEUE_ATTR_RO(cpu_moves);

/* Nobody measures in static mode. */
static ssize_t vmq_cpu_load_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return READ_ONCE(q->dev->measure) ?
	       sysfs_emit(buf, "%u\n", READ_ONCE(q->cpu_load)) :
	       sysfs_emit(buf, "none\n");
}
VMQ_QUEUE_ATTR_RO(cpu_load);

static ssize_t vmq_buffers_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return vmq_queue_exists(q) ?
	       sysfs_emit(buf, "%u\n", vmq_queue_buffers(q)) :
	       sysfs_emit(buf, "none\n");
}

static int vmq_buffers_write(struct vmq_queue *q, const char *word)
{
	u32 wanted = 0;
	int err;

	err = vmq_queue_check_set(q);
	if (err)
		return err;
	if (strcmp(word, "auto") && (kstrtou32(word, 10, &wanted) || !wanted))
		return vmq_refuse(q->dev, NULL, -EINVAL,
				  "buffers takes a number above 0, or auto");
	err = vmq_buffers_set_locked(q, wanted, NULL);
	if (!err)
		vmq_queue_announce(q, "buffers");
	return err;
}

VMQ_QUEUE_TEXT_STORE(buffers);

static ssize_t vmq_irq_show(struct netdev_rx_queue *rxq, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);

	return sysfs_emit(buf, "%d\n", READ_ONCE(q->line)->irq);
}
VMQ_QUEUE_ATTR_RO(irq);

static ssize_t vmq_exact_show(struct netdev_rx_queue *rxq, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vmq_queue_from_rx(rxq)->exact));
}
VMQ_QUEUE_ATTR_RO(exact);

static ssize_t vmq_filter_add_store(struct netdev_rx_queue *rxq,
				    const char *buf, size_t len)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	struct vmq_match m;
	int err;

	err = vmq_sysfs_begin_store(q->dev, buf, len);
	if (err)
		return err;
	err = vmq_match_parse(buf, &m);
	if (err)
		err = vmq_refuse(q->dev, NULL, err,
				 "filter_add takes MAC, MAC untagged, MAC vlan 1..4094 or MAC any");
	else
		err = vmq_filter_add_locked(q->dev, q->id, &m, VMQ_OWNER_ADMIN,
					    0, NULL);
	vmq_sysfs_end_store(q->dev);
	return err < 0 ? err : len;
}
VMQ_QUEUE_ATTR_WO(filter_add);

/*
 * The id of the filter that a user's words mean, on this queue; 0 when there is
 * none, or -EINVAL when the words mean no filter.
 */
static int vmq_filter_from_text(struct vmq_queue *q, const char *text)
{
	struct vmq_filter *f;
	struct vmq_match m;
	u32 id = 0;

	if (vmq_match_parse(text, &m)) {
		if (kstrtou32(text, 10, &id))
			return -EINVAL;
		f = vmq_filter_by_id(q->dev, id);
	} else {
		f = vmq_filter_find_locked(q->dev, &m);
	}
	return f && f->queue == q->id ? f->id : 0;
}

static ssize_t vmq_filter_del_store(struct netdev_rx_queue *rxq,
				    const char *buf, size_t len)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	int id, err;

	err = vmq_sysfs_begin_store(q->dev, buf, len);
	if (err)
		return err;
	id = vmq_filter_from_text(q, buf);
	if (id > 0)
		err = vmq_filter_del_locked(q->dev, id, VMQ_OWNER_ADMIN, NULL);
	else if (!id)
		err = vmq_refuse(q->dev, NULL, -ENOENT,
				 "queue %u has no such filter", q->id);
	else
		err = vmq_refuse(q->dev, NULL, id,
				 "filter_del takes an id, MAC, MAC untagged, MAC vlan 1..4094 or MAC any");
	vmq_sysfs_end_store(q->dev);
	return err ? err : len;
}
VMQ_QUEUE_ATTR_WO(filter_del);

/* Nobody looks which of the filters of an exact queue a frame is for. */
static bool vmq_filter_has_hits(const struct vmq_queue *q)
{
	return !q->id || READ_ONCE(q->check) || READ_ONCE(q->nr_filters) == 1;
}

static int vmq_filter_emit(char *buf, int at, const struct vmq_filter *f,
			   bool has_hits)
{
	char match[VMQ_FILTERS_LINE], hits[24] = "-";

	vmq_match_format(match, sizeof(match), &f->m);
	if (has_hits)
		snprintf(hits, sizeof(hits), "%lld", atomic64_read(&f->hits));
	return sysfs_emit_at(buf, at, "%u %s %s %s\n", f->id, match,
			     f->owner == VMQ_OWNER_VSWITCH ? "vswitch" : "admin",
			     hits);
}

/* The one list in sysfs; a page bounds it, ethtool -n shows the rest. */
static ssize_t vmq_filters_show(struct netdev_rx_queue *rxq, char *buf)
{
	const int limit = PAGE_SIZE - VMQ_FILTERS_LINE - VMQ_FILTERS_TAIL;
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	bool has_hits = vmq_filter_has_hits(q);
	unsigned int more = 0;
	struct vmq_filter *f;
	unsigned long id;
	int at = 0;

	rcu_read_lock();
	xa_for_each(&q->dev->filter_ids, id, f) {
		bool mine = READ_ONCE(f->queue) == q->id;

		if (mine && at < limit)
			at += vmq_filter_emit(buf, at, f, has_hits);
		else if (mine)
			more++;
		/* A hundred thousand, whosever they are, take milliseconds. */
		cond_resched_rcu();
	}
	rcu_read_unlock();
	if (more)
		at += sysfs_emit_at(buf, at, "... %u more\n", more);
	return at;
}
VMQ_QUEUE_ATTR_RO(filters);

/*
 * The sum of the @nr counters at @offset in struct vmq_queue; rx lies before tx
 * there.
 */
static ssize_t vmq_counter_emit(struct netdev_rx_queue *rxq, size_t offset,
				size_t nr, char *buf)
{
	struct vmq_queue *q = vmq_queue_from_rx(rxq);
	const u64_stats_t *counters = (void *)q + offset;
	const struct u64_stats_sync *syncp;
	unsigned int start;
	u64 value;
	size_t i;

	syncp = offset < offsetof(struct vmq_queue, tx) ? &q->rx.syncp :
							  &q->tx.syncp;
	do {
		start = u64_stats_fetch_begin(syncp);
		for (value = 0, i = 0; i < nr; i++)
			value += u64_stats_read(&counters[i]);
	} while (u64_stats_fetch_retry(syncp, start));
	return sysfs_emit(buf, "%llu\n", value);
}

#define VMQ_QUEUE_COUNTER(_name, _member, _nr)				\
	static ssize_t vmq_##_name##_show(struct netdev_rx_queue *rxq,	\
					  char *buf)			\
	{								\
		return vmq_counter_emit(rxq, offsetof(struct vmq_queue,	\
						      _member), _nr,	\
					buf);				\
	}								\
	VMQ_QUEUE_ATTR_RO(_name)

VMQ_QUEUE_COUNTER(rx_packets, rx.packets, 1);
VMQ_QUEUE_COUNTER(rx_bytes, rx.bytes, 1);
VMQ_QUEUE_COUNTER(rx_checked, rx.checked, 1);
VMQ_QUEUE_COUNTER(rx_mismatch, rx.mismatch, 1);
VMQ_QUEUE_COUNTER(rx_dropped, rx.drops, VMQ_RX_DROPS);
VMQ_QUEUE_COUNTER(rx_dropped_bad, rx.drops[VMQ_RX_DROP_BAD], 1);
VMQ_QUEUE_COUNTER(rx_dropped_long, rx.drops[VMQ_RX_DROP_LONG], 1);
VMQ_QUEUE_COUNTER(rx_dropped_nomem, rx.drops[VMQ_RX_DROP_NOMEM], 1);
VMQ_QUEUE_COUNTER(rx_dropped_stopped, rx.drops[VMQ_RX_DROP_STOPPED], 1);
VMQ_QUEUE_COUNTER(tx_packets, tx.packets, 1);
VMQ_QUEUE_COUNTER(tx_bytes, tx.bytes, 1);
VMQ_QUEUE_COUNTER(tx_dropped, tx.drops, VMQ_TX_DROPS);
VMQ_QUEUE_COUNTER(tx_dropped_full, tx.drops[VMQ_TX_DROP_FULL], 1);
VMQ_QUEUE_COUNTER(tx_dropped_invalid, tx.drops[VMQ_TX_DROP_INVALID], 1);
VMQ_QUEUE_COUNTER(tx_dropped_nomem, tx.drops[VMQ_TX_DROP_NOMEM], 1);
VMQ_QUEUE_COUNTER(tx_dropped_stopped, tx.drops[VMQ_TX_DROP_STOPPED], 1);

static struct attribute *vmq_queue_attrs[] = {
	&vmq_attr_buffers.attr,
	&vmq_attr_cpu.attr,
	&vmq_attr_cpu_effective.attr,
	&vmq_attr_cpu_load.attr,
	&vmq_attr_cpu_moves.attr,
	&vmq_attr_cpu_policy.attr,
	&vmq_attr_exact.attr,
	&vmq_attr_filter_add.attr,
	&vmq_attr_filter_del.attr,
	&vmq_attr_filters.attr,
	&vmq_attr_irq.attr,
	&vmq_attr_owner.attr,
	&vmq_attr_port.attr,
	&vmq_attr_queue_name.attr,
	&vmq_attr_rx_bytes.attr,
	&vmq_attr_rx_checked.attr,
	&vmq_attr_rx_dropped.attr,
	&vmq_attr_rx_dropped_bad.attr,
	&vmq_attr_rx_dropped_long.attr,
	&vmq_attr_rx_dropped_nomem.attr,
	&vmq_attr_rx_dropped_stopped.attr,
	&vmq_attr_rx_mismatch.attr,
	&vmq_attr_rx_packets.attr,
	&vmq_attr_state.attr,
	&vmq_attr_tx_bytes.attr,
	&vmq_attr_tx_dropped.attr,
	&vmq_attr_tx_dropped_full.attr,
	&vmq_attr_tx_dropped_invalid.attr,
	&vmq_attr_tx_dropped_nomem.attr,
	&vmq_attr_tx_dropped_stopped.attr,
	&vmq_attr_tx_packets.attr,
	&vmq_attr_vm_name.attr,
	NULL
};

const struct attribute_group vmq_queue_group = {
	.name = "vmq",
	.attrs = vmq_queue_attrs,
};
