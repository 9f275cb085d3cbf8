/* SPDX-License-Identifier: GPL-2.0-only */
/* The vswitch's own objects: one uplink with its ports and their table. */
#ifndef _VSW_PRIV_H
#define _VSW_PRIV_H

#include <linux/device.h>
#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <vmq/switch.h>
#include "vsw_policy.h"
#include "vsw_share.h"
#include "vsw_table.h"
#include "vsw_weight.h"
#include "vsw_vlan.h"

/* Room for the longest reason, with the terminating NUL. */
#define VSW_REASON_LEN	32

/* Why a port does not hold a queue. */
enum vsw_reason {
	VSW_REASON_NONE,
	VSW_REASON_NO_QUEUE,
	VSW_REASON_WEIGHT_0,
	VSW_REASON_EXCLUSIVE,
	VSW_REASON_NO_VMQ,
	VSW_REASON_DISABLED,
	VSW_REASON_NO_SLOT,
	VSW_REASON_NOT_EXACT,
	VSW_REASON_NO_MEMORY,
	VSW_REASON_NO_START,
};

/* Counters of one uplink's switch, per CPU; written with BH off. */
struct vsw_switch_stats {
	struct u64_stats_sync syncp;
	u64_stats_t lookups;
	u64_stats_t reflected;
	/* Of the host to the wire, while the uplink is divided. */
	u64_stats_t host_bytes;
};

/* One instance is the division of an uplink's transmit among its ports. */
struct vsw_meter {
	/* What the wire beyond the NIC carries, megabit/s; 0: the link. rtnl. */
	u32 max_mbps;
	/* Ports with another weight than they are born with; rtnl. */
	unsigned int uneven;
	/* Protects what follows, and vsw_port.share. */
	struct mutex lock;
	/* Its capacity is 0 while nothing is divided; read without the lock. */
	struct vsw_share share;
	/* Its load is all that counts, and what it had sent when measured. */
	struct vsw_share_port host;
	u64 host_bytes;
	s64 measured_at;
	/* Divides again and again. */
	struct delayed_work work;
};

/* Counters of one port besides those of ip -s link, per CPU; BH off. */
struct vsw_port_stats {
	struct u64_stats_sync syncp;
	u64_stats_t rx_queue_packets;
	u64_stats_t rx_switch_packets;
	u64_stats_t rx_vlan_mismatch_packets;
	u64_stats_t tx_vlan_dropped;
	u64_stats_t rx_mirror_packets;
	/* By the bit of the policy that they offended. */
	u64_stats_t tx_policy_dropped[VSW_POLICY_SEND_BITS];
};

/* One instance is the switch of one uplink, attached while it has a port. */
struct vsw_uplink {
	struct vmq_switch sw;
	struct vmq_dev *vmq;
	struct net_device *dev;
	struct vsw_table table;
	struct vsw_switch_stats __percpu *stats;

	/* Ports that are not being deleted, oldest first; rtnl. */
	struct list_head ports;
	/* In vsw_uplinks, until the uplink goes. */
	struct list_head node;
	struct rcu_head rcu;
	bool gone;
	/* Ports, also those being deleted; rtnl. */
	unsigned int nr_ports;
	/* Which of them hold queues; rtnl. */
	struct vsw_weight weight;
	/* Offers what came back to ports without a queue. */
	struct delayed_work promote;
	/* Brings the entries of ports in line with their unicast lists. */
	struct delayed_work rx_mode;
	/* Bits of enum vmq_freed: what came back since it was last offered. */
	unsigned long freed;
	/* When ports that could not take a queue are next asked; jiffies. */
	unsigned long retry_at;
	/* Measures the ports while load decides, and when it last did; jiffies. */
	struct delayed_work sample;
	unsigned long sampled_at;
	/* What no port takes is cloned to a promiscuous uplink's stack. */
	bool flood;
	struct vsw_meter meter;
};

/* One instance is a VM's network interface; netdev_priv() of its netdev. */
struct vsw_port {
	struct net_device *dev;
	struct vsw_uplink *uplink;
	/* Stays valid until the netdev is freed, longer than @uplink. */
	struct net_device *lower;
	netdevice_tracker lower_tracker;
	struct vsw_port_stats __percpu *stats;
	/* Queue the port holds, or 0. Written under rtnl. */
	u16 queue;
	/* Frames to the wire wait in @held while transmit changes its ring. */
	bool tx_holding;
	/* Exclusive, and without a queue: as if its cable was pulled. */
	bool starved;
	u8 reason;
	/* Why it could not take a queue, while @rank.cannot; rtnl. */
	u8 failure;
	/* What was last announced as @queue; rtnl. */
	u16 told;
	/* Frames sent and received when last measured; rtnl. */
	u64 frames;
	struct vsw_weight_port rank;
	/* The unicast list may have changed since it was looked at. */
	bool rx_stale;
	/* There was no memory for its groups: it gets all of them. */
	bool groups_stale;
	/* Entries with vsw_entry.rx_mode, and what is wanted in vain. */
	unsigned int rx_addresses;
	unsigned int addresses_refused;
	unsigned int groups_refused;
	/* Bits of enum vsw_policy_bit: all that is on, in one word. */
	unsigned long policy;

