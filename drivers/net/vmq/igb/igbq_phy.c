// SPDX-License-Identifier: GPL-2.0-only
/*
 * Link: the internal copper PHY behind MDIC, and the carrier. Only link_work
 * talks to the PHY, so that nothing else has to lock or wait for it.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/mii.h>
#include "igbq.h"
#include "igbq_regs.h"

#define IGBQ_PHY_ADDR		1
/* A register of Intel's PHYs: which pair of wires is which. */
#define IGBQ_PHY_PORT_CTRL	18
#define   IGBQ_PHY_AUTO_MDIX	BIT(12)
#define   IGBQ_PHY_FORCE_MDIX	BIT(13)
#define IGBQ_LINK_POLL_DOWN	(HZ / 2)
#define IGBQ_LINK_POLL_UP	(2 * HZ)

/* The bit of this port's PHY in SW_FW_SYNC (82576 DS 8.16.1). */
static u32 igbq_phy_sync_bit(struct igbq_nic *nic)
{
	static const u8 bit[] = { 1, 2, 5, 6 };
	u32 port = FIELD_GET(IGBQ_STATUS_LAN_ID, igbq_rd32(nic, IGBQ_STATUS));

	return BIT(bit[port]);
}

/* Reading SMBI as 0 takes it. */
static int igbq_swsm_lock(struct igbq_nic *nic)
{
	u32 both = IGBQ_SWSM_SMBI | IGBQ_SWSM_SWESMBI;
	int err;

	err = igbq_hw_wait(nic, IGBQ_SWSM, IGBQ_SWSM_SMBI, 0, 50);
	if (err)
		return err;

	igbq_wr32(nic, IGBQ_SWSM, both);
	err = igbq_hw_wait(nic, IGBQ_SWSM, IGBQ_SWSM_SWESMBI,
			   IGBQ_SWSM_SWESMBI, 50);
	if (err)
		igbq_wr32(nic, IGBQ_SWSM, 0);
	return err;
}

static void igbq_swsm_unlock(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_SWSM, 0);
}

/* Firmware and the other ports use the same MDIO bus. */
static int igbq_phy_lock(struct igbq_nic *nic)
{
	u32 bit = igbq_phy_sync_bit(nic);
	u32 taken = bit | bit << IGBQ_SW_FW_SYNC_FW_SHIFT;
	u32 sync;
	int err;

	err = igbq_swsm_lock(nic);
	if (err)
		return err;

	sync = igbq_rd32(nic, IGBQ_SW_FW_SYNC);
	if (sync & taken)
		err = -EBUSY;
	else
		igbq_wr32(nic, IGBQ_SW_FW_SYNC, sync | bit);
	igbq_swsm_unlock(nic);
	return err;
}

static void igbq_phy_unlock(struct igbq_nic *nic)
{
	u32 bit = igbq_phy_sync_bit(nic);

	if (igbq_swsm_lock(nic)) {
		netdev_warn(nic->netdev, "PHY semaphore stays taken\n");
		return;
	}
	igbq_wr32(nic, IGBQ_SW_FW_SYNC,
		  igbq_rd32(nic, IGBQ_SW_FW_SYNC) & ~bit);
	igbq_swsm_unlock(nic);
}

static int igbq_mdic(struct igbq_nic *nic, u32 op, u32 reg, u16 data)
{
	u32 val;
	int err;

	igbq_wr32(nic, IGBQ_MDIC, FIELD_PREP(IGBQ_MDIC_OP, op) |
				  FIELD_PREP(IGBQ_MDIC_PHY, IGBQ_PHY_ADDR) |
				  FIELD_PREP(IGBQ_MDIC_REG, reg) |
				  FIELD_PREP(IGBQ_MDIC_DATA, data));
	err = igbq_hw_wait(nic, IGBQ_MDIC, IGBQ_MDIC_READY,
			   IGBQ_MDIC_READY, 10);
	if (err)
		return err;

	val = igbq_rd32(nic, IGBQ_MDIC);
	if (val & IGBQ_MDIC_ERROR)
		return -EIO;
	return FIELD_GET(IGBQ_MDIC_DATA, val);
}

