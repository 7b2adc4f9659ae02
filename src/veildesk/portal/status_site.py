"""The status site: the same pages without the portal around them, as files, and an app that serves them.

The app reads a folder and knows nothing else, so it goes on when the gateway is gone. A web server on
another host can serve the same folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from veildesk.core.notice import Board
from veildesk.portal.headers import SecurityHeaders
from veildesk.portal.hosts import HostAllowList
from veildesk.portal.ports import PortalSettings
from veildesk.portal.render import Renderer, stylesheet
from veildesk.portal.snapshot import snapshot
from veildesk.portal.status_files import FILES, media_type
from veildesk.portal.views.status import statement_page

__all__ = ["StatusSite", "create_status_app"]


class StatusSite:
    """Renders all files of the site; `extra` are those of a Web Key Directory."""

    def __init__(self, settings: PortalSettings, extra: Mapping[str, bytes] | None = None) -> None:
        self._settings = settings
        self._extra = dict(extra or {})
        self._renderer = Renderer(settings)

    def files(self, board: Board | None) -> Mapping[str, bytes]:
        """Path to content. None for a series that cannot be read: the pages then say so."""
        shot = snapshot(board)
        name, content = stylesheet()
        out = {f"static/{name}": content, "robots.txt": b"User-agent: *\nDisallow: /\n"}
        for path, given in self._extra.items():
            # The key of a Web Key Directory as it is now; its policy is empty.
            out[path] = (board.directory_key if board and given else b"") or given
        for path, make in FILES.items():
            made = make(self._settings, shot)
            if made is not None:
                out[path] = made
        for item in board.statements if board else ():
            out[f"status/{item.number}.asc"] = item.signed_text.encode()
        for language in self._settings.languages:
            pages: dict[str, tuple[str, dict[str, object]]] = {
                "/status": ("status.html", {"shot": shot}),
                "/status/history": ("history.html", {"shot": shot}),
                "/verify": ("verify.html", {"shot": shot}),
            }
            for item in board.statements if board else ():
                if found := statement_page(shot, item.number):
                    pages[f"/status/{item.number}"] = found
            for path, (template, values) in pages.items():
                page = self._page(template, language, f"/{language}{path}", values)
                out[f"{language}{path}/index.html"] = page
            out[f"{language}/index.html"] = out[f"{language}/status/index.html"]
        out["index.html"] = out[f"{self._settings.languages[0]}/index.html"]
        out["404.html"] = self._missing()
        return out

    def _page(self, template: str, language: str, path: str, values: Mapping[str, object]) -> bytes:
        context = {"path": path, "tokens": {}, **values}
        return self._renderer.render(template, language, context).encode()

    def _missing(self) -> bytes:
        language = self._settings.languages[0]
        return self._page("status-missing.html", language, f"/{language}/status", {})


def create_status_app(folder: Path, hosts: Collection[str]) -> Starlette:
    """Serves a folder that `StatusSite.files` was written to; nothing outside of it."""

    async def serve(request: Request) -> Response:
        path = request.path_params["path"].strip("/")
        found = await asyncio.to_thread(_read, folder, path)
        if found is None:
            missing = await asyncio.to_thread(_read, folder, "404.html")
            body = missing[0] if missing else b"not found\n"
            return Response(body, 404, media_type="text/html; charset=utf-8")
        content, name = found
        headers = {"content-type": media_type(name)}
        if name.endswith(".py"):
            headers["content-disposition"] = f'attachment; filename="{name}"'
        return Response(content, headers=headers)

    app = Starlette(
        routes=[Route("/{path:path}", serve, methods=["GET"])],
        middleware=[Middleware(SecurityHeaders), Middleware(HostAllowList, hosts=tuple(hosts))],
    )
    app.router.redirect_slashes = False
    return app


def _read(folder: Path, path: str) -> tuple[bytes, str] | None:
    """A file, or the index of a folder. Resolved once, so a switched release is never mixed."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/") if path):
        return None
    try:
        root = folder.resolve(strict=True)
        target = root / path if path else root / "index.html"
        if target.is_dir():
            target = target / "index.html"
        if not target.resolve().is_relative_to(root) or target.name.startswith("."):
            return None
        return target.read_bytes(), str(target.relative_to(root))
    except OSError:
        return None
