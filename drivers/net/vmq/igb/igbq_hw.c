// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register access that survives a vanished device, reset, and what has to be
 * written once after it.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/pci.h>
#include "igbq.h"
#include "igbq_regs.h"

/* An unplugged device answers every read with all ones. STATUS never does. */
static void igbq_hw_check_gone(struct igbq_nic *nic, u32 reg)
{
	if (reg != IGBQ_STATUS && readl(nic->io + IGBQ_STATUS) != ~0u)
		return;
	if (xchg(&nic->gone, true))
		return;

	dev_err(&nic->pdev->dev, "device does not answer, detached\n");
	netif_device_detach(nic->netdev);
	netif_carrier_off(nic->netdev);
}

u32 igbq_rd32(struct igbq_nic *nic, u32 reg)
{
	u32 val;

	if (READ_ONCE(nic->gone))
		return ~0u;

	val = readl(nic->io + reg);
	if (unlikely(val == ~0u))
		igbq_hw_check_gone(nic, reg);
	return val;
}

void igbq_wr32(struct igbq_nic *nic, u32 reg, u32 val)
{
	if (likely(!READ_ONCE(nic->gone)))
		writel(val, nic->io + reg);
}

/* A read pushes posted writes to the device. */
void igbq_hw_flush(struct igbq_nic *nic)
{
	igbq_rd32(nic, IGBQ_STATUS);
}

static bool igbq_hw_matches(struct igbq_nic *nic, u32 reg, u32 mask, u32 want)
{
	return READ_ONCE(nic->gone) || (igbq_rd32(nic, reg) & mask) == want;
}

/*
 * Sleeps until the bits have the wanted value. A vanished device ends every
 * wait at once: what it should have done does not matter any more.
 */
int igbq_hw_wait(struct igbq_nic *nic, u32 reg, u32 mask, u32 want,
		 unsigned int msecs)
{
	bool match;
	int err;

	err = read_poll_timeout(igbq_hw_matches, match, match, 100,
				msecs * USEC_PER_MSEC, false,
				nic, reg, mask, want);
	return READ_ONCE(nic->gone) ? -ENODEV : err;
}

/**
 * igbq_hw_stop_ring - stop the DMA of a ring
 * @nic: the device
 * @dctl: RXDCTL or TXDCTL of the ring
 *
 * The ring's memory is given away next. A ring that does not stop (a transmit
 * ring with frames and no link may not) could write to pages that are somebody
 * else's by then: the NIC is cut off the bus, and reset.
 *
 * Context: rtnl held, may sleep.
 */
void igbq_hw_stop_ring(struct igbq_nic *nic, u32 dctl)
{
	igbq_wr32(nic, dctl, 0);
	if (igbq_hw_wait(nic, dctl, IGBQ_DCTL_ENABLE, 0, 10) == -ETIMEDOUT) {
		netdev_err(nic->netdev, "a ring does not stop, resetting\n");
		pci_clear_master(nic->pdev);
		if (nic->up)
			queue_work(igbq_wq, &nic->reset_work);
	}
	/* The NIC may still write for a moment after the bit went off. */
	usleep_range(100, 200);
}

/* Let running DMA end: a reset in the middle of it can hang the bus. */
static void igbq_hw_quiesce(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_EIMC, ~0u);
	igbq_wr32(nic, IGBQ_IMC, ~0u);
	igbq_wr32(nic, IGBQ_RCTL, 0);
	igbq_wr32(nic, IGBQ_TCTL, IGBQ_TCTL_PSP);
	igbq_hw_flush(nic);
	usleep_range(10000, 20000);

	igbq_wr32(nic, IGBQ_CTRL, igbq_rd32(nic, IGBQ_CTRL) |
				  IGBQ_CTRL_GIO_MASTER_DISABLE);
	if (igbq_hw_wait(nic, IGBQ_STATUS, IGBQ_STATUS_GIO_MASTER_EN, 0, 80))
		dev_dbg(&nic->pdev->dev, "requests pending before reset\n");
}

/*
 * Neither wait is fatal: a part without management firmware never sets the
 * second bit, and an emulated one neither.
 */
static void igbq_hw_wait_nvm(struct igbq_nic *nic)
{
	u32 port = FIELD_GET(IGBQ_STATUS_LAN_ID, igbq_rd32(nic, IGBQ_STATUS));
	u32 done = IGBQ_EEMNGCTL_CFG_DONE(port);

	if (igbq_hw_wait(nic, IGBQ_EECD, IGBQ_EECD_AUTO_RD,
			 IGBQ_EECD_AUTO_RD, 10))
		dev_dbg(&nic->pdev->dev, "NVM autoload not reported\n");
	if (igbq_hw_wait(nic, IGBQ_EEMNGCTL, done, done, 100))
		dev_dbg(&nic->pdev->dev, "PHY configuration not reported\n");
}

/* Ring 0 comes out of reset enabled, and so do all pools. */
static void igbq_hw_disable_rings(struct igbq_nic *nic)
{
	unsigned int i;

	for (i = 0; i < nic->chip->rings; i++) {
		igbq_wr32(nic, IGBQ_RXDCTL(i), 0);
		igbq_wr32(nic, IGBQ_TXDCTL(i), 0);
	}
	igbq_wr32(nic, IGBQ_VFRE, 0);
	igbq_wr32(nic, IGBQ_VFTE, 0);
}

