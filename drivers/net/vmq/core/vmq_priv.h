/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of vmq.ko share among themselves. */
#ifndef _VMQ_PRIV_H
#define _VMQ_PRIV_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <vmq/hw.h>
#include <vmq/switch.h>

/* What happens to a queue; the columns of the state machine. */
enum vmq_queue_event {
	VMQ_EVENT_ALLOCATE,
	VMQ_EVENT_FILTER_SET,
	VMQ_EVENT_FILTER_CLEAR,		/* another filter stays */
	VMQ_EVENT_FILTER_CLEAR_LAST,
	VMQ_EVENT_COMMIT,
	VMQ_EVENT_FREE,
	VMQ_EVENT_DMA_STOPPED,
	VMQ_EVENT_RETURNED,		/* no reader holds a frame any more */
};

/* What comes back of a queue when VMQ is on again. */
enum vmq_restore {
	VMQ_RESTORE_NONE,
	VMQ_RESTORE_CPU,	/* a port's: for the port that gets it then */
	VMQ_RESTORE_ALLOCATED,
	VMQ_RESTORE_COMMITTED,
};

/* What a filter does in the change that is under way. */
enum vmq_change {
	VMQ_CHANGE_NONE,
	VMQ_CHANGE_ENTER,
	VMQ_CHANGE_MOVE,
	VMQ_CHANGE_LEAVE,
};

/* One filter: frames that equal @m belong to @queue. */
struct vmq_filter {
	struct rhash_head node;
	struct rhlist_head same_addr;
	struct list_head list;	/* see vmq_route_list() */
	struct vmq_match m;
	u32 id;
	u16 queue;		/* changes while the queue it goes to is held */
	u16 to;			/* where it goes; the same when nothing changes */
	u16 home;		/* queue it comes back to when VMQ is on, or 0 */
	u8 change;		/* enum vmq_change */
	bool steered;		/* of a group: the NIC gives @queue a copy */
	u8 owner;
	u64 age;		/* the lower, the older */
	atomic64_t hits;	/* two NAPIs count while a filter moves */
	struct rcu_head rcu;
};

/* Shadow of one address slot of the NIC. Free while @users is 0. */
struct vmq_mac_slot {
	u8 addr[ETH_ALEN];
	u16 users;		/* filters of VM queues with this address */
	u64 queues;		/* bitmap of their queues, by id */
};

/* Shadow of one VLAN slot; in use only while VLAN filtering is on. */
struct vmq_vlan_slot {
	u16 vid;
	u16 users;		/* who needs it: filters, and the host */
	u64 queues;		/* bitmap of the VM queues that are in the VLAN */
};

/* All that the NIC is told about where frames go. */
struct vmq_route {
	struct vmq_mac_slot macs[VMQ_MAX_MAC_SLOTS];
	struct vmq_vlan_slot vlans[VMQ_MAX_VLAN_SLOTS];
	u64 untagged;		/* queues that take untagged frames */
	u64 live;		/* queues whose rings run: others are left out */
	bool vlan_filtering;
	bool lacking;		/* some VLAN found no slot: @lacking_vid first */
	u16 lacking_vid;
};

/* What decides between CPUs for a queue. */
struct vmq_choice {
	struct cpumask usable;		/* candidates */
	struct cpumask near;		/* the NIC */
	struct cpumask isolated;	/* kept for other work */
	unsigned int now;		/* the queue's CPU, or VMQ_NO_CPU */
	u16 load[];			/* other queues, by CPU */
};

/* vmq_state.c */
const char *vmq_state_name(enum vmq_queue_state state);
int vmq_state_next(enum vmq_queue_state state, enum vmq_queue_event event);

/* vmq_parse.c */
const char *vmq_match_check(const struct vmq_match *m, int *err);
int vmq_match_parse(const char *buf, struct vmq_match *m);
int vmq_match_format(char *buf, size_t size, const struct vmq_match *m);
bool vmq_name_valid(const char *name);

/* vmq_ntuple.c */
const char *vmq_ntuple_parse(const struct ethtool_rx_flow_spec *fs,
			     struct vmq_match *m, int *err);
void vmq_ntuple_format(struct ethtool_rx_flow_spec *fs,
		       const struct vmq_match *m);

