# SPDX-License-Identifier: MPL-2.0
"""Pseudo-terminals, for programs that behave otherwise on a terminal."""

import pty

import pytest


def open_terminal():
    """Returns both ends of one, ours first; skips the test where there is none."""
    try:
        return pty.openpty()
    except OSError as failure:
        pytest.skip(f"there is no pseudo-terminal here ({failure}); mount devpts at /dev/pts")
