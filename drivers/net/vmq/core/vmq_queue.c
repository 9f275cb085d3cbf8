// SPDX-License-Identifier: GPL-2.0-only
/* Life of a queue: allocate, commit, free, and what is announced of it. */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <net/netdev_rx_queue.h>
#include <trace/events/vmq.h>
#include "vmq_priv.h"

/* How often a freed queue looks whether its frames are back. */
#define VMQ_FREEING_POLL	msecs_to_jiffies(10)

/* Tell who polls @file, and udev which queue it is, its state and its VM. */
void vmq_queue_announce(struct vmq_queue *q, const char *file)
{
	char queue_name[sizeof("VMQ_QUEUE_NAME=") + VMQ_NAME_LEN];
	char vm_name[sizeof("VMQ_VM_NAME=") + VMQ_NAME_LEN];
	bool exists = q->state != VMQ_QUEUE_UNDEFINED;
	struct net_device *uplink = q->dev->uplink;
	char id[24], state[32], cpu[24] = "VMQ_CPU=none";
	char *env[6] = { id, state, vm_name, queue_name, cpu };
	struct kobject *kobj;

	if (uplink->reg_state != NETREG_REGISTERED)
		return;
	kobj = &uplink->_rx[q->id].kobj;
	snprintf(id, sizeof(id), "VMQ_QUEUE=%u", q->id);
	snprintf(state, sizeof(state), "VMQ_STATE=%s",
		 vmq_state_name(q->state));
	snprintf(vm_name, sizeof(vm_name), "VMQ_VM_NAME=%s",
		 exists ? q->vm_name : "");
	snprintf(queue_name, sizeof(queue_name), "VMQ_QUEUE_NAME=%s",
		 exists ? q->queue_name : "");
	if (exists && vmq_queue_has_cpu(q))
		snprintf(cpu, sizeof(cpu), "VMQ_CPU=%u", q->vector->cpu);
	sysfs_notify(kobj, "vmq", file);
	kobject_uevent_env(kobj, KOBJ_CHANGE, env);
}

/* The queue, which exists, has another name in @file. */
void vmq_queue_renamed(struct vmq_queue *q, const char *file)
{
	lockdep_assert_held(&q->dev->lock);
	if (q->started)
		q->dev->ops->queue_named(q->dev, q->id);
	vmq_queue_announce(q, file);
}

/* Take one step of the state machine, or return why it is not valid now. */
int vmq_queue_event(struct vmq_queue *q, enum vmq_queue_event event)
{
	int next;

	lockdep_assert_held(&q->dev->lock);
	next = vmq_state_next(q->state, event);
	if (next < 0)
		return next;
	if (next != q->state) {
		trace_vmq_queue_state(q, q->state, next);
		WRITE_ONCE(q->state, next);
		vmq_queue_announce(q, "state");
	}
	return 0;
}

/* Rings, interrupt and NAPI come to life. Negative errno with all undone. */
int vmq_queue_up(struct vmq_queue *q)
{
	const struct vmq_hw_ops *ops = q->dev->ops;
	int err;

	err = ops->queue_alloc(q->dev, q->id);
	if (err)
		return err;
	q->rings = true;

	err = vmq_vector_attach(q);
	if (err)
		goto free_rings;
	q->undrained = false;
	q->parked = false;
	return 0;

free_rings:
	q->rings = false;
	ops->queue_free(q->dev, q->id);
	return err;
}

/* DMA has stopped on return; the rings' memory stays for the readers. */
void vmq_queue_down(struct vmq_queue *q)
{
	if (!q->started)
		return;
	vmq_vector_detach(q);
}

/* Wait until what the ring holds now is delivered. */
void vmq_queue_run_dry(struct vmq_queue *q)
{
	q->undrained = q->dev->ops->queue_drain(q->dev, q->id);
	if (q->undrained)
		netdev_warn(q->dev->uplink,
			    "queue %u did not run dry, frames may be reordered\n",
			    q->id);
}

/* The one place that says why there is the default queue alone. */
int vmq_queue_check_vmq(struct vmq_dev *dev, struct netlink_ext_ack *extack)
{
	if (!vmq_dev_has_vmq(dev))
		return vmq_refuse(dev, extack, -EOPNOTSUPP,
				  "VMQ is not available: %s",
				  dev->caps->no_vmq);
	if (!dev->enabled)
		return vmq_refuse(dev, extack, -EOPNOTSUPP,
				  "VMQ is disabled, write 1 to vmq/enabled");
	return 0;
}

