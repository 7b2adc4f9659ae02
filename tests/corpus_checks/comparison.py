"""What a report of `inspect` says, set against a row of the corpus manifest, field by field.

The manifest's rows were made by other tools. Where those tools disagree with each other about a field,
the field is not compared; only crashes, missing text and false signatures would count there.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["corpus_folder", "deviations", "documented", "key_files", "manifest", "reasons"]

ROOT = Path(__file__).parents[2]
WEAK = {"sha1", "md5", "ripemd160"}
VERDICTS = {"good": "valid", "bad": "invalid", "nokey": "unknown-key", "unparsable": "invalid"}


def corpus_folder() -> Path | None:
    """The folder of corpus mails, None when there is none."""
    given = os.environ.get("VEILDESK_CORPUS", "../shared/corpus")
    folder = (ROOT / given).resolve()
    return folder if (folder / "MANIFEST.tsv").exists() else None


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def manifest(folder: Path) -> dict[str, dict[str, str]]:
    """Rows by file name."""
    return {row["file"]: row for row in rows(folder / "MANIFEST.tsv")}


def key_files(folder: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Secret key files, public key files and passphrases."""
    table = rows(folder / "KEYS.tsv")
    secret = sorted({row["file"] for row in table if row["kind"].startswith("secret")})
    public = sorted({row["file"] for row in table} - set(secret))
    phrases = sorted({row["passphrase"] for row in table} - {"", "-", "(empty)"})
    return [folder / name for name in secret], [folder / name for name in public], phrases


def deviations(report: dict[str, Any], row: dict[str, str]) -> Iterator[str]:
    """Names of the fields in which the report differs from the row."""
    if not row["what"].startswith(("OpenPGP", "mail", "S/MIME")):
        return
    encryption = report["encryption"]
    if encryption["scope"] != expected_scope(row["encrypted_scope"]):
        yield "encryption"
    if row["decrypts"] != "-" and row["decrypts"].startswith("ok") != (
        encryption["integrity"] in ("mdc", "aead")
    ):
        yield "decrypted"
    yield from signature_deviations(report["signatures"], row)
    if report["subject_protected"] != (row["protected_subject"] != "-"):
        yield "protected"
    agree = row["tools_agree"]
    subject = row["subject"] if row["protected_subject"] == "-" else row["protected_subject"]
    if "subject" not in agree and report["subject"] != " ".join(subject.split()):
        yield "subject"
    if "attachments" not in agree and str(len(report["attachments"])) != row["n_attachments"]:
        yield "attachments"
    digest = hashlib.sha256(report["text"].encode()).hexdigest()
    if "text" not in agree and row["text_sha256"] not in ("-", digest):
        yield "text"


def expected_scope(scope: str) -> str:
    first = scope.partition(",")[0]
    return {"-": "none", "whole": "whole"}.get(first, "part")


def signature_deviations(signatures: list[dict[str, Any]], row: dict[str, str]) -> Iterator[str]:
    told = row["signature"]
    if told in ("none", "-"):
        if signatures:
            yield "signature"
        return
    wanted = sorted(VERDICTS.get(one, one) for one in told.split(","))
    if row["sig_hash"] in WEAK:
        wanted = ["weak-hash"]
    if wanted != sorted({one["verdict"] for one in signatures}):
        yield "signature"
        return
    scope = "whole" if row["signature_scope"] == "whole" else "part"
    if {one["scope"] for one in signatures} != {scope}:
        yield "signature-scope"
    if "valid" in wanted:
        if row["signer_keys"] not in {one["fingerprint"] for one in signatures}:
            yield "signer"
        if (row["from_is_signer"] == "yes") != any(one["bound_to_from"] for one in signatures):
            yield "binding"


def documented() -> dict[tuple[str, str], str]:
    """Deviations in docs/corpus-deviations.md: (file, field) to reason word."""
    text = (ROOT / "docs" / "corpus-deviations.md").read_text("utf-8")
    lines = re.findall(r"^\| `([^`]+)` \| ([a-z, -]+) \| ([a-z-]+) \|$", text, re.MULTILINE)
    return {(name, item.strip()): reason for name, items, reason in lines for item in items.split(",")}


def reasons() -> set[str]:
    """Reason words that the document explains."""
    text = (ROOT / "docs" / "corpus-deviations.md").read_text("utf-8")
    return set(re.findall(r"^\*\*([a-z-]+)\*\*", text, re.MULTILINE))
