// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts (82576 DS 7.3).
 *
 * MSI-X: a vector is masked by the NIC when it fires (EIAM) and unmasked at the
 * end of the poll. Some parts do not mask, and moderation may raise a vector
 * without a cause, so a handler must neither rely on the mask nor complain.
 *
 * Without: all causes are bits of ICR, whose handler masks those of queue 0
 * itself. It is requested with queue 0 and freed with it, and not before its
 * poll is over: that one unmasks, and on a shared line nobody would be left to
 * silence the NIC.
 */
#include <linux/bitfield.h>
#include <linux/ctype.h>
#include <linux/interrupt.h>
#include "igbq.h"
#include "igbq_regs.h"

/* Causes in ICR. With MSI-X those of queues are their vectors' alone. */
#define IGBQ_IRQ_EVENTS	(IGBQ_ICR_LSC | IGBQ_ICR_DRSTA | IGBQ_ICR_DOUTSYNC)
#define IGBQ_IRQ_QUEUE	(IGBQ_ICR_RXDW | IGBQ_ICR_TXDW)

static unsigned int igbq_irq_vectors(const struct igbq_chip *chip)
{
	return chip->caps.pools + 1;
}

/**
 * igbq_irq_alloc - get a vector for each queue, or at least one interrupt
 * @pdev: the device, enabled
 * @chip: what it is
 *
 * A single MSI-X vector is not asked for: MSI and INTx are what drivers of this
 * family are used with.
 *
 * Return: 0, or a negative errno. pdev->msix_enabled says which it became.
 */
int igbq_irq_alloc(struct pci_dev *pdev, const struct igbq_chip *chip)
{
	unsigned int n = igbq_irq_vectors(chip);
	int ret;

	ret = pci_alloc_irq_vectors(pdev, n, n, PCI_IRQ_MSIX);
	/* Without memory the NIC is no less able. */
	if (ret < 0 && ret != -ENOMEM)
		ret = pci_alloc_irq_vectors(pdev, 1, 1,
					    PCI_IRQ_MSI | PCI_IRQ_INTX);
	return ret < 0 ? dev_err_probe(&pdev->dev, ret, "no interrupt\n") : 0;
}

void igbq_irq_free(struct pci_dev *pdev)
{
	pci_free_irq_vectors(pdev);
}

/* Who has which of the Linux interrupts */
void igbq_irq_assign(struct igbq_nic *nic)
{
	struct igbq_queue *q;
	unsigned int i;

	nic->irq_other = pci_irq_vector(nic->pdev, IGBQ_VEC_OTHER);
	for (i = 0; (q = igbq_queue_at(nic, i)); i++) {
		q->own.nic = nic;
		q->own.index = nic->msix ? IGBQ_VEC_QUEUE(i) : IGBQ_VEC_OTHER;
		q->own.irq = pci_irq_vector(nic->pdev, q->own.index);
		q->vector = &q->own;
	}
}

/*
 * GPIE first: without MSI-X mode the others do not stick. NSICR makes a read
 * of ICR clear it; IAM must then be 0, or IMS loses bits.
 */
static void igbq_irq_init_msix(struct igbq_nic *nic)
{
	u32 all = GENMASK(igbq_irq_vectors(nic->chip) - 1, 0);

	igbq_wr32(nic, IGBQ_GPIE, IGBQ_GPIE_NSICR | IGBQ_GPIE_MULTIPLE_MSIX |
				  IGBQ_GPIE_EIAME | IGBQ_GPIE_PBA_SUPPORT);
	igbq_wr32(nic, IGBQ_IAM, 0);
	igbq_wr32(nic, IGBQ_EIAC, all);
	igbq_wr32(nic, IGBQ_EIAM, all);
	igbq_wr32(nic, IGBQ_IVAR_MISC,
		  (IGBQ_IVAR_VALID | IGBQ_VEC_OTHER) <<
		  IGBQ_IVAR_MISC_OTHER_SHIFT);
}

/*
 * No NSICR: a read of ICR for another device's interrupt leaves it alone. No
 * auto-mask: a part may mask for such a read, too, and nobody would unmask.
 */
static void igbq_irq_init_single(struct igbq_nic *nic)
{
	igbq_wr32(nic, IGBQ_GPIE, 0);
	igbq_wr32(nic, IGBQ_IAM, 0);
	igbq_wr32(nic, IGBQ_IVAR_MISC, 0);
}

void igbq_irq_init(struct igbq_nic *nic)
{
	if (nic->msix)
		igbq_irq_init_msix(nic);
	else
		igbq_irq_init_single(nic);
}

