// SPDX-License-Identifier: GPL-2.0-only
/* The state machine of a queue, as a table: no lock, no hardware. */
#include <kunit/visibility.h>
#include <linux/errno.h>
#include <linux/export.h>
#include "vmq_priv.h"

static const char * const vmq_state_names[] = {
	[VMQ_QUEUE_UNDEFINED]	= "undefined",
	[VMQ_QUEUE_ALLOCATED]	= "allocated",
	[VMQ_QUEUE_SET]		= "set",
	[VMQ_QUEUE_RUNNING]	= "running",
	[VMQ_QUEUE_PAUSED]	= "paused",
	[VMQ_QUEUE_STOPPING]	= "stopping",
	[VMQ_QUEUE_FREEING]	= "freeing",
};

/* One allowed step. What is not here is refused and changes nothing. */
struct vmq_state_step {
	u8 from;
	u8 event;
	u8 to;
};

static const struct vmq_state_step vmq_state_steps[] = {
	{ VMQ_QUEUE_UNDEFINED, VMQ_EVENT_ALLOCATE, VMQ_QUEUE_ALLOCATED },

	{ VMQ_QUEUE_ALLOCATED, VMQ_EVENT_FILTER_SET, VMQ_QUEUE_SET },
	{ VMQ_QUEUE_ALLOCATED, VMQ_EVENT_COMMIT, VMQ_QUEUE_PAUSED },
	{ VMQ_QUEUE_ALLOCATED, VMQ_EVENT_FREE, VMQ_QUEUE_STOPPING },

	{ VMQ_QUEUE_SET, VMQ_EVENT_FILTER_SET, VMQ_QUEUE_SET },
	{ VMQ_QUEUE_SET, VMQ_EVENT_FILTER_CLEAR, VMQ_QUEUE_SET },
	{ VMQ_QUEUE_SET, VMQ_EVENT_FILTER_CLEAR_LAST, VMQ_QUEUE_ALLOCATED },
	{ VMQ_QUEUE_SET, VMQ_EVENT_COMMIT, VMQ_QUEUE_RUNNING },

	{ VMQ_QUEUE_RUNNING, VMQ_EVENT_FILTER_SET, VMQ_QUEUE_RUNNING },
	{ VMQ_QUEUE_RUNNING, VMQ_EVENT_FILTER_CLEAR, VMQ_QUEUE_RUNNING },
	{ VMQ_QUEUE_RUNNING, VMQ_EVENT_FILTER_CLEAR_LAST, VMQ_QUEUE_PAUSED },

	{ VMQ_QUEUE_PAUSED, VMQ_EVENT_FILTER_SET, VMQ_QUEUE_RUNNING },
	{ VMQ_QUEUE_PAUSED, VMQ_EVENT_FREE, VMQ_QUEUE_STOPPING },

	{ VMQ_QUEUE_STOPPING, VMQ_EVENT_DMA_STOPPED, VMQ_QUEUE_FREEING },
	{ VMQ_QUEUE_FREEING, VMQ_EVENT_RETURNED, VMQ_QUEUE_UNDEFINED },
};

const char *vmq_state_name(enum vmq_queue_state state)
{
	return vmq_state_names[state];
}
EXPORT_SYMBOL_IF_KUNIT(vmq_state_name);

/* Why an event is not in the table decides the errno. */
static int vmq_state_refusal(enum vmq_queue_state state,
			     enum vmq_queue_event event)
{
	if (event == VMQ_EVENT_ALLOCATE)
		return -EBUSY;
	if (state == VMQ_QUEUE_UNDEFINED)
		return -ENOENT;
	if (event == VMQ_EVENT_FREE &&
	    (state == VMQ_QUEUE_SET || state == VMQ_QUEUE_RUNNING))
		return -EBUSY;
	return -EINVAL;
}

/* The state after @event, or a negative errno when it is not valid now. */
int vmq_state_next(enum vmq_queue_state state, enum vmq_queue_event event)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmq_state_steps); i++)
		if (vmq_state_steps[i].from == state &&
		    vmq_state_steps[i].event == event)
			return vmq_state_steps[i].to;
	return vmq_state_refusal(state, event);
}
EXPORT_SYMBOL_IF_KUNIT(vmq_state_next);
