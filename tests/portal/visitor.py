"""A visitor without scripts: follows links and forms as a browser would, over ASGI."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import html5lib
import httpx
from httpx import ASGITransport

from portal.fakes import HOST
from veildesk.portal.app import create_app
from veildesk.portal.site import Site


def asked_word(question: str, words: list[str]) -> str:
    """The ticket word that a question of the check page asks for, as a person reads it out of it."""
    if number := re.search(r"(?:number|номер) (\d)", question):
        return words[int(number[1]) - 1]
    named = [words.index(word) for word in re.findall("[“«]([a-z-]+)[”»]", question)]
    return words[named[0] + (-1 if "before" in question or "перед" in question else 1)]


@dataclass
class Page:
    response: httpx.Response

    def __post_init__(self) -> None:
        self.tree = html5lib.parse(self.response.text, namespaceHTMLElements=False)

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        return " ".join("".join(self.tree.itertext()).split())

    @property
    def title(self) -> str:
        return "".join(self.tree.find(".//h1").itertext())

    @property
    def words(self) -> list[str]:
        return ["".join(item.itertext()) for item in self.tree.findall(".//ol[@class='words']/li")]

    @property
    def codes(self) -> list[str]:
        return ["".join(item.itertext()) for item in self.tree.findall(".//ul[@class='words']/li")]

    def form(self, action: str | None = None) -> Form:
        for node in self.tree.iter("form"):
            if action is None or node.get("action") == action:
                return Form.read(node)
        raise AssertionError(f"no form {action} on {self.title!r}")


@dataclass
class Form:
    action: str
    fields: list[tuple[str, str]]
    checks: dict[str, tuple[str, bool]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, node: object) -> Form:
        form = cls(node.get("action"), [])
        for item in node.iter():
            name, kind = item.get("name"), item.get("type")
            if item.tag == "button":
                form.buttons.append((name or "", item.get("value") or ""))
            elif not name or kind == "file":
                continue
            elif kind in ("checkbox", "radio"):
                if item.get("checked") is not None:
                    form.fields.append((name, item.get("value")))
            elif item.tag == "input":
                form.fields.append((name, item.get("value") or ""))
            elif item.tag == "textarea":
                form.fields.append((name, (item.text or "").removeprefix("\n")))
            elif item.tag == "select":
                options = list(item.iter("option"))
                chosen = [option for option in options if option.get("selected") is not None] or options[:1]
                form.fields.append((name, chosen[0].get("value")))
        return form

    def get(self, name: str) -> str:
        return next(value for key, value in self.fields if key == name)

    def set(self, **values: str) -> Form:
        for name, value in values.items():
            self.fields = [(key, old) for key, old in self.fields if key != name] + [(name, value)]
        return self

    def drop(self, name: str, value: str | None = None) -> Form:
        self.fields = [
            (key, old) for key, old in self.fields if key != name or (value is not None and old != value)
        ]
        return self


class Visitor:
    def __init__(self, world: object, *, cookies: bool = True, headers: dict[str, str] | None = None) -> None:
        self.world = world
        self.app = create_app(world.settings, world.ports)
        self.cookies = cookies
        self.client = self._client(headers)

    def _client(self, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=ASGITransport(self.app), base_url=f"http://{HOST}", headers=headers or {}
        )

    @property
    def site(self) -> Site:
        """The app's inside; it exists after the first request."""
        layer = self.app.middleware_stack
        while not hasattr(layer, "site"):
            layer = layer.app
        return layer.site

    def restart(self) -> None:
        """The portal process dies and comes back; the browser keeps its cookie."""
        jar = self.client.cookies
        self.app = create_app(self.world.settings, self.world.ports)
        self.client = self._client()
        self.client.cookies = jar

    async def get(self, path: str) -> Page:
        return Page(await self._sent(await self.client.get(path)))

    async def _sent(self, response: httpx.Response) -> httpx.Response:
        if not self.cookies:
            self.client.cookies.clear()
        return response

    async def post(self, form: Form, files: list[tuple[str, bytes]] = (), op: str = "") -> httpx.Response:
        fields = [*form.fields, *([("op", op)] if op else [])]
        if form.action.endswith(("/new", "/reply")):
            parts = [(name, (None, value)) for name, value in fields]
            parts += [("files", (name, content, "application/octet-stream")) for name, content in files]
            return await self._sent(await self.client.post(form.action, files=parts))
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        return await self._sent(await self.client.post(form.action, data=data))

    async def submit(self, form: Form, files: list[tuple[str, bytes]] = (), op: str = "") -> Page:
        """Post, expect the redirect, follow it."""
        response = await self.post(form, files, op)
        assert response.status_code == 303, (response.status_code, Page(response).text[:300])
        return await self.get(response.headers["location"])

    async def told(self, form: Form, files: list[tuple[str, bytes]] = (), op: str = "") -> Page:
        """Post, and what is shown then: the answer itself, or where it leads."""
        response = await self.post(form, files, op)
        return await self.get(response.headers["location"]) if response.status_code == 303 else Page(response)

    async def write(self, message: str, files: list[tuple[str, bytes]] = (), **values: str) -> Page:
        """Up to the check page."""
        page = await self.get("/en/new")
        return await self.submit(page.form("/en/new").set(message=message, **values), files)

    async def open_ticket(self, message: str, files: list[tuple[str, bytes]] = ()) -> str:
        """All the way; returns the ticket words."""
        check = await self.write(message, files)
        receipt = await self.submit(check.form("/en/new/check"), op="send")
        assert receipt.words == check.words
        return " ".join(receipt.words)
