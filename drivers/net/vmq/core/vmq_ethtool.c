// SPDX-License-Identifier: GPL-2.0-only
/* ethtool -n and -N: the same filters that sysfs shows, by location. */
#include <linux/export.h>
#include "vmq_priv.h"

static unsigned int vmq_ethtool_count(struct vmq_dev *dev)
{
	unsigned int nr = 0;
	u16 i;

	for (i = 0; i < dev->caps->pools; i++)
		nr += dev->queues[i].nr_filters;
	return nr;
}

static int vmq_ethtool_get_all(struct vmq_dev *dev, struct ethtool_rxnfc *info,
			       u32 *rule_locs)
{
	struct vmq_filter *f;
	unsigned long id;
	u32 nr = 0;

	info->data = VMQ_MAX_FILTERS;
	xa_for_each(&dev->filter_ids, id, f) {
		if (nr == info->rule_cnt)
			return -EMSGSIZE;
		rule_locs[nr++] = id;
	}
	info->rule_cnt = nr;
	return 0;
}

static int vmq_ethtool_get_one(struct vmq_dev *dev,
			       struct ethtool_rx_flow_spec *fs)
{
	u32 location = fs->location;
	struct vmq_filter *f;

	f = vmq_filter_by_id(dev, location);
	if (!f)
		return -ENOENT;
	memset(fs, 0, sizeof(*fs));
	fs->location = location;
	fs->ring_cookie = f->queue;
	vmq_ntuple_format(fs, &f->m);
	return 0;
}

static int vmq_ethtool_get_locked(struct vmq_dev *dev,
				  struct ethtool_rxnfc *info, u32 *rule_locs)
{
	switch (info->cmd) {
	case ETHTOOL_GRXRINGS:
		info->data = dev->caps->pools;
		return 0;
	case ETHTOOL_GRXCLSRLCNT:
		info->rule_cnt = vmq_ethtool_count(dev);
		info->data = VMQ_MAX_FILTERS | RX_CLS_LOC_SPECIAL;
		return 0;
	case ETHTOOL_GRXCLSRULE:
		return vmq_ethtool_get_one(dev, &info->fs);
	case ETHTOOL_GRXCLSRLALL:
		return vmq_ethtool_get_all(dev, info, rule_locs);
	}
	return -EOPNOTSUPP;
}

int vmq_ethtool_get_rxnfc(struct vmq_dev *dev, struct ethtool_rxnfc *info,
			  u32 *rule_locs)
{
	int err;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	err = vmq_ethtool_get_locked(dev, info, rule_locs);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_ethtool_get_rxnfc);

/* The wanted location, 0 for any, or a negative errno. */
static int vmq_ethtool_location(struct vmq_dev *dev, u32 location)
{
	if (location == RX_CLS_LOC_ANY)
		return 0;
	if (location & RX_CLS_LOC_SPECIAL)
		return vmq_refuse(dev, NULL, -EOPNOTSUPP,
				  "filters have no order, loc first and last mean nothing");
	if (!location || location >= VMQ_MAX_FILTERS)
		return vmq_refuse(dev, NULL, -EINVAL,
				  "a filter location is 1 to %u",
				  VMQ_MAX_FILTERS - 1);
	return location;
}

static int vmq_ethtool_allocate(struct vmq_queue *q)
{
	char name[VMQ_NAME_LEN];

	scnprintf(name, sizeof(name), "queue-%u", q->id);
	return vmq_queue_allocate_locked(q, VMQ_OWNER_ADMIN, name, NULL);
}

/*
 * A rule by queue number is a whole VM queue in one command. The rings come
 * last: a rule that is refused has asked for no interrupt.
 */