	struct vmq_consumer consumer;
	struct vsw_member member;
	/* Claim of a new port's address, until the switch knows it; rtnl. */
	struct vsw_entry *own;
	/* What it was told of VLANs, or NULL; written under rtnl. */
	struct vsw_vlans __rcu *vlans;
	/* The priority in a tag that the VM sends does not count; rtnl. */
	bool priority_untrusted;
	/* What the VM sends has to be looked at for one of the two. */
	bool vlan_tx;
	/* In vsw_uplink.ports; rtnl. */
	struct list_head node;
	/* Its lock is taken before that of the uplink's tx queue. */
	struct sk_buff_head held;

	/* Addresses that the VM may use besides its own; written under rtnl. */
	struct vsw_allowed __rcu *allowed;
	/* Who gets a copy of all frames; written under rtnl. */
	struct vsw_port __rcu *mirror;
	/* Ports that this one gets copies of; rtnl. */
	unsigned int mirrored;
	/* Limit of group and unknown frames: of a second, and what one costs. */
	u32 storm_pps;
	u32 storm_cost;
	struct vsw_bucket storm;
	struct vsw_heard *heard;
	struct vsw_shaper shaper;
	/* Holds the port to its share of the uplink. */
	struct vsw_shaper wire;
	struct vsw_share_port share;
};

static inline bool vsw_meter_is_on(const struct vsw_meter *m)
{
	return READ_ONCE(m->share.capacity);
}

/* Frames for a port that is off are dropped, and it sends none. */
static inline bool vsw_port_is_off(const struct vsw_port *port)
{
	return !netif_running(port->dev) || READ_ONCE(port->starved);
}

/* vsw_main.c */
struct vsw_uplink *vsw_uplink_find(const struct net_device *dev);
struct vsw_uplink *vsw_uplink_get(struct vmq_dev *vmq,
				  struct netlink_ext_ack *extack);
void vsw_uplink_put(struct vsw_uplink *up);

/* vsw_port.c */
extern struct rtnl_link_ops vsw_port_link_ops;
extern const struct net_device_ops vsw_port_netdev_ops;

bool vsw_port_is_foreign(const struct vsw_port *port);
int vsw_port_may_change(const struct vsw_port *port,
			struct netlink_ext_ack *extack);
int vsw_port_check_addr(const struct vsw_port *port, const u8 *addr,
			struct netlink_ext_ack *extack);
void vsw_port_update_carrier(struct vsw_port *port);
void vsw_port_update_mtu(struct vsw_port *port);

/* vsw_queue.c */
void vsw_queue_take(struct vsw_port *port);
void vsw_queue_give(struct vsw_port *port);
void vsw_queue_announce(struct vsw_port *port);
int vsw_queue_errno(enum vsw_reason reason);
const char *vsw_queue_reason(const struct vsw_port *port);

/* vsw_promote.c */
void vsw_promote_init(struct vsw_uplink *up);
void vsw_promote_stop(struct vsw_uplink *up);
int vsw_promote_join(struct vsw_port *port, bool exclusive,
		     struct netlink_ext_ack *extack);
void vsw_promote_leave(struct vsw_port *port);
int vsw_promote_set_weight(struct vsw_port *port, u8 weight);
int vsw_promote_set_exclusive(struct vsw_port *port, bool exclusive,
			      struct netlink_ext_ack *extack);
int vsw_promote_set_policy(struct vsw_uplink *up,
			   enum vsw_weight_policy policy);
void vsw_promote_enabled(struct vmq_switch *sw, bool on);
void vsw_promote_freed(struct vmq_switch *sw, enum vmq_freed what);

/* vsw_forward.c */
extern const struct vmq_switch_ops vsw_forward_switch_ops;
extern const struct vmq_consumer_ops vsw_forward_consumer_ops;

netdev_tx_t vsw_forward_port_xmit(struct sk_buff *skb, struct net_device *dev);
void vsw_forward_send(struct vsw_port *port, struct sk_buff *skb,
		      const struct vmq_match *match);
