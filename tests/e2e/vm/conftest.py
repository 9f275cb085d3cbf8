# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the harness itself share."""

import signal

import pytest


@pytest.fixture
def interruptible():
    """Children heed SIGINT, though a run in a script's background was told not to."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