static void igbq_irq_events(struct igbq_nic *nic, u32 icr)
{
	if (icr & IGBQ_ICR_LSC)
		igbq_link_check(nic);
	/* The port was reset behind our back, or lost track of its DMA. */
	if (icr & (IGBQ_ICR_DRSTA | IGBQ_ICR_DOUTSYNC))
		queue_work(igbq_wq, &nic->reset_work);
}

static irqreturn_t igbq_irq_other(int irq, void *data)
{
	struct igbq_nic *nic = data;
	u32 icr = igbq_rd32(nic, IGBQ_ICR);

	if (READ_ONCE(nic->gone))
		return IRQ_HANDLED;
	igbq_irq_events(nic, icr);
	igbq_wr32(nic, IGBQ_EIMS, BIT(IGBQ_VEC_OTHER));
	return IRQ_HANDLED;
}

/*
 * The read has cleared what it shows, on some parts also when the interrupt was
 * another device's: whatever it shows is dealt with. Masked before the poll is
 * scheduled, for a poll that runs now may be about to unmask.
 */
static irqreturn_t igbq_irq_single(int irq, void *data)
{
	struct igbq_vector *v = data;
	struct igbq_nic *nic = v->nic;
	u32 icr = igbq_rd32(nic, IGBQ_ICR);

	if (READ_ONCE(nic->gone))
		return IRQ_NONE;
	if (icr & IGBQ_IRQ_QUEUE) {
		igbq_wr32(nic, IGBQ_IMC, IGBQ_IRQ_QUEUE);
		napi_schedule_irqoff(&nic->queues[0].napi);
	}
	/* A NIC that is going down still shows causes that are masked. */
	if (READ_ONCE(nic->up))
		igbq_irq_events(nic, icr);
	/* With MSI nobody else can have raised it. */
	return icr & IGBQ_ICR_INTA || nic->pdev->msi_enabled ? IRQ_HANDLED :
							       IRQ_NONE;
}

int igbq_irq_other_request(struct igbq_nic *nic)
{
	if (!nic->msix)
		return 0;
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
	if (nic->msix)
		free_irq(nic->irq_other, nic);
	else
		synchronize_irq(nic->irq_other);
}

void igbq_irq_other_unmask(struct igbq_nic *nic)
{
	if (nic->msix)
		igbq_wr32(nic, IGBQ_EIMS, BIT(IGBQ_VEC_OTHER));
	igbq_wr32(nic, IGBQ_IMS, IGBQ_IRQ_EVENTS);
}

/*
 * Which of its queues it is for, the NIC does not say. The first poll that ends
 * unmasks the vector: beside a busy queue the others are polled for nothing, as
 * often as their moderation allows. Sharing is for queues with little to do.
 */
static irqreturn_t igbq_irq_queue(int irq, void *data)
{
	struct igbq_vector *v = data;
	unsigned long queues = READ_ONCE(v->queues);
	unsigned int i;

	for_each_set_bit(i, &queues, BITS_PER_LONG)
		napi_schedule_irqoff(&v->nic->queues[i].napi);
	return IRQ_HANDLED;
}

/*
 * The name becomes a directory in /proc/irq, so it has no odd characters. When
 * the VM is renamed /proc/interrupts may be read at this very moment: it sees
 * some of both names, but always an end, for the last byte is never written.
 */
void igbq_irq_queue_name(struct igbq_queue *q)
{
	const char *vm_name = q->vq->vm_name, *queue_name = q->vq->queue_name;
	char name[sizeof(q->own.name)] = "";
	char *c = name;

	c += snprintf(name, sizeof(name), "%s-vmq-%u", q->nic->netdev->name,
		      q->id);
	snprintf(c, sizeof(name) - (c - name), "%s%s%s%s",
		 *vm_name ? "-" : "", vm_name, *queue_name ? "-" : "",
		 queue_name);
	for (; *c; c++)
		if (!isascii(*c) || (!isalnum(*c) && !strchr("-_.:", *c)))
			*c = '_';
	memcpy(q->own.name, name, sizeof(name) - 1);
}

static void igbq_irq_vector_mask(struct igbq_vector *v)
{
	if (v->nic->msix)
		igbq_wr32(v->nic, IGBQ_EIMC, BIT(v->index));
	else
		igbq_wr32(v->nic, IGBQ_IMC, IGBQ_IRQ_QUEUE);
	igbq_hw_flush(v->nic);
}

/*
 * The shortest interval of its queues: the others are served sooner than they
 * need. CNT_IGNR: a new interval must not cut the running one short.
 */
static void igbq_irq_vector_write_usecs(struct igbq_vector *v)
{
	unsigned long queues = READ_ONCE(v->queues);
	u16 usecs = U16_MAX;
	unsigned int i;

	lockdep_assert_held(&v->nic->moderation_lock);
	if (!queues)
		return;
	for_each_set_bit(i, &queues, BITS_PER_LONG)
		usecs = min(usecs, v->nic->queues[i].usecs);
	igbq_wr32(v->nic, IGBQ_EITR(v->index),
		  IGBQ_EITR_CNT_IGNR | FIELD_PREP(IGBQ_EITR_INTERVAL, usecs));
}

