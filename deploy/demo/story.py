"""The main job, step by step, each on real parts: tor, Postfix, Dovecot, gpg and the gateway itself."""

from __future__ import annotations

import base64
import io
import json
import os
import quopri
import re
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from gateway import GatewayProcess
from person import Person
from PIL import Image
from planted import Planted, photo, plant
from told import Told, check, sha256
from visitor import form_with, forms_of, submit

from testbed.mail_servers import MailServers
from testbed.onion_http import OnionClient, Page
from testbed.private_tor import PrivateTor

SUPPORT = "support@gateway.test"
BATCH = 8


@dataclass
class World:
    """What is up, and what the steps hand on to each other."""

    folder: Path
    tor: PrivateTor
    mail: MailServers
    gateway: GatewayProcess
    person: Person
    keys: dict[str, str]
    onion: str
    planted: list[Planted]
    words: str = ""
    visitor: OnionClient | None = None
    sent: int = 0

    @property
    def maildir(self) -> Path:
        """Where clean tickets land."""
        return self.gateway.folder / "tickets"

    @property
    def replies(self) -> Path:
        """Where an agent drops answers."""
        return self.gateway.folder / "replies"

    def tickets(self) -> list[EmailMessage]:
        """All clean tickets, parsed."""
        files = sorted(p for part in ("new", "cur") for p in (self.maildir / part).glob("*"))
        return [message_from_bytes(p.read_bytes(), policy=policy.default) for p in files]  # type: ignore[misc]


def mails_arrive(told: Told, world: World) -> None:
    """b and g: three PGP mails by two ways, a batch of plain ones, and a SIGKILL in between."""
    person, gateway = world.person, world.gateway
    for _ in range(3):
        world.planted.append(plant())
    mime, fetched, inline = world.planted[:3]
    with told.step(
        "b", "a user with stock gpg writes three PGP mails; the gateway is killed in between"
    ) as saw:
        feeding = threading.Thread(target=_feed, args=(person, mime, fetched))
        feeding.start()
        before = _kept(gateway)
        killed = gateway.kill()
        feeding.join()
        person.send(person.inline("Third try", greeting(3, inline)), SUPPORT)
        gateway.start()
        world.mail.flush()
        world.sent = 3 + BATCH
        gateway.wait("mails delivered", 120, delivered=world.sent)
        saw.update(sent=world.sent, killed_pid=killed, kept_before_kill=before)
    with told.step("g", "nothing was lost or doubled by the kill") as saw:
        texts = [_body(ticket) for ticket in world.tickets()]
        for marker in [f"request {n}" for n in (1, 2, 3)] + [f"m{n}x" for n in range(BATCH)]:
            found = sum(bool(re.search(rf"\b{marker}\b", text)) for text in texts)
            check(found == 1, f"{marker} is in {found} tickets")
        check(len(texts) == world.sent, f"{len(texts)} tickets for {world.sent} mails")
        saw.update(tickets=len(texts), lost=0, doubled=0)


def _feed(person: Person, mime: Planted, fetched: Planted) -> None:
    """Send while the gateway works, is killed, and is away: Postfix keeps what finds nobody."""
    person.send(person.pgp_mime("Wallet closes", greeting(1, mime), photo(mime)), SUPPORT)
    person.send(
        person.pgp_mime("Wallet closes again", greeting(2, fetched), photo(fetched)), "inbox@users.test"
    )
    for number in range(BATCH):
        text = f"Plain mail number {number}, marker m{number}x.\n"
        person.send(person.plain(f"Plain {number}", text), SUPPORT)


def greeting(number: int, planted: Planted) -> str:
    """A request with a marker that is nobody's secret."""
    return f"Hello, this is request {number}.\n\n{planted.paragraph()}"


def _kept(gateway: GatewayProcess) -> int:
    """Messages accepted so far; waits for the first one, so that the kill hits work under way."""
    for _ in range(600):
        status = gateway.status()
        if status and sum(status["messages"].values()):
            return sum(status["messages"].values())
        time.sleep(0.02)
    raise TimeoutError("no mail was accepted")


