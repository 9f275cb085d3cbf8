/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between the core and a hardware backend. A backend states facts
 * (struct vmq_hw_caps) and offers idempotent writers (struct vmq_hw_ops); the
 * core owns every table and replays it after a reset.
 */
#ifndef _VMQ_HW_H
#define _VMQ_HW_H

#include <linux/cpumask.h>
#include <linux/ethtool.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/rhashtable-types.h>
#include <linux/sched/clock.h>
#include <linux/types.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <vmq/vmq.h>

struct vmq_consumer;
struct vmq_dev;
struct vmq_dynamic;
struct vmq_filter;
struct vmq_route;
struct vmq_switch;

/**
 * struct vmq_hw_caps - what one kind of NIC has; const data, no policy
 * @pools: receive pools, the default one included (82576 DS 7.10.3)
 * @default_pool: pool of queue 0
 * @mac_slots: exact unicast/multicast address slots, all of them
 * @mac_slots_host: slots from 0 on that the backend keeps for the host address
 * @vlan_slots: VLAN slots (VLVF)
 * @buffers: receive descriptors of a queue unless somebody wants others
 * @buffers_min: fewest, a power of two
 * @buffers_max: most, a power of two
 * @vectors: interrupts for queues; 0: one for each
 * @no_vmq: why there is the default pool alone, in the user's words; NULL when
 *	@pools is more than 1
 */
struct vmq_hw_caps {
	u16 pools;
	u16 default_pool;
	u16 mac_slots;
	u16 mac_slots_host;
	u16 vlan_slots;
	u32 buffers;
	u32 buffers_min;
	u32 buffers_max;
	u16 vectors;
	const char *no_vmq;
};

/**
 * struct vmq_hw_ops - what a backend does for the core
 *
 * Unless said otherwise: called with rtnl and vmq_dev.lock held, may sleep,
 * and @id is the queue's id (0 .. pools - 1). A void op cannot fail.
 *
 * @mac_write: write address slot @slot: frames to @addr go to the pools in the
 *	bitmap @pools, of which the default pool is one if @addr is a group; 0
 *	clears the slot. One register write decides, so that no
 *	frame is lost or doubled when only @pools changes. The write has reached
 *	the NIC on return. Idempotent. Only called while the rings of those
 *	pools run, or during vmq_dev_open().
 * @vlan_write: write VLAN slot @slot: while VLAN filtering is on, frames of
 *	VLAN @vid go only to those of their address's pools that are in the
 *	bitmap @pools; 0 clears the slot. One register write decides. The write
 *	has reached the NIC on return. Idempotent.
 * @untagged_write: while VLAN filtering is on, let queue @id have untagged
 *	frames to its addresses, or not. The default pool always has them.
 *	Idempotent.
 * @vlan_filtering: turn VLAN filtering on or off. With it on, frames that no
 *	pool gets by address and VLAN go to the default pool (82576 DS
 *	7.10.3.6); it is off after a reset, all VLAN slots empty.
 * @queue_alloc: rings, page pool and vector bookkeeping of the queue; the
 *	receive ring has vmq_queue_buffers() descriptors. -ENOMEM.
 * @queue_free: undo @queue_alloc (and what @queue_held was waiting for: the
 *	kernel's page pool frees itself when the last page is back).
 * @queue_start: request the interrupt of the queue's vector, unless another
 *	queue has it already, enable NAPI and both rings. Only while
 *	the uplink is running. Returns a negative errno with all undone.
 * @queue_stop: undo @queue_start: DMA has stopped and no poll runs on return;
 *	buffers of the ring went back to the page pool, sent or unsent transmit
 *	frames are freed.
 * @queue_resize: give the running queue, to which no frame is routed and whose
 *	ring has run dry, a receive ring of vmq_queue_buffers() descriptors. The
 *	rest of it goes on. -EIO when the queue receives nothing until it is
 *	stopped and started, or this call succeeds; any other error with the
 *	ring in use that it had before.
 * @queue_held: frames of a stopped queue that readers still hold.
 * @queue_hold: no frame of the queue is delivered from return until
 *	@queue_release. The ring goes on filling.
 * @queue_release: undo @queue_hold; what waits is delivered on the queue's CPU.
 * @queue_drain: wait until every frame that the NIC had put into the ring when
 *	the call was made is delivered (GRO flushed too). -ETIMEDOUT.
 * @queue_tx_drain: wait until every frame that was posted to the queue's
 *	transmit ring when the call was made is completed. -ETIMEDOUT.
 * @queue_named: the queue, whose rings run, has another vm_name or queue_name:
 *	show it in /proc/interrupts.
 * @queue_vector: let the queue, whose rings run and which is held, use the
 *	vector @vector from now on: request it for the first, free the one that
 *	it leaves after the last. What the ring got meanwhile is found when the
 *	queue is released. Returns a negative errno with nothing changed.
 * @queue_kick: raise the queue's interrupt by software. Any context.
 * @queue_xmit: post one frame to the transmit ring. BH off, the lock of the
 *	uplink's tx queue @id is held and the queue was not stopped. Consumes
 *	@skb always (drops are counted). @more: another frame follows at once,
 *	the doorbell may wait.
 */
