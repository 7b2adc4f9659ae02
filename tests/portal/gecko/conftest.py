"""The walk by keyboard is for `make test-keyboard`: it needs a browser that has the machine to itself."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("VEILDESK_TEST_KEYBOARD") else ["test_keyboard.py"]
