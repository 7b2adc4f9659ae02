"""`veildesk inspect` on real gpg: stable JSON, dispositions, a line for whatever is given."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from veildesk.cli import main
from veildesk.core.errors import KeyUnusable
from veildesk.core.message import Disposition, OpenedMessage, Signature, Verdict
from veildesk.core.ticket import File
from veildesk.mail.compose import Draft, protected_entity, signable_entity, wrap_encrypted, wrap_signed
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.service.disposition import dispose, dispose_failed
from veildesk.service.inspection_setup import InspectionKeys, inspection
from veildesk.service.key_files import certificates_in, passphrases_in
from veildesk.service.protection import mail_notices
from veildesk.service.runtime import runtime_folder

FIELDS = [
    *("file", "disposition", "reason", "encryption", "signatures", "subject", "subject_protected", "text"),
    *("attachments", "removed_headers", "findings"),
]


@dataclass(frozen=True)
class World:
    """Keys of a user and of the desk, and mails the user wrote."""

    folder: Path
    user: str
    desk_secret: Path
    user_public: Path


def jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "planted"
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "JPEG", exif=exif)
    return out.getvalue()


DRAFT = Draft(
    sender="user@mail.example",
    recipient="support@desk.example",
    subject="My wallet",
    text="Mail me at someone@mail.example\n",
    message_id="1@mail.example",
    moment=20_000 * 86400,
    files=(File("photo.jpg", "image/jpeg", jpeg()),),
)


def mixed(*items: bytes) -> bytes:
    """A mail of header and body, header and body."""
    parts = b"".join(
        b"--b\r\n" + (head + b"\r\n" if head else b"") + b"\r\n" + body + b"\r\n"
        for head, body in zip(items[::2], items[1::2], strict=True)
    )
    head = b"From: user@mail.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + parts + b"--b--\r\n"


async def make(folder: Path, runtime: Path) -> str:
    engine = GnuPGEngine(runtime / "home", runtime_dir=runtime / "rings")
    await engine.start()
    try:
        user = await engine.generate_key("User <user@mail.example>")
        desk = await engine.generate_key("Desk <support@desk.example>")
        public = await engine.export(desk)
        whole = await engine.seal(protected_entity(DRAFT), [public], user)
        (folder / "sealed.eml").write_bytes(wrap_encrypted(DRAFT, whole))
        answer = dataclasses.replace(DRAFT, references=("0@desk.example",), files=())
        inner = signable_entity(answer)
        signed = wrap_signed(answer, inner, await engine.sign_detached(inner, user))
        (folder / "signed.eml").write_bytes(signed)
        (folder / "tampered.eml").write_bytes(signed.replace(b"Mail me", b"Mall me"))
        (folder / "two-authors.eml").write_bytes(b"From: eve@evil.example\r\n" + signed)
        (folder / "damaged.eml").write_bytes(
            wrap_encrypted(DRAFT, whole).replace(b"\r\n\r\nhF", b"\r\n\r\nhE", 1)
        )
        elsewhere = await engine.seal(b"Content-Type: text/plain\r\n\r\nx", [await engine.export(user)], user)
        (folder / "for-others.eml").write_bytes(wrap_encrypted(DRAFT, elsewhere))
        armored = await engine.seal("Grüße\n--b\n\nstill text".encode(), [public], user)
        file = await engine.seal(b"file", [public], user)
        (folder / "inline.eml").write_bytes(mixed(b"", armored, b"Content-Type: a/b; name=x.pgp", file))
        (folder / "covert.eml").write_bytes(mixed(b"", armored, b"Content-Type: text/html", b"<p>answer me"))
        (folder / "later.eml").write_bytes(mixed(b"", b"plain words", b"", armored))
        (folder / "user.asc").write_bytes(await engine.export(user))
        for name, key in (("desk.key", desk), ("user.key", user)):
            command = ["gpg", "--homedir", str(runtime / "home"), "--batch", "--export-secret-keys", key]
            (folder / name).write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    finally:
        await engine.close()
    return user


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("inspect")
    with runtime_folder(None) as runtime:
        user = asyncio.run(make(folder, runtime))
    (folder / "plain.eml").write_bytes(b"From: a@example.org\nSubject: hi\nReceived: by x\n\nhello\n")
    (folder / "machine.eml").write_bytes(b"From: a@example.org\nAuto-Submitted: auto-replied\n\naway\n")
    (folder / "empty.eml").write_bytes(b"")
    (folder / "nested.eml").write_bytes(
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(100))
    )
    return World(folder, user, folder / "desk.key", folder / "user.asc")


def inspect(world: World, *names: str, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    keys = ("--secret-key", str(world.desk_secret), "--public-key", str(world.user_public))
    arguments = ["inspect", "--json", *keys, *options, *(str(world.folder / name) for name in names)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_sealed_mail_is_told_in_full(world: World) -> None:
    (report,) = inspect(world, "sealed.eml")
    assert list(report) == FIELDS
    assert report["file"] == str(world.folder / "sealed.eml")
    assert (report["disposition"], report["reason"]) == ("ticket", "")
    assert report["encryption"] == {"scope": "whole", "integrity": "mdc"}
    assert report["signatures"] == [
        {"verdict": "valid", "fingerprint": world.user, "scope": "whole", "bound_to_from": True}
    ]
    assert (report["subject"], report["subject_protected"]) == ("My wallet", True)
    assert report["text"] == "Mail me at someone@mail.example"
    (photo,) = report["attachments"]
    assert photo["name"].endswith(".jpg")
    assert (photo["type"], photo["cleaned"], photo["refused"]) == ("image/jpeg", True, None)
    assert photo["sha256"] != hashlib.sha256(jpeg()).hexdigest()
    assert report["removed_headers"] == ["From", "To", "Subject", "Date", "Message-ID", "HP-Outer"]
    assert report["findings"] == [{"type": "EMAIL", "count": 1}]


def test_redacted_shows_what_agents_get(world: World) -> None:
    (report,) = inspect(world, "sealed.eml", options=("--redacted",))
    assert "someone@mail.example" not in json.dumps(report)
    assert "[email-1]" in report["text"]
    assert report["findings"] == [{"type": "EMAIL", "count": 1}]


@pytest.mark.parametrize(
    ("name", "disposition", "reason"),
    [
        ("plain.eml", "ticket", ""),
        ("signed.eml", "reply", "answers-a-message"),
        ("tampered.eml", "reply", "answers-a-message"),
        ("two-authors.eml", "quarantine", "ambiguous-sender"),
        ("machine.eml", "automatic", "automatic"),
        ("for-others.eml", "quarantine", "undecryptable"),
        ("empty.eml", "refuse", "unparsable"),
        ("nested.eml", "refuse", "limit-exceeded"),
        ("missing.eml", "refuse", "unreadable-file"),
        (".", "refuse", "unreadable-file"),
    ],
)
def test_dispositions(world: World, name: str, disposition: str, reason: str) -> None:
    (report,) = inspect(world, name)
    assert list(report) == FIELDS
    assert (report["disposition"], report["reason"]) == (disposition, reason)


def test_verdicts(world: World) -> None:
    signed, tampered, authors = inspect(world, "signed.eml", "tampered.eml", "two-authors.eml")
    assert [one["verdict"] for one in signed["signatures"]] == ["valid"]
    assert [one["bound_to_from"] for one in signed["signatures"]] == [True]
    assert [one["verdict"] for one in tampered["signatures"]] == ["invalid"]
    assert not tampered["subject_protected"]
    assert [one["bound_to_from"] for one in authors["signatures"]] == [False]


def test_inline_body_is_opened_and_so_is_the_file_its_key_signed(world: World) -> None:
    (report,) = inspect(world, "inline.eml")
    assert report["encryption"] == {"scope": "part", "integrity": "mdc"}
    assert report["text"] == "Grüße\n--b\n\nstill text"
    assert report["signatures"] == [
        {"verdict": "valid", "fingerprint": world.user, "scope": "part", "bound_to_from": True}
    ]
    (file,) = report["attachments"]
    assert file["cleaned"]
    assert (file["name"], file["sha256"]) == ("x.txt", hashlib.sha256(b"file").hexdigest())


@pytest.mark.parametrize("name", ["covert.eml", "later.eml"])
def test_ciphertext_beside_other_text_stays_closed(world: World, name: str) -> None:
    (report,) = inspect(world, name)
    assert report["encryption"] == {"scope": "part", "integrity": None}
    assert "BEGIN PGP MESSAGE" in report["text"]
    assert "Grüße" not in report["text"]
    assert report["signatures"] == []


def test_without_keys_nothing_is_opened_or_valid(world: World) -> None:
    paths = [str(world.folder / name) for name in ("sealed.eml", "signed.eml")]
    result = CliRunner().invoke(main, ["inspect", "--json", *paths], catch_exceptions=False)
    sealed, signed = (json.loads(line) for line in result.stdout.splitlines())
    assert (sealed["disposition"], sealed["text"]) == ("quarantine", "")
    assert sealed["encryption"] == {"scope": "whole", "integrity": None}
    assert [one["verdict"] for one in signed["signatures"]] == ["unknown-key"]


def test_damaged_mail_shows_no_text(world: World) -> None:
    (report,) = inspect(world, "damaged.eml")
    assert report["text"] == ""
    assert report["disposition"] in ("refuse", "quarantine")


def test_reports_come_in_the_order_given(world: World) -> None:
    names = ["plain.eml", "sealed.eml", "empty.eml", "machine.eml", "signed.eml", "plain.eml", "missing.eml"]
    assert [Path(report["file"]).name for report in inspect(world, *names)] == names


def test_key_files_that_are_none_are_named_and_passed_over(world: World) -> None:
    keys = ["--public-key", str(world.folder / "user.key"), "--secret-key", str(world.user_public)]
    arguments = ["inspect", "--json", *keys, str(world.folder / "plain.eml")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "user.key: certificate-secret" in result.stderr
    assert "user.asc: secret-none" in result.stderr


def test_file_names_that_are_no_utf_8(world: World) -> None:
    path = world.folder / os.fsdecode(b"\xff.eml")
    path.write_bytes(b"From: a@example.org\nSubject: =?utf-8?q?=ED=A0=80?=\n\n\xf0\x9f\x98\x80")
    command = [sys.executable, "-m", "veildesk", "inspect", "--json", path]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    report = json.loads(done.stdout.decode("utf-8"))
    assert report["file"].endswith("/\ufffd.eml")
    assert report["text"] == "\U0001f600"


def test_words_for_people(world: World) -> None:
    arguments = ["inspect", "--secret-key", str(world.desk_secret), str(world.folder / "sealed.eml")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "sealed.eml: ticket" in result.stdout
    assert "encryption  whole, integrity mdc" in result.stdout


def test_nothing_is_left_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder of this test's own: other tests run at the same time and make theirs.
    with runtime_folder(None) as folder:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
        before = folder.stat().st_mtime_ns
        inspect(world, "sealed.eml")
        assert folder.stat().st_mtime_ns != before
        assert list(folder.iterdir()) == []


async def test_a_fault_of_ours_is_a_report_too(tmp_path: Path) -> None:
    class Broken:
        async def clean(self, name: str, media_type: str, content: bytes) -> Any:
            raise RuntimeError("broken")

    path = tmp_path / "a.eml"
    path.write_bytes(b"From: a@example.org\nContent-Type: image/png\n\nx")
    async with inspection(InspectionKeys()) as (inspector, unusable):
        report = await dataclasses.replace(inspector, cleaner=Broken()).report(path)
    assert unusable == []
    assert (report["disposition"], report["reason"]) == ("quarantine", "internal")


@pytest.mark.parametrize(
    ("message", "disposition"),
    [
        (OpenedMessage(from_address="a@b.c"), Disposition.TICKET),
        (OpenedMessage(), Disposition.TICKET),
        (OpenedMessage(references=("x@y",)), Disposition.REPLY),
        (OpenedMessage(references=("x@y",), automatic=True), Disposition.AUTOMATIC),
        (OpenedMessage(signatures=(Signature(Verdict.VALID),)), Disposition.TICKET),
        (OpenedMessage(signatures=(Signature(Verdict.VALID),), from_address="a@b.c"), Disposition.TICKET),
        (
            OpenedMessage(
                signatures=(Signature(Verdict.VALID),), from_address="a@b.c", notes=("ambiguous-sender",)
            ),
            Disposition.QUARANTINE,
        ),
    ],
)
def test_disposition_rules(message: OpenedMessage, disposition: Disposition) -> None:
    assert dispose(message)[0] is disposition


def test_what_came_through_a_list_is_said_to_have() -> None:
    listed = OpenedMessage(automatic=True, notes=("through-a-list",))
    assert dispose(listed) == (Disposition.AUTOMATIC, "through-a-list")
    assert any("mailing list" in line for line in mail_notices(listed))
    assert dispose(OpenedMessage(automatic=True))[1] == "automatic"


def test_smime_without_text_says_why() -> None:
    assert dispose(OpenedMessage(notes=("smime-unsupported",))) == (Disposition.TICKET, "smime-unsupported")
    assert dispose(OpenedMessage(notes=("smime-unsupported",), text="signed text"))[1] == ""


def test_failures_of_ours_are_never_a_refusal() -> None:
    assert dispose_failed(KeyUnusable("x")) == (Disposition.QUARANTINE, "internal")


def test_key_files(world: World) -> None:
    data = world.user_public.read_bytes()
    assert len(certificates_in(data)) == 1
    assert len(certificates_in(data + b"\n" + data)) == 2
    for wrong in (b"", b"no key", world.desk_secret.read_bytes()):
        with pytest.raises(KeyUnusable):
            certificates_in(wrong)
    assert passphrases_in(b"one\r\n\ntwo two\n") == (b"one", b"two two")