struct vmq_hw_ops {
	void (*mac_write)(struct vmq_dev *dev, u16 slot, const u8 *addr,
			  u64 pools);
	void (*vlan_write)(struct vmq_dev *dev, u16 slot, u16 vid, u64 pools);
	void (*untagged_write)(struct vmq_dev *dev, u16 id, bool on);
	void (*vlan_filtering)(struct vmq_dev *dev, bool on);
	int (*queue_alloc)(struct vmq_dev *dev, u16 id);
	void (*queue_free)(struct vmq_dev *dev, u16 id);
	int (*queue_start)(struct vmq_dev *dev, u16 id);
	void (*queue_stop)(struct vmq_dev *dev, u16 id);
	int (*queue_resize)(struct vmq_dev *dev, u16 id);
	u32 (*queue_held)(struct vmq_dev *dev, u16 id);
	void (*queue_hold)(struct vmq_dev *dev, u16 id);
	void (*queue_release)(struct vmq_dev *dev, u16 id);
	int (*queue_drain)(struct vmq_dev *dev, u16 id);
	int (*queue_tx_drain)(struct vmq_dev *dev, u16 id);
	void (*queue_named)(struct vmq_dev *dev, u16 id);
	int (*queue_vector)(struct vmq_dev *dev, u16 id, u16 vector);
	void (*queue_kick)(struct vmq_dev *dev, u16 id);
	void (*queue_xmit)(struct vmq_dev *dev, u16 id, struct sk_buff *skb,
			   bool more);
};

/* No CPU in particular. */
#define VMQ_NO_CPU	UINT_MAX

/**
 * enum vmq_cpu_policy - who says which CPU the interrupt of a queue goes to
 * @VMQ_CPU_STRICT: the driver, and nobody else moves it
 * @VMQ_CPU_HINT: the driver, and then whoever writes smp_affinity
 * @VMQ_CPU_FREE: the kernel, among the CPUs that queues may use
 */
enum vmq_cpu_policy {
	VMQ_CPU_STRICT,
	VMQ_CPU_HINT,
	VMQ_CPU_FREE,
};

/**
 * enum vmq_move - why a queue got another CPU
 * @VMQ_MOVE_ADMIN: somebody named one
 * @VMQ_MOVE_AUTO: somebody gave the choice back
 * @VMQ_MOVE_CPUS: queues may use other CPUs than before
 * @VMQ_MOVE_OFFLINE: its CPU left
 * @VMQ_MOVE_ONLINE: the one it should have came back
 * @VMQ_MOVE_POLICY: it got another policy
 * @VMQ_MOVE_SPREAD: dynamic placement: the CPU had too much to do
 * @VMQ_MOVE_GATHER: dynamic placement: one CPU is enough
 */
enum vmq_move {
	VMQ_MOVE_ADMIN,
	VMQ_MOVE_AUTO,
	VMQ_MOVE_CPUS,
	VMQ_MOVE_OFFLINE,
	VMQ_MOVE_ONLINE,
	VMQ_MOVE_POLICY,
	VMQ_MOVE_SPREAD,
	VMQ_MOVE_GATHER,
};