/* Its queues are others. */
static void igbq_irq_vector_set_usecs(struct igbq_vector *v)
{
	spin_lock_bh(&v->nic->moderation_lock);
	igbq_irq_vector_write_usecs(v);
	spin_unlock_bh(&v->nic->moderation_lock);
}

/* The first of its queues requests an interrupt. */
static int igbq_irq_vector_enter(struct igbq_vector *v, struct igbq_queue *q)
{
	bool shared = !pci_dev_msi_enabled(v->nic->pdev);
	bool first = !v->queues;
	int err;

	set_bit(q->id, &v->queues);
	if (!first)
		return 0;
	igbq_irq_queue_name(container_of(v, struct igbq_queue, own));
	err = request_irq(v->irq,
			  v->nic->msix ? igbq_irq_queue : igbq_irq_single,
			  shared ? IRQF_SHARED : 0, v->name, v);
	if (err)
		clear_bit(q->id, &v->queues);
	return err;
}

/* The last poll, which is over, may have unmasked. */
static void igbq_irq_vector_leave(struct igbq_vector *v, struct igbq_queue *q)
{
	clear_bit(q->id, &v->queues);
	if (v->queues) {
		synchronize_irq(v->irq);
		igbq_irq_vector_set_usecs(v);
		return;
	}
	igbq_irq_vector_mask(v);
	free_irq(v->irq, v);
}

int igbq_irq_queue_request(struct igbq_queue *q)
{
	return igbq_irq_vector_enter(q->vector, q);
}

void igbq_irq_queue_free(struct igbq_queue *q)
{
	igbq_irq_vector_leave(q->vector, q);
	WRITE_ONCE(q->vector, &q->own);
}

/*
 * The poll of the queue is locked out. Who ends that fires the new vector: what
 * the old one was raised for is not lost.
 */
int igbq_irq_queue_switch(struct igbq_queue *q, struct igbq_vector *to)
{
	struct igbq_vector *from = q->vector;
	int err;

	err = igbq_irq_vector_enter(to, q);
	if (err)
		return err;
	WRITE_ONCE(q->vector, to);
	igbq_irq_queue_map(q);
	igbq_irq_vector_set_usecs(to);
	igbq_irq_vector_leave(from, q);
	return 0;
}

/* Both rings of a queue use its vector. */
void igbq_irq_queue_map(struct igbq_queue *q)
{
	bool rows = q->nic->chip->ivar == IGBQ_IVAR_ROWS;
	u32 reg = rows ? q->id / 2 : q->id % 8;
	u32 half = rows ? q->id % 2 : q->id / 8;
	u32 entry = IGBQ_IVAR_VALID | q->vector->index;
	u32 val = igbq_rd32(q->nic, IGBQ_IVAR(reg));

	val &= ~(0xffffu << (16 * half));
	val |= (entry | entry << 8) << (16 * half);
	igbq_wr32(q->nic, IGBQ_IVAR(reg), val);
}

/* Until the poll ends: all its queues are there, or come then. */
void igbq_irq_queue_silence(struct igbq_queue *q)
{
	igbq_irq_vector_mask(q->vector);
}

/* Unless other queues need the interrupt. */
void igbq_irq_queue_mask(struct igbq_queue *q)
{
	if (!(q->vector->queues & ~BIT(q->id)))
		igbq_irq_vector_mask(q->vector);
}

void igbq_irq_queue_unmask(struct igbq_queue *q)
{
	if (likely(q->nic->msix))
		igbq_wr32(q->nic, IGBQ_EIMS, BIT(q->vector->index));
	else
		igbq_wr32(q->nic, IGBQ_IMS, IGBQ_IRQ_QUEUE);
}

void igbq_irq_queue_kick(struct igbq_queue *q)
{
	if (q->nic->msix)
		igbq_wr32(q->nic, IGBQ_EICS, BIT(q->vector->index));
	else
		igbq_wr32(q->nic, IGBQ_ICS, IGBQ_ICR_RXDW);
}

/*
 * The work of an adaptive queue calls this without rtnl, while the queue may be
 * on its way to another vector: the lock makes one of them see the other's.
 */
void igbq_irq_queue_set_usecs(struct igbq_queue *q, u16 usecs)
{
	spin_lock_bh(&q->nic->moderation_lock);
	WRITE_ONCE(q->usecs, usecs);
	igbq_irq_vector_write_usecs(READ_ONCE(q->vector));
	spin_unlock_bh(&q->nic->moderation_lock);
}
