/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between the core and the vswitch (or another in-kernel user of
 * queues). Control goes down through these calls; frames come up through
 * struct vmq_switch_ops and struct vmq_consumer_ops.
 */
#ifndef _VMQ_SWITCH_H
#define _VMQ_SWITCH_H

#include <linux/netdevice.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <vmq/vmq.h>

struct vmq_consumer;
struct vmq_dev;
struct vmq_switch;

/**
 * enum vmq_freed - what came back that a port may have waited for
 * @VMQ_FREED_QUEUE: a queue is undefined again
 * @VMQ_FREED_FILTER: a filter left a queue, or VLANs are compared in another
 *	way: the NIC may do what it could not
 */
enum vmq_freed {
	VMQ_FREED_QUEUE,
	VMQ_FREED_FILTER,
};

/**
 * struct vmq_switch_ops - what a vswitch does with frames no queue claimed
 * @receive: frames of the default queue, and frames of other queues that their
 *	filters did not claim. @batch as for vmq_queue_receive(); takes off the
 *	list what it consumes, and leaves the rest there, untouched, for the
 *	uplink's stack. Softirq, NAPI context of @napi, RCU read side.
 * @uplink_xmit: a frame that the host sends; true when it is consumed (it was
 *	for a local port). Broadcast is cloned and left. BH off, the uplink's tx
 *	queue lock held: deliver with netif_rx(), never transmit. RCU read side.
 * @tx_wake: room in the default queue's transmit ring again. Softirq, RCU read
 *	side.
 * @enabled: queues can be used from now on, or cannot: then all of the vswitch
 *	have to be given back before it returns. rtnl held, may sleep.
 * @freed: something came back. The device's lock is held: look at the device
 *	later, from elsewhere. RCU read side.
 */
struct vmq_switch_ops {
	void (*receive)(struct vmq_switch *sw, struct napi_struct *napi,
			struct list_head *batch);
	bool (*uplink_xmit)(struct vmq_switch *sw, struct sk_buff *skb);
	void (*tx_wake)(struct vmq_switch *sw);
	void (*enabled)(struct vmq_switch *sw, bool on);
	void (*freed)(struct vmq_switch *sw, enum vmq_freed what);
};

/**
 * struct vmq_switch - embedded in the vswitch's object for one uplink
 * @ops: callbacks
 */
struct vmq_switch {
	const struct vmq_switch_ops *ops;
};

/**
 * struct vmq_consumer_ops - what the taker of a queue's frames does
 * @receive: every frame in @batch (as for vmq_queue_receive()) is the
 *	consumer's; @batch is empty on return. Softirq, NAPI context of @napi,
 *	RCU read side.
 * @tx_wake: room in the queue's transmit ring again. Softirq, RCU read side.
 */
struct vmq_consumer_ops {
	void (*receive)(struct vmq_consumer *c, struct napi_struct *napi,
			struct list_head *batch);
	void (*tx_wake)(struct vmq_consumer *c);
};

/**
 * struct vmq_consumer - embedded in the object that takes a queue's frames
 * @ops: callbacks
 * @dev: netdev shown as the queue's port
 */
struct vmq_consumer {
	const struct vmq_consumer_ops *ops;
	struct net_device *dev;
};

/**
 * vmq_dev_from_uplink - the VMQ device of a netdev
 * @uplink: any netdev
 *
 * Context: the caller keeps @uplink alive.
 *
 * Return: NULL when it has no VMQ.
 */
struct vmq_dev *vmq_dev_from_uplink(struct net_device *uplink);

/**
 * vmq_dev_uplink - the uplink of a VMQ device
 * @dev: the device
 *
 * Return: its netdev.
 */
struct net_device *vmq_dev_uplink(const struct vmq_dev *dev);

/**
 * vmq_uplink_begin_store - what every store into a file of the uplink begins with
 * @dev: the device
 * @buf: what was written
 * @len: its length
 *
 * Takes rtnl, and finds the uplink still there, the writer its owner, and no NUL
 * in the text. Context: a sysfs store, no lock held.
 *
 * Return: 0, then call vmq_uplink_end_store(); or, with rtnl not held, the
 * store's result: restart_syscall() while rtnl is busy, -ENODEV, -EPERM, -EINVAL.
 */
int vmq_uplink_begin_store(struct vmq_dev *dev, const char *buf, size_t len);

/**
 * vmq_uplink_end_store - undo vmq_uplink_begin_store()
 */
void vmq_uplink_end_store(void);

/**
 * vmq_switch_attach - hand the default queue to a vswitch
 * @dev: the device
 * @sw: the vswitch; stays valid until vmq_switch_detach() returned
 *
 * Context: rtnl held.
 *
 * Return: 0, or -EBUSY when one is attached.
 */
int vmq_switch_attach(struct vmq_dev *dev, struct vmq_switch *sw);