int vmq_queue_check_id(struct vmq_dev *dev, u16 id,
		       struct netlink_ext_ack *extack)
{
	if (id < dev->caps->pools)
		return 0;
	return vmq_refuse(dev, extack, -EINVAL,
			  "there is no queue %u, the last one is %u", id,
			  dev->caps->pools - 1);
}

static struct vmq_queue *vmq_queue_first_undefined(struct vmq_dev *dev)
{
	u16 i;

	lockdep_assert_held(&dev->lock);
	for (i = 1; i < dev->caps->pools; i++)
		if (dev->queues[i].state == VMQ_QUEUE_UNDEFINED)
			return &dev->queues[i];
	return NULL;
}

static void vmq_queue_set_names(struct vmq_queue *q, const char *vm_name)
{
	spin_lock_bh(&q->dev->text_lock);
	strscpy(q->vm_name, vm_name, sizeof(q->vm_name));
	q->queue_name[0] = '\0';
	spin_unlock_bh(&q->dev->text_lock);
}

int vmq_queue_allocate_locked(struct vmq_queue *q, enum vmq_owner owner,
			      const char *vm_name,
			      struct netlink_ext_ack *extack)
{
	int err;

	if (!q->id)
		return vmq_refuse(q->dev, extack, -EPERM,
				  "queue 0 is the default queue, it cannot be allocated");
	err = vmq_queue_check_vmq(q->dev, extack);
	if (err)
		return err;
	if (q->state != VMQ_QUEUE_UNDEFINED)
		return vmq_refuse(q->dev, extack, -EBUSY,
				  "queue %u is %s already", q->id,
				  vmq_state_name(q->state));

	vmq_queue_set_names(q, vm_name);
	q->owner = owner;
	if (q->restore == VMQ_RESTORE_CPU) {
		vmq_placement_revive(q);
	} else {
		WRITE_ONCE(q->buffers, 0);
		vmq_placement_assign(q);
	}
	q->restore = VMQ_RESTORE_NONE;
	err = vmq_queue_event(q, VMQ_EVENT_ALLOCATE);
	WARN_ON_ONCE(err);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_queue_allocate_locked);

/* Takes the lowest undefined queue. Returns its id. */
int vmq_queue_allocate_any_locked(struct vmq_dev *dev, enum vmq_owner owner,
				  const char *vm_name,
				  struct netlink_ext_ack *extack)
{
	struct vmq_queue *q;
	int err;

	err = vmq_queue_check_vmq(dev, extack);
	if (err)
		return err;
	if (!vmq_name_valid(vm_name))
		return vmq_refuse(dev, extack, -EINVAL,
				  "a VM name has 1 to 63 printable characters");
	q = vmq_queue_first_undefined(dev);
	if (!q)
		return vmq_refuse(dev, extack, -ENOSPC, "no free queue");
	err = vmq_queue_allocate_locked(q, owner, vm_name, extack);
	return err ? err : q->id;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_queue_allocate_any_locked);

/* The VM's name may be changed, and may be another than its port's. */
static const char *vmq_queue_port_name(const struct vmq_queue *q)
{
	struct vmq_consumer *c;

	c = rcu_dereference_protected(q->consumer,
				      lockdep_is_held(&q->dev->lock));
	return c ? netdev_name(c->dev) : q->vm_name;
}

int vmq_queue_check_owner(struct vmq_queue *q, enum vmq_owner owner,
			  struct netlink_ext_ack *extack)
{
	if (q->state == VMQ_QUEUE_UNDEFINED)
		return vmq_refuse(q->dev, extack, -ENOENT,
				  "queue %u is not allocated", q->id);
	if (q->owner == owner)
		return 0;
	if (q->owner == VMQ_OWNER_VSWITCH)
		return vmq_refuse(q->dev, extack, -EADDRINUSE,
				  "queue %u is held by port %s, use ip link or bridge fdb on it",
				  q->id, vmq_queue_port_name(q));
	return vmq_refuse(q->dev, extack, -EADDRINUSE,
			  "queue %u belongs to the administrator", q->id);
}

