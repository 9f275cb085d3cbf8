// SPDX-License-Identifier: GPL-2.0-only
/* vmq_igb: PCI side of the Intel 82576 backend. */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include "igbq.h"
#include "igbq_regs.h"

enum igbq_board {
	/* What a match without a table entry hands to probe. */
	IGBQ_BOARD_INVALID,
	IGBQ_BOARD_82576,
};

#define IGBQ_CAPS_BUFFERS				\
	.buffers	= IGBQ_RING_DEFAULT,		\
	.buffers_min	= IGBQ_RX_RING_MIN,		\
	.buffers_max	= IGBQ_RING_MAX

static const struct igbq_chip igbq_chips[] = {
	[IGBQ_BOARD_82576] = {
		.name		= "Intel 82576",
		.caps = {
			.pools		= 8,
			.default_pool	= 0,
			.mac_slots	= 24,
			.mac_slots_host	= 1,
			.vlan_slots	= 32,
			IGBQ_CAPS_BUFFERS,
		},
		.rings		= 16,
		.ivar		= IGBQ_IVAR_COLUMNS,
		.strip_in_vmolr	= true,
		.has_rplolr	= true,
		.loopback	= IGBQ_DTXSWC,
		.dtxctl		= IGBQ_DTXCTL_ADD_VLAN,
	},
};

/*
 * What the core may plan with when one interrupt serves all: a VM's queue that
 * shares it would have no CPU of its own, which is what it is for. VMDq mode
 * stays on, with every frame in the default pool: which pool gets a frame has
 * nothing to do with interrupts, and receive has one set-up, not two.
 */
static const struct vmq_hw_caps igbq_plain_caps = {
	.pools		= 1,
	.mac_slots	= 1,
	.mac_slots_host	= 1,
	IGBQ_CAPS_BUFFERS,
	.no_vmq		= "the NIC has no MSI-X vectors",
};

#define IGBQ_PCI_DEVICE(id, board) { \
	PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_INTEL, id), \
	.driver_data = (board), \
}

/*
 * Matches only a device whose driver_override names this driver, so that the
 * kernel's own driver keeps every other one. For the same reason there is no
 * MODULE_DEVICE_TABLE.
 */
static const struct pci_device_id igbq_pci_ids[] = {
	IGBQ_PCI_DEVICE(0x10c9, IGBQ_BOARD_82576),	/* copper */
	IGBQ_PCI_DEVICE(0x10e8, IGBQ_BOARD_82576),	/* quad copper */
	IGBQ_PCI_DEVICE(0x150a, IGBQ_BOARD_82576),	/* NS */
	IGBQ_PCI_DEVICE(0x1526, IGBQ_BOARD_82576),	/* quad copper ET2 */
	{ }
};

struct workqueue_struct *igbq_wq;

static const struct igbq_chip *igbq_chip_find(const struct pci_device_id *id)
{
	if (id->driver_data == IGBQ_BOARD_INVALID ||
	    id->driver_data >= ARRAY_SIZE(igbq_chips))
		return NULL;
	return &igbq_chips[id->driver_data];
}