static int igbq_phy_modify(struct igbq_nic *nic, u32 reg, u16 clear, u16 set)
{
	int val = igbq_mdic(nic, IGBQ_MDIC_OP_READ, reg, 0);

	if (val < 0)
		return val;
	return igbq_mdic(nic, IGBQ_MDIC_OP_WRITE, reg, (val & ~clear) | set);
}

/*
 * PAUSE is never offered. The MAC does no flow control, and the partner must
 * not be told otherwise: a PAUSE frame from any VM would then silence the link
 * for all.
 */
static int igbq_phy_offer(struct igbq_nic *nic, u32 modes)
{
	int err;

	err = igbq_phy_modify(nic, MII_ADVERTISE, ADVERTISE_ALL |
			      ADVERTISE_PAUSE_CAP | ADVERTISE_PAUSE_ASYM,
			      ethtool_adv_to_mii_adv_t(modes));
	if (err < 0)
		return err;
	return igbq_phy_modify(nic, MII_CTRL1000,
			       ADVERTISE_1000HALF | ADVERTISE_1000FULL,
			       ethtool_adv_to_mii_ctrl1000_t(modes));
}

/*
 * A reset of the port drops the link; only a restart of the negotiation brings
 * it back everywhere (CTRL.SLU is not enough on an emulated part).
 */
static int igbq_phy_set_mode(struct igbq_nic *nic, u16 bmcr)
{
	u16 mdix = 0;
	int err;

	/* Which pair is which can be found out by a PHY that negotiates only */
	if (bmcr & BMCR_ANENABLE) {
		bmcr |= BMCR_ANRESTART;
		mdix = IGBQ_PHY_AUTO_MDIX;
	}
	err = igbq_phy_modify(nic, IGBQ_PHY_PORT_CTRL,
			      IGBQ_PHY_AUTO_MDIX | IGBQ_PHY_FORCE_MDIX, mdix);
	if (err < 0)
		return err;
	return igbq_phy_modify(nic, MII_BMCR, BMCR_PDOWN | BMCR_ISOLATE |
			       BMCR_ANENABLE | BMCR_SPEED100 | BMCR_SPEED1000 |
			       BMCR_FULLDPLX, bmcr);
}

/* The MAC follows a PHY that negotiates, and has to be told else. */
static void igbq_phy_force_mac(struct igbq_nic *nic, u16 bmcr)
{
	u32 ctrl = igbq_rd32(nic, IGBQ_CTRL);

	ctrl &= ~(IGBQ_CTRL_FRCSPD | IGBQ_CTRL_FRCDPX | IGBQ_CTRL_SPEED |
		  IGBQ_CTRL_FD);
	if (!(bmcr & BMCR_ANENABLE))
		ctrl |= IGBQ_CTRL_FRCSPD | IGBQ_CTRL_FRCDPX |
			FIELD_PREP(IGBQ_CTRL_SPEED, !!(bmcr & BMCR_SPEED100));
	if (bmcr & (BMCR_ANENABLE | BMCR_FULLDPLX))
		ctrl |= IGBQ_CTRL_FD;
	igbq_wr32(nic, IGBQ_CTRL, ctrl);
}

/* What the user wants of the link goes to the NIC. */
static int igbq_phy_setup(struct igbq_nic *nic)
{
	u16 bmcr = READ_ONCE(nic->link_bmcr);
	int err;

	err = igbq_phy_lock(nic);
	if (err)
		return err;

	igbq_phy_force_mac(nic, bmcr);
	err = igbq_phy_offer(nic, READ_ONCE(nic->link_offer));
	if (err >= 0)
		err = igbq_phy_set_mode(nic, bmcr);
	igbq_phy_unlock(nic);
	return err < 0 ? err : 0;
}

/* Without an answer of the PHY nothing is known of the partner. */
static u32 igbq_phy_partner(struct igbq_nic *nic)
{
	int lpa, gigabit;

	if (igbq_phy_lock(nic))
		return 0;
	lpa = igbq_mdic(nic, IGBQ_MDIC_OP_READ, MII_LPA, 0);
	gigabit = igbq_mdic(nic, IGBQ_MDIC_OP_READ, MII_STAT1000, 0);
	igbq_phy_unlock(nic);
	if (lpa < 0 || gigabit < 0)
		return 0;
	return mii_lpa_to_ethtool_lpa_t(lpa) |
	       mii_stat1000_to_ethtool_lpa_t(gigabit);
}