/* vmq_route.c: what the NIC has to be told, with vmq_dev.lock held */
int vmq_route_init(struct vmq_dev *dev);
void vmq_route_fini(struct vmq_dev *dev);
u64 vmq_route_live(const struct vmq_dev *dev);
void vmq_route_add_idle(struct vmq_dev *dev, struct vmq_filter *f);
void vmq_route_del_idle(struct vmq_dev *dev, const struct vmq_filter *f);
u32 vmq_route_count_idle(const struct vmq_dev *dev, const struct vmq_filter *f);
void vmq_route_list(struct vmq_dev *dev, struct vmq_filter *f);
void vmq_route_unlist_idle(struct vmq_dev *dev);
int vmq_route_plan(struct vmq_dev *dev, struct netlink_ext_ack *extack);
bool vmq_route_can_improve(const struct vmq_dev *dev);
void vmq_route_publish(struct vmq_dev *dev);
bool vmq_route_is_exact(struct vmq_dev *dev, u16 queue);

/* vmq_shift.c: telling it, with vmq_dev.lock held */
void vmq_route_replay(struct vmq_dev *dev);
void vmq_shift_apply(struct vmq_dev *dev);
void vmq_shift_replan(struct vmq_dev *dev);
void vmq_shift_settle(struct vmq_dev *dev);

/* vmq_vlan.c */
int vmq_vlan_set_mode_locked(struct vmq_dev *dev, enum vmq_vlan_mode mode,
			     struct netlink_ext_ack *extack);

/* vmq_cpus.c: which CPUs; vmq_dev.lock held */
int vmq_cpus_init(struct vmq_dev *dev);
void vmq_cpus_fini(struct vmq_dev *dev);
unsigned int vmq_cpus_choose(const struct vmq_choice *c);
unsigned int vmq_cpus_pick(const struct vmq_vector *v);
unsigned int vmq_cpus_list(const struct vmq_dev *dev, unsigned int *cpus);
bool vmq_cpus_usable(const struct vmq_dev *dev, unsigned int cpu);
bool vmq_cpus_fit(const struct vmq_dev *dev, unsigned int cpu);
int vmq_cpus_set_locked(struct vmq_dev *dev, const struct cpumask *cpus,
			struct netlink_ext_ack *extack);

/* vmq_vector.c: who uses which; vmq_dev.lock held */
int vmq_vector_init(struct vmq_dev *dev);
bool vmq_vector_is_allocated(const struct vmq_vector *v,
			     const struct vmq_queue *except);
void vmq_vector_announce(struct vmq_vector *v, const char *file);
void vmq_vector_notify(struct vmq_vector *v);
void vmq_vector_kick(struct vmq_vector *v);
int vmq_vector_attach(struct vmq_queue *q);
void vmq_vector_detach(struct vmq_queue *q);
void vmq_vector_regroup(struct vmq_dev *dev);

/* vmq_placement.c: vmq_dev.lock held, but for the one that is effective */
enum vmq_move vmq_placement_why(const struct vmq_vector *v);
void vmq_placement_assign(struct vmq_queue *q);
void vmq_placement_revive(struct vmq_queue *q);
void vmq_placement_reseat(struct vmq_vector *v, enum vmq_move why);
int vmq_placement_set(struct vmq_vector *v, unsigned int cpu,
		      enum vmq_move why);
int vmq_placement_set_policy(struct vmq_vector *v, enum vmq_cpu_policy policy);
void vmq_placement_pin(struct vmq_vector *v);
void vmq_placement_lock_irq(struct vmq_vector *v);
void vmq_placement_unhint(struct vmq_vector *v);
void vmq_placement_unlock_irq(struct vmq_vector *v);
unsigned int vmq_placement_serves(const struct vmq_vector *v);
int vmq_placement_effective(const struct vmq_queue *q);

/* vmq_dynamic.c: the first two without a lock, the others with vmq_dev.lock */
void vmq_dynamic_init(struct vmq_dev *dev);
void vmq_dynamic_fini(struct vmq_dev *dev);
bool vmq_dynamic_is_home(const struct vmq_dev *dev, unsigned int cpu);
void vmq_dynamic_round(struct vmq_dev *dev, u64 elapsed);
int vmq_dynamic_set_locked(struct vmq_dev *dev, bool dynamic,
			   struct netlink_ext_ack *extack);

/* vmq_hotplug.c: no lock held */
int vmq_hotplug_setup(void);
void vmq_hotplug_remove(void);
int vmq_hotplug_join(struct vmq_dev *dev);
void vmq_hotplug_leave(struct vmq_dev *dev);
void vmq_hotplug_tell(struct vmq_dev *dev, unsigned int cpu, bool leaving);

/* vmq_queue.c: all with vmq_dev.lock held */
int vmq_queue_check_id(struct vmq_dev *dev, u16 id,
		       struct netlink_ext_ack *extack);
int vmq_queue_check_vmq(struct vmq_dev *dev, struct netlink_ext_ack *extack);
int vmq_queue_allocate_any_locked(struct vmq_dev *dev, enum vmq_owner owner,
				  const char *vm_name,
				  struct netlink_ext_ack *extack);
