# SPDX-License-Identifier: GPL-2.0-only
"""The vswitch tests use the link tests' hosts of VMs."""

from tests.e2e.link.conftest import faulty, host, small_host
from tests.e2e.link.test_traffic import hub

__all__ = ["faulty", "host", "hub", "small_host"]
