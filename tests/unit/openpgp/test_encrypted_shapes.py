"""Mails as webmail, old programs and relays leave them: one file a shape, named after its defect.

Ciphertext is put in at run time. `expected.tsv` says what is encrypted, whether it is opened, and what shows.
"""

from __future__ import annotations

import base64
import csv
from pathlib import Path

import pytest

from testbed.openpgp_lab import Lab
from veildesk.core.limits import Limits
from veildesk.core.message import OpenedMessage, Scope, Verdict
from veildesk.service.protection import mail_notices
from veildesk.service.reading import read_mail

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "encrypted_shapes"
EXPECTED = {
    one["file"]: one
    for one in csv.DictReader((FOLDER / "expected.tsv").read_text().splitlines(), delimiter="\t")
}
BODY = b"plain body\n"
ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nentity body\r\n"
JAPANESE = "暗号化された本文\n".encode("iso-2022-jp")


def test_every_file_has_an_expectation() -> None:
    assert {one.name for one in FOLDER.glob("*.eml")} == set(EXPECTED)


@pytest.mark.parametrize("file", sorted(EXPECTED))
async def test_shape(lab: Lab, file: str) -> None:
    message = await read(lab, (FOLDER / file).read_bytes())
    wanted = EXPECTED[file]
    assert message.encryption.scope.value == wanted["scope"]
    assert (message.encryption.integrity is not None) == (wanted["opened"] == "yes")
    if wanted["text"] or wanted["opened"] == "yes":
        assert message.text == wanted["text"]
    assert ",".join(one.name for one in message.attachments) == wanted["files"]
    if wanted["opened"] == "no":
        assert "body" not in message.text
    opened = wanted["files"] == "notes.txt"
    assert any(one.content == b"in the file\n" for one in message.attachments) == opened


async def test_a_body_in_html_is_checked_with_the_key_that_came_along(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    key = base64.b64encode(lab.certificate("user"))
    raw = filled(lab, (FOLDER / "webmail-html-only.eml").read_bytes())
    raw = raw.replace(b"Subject:", b"Autocrypt: addr=rosa@example.org; keydata=" + key + b"\r\nSubject:", 1)
    message = await read_mail(raw, engine, [], Limits())
    (signature,) = message.signatures
    assert (signature.verdict, signature.scope) == (Verdict.VALID, Scope.PART)
    assert signature.bound_to_from


async def test_a_boundary_inside_keeps_the_part_closed(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    inside = lab.encrypt(ENTITY + b"--b\r\n\r\nwords of nobody\r\n", "--armor", sign=True)
    raw = (FOLDER / "attachment-left-in-the-clear.eml").read_bytes().replace(b"{{ENTITY}}", inside)
    message = await read_mail(raw, engine, [lab.certificate("user")], Limits())
    assert (message.encryption.scope, message.encryption.integrity) == (Scope.PART, None)
    assert "body" not in message.text


async def test_the_signature_of_a_part_with_files_beside_it_covers_a_part(lab: Lab) -> None:
    message = await read(lab, (FOLDER / "attachment-left-in-the-clear.eml").read_bytes())
    (signature,) = message.signatures
    assert (signature.verdict, signature.scope) == (Verdict.VALID, Scope.PART)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("inline-with-signed-file.eml", False),
        ("inline-with-unsigned-file.eml", True),
        ("inline-with-file-of-another.eml", True),
        ("html-beside-text-encrypted-by-itself.eml", True),
        ("attachment-left-in-the-clear.eml", False),
    ],
)
async def test_agents_are_told_of_a_file_that_stays_closed(lab: Lab, file: str, *, told: bool) -> None:
    message = await read(lab, (FOLDER / file).read_bytes())
    assert any("encrypted by itself" in line for line in mail_notices(message)) == told


async def read(lab: Lab, template: bytes) -> OpenedMessage:
    """The mail with its ciphertext, opened."""
    engine = lab.engine()
    await engine.start()
    return await read_mail(filled(lab, template), engine, [lab.certificate("user")], Limits())


def filled(lab: Lab, template: bytes) -> bytes:
    if b"{{OTHER}}" in template and "other" not in lab.fingerprints:
        lab.make("other", "Other <other@example.net>")
    text = lab.encrypt(BODY, "--armor", sign=True).replace(b"\n", b"\r\n").strip()
    linked = text.replace(
        b"MESSAGE-----\r\n", b'MESSAGE-----\r\nComment: <a href="https://x.example">x</a>\r\n', 1
    )
    rows = b"".join(b"<div>%s</div>\r\n" % (row or b"<br>") for row in text.split(b"\r\n"))
    values = {
        b"{{TEXT}}": lambda: text,
        b"{{TEXT-LINKED}}": lambda: linked,
        b"{{TEXT-DIVS}}": lambda: rows,
        b"{{ENTITY}}": lambda: lab.encrypt(ENTITY, "--armor", sign=True).strip(),
        b"{{FILE}}": lambda: lab.encrypt(b"in the file\n", "--armor", sign=True).strip(),
        b"{{UNSIGNED}}": lambda: lab.encrypt(b"in the file\n", "--armor").strip(),
        b"{{OTHER}}": lambda: lab.encrypt(b"in the file\n", "--armor", by="other", sign=True).strip(),
        b"{{JAPANESE}}": lambda: lab.encrypt(JAPANESE, "--armor", sign=True).strip(),
    }
    for mark, make in values.items():
        if mark in template:
            template = template.replace(mark, make())
    return template
