"""First code of the worker process: bind itself with limits, then run the program it was told.

Started as a script with one JSON argument. It must not import anything of the package and reads no
input before the limits hold; a program that replaces the worker is bound by them all the same.
"""

from __future__ import annotations

import json
import resource
import runpy
import sys

__all__ = ["main"]


def main() -> None:
    """Set hard limits on memory, time, files and core dumps, then run the program."""
    plan = json.loads(sys.argv[1])
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, plan["room"]),
        (resource.RLIMIT_NOFILE, 128 if plan["room"] else 32),
        (resource.RLIMIT_CPU, plan["cpu"]),
        (resource.RLIMIT_AS, plan["memory"]),
    ):
        resource.setrlimit(what, (value, value))
    sys.argv = [plan["program"]]
    sys.path.extend(plan["paths"])
    runpy.run_path(plan["program"], run_name="__main__")


if __name__ == "__main__":
    main()