static int igbq_pci_enable(struct pci_dev *pdev)
{
	int err;

	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = pci_request_mem_regions(pdev, KBUILD_MODNAME);
	if (err)
		goto err_disable;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_release;
	pci_set_master(pdev);
	return 0;

err_release:
	pci_release_mem_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void igbq_pci_disable(struct pci_dev *pdev)
{
	pci_clear_master(pdev);
	pci_release_mem_regions(pdev);
	pci_disable_device(pdev);
}

static void igbq_queue_init(struct igbq_nic *nic, u16 id)
{
	struct igbq_queue *q = &nic->queues[id];

	q->nic = nic;
	q->id = id;
	q->txq = netdev_get_tx_queue(nic->netdev, id);
	igbq_moderation_init(q);
	spin_lock_init(&q->drain.lock);
	init_completion(&q->drain.done);
	netif_napi_add(nic->netdev, &q->napi, igbq_queue_poll);
}

static struct igbq_nic *igbq_nic_alloc(struct pci_dev *pdev,
				       const struct igbq_chip *chip)
{
	const struct vmq_hw_caps *caps = pdev->msix_enabled ? &chip->caps :
							     &igbq_plain_caps;
	unsigned int pools = caps->pools;
	struct net_device *netdev;
	struct igbq_nic *nic;
	unsigned int i;

	netdev = alloc_etherdev_mqs(sizeof(*nic), pools, pools);
	if (!netdev)
		return NULL;
	nic = netdev_priv(netdev);
	nic->queues = kcalloc_node(pools, sizeof(*nic->queues), GFP_KERNEL,
				   dev_to_node(&pdev->dev));
	if (!nic->queues) {
		free_netdev(netdev);
		return NULL;
	}

	SET_NETDEV_DEV(netdev, &pdev->dev);
	nic->netdev = netdev;
	nic->pdev = pdev;
	nic->chip = chip;
	nic->caps = caps;
	nic->msix = pdev->msix_enabled;
	nic->tx_count = IGBQ_RING_DEFAULT;
	spin_lock_init(&nic->moderation_lock);
	spin_lock_init(&nic->sample_lock);
	for (i = 0; i < pools; i++)
		igbq_queue_init(nic, i);
	igbq_irq_assign(nic);
	pci_set_drvdata(pdev, nic);
	return nic;
}

static void igbq_nic_free(struct igbq_nic *nic)
{
	struct igbq_queue *queues = nic->queues;
	struct igbq_queue *q;
	unsigned int i;

	for (i = 0; (q = igbq_queue_at(nic, i)); i++)
		netif_napi_del(&q->napi);
	free_netdev(nic->netdev);
	kfree(queues);
}

/* A silent NIC with a known address, or a reason why not */
static int igbq_nic_identify(struct igbq_nic *nic)
{
	struct device *dev = &nic->pdev->dev;
	u8 addr[ETH_ALEN];
	int err;

	err = igbq_hw_reset(nic);
	if (err)
		return dev_err_probe(dev, err, "reset failed\n");
	if (!igbq_hw_is_copper(nic))
		return dev_err_probe(dev, -EOPNOTSUPP,
				     "only copper ports are supported\n");
	err = igbq_hw_read_addr(nic, addr);
	if (err)
		return dev_err_probe(dev, err, "no valid address in NVM\n");
	eth_hw_addr_set(nic->netdev, addr);
	ether_addr_copy(nic->netdev->perm_addr, addr);
	return 0;
}

/* Each half of a queue gets to know the other. */
static void igbq_nic_pair_queues(struct igbq_nic *nic)
{
	struct vmq_vector *v;
	struct igbq_queue *q;
	unsigned int i;

	for (i = 0; (q = igbq_queue_at(nic, i)); i++) {
		q->vq = vmq_dev_queue(&nic->vmq, q->id);
		v = &nic->vmq.vectors[i];
		v->irq = q->own.irq;
		v->irq_shared = !pci_dev_msi_enabled(nic->pdev);
	}
}

static void igbq_nic_introduce(const struct igbq_nic *nic)
{
	const u8 *addr = nic->netdev->dev_addr;

	if (nic->caps->no_vmq)
		netdev_warn(nic->netdev, "%s, %pM: VMQ is not available: %s; a plain NIC with one queue\n",
			    nic->chip->name, addr, nic->caps->no_vmq);
	else
		netdev_info(nic->netdev, "%s, %u queues, %pM\n",
			    nic->chip->name, nic->caps->pools, addr);
}

static int igbq_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const struct igbq_chip *chip = igbq_chip_find(id);
	struct igbq_nic *nic;
	int err;

	if (!chip)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "not a NIC that vmq_igb supports\n");
	err = igbq_pci_enable(pdev);
	if (err)
		return err;
	err = igbq_irq_alloc(pdev, chip);
	if (err)
		goto err_disable;
	err = -ENOMEM;
	nic = igbq_nic_alloc(pdev, chip);
	if (!nic)
		goto err_free_irqs;
	nic->io = pci_ioremap_bar(pdev, 0);
	if (!nic->io)
		goto err_free_nic;
	err = igbq_nic_identify(nic);
	if (err)
		goto err_unmap;
	igbq_netdev_setup(nic);
	err = vmq_dev_init(&nic->vmq, nic->netdev, &igbq_hw_ops, nic->caps);
	if (err)
		goto err_unmap;
	igbq_nic_pair_queues(nic);
	err = register_netdev(nic->netdev);
	if (err)
		goto err_fini;

	/* What a slot reset puts back */
	pci_save_state(pdev);
	igbq_nic_introduce(nic);
	return 0;

err_fini:
	vmq_dev_fini(&nic->vmq);
err_unmap:
	iounmap(nic->io);
err_free_nic:
	igbq_nic_free(nic);
err_free_irqs:
	igbq_irq_free(pdev);
