# SPDX-License-Identifier: GPL-2.0-only
"""The vswitch tests use the link tests' hosts of VMs."""

from tests.e2e.link.conftest import host  # noqa: F401
from tests.e2e.link.test_traffic import hub  # noqa: F401
