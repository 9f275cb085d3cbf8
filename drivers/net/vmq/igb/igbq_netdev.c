// SPDX-License-Identifier: GPL-2.0-only
/* The uplink's net_device: bring-up, and what the stack asks of it. */
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/if_vlan.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include "igbq.h"

/**
 * igbq_up - reset the NIC, start all queues and let frames in
 * @nic: the device, not up
 *
 * Queues, filters and addresses come back from the core's tables.
 *
 * Context: rtnl held, may sleep; does not wait for the link. Return: 0 or a
 * negative errno with the NIC silent again.
 */
int igbq_up(struct igbq_nic *nic)
{
	int err;

	err = igbq_hw_reset(nic);
	if (err)
		return err;
	/* A ring that did not stop may have cost the bus mastering. */
	pci_set_master(nic->pdev);
	igbq_hw_init(nic);
	err = igbq_irq_other_request(nic);
	if (err)
		return err;
	err = vmq_dev_open(&nic->vmq);
	if (err)
		goto err_free_irq;

	igbq_hw_rx_on(nic);
	WRITE_ONCE(nic->up, true);
	igbq_irq_other_unmask(nic);
	igbq_link_start(nic);
	return 0;

err_free_irq:
	igbq_irq_other_free(nic);
	return err;
}

/**
 * igbq_down - undo igbq_up(); nothing when it is not up
 * @nic: the device, which may have vanished
 *
 * Context: rtnl held, may sleep.
 */
void igbq_down(struct igbq_nic *nic)
{
	if (!nic->up)
		return;
	WRITE_ONCE(nic->up, false);

	igbq_irq_other_free(nic);
	igbq_link_stop(nic);
	igbq_vmdq_sample(nic);
	igbq_hw_rx_off(nic);
	vmq_dev_close(&nic->vmq);
}

static int igbq_netdev_open(struct net_device *netdev)
{
	return igbq_up(netdev_priv(netdev));
}

static int igbq_netdev_stop(struct net_device *netdev)
{
	igbq_down(netdev_priv(netdev));
	return 0;
}

static netdev_tx_t igbq_netdev_xmit(struct sk_buff *skb,
				    struct net_device *netdev)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	/* Not 0 when AF_XDP, pktgen or skbedit chose; this one's lock is held */
	struct igbq_queue *q = &nic->queues[skb_get_queue_mapping(skb)];

	if (!vmq_uplink_xmit(&nic->vmq, skb))
		igbq_tx_xmit(q, skb, netdev_xmit_more(), true);
	else if (!netdev_xmit_more())
		igbq_tx_doorbell(q);
	return NETDEV_TX_OK;
}

/* The other rings belong to the VMs. */
static u16 igbq_netdev_select_queue(struct net_device *netdev,
				    struct sk_buff *skb,
				    struct net_device *sb_dev)
{
	return 0;
}

static netdev_features_t igbq_netdev_features_check(struct sk_buff *skb,
						    struct net_device *netdev,
						    netdev_features_t features)
{
	int mac_len = skb_network_offset(skb);
	int ip_len;

	/*
	 * A VM may ask for segments so small that one frame becomes thousands:
	 * what it has in its ring would keep the wire for seconds.
	 */
	if (skb_is_gso(skb) && skb_shinfo(skb)->gso_size < IGBQ_TSO_MSS_MIN)
		features &= ~NETIF_F_GSO_MASK;
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return vlan_features_check(skb, features);

	/* The context descriptor cannot say more. */
	ip_len = skb_checksum_start_offset(skb) - mac_len;
	if (unlikely(mac_len < ETH_HLEN || mac_len > IGBQ_TXD_MACLEN_MAX ||
		     ip_len < (int)sizeof(struct iphdr) ||
		     ip_len > IGBQ_TXD_IPLEN_MAX))
		features &= ~(NETIF_F_CSUM_MASK | NETIF_F_SCTP_CRC |
			      NETIF_F_ALL_TSO);
	return vlan_features_check(skb, features);
}

static int igbq_netdev_set_addr(struct net_device *netdev, void *p)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	const struct sockaddr *addr = p;
	int err;

	if (!is_valid_ether_addr(addr->sa_data))
		return -EADDRNOTAVAIL;
	err = vmq_dev_addr_check(&nic->vmq, addr->sa_data, NULL);
	if (err)
		return err;

	eth_hw_addr_set(netdev, addr->sa_data);
	if (nic->up)
		igbq_vmdq_set_host_addr(nic);
	return 0;
}

/* One more address of the host; a VM's is not to be had. */
static int igbq_netdev_fdb_add(struct ndmsg *ndm, struct nlattr *tb[],
			       struct net_device *netdev,
			       const unsigned char *addr, u16 vid, u16 flags,
			       struct netlink_ext_ack *extack)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	int err;

	err = vmq_dev_addr_check(&nic->vmq, addr, extack);
	if (err)
		return err;
	return ndo_dflt_fdb_add(ndm, tb, netdev, addr, vid, flags);
}

static int igbq_netdev_vid_add(struct net_device *netdev, __be16 proto, u16 vid)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	vmq_dev_vid_add(&nic->vmq, vid);
	return 0;
}

static int igbq_netdev_vid_del(struct net_device *netdev, __be16 proto, u16 vid)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	vmq_dev_vid_del(&nic->vmq, vid);
	return 0;
}