/**
 * enum vmq_rx_drop - why a frame of a queue's ring was not delivered
 * @VMQ_RX_DROP_BAD: it came with an error, or is too short to be a frame
 * @VMQ_RX_DROP_LONG: it has more pieces than an skb takes
 * @VMQ_RX_DROP_NOMEM: there was no memory for its skb
 * @VMQ_RX_DROP_STOPPED: it was in the ring when that was stopped
 * @VMQ_RX_DROPS: how many reasons there are
 */
enum vmq_rx_drop {
	VMQ_RX_DROP_BAD,
	VMQ_RX_DROP_LONG,
	VMQ_RX_DROP_NOMEM,
	VMQ_RX_DROP_STOPPED,
	VMQ_RX_DROPS,
};

/**
 * enum vmq_tx_drop - why a frame was not sent by a queue's ring
 * @VMQ_TX_DROP_FULL: the ring was full
 * @VMQ_TX_DROP_INVALID: the NIC cannot do what it asks for, or it is too long
 * @VMQ_TX_DROP_NOMEM: there was no memory to send it, or it could not be mapped
 * @VMQ_TX_DROP_STOPPED: the ring did not run, or was stopped before it was
 *	sent, or the uplink was without carrier
 * @VMQ_TX_DROPS: how many reasons there are
 */
enum vmq_tx_drop {
	VMQ_TX_DROP_FULL,
	VMQ_TX_DROP_INVALID,
	VMQ_TX_DROP_NOMEM,
	VMQ_TX_DROP_STOPPED,
	VMQ_TX_DROPS,
};

/**
 * struct vmq_queue_rx_stats - receive counters of one queue
 * @syncp: for readers on 32-bit machines; the queue's NAPI is the only writer,
 *	or who has disabled it
 * @packets: frames that came out of the ring
 * @bytes: their bytes, without FCS
 * @checked: frames compared with the queue's filters in software; none while
 *	the queue is exact
 * @mismatch: checked frames that no filter of the queue claims; they went the
 *	default queue's way, or, of a group, which has a copy there, nowhere
 * @drops: frames that were not delivered, by enum vmq_rx_drop
 */
struct vmq_queue_rx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t packets;
	u64_stats_t bytes;
	u64_stats_t checked;
	u64_stats_t mismatch;
	u64_stats_t drops[VMQ_RX_DROPS];
};

/**
 * struct vmq_queue_tx_stats - transmit counters of one queue
 * @syncp: for readers on 32-bit machines; written under the lock of the
 *	uplink's tx queue
 * @packets: frames posted to the ring (segments of a TSO frame count each)
 * @bytes: their bytes, without FCS
 * @drops: frames that were not sent, by enum vmq_tx_drop
 */
struct vmq_queue_tx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t packets;
	u64_stats_t bytes;
	u64_stats_t drops[VMQ_TX_DROPS];
};

/* Addresses and VLANs whose owner a queue remembers. */
#define VMQ_RX_ANSWERS		4

/**
 * struct vmq_rx_answer - whether a queue claims frames of one address and VLAN
 * @key: vmq_match_key() of the frames
 * @filter: the filter of the queue that claims them, or NULL; dereferenced only
 *	in an RCU read section that found it to be up to date
 * @hits: frames of this batch, not counted in @filter yet
 */
struct vmq_rx_answer {
	u64 key;
	struct vmq_filter *filter;
	unsigned int hits;
};

/**
 * struct vmq_rx_memory - answers that one poll leaves to the next
 * @changes: of the filters, when the answers were last known to be right
 * @next: answer that makes room for the next one
 * @answers: by @key, in no order
 */
struct vmq_rx_memory {
	unsigned long changes;
	unsigned int next;
	struct vmq_rx_answer answers[VMQ_RX_ANSWERS];
};

/**
 * struct vmq_vector - an interrupt for queues, and the CPU that it is for
 * @dev: device it is part of
 * @id: 0 .. vectors - 1; queue n has vector n % vectors
 * @irq: Linux interrupt number, set by the backend after vmq_dev_init()
 * @irq_shared: other devices may use @irq, too: it is not pinned; set likewise
 * @pinned: the interrupt carries IRQ_NO_BALANCING by us; core's alone
 * @hinted: its affinity hint is ours; core's alone
 * @told: the interrupt was told what @seat and @cpu_policy say; core's alone
 * @unseated: the CPU @seat has left since, so that the kernel may have moved the
 *	interrupt; core's alone
 * @cpu_auto: @cpu was chosen by placement, not written by a user
 * @cpu_policy: enum vmq_cpu_policy; READ_ONCE() for sysfs
 * @cpu: wanted CPU
 * @seat: CPU that the interrupt is told: @cpu, or another one while that cannot
 *	be used; VMQ_NO_CPU when it may go to any
 * @cpu_moves: how often @seat became another CPU since allocation
 * @users: bitmap of the queues whose rings run and whose line this is; the
 *	interrupt is requested while there is one
 */
