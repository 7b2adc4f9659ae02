"""A visitor of the portal: Tor only, no script, forms filled as a browser would send them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from testbed.onion_http import OnionClient, Page


@dataclass
class Form:
    """One form of a page: where it goes, its fields as they stand, and its submit buttons."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    multipart: bool = False


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._area: str | None = None
        self._text = ""
        self._select: str | None = None
        self._option: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value if value is not None else "" for name, value in attrs}
        if tag == "form":
            form = Form(have.get("action", ""))
            form.multipart = have.get("enctype") == "multipart/form-data"
            self.forms.append(form)
        if not self.forms:
            return
        form, name = self.forms[-1], have.get("name", "")
        if name:
            form.names.add(name)
        if tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._option = name, None
        elif tag == "option" and self._select and ("selected" in have or self._option is None):
            self._option = have.get("value", "")
        elif tag == "button" and have.get("type", "submit") == "submit":
            form.buttons.append((name, have.get("value", "")))
        elif tag == "input" and name:
            self._input(form, name, have)

    def _input(self, form: Form, name: str, have: dict[str, str]) -> None:
        kind = have.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in have:
            return
        if kind in ("submit", "image"):
            form.buttons.append((name, have.get("value", "")))
        elif kind != "file":
            form.fields.append((name, have.get("value", "on" if kind == "checkbox" else "")))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = self._text.removeprefix("\n")
            self.forms[-1].fields.append((self._area, text))
            self._area = None
        elif tag == "select" and self._select is not None:
            self.forms[-1].fields.append((self._select, self._option or ""))
            self._select = None


def forms_of(page: Page) -> list[Form]:
    """All forms of a page, in order."""
    reader = _Forms()
    reader.feed(page.text)
    return reader.forms


def form_with(page: Page, name: str) -> Form:
    """The form that has a field or button of this name."""
    for form in forms_of(page):
        if name in form.names:
            return form
    raise LookupError(f"{page.path} (status {page.status}) has no form with {name!r}")


def submit(
    client: OnionClient,
    page: Page,
    form: Form,
    values: dict[str, str],
    button: tuple[str, str] | None = None,
    files: tuple[tuple[str, str, str, bytes], ...] = (),
) -> Page:
    """Send a form with some fields changed and, where there are several, one button pressed."""
    fields = [(name, values.get(name, value)) for name, value in form.fields]
    fields += [(name, value) for name, value in values.items() if name not in {n for n, _ in fields}]
    if button is not None:
        fields.append(button)
    action = form.action or page.path
    if not action.startswith("/"):
        action = page.path.rsplit("/", 1)[0] + "/" + action
    return client.post(action, fields, files=files)
