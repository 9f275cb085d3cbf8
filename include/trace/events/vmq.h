/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vmq decides: states of queues, their CPUs, filters, and where frames go. For
 * people who ask why a frame went somewhere, and for tests.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmq

#if !defined(_TRACE_VMQ_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VMQ_H

#include <linux/netdevice.h>
#include <linux/tracepoint.h>
#include <vmq/hw.h>

TRACE_DEFINE_ENUM(VMQ_QUEUE_UNDEFINED);
TRACE_DEFINE_ENUM(VMQ_QUEUE_ALLOCATED);
TRACE_DEFINE_ENUM(VMQ_QUEUE_SET);
TRACE_DEFINE_ENUM(VMQ_QUEUE_RUNNING);
TRACE_DEFINE_ENUM(VMQ_QUEUE_PAUSED);
TRACE_DEFINE_ENUM(VMQ_QUEUE_STOPPING);
TRACE_DEFINE_ENUM(VMQ_QUEUE_FREEING);

TRACE_DEFINE_ENUM(VMQ_MOVE_ADMIN);
TRACE_DEFINE_ENUM(VMQ_MOVE_AUTO);
TRACE_DEFINE_ENUM(VMQ_MOVE_CPUS);
TRACE_DEFINE_ENUM(VMQ_MOVE_OFFLINE);
TRACE_DEFINE_ENUM(VMQ_MOVE_ONLINE);
TRACE_DEFINE_ENUM(VMQ_MOVE_POLICY);
TRACE_DEFINE_ENUM(VMQ_MOVE_SPREAD);
TRACE_DEFINE_ENUM(VMQ_MOVE_GATHER);

#define vmq_trace_move(why)					\
	__print_symbolic(why,					\
			 { VMQ_MOVE_ADMIN, "admin" },		\
			 { VMQ_MOVE_AUTO, "auto" },		\
			 { VMQ_MOVE_CPUS, "cpus" },		\
			 { VMQ_MOVE_OFFLINE, "offline" },	\
			 { VMQ_MOVE_ONLINE, "online" },		\
			 { VMQ_MOVE_POLICY, "policy" },		\
			 { VMQ_MOVE_SPREAD, "spread" },		\
			 { VMQ_MOVE_GATHER, "gather" })

#define vmq_trace_state(state)					\
	__print_symbolic(state,					\
			 { VMQ_QUEUE_UNDEFINED, "undefined" },	\
			 { VMQ_QUEUE_ALLOCATED, "allocated" },	\
			 { VMQ_QUEUE_SET, "set" },		\
			 { VMQ_QUEUE_RUNNING, "running" },	\
			 { VMQ_QUEUE_PAUSED, "paused" },	\
			 { VMQ_QUEUE_STOPPING, "stopping" },	\
			 { VMQ_QUEUE_FREEING, "freeing" })

/* As the list of filters says it. This file is read many times. */
#ifndef VMQ_TRACE_VLAN_LEN
#define VMQ_TRACE_VLAN_LEN	sizeof("untagged")

static inline void vmq_trace_vlan(char *text, u16 vlan)
{
	if (vlan == VMQ_VLAN_UNTAGGED)
		strscpy(text, "untagged", VMQ_TRACE_VLAN_LEN);
	else if (vlan == VMQ_VLAN_ANY)
		strscpy(text, "any", VMQ_TRACE_VLAN_LEN);
	else
		snprintf(text, VMQ_TRACE_VLAN_LEN, "%u", vlan);
}
#endif