def visitor_writes(told: Told, world: World) -> None:
    """c: a portal ticket through the onion."""
    secret = plant()
    world.planted.append(secret)
    with told.step("c", "an anonymous visitor opens a ticket through the onion") as saw:
        visitor = OnionClient(world.tor.socks_port, world.onion)
        saw["reachable_after"] = round(visitor.wait_reachable(), 2)
        page = visitor.get("/en/new")
        check("<script" not in page.text, "the page has a script")
        form = form_with(page, "message")
        picture = ("files", "photo.jpg", "image/jpeg", photo(secret))
        page = submit(visitor, page, form, {"message": greeting(4, secret)}, files=(picture,))
        check("[email-1]" in page.text, "the check page shows no masks")
        check(not leaks(masked_preview(page), [secret]), "the check page shows a secret")
        saw["masks_shown"] = len(set(re.findall(r"\[[a-z-]+-\d+\]", page.text)))
        form = form_with(page, "words")
        shown_before = dict(form.fields)["words"]
        page = submit(visitor, page, form, {}, button=("op", "send"))
        check(page.status == 200 and "/receipt" in page.path, f"no receipt but {page.path} ({page.status})")
        check(all(word in page.text for word in shown_before.split()), "the receipt has other words")
        world.words, world.visitor = shown_before, visitor
        saw["ticket_words"] = len(shown_before.split())
        world.sent += 1
        world.gateway.wait("portal ticket delivered", 60, delivered=world.sent)


def masked_preview(page: Page) -> bytes:
    """The part of the check page that shows the message as agents will get it."""
    match = re.search(rb"What support will get</h2>(.*?)<h2>What is hidden", page.body, re.S)
    check(match is not None, "the check page has no preview")
    assert match is not None
    return match[1]


def tickets_are_clean(told: Told, world: World) -> None:
    """d: masks, no identifying header, no metadata, no secret anywhere."""
    with told.step("d", "the agent's Maildir holds clean tickets, with no planted secret in any byte") as saw:
        files = sorted(p for part in ("new", "cur") for p in (world.maildir / part).glob("*"))
        headers: set[str] = set()
        masks: set[str] = set()
        pictures = 0
        for path in files:
            raw = path.read_bytes()
            check(not leaks(raw, world.planted), f"a secret is in {path.name}")
            ticket = message_from_bytes(raw, policy=policy.default)
            headers.update(name.lower() for name in ticket)
            masks.update(re.findall(r"\[([a-z-]+)-\d+\]", _body(ticket)))
            for part in ticket.iter_attachments():
                content = part.get_content()
                if part.get_content_type() == "image/jpeg":
                    pictures += 1
                    check(not Image.open(io.BytesIO(content)).getexif(), "a picture has EXIF")
                check(
                    not leaks(content if isinstance(content, bytes) else content.encode(), world.planted),
                    "leak",
                )
        first = next(_body(t) for t in world.tickets() if "request 1" in _body(t))
        check(first.count("[email-1]") >= 2, "the same address has two masks")
        check("4.2.17" in first and "0x80070005" in first, "version or error code was masked")
        forbidden = {
            "received",
            "user-agent",
            "x-mailer",
            "x-originating-ip",
            "reply-to",
            "sender",
            "autocrypt",
        }
        check(not headers & forbidden, f"identifying headers: {headers & forbidden}")
        check(pictures == 3, f"{pictures} pictures instead of 3")
        saw.update(tickets=len(files), pictures_clean=pictures, masks=sorted(masks), headers=sorted(headers))
        saw["sha256"] = sha256(b"".join(path.read_bytes() for path in files))
    with told.step(
        "canary", "no planted secret in any file the gateway wrote, logs and database included"
    ) as saw:
        count = 0
        for path in world.gateway.folder.rglob("*"):
            if path.is_file():
                count += 1
                check(not leaks(path.read_bytes(), world.planted), f"a secret is in {path}")
        saw["files_searched"] = count


def leaks(data: bytes, planted: list[Planted]) -> list[str]:
    """Planted values found as they are, in base64 (any phase), hex, UTF-16 or quoted-printable."""
    found = []
    decoded = quopri.decodestring(data) if b"=\n" in data or b"=\r\n" in data or b"=3D" in data else b""
    lowered = data.lower() + decoded.lower()
    for secret in planted:
        for value in secret.values():
            raw = value.encode()
            forms = [raw.lower(), raw.hex().encode(), value.encode("utf-16-le").lower()]
            if any(form in lowered for form in forms) or any(form in data for form in _base64_forms(raw)):
                found.append(value)
    return found


def _base64_forms(raw: bytes) -> list[bytes]:
    return [base64.b64encode(b"x" * skip + raw)[4 if skip else 0 : -4] for skip in range(3) if len(raw) > 8]


