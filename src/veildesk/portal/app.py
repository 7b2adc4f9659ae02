"""The portal as an ASGI app: the route table, the layers around it, and the error pages.

Layers from the outside: headers, host list, errors. No exception leaves the app: a server that logs
tracebacks could log what a visitor wrote.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from veildesk.core.errors import LimitExceeded, SpoolUnavailable, Unparsable, VeildeskError
from veildesk.portal import labels
from veildesk.portal.headers import SecurityHeaders
from veildesk.portal.hosts import HostAllowList
from veildesk.portal.i18n import suggest
from veildesk.portal.ports import PortalPorts, PortalSettings
from veildesk.portal.render import stylesheet
from veildesk.portal.site import Overloaded, Site, View, Visit, request_circuit
from veildesk.portal.status_files import FILES
from veildesk.portal.views import (
    answer_file,
    check,
    compose,
    erasure,
    feedback,
    files,
    pages,
    proof,
    reopen,
    report,
    status,
    ticket,
    words,
)
from veildesk.redact.engine import find

__all__ = ["create_app"]

_log = logging.getLogger("veildesk.portal")

Endpoint = Callable[[Request], Awaitable[Response]]

GET: dict[str, View] = {
    "": pages.home,
    "/help": pages.help_index,
    **{f"/help/{topic}": pages.help_topic(topic) for topic in pages.HELP_TOPICS},
    "/new": compose.new,
    "/new/check": check.check,
    "/new/confirm": check.confirm,
    "/new/report": report.report,
    "/new/report/lines": report.lines,
    "/discarded": pages.discarded,
    "/receipt": ticket.receipt,
    "/track": ticket.track_form,
    "/track/unknown": ticket.unknown,
    "/recover": words.recover_form,
    "/recover/unknown": words.recover_unknown,
    "/ticket": ticket.ticket,
    "/ticket/message/{number:int}.asc": ticket.message,
    "/ticket/message/{number:int}/file/{item:int}": answer_file.answer_file,
    "/ticket/export": ticket.export,
    "/ticket/words": words.change_form,
    "/ticket/proof": proof.proof,
    "/ticket/proof.asc": proof.proof_file,
    "/ticket/feedback": feedback.feedback_form,
    "/ticket/thanks": feedback.thanks,
    "/ticket/reopen": reopen.reopen_form,
    "/ticket/delete": ticket.delete_form,
    "/ticket/deleted": ticket.deleted,
    "/erasure": erasure.erasure_form,
    "/erasure/state": erasure.erasure_state,
    "/leave": pages.left,
    "/status": status.status,
    "/status/history": status.history,
    "/status/subscribe": status.subscribe,
    "/status/{number:int}": status.statement,
    "/verify": pages.verify,
    "/privacy": pages.privacy,
}
"""Pages of each language."""

POST: dict[str, View] = {
    "/new": compose.compose,
    "/new/check": check.choose,
    "/new/report": report.paste,
    "/new/report/lines": report.choose,
    "/track": ticket.track,
    "/recover": words.recover,
    "/ticket/words": words.change,
    "/ticket/feedback": feedback.feedback,
    "/ticket/reply": compose.compose_reply,
    "/ticket/reopen": reopen.reopen,
    "/ticket/delete": ticket.delete,
    "/erasure": erasure.erasure,
    "/erasure/receipt": erasure.erasure_receipt,
    "/leave": pages.leave,
}
"""Forms of each language; what changes something answers with a redirect."""

STATUS_ONLY = ("/status", "/status/history", "/status/{number:int}", "/verify")
"""Pages of a site that has notices and nothing else."""

COMMON: dict[str, View] = {
    "/": pages.home,
    "/status/{number:int}.asc": status.signed,
    **{f"/{path}": status.file(path) for path in FILES},
    "/robots.txt": files.robots,
    f"/static/{stylesheet()[0]}": files.style,
}
"""The same in all languages."""


def create_app(settings: PortalSettings, ports: PortalPorts) -> Starlette:
    """The portal, ready for a server configured by `veildesk.portal.serve.config`."""
    site = Site.build(settings, ports)
    find("")  # Builds the search engine now rather than in the first visitor's request.
    common, pages, forms = COMMON, GET, POST
    if settings.status_only:
        common = COMMON | {"/": status.status}
        pages = {"": status.status} | {path: GET[path] for path in STATUS_ONLY}
        forms = {}
    routes = [Route(path, _endpoint(site, view), methods=["GET"]) for path, view in common.items()]
    for language in settings.languages:
        for method, views in (("GET", pages), ("POST", forms)):
            routes += [
                Route(f"/{language}{path}", _endpoint(site, view, language), methods=[method])
                for path, view in views.items()
            ]
    app = Starlette(
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(HostAllowList, hosts=settings.hosts),
            Middleware(ErrorPages, site=site),
        ],
        exception_handlers={HTTPException: _raise_on},
    )
    app.router = _Paths(routes)
    return app


class _Paths(Router):
    """Fixed paths are looked up; only the others are compared with one route after the other."""

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__(routes, redirect_slashes=False)
        self._known = {
            (method, route.path): route
            for route in routes
            if "{" not in route.path
            for method in route.methods or ()
        }

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its route."""
        route = self._known.get((scope.get("method", ""), scope.get("path", "")))
        if route is None:
            await super().app(scope, receive, send)
            return
        scope.update({"router": self, "endpoint": route.endpoint, "path_params": {}})
        await route.handle(scope, receive, send)


