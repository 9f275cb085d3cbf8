// SPDX-License-Identifier: GPL-2.0-only
/* Who compares VLANs, the NIC or software, and which VLANs the host has. */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/rtnetlink.h>
#include "vmq_priv.h"

/* VLANs without a slot work in software, but for what this tells. */
static void vmq_vlan_warn_lacking(struct vmq_dev *dev)
{
	if (dev->route->vlan_filtering && dev->route->lacking)
		netdev_warn(dev->uplink,
			    "VLAN %u has no slot of the NIC: its frames come by queue 0, its broadcasts may be lost\n",
			    dev->route->lacking_vid);
}

int vmq_vlan_set_mode_locked(struct vmq_dev *dev, enum vmq_vlan_mode mode,
			     struct netlink_ext_ack *extack)
{
	enum vmq_vlan_mode old = dev->vlan_mode;
	int err;

	if (mode == VMQ_VLAN_MODE_ON && !dev->caps->vlan_slots)
		return vmq_refuse(dev, extack, -EOPNOTSUPP,
				  "the NIC has no VLAN filters");
	WRITE_ONCE(dev->vlan_mode, mode);
	err = vmq_route_plan(dev, extack);
	if (err)
		goto restore_mode;
	vmq_shift_apply(dev);
	vmq_shift_settle(dev);
	vmq_vlan_warn_lacking(dev);
	/* What could not be told apart may be so now. */
	vmq_switch_tell(dev, VMQ_FREED_FILTER);
	return 0;

restore_mode:
	WRITE_ONCE(dev->vlan_mode, old);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_vlan_set_mode_locked);

/* The host's VLANs need a slot while VLAN filtering is on, and else nothing. */
static void vmq_vlan_set_host(struct vmq_dev *dev, u16 vid, bool add)
{
	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	__assign_bit(vid, dev->host_vids, add);
	if (dev->route->vlan_filtering) {
		vmq_shift_replan(dev);
		vmq_shift_settle(dev);
	}
	if (add)
		vmq_vlan_warn_lacking(dev);
	mutex_unlock(&dev->lock);
}

void vmq_dev_vid_add(struct vmq_dev *dev, u16 vid)
{
	vmq_vlan_set_host(dev, vid, true);
}
EXPORT_SYMBOL_GPL(vmq_dev_vid_add);

void vmq_dev_vid_del(struct vmq_dev *dev, u16 vid)
{
	vmq_vlan_set_host(dev, vid, false);
}
EXPORT_SYMBOL_GPL(vmq_dev_vid_del);
