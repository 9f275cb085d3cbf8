// SPDX-License-Identifier: GPL-2.0-only
/* The state machine of a queue against a table of its own. */
#include <kunit/test.h>
#include "vmq_priv.h"

#define STATES		7

enum {
	U = VMQ_QUEUE_UNDEFINED,
	A = VMQ_QUEUE_ALLOCATED,
	S = VMQ_QUEUE_SET,
	R = VMQ_QUEUE_RUNNING,
	P = VMQ_QUEUE_PAUSED,
	T = VMQ_QUEUE_STOPPING,
	F = VMQ_QUEUE_FREEING,
};

/* What an event does in each state, in the order of the enum above. */
struct state_row {
	const char *name;
	enum vmq_queue_event event;
	int next[STATES];
};

#define NOENT	(-ENOENT)
#define INVAL	(-EINVAL)
#define BUSY	(-EBUSY)

static const struct state_row state_rows[] = {
	{ "allocate", VMQ_EVENT_ALLOCATE,
	  { A, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY } },
	{ "filter set", VMQ_EVENT_FILTER_SET,
	  { NOENT, S, S, R, R, INVAL, INVAL } },
	{ "filter cleared, not the last", VMQ_EVENT_FILTER_CLEAR,
	  { NOENT, INVAL, S, R, INVAL, INVAL, INVAL } },
	{ "last filter cleared", VMQ_EVENT_FILTER_CLEAR_LAST,
	  { NOENT, INVAL, A, P, INVAL, INVAL, INVAL } },
	{ "commit", VMQ_EVENT_COMMIT,
	  { NOENT, P, R, INVAL, INVAL, INVAL, INVAL } },
	{ "free", VMQ_EVENT_FREE,
	  { NOENT, T, BUSY, BUSY, T, INVAL, INVAL } },
	{ "DMA stopped", VMQ_EVENT_DMA_STOPPED,
	  { NOENT, INVAL, INVAL, INVAL, INVAL, F, INVAL } },
	{ "all frames returned", VMQ_EVENT_RETURNED,
	  { NOENT, INVAL, INVAL, INVAL, INVAL, INVAL, U } },
};

static void state_row_desc(const struct state_row *row, char *desc)
{
	strscpy(desc, row->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(state_row, state_rows, state_row_desc);

static void vmq_state_test_event(struct kunit *test)
{
	const struct state_row *row = test->param_value;
	int state;

	for (state = 0; state < STATES; state++)
		KUNIT_EXPECT_EQ_MSG(test, vmq_state_next(state, row->event),
				    row->next[state], "%s in %s", row->name,
				    vmq_state_name(state));
}

/* Users read these words in sysfs. */
static void vmq_state_test_names(struct kunit *test)
{
	static const char * const names[STATES] = {
		"undefined", "allocated", "set", "running", "paused",
		"stopping", "freeing",
	};
	int state;

	for (state = 0; state < STATES; state++)
		KUNIT_EXPECT_STREQ(test, vmq_state_name(state), names[state]);
}

/* Rings live in two states; every other one must do without. */
static void vmq_state_test_committed(struct kunit *test)
{
	struct vmq_queue q = {};
	int state;

	for (state = 0; state < STATES; state++) {
		q.state = state;
		KUNIT_EXPECT_EQ_MSG(test, vmq_queue_is_committed(&q),
				    state == R || state == P, "%s",
				    vmq_state_name(state));
	}
}

static struct kunit_case vmq_state_test_cases[] = {
	KUNIT_CASE_PARAM(vmq_state_test_event, state_row_gen_params),
	KUNIT_CASE(vmq_state_test_names),
	KUNIT_CASE(vmq_state_test_committed),
	{}
};

static struct kunit_suite vmq_state_test_suite = {
	.name		= "vmq_state",
	.test_cases	= vmq_state_test_cases,
};

kunit_test_suite(vmq_state_test_suite);