def _endpoint(site: Site, view: View, language: str | None = None) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await view(Visit.of(site, request, language or _language(site, request)))

    return endpoint


def _language(site: Site, request: Request) -> str:
    """The language in the path, else the best guess."""
    first = request.url.path.split("/")[1]
    if first in site.settings.languages:
        return first
    return suggest(request.headers.get("accept-language", ""), site.settings.languages)


async def _raise_on(request: Request, error: Exception) -> Response:
    raise error


class ErrorPages:
    """ASGI layer that turns every exception into a page of the layout with a random incident id.

    It also bounds how many forms are taken at the same time, so that slow ones leave room to read, and how
    many of them come on one circuit, where tor tells circuits apart.
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app, self.site, self.posts = app, site, 0
        self.circuits: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; whatever goes wrong becomes a page."""
        if scope["type"] != "http":
            return
        posting = int(scope["method"] == "POST")
        circuit = request_circuit(scope) or ""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        self.posts += posting
        self.circuits[circuit] += posting
        try:
            if posting and self._too_many(circuit):
                raise SpoolUnavailable("posts")
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            return
        except Exception as error:
            if not started:
                await self._page(Request(scope), error)(scope, receive, send)
        finally:
            self.posts -= posting
            self.circuits[circuit] -= posting
            if not self.circuits[circuit]:
                del self.circuits[circuit]

    def _too_many(self, circuit: str) -> bool:
        settings = self.site.settings
        return self.posts > settings.posts or (
            bool(circuit) and self.circuits[circuit] > settings.circuit_posts
        )

    def _page(self, request: Request, error: Exception) -> Response:
        status, wait = _status(error)
        incident = self.site.ports.random_bytes(6).hex()
        level = logging.ERROR if status >= 500 else logging.INFO
        code = error.code if isinstance(error, VeildeskError) else type(error).__name__
        _log.log(level, "portal-error status=%d code=%s incident=%s", status, code, incident)
        visit = Visit.of(self.site, request, _language(self.site, request))
        title, advice = labels.ERRORS[status]
        response = visit.page(
            "error.html",
            status=status,
            title=title,
            advice=advice,
            again=request.method == "POST" and status in labels.WORTH_SENDING_AGAIN,
            incident=incident,
            path=f"/{visit.language}",
            current="",
        )
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        if wait:
            response.headers["retry-after"] = str(wait)
        return response


def _status(error: Exception) -> tuple[int, int]:
    """HTTP status and seconds to wait for an exception."""
    if isinstance(error, HTTPException):
        return (error.status_code if error.status_code in labels.ERRORS else 400), 0
    if isinstance(error, Overloaded):
        return 429, error.wait
    if isinstance(error, LimitExceeded):
        return 413, 0
    if isinstance(error, Unparsable):
        return 400, 0
    if isinstance(error, VeildeskError) and error.temporary:
        return 503, 60
    return 500, 0
