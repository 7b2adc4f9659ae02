"""Mails that carry a true signature and want to look signed by Alice; `expected.tsv` says what counts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from testbed.openpgp_lab import Lab
from veildesk.core.limits import Limits
from veildesk.core.message import OpenedMessage, Scope, Verdict
from veildesk.service.disposition import dispose
from veildesk.service.reading import read_mail

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "signed"
EXPECTED = {
    one["file"]: one
    for one in csv.DictReader((FOLDER / "expected.tsv").read_text().splitlines(), delimiter="\t")
}


def test_every_file_has_an_expectation() -> None:
    assert {one.name for one in FOLDER.glob("*.eml")} == set(EXPECTED)


async def read(lab: Lab, file: str) -> OpenedMessage:
    engine = lab.engine()
    await engine.start()
    certificates = [path.read_bytes() for path in sorted(FOLDER.glob("*.asc"))]
    return await read_mail((FOLDER / file).read_bytes(), engine, certificates, Limits())


@pytest.mark.parametrize("file", sorted(EXPECTED))
async def test_what_counts_as_signed(lab: Lab, file: str) -> None:
    message = await read(lab, file)
    found = ",".join(
        f"{one.verdict.value}/{one.scope.value}/{'bound' if one.bound_to_from else 'unbound'}"
        for one in message.signatures
    )
    assert (found or "-") == EXPECTED[file]["signatures"]
    assert dispose(message)[0].value == EXPECTED[file]["disposition"]
    assert "<" not in message.text


async def test_only_what_she_signed_whole_speaks_for_alice(lab: Lab) -> None:
    speaking = []
    for file in sorted(EXPECTED):
        message = await read(lab, file)
        if dispose(message)[0].value == "quarantine":
            continue
        if any(
            one.verdict is Verdict.VALID and one.scope is Scope.WHOLE and one.bound_to_from
            for one in message.signatures
        ):
            speaking.append(file)
    assert speaking == [
        "signed-in-signed-outer-changed.eml",
        "signed-in-signed.eml",
        "signed-twice-once-by-unknown-key.eml",
        "signed-whole.eml",
    ]
