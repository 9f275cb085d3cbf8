# SPDX-License-Identifier: GPL-2.0-only
"""The queues tests use the link tests' hosts of VMs."""

from tests.e2e.link.conftest import faulty, host

__all__ = ["faulty", "host"]