/**
 * vmq_switch_detach - take the default queue back
 * @dev: the device
 * @sw: the attached vswitch
 *
 * No callback of @sw runs after return. Context: rtnl held, sleeps for a grace
 * period. Cannot fail.
 */
void vmq_switch_detach(struct vmq_dev *dev, struct vmq_switch *sw);

/**
 * vmq_dev_has_vmq - has the uplink queues for VMs at all?
 * @dev: the device
 *
 * Context: any.
 *
 * Return: false for a NIC that has, or can use, its default queue alone.
 */
bool vmq_dev_has_vmq(const struct vmq_dev *dev);

/**
 * vmq_dev_is_enabled - has the administrator left VMQ on?
 * @dev: the device
 *
 * Context: any; stays true under rtnl.
 *
 * Return: false while no queue can be allocated because it is off.
 */
bool vmq_dev_is_enabled(const struct vmq_dev *dev);

/**
 * vmq_dev_addrs_max - how many addresses can VM queues have together?
 * @dev: the device
 *
 * Who has more need not ask for a queue. Context: any.
 *
 * Return: the number of the NIC's MAC filters that are not the host's.
 */
unsigned int vmq_dev_addrs_max(const struct vmq_dev *dev);

/**
 * vmq_queue_available - how many queues could be allocated?
 * @dev: the device
 *
 * Asks without a refusal being told. Context: rtnl held.
 *
 * Return: the number of queues that are undefined; 0 while VMQ is off.
 */
unsigned int vmq_queue_available(struct vmq_dev *dev);

/**
 * vmq_queue_coming - how many queues will be available without being asked for?
 * @dev: the device
 *
 * Readers still hold their frames; VMQ_FREED_QUEUE tells of each. Context: rtnl
 * held.
 *
 * Return: the number of queues that are freeing, but for those that the
 * administrator gets back.
 */
unsigned int vmq_queue_coming(struct vmq_dev *dev);

/**
 * vmq_queue_allocate - take the lowest undefined queue
 * @dev: the device
 * @vm_name: 1 .. 63 printable characters
 * @extack: reason of a refusal
 *
 * Context: rtnl held.
 *
 * Return: the queue's id (above 0), or -ENOSPC, -EINVAL, -EOPNOTSUPP without
 * vmq_dev_has_vmq().
 */
int vmq_queue_allocate(struct vmq_dev *dev, const char *vm_name,
		       struct netlink_ext_ack *extack);

/**
 * vmq_queue_commit - end of the allocation: rings and interrupts come to life
 * @dev: the device
 * @ids: queues of the vswitch, allocated or set
 * @status: what became of each: 0, -EINVAL in another state or for an id
 *	beyond the last, -ENOENT, -EADDRINUSE, -ENOMEM, -ENODEV, -ETIMEDOUT
 * @n: how many
 * @extack: reason of the last refusal
 *
 * Each queue is committed or refused on its own; frames of the filters of all
 * that are committed change to their rings together.
 *
 * Context: rtnl held, may sleep.
 *
 * Return: 0 when all run, else the first error in @status.
 */
int vmq_queue_commit(struct vmq_dev *dev, const u16 *ids, int *status,
		     unsigned int n, struct netlink_ext_ack *extack);

/**
 * vmq_queue_release - give a queue back, whatever state it is in
 * @dev: the device
 * @id: a queue of the vswitch
 *
 * Filters that are still on it are moved to the default queue first (parked,
 * nothing lost); DMA stops; the consumer is cleared, and is not called any
 * more on return. Context: rtnl held, sleeps. Cannot fail.
 */
void vmq_queue_release(struct vmq_dev *dev, u16 id);

/**
 * vmq_queue_set_consumer - who takes the frames of a queue
 * @dev: the device
 * @id: a queue of the vswitch
 * @c: the consumer, or NULL for the uplink's stack
 *
 * The old consumer is not called any more on return. Context: rtnl held,
 * sleeps for a grace period when there was one.
 */
void vmq_queue_set_consumer(struct vmq_dev *dev, u16 id,
			    struct vmq_consumer *c);

/**
 * vmq_filter_check - would the device refuse this match on any queue?
 * @dev: the device
 * @m: what to match
 * @extack: reason of a refusal
 *
 * Context: rtnl held.
 *
 * Return: 0, or -EEXIST, -EADDRINUSE, -EINVAL, -EOPNOTSUPP.
 */
int vmq_filter_check(struct vmq_dev *dev, const struct vmq_match *m,
		     struct netlink_ext_ack *extack);

