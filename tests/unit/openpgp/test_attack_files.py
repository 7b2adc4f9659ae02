"""Mails named after their defect. `expected.tsv` holds an error code, or scope, notes and signatures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from testbed.openpgp_lab import Lab
from veildesk.core.errors import VeildeskError
from veildesk.core.ports import Engine
from veildesk.openpgp.opening import open_mail

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "openpgp"
EXPECTED = {
    one["file"]: one["outcome"]
    for one in csv.DictReader((FOLDER / "expected.tsv").read_text().splitlines(), delimiter="\t")
}


def test_every_file_has_an_expectation() -> None:
    assert {one.name for one in FOLDER.glob("*.eml")} == set(EXPECTED)


@pytest.mark.parametrize("file", sorted(EXPECTED))
@pytest.mark.parametrize("ends", ["crlf", "lf"])
async def test_attack_fails(lab: Lab, file: str, ends: str) -> None:
    raw = (FOLDER / file).read_bytes()
    engine = lab.engine()
    await engine.start()
    assert await outcome(raw if ends == "crlf" else raw.replace(b"\r\n", b"\n"), engine) == EXPECTED[file]


async def outcome(raw: bytes, engine: Engine) -> str:
    try:
        mail = await open_mail(raw, engine, [])
    except VeildeskError as error:
        return error.code
    found = ",".join(f"{one.verdict.value}/{one.scope.value}" for one in mail.signatures)
    return f"{mail.encryption.scope.value} {','.join(mail.notes) or '-'} {found}".rstrip()