bool vsw_forward_is_host(const struct net_device *dev, const u8 *addr);
void vsw_forward_send_wire(struct vsw_port *port, struct sk_buff *skb);
void vsw_forward_deliver_mirrored(struct vsw_port *to, struct sk_buff *skb);
void vsw_forward_receive_mirrored(struct vsw_port *to, struct sk_buff *skb);
void vsw_forward_hold(struct vsw_port *port);
void vsw_forward_release(struct vsw_port *port);

/* vsw_rx_mode.c */
void vsw_rx_mode_set(struct net_device *dev);
void vsw_rx_mode_recheck(struct vsw_port *port);
void vsw_rx_mode_work(struct work_struct *work);
/* vsw_policy.c */
void vsw_policy_init(struct vsw_port *port);
void vsw_policy_fini(struct vsw_port *port);
void vsw_policy_set(struct vsw_port *port, enum vsw_policy_bit bit, bool on);
int vsw_policy_set_storm(struct vsw_port *port, u32 pps);
void vsw_policy_set_allowed(struct vsw_port *port, struct vsw_allowed *list);
bool vsw_policy_is_allowed(const struct vsw_port *port, const u8 *addr);
bool vsw_policy_admit(struct vsw_port *port, struct sk_buff *skb,
		      const struct vmq_match *match, unsigned long policy);
void vsw_policy_receive(struct vsw_port *port, const struct sk_buff *skb,
			unsigned long policy);
void vsw_policy_drop(struct vsw_port *port, struct sk_buff *skb,
		     enum vsw_policy_bit why);

/* vsw_shape.c */
void vsw_shape_init(struct vsw_port *port);
void vsw_shape_open(struct vsw_port *port);
void vsw_shape_stop(struct vsw_port *port);
void vsw_shape_set_rate(struct vsw_port *port, u32 mbps);
u32 vsw_shape_rate(const struct vsw_port *port);
void vsw_shape_set_share(struct vsw_port *port, u32 kbps, u32 due);
bool vsw_shape_measure(struct vsw_port *port, u64 *bytes);
unsigned int vsw_shape_wire_bytes(const struct sk_buff *skb);
void vsw_shape_xmit(struct vsw_port *port, struct sk_buff *skb,
		    const struct vmq_match *match);
void vsw_shape_xmit_wire(struct vsw_port *port, struct sk_buff *skb);

/* vsw_meter.c */
void vsw_meter_init(struct vsw_uplink *up);
void vsw_meter_stop(struct vsw_uplink *up);
void vsw_meter_join(struct vsw_port *port);
void vsw_meter_leave(struct vsw_port *port);
void vsw_meter_set_weight(struct vsw_port *port, u32 weight);
void vsw_meter_set_max(struct vsw_uplink *up, u32 mbps);
void vsw_meter_update(struct vsw_uplink *up);
void vsw_meter_count_host(struct vsw_uplink *up, const struct sk_buff *skb);

/* vsw_mirror.c */
int vsw_mirror_set(struct vsw_port *port, const char *name);
void vsw_mirror_leave(struct vsw_port *port);
void vsw_mirror_deliver(struct vsw_port *port, struct sk_buff *copy);
struct sk_buff *__vsw_mirror_clone(struct vsw_port *port, struct sk_buff *skb);
void vsw_mirror_receive(struct vsw_port *port, const struct sk_buff *skb);

static inline struct sk_buff *vsw_mirror_clone(struct vsw_port *port,
					       struct sk_buff *skb)
{
	if (likely(!(READ_ONCE(port->policy) & BIT(VSW_POLICY_MIRROR))))
		return NULL;
	return __vsw_mirror_clone(port, skb);
}

/* vsw_fdb.c */
struct vsw_entry *vsw_fdb_claim(struct vsw_port *port, const u8 *addr, u16 vid,
				struct netlink_ext_ack *extack);
void vsw_fdb_unclaim(struct vsw_port *port, struct vsw_entry *entry);
int vsw_fdb_publish(struct vsw_port *port, struct vsw_entry *entry,
		    struct netlink_ext_ack *extack);
void vsw_fdb_unclaim_all(struct vsw_port *port, struct list_head *claims);
int vsw_fdb_claim_implied(struct vsw_port *port, const u8 *addr, u16 key,
			  bool rx_mode, struct list_head *claims,
			  struct netlink_ext_ack *extack);
int vsw_fdb_publish_all(struct vsw_port *port, struct list_head *claims,
			struct netlink_ext_ack *extack);
int vsw_fdb_check_others(const struct vsw_port *port, const struct vsw_vlans *v,
			 const u8 *addr, struct netlink_ext_ack *extack);