struct vmq_vector {
	struct vmq_dev *dev;
	u16 id;
	int irq;
	bool irq_shared;
	bool pinned;
	bool hinted;
	bool told;
	bool unseated;
	bool cpu_auto;
	u8 cpu_policy;
	unsigned int cpu;
	unsigned int seat;
	unsigned int cpu_moves;
	u64 users;
};

/**
 * struct vmq_queue - one VM queue: a pool with an rx ring, a tx ring, a vector,
 *	a NAPI and a CPU; queue 0 is the default queue
 * @dev: device it is part of
 * @consumer: who takes the frames; NULL: the uplink's stack. RCU, written
 *	under vmq_dev.lock
 * @id: 0 .. pools - 1, equals the uplink's rx and tx queue index
 * @pool: hardware pool
 * @vector: the vector that has its CPU and policy; several queues have one where
 *	there are fewer
 * @line: the vector whose interrupt the queue uses: @vector, or that of another
 *	queue while both are on one CPU and vmq_dev.coalesce is set, or that CPU
 *	is the home of dynamic placement; READ_ONCE() for sysfs and the poll
 * @state: enum vmq_queue_state; read with READ_ONCE() without a lock
 * @owner: enum vmq_owner, valid unless undefined
 * @rings: the backend holds memory for the rings; core's alone
 * @started: the rings run; core's alone
 * @parked: its ring runs, but frames of its filters use queue 0; core's alone
 * @exact: the NIC lets in just what the queue's filters claim
 * @check: compare every frame with the filters; READ_ONCE() in the data path
 * @sole: the only filter of a queue that is not compared, whose hits are the
 *	queue's frames; RCU, written under vmq_dev.lock
 * @undrained: its ring did not run dry when it had to, and may hold frames
 *	that are not the queue's any more; core's alone
 * @restore: what comes back of it when VMQ is on again; core's alone
 * @nr_filters: filters on this queue
 * @cpu_load: permille of a CPU that its polls took in the last round of dynamic
 *	placement; READ_ONCE() for sysfs
 * @busy: time that its polls took while vmq_dev.measure was set, ns; it wraps
 * @buffers: receive descriptors that were asked for, or 0; see
 *	vmq_queue_buffers()
 * @vm_name: user's name of the VM
 * @queue_name: user's name of the queue
 * @memory: which frames the queue claims; the queue's NAPI alone
 * @rx: receive counters
 * @tx: transmit counters
 */
struct vmq_queue {
	struct vmq_dev *dev;
	struct vmq_consumer __rcu *consumer;
	struct vmq_filter __rcu *sole;
	u16 id;
	u16 pool;
	struct vmq_vector *vector;
	struct vmq_vector *line;

	u8 state;
	u8 owner;
	bool rings;
	bool started;
	bool parked;
	bool exact;
	bool check;
	bool undrained;
	u8 restore;
	u32 nr_filters;
	u16 cpu_load;
	u32 buffers;
	char vm_name[VMQ_NAME_LEN];
	char queue_name[VMQ_NAME_LEN];

	/* Written for every batch: away from what every batch reads. */
	struct vmq_rx_memory memory ____cacheline_aligned_in_smp;
	unsigned long busy;
	struct vmq_queue_rx_stats rx;
	struct vmq_queue_tx_stats tx ____cacheline_aligned_in_smp;
};

