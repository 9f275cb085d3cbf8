// SPDX-License-Identifier: GPL-2.0-only
/* One way to say no: errno, reason to the user, and a trace of it in sysfs. */
#include <linux/export.h>
#include <linux/ratelimit.h>
#include "vmq_priv.h"

int vmq_refuse(struct vmq_dev *dev, struct netlink_ext_ack *extack, int err,
	       const char *fmt, ...)
{
	char text[sizeof(dev->last_error) - 32];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	spin_lock_bh(&dev->text_lock);
	scnprintf(dev->last_error, sizeof(dev->last_error), "%s (%d)", text,
		  err);
	spin_unlock_bh(&dev->text_lock);

	if (extack)
		NL_SET_ERR_MSG_FMT(extack, "%s", text);
	else if (net_ratelimit())
		netdev_err(dev->uplink, "%s (%d)\n", text, err);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_refuse);
