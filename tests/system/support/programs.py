# SPDX-License-Identifier: MPL-2.0
"""The paths of the programs under test, and the bounds for waiting."""

import os
import pathlib

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("RIPOSTE_BUILD") or SOURCE / "build").resolve()

BROKER = BUILD / "riposte-broker"
WORKER = BUILD / "riposte-worker"
CLI = BUILD / "riposte"
SITE = BUILD / "examples" / "site"
CONVERSATIONS = BUILD / "tests" / "conversations"
EXAMPLES = SOURCE / "examples"


def _is_sanitized():
    cache = BUILD / "CMakeCache.txt"
    lines = cache.read_text().splitlines() if cache.exists() else []
    return any(line.startswith("RIPOSTE_SANITIZE:") and not line.endswith("=") for line in lines)


SANITIZED = _is_sanitized()
#: What is waited for is multiplied by this, for a test that was late on a busy machine: short deadlines, intervals of
#: heartbeats.
SLOW = 5 if os.environ.get("RIPOSTE_AGAIN") == "1" else 1
#: Bounds are multiplied by this. Nothing waits for a bound to pass, so patience costs no time.
PATIENCE = SLOW * (5 if SANITIZED or os.environ.get("RIPOSTE_SLOW") == "1" else 1)
#: A deadline that passes soon, but not before the request has reached the broker.
BRIEFLY = f"{SLOW}s"
