"""The portal as one object, and one request to it.

`Site` holds what lives as long as the process; `Visit` is what a view gets: language, cookie,
session, forms and answers. Views never build headers, cookies or addresses themselves.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from veildesk.core.ports import ThreadKeys
from veildesk.portal.body import BodyLimits, Form, read_form
from veildesk.portal.bucket import CircuitBuckets, TokenBucket
from veildesk.portal.draft import Draft
from veildesk.portal.forms import FormSigner
from veildesk.portal.hosts import plain_host
from veildesk.portal.ports import PortalPorts, PortalSettings
from veildesk.portal.render import Renderer
from veildesk.portal.sealed import MemoryBudget
from veildesk.portal.sessions import Session, SessionStore

__all__ = ["COOKIE", "SESSION_COST", "Overloaded", "Site", "View", "Visit", "request_circuit"]

COOKIE: Final = "visit"
_FILES_AT_A_TIME: Final = 3
SESSION_COST: Final = 0.25
"""What keeping something for a visitor costs, measured in key derivations; see `Site.spend`."""


class Overloaded(Exception):
    """More costly requests than are served; `wait` is whole seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__("overloaded")
        self.wait = wait


@dataclass(slots=True)
class Site:
    """Everything one portal process holds."""

    settings: PortalSettings
    ports: PortalPorts
    renderer: Renderer
    sessions: SessionStore
    signer: FormSigner
    bucket: TokenBucket
    budget: MemoryBudget
    circuits: CircuitBuckets
    deriving: int = 0
    downloading: int = 0
    handing_over: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FILES_AT_A_TIME))
    """Held while a message with files is handed over: its files are in memory a few times over then."""

    @classmethod
    def build(cls, settings: PortalSettings, ports: PortalPorts) -> Site:
        """A fresh site without visitors."""
        return cls(
            settings=settings,
            ports=ports,
            renderer=Renderer(settings),
            sessions=SessionStore(
                ports.random_bytes,
                limit=settings.sessions,
                memory=settings.session_memory,
                idle=settings.session_idle,
                life=settings.session_life,
            ),
            signer=FormSigner(settings.form_secret, settings.form_max_age),
            bucket=TokenBucket(settings.rate, settings.burst, ports.clock.monotonic()),
            budget=MemoryBudget(settings.draft_memory),
            circuits=CircuitBuckets(settings.circuit_rate, settings.circuit_burst),
        )

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    def spend(self, cost: float = 1.0, circuit: str | None = None) -> None:
        """Pay for a costly request; a known circuit pays from its own bucket first. Raises `Overloaded`."""
        wait = self.circuits.take(circuit, self.now, cost) if circuit is not None else 0.0
        wait = wait or self.bucket.take(self.now, cost)
        if wait:
            raise Overloaded(int(wait) + 1)

    @property
    def wait(self) -> int:
        """How long a new visitor waits for a form under load: 10 to 120 seconds."""
        return 10 + int(110 * (1 - self.bucket.fill(self.now)))

    async def derive(self, words: str, circuit: str | None = None) -> ThreadKeys:
        """Pay for one key derivation and wait for it. Raises `Overloaded`, also when many wait already."""
        if self.deriving >= self.settings.derivations:
            raise Overloaded(5)
        self.spend(1.0, circuit)
        self.deriving += 1
        try:
            return await self.ports.cipher.derive(words)
        finally:
            self.deriving -= 1