err_disable:
	igbq_pci_disable(pdev);
	return err;
}

static void igbq_remove(struct pci_dev *pdev)
{
	struct igbq_nic *nic = pci_get_drvdata(pdev);

	unregister_netdev(nic->netdev);
	/* Nobody can ask for a reset any more. */
	cancel_work_sync(&nic->reset_work);
	vmq_dev_fini(&nic->vmq);
	igbq_hw_release(nic);
	iounmap(nic->io);
	igbq_nic_free(nic);
	igbq_irq_free(pdev);
	igbq_pci_disable(pdev);
}

/* Take the NIC away from the stack; what is configured stays. */
static int igbq_suspend(struct device *dev)
{
	struct igbq_nic *nic = dev_get_drvdata(dev);

	rtnl_lock();
	netif_device_detach(nic->netdev);
	igbq_down(nic);
	rtnl_unlock();
	return 0;
}

static int igbq_resume(struct device *dev)
{
	struct igbq_nic *nic = dev_get_drvdata(dev);
	int err;

	rtnl_lock();
	err = netif_running(nic->netdev) ? igbq_up(nic) : igbq_hw_reset(nic);
	if (!err) {
		netif_device_attach(nic->netdev);
		/* Restoring it used it up; the next slot reset needs one. */
		pci_save_state(nic->pdev);
	}
	rtnl_unlock();
	return err;
}

static DEFINE_SIMPLE_DEV_PM_OPS(igbq_pm_ops, igbq_suspend, igbq_resume);

static void igbq_shutdown(struct pci_dev *pdev)
{
	igbq_suspend(&pdev->dev);
	/* A kernel that is started next must not find DMA running. */
	pci_clear_master(pdev);
}

static pci_ers_result_t igbq_err_detected(struct pci_dev *pdev,
					  pci_channel_state_t state)
{
	igbq_suspend(&pdev->dev);
	return state == pci_channel_io_perm_failure ?
	       PCI_ERS_RESULT_DISCONNECT : PCI_ERS_RESULT_NEED_RESET;
}

/* The reset has cleared the function's configuration, bus mastering too. */
static pci_ers_result_t igbq_err_slot_reset(struct pci_dev *pdev)
{
	struct igbq_nic *nic = pci_get_drvdata(pdev);

	pci_restore_state(pdev);
	pci_save_state(pdev);
	WRITE_ONCE(nic->gone, false);
	return igbq_hw_reset(nic) ? PCI_ERS_RESULT_DISCONNECT :
				    PCI_ERS_RESULT_RECOVERED;
}

static void igbq_err_resume(struct pci_dev *pdev)
{
	int err = igbq_resume(&pdev->dev);

	if (err)
		dev_err(&pdev->dev, "does not come back: %pe\n", ERR_PTR(err));
}

static void igbq_reset_prepare(struct pci_dev *pdev)
{
	igbq_suspend(&pdev->dev);
}

/* A NIC that had stopped to answer may answer again now. */
static void igbq_reset_done(struct pci_dev *pdev)
{
	struct igbq_nic *nic = pci_get_drvdata(pdev);

	WRITE_ONCE(nic->gone, false);
	igbq_err_resume(pdev);
}

static const struct pci_error_handlers igbq_err_handlers = {
	.error_detected	= igbq_err_detected,
	.slot_reset	= igbq_err_slot_reset,
	.resume		= igbq_err_resume,
	.reset_prepare	= igbq_reset_prepare,
	.reset_done	= igbq_reset_done,
};

static struct pci_driver igbq_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= igbq_pci_ids,
	.probe		= igbq_probe,
	.remove		= igbq_remove,
	.shutdown	= igbq_shutdown,
	.driver.pm	= pm_sleep_ptr(&igbq_pm_ops),
	.err_handler	= &igbq_err_handlers,
};

static int __init igbq_init(void)
{
	int err;

	igbq_wq = alloc_workqueue("vmq_igb", WQ_UNBOUND, 0);
	if (!igbq_wq)
		return -ENOMEM;
	err = pci_register_driver(&igbq_driver);
	if (err)
		destroy_workqueue(igbq_wq);
	return err;
}
module_init(igbq_init);

static void __exit igbq_exit(void)
{
	pci_unregister_driver(&igbq_driver);
	destroy_workqueue(igbq_wq);
}
module_exit(igbq_exit);

MODULE_DESCRIPTION("Virtual machine queues on Intel 82576 network adapters");
MODULE_LICENSE("GPL");
