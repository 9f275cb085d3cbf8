/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers of the Intel 82576 and its relatives, named as in the datasheet
 * (82576EB Gigabit Ethernet Controller Datasheet, chapter 8).
 */
#ifndef _IGBQ_REGS_H
#define _IGBQ_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

/* General (8.2) */
#define IGBQ_CTRL			0x00000
#define   IGBQ_CTRL_FD			BIT(0)
#define   IGBQ_CTRL_GIO_MASTER_DISABLE	BIT(2)
#define   IGBQ_CTRL_SLU			BIT(6)
#define   IGBQ_CTRL_SPEED		GENMASK(9, 8)
#define   IGBQ_CTRL_FRCSPD		BIT(11)
#define   IGBQ_CTRL_FRCDPX		BIT(12)
#define   IGBQ_CTRL_RST			BIT(26)
#define   IGBQ_CTRL_RFCE		BIT(27)
#define   IGBQ_CTRL_TFCE		BIT(28)
#define   IGBQ_CTRL_VME			BIT(30)
#define IGBQ_STATUS			0x00008
#define   IGBQ_STATUS_FD		BIT(0)
#define   IGBQ_STATUS_LU		BIT(1)
#define   IGBQ_STATUS_LAN_ID		GENMASK(3, 2)
#define   IGBQ_STATUS_SPEED		GENMASK(7, 6)
#define   IGBQ_STATUS_GIO_MASTER_EN	BIT(19)
#define IGBQ_EECD			0x00010
#define   IGBQ_EECD_AUTO_RD		BIT(9)
#define IGBQ_CTRL_EXT			0x00018
#define   IGBQ_CTRL_EXT_LINK_MODE	GENMASK(23, 22)
#define   IGBQ_CTRL_EXT_DRV_LOAD	BIT(28)
#define IGBQ_MDIC			0x00020
#define   IGBQ_MDIC_DATA		GENMASK(15, 0)
#define   IGBQ_MDIC_REG			GENMASK(20, 16)
#define   IGBQ_MDIC_PHY			GENMASK(25, 21)
#define   IGBQ_MDIC_OP			GENMASK(27, 26)
#define     IGBQ_MDIC_OP_WRITE		1
#define     IGBQ_MDIC_OP_READ		2
#define   IGBQ_MDIC_READY		BIT(28)
#define   IGBQ_MDIC_ERROR		BIT(30)

/* Semaphores and manageability (8.5.8, 8.8) */
#define IGBQ_EEMNGCTL			0x01010
#define   IGBQ_EEMNGCTL_CFG_DONE(port)	BIT(18 + (port))
#define IGBQ_SWSM			0x05B50
#define   IGBQ_SWSM_SMBI		BIT(0)
#define   IGBQ_SWSM_SWESMBI		BIT(1)
#define IGBQ_SW_FW_SYNC			0x05B5C
#define   IGBQ_SW_FW_SYNC_FW_SHIFT	16

/*
 * Interrupts (8.8). ICR to IAM have two addresses; this one is what an emulated
 * part has, too.
 */
#define IGBQ_ICR			0x000C0
#define   IGBQ_ICR_TXDW			BIT(0)
#define   IGBQ_ICR_LSC			BIT(2)
#define   IGBQ_ICR_RXDW			BIT(7)
#define   IGBQ_ICR_DOUTSYNC		BIT(28)
#define   IGBQ_ICR_DRSTA		BIT(30)
#define   IGBQ_ICR_INTA			BIT(31)
#define IGBQ_ICS			0x000C8
#define IGBQ_IMS			0x000D0
#define IGBQ_IMC			0x000D8
#define IGBQ_IAM			0x000E0
#define IGBQ_GPIE			0x01514
#define   IGBQ_GPIE_NSICR		BIT(0)
#define   IGBQ_GPIE_MULTIPLE_MSIX	BIT(4)
#define   IGBQ_GPIE_EIAME		BIT(30)
#define   IGBQ_GPIE_PBA_SUPPORT		BIT(31)
#define IGBQ_EICS			0x01520
#define IGBQ_EIMS			0x01524
#define IGBQ_EIMC			0x01528
#define IGBQ_EIAC			0x0152C
#define IGBQ_EIAM			0x01530
#define IGBQ_EITR(vec)			(0x01680 + 4 * (vec))
#define   IGBQ_EITR_INTERVAL		GENMASK(14, 2)
#define   IGBQ_EITR_CNT_IGNR		BIT(31)
#define IGBQ_IVAR(reg)			(0x01700 + 4 * (reg))
#define   IGBQ_IVAR_VALID		BIT(7)
#define IGBQ_IVAR_MISC			0x01740
#define   IGBQ_IVAR_MISC_OTHER_SHIFT	8

/* Receive and transmit control (8.10, 8.12) */
#define IGBQ_RCTL			0x00100
#define   IGBQ_RCTL_RXEN		BIT(1)
#define   IGBQ_RCTL_LPE			BIT(5)
#define   IGBQ_RCTL_BAM			BIT(15)
#define   IGBQ_RCTL_VFE			BIT(18)
#define   IGBQ_RCTL_SECRC		BIT(26)
#define IGBQ_TCTL			0x00400
#define   IGBQ_TCTL_EN			BIT(1)
#define   IGBQ_TCTL_PSP			BIT(3)
#define   IGBQ_TCTL_CT			GENMASK(11, 4)
#define   IGBQ_TCTL_BST			GENMASK(21, 12)
#define IGBQ_QDE			0x02408
#define IGBQ_DTXCTL			0x03590
#define   IGBQ_DTXCTL_ADD_VLAN		BIT(4)
#define IGBQ_RXCSUM			0x05000
#define   IGBQ_RXCSUM_IPOFLD		BIT(8)
#define   IGBQ_RXCSUM_TUOFLD		BIT(9)
#define   IGBQ_RXCSUM_CRCOFLD		BIT(11)
#define   IGBQ_RXCSUM_PCSD		BIT(13)
#define IGBQ_RLPML			0x05004
#define IGBQ_PSRTYPE(pool)		(0x05480 + 4 * (pool))
#define IGBQ_WUC			0x05800

