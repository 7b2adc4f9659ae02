"""The shape of the code is checked like its behaviour."""

from __future__ import annotations

import ast
import functools
import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest

from veildesk.core import errors
from veildesk.core.message import Signature, Verdict
from veildesk.core.work import TRANSITIONS, State
from veildesk.service.inbound import INBOUND, Inbound
from veildesk.service.outbound import OUTBOUND, Outbound

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module's syntax tree.

    Without the garbage collector: CPython 3.11 loses count of its depth when a collection in the middle
    of building a tree builds another, and then refuses sound code (cpython issue 106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def test_no_module_is_longer_than_500_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 500}
    assert not long


def test_functions_stay_readable() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(p.relative_to(ROOT)) for p in SOURCES if not ast.get_docstring(tree(p))]
    assert not silent


def test_no_module_is_a_drawer() -> None:
    names = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert not [str(p) for p in SOURCES if p.stem in names]


def test_flow_page_names_the_stages_of_the_pipeline_in_order() -> None:
    page = (ROOT / "docs" / "flow.md").read_text()
    way_in, way_back = page.split("## Back")
    stage = re.compile(r"^ {2}\d+\. `(\w+)` –", re.M)
    assert tuple(stage.findall(way_in)) == INBOUND
    assert tuple(stage.findall(way_back)) == OUTBOUND
    assert all(callable(getattr(Inbound, name)) for name in INBOUND)
    assert all(callable(getattr(Outbound, name)) for name in OUTBOUND)


def _error_classes() -> list[type[errors.VeildeskError]]:
    found, queue = [], [errors.VeildeskError]
    while queue:
        found.append(queue.pop())
        queue += found[-1].__subclasses__()
    return found


@pytest.mark.parametrize("kind", _error_classes(), ids=lambda kind: kind.__name__)
def test_public_texts_of_errors_hold_no_values(kind: type[errors.VeildeskError]) -> None:
    assert re.fullmatch(r"[A-Z][^{}%\n]*\.", kind.public)
    assert re.fullmatch(r"[A-Z][^{}\n]*\.", kind.hint)
    assert 400 <= kind.smtp_code < 600
    assert kind.smtp_status[0] == str(kind.smtp_code)[0]
    assert (kind.smtp_code < 500) == kind.temporary or not kind.temporary
    assert kind.exit_code in range(1, 131)
    assert "secret" not in kind("secret detail").smtp_reply


@pytest.mark.parametrize("value", [Verdict.VALID, Verdict.INVALID, Signature()])
def test_verdicts_cannot_be_used_as_truth_values(value: object) -> None:
    with pytest.raises(TypeError):
        bool(value)


def test_verdict_defaults_to_invalid() -> None:
    assert Signature().verdict is Verdict.INVALID


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(State)
    assert not TRANSITIONS[State.DELIVERED]
    assert not TRANSITIONS[State.SENT]


def test_verdicts_never_come_from_text_meant_for_people() -> None:
    """gpg's standard error is for people; nothing may decide by it."""
    for path in (ROOT / "src" / "veildesk" / "openpgp").glob("*.py"):
        module = tree(path)
        words = [
            n.value for n in ast.walk(module) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ]
        assert not [w for w in words if "Good signature" in w or "BAD signature" in w], path.name


def test_no_key_material_is_in_the_repository() -> None:
    pattern = "BEGIN (PGP PRIVATE KEY BLOCK|OPENSSH PRIVATE KEY|RSA PRIVATE KEY|EC PRIVATE KEY|PRIVATE KEY)"
    done = subprocess.run(
        ["git", "grep", "-lE", pattern, "--", ".", ":!tests", ":!docs", ":!src/veildesk/redact"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        # An export without git history: look into the files themselves.
        found = [p for p in SOURCES if re.search(pattern, p.read_text()) and "redact" not in p.parts]
        assert not found
    assert not done.stdout


def test_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"https?:|--(extra-)?index-url|--find-links", text)


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text().lower()
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = [re.split(r"[<>=;\[ ]", line)[0] for line in wanted]
    assert not [name for name in names if f"`{name.lower()}`" not in page]


def test_every_promise_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text()
    named = set(re.findall(r"`(tests/[\w/.]+)`", page))
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_cited_rfc_is_on_the_specifications_page() -> None:
    page = (ROOT / "docs" / "specifications.md").read_text()
    known = set(re.findall(r"\d{3,5}", page))
    for first, last in re.findall(r"(\d{4})–(\d{4})", page):
        known.update(str(number) for number in range(int(first), int(last) + 1))
    cited = {n for path in SOURCES for n in re.findall(r"RFC (\d{3,5})", path.read_text())}
    assert not cited - known


def test_a_portal_process_loads_no_store_no_ring_no_gpg_and_no_helpdesk() -> None:
    kept = ("sqlalchemy", "sqlite3", "gnupg", "stem", "openpgp", "veildesk.openpgp", "veildesk.deliver")
    kept += ("veildesk.intake", "veildesk.notices", "veildesk.spool.keyring", "veildesk.spool.store")
    code = f"import sys, veildesk.service.portal_process; print([m for m in {kept} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_command_line_starts_without_the_heavy_parts() -> None:
    heavy = ("sqlalchemy", "starlette", "stem", "PIL", "hyperscan")
    code = f"import sys, veildesk.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
