// SPDX-License-Identifier: GPL-2.0-only
/*
 * While this module is loaded the first NIC of vmq_igb answers each read with
 * ones, as one that is gone: the emulator's own answer from an address that
 * nobody decodes is zero. For tests/e2e/link/test_vanished.py.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include "igbq.h"

static struct pci_dev *igbq_vanish_pdev;
static void __iomem *igbq_vanish_io;
static void *igbq_vanish_ones;

static struct pci_dev *igbq_vanish_find(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		if (pdev->driver && !strcmp(pdev->driver->name, "vmq_igb"))
			break;
	return pdev;
}

static int __init igbq_vanish_init(void)
{
	struct igbq_nic *nic;
	size_t size;

	igbq_vanish_pdev = igbq_vanish_find();
	if (!igbq_vanish_pdev)
		return -ENODEV;
	size = pci_resource_len(igbq_vanish_pdev, 0);
	igbq_vanish_ones = vmalloc(size);
	if (!igbq_vanish_ones) {
		pci_dev_put(igbq_vanish_pdev);
		return -ENOMEM;
	}
	memset(igbq_vanish_ones, 0xff, size);
	nic = pci_get_drvdata(igbq_vanish_pdev);
	igbq_vanish_io = nic->io;
	WRITE_ONCE(nic->io, (void __force __iomem *)igbq_vanish_ones);
	return 0;
}

/* The driver must not have been unbound meanwhile. */
static void __exit igbq_vanish_exit(void)
{
	struct igbq_nic *nic = pci_get_drvdata(igbq_vanish_pdev);

	WRITE_ONCE(nic->io, igbq_vanish_io);
	/* Whoever has the old pointer is through with it by then. */
	synchronize_rcu();
	vfree(igbq_vanish_ones);
	pci_dev_put(igbq_vanish_pdev);
}

module_init(igbq_vanish_init);
module_exit(igbq_vanish_exit);
MODULE_DESCRIPTION("Makes a NIC of vmq_igb answer with ones");
MODULE_LICENSE("GPL");
