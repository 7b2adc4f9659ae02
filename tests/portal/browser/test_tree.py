"""What Chromium hands to a screen reader: the accessibility tree of a message's pages, in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

OPERATED = {"button", "checkbox", "combobox", "link", "radio", "textbox"}


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 1000, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def heard(page: Page) -> list[dict[str, Any]]:
    """Role, name, description and states of what is read out, in reading order."""
    session = page.context.new_cdp_session(page)
    nodes = {node["nodeId"]: node for node in session.send("Accessibility.getFullAXTree")["nodes"]}
    session.detach()
    (root,) = [node for node in nodes.values() if "parentId" not in node]
    order: list[dict[str, Any]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += [nodes[child] for child in reversed(node.get("childIds", ())) if child in nodes]
        if not node.get("ignored"):
            states = {item["name"]: item["value"].get("value") for item in node.get("properties", ())}
            texts = {key: node.get(key, {}).get("value", "") for key in ("role", "name", "description")}
            order.append(states | texts)
    return order


def press(page: Page, selector: str) -> None:
    with page.expect_navigation():
        page.locator(selector).first.click()


def sound(tree: list[dict[str, Any]]) -> None:
    roles = [node["role"] for node in tree]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(landmark) == 1, landmark
    assert [role for role in roles if role in ("banner", "main", "contentinfo")] == [
        "banner",
        "main",
        "contentinfo",
    ]
    assert all(node["name"].strip() for node in tree if node["role"] in OPERATED | {"heading"})
    levels = [node["level"] for node in tree if node["role"] == "heading"]
    assert levels[0] == 1
    assert set(levels[1:]) <= {2}


def only(tree: list[dict[str, Any]], role: str, name: str) -> dict[str, Any]:
    (node,) = [node for node in tree if node["role"] == role and node["name"] == name]
    return node


def test_the_way_of_a_message(page: Page, site: str) -> None:
    page.goto(f"{site}/en/new")
    press(page, "main form button")
    tree = heard(page)
    sound(tree)
    (alert,) = [node for node in tree if node["role"] == "alert"]
    assert (alert["live"], alert["focused"]) == ("assertive", True)
    message = only(tree, "textbox", "What happened?")
    assert message["invalid"] == "true"
    assert message["description"].endswith("Write what happened. The message is empty.")
    assert tree.index(alert) < tree.index(only(tree, "link", "Write what happened. The message is empty."))

    page.locator("#message").fill("anna@posteo.net, password: hunter2hunter2")
    press(page, "main form button")
    tree = heard(page)
    box = only(tree, "checkbox", "Hide anna@posteo.net (line 1)")
    secret = "Hide the secret in line 1. You are asked once more before it is shown."
    assert (box["checked"], only(tree, "checkbox", secret)["checked"]) == ("true", "true")
    titles = [node["name"] for node in tree if node["role"] == "heading"]
    assert titles[:4] == [
        "Check before you send",
        "Your ticket words",
        "What support will get",
        "What is hidden",
    ]
    buttons = [node["name"] for node in tree if node["role"] == "button"]
    assert buttons == ["Send with these choices", "Update preview", "Change message", "Discard"]

    press(page, "button[value=send]")
    press(page, "main .button")
    tree = heard(page)
    sound(tree)
    (entry,) = [node for node in tree if node["role"] == "article"]
    assert entry["name"].startswith("You 2026-")
    assert only(tree, "textbox", "Your message")["description"].startswith("Plain text.")