static int vmq_ethtool_insert(struct vmq_dev *dev,
			      struct ethtool_rx_flow_spec *fs,
			      const struct vmq_match *m, u32 location)
{
	struct vmq_queue *q = &dev->queues[fs->ring_cookie];
	bool make = q->id && q->state == VMQ_QUEUE_UNDEFINED;
	int fid, err = 0;

	if (make)
		err = vmq_ethtool_allocate(q);
	if (err)
		return err;
	fid = vmq_filter_add_locked(dev, q->id, m, VMQ_OWNER_ADMIN, location,
				    NULL);
	if (fid < 0) {
		err = fid;
		goto free_queue;
	}
	if (make)
		err = vmq_queue_commit_locked(q, VMQ_OWNER_ADMIN, NULL);
	if (err)
		goto del_filter;
	fs->location = fid;
	return 0;

del_filter:
	vmq_filter_del_locked(dev, fid, VMQ_OWNER_ADMIN, NULL);
free_queue:
	if (make)
		vmq_queue_free_locked(q, VMQ_OWNER_ADMIN, NULL);
	return err;
}

/* The rule at this location, if it is the administrator's and says the same. */
static struct vmq_filter *vmq_ethtool_find(struct vmq_dev *dev, u32 location,
					   const struct vmq_match *m)
{
	struct vmq_filter *f = vmq_filter_by_id(dev, location);

	return f && f->owner == VMQ_OWNER_ADMIN &&
	       !memcmp(&f->m, m, sizeof(*m)) ? f : NULL;
}

/* A rule that only gets another queue loses no frame, and keeps its count. */
static int vmq_ethtool_move(struct vmq_dev *dev, struct vmq_filter *f, u16 to)
{
	struct vmq_queue *q = &dev->queues[to];
	bool make = to && q->state == VMQ_QUEUE_UNDEFINED;
	int err = 0;

	if (make)
		err = vmq_ethtool_allocate(q);
	if (err)
		return err;
	if (make)
		err = vmq_queue_commit_locked(q, VMQ_OWNER_ADMIN, NULL);
	if (!err)
		err = vmq_filter_transfer(dev, &f, 1, to, NULL);
	if (err && make)
		vmq_queue_free_locked(q, VMQ_OWNER_ADMIN, NULL);
	return err;
}

static int vmq_ethtool_check_queue(struct vmq_dev *dev, u64 queue)
{
	if (queue < dev->caps->pools)
		return 0;
	return vmq_queue_check_vmq(dev, NULL) ?:
	       vmq_refuse(dev, NULL, -EINVAL,
			  "there is no queue %llu, the last one is %u", queue,
			  dev->caps->pools - 1);
}

static int vmq_ethtool_add(struct vmq_dev *dev, struct ethtool_rx_flow_spec *fs)
{
	struct vmq_filter *f;
	struct vmq_match m;
	const char *why;
	int err;

	why = vmq_ntuple_parse(fs, &m, &err);
	if (why)
		return vmq_refuse(dev, NULL, err, "%s", why);
	err = vmq_ethtool_check_queue(dev, fs->ring_cookie);
	if (err)
		return err;
	f = vmq_ethtool_find(dev, fs->location, &m);
	if (f && f->queue != fs->ring_cookie)
		return vmq_ethtool_move(dev, f, fs->ring_cookie);
	/* Before a queue is made for it: a refusal leaves no trace. */
	err = vmq_filter_check_match(dev, &m, NULL);
	if (err)
		return err;
	err = vmq_ethtool_location(dev, fs->location);
	if (err < 0)
		return err;
	return vmq_ethtool_insert(dev, fs, &m, err);
}

int vmq_ethtool_set_rxnfc(struct vmq_dev *dev, struct ethtool_rxnfc *info)
{
	int err = -EOPNOTSUPP;

	ASSERT_RTNL();
	mutex_lock(&dev->lock);
	if (info->cmd == ETHTOOL_SRXCLSRLINS)
		err = vmq_ethtool_add(dev, &info->fs);
	else if (info->cmd == ETHTOOL_SRXCLSRLDEL)
		err = vmq_filter_del_locked(dev, info->fs.location,
					    VMQ_OWNER_ADMIN, NULL);
	mutex_unlock(&dev->lock);
	return err;
}
EXPORT_SYMBOL_GPL(vmq_ethtool_set_rxnfc);
