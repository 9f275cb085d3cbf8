# SPDX-License-Identifier: GPL-2.0-only
"""The mutants: each breaks one promise of the driver by one change of its source.

The text to replace has to be in the file exactly once. It should be as short as that
allows, so that it survives changes of the lines around it. Of the tests that are named
at least one has to fail: KUnit cases, or with "make" what T= of "make test" takes, for
what only an emulated NIC shows. Those are slow: few of them.
"""

import dataclasses
from pathlib import Path

from tests.kunit.ktap import CASES

TOP = Path(__file__).resolve().parents[2]
CORE = "drivers/net/vmq/core/"
IGB = "drivers/net/vmq/igb/"
VSWITCH = "drivers/net/vmq/vswitch/"


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    breaks: str
    path: str
    old: str
    new: str
    tests: tuple = ()
    make: str = ""


MUTANTS = (
    # Slots: what the NIC is told
    Mutant(
        "pool-is-queue", "A queue's frames go to its own pool, also where the default pool is not the first.",
        CORE + "vmq_shift.c",
        "pools |= BIT_ULL(dev->queues[id].pool);",
        "pools |= BIT_ULL(id);",
        ("vmq_filter_test_default_pool", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "mac-slots-one-less", "Every address slot of the NIC can be used.",
        CORE + "vmq_route.c",
        "for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots; i++) {\n\t\ts = &dev->next->macs[i];",
        "for (i = dev->caps->mac_slots_host; i < dev->caps->mac_slots - 1; i++) {\n\t\ts = &dev->next->macs[i];",
        ("vmq_filter_test_slots", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "vlan-slots-one-less", "Every VLAN slot of the NIC can be used.",
        CORE + "vmq_route.c",
        "for (i = 0; i < dev->caps->vlan_slots; i++) {\n\t\ts = &dev->next->vlans[i];",
        "for (i = 0; i < dev->caps->vlan_slots - 1; i++) {\n\t\ts = &dev->next->vlans[i];",
        ("vmq_vlan_test_slots", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "mac-slot-two-meanings", "An address slot that the NIC still uses gets no other address in one change.",
        CORE + "vmq_route.c",
        "if (!s->users && !dev->route->macs[i].users)",
        "if (!s->users)",
        ("vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "vlan-slot-freed-early", "A VLAN slot that the NIC still uses is not given to another VLAN in one change.",
        CORE + "vmq_route.c",
        "if (!s->users && !dev->route->vlans[i].users)",
        "if (!s->users)",
        ("vmq_vlan_test_late_slot", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "priority-tags-forgotten", "Priority tags have a VLAN slot, as untagged frames they are.",
        CORE + "vmq_route.c",
        "\t\tif (f->m.vlan == VMQ_VLAN_UNTAGGED)\n\t\t\tdev->next->untagged |= BIT_ULL(f->to);\n",
        "\t\tif (f->m.vlan == VMQ_VLAN_UNTAGGED) {\n\t\t\tdev->next->untagged |= BIT_ULL(f->to);\n\t\t\tcontinue;\n\t\t}\n",
        ("vmq_vlan_test_priority",),
    ),
    Mutant(
        "host-vids-forgotten", "The host's VLANs have slots while the NIC compares VLANs.",
        CORE + "vmq_route.c",
        "for_each_set_bit(vid, dev->host_vids, VLAN_N_VID)",
        "for_each_set_bit(vid, dev->host_vids, 1)",
        ("vmq_vlan_test_host_vids",),
    ),
    Mutant(
        "default-queue-not-in-vlan", "Queue 0 is in every VLAN that has a slot.",
        CORE + "vmq_shift.c",
        "vmq_shift_pools(dev, queues | BIT(0))",
        "vmq_shift_pools(dev, queues)",
        ("vmq_vlan_test_split", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "untagged-never-cleared", "A queue without an untagged filter gets no untagged frames any more.",
        CORE + "vmq_shift.c",
        "\tif (s->old->vlan_filtering)\n\t\tvmq_shift_write_untagged(dev,",
        "\tif (s->old->vlan_filtering && !s->new)\n\t\tvmq_shift_write_untagged(dev,",
        ("vmq_vlan_test_split", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "two-queues-allowed", "No frame can have two queues: a filter that would do that is refused.",
        CORE + "vmq_route.c",
        "if (hweight64(r->macs[i].queues) < 2)",
        "if (r->macs[i].users)",
        ("vmq_vlan_test_ambiguous", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "any-joins-all", "A filter for any VLAN takes no part where its queue would get another one's frames.",
        CORE + "vmq_route.c",
        "\t\t    r->macs[i].queues & queues & ~BIT_ULL(queue))\n\t\t\treturn false;",
        "\t\t    r->macs[i].queues & queues & ~BIT_ULL(queue))\n\t\t\treturn true;",
        ("vmq_vlan_test_any", "vmq_oracle_test_sequences"),
    ),
    # Balance: when queues change their CPU
    Mutant(
        "balance-no-budget", "A queue moves at most six times a minute.",
        CORE + "vmq_balance.c",
        " && b->now - at >= VMQ_BALANCE_WINDOW;",
        " && b->now >= at;",
        ("vmq_balance_test_budget", "vmq_balance_test_oscillate", "vmq_balance_test_bursts"),
    ),
    Mutant(
        "balance-budget-less", "A queue may use the whole of its budget.",
        CORE + "vmq_balance.c",
        "(q->oldest + moves - 1) %",
        "(q->oldest + moves) %",
        ("vmq_balance_test_budget",),
    ),
    Mutant(
        "balance-last-move", "A queue that gathers can still get away from the home.",
        CORE + "vmq_balance.c",
        "!vmq_balance_may_move(b, q, 2)",
        "!vmq_balance_may_move(b, q, 1)",
        ("vmq_balance_test_oscillate",),
    ),
    Mutant(
        "balance-admins-queue", "A queue whose CPU somebody chose is never moved.",
        CORE + "vmq_balance.c",
        "return q->movable && !q->why",
        "return !q->why",
        ("vmq_balance_test_fixed", "vmq_balance_test_home_busy", "vmq_balance_test_budget"),
    ),
    Mutant(
        "balance-admins-evicted", "A queue whose CPU somebody chose is never moved, also when that CPU is gone.",
        CORE + "vmq_balance.c",
        "if (!q->movable || q->cpu != VMQ_BALANCE_NOWHERE)",
        "if (q->cpu != VMQ_BALANCE_NOWHERE)",
        ("vmq_balance_test_fixed",),
    ),
    Mutant(
        "balance-evict-later", "A queue whose CPU is gone has another one at once, whatever its budget.",
        CORE + "vmq_balance.c",
        "\t\tvmq_balance_move(b, q, to, VMQ_BALANCE_EVICT);",
        "\t\tif (vmq_balance_may_move(b, q, 1))\n\t\t\tvmq_balance_move(b, q, to, VMQ_BALANCE_EVICT);",
        ("vmq_balance_test_hotplug",),
    ),
    Mutant(
        "balance-scatter", "Idle queues stay together when their CPU goes.",
        CORE + "vmq_balance.c",
        "\t\tif (b->load[to] + q->mean >= VMQ_BALANCE_LOW)\n\t\t\tto =",
        "\t\t\tto =",
        ("vmq_balance_test_home_gone",),
    ),
    Mutant(
        "balance-no-patience", "Queues gather after two seconds of quiet, not at the first quiet round.",
        CORE + "vmq_balance.c",
        "return b->quiet >= b->patience;",
        "return b->quiet;",
        ("vmq_balance_test_blip", "vmq_balance_test_patience"),
    ),
    Mutant(
        "balance-never-learns", "A gather that was too early makes the next one later.",
        CORE + "vmq_balance.c",
        "b->patience = min(b->patience * 2, VMQ_BALANCE_PATIENCE_MAX);",
        ";",
        ("vmq_balance_test_patience",),
    ),
    Mutant(
        "balance-too-patient", "Queues gather within ten seconds of quiet.",
        CORE + "vmq_balance.c",
        "b->patience = min(b->patience * 2, VMQ_BALANCE_PATIENCE_MAX);",
        "b->patience *= 2;",
        ("vmq_balance_test_home_and_back", "vmq_balance_test_patience"),
    ),
    Mutant(
        "balance-no-hysteresis", "Between the two thresholds no queue moves.",
        CORE + "vmq_balance.c",
        "#define VMQ_BALANCE_LOW\t\t200",
        "#define VMQ_BALANCE_LOW\t\t500",
        ("vmq_balance_test_hysteresis", "vmq_balance_test_home_busy"),
    ),
    Mutant(
        "balance-home-full", "Queues do not gather on a CPU that is in use for others.",
        CORE + "vmq_balance.c",
        "movable + fixed >= VMQ_BALANCE_HOME",
        "movable >= VMQ_BALANCE_HOME",
        ("vmq_balance_test_home_busy", "vmq_balance_test_fixed_hot"),
    ),
    Mutant(
        "balance-burst", "A burst of one round moves nothing.",
        CORE + "vmq_balance.c",
        "b->moved ? q->load : (q->load + q->last) / 2;",
        "q->load;",
        ("vmq_balance_test_blip",),
    ),
    Mutant(
        "balance-correction-late", "After a move the loads before it count no more.",
        CORE + "vmq_balance.c",
        "b->moved ? q->load : (q->load + q->last) / 2;",
        "(q->load + q->last) / 2;",
        ("vmq_balance_test_crowded",),
    ),
    Mutant(
        "balance-no-margin", "A queue moves only when its CPU is really relieved.",
        CORE + "vmq_balance.c",
        "return load - load / VMQ_BALANCE_MARGIN;",
        "return load;",
        ("vmq_balance_test_noise", "vmq_balance_test_step"),
    ),
    Mutant(
        "balance-one-move", "A spread moves all that have to move, in one round.",
        CORE + "vmq_balance.c",
        "for (spread = false; ; spread = true) {",
        "for (spread = false; !spread; spread = true) {",
        ("vmq_balance_test_step", "vmq_balance_test_random", "vmq_balance_test_heavy"),
    ),
    Mutant(
        "balance-plan-blind", "Each move is judged by the loads that the moves before it leave.",
        CORE + "vmq_balance.c",
        "\tb->load[to] += q->mean;\n\tq->to = to;",
        "\tq->to = to;",
        ("vmq_balance_test_step", "vmq_balance_test_random", "vmq_balance_test_heavy"),
    ),
    Mutant(
        "balance-crowded", "Where all CPUs are full, queues that get less than others move.",
        CORE + "vmq_balance.c",
        "(vmq_balance_spread(b) || vmq_balance_even_out(b))",
        "vmq_balance_spread(b)",
        ("vmq_balance_test_crowded", "vmq_balance_test_bursts"),
    ),
    Mutant(
        "balance-crowd-of-small", "Queues that get little because they want little are no crowd.",
        CORE + "vmq_balance.c",
        "return equal >= vmq_balance_less(b->load[cpu]) ? level : 0;",
        "return level;",
        ("vmq_balance_test_crowded",),
    ),
    # Shift: from one route to the next
    Mutant(
        "release-before-drain", "Frames of the new ring wait until the old one is empty.",
        CORE + "vmq_shift.c",
        "\tvmq_shift_drain(dev, from);\n\tvmq_shift_claim(dev, s->new);\n\tvmq_shift_release(dev, to);",
        "\tvmq_shift_release(dev, to);\n\tvmq_shift_drain(dev, from);\n\tvmq_shift_claim(dev, s->new);",
        ("vmq_filter_test_move", "vmq_filter_test_streams", "vmq_queue_test_commit_set"),
    ),
    Mutant(
        "drain-before-write", "The old ring is drained after the NIC has been told, not before.",
        CORE + "vmq_shift.c",
        "\tvmq_shift_hold(dev, to);\n\tfor",
        "\tvmq_shift_hold(dev, to);\n\tvmq_shift_drain(dev, from);\n\tfrom = 0;\n\tfor",
        ("vmq_filter_test_move", "vmq_filter_test_streams", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "claim-too-early", "Frames of the old ring are compared with the old owner.",
        CORE + "vmq_shift.c",
        "\tvmq_shift_hold(dev, to);\n\tfor",
        "\tvmq_shift_hold(dev, to);\n\tvmq_shift_claim(dev, s->new);\n\tfor",
        ("vmq_filter_test_streams", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "gainers-not-held", "With VLANs compared, too, the new ring waits for the old one.",
        CORE + "vmq_shift.c",
        "u64 held = s->gainers | s->judges;",
        "u64 held = s->judges;",
        ("vmq_vlan_test_streams", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "judges-ignored", "A ring that keeps frames which get another owner is held and drained for that.",
        CORE + "vmq_shift.c",
        "if (s->old->vlan_filtering || s->new->vlan_filtering || s->judges)",
        "if (s->old->vlan_filtering || s->new->vlan_filtering)",
        ("vmq_filter_test_del_drains", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "losers-not-drained", "Rings that lose frames are empty before others get them.",
        CORE + "vmq_shift.c",
        "vmq_shift_drain(dev, s->losers | s->judges);",
        "vmq_shift_drain(dev, s->judges);",
        ("vmq_vlan_test_streams", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "replay-forgets-vlans", "After a reset the NIC has the VLAN table that it had before.",
        CORE + "vmq_shift.c",
        "\tif (r->vlan_filtering)\n\t\tvmq_shift_vlans_on(dev, r);\n\tfor",
        "\tif (r->vlan_filtering)\n\t\tdev->ops->vlan_filtering(dev, true);\n\tfor",
        ("vmq_vlan_test_replay", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "replay-forgets-live", "After a reset the NIC is told of queues whose rings run, and of no others.",
        CORE + "vmq_shift.c",
        "\tlockdep_assert_held(&dev->lock);\n\tr->live = vmq_route_live(dev);",
        "\tlockdep_assert_held(&dev->lock);",
        ("vmq_queue_test_commit_down", "vmq_queue_test_replay", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "undrained-not-compared", "A ring that did not run dry is compared, though the NIC is exact by now.",
        CORE + "vmq_shift.c",
        "check = !q->exact || q->undrained || dev->count_hits;",
        "check = !q->exact || dev->count_hits;",
        ("vmq_vlan_test_no_drain", "vmq_filter_test_move_no_drain"),
    ),
    # Filters
    Mutant(
        "enter-without-heir", "A new filter's frames keep the owner that they had until the route changes.",
        CORE + "vmq_filter.c",
        "f->queue = vmq_filter_heir(dev, f);",
        "f->queue = 0;",
        ("vmq_filter_test_any", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "leave-without-heir", "What a filter claimed is the one's for any VLAN when it leaves.",
        CORE + "vmq_filter.c",
        "u16 heir = vmq_filter_heir(dev, f);",
        "u16 heir = 0;",
        ("vmq_filter_test_any", "vmq_oracle_test_sequences", "vmq_oracle_test_random"),
    ),
    Mutant(
        "home-forgotten", "All filters come back to their queue when VMQ is on again.",
        CORE + "vmq_filter.c",
        "\t\tf->home = 0;\n\t\tvmq_filter_mark(dev, f, q->id);\n\t\tn++;",
        "\t\tf->home = 0;\n\t\tif (n++)\n\t\t\tcontinue;\n\t\tvmq_filter_mark(dev, f, q->id);",
        ("vmq_enable_test_round_trip", "vmq_enable_test_streams"),
    ),
    Mutant(
        "software-listed", "What software alone claims costs a plan no look at each.",
        CORE + "vmq_route.c",
        "\t\tlist_del(&f->list);\n\t\tvmq_route_add_idle(dev, f);",
        "\t\tcontinue;",
        ("vmq_filter_test_many",),
    ),
    Mutant(
        "home-unlisted", "A filter whose queue is off is found again when VMQ is on.",
        CORE + "vmq_route.c",
        "if (f->queue || f->home || f->change",
        "if (f->queue || f->change",
        ("vmq_filter_test_many", "vmq_enable_test_round_trip", "vmq_enable_test_streams"),
    ),
    Mutant(
        "age-forgotten", "The oldest filter comes first, wherever it has been.",
        CORE + "vmq_route.c",
        "dev->filters_unsorted = true;",
        "dev->filters_unsorted = false;",
        ("vmq_filter_test_age",),
    ),
    Mutant(
        "software-vlan-unseen", "The first filter of software in a VLAN is known to the next plan, and the last one's end.",
        CORE + "vmq_filter.c",
        "(!dev->route->vlan_filtering || same)",
        "true",
        ("vmq_vlan_test_software", "vmq_vlan_test_slots"),
    ),
    Mutant(
        "software-vlan-uncounted", "The VLANs of what software claims are known to a plan.",
        CORE + "vmq_route.c",
        "dev->software_vids[vmq_route_vid(f)]--;",
        "if (f->home)\n\t\t\tdev->software_vids[vmq_route_vid(f)]--;",
        ("vmq_filter_test_many",),
    ),
    Mutant(
        "id-kept", "The id of a filter that could not be made is free again.",
        CORE + "vmq_filter.c",
        "release_id:\n\txa_erase(&dev->filter_ids, fid);",
        "release_id:",
        ("vmq_filter_test_refused_id", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "exists-not-checked", "The same filter is refused a second time.",
        CORE + "vmq_filter.c",
        "\tif (other)\n\t\treturn vmq_refuse(dev, extack, -EEXIST,",
        "\tif (other && !m)\n\t\treturn vmq_refuse(dev, extack, -EEXIST,",
        ("vmq_filter_test_exists",),
    ),
    Mutant(
        "host-address-taken", "No filter takes an address of the host.",
        CORE + "vmq_filter.c",
        "\tif (ether_addr_equal(uplink->dev_addr, addr))\n\t\treturn true;",
        "\tif (ether_addr_equal(uplink->dev_addr, addr))\n\t\treturn false;",
        ("vmq_filter_test_host_addr",),
    ),
    Mutant(
        "errno-swapped", "Too few address slots are ENOSPC.",
        CORE + "vmq_route.c",
        "return vmq_refuse(dev, extack, -ENOSPC,\n\t\t\t\t\t  \"filter slots full\");",
        "return vmq_refuse(dev, extack, -EBUSY,\n\t\t\t\t\t  \"filter slots full\");",
        ("vmq_filter_test_slots", "vmq_filter_test_move_no_slot"),
    ),
    Mutant(
        "refusal-leaves-mark", "A move that is refused leaves the filters as they were.",
        CORE + "vmq_filter.c",
        "\treturn 0;\n\nforget_change:\n\tvmq_filter_forget_change(dev);\n\treturn err;",
        "\treturn 0;\n\nforget_change:\n\treturn err;",
        ("vmq_filter_test_move_refusals", "vmq_filter_test_move_no_slot", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "refused-mode-stays", "A VLAN mode that is refused is not taken on.",
        CORE + "vmq_vlan.c",
        "restore_mode:\n\tWRITE_ONCE(dev->vlan_mode, old);",
        "restore_mode:\n\tWRITE_ONCE(old, dev->vlan_mode);",
        ("vmq_vlan_test_ambiguous", "vmq_oracle_test_random"),
    ),
    # Queues
    Mutant(
        "refused-commit-changes-state", "A commit that fails leaves the queue's state as it was.",
        CORE + "vmq_queue.c",
        "\t\terr = vmq_queue_up(q);\n\t\tif (err)\n",
        "\t\terr = vmq_queue_up(q);\n\t\tif (err && !vmq_queue_event(q, VMQ_EVENT_COMMIT))\n",
        ("vmq_queue_test_commit_fails",),
    ),
    Mutant(
        "free-does-not-wait", "A freed queue is given out again only when readers gave its frames back.",
        CORE + "vmq_queue.c",
        "if (q->rings && q->dev->ops->queue_held(q->dev, q->id))",
        "if (q->rings && q->dev->ops->queue_held(q->dev, q->id) > U16_MAX)",
        ("vmq_queue_test_freeing",),
    ),
    Mutant(
        "commit-keeps-default-route", "With its commit a queue's frames leave the default queue.",
        CORE + "vmq_queue.c",
        "if (!dev->open || !filters)",
        "if (!dev->open || filters)",
        ("vmq_queue_test_commit_set",),
    ),
    Mutant(
        "owner-not-checked", "The administrator does not change a port's queue.",
        CORE + "vmq_queue.c",
        "if (q->owner == owner)\n\t\treturn 0;",
        "if (q->owner == owner || owner == VMQ_OWNER_ADMIN)\n\t\treturn 0;",
        ("vmq_queue_test_owner",),
    ),
    Mutant(
        "irq-not-locked", "After each start nobody but the driver moves a queue's interrupt.",
        CORE + "vmq_placement.c",
        "irq_modify_status(v->irq, 0, IRQ_NO_BALANCING);",
        "irq_modify_status(v->irq, 0, 0);",
        ("vmq_queue_test_life", "vmq_queue_test_replay", "vmq_oracle_test_sequences"),
    ),
    # Receive
    Mutant(
        "software-check-skipped", "A frame that the NIC cannot tell from a VM's is compared, and not the VM's.",
        CORE + "vmq_rx.c",
        "if (READ_ONCE(q->check))",
        "if (READ_ONCE(q->check) && q->undrained)",
        ("vmq_rx_test_mismatch", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "mismatch-to-vm", "A frame that no filter of the queue claims does not reach its VM.",
        CORE + "vmq_rx.c",
        "\t\tvmq_rx_turn_away(skb, mismatch);\n",
        "\t\tif (q->undrained)\n\t\t\tvmq_rx_turn_away(skb, mismatch);\n",
        ("vmq_rx_test_mismatch", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "hits-on-wrong-filter", "Hits count on the filter that claimed the frames.",
        CORE + "vmq_rx.c",
        "if (mem->answers[i].key == key)",
        "if (!((mem->answers[i].key ^ key) << 16))",
        ("vmq_rx_test_many", "vmq_filter_test_any"),
    ),
    Mutant(
        "answers-outlive-filters", "Whose a frame is, is asked again when a filter has changed.",
        CORE + "vmq_rx.c",
        "if (unlikely(q->memory.changes != changes)) {",
        "if (unlikely(!q->memory.changes)) {",
        # The kernel does not live until vmq_rx_test_change.
        ("vmq_filter_test_any", "vmq_group_test_second_vlan"),
    ),
    Mutant(
        "group-mismatch-twice", "A group's frame that a queue does not claim is not the default queue's a second time.",
        CORE + "vmq_rx.c",
        "if (unlikely(is_multicast_ether_addr(skb->data))) {",
        "if (unlikely(is_broadcast_ether_addr(skb->data))) {",
        ("vmq_group_test_mismatch",),
    ),
    Mutant(
        "group-without-default", "A claimed group still reaches the default queue.",
        CORE + "vmq_shift.c",
        "\tif (queues && is_multicast_ether_addr(addr))\n\t\tqueues |= BIT(0);\n",
        "",
        ("vmq_group_test_claim",),
    ),
    Mutant(
        "group-of-stopped-ring", "The switch serves the claimant of a group while the NIC does not.",
        CORE + "vmq_shift.c",
        "WRITE_ONCE(f->steered, vmq_route_steers(dev, new, f) &&",
        "WRITE_ONCE(f->steered, f->to ||",
        ("vmq_group_test_steered", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "group-handed-over-at-once", "A group's old claimant misses nothing when the group goes to another VM queue.",
        CORE + "vmq_shift.c",
        "if (from & to || groups)",
        "if (from & to)",
        ("vmq_group_test_handed_over",),
    ),
    Mutant(
        "group-steered-early", "The switch serves the claimant of a group until its own ring has all frames.",
        CORE + "vmq_shift.c",
        "WRITE_ONCE(f->steered, vmq_route_steers(dev, new, f) &&\n\t\t\t\t   vmq_route_steers(dev, old, f));",
        "WRITE_ONCE(f->steered, vmq_route_steers(dev, new, f));",
        ("vmq_group_test_streams", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "resize-in-use", "A ring is replaced while no frame is routed to it.",
        CORE + "vmq_buffers.c",
        "\tvmq_buffers_park(q, true);\n",
        "",
        ("vmq_buffers_test_running", "vmq_buffers_test_streams"),
    ),
    Mutant(
        "commit-tells-the-last", "A commit of several queues tells the first refusal.",
        CORE + "vmq_queue.c",
        "err = err ? err : status[i];",
        "err = status[i];",
        ("vmq_queue_test_commit_several",),
    ),
    Mutant(
        "consumer-of-another", "Frames of one queue go to the consumer of that queue.",
        CORE + "vmq_rx.c",
        "\t\tvmq_rx_count_sole(q, packets);\n\tc = rcu_dereference(q->consumer);",
        "\t\tvmq_rx_count_sole(q, packets);\n"
        "\tc = rcu_dereference(q->dev->queues[1].consumer) ?: rcu_dereference(q->consumer);",
        ("vmq_filter_test_streams", "vmq_filter_test_move", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "mismatch-keeps-queue", "A frame that takes the default queue's way looks like that.",
        CORE + "vmq_rx.c",
        "skb_record_rx_queue(skb, 0);",
        "skb_record_rx_queue(skb, 1);",
        ("vmq_rx_test_switch_leaves",),
    ),
    Mutant(
        "any-wins", "The filter of a frame's VLAN wins over the one for any VLAN.",
        CORE + "vmq_filter.c",
        "\tif (f || !READ_ONCE(dev->nr_any_filters))\n\t\treturn f;",
        "\tif (!READ_ONCE(dev->nr_any_filters))\n\t\treturn f;",
        ("vmq_rx_test_any",),
    ),
    Mutant(
        "priority-is-vlan", "A priority tag counts as none.",
        "include/vmq/vmq.h",
        "skb_vlan_tag_present(skb) ? skb_vlan_tag_get_id(skb)",
        "skb_vlan_tag_present(skb) ? skb_vlan_tag_get(skb)",
        ("vmq_rx_test_priority",),
    ),
    # The switch's table
    Mutant(
        "clone-to-sender", "A sender does not get its own group frame.",
        VSWITCH + "vsw_table.c",
        "if (member != origin && test_bit(vid, member->vlans))",
        "if (test_bit(vid, member->vlans))",
        ("vsw_table_test_clones",),
    ),
    Mutant(
        "vlan-left-with-first-address", "A port is in a VLAN as long as one of its addresses is.",
        VSWITCH + "vsw_table.c",
        "!vsw_table_in_vlan(entry->member, entry->match.vlan))",
        "entry->member)",
        ("vsw_table_test_leave_vlan",),
    ),
    # Who holds the queues
    Mutant(
        "equal-takes-queue", "A port that is as heavy as the holders waits.",
        VSWITCH + "vsw_weight.c",
        "first->weight <= loser->weight",
        "first->weight < loser->weight",
        ("vsw_weight_test_ties", "vsw_weight_test_random"),
    ),
    Mutant(
        "weight-takes-exclusive", "Nobody's weight takes an exclusive port's queue.",
        VSWITCH + "vsw_weight.c",
        "if (!p->exclusive &&\n\t\t    (!last ||",
        "if ((!last ||",
        ("vsw_weight_test_exclusive",),
    ),
    Mutant(
        "heavier-not-looked-for", "A port that is heavier than a holder gets its queue.",
        VSWITCH + "vsw_weight.c",
        "loser->weight == VSW_WEIGHT_MAX",
        "loser->weight >= 5",
        ("vsw_weight_test_random",),
    ),
    Mutant(
        "loser-forgotten", "Who gave a queue for a port that could not take it has it back.",
        VSWITCH + "vsw_weight.c",
        "\tvsw_weight_set_party(w, loser);\n",
        "",
        ("vsw_weight_test_cannot",),
    ),
    Mutant(
        "freeing-is-nobodys", "A port that waits for a queue which is being freed takes no other.",
        VSWITCH + "vsw_weight.c",
        "while (first && soon--)",
        "while (first && soon > 99)",
        ("vsw_weight_test_freeing",),
    ),
    Mutant(
        "swaps-unbounded", "Load swaps queues so many times a minute.",
        VSWITCH + "vsw_weight.c",
        "w->round - w->swaps[w->oldest] < VSW_WEIGHT_WINDOW ||",
        "",
        ("vsw_weight_test_load_budget",),
    ),
    Mutant(
        "swaps-to-and-fro", "Ports that are busy in turn swap ever more seldom.",
        VSWITCH + "vsw_weight.c",
        "min(2 * p->rest, VSW_WEIGHT_REST_MAX)",
        "VSW_WEIGHT_REST",
        ("vsw_weight_test_load_oscillates",),
    ),
    Mutant(
        "share-without-weight", "A full uplink is divided as the weights say.",
        VSWITCH + "vsw_share.c",
        "min(vsw_share_want(p), level * p->weight >>",
        "min(vsw_share_want(p), level * 100 >>",
        ("vsw_share_test_two_to_one", "vsw_share_test_many"),
    ),
    Mutant(
        "share-of-the-idle", "What a port does not use of its share is the others'.",
        VSWITCH + "vsw_share.c",
        "return p->waits ? U64_MAX : p->load + more;",
        "return U64_MAX - more;",
        ("vsw_share_test_idle", "vsw_share_test_below"),
    ),
    Mutant(
        "share-burst-at-each-change", "A rate that changes gives nothing away.",
        VSWITCH + "vsw_bucket.c",
        "has = min(div_s64(has * old, new), depth);",
        "has = depth;",
        ("vsw_bucket_test_rescale",),
    ),
    Mutant(
        "any-is-every-vlan", "An address in many VLANs is in no other one.",
        VSWITCH + "vsw_table.c",
        "return entry && match->vlan < VLAN_N_VID &&\n\t       test_bit(match->vlan, entry->member->vlans) ? entry : NULL;",
        "return entry;",
        ("vsw_table_test_any",),
    ),
    Mutant(
        "told-by-its-entries", "A port that was told its VLANs hears these, wherever it has an address.",
        VSWITCH + "vsw_table.c",
        "\telse if (!entry->member->told &&\n",
        "\telse if (\n",
        ("vsw_table_test_told",),
    ),
    # VLANs of a port
    Mutant(
        "untagged-passes", "What a VM sends without a tag is dropped where there is no native VLAN.",
        VSWITCH + "vsw_vlan.c",
        "if (v && !test_bit(wanted & VLAN_VID_MASK, v->tx))",
        "if (v && (wanted & VLAN_VID_MASK) && !test_bit(wanted & VLAN_VID_MASK, v->tx))",
        ("vsw_vlan_test_egress",),
    ),
    Mutant(
        "priority-lost", "A priority tag keeps its priority when it gets a VLAN.",
        VSWITCH + "vsw_vlan.c",
        "wanted |= v->pvid;",
        "wanted = v->pvid;",
        ("vsw_vlan_test_egress",),
    ),
    Mutant(
        "isolated-hear-each-other", "Isolated VMs do not hear each other.",
        VSWITCH + "vsw_vlan.c",
        "if (isolation != VSW_VLAN_ISOLATED)",
        "if (isolation)",
        ("vsw_vlan_test_private",),
    ),
    Mutant(
        "private-changes-by-parts", "A private VLAN is not changed by parts.",
        VSWITCH + "vsw_vlan.c",
        "\tif (v->isolation)\n\t\treturn vsw_vlan_refuse(",
        "\tif (v->isolation > 9)\n\t\treturn vsw_vlan_refuse(",
        ("vsw_vlan_test_refused",),
    ),
    # Who wants a frame that is nobody's in particular
    Mutant(
        "group-by-its-hash", "A port gets the groups that it has joined, not those that look alike.",
        VSWITCH + "vsw_group.c",
        "if (ether_addr_equal(groups->addrs[i], f->addr))",
        "if (groups->addrs[i][0])",
        ("vsw_group_test_same_bit",),
    ),
    Mutant(
        "promiscuous-twice", "With the last promiscuous port gone, nobody looks for one.",
        VSWITCH + "vsw_group.c",
        "if (member->promisc == on)",
        "if (member->promisc != member->promisc)",
        ("vsw_group_test_unknown",),
    ),
    # What only a NIC shows
    Mutant(
        "wrong-pool-bit", "The NIC has the bit of the queue's pool in the address's register.",
        IGB + "igbq_vmdq.c",
        "FIELD_PREP(IGBQ_RAH_POOLSEL, pools));",
        "FIELD_PREP(IGBQ_RAH_POOLSEL, pools ^ (pools & 6 ? 6 : 0)));",
        make="routed_to_ports",
    ),
    Mutant(
        "aupe-never-cleared", "A queue that lost its untagged filter gets no untagged frames of the NIC.",
        IGB + "igbq_vmdq.c",
        "nic->queues[id].untagged = on;",
        "nic->queues[id].untagged |= on;",
        make="untagged_leaves",
    ),
    Mutant(
        "replay-forgets-pin", "When a queue's rings come up, its interrupt goes to its CPU.",
        CORE + "vmq_placement.c",
        "return irq_set_affinity(v->irq, vmq_placement_mask(v, cpu));",
        "return 0;",
        make="configured_while_down",
    ),
    Mutant(
        "cpu-0-like-others", "CPU 0 serves a queue only when all others serve more.",
        CORE + "vmq_cpus.c",
        "if (!cpu || !than)\n\t\treturn cpu;",
        "if (!cpu || !than)\n\t\treturn !cpu;",
        make="fresh_probe",
    ),
    Mutant(
        "move-to-anybody", "No filter moves to a queue of another owner.",
        CORE + "vmq_filter.c",
        "err = vmq_filter_check_queue(q, filters[0]->owner, extack);",
        "err = 0;",
        ("vmq_filter_test_move_refusals", "vmq_ethtool_test_move_refused", "vmq_oracle_test_sequences"),
    ),
    Mutant(
        "moved-comes-home", "A filter that was moved away does not go back when its old queue returns.",
        CORE + "vmq_filter.c",
        "\t\tfilters[i]->home = 0;\n",
        "",
        ("vmq_ethtool_test_move_from_home",),
    ),
    Mutant(
        "batches-mixed", "A batch has frames of one queue.",
        CORE + "vmq_rx.c",
        "\tunsigned int packets;\n\n\trcu_read_lock();\n",
        "\tstatic DEFINE_SPINLOCK(lock);\n\tstatic LIST_HEAD(kept);\n"
        "\tunsigned int packets;\n\n\trcu_read_lock();\n"
        "\tspin_lock(&lock);\n\tif (q->id == 1)\n\t\tlist_splice_tail_init(batch, &kept);\n"
        "\telse\n\t\tlist_splice_tail_init(&kept, batch);\n\tspin_unlock(&lock);\n",
        make="test_batches",
    ),
    Mutant(
        "flood-stays", "A queue under flood follows its interrupt.",
        IGB + "igbq_queue.c",
        "return unlikely(vmq_queue_is_away(q->vq)) &&",
        "return q->held &&",
        make="test_move_under_flood",
    ),
    Mutant(
        "home-has-many-interrupts", "In dynamic mode the queues at home share one interrupt.",
        CORE + "vmq_vector.c",
        "!vmq_dynamic_is_home(q->dev, q->vector->seat)",
        "true",
        make="vmq_dynamic",
    ),
    Mutant(
        "load-moves-hints", "Load moves no queue whose interrupt a user may move.",
        CORE + "vmq_dynamic.c",
        "v->cpu_policy == VMQ_CPU_STRICT &&",
        "true &&",
        make="vmq_dynamic",
    ),
    Mutant(
        "static-stays-gathered", "Back in static mode the queues are spread.",
        CORE + "vmq_dynamic.c",
        "\tvmq_dynamic_spread(dev);\n",
        "",
        make="vmq_dynamic",
    ),
    Mutant(
        "load-not-measured", "Load is what the polls took.",
        IGB + "igbq_queue.c",
        "vmq_queue_poll_end(q->vq, began);",
        "vmq_queue_poll_end(q->vq, 0 * began);",
        make="test_spread_and_gather",
    ),
    Mutant(
        "uevent-without-state", "udev is told a queue's state.",
        CORE + "vmq_queue.c",
        "char *env[6] = { id, state, vm_name, queue_name, cpu };",
        "char *env[6] = { id, vm_name, queue_name, cpu };",
        make="test_rename",
    ),
    Mutant(
        "ring-stops-under-port", "A port sends by queue 0 before its own ring stops.",
        VSWITCH + "vsw_queue.c",
        "\tvsw_queue_tx_move(port, 0);\n\tvmq_queue_release(port->uplink->vmq, id);\n",
        "\tvmq_queue_release(port->uplink->vmq, id);\n\tvsw_queue_tx_move(port, 0);\n",
        make="test_transmit_while_off_and_on",
    ),
    Mutant(
        "retried-for-ever", "A port that cannot use a queue does not make another one give it over and over.",
        VSWITCH + "vsw_promote.c",
        "    !filters)\n\t\tclear_bit",
        "    !up->vmq)\n\t\tclear_bit",
        make="test_cannot_take",
    ),
    Mutant(
        "exclusive-by-queue-0", "An exclusive port without a queue is not served by queue 0.",
        VSWITCH + "vsw_queue.c",
        "WRITE_ONCE(port->starved, port->rank.exclusive);",
        "WRITE_ONCE(port->starved, false);",
        make="test_exclusive_without_queue",
    ),
    Mutant(
        "own-source-accepted", "A frame that a port sent and the wire brings back is dropped.",
        VSWITCH + "vsw_forward.c",
        "if (likely(!vsw_forward_lookup(up, &source)))",
        "if (!vsw_forward_lookup(up, &source) || vid != U16_MAX)",
        make="test_reflected",
    ),
    Mutant(
        "moderation-lost-in-reset", "A queue's interval is in the NIC again when the queue starts.",
        IGB + "igbq_queue.c",
        "\tigbq_moderation_start(q);\n\terr = igbq_tx_start",
        "\terr = igbq_tx_start",
        make="test_fixed",
    ),
    Mutant(
        "adaptive-has-no-load", "An adaptive queue's interval follows its load.",
        IGB + "igbq_queue.c",
        "if (unlikely(q->adaptive) && frames < budget)",
        "if (!q)",
        make="test_adaptive",
    ),
    Mutant(
        "adaptive-forgets-fixed", "When adaptive is off again, the user's interval is back.",
        IGB + "igbq_moderation.c",
        "igbq_moderation_restart(q) : q->rx_usecs;",
        "igbq_moderation_restart(q) : q->usecs;",
        make="test_adaptive",
    ),
    Mutant(
        "link-set-up-for-nothing", "ethtool -s that changes nothing leaves the link alone.",
        IGB + "igbq_ethtool.c",
        "if (err || (offer == nic->link_offer && bmcr == nic->link_bmcr))",
        "if (err)",
        make="test_link_settings",
    ),
    Mutant(
        "link-offers-all", "The partner is offered what ethtool -s says, and no more.",
        IGB + "igbq_phy.c",
        "err = igbq_phy_offer(nic, READ_ONCE(nic->link_offer));",
        "err = igbq_phy_offer(nic, IGBQ_LINK_MODES);",
        make="test_link_settings",
    ),
    Mutant(
        "link-forced-in-phy-alone", "Without negotiation the MAC is told speed and duplex, too.",
        IGB + "igbq_phy.c",
        "\tigbq_phy_force_mac(nic, bmcr);\n",
        "",
        make="test_link_settings",
    ),
)


def e2e_sources():
    return [path.read_text() for path in (TOP / "tests/e2e").glob("*/test_*.py")]


def problems(mutant, sources):
    """What is wrong with its entry here, in words: it does not fit the sources as they are."""
    count = (TOP / mutant.path).read_text().count(mutant.old)
    if count != 1:
        yield f"{mutant.name}: its text is in {mutant.path} {count} times, not once"
    if bool(mutant.tests) == bool(mutant.make):
        yield f"{mutant.name}: it names KUnit cases, or else what T= takes"
    for case in set(mutant.tests) - {case for _, case in CASES}:
        yield f"{mutant.name}: there is no KUnit case {case}"
    if mutant.make not in {suite for suite, _ in CASES} and not any(mutant.make in text for text in sources):
        yield f"{mutant.name}: there is no test {mutant.make}"


def check(mutants=MUTANTS):
    """What is wrong with the catalogue; nothing, if all is well."""
    sources = e2e_sources()
    found = [problem for m in mutants for problem in problems(m, sources)]
    names = [m.name for m in MUTANTS]
    return found + [f"{name}: twice" for name in sorted(set(names)) if names.count(name) > 1]
