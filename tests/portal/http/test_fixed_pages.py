"""Pages that are made once for everybody: nothing of one visitor may be in another's."""

from __future__ import annotations

import re

import pytest

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.core.notice import IncidentState
from veildesk.portal.compiled_words import LanguageEnvironment

FORMS = ("/en/new", "/ru/new", "/en/track", "/ru/track")


@pytest.mark.parametrize("path", FORMS)
async def test_each_visitor_has_a_token_of_their_own(world: World, path: str) -> None:
    first = Visitor(world)
    tokens = set()
    for visitor in (first, _beside(first), _beside(first)):
        page = await visitor.get(path)
        tokens.add(page.form(path).get("token"))
        assert "{{" not in page.response.text
    assert len(tokens) == 3


def _beside(other: Visitor) -> Visitor:
    """Another visitor of the same running site."""
    visitor = Visitor(other.world)
    visitor.app = other.app
    visitor.client = visitor._client()
    return visitor


async def test_what_somebody_wrote_is_in_no_page_of_others(world: World) -> None:
    writer = Visitor(world)
    await writer.get("/en/new")
    await writer.write("a secret matter")
    page = await writer.submit((await writer.get("/en/new/check")).form(), op="change")
    assert "a secret matter" in page.response.text
    track = (await writer.get("/en/track")).form().set(words="acorn mistyped-word")
    assert "mistyped-word" in (await writer.submit(track)).response.text
    for path in FORMS:
        text = (await _beside(writer).get(path)).response.text
        assert "secret matter" not in text
        assert "mistyped-word" not in text


async def test_an_incident_and_parking_show_at_once_and_go_at_once(world: World) -> None:
    visitor = Visitor(world)
    for _ in range(2):
        assert "Mail is late" not in (await visitor.get("/en")).text
        assert "may take longer" not in (await visitor.get("/en/new")).text
    world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    world.parked = True
    assert "Mail is late" in (await visitor.get("/en")).text
    assert "may take longer" in (await visitor.get("/en/new")).text
    world.notices.items.clear()
    world.parked = False
    assert "Mail is late" not in (await visitor.get("/en")).text
    assert "may take longer" not in (await visitor.get("/en/new")).text


async def test_the_link_to_the_other_language_is_that_of_the_page(world: World) -> None:
    visitor = Visitor(world)
    for path, other in (("/en", "/ru"), ("/en/track", "/ru/track"), ("/en/new", "/ru/new")):
        for _ in range(2):
            assert re.search(rf'href="{other}" lang="ru"', (await visitor.get(path)).response.text)


def test_messages_are_put_in_as_the_call_would_give_them() -> None:
    words = {"Hello": "Привет <b>", "All": "100 %% of it", "Name %(x)s": "Имя %(x)s"}
    environment = LanguageEnvironment(words.__getitem__, autoescape=True, extensions=["jinja2.ext.i18n"])
    environment.install_gettext_callables(words.__getitem__, lambda a, b, n: a, newstyle=True)
    template = environment.from_string('{{ _("Hello") }}|{{ _("All") }}|{{ _("Name %(x)s", x=x) }}')
    assert template.render(x="<i>") == "Привет <b>|100 % of it|Имя &lt;i&gt;"
    inside = environment.from_string('{% set a = [("", _("Hello"))] %}{{ a[0][1] }}')
    assert inside.render() == "Привет <b>"