def agent_answers(told: Told, world: World) -> None:
    """e: signed and encrypted answers by mail, a signed one in the portal thread."""
    with told.step(
        "e", "the agent answers; users get signed, encrypted answers, the visitor a signed one"
    ) as saw:
        answered = 0
        for ticket in world.tickets():
            match = re.search(r"request (\d)", _body(ticket))
            if match is None:
                continue
            reply = EmailMessage(policy=policy.SMTP)
            reply["From"] = "agent@desk.example"
            reply["Subject"] = f"Re: {ticket['Subject']}"
            reply["In-Reply-To"] = str(ticket["Message-ID"])
            reply.set_content(f"Please update to 4.2.18. This answers request {match[1]}.\n")
            drop(world.replies, f"answer-{match[1]}.eml", reply.as_bytes())
            answered += 1
        check(answered == 4, f"{answered} tickets to answer instead of 4")
        world.gateway.command_poll()
        replies = [world.person.open(raw) for raw in world.person.wait_replies(3)]
        for reply in replies:
            check(reply.encrypted, "an answer is not encrypted")
            check(
                reply.valid and reply.signer == world.keys["support_key"],
                "an answer is not signed by support",
            )
            check(reply.outer_subject in ("...", "[...]"), "the outer subject is not hidden")
            check(reply.subject.startswith("Re: "), "there is no protected subject")
        numbers = sorted(re.findall(r"answers request (\d)", " ".join(r.text for r in replies)))
        check(numbers == ["1", "2", "3"], f"answers {numbers} arrived")
        _, signed = _visitor_reads(world)
        check(
            world.keys["support_key"] in verify(signed, world.gateway.folder / "keys" / "support.asc"),
            "bad signature",
        )
        saw.update(
            answers=len(replies) + 1, signer=world.keys["support_key"], subjects=[r.subject for r in replies]
        )
        saw["thread_answer_sha256"] = sha256(signed)


def drop(folder: Path, name: str, content: bytes) -> None:
    """Put an answer into the reply folder in one step, as mail programs do."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}"
    temporary.write_bytes(content)
    temporary.rename(folder / name)


def _visitor_reads(world: World) -> tuple[Page, bytes]:
    """Find the answer with nothing but the words, on a fresh circuit."""
    visitor = OnionClient(world.tor.socks_port, world.onion)
    world.gateway.wait("portal answer", 60, sent=4)
    page = visitor.get("/en/track")
    page = submit(visitor, page, form_with(page, "words"), {"words": world.words})
    check("answers request 4" in page.text, f"the answer is not in the thread: {page.path}")
    link = re.search(r'href="([^"]*message/\d+\.asc)"', page.text)
    check(link is not None, "the thread offers no signed file")
    assert link is not None
    path = link[1] if link[1].startswith("/") else page.path.rsplit("/", 1)[0] + "/" + link[1]
    return page, visitor.get(path).body


def verify(signed: bytes, key: Path) -> str:
    """Stock `gpg --verify` in a fresh home; returns the primary fingerprint that signed."""
    home = Path(tempfile.mkdtemp(prefix="vd-"))
    try:
        base = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
        subprocess.run([*base, "--import", str(key)], check=True, capture_output=True)
        file = home / "signed.asc"
        file.write_bytes(signed)
        done = subprocess.run(
            [*base, "--status-fd", "1", "--verify", str(file)], capture_output=True, check=False
        )
        check(done.returncode == 0, f"gpg --verify: {done.stderr.decode(errors='replace')}")
        match = re.search(r"VALIDSIG (?:\S+ ){9}([0-9A-F]{40})", done.stdout.decode())
        return match[1] if match else ""
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def notice_is_published(told: Told, world: World) -> str:
    """f: a notice on the status page, verified as served. Returns its URL path."""
    with told.step(
        "f", "an operator publishes a signed notice; the onion shows it and gpg verifies it"
    ) as saw:
        title = f"Answers are late today ({os.urandom(2).hex()})"
        words = ["notice", "publish", "--config", str(world.gateway.config), "--json", "--title", title]
        words += ["--state", "investigating", "--impact", "minor", "--action", "You need not do anything."]
        words += ["--summary", "Answers take longer than usual.", "--affected", "Answers by mail."]
        path = json.loads(world.gateway.command(*words))["path"]
        assert world.visitor is not None
        page = world.visitor.get("/en/status")
        check(title in page.text, "the status page does not show the notice")
        served = world.visitor.get(path)
        signer = verify(served.body, world.gateway.folder / "keys" / "notices.asc")
        check(signer == world.keys["notice_key"], "the notice is not signed by the notice key")
        saw.update(title=title, signer=signer, sha256=sha256(served.body))
    return path


def _body(ticket: EmailMessage) -> str:
    body = ticket.get_body(("plain",))
    return body.get_content() if body is not None else ""


__all__ = [
    "SUPPORT",
    "World",
    "agent_answers",
    "forms_of",
    "mails_arrive",
    "notice_is_published",
    "tickets_are_clean",
    "visitor_writes",
]
