# SPDX-License-Identifier: GPL-2.0-only
"""Changes are announced: poll(2) on the files, uevents, rtnetlink."""

import pytest

from tests.e2e.link.lib import Host, Stream, Watch, describe_stream, say, vm_mac, wait_for

A, B = vm_mac(1), vm_mac(2)


def queue_uevents(watch):
    """Queues whose change uevents came, in order."""
    return [path.rpartition("/")[2] for action, path, _ in watch.events("uevent")
            if action == "change" and "/queues/" in path]


def vmq_words(watch):
    """What the queues' change uevents said of them: [(queue, state, VM, its name), ...]."""
    names = "VMQ_QUEUE", "VMQ_STATE", "VMQ_VM_NAME", "VMQ_QUEUE_NAME"
    return [tuple(words.get(n) for n in names) for _, path, words in watch.events("uevent") if "/queues/" in path]


def interrupt_names(h):
    return [line.split()[-1] for line in h.g.read("/proc/interrupts").splitlines()]


def test_queue_is_announced(host):
    """Each state of a queue wakes poll(2) on its file and sends a uevent of that queue alone."""
    h: Host = host
    state, other = h.rxq(3, "state"), h.rxq(4, "state")
    cpu, buffers = h.rxq(3, "cpu"), h.rxq(3, "buffers")
    with Watch(h, state, other, cpu, buffers) as watch:
        for path, text, then in (
            (state, "allocate", "allocated"),
            (h.rxq(3, "filter_add"), A, "set"),
            (state, "commit", "running"),
            (h.rxq(3, "filter_del"), A, "paused"),
            (h.rxq(3, "filter_add"), A, "running"),
            (h.rxq(3, "filter_del"), A, "paused"),
            (state, "free", "undefined"),
        ):
            h.must([path, text])
            watch.wait_text(state, then)
        # stopping and freeing are passed on the way to undefined.
        wait_for("each state has its uevent", lambda: len(queue_uevents(watch)) >= 9, 10, 0.02)
        h.must([state, "allocate"], [cpu, "1"], [buffers, "1024"])
        watch.wait_text(cpu, "1")
        watch.wait_text(buffers, "1024")
        # What is refused changes nothing, and says nothing.
        assert h.put(cpu, "9999") == "EINVAL" and h.put(buffers, "0") == "EINVAL"
        h.must([state, "free"])
        wait_for("the queue is free again", lambda: len(queue_uevents(watch)) >= 15, 10, 0.02)
    said = watch.texts(state)
    say(f"poll: {' '.join(said)}")
    steps = [s for s in said if s not in ("stopping", "freeing")]
    assert steps[:7] == ["allocated", "set", "running", "paused", "running", "paused", "undefined"]
    assert watch.texts(other) == []
    assert queue_uevents(watch) == ["rx-3"] * 15


def test_port_is_announced(host):
    """A port that gains a queue: poll(2) on queue and reason, RTM_NEWLINK that says which; a new port says it, too."""
    h: Host = host
    h.must(*[[f"{h.vmq}/allocate", f"guest-{n}"] for n in range(6)])
    h.ports([A, B])
    n = h.port_queue("vm1")
    queue, reason = ("/sys/class/net/vm2/vmq/queue", "/sys/class/net/vm2/vmq/reason")
    assert n and (h.read(queue), h.read(reason)) == ("none", "no free queue")
    h.g.run("udevadm settle; true")
    with Watch(h, queue, reason) as watch:
        h.delete("vm1")
        watch.wait_text(queue, str(n))
        watch.wait_text(reason, "")
        wait_for("RTM_NEWLINK of the port", lambda: links(watch, "vm2"), 10, 0.02)
        assert links(watch, "vm2")[-1] == [n, None]
        # vm2's own queue, and nobody else's, came to be running.
        wait_for("the queue's uevents", lambda: len(queue_uevents(watch)) >= 6, 10, 0.02)
        h.port("vm3", A)
        wait_for("RTM_NEWLINK of a new port", lambda: links(watch, "vm3"), 10, 0.02)
        assert [None, "no free queue"] in links(watch, "vm3")
    say(f"vm2: {links(watch, 'vm2')}, vm3: {links(watch, 'vm3')}, uevents {' '.join(queue_uevents(watch))}")
    assert watch.texts(queue)[-1] == str(n) and "none" not in watch.texts(queue)
    assert set(queue_uevents(watch)) == {f"rx-{n}"}


def links(watch, name):
    """[queue, reason] of each RTM_NEWLINK of a port."""
    return [told for n, told in watch.events("link") if n == name]


@pytest.mark.scenario("A26")
def test_rename(host):
    """New names show at once in their queue's files, interrupt and uevents; its traffic does not notice."""
    h = host
    h.must([h.rxq(3, "state"), "allocate"], [h.rxq(3, "filter_add"), A], [h.rxq(3, "state"), "commit"])
    assert f"{h.dev}-vmq-3-queue-3" in interrupt_names(h)
    name, queue_name = h.rxq(3, "vm_name"), h.rxq(3, "queue_name")
    with Watch(h, name, queue_name) as watch, h.taps((h.dev, 3)) as t, Stream(h, t, A) as s:
        s.wait_sent(100)
        h.must([name, "db01-prod"])
        watch.wait_text(name, "db01-prod")
        assert f"{h.dev}-vmq-3-db01-prod" in interrupt_names(h)
        h.must([name, "db 01: second"], [queue_name, "front"])
        watch.wait_text(queue_name, "front")
        assert f"{h.dev}-vmq-3-db_01:_second-front" in interrupt_names(h)
        s.wait_sent(100)
        wait_for("three uevents", lambda: len(vmq_words(watch)) >= 3, 10, 0.02)
    assert (h.queue(3)["vm_name"], h.queue(3)["queue_name"]) == ("db 01: second", "front")
    second = ("3", "running", "db 01: second")
    assert vmq_words(watch) == [("3", "running", "db01-prod", ""), (*second, ""), (*second, "front")]
    wrong = describe_stream(list(range(s.sent)), t.serials((h.dev, 3)))
    assert wrong is None, wrong
    say(f"{s.sent} frames meanwhile, none lost")
    # At rest there is no interrupt to rename; the next start uses the name.
    h.g.run(f"ip link set {h.dev} down")
    h.must([name, "db02"])
    h.up()
    assert f"{h.dev}-vmq-3-db02-front" in interrupt_names(h)
