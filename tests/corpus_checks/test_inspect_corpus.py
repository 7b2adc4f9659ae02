"""`inspect` over the corpus: a report for every mail, and every difference from the manifest explained.

Without the corpus folder the same checks run over the attack files of this repository.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from corpus_checks.comparison import corpus_folder, deviations, documented, key_files, manifest, reasons
from veildesk.core.ports import Cleaned
from veildesk.mail.tnef import read_tnef
from veildesk.service.inspection_setup import InspectionKeys, inspection

FIELDS = [
    *("file", "disposition", "reason", "encryption", "signatures", "subject", "subject_protected", "text"),
    *("attachments", "removed_headers", "findings"),
]
OWN = Path(__file__).parents[1] / "corpus" / "mail"


class RefusingCleaner:
    """Cleaning files is tested elsewhere; here it would only take time."""

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        return Cleaned(name, media_type, None, refused="Not looked at.")


async def inspect_all(keys: InspectionKeys, mails: list[Path]) -> list[dict[str, Any]]:
    async with inspection(keys) as (inspector, _):
        quick = dataclasses.replace(inspector, cleaner=RefusingCleaner())
        return [report async for report in quick.reports(mails)]


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    folder = corpus_folder()
    if folder is None:
        print("the corpus is not there (VEILDESK_CORPUS): only own attack files were inspected")
        mails = sorted(OWN.glob("*.eml"))
        return {path.name: one for path, one in zip(mails, run(InspectionKeys(), mails), strict=True)}
    secret, public, phrases = key_files(folder)
    keys = InspectionKeys(
        [(path.name, path.read_bytes()) for path in secret],
        [(path.name, path.read_bytes()) for path in public],
        "\n".join(phrases).encode(),
    )
    names = list(manifest(folder))
    return dict(zip(names, run(keys, [folder / name for name in names]), strict=True))


def run(keys: InspectionKeys, mails: list[Path]) -> list[dict[str, Any]]:
    return asyncio.run(inspect_all(keys, mails))


@pytest.mark.slow
@pytest.mark.timeout(400)
class TestCorpus:
    def test_every_file_has_a_whole_report(self, reports: dict[str, dict[str, Any]]) -> None:
        assert all(list(report) == FIELDS for report in reports.values())

    def test_no_report_says_that_we_failed(self, reports: dict[str, dict[str, Any]]) -> None:
        assert [name for name, report in reports.items() if report["reason"] == "internal"] == []

    def test_every_difference_is_explained(self, reports: dict[str, dict[str, Any]]) -> None:
        folder = corpus_folder()
        if folder is None:
            assert {report["disposition"] for report in reports.values()} >= {"ticket", "refuse", "automatic"}
            return
        table = manifest(folder)
        found = {(name, item) for name, one in reports.items() for item in deviations(one, table[name])}
        assert found == set(documented())

    def test_no_signature_is_valid_that_others_do_not_call_good(
        self, reports: dict[str, dict[str, Any]]
    ) -> None:
        folder = corpus_folder()
        table = manifest(folder) if folder is not None else {}
        valid = [
            name for name, one in reports.items() if any(s["verdict"] == "valid" for s in one["signatures"])
        ]
        assert [name for name in valid if "good" not in table[name]["signature"]] == []

    def test_no_text_without_sound_integrity(self, reports: dict[str, dict[str, Any]]) -> None:
        for report in reports.values():
            if report["encryption"]["scope"] == "whole" and report["encryption"]["integrity"] in (
                None,
                "none",
            ):
                assert report["text"] == ""
                assert report["attachments"] == []
                assert report["disposition"] in ("quarantine", "refuse")


def test_winmail_files_open_as_another_program_opens_them() -> None:
    folder = corpus_folder()
    if folder is None:
        pytest.skip("no mail corpus beside the checkout (VEILDESK_CORPUS)")
    named = re.compile(r"\('([^']*)', \d+\)")
    for path in sorted((folder / "tnefparse" / "data").glob("*.tnef")):
        content = read_tnef(path.read_bytes())
        assert content is not None
        row = manifest(folder)[f"tnefparse/data/{path.name}"]
        assert [one.name for one in content.files] == named.findall(row["what"])
        assert bool(content.text) == any(word in row["what"] for word in ("html", "rtf", "body"))


def test_reasons_in_the_document_are_explained_and_used() -> None:
    assert reasons() == set(documented().values())
    assert max(Counter(documented().values()).values()) < 40
