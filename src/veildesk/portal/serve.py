"""How uvicorn must run the portal: on a Unix socket, telling no name, date or visitor.

tor is the only client. Access logs stay off; the server's own log says warnings only, since request
lines and tracebacks of a server can carry what visitors sent.
"""

from __future__ import annotations

from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from veildesk.portal.connection import CircuitConnection, Connection

__all__ = ["config"]


def config(app: ASGIApp, uds_path: Path | str, *, circuits: bool = False) -> uvicorn.Config:
    """A server configuration for `app` on the Unix socket `uds_path`.

    With `circuits` every connection must begin with tor's PROXY line.
    """
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
        http=CircuitConnection if circuits else Connection,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=32 * 1024,
    )
