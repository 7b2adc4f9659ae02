"""Whether this machine lets bubblewrap make namespaces, asked without any code of ours."""

from __future__ import annotations

import subprocess
from functools import cache

__all__ = ["bubblewrap_works"]


@cache
def bubblewrap_works() -> bool:
    """False inside a chroot or a container that forbids namespaces."""
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--", "/usr/bin/true"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
