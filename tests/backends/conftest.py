"""These start servers that every run of the tests cannot wait for; `make test-backends` asks for them."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("VEILDESK_TEST_BACKENDS") else ["test_*.py"]
