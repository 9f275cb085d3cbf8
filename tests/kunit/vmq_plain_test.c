// SPDX-License-Identifier: GPL-2.0-only
/* A NIC that offers its default queue alone: what is refused, and what works. */
#include "fake.h"

#define PLAIN_REASON	"VMQ is not available: it has one interrupt (-95)"

static const struct vmq_hw_caps plain_caps = {
	.pools		= 1,
	.mac_slots	= 2,
	.mac_slots_host	= 2,
	.no_vmq		= "it has one interrupt",
};

static int plain_test_init(struct kunit *test)
{
	fake_create(test, &plain_caps);
	return 0;
}

static int plain_allocate(struct fake_nic *f, const char *vm_name)
{
	int ret;

	rtnl_lock();
	mutex_lock(&f->dev.lock);
	ret = vmq_queue_allocate_any_locked(&f->dev, ADMIN, vm_name, NULL);
	mutex_unlock(&f->dev.lock);
	rtnl_unlock();
	return ret;
}

static int plain_rule_add(struct fake_nic *f, u8 addr, u64 queue)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_SRXCLSRLINS };
	struct vmq_match m;
	int err;

	fake_match(&m, addr, 0);
	vmq_ntuple_format(&info.fs, &m);
	info.fs.ring_cookie = queue;
	info.fs.location = RX_CLS_LOC_ANY;
	rtnl_lock();
	err = vmq_ethtool_set_rxnfc(&f->dev, &info);
	rtnl_unlock();
	return err ?: (int)info.fs.location;
}

/* Whoever asks for a queue, in whatever way, is told why there is none. */
static void vmq_plain_test_allocate(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	fake_remember(f);
	KUNIT_EXPECT_FALSE(test, vmq_dev_has_vmq(&f->dev));
	rtnl_lock();
	KUNIT_EXPECT_FALSE(test, vmq_queue_available(&f->dev));
	rtnl_unlock();
	KUNIT_EXPECT_STREQ(test, f->dev.last_error, "");
	KUNIT_EXPECT_EQ(test, plain_allocate(f, "guest"), -EOPNOTSUPP);
	KUNIT_EXPECT_STREQ(test, f->dev.last_error, PLAIN_REASON);

	KUNIT_EXPECT_EQ(test, plain_rule_add(f, 0x11, 0), 1);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	f->dev.last_error[0] = '\0';
	KUNIT_EXPECT_EQ(test, fake_allocate(f, VSWITCH, 0), -EOPNOTSUPP);
	KUNIT_EXPECT_STREQ(test, f->dev.last_error, PLAIN_REASON);
	f->dev.last_error[0] = '\0';
	KUNIT_EXPECT_EQ(test, plain_rule_add(f, 0x11, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_STREQ(test, f->dev.last_error, PLAIN_REASON);
	/* It is no queue's fault, so no name is the right one. */
	KUNIT_EXPECT_EQ(test, plain_allocate(f, "a/b"), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, fake_allocate(f, ADMIN, 0), -EPERM);
	fake_expect_unchanged(test, f);
}

/* A NIC that has VMQ says so, and says -ENOSPC when its queues are taken. */
static void vmq_plain_test_other(struct kunit *test)
{
	struct fake_nic *f;
	u16 id;

	fake_destroy(test, test->priv);
	fake_create(test, &fake_caps);
	f = test->priv;
	KUNIT_EXPECT_TRUE(test, vmq_dev_has_vmq(&f->dev));
	KUNIT_EXPECT_EQ(test, plain_allocate(f, "a/b"), -EINVAL);
	for (id = 1; id < f->caps.pools; id++)
		KUNIT_EXPECT_EQ(test, plain_allocate(f, "guest"), id);
	KUNIT_EXPECT_EQ(test, plain_allocate(f, "guest"), -ENOSPC);
	KUNIT_EXPECT_EQ(test, plain_rule_add(f, 0x11, f->caps.pools), -EINVAL);
}

/* Queue 0 runs and has filters, in software: no slot of the NIC is written. */
static void vmq_plain_test_default(struct kunit *test)
{
	struct fake_nic *f = test->priv;
	struct vmq_match m;

	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_STREQ(test, f->log, "alloc 0, start 0");
	KUNIT_EXPECT_EQ(test, fake_add(f, ADMIN, 0, 0x11, 0), 1);
	KUNIT_EXPECT_EQ(test, fake_add(f, VSWITCH, 0, 0x12, 7), 2);
	KUNIT_EXPECT_EQ(test, f->dev.queues[0].nr_filters, 2);
	KUNIT_EXPECT_EQ(test, f->mac_writes, 0);
	fake_match(&m, 0x11, 0);
	KUNIT_EXPECT_EQ(test, fake_route(f, &m, false), BIT(0));

	fake_remember(f);
	fake_close(f);
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	fake_expect_unchanged(test, f);
	KUNIT_EXPECT_EQ(test, f->mac_writes, 0);
	KUNIT_EXPECT_EQ(test, fake_del(f, ADMIN, 1), 0);
	KUNIT_EXPECT_EQ(test, fake_del(f, VSWITCH, 2), 0);
}

/* An interrupt that others use is neither moved nor locked. */
static void vmq_plain_test_shared_irq(struct kunit *test)
{
	struct fake_nic *f = test->priv;

	f->dev.vectors[0].irq_shared = true;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	KUNIT_EXPECT_EQ(test, f->queues[0].pinned, -1);
	KUNIT_EXPECT_FALSE(test, irq_balancing_disabled(f->queues[0].irq));
	fake_close(f);

	f->dev.vectors[0].irq_shared = false;
	KUNIT_ASSERT_EQ(test, fake_open(f), 0);
	/* A kernel for one CPU locks it, but has nothing to move. */
	KUNIT_EXPECT_EQ(test, f->queues[0].pinned,
			IS_ENABLED(CONFIG_SMP) ? f->dev.vectors[0].cpu : -1);
	KUNIT_EXPECT_TRUE(test, irq_balancing_disabled(f->queues[0].irq));
}

static struct kunit_case vmq_plain_test_cases[] = {
	KUNIT_CASE(vmq_plain_test_allocate),
	KUNIT_CASE(vmq_plain_test_other),
	KUNIT_CASE(vmq_plain_test_default),
	KUNIT_CASE(vmq_plain_test_shared_irq),
	{}
};

static struct kunit_suite vmq_plain_test_suite = {
	.name		= "vmq_plain",
	.init		= plain_test_init,
	.exit		= fake_test_exit,
	.test_cases	= vmq_plain_test_cases,
};

kunit_test_suite(vmq_plain_test_suite);
