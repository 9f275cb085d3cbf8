// SPDX-License-Identifier: GPL-2.0-only
/* Memory of the rings, and changing their size. */
#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <net/page_pool/helpers.h>
#include "igbq.h"

static int igbq_ring_mem_alloc(struct igbq_nic *nic, struct igbq_ring_mem *mem,
			       u32 count, size_t buf_size)
{
	struct device *dev = &nic->pdev->dev;

	mem->bufs = kvcalloc_node(count, buf_size, GFP_KERNEL,
				  dev_to_node(dev));
	if (!mem->bufs)
		return -ENOMEM;

	/* Both kinds of descriptor have this size. */
	mem->desc = dma_alloc_coherent(dev, count * sizeof(union igbq_rxd),
				       &mem->dma, GFP_KERNEL);
	if (!mem->desc)
		goto err_free_bufs;
	mem->count = count;
	return 0;

err_free_bufs:
	kvfree(mem->bufs);
	mem->bufs = NULL;
	return -ENOMEM;
}

static void igbq_ring_mem_free(struct igbq_nic *nic, struct igbq_ring_mem *mem)
{
	dma_free_coherent(&nic->pdev->dev, mem->count * sizeof(union igbq_rxd),
			  mem->desc, mem->dma);
	kvfree(mem->bufs);
	memset(mem, 0, sizeof(*mem));
}

static struct page_pool *igbq_ring_pool_create(struct igbq_queue *q)
{
	struct page_pool_params params = {
		.pool_size	= IGBQ_RX_POOL_SIZE,
		.nid		= dev_to_node(&q->nic->pdev->dev),
		.dev		= &q->nic->pdev->dev,
		.napi		= &q->napi,
		/* An attached XDP program may write and send the buffer. */
		.dma_dir	= DMA_BIDIRECTIONAL,
		.max_len	= IGBQ_RX_BUF_LEN,
		.offset		= IGBQ_RX_HEADROOM,
		.netdev		= q->nic->netdev,
		.queue_idx	= q->id,
		.flags		= PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV,
	};

	return page_pool_create(&params);
}

static int igbq_ring_mem_alloc_rx(struct igbq_queue *q,
				  struct igbq_ring_mem *mem)
{
	return igbq_ring_mem_alloc(q->nic, mem, vmq_queue_buffers(q->vq),
				   sizeof(struct page *));
}

/* vmq_hw_ops.queue_alloc */
int igbq_ring_alloc(struct igbq_queue *q)
{
	struct igbq_nic *nic = q->nic;
	struct page_pool *pool;
	int err;

	err = igbq_ring_mem_alloc_rx(q, &q->rx.mem);
	if (err)
		return err;
	err = igbq_ring_mem_alloc(nic, &q->tx.mem, nic->tx_count,
				  sizeof(struct igbq_tx_buf));
	if (err)
		goto err_free_rx;
	pool = igbq_ring_pool_create(q);
	if (IS_ERR(pool)) {
		err = PTR_ERR(pool);
		goto err_free_tx;
	}
	q->rx.pool = pool;
	return 0;

err_free_tx:
	igbq_ring_mem_free(nic, &q->tx.mem);
err_free_rx:
	igbq_ring_mem_free(nic, &q->rx.mem);
	return err;
}

/* Pages that readers still hold keep the pool alive in the kernel's care. */
void igbq_ring_free(struct igbq_queue *q)
{
	page_pool_destroy(q->rx.pool);
	q->rx.pool = NULL;
	igbq_ring_mem_free(q->nic, &q->tx.mem);
	igbq_ring_mem_free(q->nic, &q->rx.mem);
}

/*
 * vmq_hw_ops.queue_resize: the interrupt and the transmit ring stay. When even
 * the old ring finds no buffer any more, the queue is left without receive.
 */
int igbq_ring_resize_rx(struct igbq_queue *q)
{
	struct igbq_ring_mem mem = {};
	int err, back = 0;

	err = igbq_ring_mem_alloc_rx(q, &mem);
	if (err)
		return err;

	igbq_queue_lock(q);
	igbq_rx_stop(q);
	igbq_rx_release(q);
	swap(q->rx.mem, mem);
	err = igbq_rx_start(q);
	if (err) {
		swap(q->rx.mem, mem);
		back = igbq_rx_start(q);
	}
	if (!back)
		igbq_rx_post(q);
	igbq_queue_unlock(q);

	igbq_ring_mem_free(q->nic, &mem);
	return back ? -EIO : err;
}

static int igbq_ring_restart(struct igbq_nic *nic, u32 rx_count, u32 tx_count)
{
	WRITE_ONCE(nic->vmq.buffers, rx_count);
	nic->tx_count = tx_count;
	return igbq_up(nic);
}

/**
 * igbq_ring_resize - give all queues rings of another size
 * @nic: the device
 * @rx_count: descriptors, a power of two; queues that were given a number of
 *	their own keep it
 * @tx_count: descriptors, a power of two
 *
 * Context: rtnl held, may sleep. Return: 0, or a negative errno with the old
 * size in effect.
 */
int igbq_ring_resize(struct igbq_nic *nic, u32 rx_count, u32 tx_count)
{
	u32 rx_old = nic->vmq.buffers;
	u32 tx_old = nic->tx_count;
	int err;

	if (!nic->up) {
		WRITE_ONCE(nic->vmq.buffers, rx_count);
		nic->tx_count = tx_count;
		return 0;
	}

	igbq_down(nic);
	err = igbq_ring_restart(nic, rx_count, tx_count);
	if (err && igbq_ring_restart(nic, rx_old, tx_old)) {
		netdev_err(nic->netdev, "rings do not start again\n");
		dev_close(nic->netdev);
	}
	return err;
}
