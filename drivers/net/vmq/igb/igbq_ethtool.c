// SPDX-License-Identifier: GPL-2.0-only
/* ethtool: what is the NIC's; filters are the core's. */
#include <linux/ethtool.h>
#include <linux/log2.h>
#include <linux/mii.h>
#include <linux/pci.h>
#include "igbq.h"

enum igbq_queue_stat {
	IGBQ_STAT_RX_PACKETS,
	IGBQ_STAT_RX_BYTES,
	IGBQ_STAT_RX_CHECKED,
	IGBQ_STAT_RX_MISMATCH,
	IGBQ_STAT_RX_DROPPED,
	/* As in enum vmq_rx_drop */
	IGBQ_STAT_RX_DROPPED_BAD,
	IGBQ_STAT_RX_DROPPED_LONG,
	IGBQ_STAT_RX_DROPPED_NOMEM,
	IGBQ_STAT_RX_DROPPED_STOPPED,
	IGBQ_STAT_RX_ALLOC_FAIL,
	IGBQ_STAT_RX_NIC_PACKETS,
	IGBQ_STAT_RX_NIC_MISSED,
	IGBQ_STAT_RX_INTERVAL,
	IGBQ_STAT_TX_PACKETS,
	IGBQ_STAT_TX_BYTES,
	IGBQ_STAT_TX_DROPPED,
	/* As in enum vmq_tx_drop */
	IGBQ_STAT_TX_DROPPED_FULL,
	IGBQ_STAT_TX_DROPPED_INVALID,
	IGBQ_STAT_TX_DROPPED_NOMEM,
	IGBQ_STAT_TX_DROPPED_STOPPED,
	IGBQ_STAT_TX_STOPS,
	IGBQ_QUEUE_STATS,
};

static const char *const igbq_queue_stat_names[IGBQ_QUEUE_STATS] = {
	[IGBQ_STAT_RX_PACKETS]		= "rx_queue_%u_packets",
	[IGBQ_STAT_RX_BYTES]		= "rx_queue_%u_bytes",
	[IGBQ_STAT_RX_CHECKED]		= "rx_queue_%u_checked",
	[IGBQ_STAT_RX_MISMATCH]		= "rx_queue_%u_mismatch",
	[IGBQ_STAT_RX_DROPPED]		= "rx_queue_%u_dropped",
	[IGBQ_STAT_RX_DROPPED_BAD]	= "rx_queue_%u_dropped_bad",
	[IGBQ_STAT_RX_DROPPED_LONG]	= "rx_queue_%u_dropped_long",
	[IGBQ_STAT_RX_DROPPED_NOMEM]	= "rx_queue_%u_dropped_nomem",
	[IGBQ_STAT_RX_DROPPED_STOPPED]	= "rx_queue_%u_dropped_stopped",
	[IGBQ_STAT_RX_ALLOC_FAIL]	= "rx_queue_%u_alloc_fail",
	[IGBQ_STAT_RX_NIC_PACKETS]	= "rx_queue_%u_nic_packets",
	[IGBQ_STAT_RX_NIC_MISSED]	= "rx_queue_%u_nic_missed",
	[IGBQ_STAT_RX_INTERVAL]		= "rx_queue_%u_interval",
	[IGBQ_STAT_TX_PACKETS]		= "tx_queue_%u_packets",
	[IGBQ_STAT_TX_BYTES]		= "tx_queue_%u_bytes",
	[IGBQ_STAT_TX_DROPPED]		= "tx_queue_%u_dropped",
	[IGBQ_STAT_TX_DROPPED_FULL]	= "tx_queue_%u_dropped_full",
	[IGBQ_STAT_TX_DROPPED_INVALID]	= "tx_queue_%u_dropped_invalid",
	[IGBQ_STAT_TX_DROPPED_NOMEM]	= "tx_queue_%u_dropped_nomem",
	[IGBQ_STAT_TX_DROPPED_STOPPED]	= "tx_queue_%u_dropped_stopped",
	[IGBQ_STAT_TX_STOPS]		= "tx_queue_%u_stops",
};

enum igbq_nic_stat {
	IGBQ_STAT_TX_TIMEOUTS,
	IGBQ_STAT_RESETS,
	IGBQ_NIC_STATS,
};

static const char *const igbq_nic_stat_names[IGBQ_NIC_STATS] = {
	[IGBQ_STAT_TX_TIMEOUTS]	= "tx_timeouts",
	[IGBQ_STAT_RESETS]	= "resets",
};

static void igbq_ethtool_get_drvinfo(struct net_device *netdev,
				     struct ethtool_drvinfo *info)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, pci_name(nic->pdev), sizeof(info->bus_info));
}

static bool igbq_ethtool_is_forced(const struct igbq_nic *nic)
{
	return !(nic->link_bmcr & BMCR_ANENABLE);
}