@dataclass(slots=True)
class Visit:
    """One request in one language."""

    site: Site
    request: Request
    language: str
    visitor: bytes = field(repr=False)
    known: bool
    forget: bool = False

    @classmethod
    def of(cls, site: Site, request: Request, language: str) -> Visit:
        """Read the cookie, or draw an id that is set only if a form is shown."""
        visitor = _visitor(request.cookies.get(COOKIE, ""))
        known = visitor is not None
        return cls(site, request, language, visitor or site.ports.random_bytes(32), known)

    # ------------------------------------------------------------------ cost

    def place_in_line(self) -> tuple[str, int]:
        """A ticket for the waiting room and the seconds until it counts."""
        wait = self.site.wait
        now = self.site.ports.clock.now()
        return f"{wait}.{self.site.signer.token(self.visitor, f'wait {wait}', now)}", wait

    def still_to_wait(self, ticket: str) -> int | None:
        """Seconds until a ticket of the waiting room counts, None if it is not one of this visitor."""
        wait, _, token = ticket.partition(".")
        if not self.known or not re.fullmatch(r"[1-9][0-9]{1,2}", wait, re.ASCII):
            return None
        now = self.site.ports.clock.now()
        age = self.site.signer.age(token, self.visitor, f"wait {int(wait)}", now)
        return None if age is None or age > 600 else max(0, int(wait) - age)

    @property
    def circuit(self) -> str | None:
        """The Tor circuit of this request, where tor tells."""
        return request_circuit(self.request.scope)

    def spend(self, cost: float = 1.0) -> None:
        """Pay for a costly request. Raises `Overloaded`."""
        self.site.spend(cost, self.circuit)

    async def derive(self, words: str) -> ThreadKeys:
        """Pay for one key derivation and wait for it. Raises `Overloaded`."""
        return await self.site.derive(words, self.circuit)

    # ------------------------------------------------------------------ session

    def session(self) -> Session:
        """The visitor's session, empty without a cookie."""
        return self.site.sessions.load(self.visitor, self.site.now) if self.known else Session(self.visitor)

    def save(self, session: Session) -> None:
        """Keep the session."""
        self.site.sessions.save(session, self.site.now)

    def draft(self, session: Session) -> Draft | None:
        """The draft in a session."""
        value = session.data.get("draft")
        return Draft.decode(value) if value is not None else None

    def renew(self, data: dict[str, Any]) -> Session:
        """A session with `data` under a new id, as after proving ticket words.

        Only the draft of a new ticket is taken along: a further message belongs to the ticket that
        was open before. A text that waits for its ticket's words goes on waiting.
        """
        old = self.site.sessions.take(self.visitor, self.site.now)
        draft = old.data.get("draft")
        if "reopen" in old.data:
            data = {**data, "reopen": old.data["reopen"]}
        if draft is None or draft["reply"]:
            old.blobs.clear()
        else:
            data = {**data, "draft": draft}
        self.visitor, self.known = self.site.ports.random_bytes(32), False
        return Session(self.visitor, data, old.blobs)

    # ------------------------------------------------------------------ forms

    async def form(self, *, uploads: bool = False) -> Form:
        """Read the posted form; see `read_form` for errors."""
        settings = self.site.settings
        limits = BodyLimits(
            text=settings.text_size * 4 * 3 + 256 * 1024,
            files=settings.files if uploads else 0,
            file=settings.file_size,
            total=settings.upload_size if uploads else 0,
            stall=settings.stall,
        )
        return await read_form(self.request, limits, self.site.budget, self.site.ports.random_bytes)

    def age(self, form: Form, name: str) -> int | None:
        """Age of a genuine form of this visitor in seconds, else None."""
        if not self.known or not self.same_site():
            return None
        return self.site.signer.age(form.get("token"), self.visitor, name, self.site.ports.clock.now())

    def same_site(self) -> bool:
        """False when the browser says that another site sent this; silence is not held against it."""
        headers = self.request.headers
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin", "null").lower()
        if origin == "null":
            return True
        host = origin.partition("://")[2]
        return (host.rpartition(":")[0] or host) in self.site.settings.hosts

    # ------------------------------------------------------------------ answers

    @property
    def clearnet(self) -> bool:
        """Whether this visitor came without Tor."""
        return plain_host(self.request.headers.get("host", "")) in self.site.settings.clearnet_hosts

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        forms: tuple[str, ...] = (),
        fixed: bool = False,
        **values: Any,
    ) -> Response:
        """A page; `forms` names the forms on it, which get tokens (and the visitor a cookie).

        `fixed` is for a page that is the same for everybody, whatever `values` say; it is made once.

        Browsers hold `SameSite=Strict` cookies back when another site leads here. A new cookie would
        then take the place of the old one and with it an open draft, so none is set: a page leads on
        to the form by a link of our own.
        """
        led_here = not self.known and self.request.headers.get("sec-fetch-site") == "cross-site"
        if forms and led_here and self.request.method == "GET":
            template, forms, values, fixed = "arrival.html", (), {}, False
        now = self.site.ports.clock.now()
        tokens = {name: self.site.signer.token(self.visitor, name, now) for name in forms}
        context: Mapping[str, Any] = {
            "tokens": tokens,
            "path": self.request.url.path,
            "clearnet": self.clearnet,
            **values,
        }
        renderer = self.site.renderer
        if fixed:
            depends = (context["path"], self.clearnet)
            text = renderer.render_fixed(template, self.language, context, depends)
        else:
            text = renderer.render(template, self.language, context)
        response = Response(
            text,
            status,
            media_type="text/html; charset=utf-8",
        )
        response.headers["content-language"] = self.language
        if self.clearnet and self.site.settings.onion:
            path = quote(self.request.scope["path"])
            response.headers["onion-location"] = f"http://{self.site.settings.onion}{path}"
        return self._cookie(response, wanted=bool(forms) and not led_here)

    def go(self, path: str) -> Response:
        """Redirect after a post (303) to a path of this language, such as "new/check"."""
        return self._cookie(Response(status_code=303, headers={"location": f"/{self.language}/{path}"}))

    def file(self, content: bytes, media_type: str, name: str | None = None) -> Response:
        """Exact bytes; with `name` as a download."""
        headers = {"content-type": media_type}
        if name is not None:
            headers["content-disposition"] = f'attachment; filename="{name}"'
        return self._cookie(Response(content, headers=headers), wanted=False)

    def _cookie(self, response: Response, *, wanted: bool = True) -> Response:
        """Set the cookie when it is new and needed; never with an end date, `Secure` on clearnet only.

        Browsers other than Tor Browser drop `Secure` cookies of plain-http onion sites, and an end
        date would make browsers write the cookie to disk.
        """
        value = None
        if self.forget:
            value = ""
        elif wanted and not self.known:
            value = base64.urlsafe_b64encode(self.visitor).decode().rstrip("=")
        if value is not None:
            secure = "; Secure" if self.clearnet else ""
            response.headers["set-cookie"] = f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{secure}"
        return response


View = Callable[[Visit], Awaitable[Response]]


def request_circuit(scope: Scope) -> str | None:
    """The Tor circuit of a request, where tor tells."""
    client = scope.get("client")
    return client[0] if client and client[0].startswith("circuit-") else None


def _visitor(cookie: str) -> bytes | None:
    if len(cookie) != 43:
        return None
    try:
        value = base64.b64decode(cookie + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == 32 else None