/**
 * vmq_filter_add - claim frames for a queue
 * @dev: the device
 * @id: the queue; 0 claims the match in software only
 * @m: what to match
 * @extack: reason of a refusal
 *
 * The filter belongs to the vswitch. Context: rtnl held, may sleep.
 *
 * Return: the filter's id (above 0) or -EEXIST, -EADDRINUSE, -ENOSPC, -EINVAL,
 * -ENOENT, -EOPNOTSUPP; a refusal changed nothing.
 */
int vmq_filter_add(struct vmq_dev *dev, u16 id, const struct vmq_match *m,
		   struct netlink_ext_ack *extack);

/**
 * vmq_filter_del - give a claim up
 * @dev: the device
 * @fid: id from vmq_filter_add()
 *
 * Frames that the NIC had put into the queue's ring are delivered before it
 * returns; later ones use the default queue. Context: rtnl held, may sleep.
 *
 * Return: 0, or -ENOENT.
 */
int vmq_filter_del(struct vmq_dev *dev, u32 fid);

/**
 * vmq_filter_move - move every filter of the vswitch from one queue to another
 * @dev: the device
 * @fids: filter ids, all on one queue, which may be the default queue
 * @n: how many
 * @to: the queue they go to, which may be the default queue
 * @extack: reason of a refusal
 *
 * Loses, doubles and reorders nothing. All or none is moved.
 * Context: rtnl held, sleeps.
 *
 * Return: 0, -ENOSPC, -EOPNOTSUPP, -EBUSY, -ENOENT, -EADDRINUSE (@to is the
 * administrator's), -EINVAL or -ENOMEM; a move to the default queue can fail for
 * lack of memory only.
 */
int vmq_filter_move(struct vmq_dev *dev, const u32 *fids, unsigned int n,
		    u16 to, struct netlink_ext_ack *extack);

/**
 * vmq_match_is_claimed_rcu - does any queue's filter claim these frames?
 * @dev: the device
 * @m: what the frames ask for
 *
 * Also while they come by the default queue. The vswitch shows them to nobody
 * else.
 *
 * Context: RCU read side.
 *
 * Return: true when one does, whoever owns it.
 */
bool vmq_match_is_claimed_rcu(const struct vmq_dev *dev,
			      const struct vmq_match *m);

/**
 * vmq_group_consumer_rcu - who gets a copy of a group's frames from the NIC
 * @dev: the device
 * @m: what a frame of the default queue asks for; a group address
 *
 * The vswitch gives that consumer none. While the claim changes a frame may
 * reach it twice, but not get lost.
 *
 * Context: RCU read side.
 *
 * Return: the consumer of the queue that has claimed the group, or NULL.
 */
struct vmq_consumer *vmq_group_consumer_rcu(const struct vmq_dev *dev,
					    const struct vmq_match *m);

/**
 * vmq_queue_xmit - post a frame to a queue's own transmit ring
 * @dev: the device
 * @id: the queue; 0 for a port that has none
 * @skb: frame, Ethernet header at skb->data; consumed always
 *
 * Takes the lock of the uplink's tx queue @id, so never call it from
 * vmq_switch_ops.uplink_xmit. Packet taps of the uplink see the frame.
 *
 * Context: BH off.
 *
 * Return: NET_XMIT_SUCCESS, or NET_XMIT_DROP when the ring was
 * full, or the uplink down or without carrier.
 */
int vmq_queue_xmit(struct vmq_dev *dev, u16 id, struct sk_buff *skb);

/**
 * vmq_queue_tx_full - would a frame find the transmit ring full?
 * @dev: the device
 * @id: the queue
 *
 * Context: any.
 *
 * Return: true when the uplink's tx queue is stopped.
 */
bool vmq_queue_tx_full(const struct vmq_dev *dev, u16 id);

/**
 * vmq_queue_tx_drain - wait until all posted frames of a ring are on the wire
 * @dev: the device
 * @id: the queue
 *
 * Context: rtnl held, sleeps, bounded.
 *
 * Return: 0 or -ETIMEDOUT.
 */
int vmq_queue_tx_drain(struct vmq_dev *dev, u16 id);

/**
 * vmq_queue_cpu - which CPU delivers the frames of a queue
 * @dev: the device
 * @id: the queue; 0 for a port that has none
 *
 * Work that is done for the same VM is best done beside it.
 *
 * Context: any; the uplink stays registered.
 *
 * Return: the CPU that the queue's interrupt goes to now, or -1 while it goes
 * nowhere because the queue's rings do not run.
 */
int vmq_queue_cpu(const struct vmq_dev *dev, u16 id);

/**
 * vmq_stack_receive - give a frame to the uplink's stack
 * @dev: the device
 * @napi: the NAPI that polled the frame
 * @skb: as for vmq_queue_receive(); consumed
 *
 * Context: NAPI context of @napi.
 */
void vmq_stack_receive(struct vmq_dev *dev, struct napi_struct *napi,
		       struct sk_buff *skb);

#endif /* _VMQ_SWITCH_H */