/* What is forced is so with and without a link. */
static void igbq_ethtool_get_speed(struct igbq_nic *nic, u32 *speed, u8 *duplex)
{
	*speed = SPEED_UNKNOWN;
	*duplex = DUPLEX_UNKNOWN;
	if (netif_carrier_ok(nic->netdev)) {
		igbq_link_get(nic, speed, duplex);
	} else if (igbq_ethtool_is_forced(nic)) {
		*speed = nic->link_bmcr & BMCR_SPEED100 ? SPEED_100 : SPEED_10;
		*duplex = nic->link_bmcr & BMCR_FULLDPLX ? DUPLEX_FULL :
							   DUPLEX_HALF;
	}
}

static int igbq_ethtool_get_link(struct net_device *netdev,
				 struct ethtool_link_ksettings *cmd)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	ethtool_convert_legacy_u32_to_link_mode(cmd->link_modes.supported,
						IGBQ_LINK_MODES);
	ethtool_convert_legacy_u32_to_link_mode(cmd->link_modes.advertising,
						nic->link_offer);
	ethtool_convert_legacy_u32_to_link_mode(cmd->link_modes.lp_advertising,
						READ_ONCE(nic->link_partner));
	cmd->base.port = PORT_TP;
	cmd->base.autoneg = !igbq_ethtool_is_forced(nic);
	igbq_ethtool_get_speed(nic, &cmd->base.speed, &cmd->base.duplex);
	return 0;
}

static int igbq_ethtool_want_offer(struct igbq_nic *nic,
				   const struct ethtool_link_ksettings *cmd,
				   u32 *offer)
{
	bool fits = ethtool_convert_link_mode_to_legacy_u32(offer,
						cmd->link_modes.advertising);

	if (!fits || *offer & ~IGBQ_LINK_MODES)
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "offered can be 10, 100 and 1000 Mb/s, half duplex below 1000 only, and no PAUSE");
	if (!(*offer & IGBQ_LINK_SPEEDS))
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "no mode is left to offer");
	*offer |= IGBQ_LINK_OTHERS;
	return 0;
}

static int igbq_ethtool_want_forced(struct igbq_nic *nic,
				    const struct ethtool_link_ksettings *cmd,
				    u16 *bmcr)
{
	u32 speed = cmd->base.speed;
	u8 duplex = cmd->base.duplex;

	if (speed == SPEED_1000)
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "1000 Mb/s needs autonegotiation");
	if ((speed != SPEED_10 && speed != SPEED_100) ||
	    (duplex != DUPLEX_HALF && duplex != DUPLEX_FULL))
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "without autonegotiation speed is 10 or 100, duplex half or full");
	*bmcr = mii_bmcr_encode_fixed(speed, duplex);
	return 0;
}

/* The link goes down for a change, and for nothing else. */
static int igbq_ethtool_set_link(struct net_device *netdev,
				 const struct ethtool_link_ksettings *cmd)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	u32 offer = nic->link_offer;
	u16 bmcr = BMCR_ANENABLE;
	int err;

	if (cmd->base.port != PORT_TP)
		return vmq_refuse(&nic->vmq, NULL, -EOPNOTSUPP,
				  "the NIC has a twisted pair port only");
	if (cmd->base.eth_tp_mdix_ctrl != ETH_TP_MDI_INVALID)
		return vmq_refuse(&nic->vmq, NULL, -EOPNOTSUPP,
				  "MDI-X is not set by hand");

	if (cmd->base.autoneg == AUTONEG_ENABLE)
		err = igbq_ethtool_want_offer(nic, cmd, &offer);
	else
		err = igbq_ethtool_want_forced(nic, cmd, &bmcr);
	if (err || (offer == nic->link_offer && bmcr == nic->link_bmcr))
		return err;

	WRITE_ONCE(nic->link_offer, offer);
	WRITE_ONCE(nic->link_bmcr, bmcr);
	if (nic->up)
		igbq_link_start(nic);
	return 0;
}

static int igbq_ethtool_nway_reset(struct net_device *netdev)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	if (!nic->up)
		return -ENETDOWN;
	if (igbq_ethtool_is_forced(nic))
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "autonegotiation is off");
	igbq_link_start(nic);
	return 0;
}

static void
igbq_ethtool_get_ringparam(struct net_device *netdev,
			   struct ethtool_ringparam *ring,
			   struct kernel_ethtool_ringparam *kernel_ring,
			   struct netlink_ext_ack *extack)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	ring->rx_max_pending = IGBQ_RING_MAX;
	ring->tx_max_pending = IGBQ_RING_MAX;
	ring->rx_pending = nic->vmq.buffers;
	ring->tx_pending = nic->tx_count;
}

static bool igbq_ethtool_ring_valid(u32 count, u32 min)
{
	return is_power_of_2(count) && count >= min && count <= IGBQ_RING_MAX;
}