const char *vmq_queue_up_reason(int err)
{
	switch (err) {
	case -ENOMEM:
		return "no memory";
	case -ENODEV:
		return "the NIC does not answer";
	case -ETIMEDOUT:
		return "its ring does not come up";
	}
	return "no interrupt";
}

/* Its rings run on return; frames of its filters still use queue 0. */
static int vmq_queue_begin(struct vmq_queue *q, enum vmq_owner owner,
			   struct netlink_ext_ack *extack)
{
	struct vmq_dev *dev = q->dev;
	int err;

	err = vmq_queue_check_owner(q, owner, extack);
	if (err)
		return err;
	err = vmq_state_next(q->state, VMQ_EVENT_COMMIT);
	if (err < 0)
		return vmq_refuse(dev, extack, err,
				  "queue %u is %s, only an allocated one can be committed",
				  q->id, vmq_state_name(q->state));
	if (dev->open) {
		err = vmq_queue_up(q);
		if (err)
			return vmq_refuse(dev, extack, err,
					  "queue %u cannot be started: %s",
					  q->id, vmq_queue_up_reason(err));
		vmq_vector_regroup(dev);
	}
	return vmq_queue_event(q, VMQ_EVENT_COMMIT);
}

/* Queues whose rings have begun to run get the frames of their filters. */
static void vmq_queue_join(struct vmq_dev *dev, unsigned int filters)
{
	if (!dev->open || !filters)
		return;
	vmq_shift_replan(dev);
	vmq_shift_settle(dev);
}

int vmq_queue_commit_locked(struct vmq_queue *q, enum vmq_owner owner,
			    struct netlink_ext_ack *extack)
{
	int err = vmq_queue_begin(q, owner, extack);

	if (!err)
		vmq_queue_join(q->dev, q->nr_filters);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_queue_commit_locked);

static void vmq_queue_returned(struct vmq_queue *q)
{
	if (q->rings)
		q->dev->ops->queue_free(q->dev, q->id);
	q->rings = false;
	vmq_queue_event(q, VMQ_EVENT_RETURNED);
	if (q->dev->enabled)
		vmq_enable_restore_locked(q);
	if (q->state == VMQ_QUEUE_UNDEFINED)
		vmq_switch_tell(q->dev, VMQ_FREED_QUEUE);
}

static bool vmq_queue_try_return(struct vmq_queue *q)
{
	if (q->rings && q->dev->ops->queue_held(q->dev, q->id))
		return false;
	vmq_queue_returned(q);
	return true;
}

/* From stopping to undefined, or to freeing while readers hold frames. */
static void vmq_queue_stop_and_return(struct vmq_queue *q)
{
	vmq_queue_down(q);
	vmq_vector_regroup(q->dev);
	vmq_queue_event(q, VMQ_EVENT_DMA_STOPPED);
	if (!vmq_queue_try_return(q))
		schedule_delayed_work(&q->dev->freeing, VMQ_FREEING_POLL);
}

int vmq_queue_free_locked(struct vmq_queue *q, enum vmq_owner owner,
			  struct netlink_ext_ack *extack)
{
	int err;

	if (!q->id)
		return vmq_refuse(q->dev, extack, -EPERM,
				  "queue 0 is the default queue, it cannot be freed");
	err = vmq_queue_check_owner(q, owner, extack);
	if (err)
		return err;
	err = vmq_queue_event(q, VMQ_EVENT_FREE);
	if (err == -EBUSY)
		return vmq_refuse(q->dev, extack, err,
				  "queue %u still has %u filters", q->id,
				  q->nr_filters);
	if (err)
		return vmq_refuse(q->dev, extack, err,
				  "queue %u is %s, it cannot be freed now",
				  q->id, vmq_state_name(q->state));
	vmq_queue_stop_and_return(q);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vmq_queue_free_locked);

/* A queue without filters ends, whoever has it. */
void vmq_queue_end_locked(struct vmq_queue *q)
{
	if (!WARN_ON_ONCE(vmq_queue_event(q, VMQ_EVENT_FREE)))
		vmq_queue_stop_and_return(q);
}