/* Buffers do not depend on the MTU: no ring stops for it. */
static int igbq_netdev_change_mtu(struct net_device *netdev, int mtu)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	WRITE_ONCE(netdev->mtu, mtu);
	if (nic->up)
		igbq_vmdq_set_frame_max(nic);
	return 0;
}

static u64 igbq_netdev_sum(const u64_stats_t *counters, unsigned int nr)
{
	u64 sum = 0;

	while (nr--)
		sum += u64_stats_read(&counters[nr]);
	return sum;
}

static void igbq_netdev_add_rx(struct rtnl_link_stats64 *sum,
			       const struct vmq_queue_rx_stats *rx)
{
	u64 packets, bytes, dropped;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&rx->syncp);
		packets = u64_stats_read(&rx->packets);
		bytes = u64_stats_read(&rx->bytes);
		dropped = igbq_netdev_sum(rx->drops, VMQ_RX_DROPS);
	} while (u64_stats_fetch_retry(&rx->syncp, start));
	sum->rx_packets += packets;
	sum->rx_bytes += bytes;
	sum->rx_dropped += dropped;
}

static void igbq_netdev_add_tx(struct rtnl_link_stats64 *sum,
			       const struct vmq_queue_tx_stats *tx)
{
	u64 packets, bytes, dropped;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&tx->syncp);
		packets = u64_stats_read(&tx->packets);
		bytes = u64_stats_read(&tx->bytes);
		dropped = igbq_netdev_sum(tx->drops, VMQ_TX_DROPS);
	} while (u64_stats_fetch_retry(&tx->syncp, start));
	sum->tx_packets += packets;
	sum->tx_bytes += bytes;
	sum->tx_dropped += dropped;
}

static void igbq_netdev_get_stats64(struct net_device *netdev,
				    struct rtnl_link_stats64 *sum)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	unsigned int i;

	for (i = 0; i < nic->caps->pools; i++) {
		igbq_netdev_add_rx(sum, &vmq_dev_queue(&nic->vmq, i)->rx);
		igbq_netdev_add_tx(sum, &vmq_dev_queue(&nic->vmq, i)->tx);
		sum->rx_missed_errors += READ_ONCE(nic->queues[i].hw_missed);
	}
}

static void igbq_netdev_tx_timeout(struct net_device *netdev,
				   unsigned int txqueue)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	nic->tx_timeouts++;
	netdev_err(netdev, "transmit ring %u hangs\n", txqueue);
	queue_work(igbq_wq, &nic->reset_work);
}

static void igbq_reset_work(struct work_struct *work)
{
	struct igbq_nic *nic = container_of(work, struct igbq_nic, reset_work);
	int err;

	rtnl_lock();
	if (nic->up && !READ_ONCE(nic->gone)) {
		netdev_info(nic->netdev, "resetting\n");
		nic->resets++;
		igbq_down(nic);
		err = igbq_up(nic);
		if (err) {
			netdev_err(nic->netdev, "reset failed: %pe\n",
				   ERR_PTR(err));
			dev_close(nic->netdev);
		}
	}
	rtnl_unlock();
}

static const struct net_device_ops igbq_netdev_ops = {
	.ndo_open		= igbq_netdev_open,
	.ndo_stop		= igbq_netdev_stop,
	.ndo_start_xmit		= igbq_netdev_xmit,
	.ndo_select_queue	= igbq_netdev_select_queue,
	.ndo_features_check	= igbq_netdev_features_check,
	.ndo_set_mac_address	= igbq_netdev_set_addr,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_fdb_add		= igbq_netdev_fdb_add,
	.ndo_vlan_rx_add_vid	= igbq_netdev_vid_add,
	.ndo_vlan_rx_kill_vid	= igbq_netdev_vid_del,
	.ndo_change_mtu		= igbq_netdev_change_mtu,
	.ndo_get_stats64	= igbq_netdev_get_stats64,
	.ndo_tx_timeout		= igbq_netdev_tx_timeout,
};

static void igbq_netdev_set_features(struct net_device *netdev)
{
	netdev_features_t offloads = NETIF_F_SG | NETIF_F_HW_CSUM |
				     NETIF_F_SCTP_CRC | NETIF_F_TSO |
				     NETIF_F_TSO6;

	netdev->vlan_features = offloads | NETIF_F_HIGHDMA;
	netdev->hw_features = offloads | NETIF_F_RXCSUM |
			      NETIF_F_HW_VLAN_CTAG_TX;
	/* Tags are always stripped and filters always apply. */
	netdev->features = netdev->hw_features | NETIF_F_HIGHDMA |
			   NETIF_F_HW_VLAN_CTAG_RX |
			   NETIF_F_HW_VLAN_CTAG_FILTER | NETIF_F_NTUPLE;
	/* Addresses that no filter claims arrive anyway. */
	netdev->priv_flags |= IFF_UNICAST_FLT;
}

/* Everything about the net_device that needs no hardware */
void igbq_netdev_setup(struct igbq_nic *nic)
{
	struct net_device *netdev = nic->netdev;

	netdev->netdev_ops = &igbq_netdev_ops;
	netdev->ethtool_ops = &igbq_ethtool_ops;
	netdev->watchdog_timeo = 5 * HZ;
	netdev->min_mtu = ETH_MIN_MTU;
	netdev->max_mtu = IGBQ_MTU_MAX;
	igbq_netdev_set_features(netdev);
	netif_carrier_off(netdev);
	INIT_WORK(&nic->reset_work, igbq_reset_work);
	igbq_link_init(nic);
}