static int
igbq_ethtool_set_ringparam(struct net_device *netdev,
			   struct ethtool_ringparam *ring,
			   struct kernel_ethtool_ringparam *kernel_ring,
			   struct netlink_ext_ack *extack)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	if (!igbq_ethtool_ring_valid(ring->rx_pending, IGBQ_RX_RING_MIN) ||
	    !igbq_ethtool_ring_valid(ring->tx_pending, IGBQ_TX_RING_MIN))
		return vmq_refuse(&nic->vmq, extack, -EINVAL,
				  "ring sizes are powers of two, rx %u to %u, tx %u to %u",
				  IGBQ_RX_RING_MIN, IGBQ_RING_MAX,
				  IGBQ_TX_RING_MIN, IGBQ_RING_MAX);
	if (ring->rx_pending == nic->vmq.buffers &&
	    ring->tx_pending == nic->tx_count)
		return 0;
	return igbq_ring_resize(nic, ring->rx_pending, ring->tx_pending);
}

/*
 * The interval shown is the one that the user wrote, also while another is in
 * effect: who changes one value writes the others back as they were shown.
 */
static int igbq_ethtool_get_queue_coalesce(struct net_device *netdev, u32 id,
					   struct ethtool_coalesce *ec)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	if (id >= nic->caps->pools)
		return -EINVAL;
	ec->rx_coalesce_usecs = nic->queues[id].rx_usecs;
	ec->use_adaptive_rx_coalesce = nic->queues[id].adaptive;
	return 0;
}

static int igbq_ethtool_check_coalesce(struct igbq_nic *nic,
				       const struct ethtool_coalesce *ec,
				       struct netlink_ext_ack *extack)
{
	if (ec->rx_coalesce_usecs <= IGBQ_RX_USECS_MAX)
		return 0;
	return vmq_refuse(&nic->vmq, extack, -EINVAL,
			  "rx-usecs is at most %u", IGBQ_RX_USECS_MAX);
}

static int igbq_ethtool_set_queue_coalesce(struct net_device *netdev, u32 id,
					   struct ethtool_coalesce *ec)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	int err;

	if (id >= nic->caps->pools)
		return vmq_refuse(&nic->vmq, NULL, -EINVAL,
				  "there is no queue %u", id);
	err = igbq_ethtool_check_coalesce(nic, ec, NULL);
	if (err)
		return err;
	igbq_moderation_set(&nic->queues[id], ec->use_adaptive_rx_coalesce,
			    ec->rx_coalesce_usecs);
	return 0;
}

static int igbq_ethtool_get_coalesce(struct net_device *netdev,
				     struct ethtool_coalesce *ec,
				     struct kernel_ethtool_coalesce *kec,
				     struct netlink_ext_ack *extack)
{
	return igbq_ethtool_get_queue_coalesce(netdev, 0, ec);
}

static int igbq_ethtool_set_coalesce(struct net_device *netdev,
				     struct ethtool_coalesce *ec,
				     struct kernel_ethtool_coalesce *kec,
				     struct netlink_ext_ack *extack)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	struct igbq_queue *q;
	unsigned int i;
	int err;

	err = igbq_ethtool_check_coalesce(nic, ec, extack);
	if (err)
		return err;
	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		igbq_moderation_set(q, ec->use_adaptive_rx_coalesce,
				    ec->rx_coalesce_usecs);
	return 0;
}

/* One ring pair a queue, always all of them. */
static void igbq_ethtool_get_channels(struct net_device *netdev,
				      struct ethtool_channels *ch)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	ch->max_combined = nic->caps->pools;
	ch->combined_count = nic->caps->pools;
	ch->max_other = nic->msix;
	ch->other_count = nic->msix;
}

static int igbq_ethtool_get_sset_count(struct net_device *netdev, int sset)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	if (sset != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return IGBQ_NIC_STATS + nic->caps->pools * IGBQ_QUEUE_STATS;
}

static void igbq_ethtool_get_strings(struct net_device *netdev, u32 sset,
				     u8 *data)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	unsigned int id, i;

	if (sset != ETH_SS_STATS)
		return;
	for (i = 0; i < IGBQ_NIC_STATS; i++)
		ethtool_puts(&data, igbq_nic_stat_names[i]);
	for (id = 0; id < nic->caps->pools; id++)
		for (i = 0; i < IGBQ_QUEUE_STATS; i++)
			ethtool_sprintf(&data, igbq_queue_stat_names[i], id);
}

/* The counters, and before them their sum. */
static void igbq_ethtool_fill_drops(u64 *data, const u64_stats_t *drops,
				    unsigned int nr)
{
	unsigned int i;

	data[0] = 0;
	for (i = 0; i < nr; i++) {
		data[i + 1] = u64_stats_read(&drops[i]);
		data[0] += data[i + 1];
	}
}

