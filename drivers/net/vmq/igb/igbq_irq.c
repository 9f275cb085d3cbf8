// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI-X vectors (82576 DS 7.3). A vector is masked by the NIC when it fires
 * (EIAM) and unmasked at the end of the poll. Some parts do not mask, and
 * moderation may raise a vector without a cause, so a handler must neither
 * rely on the mask nor complain.
 */
#include <linux/bitfield.h>
#include <linux/ctype.h>
#include <linux/interrupt.h>
#include "igbq.h"
#include "igbq_regs.h"

static unsigned int igbq_irq_vectors(const struct igbq_nic *nic)
{
	return nic->chip->caps.pools + 1;
}

int igbq_irq_alloc(struct igbq_nic *nic)
{
	unsigned int n = igbq_irq_vectors(nic);
	struct igbq_queue *q;
	unsigned int i;
	int err;

	err = pci_alloc_irq_vectors(nic->pdev, n, n, PCI_IRQ_MSIX);
	if (err < 0)
		return dev_err_probe(&nic->pdev->dev, err,
				     "needs MSI-X with %u vectors\n", n);

	nic->irq_other = pci_irq_vector(nic->pdev, IGBQ_VEC_OTHER);
	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		q->irq = pci_irq_vector(nic->pdev, IGBQ_VEC_QUEUE(q->id));
	return 0;
}

void igbq_irq_free(struct igbq_nic *nic)
{
	pci_free_irq_vectors(nic->pdev);
}

/*
 * GPIE first: without MSI-X mode the others do not stick. NSICR makes a read
 * of ICR clear it; IAM must then be 0, or IMS loses bits.
 */
void igbq_irq_init(struct igbq_nic *nic)
{
	u32 all = GENMASK(igbq_irq_vectors(nic) - 1, 0);

	igbq_wr32(nic, IGBQ_GPIE, IGBQ_GPIE_NSICR | IGBQ_GPIE_MULTIPLE_MSIX |
				  IGBQ_GPIE_EIAME | IGBQ_GPIE_PBA_SUPPORT);
	igbq_wr32(nic, IGBQ_IAM, 0);
	igbq_wr32(nic, IGBQ_EIAC, all);
	igbq_wr32(nic, IGBQ_EIAM, all);
	igbq_wr32(nic, IGBQ_IVAR_MISC,
		  (IGBQ_IVAR_VALID | IGBQ_VEC_OTHER) <<
		  IGBQ_IVAR_MISC_OTHER_SHIFT);
}

static irqreturn_t igbq_irq_other(int irq, void *data)
{
	struct igbq_nic *nic = data;
	u32 icr = igbq_rd32(nic, IGBQ_ICR);

	if (READ_ONCE(nic->gone))
		return IRQ_HANDLED;
	if (icr & IGBQ_ICR_LSC)
		igbq_link_check(nic);
	/* The port was reset behind our back, or lost track of its DMA. */
	if (icr & (IGBQ_ICR_DRSTA | IGBQ_ICR_DOUTSYNC))
		queue_work(igbq_wq, &nic->reset_work);
	igbq_wr32(nic, IGBQ_EIMS, BIT(IGBQ_VEC_OTHER));
	return IRQ_HANDLED;
}

int igbq_irq_other_request(struct igbq_nic *nic)
{
	snprintf(nic->irq_other_name, sizeof(nic->irq_other_name), "%s-other",
		 nic->netdev->name);
	return request_irq(nic->irq_other, igbq_irq_other, 0,
			   nic->irq_other_name, nic);
}

void igbq_irq_other_free(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_IMC, ~0u);
	igbq_wr32(nic, IGBQ_EIMC, BIT(IGBQ_VEC_OTHER));
	igbq_hw_flush(nic);
	free_irq(nic->irq_other, nic);
}

void igbq_irq_other_unmask(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_EIMS, BIT(IGBQ_VEC_OTHER));
	igbq_wr32(nic, IGBQ_IMS, IGBQ_ICR_LSC | IGBQ_ICR_DRSTA |
				 IGBQ_ICR_DOUTSYNC);
}

static irqreturn_t igbq_irq_queue(int irq, void *data)
{
	struct igbq_queue *q = data;

	napi_schedule_irqoff(&q->napi);
	return IRQ_HANDLED;
}

/*
 * The name becomes a directory in /proc/irq, so it has no odd characters. When
 * the VM is renamed /proc/interrupts may be read at this very moment: it sees
 * some of both names, but always an end, for the last byte is never written.
 */
void igbq_irq_queue_name(struct igbq_queue *q)
{
	char name[sizeof(q->irq_name)] = "";
	char *c = name;

	c += snprintf(name, sizeof(name), "%s-vmq-%u", q->nic->netdev->name,
		      q->id);
	if (q->vq->vm_name[0])
		snprintf(c, sizeof(name) - (c - name), "-%s", q->vq->vm_name);
	for (; *c; c++)
		if (!isascii(*c) || (!isalnum(*c) && !strchr("-_.:", *c)))
			*c = '_';
	memcpy(q->irq_name, name, sizeof(name) - 1);
}

int igbq_irq_queue_request(struct igbq_queue *q)
{
	igbq_irq_queue_name(q);
	return request_irq(q->irq, igbq_irq_queue, 0, q->irq_name, q);
}

void igbq_irq_queue_free(struct igbq_queue *q)
{
	free_irq(q->irq, q);
}

/* Both rings of a queue use its vector. */
void igbq_irq_queue_map(struct igbq_queue *q)
{
	bool rows = q->nic->chip->ivar == IGBQ_IVAR_ROWS;
	u32 reg = rows ? q->id / 2 : q->id % 8;
	u32 half = rows ? q->id % 2 : q->id / 8;
	u32 entry = IGBQ_IVAR_VALID | IGBQ_VEC_QUEUE(q->id);
	u32 val = igbq_rd32(q->nic, IGBQ_IVAR(reg));

	val &= ~(0xffffu << (16 * half));
	val |= (entry | entry << 8) << (16 * half);
	igbq_wr32(q->nic, IGBQ_IVAR(reg), val);
	igbq_irq_queue_set_usecs(q, q->rx_usecs);
}

void igbq_irq_queue_mask(struct igbq_queue *q)
{
	igbq_wr32(q->nic, IGBQ_EIMC, BIT(IGBQ_VEC_QUEUE(q->id)));
	igbq_hw_flush(q->nic);
}

void igbq_irq_queue_unmask(struct igbq_queue *q)
{
	igbq_wr32(q->nic, IGBQ_EIMS, BIT(IGBQ_VEC_QUEUE(q->id)));
}

void igbq_irq_queue_kick(struct igbq_queue *q)
{
	igbq_wr32(q->nic, IGBQ_EICS, BIT(IGBQ_VEC_QUEUE(q->id)));
}

/* CNT_IGNR: a new interval must not cut the running one short. */
void igbq_irq_queue_set_usecs(struct igbq_queue *q, u16 usecs)
{
	q->rx_usecs = usecs;
	igbq_wr32(q->nic, IGBQ_EITR(IGBQ_VEC_QUEUE(q->id)),
		  IGBQ_EITR_CNT_IGNR | FIELD_PREP(IGBQ_EITR_INTERVAL, usecs));
}
