// SPDX-License-Identifier: GPL-2.0-only
/* The suites for vmq.ko are in one module; this is what belongs to it once. */
#include <linux/module.h>

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of the VMQ core");
MODULE_LICENSE("GPL");
