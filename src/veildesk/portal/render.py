"""Templates to HTML: escaping always on, an unknown name is an error, one environment a language."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from veildesk.portal import labels
from veildesk.portal.compiled_words import LanguageEnvironment
from veildesk.portal.directions import apart, grouped_fingerprint, left_to_right, undirected
from veildesk.portal.i18n import LANGUAGE_NAMES, Catalogue, load
from veildesk.portal.ports import PortalSettings

__all__ = ["Renderer", "day", "moment", "stylesheet"]

_MOST_FIXED: Final = 500


def stylesheet() -> tuple[str, bytes]:
    """Name (with a hash of its content) and bytes of the one stylesheet."""
    content = files("veildesk.portal").joinpath("static", "style.css").read_bytes()
    return f"style-{hashlib.sha256(content).hexdigest()[:12]}.css", content


def day(days: int) -> str:
    """Days since 1970 as a date."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=days)).isoformat()


def moment(seconds: int) -> str:
    """Seconds since 1970 as minutes UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.0f} kB"
    return f"{count / (1024 * 1024):.1f} MB".replace(".0 ", " ")


def _place(form: str) -> str:
    """Stands for a form's token in a kept page; no text of the portal holds it."""
    return f"{{{{token {form}}}}}"


def _environment(catalogue: Catalogue) -> Environment:
    environment = LanguageEnvironment(
        catalogue.gettext,
        loader=PackageLoader("veildesk.portal", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        catalogue.gettext, catalogue.ngettext, newstyle=True
    )
    environment.filters.update(
        moment=lambda seconds: left_to_right(moment(seconds)), size=lambda count: left_to_right(_size(count))
    )
    environment.filters.update(
        apart=apart, undirected=undirected, fingerprint=grouped_fingerprint, ltr=left_to_right
    )
    return environment


class Renderer:
    """Renders templates with what every page needs."""

    def __init__(self, settings: PortalSettings) -> None:
        self._settings = settings
        self._catalogues = {language: load(language) for language in settings.languages}
        self._environments = {name: _environment(item) for name, item in self._catalogues.items()}
        self._style = f"/static/{stylesheet()[0]}"
        self._fixed: dict[tuple[object, ...], str] = {}

    def render_fixed(
        self, template: str, language: str, values: Mapping[str, Any], depends: tuple[object, ...]
    ) -> str:
        """A page that holds nothing of a visitor but form tokens: rendered once for each `depends`.

        `depends` names everything that the page varies by besides template and language.
        """
        tokens: Mapping[str, str] = values["tokens"]
        key = (template, language, *depends, *tokens)
        kept = self._fixed.get(key)
        if kept is None:
            places = {name: _place(name) for name in tokens}
            kept = self.render(template, language, {**values, "tokens": places})
            if len(self._fixed) < _MOST_FIXED:
                self._fixed[key] = kept
        for name, token in tokens.items():
            kept = kept.replace(_place(name), token)
        return kept

    def render(self, template: str, language: str, values: Mapping[str, Any]) -> str:
        """One page as text."""
        path = str(values.get("path", "/"))
        rest = path.removeprefix(f"/{language}") if path.startswith(f"/{language}") else ""
        return (
            self._environments[language]
            .get_template(template)
            .render(
                settings=self._settings,
                labels=labels,
                language=language,
                direction=self._catalogues[language].direction,
                here=f"/{language}",
                others=[
                    (code, LANGUAGE_NAMES.get(code, code), f"/{code}{rest}")
                    for code in self._settings.languages
                ],
                style=self._style,
                **{"clearnet": False, **values},
            )
        )
