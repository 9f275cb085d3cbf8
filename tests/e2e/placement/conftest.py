# SPDX-License-Identifier: GPL-2.0-only
"""The placement tests use the link tests' hosts of VMs."""

from tests.e2e.link.conftest import host, small_host

__all__ = ["host", "small_host"]