int vsw_fdb_add_addr(struct vsw_port *port, const u8 *addr, bool rx_mode,
		     struct netlink_ext_ack *extack);
void vsw_fdb_del_addr(struct vsw_port *port, const u8 *addr);
void vsw_fdb_keep(struct vsw_port *port, const u8 *addr);
void vsw_fdb_flush(struct vsw_port *port);
struct vsw_entry *vsw_fdb_find(const struct vsw_port *port, const u8 *addr,
			       u16 vid);
int vsw_fdb_add(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid, u16 flags,
		struct netlink_ext_ack *extack);
int vsw_fdb_del(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid,
		struct netlink_ext_ack *extack);
int vsw_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb,
		 struct net_device *dev, struct net_device *filter_dev,
		 int *idx);

/* vsw_port_vlan.c */
int vsw_port_vlan_change(struct vsw_port *port,
			 const char *(*edit)(struct vsw_vlans *v,
					     const void *arg, int *err),
			 const void *arg, struct netlink_ext_ack *extack);
int vsw_port_vlan_apply(struct vsw_port *port, struct vsw_vlans *v,
			struct netlink_ext_ack *extack);
void vsw_port_vlan_set_trust(struct vsw_port *port, bool trust);
enum skb_drop_reason vsw_port_vlan_send(struct vsw_port *port,
					struct sk_buff *skb,
					struct vmq_match *match);
bool vsw_port_vlan_admit(const struct vsw_vlans *v, struct sk_buff *skb);

/* vsw_bridge.c */
int vsw_bridge_setlink(struct net_device *dev, struct nlmsghdr *nlh, u16 flags,
		       struct netlink_ext_ack *extack);
int vsw_bridge_dellink(struct net_device *dev, struct nlmsghdr *nlh, u16 flags);
int vsw_bridge_getlink(struct sk_buff *skb, u32 pid, u32 seq,
		       struct net_device *dev, u32 filter_mask, int nlflags);

/* vsw_sysfs.c */
extern const struct attribute_group vsw_sysfs_port_group;

struct vsw_port *vsw_sysfs_port(struct device *dev);
bool vsw_sysfs_is_guest(const struct vsw_port *port);
ssize_t vsw_sysfs_store(struct device *dev,
			const struct device_attribute *attr, const char *buf,
			size_t len, int (*set)(struct vsw_port *port,
					       const char *text));
int vsw_sysfs_parse_bool(struct vmq_dev *vmq, const char *name,
			 const char *text, bool *on);
int vsw_sysfs_parse_number(struct vmq_dev *vmq, const char *name,
			   const char *text, u32 min, u32 max, u32 *value);
int vsw_sysfs_parse_limit(struct vmq_dev *vmq, const char *name,
			  const char *zero, const char *text, u32 max,
			  u32 *value);
ssize_t vsw_sysfs_emit_port(struct device *dev, size_t offset, char *buf);

/* vsw_sysfs_vlan.c */
extern struct device_attribute dev_attr_vlan_mode;
extern struct device_attribute dev_attr_vlan;
extern struct device_attribute dev_attr_native_vlan;
extern struct device_attribute dev_attr_isolation;
extern struct device_attribute dev_attr_priority_trust;
extern struct device_attribute dev_attr_rx_vlan_mismatch_packets;
extern struct device_attribute dev_attr_tx_vlan_dropped;
/* vsw_sysfs_policy.c */
extern struct device_attribute dev_attr_spoof_check;
extern struct device_attribute dev_attr_allowed_macs;
extern struct device_attribute dev_attr_dhcp_guard;
extern struct device_attribute dev_attr_router_guard;
extern struct device_attribute dev_attr_storm_pps;
extern struct device_attribute dev_attr_tx_max_mbps;
extern struct device_attribute dev_attr_mirror_to;
extern struct device_attribute dev_attr_rx_mirror_packets;
extern struct device_attribute dev_attr_tx_spoof_dropped;
extern struct device_attribute dev_attr_tx_dhcp_dropped;
extern struct device_attribute dev_attr_tx_router_dropped;
extern struct device_attribute dev_attr_tx_storm_dropped;
extern struct device_attribute dev_attr_tx_rate_dropped;

/* vsw_sysfs_share.c */
extern struct device_attribute dev_attr_tx_weight;
extern struct device_attribute dev_attr_tx_share_kbps;
extern struct device_attribute dev_attr_tx_share_dropped;

/* vsw_sysfs_uplink.c */
int vsw_sysfs_uplink_add(struct vsw_uplink *up);
void vsw_sysfs_uplink_del(struct vsw_uplink *up);

#endif /* _VSW_PRIV_H */
