"""The status site as static files behind a plain web server, for real browsers."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.fakes import HOST, World, settings
from veildesk.core.notice import Component, ComponentState, Impact, IncidentState
from veildesk.notices.channels.export import export_tree
from veildesk.portal.status_site import StatusSite

__all__ = ["exported", "fill"]


def fill(world: World) -> None:
    """One of everything that a status page can show."""
    world.notices.add_everything()
    world.notices.add("Mail is late", IncidentState.INVESTIGATING, Impact.MINOR)
    world.notices.add("Old trouble", IncidentState.RESOLVED)
    world.notices.add("Old trouble", IncidentState.POSTMORTEM)
    world.notices.add("New disks", IncidentState.SCHEDULED, starts=1_790_100_000)
    world.notices.components = (
        Component("portal", ComponentState.OPERATIONAL, 1_790_000_000, "check"),
        Component("mail", ComponentState.UNKNOWN),
    )


@contextmanager
def exported(world: World, folder: Path) -> Iterator[str]:
    """Export and serve; yields the address under the onion's name."""

    class Static(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quiet."""

    export_tree(StatusSite(settings(status_only=True)).files(world.notices.board()), folder)
    handler = functools.partial(Static, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
