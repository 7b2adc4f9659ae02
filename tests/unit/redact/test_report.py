"""The diagnosis report: an allow list, risky fields off until ticked, free text redacted."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from veildesk.cli import main
from veildesk.core.finding import MaskNumbering
from veildesk.redact.report import SCHEMA, Report, build_report

GOOD = {
    "product": "Wallet",
    "version": "2.1.3.77-beta",
    "build": "2414721b194453f058079d897d13c4e377f92dc6",
    "platform": "Windows 11 23H2 (22631.2715)",
    "error": "0x80070005 for anna@example.org",
    "steps": "1. start\n2. password: Xk29!abcd",
}


def built(values: dict[str, object], *ticked: str) -> Report:
    return build_report(values, ticked, MaskNumbering(b"k"))


def test_safe_fields_stand_as_they_are_and_free_text_is_redacted() -> None:
    report = built(dict(GOOD))
    assert report.fields["Version"] == "2.1.3.77-beta"
    assert report.fields["Build"] == GOOD["build"]
    assert report.fields["Error"] == "0x80070005 for [email-1]"
    assert report.fields["Steps"] == "1. start\n2. password: [password-1]"
    assert dict(report.counts) == {"EMAIL": 1, "PASSWORD": 1}
    assert report.left_out == {}


@pytest.mark.parametrize("field", [one for one in SCHEMA if one.risky], ids=lambda one: one.name)
def test_risky_fields_are_out_until_ticked(field: object) -> None:
    samples = {
        "device": "ThinkPad X1", "language": "de_DE", "time": "2026-01-02T03:04:05Z",
        "settings": "theme = dark",
        "transaction": "ab" * 32, "log": "from 93.184.216.34 ok", "contact": "anna@example.org",
    }  # fmt: skip
    name, label = field.name, field.label  # type: ignore[attr-defined]
    assert built({name: samples[name]}).left_out == {name: "not ticked"}
    shown = built({name: samples[name]}, name).fields[label]
    assert shown == samples[name].replace("93.184.216.34", "[ip-1]")


@pytest.mark.parametrize(
    "values",
    [
        {"version": "anna@example.org"},
        {"build": "see https://x.example/reset?token=abc"},
        {"platform": "Linux\nHOSTNAME=anna-pc"},
        {"product": "a" * 200},
        {"hostname": "anna-pc"},
        {"architecture": "x86 64; rm"},
        {"error": ["a"] * 3, "version": {"a": 1}},
    ],
)
def test_what_has_not_its_form_stays_out(values: dict[str, object]) -> None:
    report = built(values)
    assert "anna" not in report.text
    assert "token" not in report.text
    assert report.left_out


def test_the_command_reads_toml_and_says_what_it_left_out(tmp_path: object) -> None:
    runner = CliRunner()
    given = 'version = "1.2.3"\nerror = "mail anna@example.org"\nhostname = "anna-pc"\nlog = "x"\n'
    done = runner.invoke(main, ["report", "-"], input=given)
    assert done.exit_code == 0
    assert done.stdout == "Version: 1.2.3\nError: mail [email-1]\n"
    assert "left out: log: not ticked" in done.stderr
    assert "left out: hostname: not a field of the report" in done.stderr
    told = json.loads(runner.invoke(main, ["report", "--json", "--tick", "log", "-"], input=given).stdout)
    assert told["report"]["Log"] == "x"


def test_without_a_file_it_is_about_this_installation() -> None:
    told = json.loads(CliRunner().invoke(main, ["report", "--json"]).stdout)
    assert told["report"]["Product"] == "Veildesk"
    assert "Platform" in told["report"]
    assert told["left_out"] == {}


def test_an_unknown_field_to_tick_is_an_error() -> None:
    assert CliRunner().invoke(main, ["report", "--tick", "everything"]).exit_code == 10


def test_the_form_can_be_read_back() -> None:
    form = CliRunner().invoke(main, ["report", "--form"]).stdout
    assert CliRunner().invoke(main, ["report", "-"], input=form).exit_code == 0
