/* SPDX-License-Identifier: GPL-2.0-only */
/* The vswitch's own objects: one uplink with its ports and their table. */
#ifndef _VSW_PRIV_H
#define _VSW_PRIV_H

#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <vmq/switch.h>
#include "vsw_table.h"
#include "vsw_weight.h"

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
};

/* Counters of one port besides those of ip -s link, per CPU; BH off. */
struct vsw_port_stats {
	struct u64_stats_sync syncp;
	u64_stats_t rx_queue_packets;
	u64_stats_t rx_switch_packets;
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
	/* Bits of enum vmq_freed: what came back since it was last offered. */
	unsigned long freed;
	/* When ports that could not take a queue are next asked; jiffies. */
	unsigned long retry_at;
	/* Measures the ports while load decides, and when it last did; jiffies. */
	struct delayed_work sample;
	unsigned long sampled_at;
	/* What no port takes is cloned to a promiscuous uplink's stack. */
	bool flood;
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

	struct vmq_consumer consumer;
	struct vsw_member member;
	/* Entry {the port's address, untagged}; rtnl. */
	struct vsw_entry *own;
	/* In vsw_uplink.ports; rtnl. */
	struct list_head node;
	/* Its lock is taken before that of the uplink's tx queue. */
	struct sk_buff_head held;
};

/* vsw_main.c */
struct vsw_uplink *vsw_uplink_find(const struct net_device *dev);
struct vsw_uplink *vsw_uplink_get(struct vmq_dev *vmq,
				  struct netlink_ext_ack *extack);
void vsw_uplink_put(struct vsw_uplink *up);

/* vsw_port.c */
extern struct rtnl_link_ops vsw_port_link_ops;
extern const struct net_device_ops vsw_port_netdev_ops;

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
void vsw_forward_hold(struct vsw_port *port);
void vsw_forward_release(struct vsw_port *port);

/* vsw_fdb.c */
struct vsw_entry *vsw_fdb_claim(struct vsw_port *port, const u8 *addr, u16 vid,
				struct netlink_ext_ack *extack);
void vsw_fdb_unclaim(struct vsw_port *port, struct vsw_entry *entry);
int vsw_fdb_publish(struct vsw_port *port, struct vsw_entry *entry,
		    struct netlink_ext_ack *extack);
void vsw_fdb_flush(struct vsw_port *port);
int vsw_fdb_add(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid, u16 flags,
		struct netlink_ext_ack *extack);
int vsw_fdb_del(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *addr, u16 vid,
		struct netlink_ext_ack *extack);
int vsw_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb,
		 struct net_device *dev, struct net_device *filter_dev,
		 int *idx);

/* vsw_sysfs.c */
extern const struct attribute_group vsw_sysfs_port_group;

/* vsw_sysfs_uplink.c */
int vsw_sysfs_uplink_add(struct vsw_uplink *up);
void vsw_sysfs_uplink_del(struct vsw_uplink *up);

#endif /* _VSW_PRIV_H */