/**
 * struct vmq_dev - one VMQ capable port of a NIC
 *
 * Must be the first member of netdev_priv() of the uplink.
 *
 * @uplink: the physical port's netdev
 * @ops: backend
 * @caps: backend's facts
 * @queues: array of @caps->pools queues
 * @vectors: array of as many as @caps says
 * @sw: attached vswitch, or NULL. RCU, written under rtnl
 * @lock: protects queues, filters, placement and @open; taken after rtnl,
 *	never held over (un)registration of a netdev
 * @open: between vmq_dev_open() and vmq_dev_close()
 * @filters: all filters by match; RCU readers, writers hold @lock
 * @filter_addrs: the same filters by address alone; under @lock
 * @filter_ids: filters by id, written under @lock, read under RCU
 * @filter_list: filters that a VM queue has, or gets back, and those that change,
 *	oldest first; under @lock
 * @filters_unsorted: until the next plan @filter_list is in no order; under @lock
 * @filter_age: how many filters there ever were; under @lock
 * @software_vids: by VLAN ID, how many filters are not in @filter_list; under
 *	@lock
 * @filter_changes: how often one got another queue or left; written under
 *	@lock, from 1 on
 * @route: what the NIC was told; under @lock
 * @next: what it will be told, while that is worked out; under @lock
 * @host_vids: VLANs of the host, which have to be received; under @lock
 * @vlan_mode: enum vmq_vlan_mode, written under @lock
 * @vlan_filtering: the NIC compares VLANs now; READ_ONCE() for sysfs
 * @count_hits: compare frames of exact queues, too, so that filters have hits
 * @mac_slots_free: address slots that no filter uses; READ_ONCE() for sysfs
 * @vlan_slots_free: the same of VLAN slots
 * @nr_default_filters: filters on queue 0, so that a batch without any costs
 *	no lookup; READ_ONCE() in the data path
 * @nr_any_filters: filters for any VLAN, so that without any a frame costs one
 *	lookup; READ_ONCE() in the data path
 * @nr_group_filters: filters of group addresses, likewise
 * @freeing: looks whether the readers of freed queues gave their frames back
 * @enabled: queues can be used; written under rtnl and @lock
 * @buffers: receive descriptors of queues for which nobody asked for others;
 *	the backend's to change, under rtnl
 * @coalesce: strict queues on one CPU share a vector; written under @lock
 * @measure: placement is dynamic, polls are to be timed; READ_ONCE() in the
 *	data path
 * @dynamic: what dynamic placement remembers, or NULL; under @lock
 * @balance: rounds of dynamic placement
 * @last_queue: id that the last write to vmq/allocate got, or 0
 * @cpus: that queues may use; written under @lock and @text_lock
 * @leaving: CPUs that leave or have left; bits change at any time
 * @left: CPUs that left since the last look at it; bits change at any time
 * @hotplug_node: place among those who are told of CPUs that come and go
 * @hotplug: puts queues onto CPUs that can be used
 * @text_lock: protects @last_error, the names of the queues and, for readers,
 *	@cpus; a leaf lock
 * @last_error: text and errno of the latest refusal
 */
struct vmq_dev {
	struct net_device *uplink;
	const struct vmq_hw_ops *ops;
	const struct vmq_hw_caps *caps;
	struct vmq_queue *queues;
	struct vmq_vector *vectors;
	struct vmq_switch __rcu *sw;

	struct mutex lock;	/* queues, filters, placement, @open */
	bool open;
	struct rhashtable *filters;
	struct rhltable *filter_addrs;
	struct xarray filter_ids;
	struct list_head filter_list;
	bool filters_unsorted;
	u64 filter_age;
	u32 *software_vids;
	unsigned long filter_changes;
	struct vmq_route *route;
	struct vmq_route *next;
	DECLARE_BITMAP(host_vids, VLAN_N_VID);
	u8 vlan_mode;
	bool vlan_filtering;
	bool count_hits;
	u16 mac_slots_free;
	u16 vlan_slots_free;
	u32 nr_default_filters;
	u32 nr_any_filters;
	u32 nr_group_filters;
	bool enabled;
	u32 buffers;
	bool coalesce;
	bool measure;
	struct vmq_dynamic *dynamic;
	struct delayed_work balance;
	u16 last_queue;
	struct delayed_work freeing;

	cpumask_var_t cpus;
	cpumask_var_t leaving;
	cpumask_var_t left;
	struct hlist_node hotplug_node;
	struct work_struct hotplug;

	spinlock_t text_lock;	/* last_error, names of the queues, @cpus */
	char last_error[160];
};