void igbq_link_get(struct igbq_nic *nic, u32 *speed, u8 *duplex)
{
	u32 status = igbq_rd32(nic, IGBQ_STATUS);

	switch (FIELD_GET(IGBQ_STATUS_SPEED, status)) {
	case 0:
		*speed = SPEED_10;
		break;
	case 1:
		*speed = SPEED_100;
		break;
	default:
		*speed = SPEED_1000;
	}
	*duplex = status & IGBQ_STATUS_FD ? DUPLEX_FULL : DUPLEX_HALF;
}

static void igbq_link_forget_partner(struct igbq_nic *nic)
{
	nic->link_asked = false;
	WRITE_ONCE(nic->link_partner, 0);
}

static void igbq_link_update(struct igbq_nic *nic)
{
	struct net_device *netdev = nic->netdev;
	bool up = igbq_rd32(nic, IGBQ_STATUS) & IGBQ_STATUS_LU;
	u32 speed;
	u8 duplex;

	if (READ_ONCE(nic->gone) || up == netif_carrier_ok(netdev))
		return;

	if (!up) {
		netif_carrier_off(netdev);
		igbq_link_forget_partner(nic);
		netdev_info(netdev, "link is down\n");
		return;
	}
	igbq_link_get(nic, &speed, &duplex);
	netif_carrier_on(netdev);
	netdev_info(netdev, "link is up, %u Mb/s, %s duplex\n", speed,
		    duplex == DUPLEX_FULL ? "full" : "half");
}

/* Asked once a negotiation, for the PHY is shared. */
static void igbq_link_ask_partner(struct igbq_nic *nic)
{
	if (nic->link_asked || !netif_carrier_ok(nic->netdev) ||
	    !(READ_ONCE(nic->link_bmcr) & BMCR_ANENABLE))
		return;
	nic->link_asked = true;
	WRITE_ONCE(nic->link_partner, igbq_phy_partner(nic));
}

/* Cleared first: a request made while the set-up runs must count. */
static void igbq_link_setup(struct igbq_nic *nic)
{
	int err;

	if (!xchg(&nic->phy_restart, false))
		return;
	igbq_link_forget_partner(nic);
	err = igbq_phy_setup(nic);
	if (!err || READ_ONCE(nic->gone))
		return;
	WRITE_ONCE(nic->phy_restart, true);
	if (net_ratelimit())
		netdev_warn(nic->netdev, "PHY does not answer, trying again: %pe\n",
			    ERR_PTR(err));
}

static void igbq_link_work(struct work_struct *work)
{
	struct igbq_nic *nic = container_of(to_delayed_work(work),
					    struct igbq_nic, link_work);
	unsigned long delay;

	igbq_link_setup(nic);
	igbq_link_update(nic);
	igbq_link_ask_partner(nic);
	igbq_vmdq_sample(nic);
	if (READ_ONCE(nic->gone))
		return;

	delay = netif_carrier_ok(nic->netdev) ? IGBQ_LINK_POLL_UP :
						IGBQ_LINK_POLL_DOWN;
	queue_delayed_work(igbq_wq, &nic->link_work, delay);
}

void igbq_link_init(struct igbq_nic *nic)
{
	INIT_DELAYED_WORK(&nic->link_work, igbq_link_work);
	nic->link_offer = IGBQ_LINK_MODES;
	nic->link_bmcr = BMCR_ANENABLE;
}

/* Look at the link now. Any context. */
void igbq_link_check(struct igbq_nic *nic)
{
	mod_delayed_work(igbq_wq, &nic->link_work, 0);
}

/*
 * Set the link up as link_offer and link_bmcr say; the result shows up in the
 * carrier.
 */
void igbq_link_start(struct igbq_nic *nic)
{
	/* Whoever sees the request sees what it is about. */
	smp_store_release(&nic->phy_restart, true);
	igbq_link_check(nic);
}

/* Whoever could call igbq_link_check() is silent already. */
void igbq_link_stop(struct igbq_nic *nic)
{
	cancel_delayed_work_sync(&nic->link_work);
	igbq_link_forget_partner(nic);
	netif_carrier_off(nic->netdev);
}
