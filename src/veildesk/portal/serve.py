"""How uvicorn must run the portal: on a Unix socket, telling no name, date or visitor.

tor is the only client. Access logs stay off; the server's own log says warnings only, since request
lines and tracebacks of a server can carry what visitors sent.
"""

from __future__ import annotations

from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

__all__ = ["config"]


def config(app: ASGIApp, uds_path: Path | str) -> uvicorn.Config:
    """A server configuration for `app` on the Unix socket `uds_path`."""
    return uvicorn.Config(
        app,
        uds=str(uds_path),
        server_header=False,
        date_header=False,
        access_log=False,
        proxy_headers=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        ws="none",
        http="h11",
        limit_concurrency=1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=32 * 1024,
    )