/* Address slots from 16 on lie elsewhere (8.10.16). */
static inline u32 igbq_regs_ral(unsigned int slot)
{
	return (slot < 16 ? 0x05400 : 0x05460) + 8 * slot;
}

/* Receive filters (8.10.14 - 8.10.20) */
#define IGBQ_MTA(i)			(0x05200 + 4 * (i))
#define IGBQ_RAL(i)			igbq_regs_ral(i)
#define IGBQ_RAH(i)			(IGBQ_RAL(i) + 4)
#define   IGBQ_RAH_ADDR			GENMASK(15, 0)
#define   IGBQ_RAH_POOLSEL		GENMASK(25, 18)
#define   IGBQ_RAH_AV			BIT(31)
#define IGBQ_VFTA(i)			(0x05600 + 4 * (i))
#define IGBQ_UTA(i)			(0x0A000 + 4 * (i))
/* Each of the three tables of bits has as many. */
#define IGBQ_HASH_REGS			128

/* VMDq (8.14) */
#define IGBQ_VFRE			0x00C8C
#define IGBQ_VFTE			0x00C90
#define IGBQ_DTXSWC			0x03500
#define IGBQ_VMVIR(pool)		(0x03700 + 4 * (pool))
#define IGBQ_MRQC			0x05818
#define   IGBQ_MRQC_ENABLE		GENMASK(2, 0)
#define     IGBQ_MRQC_ENABLE_VMDQ	3
#define IGBQ_VT_CTL			0x0581C
#define   IGBQ_VT_CTL_DEF_PL		GENMASK(9, 7)
#define   IGBQ_VT_CTL_RPL_EN		BIT(30)
#define IGBQ_VMOLR(pool)		(0x05AD0 + 4 * (pool))
#define   IGBQ_VMOLR_RLPML		GENMASK(13, 0)
#define   IGBQ_VMOLR_LPE		BIT(16)
#define   IGBQ_VMOLR_AUPE		BIT(24)
#define   IGBQ_VMOLR_ROMPE		BIT(25)
#define   IGBQ_VMOLR_BAM		BIT(27)
#define   IGBQ_VMOLR_MPME		BIT(28)
#define   IGBQ_VMOLR_STRVLAN		BIT(30)
#define   IGBQ_VMOLR_STRCRC		BIT(31)
#define IGBQ_RPLOLR			0x05AF0
#define IGBQ_VLVF(i)			(0x05D00 + 4 * (i))
#define   IGBQ_VLVF_VID			GENMASK(11, 0)
#define   IGBQ_VLVF_POOLSEL		GENMASK(19, 12)
#define   IGBQ_VLVF_EN			BIT(31)
#define IGBQ_PVFGPRC(pool)		(0x10010 + 0x100 * (pool))

/* Receive rings (8.10.4 - 8.10.11) */
#define IGBQ_RDBAL(q)			(0x0C000 + 0x40 * (q))
#define IGBQ_RDBAH(q)			(0x0C004 + 0x40 * (q))
#define IGBQ_RDLEN(q)			(0x0C008 + 0x40 * (q))
#define IGBQ_SRRCTL(q)			(0x0C00C + 0x40 * (q))
#define   IGBQ_SRRCTL_BSIZEPACKET	GENMASK(6, 0)
#define   IGBQ_SRRCTL_DESCTYPE		GENMASK(27, 25)
#define     IGBQ_SRRCTL_DESCTYPE_ADV	1
#define   IGBQ_SRRCTL_DROP_EN		BIT(31)
#define IGBQ_RDH(q)			(0x0C010 + 0x40 * (q))
#define IGBQ_RDT(q)			(0x0C018 + 0x40 * (q))
#define IGBQ_RXDCTL(q)			(0x0C028 + 0x40 * (q))
#define IGBQ_RQDPC(q)			(0x0C030 + 0x40 * (q))
#define   IGBQ_RQDPC_COUNT		GENMASK(11, 0)

/* Transmit rings (8.12.8 - 8.12.15) */
#define IGBQ_TDBAL(q)			(0x0E000 + 0x40 * (q))
#define IGBQ_TDBAH(q)			(0x0E004 + 0x40 * (q))
#define IGBQ_TDLEN(q)			(0x0E008 + 0x40 * (q))
#define IGBQ_TDH(q)			(0x0E010 + 0x40 * (q))
#define IGBQ_TDT(q)			(0x0E018 + 0x40 * (q))
#define IGBQ_TXDCTL(q)			(0x0E028 + 0x40 * (q))

/* Common to RXDCTL and TXDCTL */
#define   IGBQ_DCTL_PTHRESH		GENMASK(4, 0)
#define   IGBQ_DCTL_HTHRESH		GENMASK(12, 8)
#define   IGBQ_DCTL_WTHRESH		GENMASK(20, 16)
#define   IGBQ_DCTL_ENABLE		BIT(25)

#endif /* _IGBQ_REGS_H */