/**
 * igbq_hw_reset - reset the port and leave it silent
 * @nic: the device; no interrupt handler of it is installed
 *
 * Context: may sleep. Return: 0, -ETIMEDOUT, or -ENODEV for a vanished device.
 */
int igbq_hw_reset(struct igbq_nic *nic)
{
	int err;

	igbq_hw_quiesce(nic);
	igbq_wr32(nic, IGBQ_CTRL, igbq_rd32(nic, IGBQ_CTRL) | IGBQ_CTRL_RST);
	/* No access within the first millisecond (82576 DS 4.2.1.6). */
	usleep_range(1000, 2000);
	err = igbq_hw_wait(nic, IGBQ_CTRL, IGBQ_CTRL_RST, 0, 20);
	if (err)
		return err;

	igbq_hw_wait_nvm(nic);
	igbq_wr32(nic, IGBQ_EIMC, ~0u);
	igbq_wr32(nic, IGBQ_IMC, ~0u);
	igbq_rd32(nic, IGBQ_ICR);
	igbq_hw_disable_rings(nic);
	igbq_hw_flush(nic);
	return READ_ONCE(nic->gone) ? -ENODEV : 0;
}

static void igbq_hw_init_rx(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_RXCSUM, IGBQ_RXCSUM_IPOFLD | IGBQ_RXCSUM_TUOFLD |
				    IGBQ_RXCSUM_CRCOFLD | IGBQ_RXCSUM_PCSD);
	/* A full ring drops its own frames and never blocks another ring. */
	igbq_wr32(nic, IGBQ_QDE, GENMASK(nic->chip->rings - 1, 0));
}

static void igbq_hw_init_tx(struct igbq_nic *nic)
{
	if (nic->chip->dtxctl)
		igbq_wr32(nic, IGBQ_DTXCTL, igbq_rd32(nic, IGBQ_DTXCTL) |
					    nic->chip->dtxctl);
	igbq_wr32(nic, IGBQ_TCTL, IGBQ_TCTL_EN | IGBQ_TCTL_PSP |
				  FIELD_PREP(IGBQ_TCTL_CT, 15) |
				  FIELD_PREP(IGBQ_TCTL_BST, 64));
}

/**
 * igbq_hw_init - write what all queues share
 * @nic: the device, reset; receive stays off until igbq_hw_rx_on()
 *
 * Context: rtnl held.
 */
void igbq_hw_init(struct igbq_nic *nic)
{
	u32 ctrl = igbq_rd32(nic, IGBQ_CTRL);

	/* Without VME no tag is inserted, whatever the descriptor says. */
	ctrl &= ~(IGBQ_CTRL_RFCE | IGBQ_CTRL_TFCE);
	igbq_wr32(nic, IGBQ_CTRL, ctrl | IGBQ_CTRL_SLU | IGBQ_CTRL_VME);
	igbq_wr32(nic, IGBQ_CTRL_EXT, igbq_rd32(nic, IGBQ_CTRL_EXT) |
				      IGBQ_CTRL_EXT_DRV_LOAD);
	igbq_wr32(nic, IGBQ_WUC, 0);
	igbq_irq_init(nic);
	igbq_vmdq_init(nic);
	igbq_hw_init_rx(nic);
	igbq_hw_init_tx(nic);
}

/*
 * The last write of a bring-up: it also makes the NIC look at the rings. Again
 * whenever VLAN filtering changes.
 */
void igbq_hw_rx_on(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_RCTL, IGBQ_RCTL_RXEN | IGBQ_RCTL_LPE |
				  IGBQ_RCTL_BAM | IGBQ_RCTL_SECRC |
				  (nic->vlan_filtering ? IGBQ_RCTL_VFE : 0));
	igbq_hw_flush(nic);
}

void igbq_hw_rx_off(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_RCTL, 0);
	igbq_hw_flush(nic);
}

/* Tell firmware that it may have the port back. */
void igbq_hw_release(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_CTRL_EXT, igbq_rd32(nic, IGBQ_CTRL_EXT) &
				      ~IGBQ_CTRL_EXT_DRV_LOAD);
	igbq_hw_flush(nic);
}

/* After a reset the NIC has loaded slot 0 from the NVM. */
int igbq_hw_read_addr(struct igbq_nic *nic, u8 *addr)
{
	u32 low = igbq_rd32(nic, IGBQ_RAL(0));
	u32 high = igbq_rd32(nic, IGBQ_RAH(0));

	addr[0] = low;
	addr[1] = low >> 8;
	addr[2] = low >> 16;
	addr[3] = low >> 24;
	addr[4] = high;
	addr[5] = high >> 8;
	return is_valid_ether_addr(addr) ? 0 : -EINVAL;
}

bool igbq_hw_is_copper(struct igbq_nic *nic)
{
	return !FIELD_GET(IGBQ_CTRL_EXT_LINK_MODE,
			  igbq_rd32(nic, IGBQ_CTRL_EXT));
}
