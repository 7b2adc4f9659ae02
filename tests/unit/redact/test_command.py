"""`veildesk redact` in both forms."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from veildesk.cli import main


def test_file_is_masked_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"ok \xff\nmail anna@mail.example\r\nfrom 45.6.7.8\n")
    done = CliRunner().invoke(main, ["redact", str(path)])
    assert done.exit_code == 0
    assert done.stdout_bytes == b"ok \xff\nmail [email-1]\r\nfrom [ip-1]\n"
    assert done.stderr.split() == ["type", "count", "EMAIL", "1", "IPV4", "1"]


def test_counts_as_json(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("anna@mail.example")
    done = CliRunner().invoke(main, ["redact", "--json", str(path)])
    assert json.loads(done.stderr) == {"counts": {"EMAIL": 1}}


def test_json_lines() -> None:
    lines = [{"id": 1, "text": "\u200bfrom 45.6.7.8"}, {"id": "b", "text": "\ud800 nothing"}]
    done = CliRunner().invoke(main, ["redact", "--jsonl"], input="\n".join(map(json.dumps, lines)))
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": 1, "findings": [{"start": 6, "end": 14, "type": "IPV4"}], "text": "\u200bfrom [ip-1]"},
        {"id": "b", "findings": [], "text": "\ud800 nothing"},
    ]


def test_a_broken_line_is_named_without_its_content() -> None:
    done = CliRunner().invoke(
        main, ["redact", "--jsonl"], input='{"id": 1, "text": "x"}\nsecret words\n{"id": 2}\n'
    )
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 1
    assert "secret" not in done.stderr
    assert "line 2" in done.stderr


def test_rules_file(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[redact]\n[[redact.rule]]\ntype = "X"\npattern = "q-[0-9]+"\nfinds = ["q-1"]\nleaves = ["q"]\n'
    )
    assert CliRunner().invoke(main, ["redact", "--rules", str(rules)], input="q-77").stdout == "[x-x-1]"
    rules.write_text("[redact\n")
    assert CliRunner().invoke(main, ["redact", "--rules", str(rules)], input="q-77").exit_code == 10
