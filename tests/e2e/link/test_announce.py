# SPDX-License-Identifier: GPL-2.0-only
"""Changes are announced: poll(2) on the files, uevents, rtnetlink."""

import json

from tests.e2e.link.lib import Host, say, spawn_tool, vm_mac, wait_for

A, B = vm_mac(1), vm_mac(2)


class Watch:
    """Announcements, by guesttool.py watch; a context manager."""

    def __init__(self, h, *paths):
        self.h, self.paths = h, paths

    def __enter__(self):
        self.job = spawn_tool(self.h.g, "watch", paths=self.paths)
        wait_for("the watch is set", lambda: "ready" in self.job.stdout or self.job.poll() is not None, 60, 0.02)
        assert self.job.poll() is None, f"watch: {self.job.stderr}"
        return self

    def __exit__(self, kind, *_):
        self.job.stop(timeout=60)
        assert kind or not self.job.stderr, f"watch: {self.job.stderr}"

    def events(self, kind):
        """What came, of one kind: [[...], ...]. The last line may be incomplete."""
        lines = self.job.stdout.rpartition("\n")[0].splitlines()[1:]
        return [event[1:] for event in map(json.loads, lines) if event[0] == kind]

    def texts(self, path):
        """What the file said each time that poll returned."""
        return [text for p, text in self.events("poll") if p == path]

    def wait_text(self, path, text):
        wait_for(f"poll says that {path} is {text!r}", lambda: self.texts(path)[-1:] == [text], 10, 0.02)


def queue_uevents(watch):
    """Queues whose change uevents came, in order."""
    return [path.rpartition("/")[2] for action, path in watch.events("uevent") if action == "change" and "/queues/" in path]


def test_queue_is_announced(host):
    """Each state of a queue wakes poll(2) on its file and sends a uevent of that queue alone."""
    h: Host = host
    state, other = h.rxq(3, "state"), h.rxq(4, "state")
    with Watch(h, state, other) as watch:
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
        # What changes no state says nothing.
        h.must([state, "allocate"], [h.rxq(3, "vm_name"), "x"], [h.rxq(3, "cpu"), "1"], [state, "free"])
        wait_for("the queue is free again", lambda: len(queue_uevents(watch)) >= 13, 10, 0.02)
    said = watch.texts(state)
    say(f"poll: {' '.join(said)}")
    steps = [s for s in said if s not in ("stopping", "freeing")]
    assert steps[:7] == ["allocated", "set", "running", "paused", "running", "paused", "undefined"]
    assert watch.texts(other) == []
    assert queue_uevents(watch) == ["rx-3"] * 13


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