/* Looks every 10 ms whether the readers of freed queues are done. */
void vmq_queue_freeing_work(struct work_struct *work)
{
	struct vmq_dev *dev = container_of(work, struct vmq_dev, freeing.work);
	bool again = false;
	u16 i;

	/*
	 * An announcement uses the queue's sysfs directory, which unregistering
	 * removes with rtnl held.
	 */
	rtnl_lock();
	mutex_lock(&dev->lock);
	for (i = 1; i < dev->caps->pools; i++)
		if (dev->queues[i].state == VMQ_QUEUE_FREEING &&
		    !vmq_queue_try_return(&dev->queues[i]))
			again = true;
	mutex_unlock(&dev->lock);
	rtnl_unlock();
	if (again)
		schedule_delayed_work(&dev->freeing, VMQ_FREEING_POLL);
}

/* For teardown, which waits for no reader: the page pools end by themselves. */
void vmq_queue_finish_freeing(struct vmq_dev *dev)
{
	u16 i;

	for (i = 1; i < dev->caps->pools; i++)
		if (dev->queues[i].state == VMQ_QUEUE_FREEING)
			vmq_queue_returned(&dev->queues[i]);
}

static unsigned int vmq_queue_count(struct vmq_dev *dev,
				    enum vmq_queue_state state)
{
	unsigned int n = 0;
	u16 i;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	for (i = 1; dev->enabled && i < dev->caps->pools; i++)
		if (dev->queues[i].state == state &&
		    dev->queues[i].restore < VMQ_RESTORE_ALLOCATED)
			n++;
	mutex_unlock(&dev->lock);
	return n;
}

unsigned int vmq_queue_available(struct vmq_dev *dev)
{
	return vmq_queue_count(dev, VMQ_QUEUE_UNDEFINED);
}
EXPORT_SYMBOL_GPL(vmq_queue_available);

unsigned int vmq_queue_coming(struct vmq_dev *dev)
{
	return vmq_queue_count(dev, VMQ_QUEUE_FREEING);
}
EXPORT_SYMBOL_GPL(vmq_queue_coming);

int vmq_queue_allocate(struct vmq_dev *dev, const char *vm_name,
		       struct netlink_ext_ack *extack)
{
	int ret;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	ret = vmq_queue_allocate_any_locked(dev, VMQ_OWNER_VSWITCH, vm_name,
					    extack);
	mutex_unlock(&dev->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vmq_queue_allocate);

int vmq_queue_commit(struct vmq_dev *dev, const u16 *ids, int *status,
		     unsigned int n, struct netlink_ext_ack *extack)
{
	unsigned int i, filters = 0;
	struct vmq_queue *q;
	int err = 0;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	for (i = 0; i < n; i++) {
		status[i] = vmq_queue_check_id(dev, ids[i], extack);
		if (!status[i]) {
			q = &dev->queues[ids[i]];
			status[i] = vmq_queue_begin(q, VMQ_OWNER_VSWITCH,
						    extack);
		}
		if (!status[i])
			filters += q->nr_filters;
		err = err ? err : status[i];
	}
	/* One change of the route for all of them. */
	vmq_queue_join(dev, filters);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_queue_commit);

void vmq_queue_release(struct vmq_dev *dev, u16 id)
{
	struct vmq_queue *q = &dev->queues[id];

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	vmq_filter_park_locked(q);
	mutex_unlock(&dev->lock);
	vmq_queue_set_consumer(dev, id, NULL);

	mutex_lock(&dev->lock);
	vmq_queue_end_locked(q);
	mutex_unlock(&dev->lock);
}
EXPORT_SYMBOL_GPL(vmq_queue_release);

void vmq_queue_set_consumer(struct vmq_dev *dev, u16 id,
			    struct vmq_consumer *c)
{
	struct vmq_queue *q = &dev->queues[id];
	struct vmq_consumer *old;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	old = rcu_replace_pointer(q->consumer, c, lockdep_is_held(&dev->lock));
	mutex_unlock(&dev->lock);
	if (old)
		synchronize_net();
}
EXPORT_SYMBOL_GPL(vmq_queue_set_consumer);

int vmq_queue_cpu(const struct vmq_dev *dev, u16 id)
{
	return vmq_placement_effective(&dev->queues[id]);
}
EXPORT_SYMBOL_GPL(vmq_queue_cpu);
