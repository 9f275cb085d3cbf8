# SPDX-License-Identifier: GPL-2.0-only
"""Breakages of the driver, one for a promise, and the tests that must notice."""