int vmq_queue_allocate_locked(struct vmq_queue *q, enum vmq_owner owner,
			      const char *vm_name,
			      struct netlink_ext_ack *extack);
int vmq_queue_check_owner(struct vmq_queue *q, enum vmq_owner owner,
			  struct netlink_ext_ack *extack);
int vmq_queue_commit_locked(struct vmq_queue *q, enum vmq_owner owner,
			    struct netlink_ext_ack *extack);
int vmq_queue_free_locked(struct vmq_queue *q, enum vmq_owner owner,
			  struct netlink_ext_ack *extack);
void vmq_queue_end_locked(struct vmq_queue *q);
int vmq_queue_event(struct vmq_queue *q, enum vmq_queue_event event);
void vmq_queue_announce(struct vmq_queue *q, const char *file);
void vmq_queue_renamed(struct vmq_queue *q, const char *file);
const char *vmq_queue_up_reason(int err);
int vmq_queue_up(struct vmq_queue *q);
void vmq_queue_down(struct vmq_queue *q);
void vmq_queue_run_dry(struct vmq_queue *q);
void vmq_queue_freeing_work(struct work_struct *work);
void vmq_queue_finish_freeing(struct vmq_dev *dev);

/* vmq_buffers.c */
u32 vmq_buffers_fit(const struct vmq_hw_caps *caps, u32 wanted);
int vmq_buffers_set_locked(struct vmq_queue *q, u32 wanted,
			   struct netlink_ext_ack *extack);

/* vmq_enable.c: rtnl held, and for the first vmq_dev.lock */
void vmq_enable_restore_locked(struct vmq_queue *q);
int vmq_dev_enable(struct vmq_dev *dev, bool on,
		   struct netlink_ext_ack *extack);

/* vmq_rx.c: vmq_dev.lock held */
void vmq_switch_tell(struct vmq_dev *dev, enum vmq_freed what);

/* vmq_filter.c: writers hold vmq_dev.lock, find and hit are RCU readers */
int vmq_filter_table_init(struct vmq_dev *dev);
void vmq_filter_table_fini(struct vmq_dev *dev);
struct vmq_filter *vmq_filter_claims_rcu(const struct vmq_dev *dev,
					 const struct vmq_match *m);
void vmq_filter_changed(struct vmq_dev *dev);
struct vmq_filter *vmq_filter_find_locked(struct vmq_dev *dev,
					  const struct vmq_match *m);
struct vmq_filter *vmq_filter_by_id(struct vmq_dev *dev, u32 id);
struct rhlist_head *vmq_filter_find_addr_rcu(const struct vmq_dev *dev,
					     const u8 *addr);
int vmq_filter_check_match(struct vmq_dev *dev, const struct vmq_match *m,
			   struct netlink_ext_ack *extack);
int vmq_filter_add_locked(struct vmq_dev *dev, u16 id,
			  const struct vmq_match *m, enum vmq_owner owner,
			  u32 location, struct netlink_ext_ack *extack);
int vmq_filter_transfer(struct vmq_dev *dev, struct vmq_filter **filters,
			unsigned int n, u16 to,
			struct netlink_ext_ack *extack);
int vmq_filter_del_locked(struct vmq_dev *dev, u32 fid, enum vmq_owner owner,
			  struct netlink_ext_ack *extack);
void vmq_filter_park_locked(struct vmq_queue *q);
void vmq_filter_leave_home_locked(struct vmq_queue *q);
void vmq_filter_come_home_locked(struct vmq_queue *q);

/* vmq_sysfs_dev.c, vmq_sysfs_queue.c */
extern const struct attribute_group vmq_dev_group;
extern const struct attribute_group vmq_queue_group;
int vmq_sysfs_begin_store(struct vmq_dev *dev, const char *buf, size_t len);
void vmq_sysfs_end_store(struct vmq_dev *dev);

static inline struct vmq_dev *vmq_dev_from_netdev(struct net_device *uplink)
{
	return netdev_priv(uplink);
}

/* Neither undefined nor on its way there. */
static inline bool vmq_queue_is_allocated(const struct vmq_queue *q)
{
	return q->state != VMQ_QUEUE_UNDEFINED && q->state < VMQ_QUEUE_STOPPING;
}

/* Placement has one CPU for it, and the interrupt is its to move. */
static inline bool vmq_queue_has_cpu(const struct vmq_queue *q)
{
	return !q->vector->irq_shared &&
	       READ_ONCE(q->vector->cpu_policy) != VMQ_CPU_FREE;
}

static inline bool vmq_queue_is_committed(const struct vmq_queue *q)
{
	return q->state == VMQ_QUEUE_RUNNING || q->state == VMQ_QUEUE_PAUSED;
}

#endif /* _VMQ_PRIV_H */
