"""Proofs on a bare Debian: only with `make test-bare`, since each takes minutes and needs package mirrors."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("VEILDESK_TEST_BARE") else ["test_*.py"]