static void igbq_ethtool_fill_rx(u64 *data, const struct vmq_queue_rx_stats *rx)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&rx->syncp);
		data[IGBQ_STAT_RX_PACKETS] = u64_stats_read(&rx->packets);
		data[IGBQ_STAT_RX_BYTES] = u64_stats_read(&rx->bytes);
		data[IGBQ_STAT_RX_CHECKED] = u64_stats_read(&rx->checked);
		data[IGBQ_STAT_RX_MISMATCH] = u64_stats_read(&rx->mismatch);
		igbq_ethtool_fill_drops(&data[IGBQ_STAT_RX_DROPPED], rx->drops,
					VMQ_RX_DROPS);
	} while (u64_stats_fetch_retry(&rx->syncp, start));
}

static void igbq_ethtool_fill_tx(u64 *data, const struct vmq_queue_tx_stats *tx)
{
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&tx->syncp);
		data[IGBQ_STAT_TX_PACKETS] = u64_stats_read(&tx->packets);
		data[IGBQ_STAT_TX_BYTES] = u64_stats_read(&tx->bytes);
		igbq_ethtool_fill_drops(&data[IGBQ_STAT_TX_DROPPED], tx->drops,
					VMQ_TX_DROPS);
	} while (u64_stats_fetch_retry(&tx->syncp, start));
}

static void igbq_ethtool_fill_queue(u64 *data, const struct igbq_queue *q)
{
	const struct vmq_queue *vq = vmq_dev_queue(&q->nic->vmq, q->id);

	igbq_ethtool_fill_rx(data, &vq->rx);
	igbq_ethtool_fill_tx(data, &vq->tx);
	data[IGBQ_STAT_RX_ALLOC_FAIL] = READ_ONCE(q->rx.alloc_fail);
	data[IGBQ_STAT_RX_INTERVAL] = READ_ONCE(q->usecs);
	data[IGBQ_STAT_TX_STOPS] = READ_ONCE(q->tx.stops);

	spin_lock_bh(&q->nic->sample_lock);
	data[IGBQ_STAT_RX_NIC_PACKETS] = q->hw_packets;
	data[IGBQ_STAT_RX_NIC_MISSED] = q->hw_missed;
	spin_unlock_bh(&q->nic->sample_lock);
}

static void igbq_ethtool_get_stats(struct net_device *netdev,
				   struct ethtool_stats *stats, u64 *data)
{
	struct igbq_nic *nic = netdev_priv(netdev);
	struct igbq_queue *q;
	unsigned int i;

	if (nic->up)
		igbq_vmdq_sample(nic);
	data[IGBQ_STAT_TX_TIMEOUTS] = READ_ONCE(nic->tx_timeouts);
	data[IGBQ_STAT_RESETS] = nic->resets;
	data += IGBQ_NIC_STATS;
	for (i = 0; (q = igbq_queue_at(nic, i)); i++) {
		igbq_ethtool_fill_queue(data, q);
		data += IGBQ_QUEUE_STATS;
	}
}

static int igbq_ethtool_get_rxnfc(struct net_device *netdev,
				  struct ethtool_rxnfc *info, u32 *rule_locs)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	return vmq_ethtool_get_rxnfc(&nic->vmq, info, rule_locs);
}

static int igbq_ethtool_set_rxnfc(struct net_device *netdev,
				  struct ethtool_rxnfc *info)
{
	struct igbq_nic *nic = netdev_priv(netdev);

	return vmq_ethtool_set_rxnfc(&nic->vmq, info);
}

const struct ethtool_ops igbq_ethtool_ops = {
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS |
				     ETHTOOL_COALESCE_USE_ADAPTIVE_RX,
	.get_drvinfo		= igbq_ethtool_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= igbq_ethtool_get_link,
	.set_link_ksettings	= igbq_ethtool_set_link,
	.nway_reset		= igbq_ethtool_nway_reset,
	.get_ringparam		= igbq_ethtool_get_ringparam,
	.set_ringparam		= igbq_ethtool_set_ringparam,
	.get_coalesce		= igbq_ethtool_get_coalesce,
	.set_coalesce		= igbq_ethtool_set_coalesce,
	.get_per_queue_coalesce	= igbq_ethtool_get_queue_coalesce,
	.set_per_queue_coalesce	= igbq_ethtool_set_queue_coalesce,
	.get_channels		= igbq_ethtool_get_channels,
	.get_sset_count		= igbq_ethtool_get_sset_count,
	.get_strings		= igbq_ethtool_get_strings,
	.get_ethtool_stats	= igbq_ethtool_get_stats,
	.get_rxnfc		= igbq_ethtool_get_rxnfc,
	.set_rxnfc		= igbq_ethtool_set_rxnfc,
	.get_ts_info		= ethtool_op_get_ts_info,
};
