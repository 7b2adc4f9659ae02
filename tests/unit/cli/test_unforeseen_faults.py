"""What no command foresaw: one sentence and an exit code, never a traceback and never the fault's text."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from veildesk.cli.options import Commands, json_option
from veildesk.core.errors import RingUnusable

SECRET = "correct horse battery staple"


def run(fault: BaseException | Callable[[], None], *words: str) -> Result:
    @click.group(cls=Commands)
    def outer() -> None: ...

    @outer.group(cls=Commands)
    def inner() -> None: ...

    @inner.command()
    @json_option
    def fall(as_json: bool) -> None:
        if isinstance(fault, BaseException):
            raise fault
        fault()

    return CliRunner().invoke(outer, ["inner", "fall", *words])


def test_a_fault_of_ours_names_its_class_and_place_and_not_its_text() -> None:
    result = run(ValueError(SECRET))
    assert result.exit_code == 70
    assert "ValueError" in result.stderr
    assert "report" in result.stderr
    assert SECRET not in result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_machine_is_told_in_one_json_object() -> None:
    result = run(KeyError(SECRET), "--json")
    told = json.loads(result.stderr)
    assert (told["error"], result.exit_code) == ("internal", 70)
    assert "KeyError" in told["detail"]
    assert SECRET not in result.output


def test_what_the_system_refuses_is_named_with_the_file(tmp_path: Path) -> None:
    place = tmp_path / "missing" / "file"
    result = run(lambda: place.write_text("x") and None)
    assert result.exit_code == 71
    assert f"No such file or directory: {place}" in result.stderr
    full = run(OSError(errno.ENOSPC, "whatever", "/srv/disk"))
    assert "No space left on device: /srv/disk" in full.stderr


def test_the_fault_that_knows_itself_speaks_for_a_group() -> None:
    group = ExceptionGroup("all", [ValueError(SECRET), ExceptionGroup("some", [RingUnusable("damaged")])])
    result = run(group)
    assert result.exit_code == 11
    assert "newest backup" in result.stderr
    assert SECRET not in result.output


def test_interrupted_is_130_and_a_refused_question_stays_what_it_was() -> None:
    assert run(KeyboardInterrupt()).exit_code == 130
    assert run(click.Abort()).exit_code == 1
    assert run(click.UsageError("no")).exit_code == 2


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_commands_own_exit_code_is_kept(code: int) -> None:
    assert run(SystemExit(code)).exit_code == code
