"""Files that agents attach to an answer: cleaned, signed for, sealed, and gone with the ticket."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import subprocess
from pathlib import Path

from PIL import Image

from testbed.house import House, pgp_mail
from testbed.openpgp_lab import Lab
from veildesk.attachments.inprocess import InProcessCleaner
from veildesk.core.limits import Limits
from veildesk.core.portal_entry import encode_portal_entry
from veildesk.core.ports import ThreadKeys
from veildesk.core.submission import Channel, PortalAnchor, PortalEntry, Submission
from veildesk.core.thread_entry import ThreadEntry, ThreadFile, decode_thread_entry
from veildesk.core.ticket import AgentReply, File
from veildesk.core.work import Reason, State
from veildesk.replies.collect import collect_replies
from veildesk.service.answer_files import signed_text
from veildesk.service.erasure import place_in

AUTHOR = "Agent Smith of the third floor"


def photo() -> bytes:
    image, out = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif[0x013B] = AUTHOR
    image.save(out, "JPEG", exif=exif)
    assert AUTHOR.encode() in out.getvalue()
    return out.getvalue()


async def lodged(house: House) -> tuple[ThreadKeys, str]:
    """A portal ticket in the helpdesk: its keys and its thread."""
    house.worker.outbound = dataclasses.replace(house.outbound, cleaner=InProcessCleaner())
    keys = await house.outbound.cipher.derive("eight words that only the visitor knows well")
    submission = Submission(
        Channel.PORTAL,
        b"d" * 32,
        encode_portal_entry(PortalEntry("Help.")),
        anchor=PortalAnchor(keys.lookup_id, keys.public_key),
        thread_entry=b"own",
    )
    await house.spool.accept(submission)
    await house.work()
    (entry,) = house.entries()
    return keys, entry.thread


async def newest(house: House, keys: ThreadKeys) -> ThreadEntry:
    view = await house.spool.thread(keys.lookup_id)
    assert view is not None
    return decode_thread_entry(house.outbound.cipher.unseal(keys, view.entries[-1]))


async def content_of(house: House, keys: ThreadKeys, file: ThreadFile) -> bytes:
    opened = b""
    for number in range(file.pieces):
        sealed = await house.spool.thread_piece(keys.lookup_id, file.place, number)
        assert sealed is not None
        opened += house.outbound.cipher.open_piece(file.key, number, file.pieces, sealed)
    return opened[: file.size]


async def test_files_reach_the_thread_cleaned_and_only_the_words_open_them(house: House) -> None:
    keys, thread = await lodged(house)
    text = b"Press the large button.\n" * 20_000
    await house.answer(
        thread, "See the files.\n", File("a.jpg", "image/jpeg", photo()), File("b.txt", "", text)
    )
    answer = await newest(house, keys)
    assert [(one.name, one.size) for one in answer.files][1] == ("b.txt", len(text))
    picture, steps = [await content_of(house, keys, file) for file in answer.files]
    assert steps == text
    assert AUTHOR.encode() not in picture
    assert Image.open(io.BytesIO(picture)).size == (8, 8)
    assert [one.sha256 for one in answer.files] == [
        hashlib.sha256(one).hexdigest() for one in (picture, steps)
    ]
    for path in house.state_dir.rglob("*"):
        kept = path.read_bytes() if path.is_file() else b""
        assert b"large button" not in kept
        assert b"b.txt" not in kept
    assert not house.sent()


async def test_stock_gpg_and_sha256sum_verify_every_file(house: House, lab: Lab, tmp_path: Path) -> None:
    keys, thread = await lodged(house)
    named = (("a.txt", b"one"), ("A.txt", b"two"), ("b c.txt", b"3"))
    files = [File(name, "text/plain", content) for name, content in named]
    await house.answer(thread, "See the files.\n", *files)
    answer = await newest(house, keys)
    assert [one.name for one in answer.files] == ["a.txt", "A-2.txt", "b c.txt"]
    folder = tmp_path / "saved"
    folder.mkdir()
    for file in answer.files:
        (folder / file.name).write_bytes(await content_of(house, keys, file))
    assert answer.signed is not None
    (folder / "answer.asc").write_text(answer.signed)
    lab.gpg("user", "--import", lab.certificate_file("desk"))
    (folder / "answer.txt").write_bytes(lab.gpg("user", "--decrypt", str(folder / "answer.asc")))
    tool = shutil.which("sha256sum")
    assert tool is not None
    check = [tool, "--check", "--ignore-missing", "answer.txt"]
    done = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 3
    (folder / "a.txt").write_bytes(b"changed")
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 1


async def test_an_answer_of_files_alone_says_so_in_its_signed_text(house: House) -> None:
    keys, thread = await lodged(house)
    await house.answer(thread, "", File("a.txt", "text/plain", b"one"))
    answer = await newest(house, keys)
    assert answer.text == ""
    assert answer.signed is not None
    assert f"{hashlib.sha256(b'one').hexdigest()}  a.txt" in answer.signed
    assert signed_text("Hello.\n\n", ()) == "Hello.\n"


async def test_a_file_that_cannot_be_cleaned_holds_the_answer(house: House) -> None:
    keys, thread = await lodged(house)
    await house.answer(thread, "Run this.\n", File("tool.exe", "", b"MZ" + bytes(200)))
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.FILES
    view = await house.spool.thread(keys.lookup_id)
    assert view is not None
    assert view.entries == (b"own",)
    assert not list((house.state_dir / "files").iterdir())


async def test_files_lie_there_once_when_the_gateway_dies_before_the_entry(house: House) -> None:
    keys, thread = await lodged(house)
    reply = house.backend.answer(thread, "See the file.\n")
    file = File("a.txt", "text/plain", b"line\n" * 100_000)
    house.backend.answers[-1] = dataclasses.replace(reply, files=(file,))
    await collect_replies(house.backend, house.spool, b"s" * 32, place_in, Limits())
    (work,) = await house.spool.claim([State.COLLECTED])
    outbound = house.worker.outbound
    from veildesk.core.encoding import decode_reply
    from veildesk.service.outbound import Outgoing

    kept = await house.spool.part(work.message_id, "reply")
    assert kept is not None
    sealed = await outbound.seal(await outbound.compose(Outgoing(work, decode_reply(kept))))
    stored = len(list((house.state_dir / "files").iterdir()))
    assert stored == 1
    # Here it dies; the next process finds the state "sending" and goes on.
    await house.spool.release(sealed.work)
    await house.work()
    answer = await newest(house, keys)
    assert await content_of(house, keys, answer.files[0]) == file.content
    assert len(list((house.state_dir / "files").iterdir())) == stored


async def test_deleting_the_ticket_reaches_the_files(house: House) -> None:
    keys, thread = await lodged(house)
    await house.answer(thread, "See the file.\n", File("a.txt", "text/plain", b"line\n" * 100_000))
    assert list((house.state_dir / "files").iterdir())
    await house.spool.erase((await house.rows(State.SENT))[0].ticket_id)
    assert not list((house.state_dir / "files").iterdir())
    assert await house.spool.thread(keys.lookup_id) is None


async def test_by_mail_files_go_inside_what_is_signed_and_encrypted(house: House, lab: Lab) -> None:
    house.worker.outbound = dataclasses.replace(house.outbound, cleaner=InProcessCleaner())
    (entry,) = await house.deliver(pgp_mail(lab, "Help\n"))
    await house.answer(entry.thread, "See the photo.\n", File("a.jpg", "image/jpeg", photo()))
    (wire,) = house.sent()
    assert b"a.jpg" not in wire
    from email import message_from_bytes, policy

    _, cipher = message_from_bytes(wire, policy=policy.default).iter_parts()
    opened = await lab.engine("user").open(cipher.get_content(), [lab.certificate("desk")])
    assert [one.verdict.value for one in opened.signatures] == ["valid"]
    (attached,) = message_from_bytes(opened.data, policy=policy.default).iter_attachments()
    assert attached.get_filename() == "a.jpg"
    assert AUTHOR.encode() not in attached.get_content()


async def test_more_than_fits_holds_the_answer_and_is_not_kept_in_memory(house: House) -> None:
    _, thread = await lodged(house)
    limits = dataclasses.replace(Limits(), answer_files_size=1000)
    reply = house.backend.answer(thread, "See the files.\n")
    files = (File("a.txt", "text/plain", b"x" * 900), File("b.txt", "text/plain", b"x" * 200))
    house.backend.answers[-1] = dataclasses.replace(reply, files=files)
    await collect_replies(house.backend, house.spool, b"s" * 32, place_in, limits)
    await house.work()
    (held,) = await house.rows(State.HELD)
    assert held.reason is Reason.FILES
    assert isinstance(reply, AgentReply)
