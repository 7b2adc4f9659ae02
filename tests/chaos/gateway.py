"""`python -m chaos.gateway CONFIG`: the real gateway, with the harness's connector known to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from chaos import connector
from veildesk.core.errors import VeildeskError
from veildesk.ops.log import set_up_logging
from veildesk.service import build
from veildesk.service.config import load_config
from veildesk.service.run import serve


def main() -> int:
    """As `veildesk run`."""
    # A clock that jumps is this process's own: workers that may open no file could not read it.
    os.environ.pop("LD_PRELOAD", None)
    real = build.load_backend
    build.load_backend = lambda kind, name, settings: (  # type: ignore[attr-defined]
        connector.from_config(name, settings) if kind == "chaos" else real(kind, name, settings)
    )
    set_up_logging()
    signal.signal(
        signal.SIGUSR1, lambda *_: print(f"tasks={len(asyncio.all_tasks())}", file=sys.stderr, flush=True)
    )
    try:
        return asyncio.run(serve(load_config(Path(sys.argv[1]), os.environ)))
    except VeildeskError as error:
        print(error.code, error.detail, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
