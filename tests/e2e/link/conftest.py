# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the link tests: a host of VMs, clean before and after."""

import pytest

from tests.e2e.link import faults, lib
from tests.vm import topology


@pytest.fixture
def host(link_guest):
    """lib.Host of the shared guest's NIC 0, modules loaded, nothing allocated."""
    g = link_guest
    lib.load(g)
    h = lib.Host(g)
    yield h
    if g.alive and not g.failed:
        lib.clean(g)


@pytest.fixture
def small_host(small_guest):
    """The same of a guest with two CPUs, which is what the debug kernel is bearable on."""
    g = small_guest
    topology.reserve(g, 0)
    lib.load(g)
    # Ports come and go with many grace periods.
    g.run("echo 1 >/sys/kernel/rcu_expedited")
    h = lib.Host(g)
    yield h
    if g.alive and not g.failed:
        g.run("echo 0 >/sys/kernel/rcu_expedited")
        lib.clean(g)


@pytest.fixture
def bare_host(link_guest):
    """The same with vmq_vswitch not loaded."""
    g = link_guest
    lib.load(g, "vmq", "vmq_igb")
    lib.clean(g)
    topology.unload(g, "vmq_vswitch")
    h = lib.Host(g)
    yield h
    if g.alive and not g.failed:
        lib.clean(g)


@pytest.fixture
def faulty(single_guest):
    """A debug guest with NIC 0 alone, set up so that every kind of allocation may fail."""
    g = single_guest
    topology.reserve(g, 0)
    lib.load(g)
    lib.clean(g)
    g.run(faults.PREPARE)
    yield g
    if g.alive and not g.failed:
        g.run("echo 0 >/sys/kernel/rcu_expedited")
        lib.clean(g)