/**
 * vmq_dev_init - make the VMQ half of an uplink
 * @dev: first member of netdev_priv(@uplink), zeroed
 * @uplink: not yet registered, with @caps->pools rx and tx queues
 * @ops: backend; stays valid until vmq_dev_fini()
 * @caps: facts; stays valid until vmq_dev_fini()
 *
 * Also hangs the sysfs groups onto @uplink. The backend fills
 * @dev->vectors[n].irq afterwards, before register_netdev().
 *
 * Context: process, may sleep, neither rtnl nor the CPU hotplug lock held.
 *
 * Return: 0 or -ENOMEM or -EINVAL.
 */
int vmq_dev_init(struct vmq_dev *dev, struct net_device *uplink,
		 const struct vmq_hw_ops *ops, const struct vmq_hw_caps *caps);

/**
 * vmq_dev_fini - undo vmq_dev_init()
 * @dev: its uplink was never registered or is unregistered again
 *
 * Context: process, may sleep, no lock held. Cannot fail; does not wait for
 * readers that still hold frames.
 */
void vmq_dev_fini(struct vmq_dev *dev);

/**
 * vmq_dev_open - start queue 0 and every committed queue, replay all filters
 * @dev: the device, its NIC reset and initialised, global receive still off
 *
 * For ndo_open and for the second half of every reset.
 *
 * Context: rtnl held, may sleep.
 *
 * Return: 0, or a negative errno with every
 * queue stopped again.
 */
int vmq_dev_open(struct vmq_dev *dev);

/**
 * vmq_dev_close - stop all queues; tables stay
 * @dev: the device; global receive is off already
 *
 * Context: rtnl held, may sleep. Does nothing when not open. Cannot fail.
 */
void vmq_dev_close(struct vmq_dev *dev);

/**
 * vmq_dev_addr_check - may the host take this address?
 * @dev: the device
 * @addr: wanted address of the uplink, or one more of the host's
 * @extack: reason of a refusal, or NULL
 *
 * For the uplink's ndo_set_mac_address and ndo_fdb_add.
 *
 * Context: rtnl held.
 *
 * Return: 0, or -EADDRINUSE when a filter holds it.
 */
int vmq_dev_addr_check(struct vmq_dev *dev, const u8 *addr,
		       struct netlink_ext_ack *extack);

/**
 * vmq_dev_vid_add - a VLAN of the host, for the uplink's ndo_vlan_rx_add_vid
 * @dev: the device
 * @vid: 0 .. 4094
 *
 * While VLAN filtering is on the VLAN takes a slot, so that its broadcasts are
 * received; the kernel log tells when there is none left.
 *
 * Context: rtnl held, may sleep.
 */
void vmq_dev_vid_add(struct vmq_dev *dev, u16 vid);

/**
 * vmq_dev_vid_del - undo vmq_dev_vid_add()
 * @dev: the device
 * @vid: 0 .. 4094
 *
 * Context: rtnl held, may sleep.
 */
void vmq_dev_vid_del(struct vmq_dev *dev, u16 vid);

/**
 * vmq_queue_receive - hand over what one poll took from a queue's ring
 * @q: the queue
 * @napi: NAPI that polls it
 * @batch: skbs linked by skb->list, in ring order; each with skb->dev the
 *	uplink, the Ethernet header at skb->data (eth_type_trans() not called),
 *	VLAN tag in the metadata, rx queue recorded. Empty on return
 *
 * Context: the queue's NAPI poll (softirq). Counts packets and bytes.
 */
void vmq_queue_receive(struct vmq_queue *q, struct napi_struct *napi,
		       struct list_head *batch);

/**
 * vmq_queue_is_away - is a poll not where the queue's interrupt belongs?
 * @q: the queue
 *
 * A poll that takes its whole budget each time goes on where it is, and does
 * not follow an interrupt that was moved.
 *
 * Context: the queue's poll.
 *
 * Return: true when it should end, so that the interrupt begins the next one on
 * the queue's CPU.
 */
bool vmq_queue_is_away(const struct vmq_queue *q);

/**
 * vmq_queue_tx_wake - room in a transmit ring again
 * @q: the queue; its uplink tx queue is not stopped, whether or not it was
 *
 * Context: softirq. Lets a port with a qdisc go on.
 */
void vmq_queue_tx_wake(struct vmq_queue *q);