TRACE_EVENT(vmq_queue_state,
	TP_PROTO(const struct vmq_queue *q, u8 from, u8 to),
	TP_ARGS(q, from, to),
	TP_STRUCT__entry(
		__string(uplink, netdev_name(q->dev->uplink))
		__string(vm_name, q->vm_name)
		__field(u16, queue)
		__field(u8, from)
		__field(u8, to)
	),
	TP_fast_assign(
		__assign_str(uplink);
		__assign_str(vm_name);
		__entry->queue = q->id;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("%s queue=%u vm=%s %s -> %s", __get_str(uplink),
		  __entry->queue, __get_str(vm_name),
		  vmq_trace_state(__entry->from), vmq_trace_state(__entry->to))
);

/* A queue gets another CPU; -1 is any that queues may use. */
TRACE_EVENT(vmq_placement_move,
	TP_PROTO(const struct vmq_vector *v, int from, int to, u8 why),
	TP_ARGS(v, from, to, why),
	TP_STRUCT__entry(
		__string(uplink, netdev_name(v->dev->uplink))
		__field(u16, queue)
		__field(u8, why)
		__field(int, from)
		__field(int, to)
	),
	TP_fast_assign(
		__assign_str(uplink);
		__entry->queue = v->id;
		__entry->why = why;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("%s queue=%u cpu %d -> %d why=%s", __get_str(uplink),
		  __entry->queue, __entry->from, __entry->to,
		  vmq_trace_move(__entry->why))
);

DECLARE_EVENT_CLASS(vmq_filter,
	TP_PROTO(const struct vmq_dev *dev, u32 id, const struct vmq_match *m,
		 u16 queue),
	TP_ARGS(dev, id, m, queue),
	TP_STRUCT__entry(
		__string(uplink, netdev_name(dev->uplink))
		__field(u32, id)
		__field(u16, queue)
		__array(char, vlan, VMQ_TRACE_VLAN_LEN)
		__array(u8, addr, ETH_ALEN)
	),
	TP_fast_assign(
		__assign_str(uplink);
		__entry->id = id;
		__entry->queue = queue;
		vmq_trace_vlan(__entry->vlan, m->vlan);
		ether_addr_copy(__entry->addr, m->addr);
	),
	TP_printk("%s filter=%u %pM vlan=%s queue=%u", __get_str(uplink),
		  __entry->id, __entry->addr, __entry->vlan,
		  __entry->queue)
);

DEFINE_EVENT(vmq_filter, vmq_filter_add,
	TP_PROTO(const struct vmq_dev *dev, u32 id, const struct vmq_match *m,
		 u16 queue),
	TP_ARGS(dev, id, m, queue)
);

DEFINE_EVENT(vmq_filter, vmq_filter_move,
	TP_PROTO(const struct vmq_dev *dev, u32 id, const struct vmq_match *m,
		 u16 queue),
	TP_ARGS(dev, id, m, queue)
);

DEFINE_EVENT(vmq_filter, vmq_filter_del,
	TP_PROTO(const struct vmq_dev *dev, u32 id, const struct vmq_match *m,
		 u16 queue),
	TP_ARGS(dev, id, m, queue)
);

/* A frame of a VM queue was compared with its filters: id 0 if none claims it. */
DEFINE_EVENT_PRINT(vmq_filter, vmq_rx_check,
	TP_PROTO(const struct vmq_dev *dev, u32 id, const struct vmq_match *m,
		 u16 queue),
	TP_ARGS(dev, id, m, queue),
	TP_printk("%s queue=%u %pM vlan=%s filter=%u %s", __get_str(uplink),
		  __entry->queue, __entry->addr, __entry->vlan, __entry->id,
		  __entry->id ? "claimed" : "mismatch")
);

/* One poll's frames, all of one queue, before they are handed over. */
TRACE_EVENT(vmq_rx_batch,
	TP_PROTO(const struct vmq_queue *q, unsigned int frames,
		 const char *consumer),
	TP_ARGS(q, frames, consumer),
	TP_STRUCT__entry(
		__string(uplink, netdev_name(q->dev->uplink))
		__string(consumer, consumer)
		__field(u16, queue)
		__field(unsigned int, frames)
		__field(bool, checked)
		__field(unsigned int, cpu)
	),
	TP_fast_assign(
		__assign_str(uplink);
		__assign_str(consumer);
		__entry->queue = q->id;
		__entry->frames = frames;
		__entry->checked = READ_ONCE(q->check);
		__entry->cpu = smp_processor_id();
	),
	TP_printk("%s queue=%u frames=%u checked=%d consumer=%s cpu=%u",
		  __get_str(uplink), __entry->queue, __entry->frames,
		  __entry->checked, __get_str(consumer), __entry->cpu)
);

#endif /* _TRACE_VMQ_H */

#include <trace/define_trace.h>