/**
 * vmq_uplink_xmit - let the vswitch see a frame that the host sends
 * @dev: the device
 * @skb: frame from the uplink's ndo_start_xmit, Ethernet header at skb->data
 *
 * Context: BH off, the uplink's tx queue lock held.
 *
 * Return: true when the frame was for a local port and is consumed.
 */
bool vmq_uplink_xmit(struct vmq_dev *dev, struct sk_buff *skb);

/**
 * vmq_ethtool_get_rxnfc - ethtool -n, -x: ring count and filters
 * @dev: the device
 * @info: request and answer
 * @rule_locs: for ETHTOOL_GRXCLSRLALL
 *
 * Context: rtnl held.
 *
 * Return: 0, -EOPNOTSUPP, -ENOENT or -EMSGSIZE.
 */
int vmq_ethtool_get_rxnfc(struct vmq_dev *dev, struct ethtool_rxnfc *info,
			  u32 *rule_locs);

/**
 * vmq_ethtool_set_rxnfc - ethtool -N: add and delete filters
 * @dev: the device
 * @info: request; the location is filled in on success
 *
 * Context: rtnl held, may sleep.
 *
 * Return: 0 or a negative errno; the reason is
 * in vmq/last_error and the kernel log.
 */
int vmq_ethtool_set_rxnfc(struct vmq_dev *dev, struct ethtool_rxnfc *info);

/**
 * vmq_dev_queue - a queue by id
 * @dev: the device
 * @id: 0 .. pools - 1
 *
 * Return: the queue.
 */
static inline struct vmq_queue *vmq_dev_queue(const struct vmq_dev *dev, u16 id)
{
	return &dev->queues[id];
}

/**
 * vmq_dev_vectors - how many vectors there are
 * @dev: the device
 *
 * Return: 1 .. pools.
 */
static inline u16 vmq_dev_vectors(const struct vmq_dev *dev)
{
	return dev->caps->vectors ?: dev->caps->pools;
}

/**
 * vmq_queue_buffers - receive descriptors that a queue's ring has, or will have
 * @q: the queue
 *
 * Context: any.
 *
 * Return: a power of two.
 */
static inline u32 vmq_queue_buffers(const struct vmq_queue *q)
{
	u32 own = READ_ONCE(q->buffers);

	return own ? own : READ_ONCE(q->dev->buffers);
}

/**
 * vmq_queue_poll_begin - a poll begins
 * @q: the queue
 *
 * Context: the queue's poll.
 *
 * Return: to be given to vmq_queue_poll_end().
 */
static inline u64 vmq_queue_poll_begin(const struct vmq_queue *q)
{
	return unlikely(READ_ONCE(q->dev->measure)) ? local_clock() : 0;
}

/**
 * vmq_queue_poll_end - a poll has done its work
 * @q: the queue
 * @began: what vmq_queue_poll_begin() returned
 *
 * Between the end of the poll for NAPI and the unmasking of the interrupt. One
 * that fires all the same may begin the next poll on another CPU, and one of
 * the two is not counted then.
 *
 * Context: the queue's poll.
 */
static inline void vmq_queue_poll_end(struct vmq_queue *q, u64 began)
{
	if (unlikely(began))
		WRITE_ONCE(q->busy, q->busy +
			   (unsigned long)(local_clock() - began));
}

/**
 * vmq_queue_rx_drop - count frames that were not delivered
 * @q: the queue
 * @why: by this name
 * @frames: how many
 *
 * Context: the queue's poll, or BH off and its NAPI disabled.
 */
static inline void vmq_queue_rx_drop(struct vmq_queue *q, enum vmq_rx_drop why,
				     unsigned int frames)
{
	u64_stats_update_begin(&q->rx.syncp);
	u64_stats_add(&q->rx.drops[why], frames);
	u64_stats_update_end(&q->rx.syncp);
}

/**
 * vmq_queue_tx_drop - count frames that were not sent
 * @q: the queue
 * @why: by this name
 * @frames: how many
 *
 * Context: BH off, the lock of the uplink's tx queue held.
 */
static inline void vmq_queue_tx_drop(struct vmq_queue *q, enum vmq_tx_drop why,
				     unsigned int frames)
{
	u64_stats_update_begin(&q->tx.syncp);
	u64_stats_add(&q->tx.drops[why], frames);
	u64_stats_update_end(&q->tx.syncp);
}

#endif /* _VMQ_HW_H */
