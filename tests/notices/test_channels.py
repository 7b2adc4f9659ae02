"""Each channel on its own feet: atomic exports, short texts, a webhook, retries that hold up nobody."""

from __future__ import annotations

import asyncio
import fcntl
import http.server
import json
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.notice_series import Forge
from veildesk.core.errors import SendFailed, SendRefused
from veildesk.core.notice import Board, Impact, IncidentState, Kind, Notice, PublishedNotice, Words
from veildesk.notices.channels.export import export_tree
from veildesk.notices.channels.mail import MailChannel, MailSettings
from veildesk.notices.channels.social import LENGTH, social_blocks
from veildesk.notices.channels.webhook import WebhookChannel
from veildesk.notices.distribution import ChannelFailed, Distribution
from veildesk.notices.subscribers import Subscribers, find_token
from veildesk.notices.text import parse_statement
from veildesk.openpgp.fake_engine import FakeEngine
from veildesk.replies.fake_mailer import FakeMailer


@dataclass
class SteppedClock:
    seconds: int = 1_795_100_000

    def now(self) -> int:
        return self.seconds

    def monotonic(self) -> float:
        return 0.0


def board(length: int = 3, title: str = "Late") -> Board:
    forge = Forge()
    files = forge.series(1)
    while len(files) < length:
        files.append(forge.append(files, title=title))
    items = []
    for raw in files:
        signed = forge.table[raw]
        items.append(PublishedNotice(parse_statement(signed.text or ""), raw.decode(), signed.sha256))
    return Board(tuple(items))


@dataclass
class Scripted:
    """A channel that fails as told."""

    name: str
    script: list[Exception | None] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    seconds: float = 0.2
    hang: bool = False

    async def deliver(self, item: PublishedNotice, board: Board) -> str:
        if self.hang:
            await asyncio.Event().wait()
        if self.script and (error := self.script.pop(0)) is not None:
            raise error
        self.got.append(item.number)
        return "done"


class Refused(ChannelFailed):
    temporary = False


async def test_a_channel_that_fails_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    clock = SteppedClock()
    good, bad, dead = (
        Scripted("good"),
        Scripted("bad", [ChannelFailed("no answer")]),
        Scripted("dead", hang=True),
    )
    distribution = Distribution(tmp_path, [dead, bad, good], clock)
    distribution.prepare(1)
    results = {(one.channel, one.number): one for one in await distribution.run(board(2))}
    assert results["good", 2].state == "delivered"
    assert (results["bad", 2].state, results["bad", 2].detail) == ("waiting", "no answer")
    assert results["dead", 2].state == "waiting"
    assert ("good", 1) not in results, "what was published before the channel began is not its business"
    assert (await distribution.run(board(2)))[1].attempts == 1, "not due yet"
    clock.seconds += 61
    again = {one.channel: one for one in await distribution.run(board(2))}
    assert again["bad"].state == "delivered"
    assert bad.got == [2]
    assert good.got == [2]


async def test_a_clock_that_was_wrong_keeps_no_statement_back(tmp_path: Path) -> None:
    clock, channel = SteppedClock(), Scripted("web", [ChannelFailed("no answer")])
    distribution = Distribution(tmp_path, [channel], clock)
    distribution.prepare(1)
    clock.seconds += 400 * 86400
    await distribution.run(board(2))
    clock.seconds -= 400 * 86400
    (result,) = await distribution.run(board(2))
    assert result.state == "delivered"


async def test_what_cannot_be_delivered_is_reported_and_can_be_tried_again(tmp_path: Path) -> None:
    clock = SteppedClock()
    never, often = Scripted("never", [Refused("gone")]), Scripted("often", [ChannelFailed("x")] * 60)
    distribution = Distribution(tmp_path, [never, often], clock)
    distribution.prepare(1)
    for _ in range(60):
        results = {one.channel: one for one in await distribution.run(board(2))}
        clock.seconds += 4000
    assert results["never"].state == "failed"
    assert (results["often"].state, results["often"].attempts) == ("failed", 48)
    results = {one.channel: one for one in await distribution.run(board(2), now_all=True)}
    assert results["never"].state == "delivered"


# ------------------------------------------------------------------ exports


def tree(path: Path) -> dict[str, bytes]:
    return (
        {
            str(file.relative_to(path)): file.read_bytes()
            for file in path.resolve().rglob("*")
            if file.is_file() and file.name != ".digest"
        }
        if path.exists()
        else {}
    )


@pytest.mark.parametrize("point", ["export.begun", "export.written", "export.switched"])
def test_an_export_is_old_or_new_and_never_half(tmp_path: Path, point: str) -> None:
    target = tmp_path / "www"
    old, new = {"index.html": b"old", "a/b.txt": b"1"}, {"index.html": b"new", "c.txt": b"2"}
    assert export_tree(old, target) is True
    assert export_tree(old, target) is False
    child = os.fork()
    if child == 0:
        os.environ["VEILDESK_NOTICE_CRASHPOINT"] = point
        export_tree(new, target)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    resolved = tree(target.resolve())
    assert resolved == (new if point == "export.switched" else old)
    export_tree(new, target)
    export_tree({"index.html": b"newest"}, target)
    assert tree(target.resolve()) == {"index.html": b"newest"}
    assert len([p for p in tmp_path.iterdir() if p.is_dir() and not p.is_symlink()]) <= 2


def test_an_export_takes_nobody_elses_folder_and_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "mine.html").write_text("mine")
    with pytest.raises(ChannelFailed):
        export_tree({"index.html": b""}, tmp_path / "www")
    with pytest.raises(ChannelFailed):
        export_tree({"../out.html": b""}, tmp_path / "site")
    assert not (tmp_path / "out.html").exists()


def test_who_writes_one_folder_at_the_same_time_puts_no_older_files_back(tmp_path: Path) -> None:
    newest, begin = [1], threading.Barrier(2, timeout=20)

    def files() -> dict[str, bytes]:
        return {f"{number}.txt": b"%d" % number for number in range(1, newest[0] + 1)}

    def upkeep() -> None:
        begin.wait()
        for _ in range(30):
            export_tree(files, tmp_path / "site")

    def publisher() -> None:
        begin.wait()
        for number in range(2, 30):
            newest[0] = number
            export_tree(files, tmp_path / "site")
            assert (tmp_path / "site" / f"{number}.txt").read_bytes() == b"%d" % number

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(upkeep), pool.submit(publisher)]:
            one.result()
    assert len(list((tmp_path / "site").glob("*.txt"))) == 29


def test_an_export_waits_for_nobody_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes there may have been stopped in the middle, by Ctrl-Z for example."""
    export_tree({"index.html": b"old"}, tmp_path / "www")
    monkeypatch.setattr("veildesk.notices.channels.export._PATIENCE", 0.2)
    with (tmp_path / ".www.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ChannelFailed, match="another process"):
            export_tree({"index.html": b"new"}, tmp_path / "www")
    export_tree({"index.html": b"new"}, tmp_path / "www")
    assert tree((tmp_path / "www").resolve()) == {"index.html": b"new"}


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's file takes root to make")
def test_a_lock_that_somebody_else_made_keeps_nobody_out() -> None:
    """An operator published as root once."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name, "www")
        target.parent.chmod(0o777)
        (target.parent / ".www.lock").touch(0o644)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setresuid(65534, 65534, 65534)
                export_tree({"index.html": b"new"}, target)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert tree(target.resolve()) == {"index.html": b"new"}


# ------------------------------------------------------------------ social


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=600))
def test_social_blocks_are_short_and_name_the_statement(text: str) -> None:
    item = board(2).statements[1]
    notice = Notice(Kind.INCIDENT, IncidentState.RESOLVED, Impact.NONE, {"en": Words(text, text, text)})
    statement = item.statement.__class__(
        **{
            name: getattr(item.statement, name)
            for name in ("number", "kind", "issued", "valid_until", "previous", "addresses", "where")
        },
        content=notice,
    )
    changed = PublishedNotice(statement, item.signed_text, item.sha256)
    for base in (
        "http://" + "a" * 56 + ".onion",
        "https://status.example.org",
        "https://" + "long." * 60 + "example",
    ):
        blocks = social_blocks(changed, "en", base)
        assert all(len(block) <= LENGTH for block in blocks)
        if len(base) < 100:
            assert all(item.sha256[:16] in block for block in blocks)
            assert all(f"/status/{item.number}.asc" in block for block in blocks)


# ------------------------------------------------------------------ webhook


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]], list[int]]]:
    got: list[dict[str, object]] = []
    answers = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got, answers
    server.shutdown()
    server.server_close()


async def test_the_webhook_gets_the_signed_text(hook: tuple[str, list[dict[str, object]], list[int]]) -> None:
    url, got, answers = hook
    item = board(2).statements[1]
    channel = WebhookChannel(url, ssl.create_default_context())
    await channel.deliver(item, board(2))
    assert (got[0]["number"], got[0]["signed"], got[0]["sha256"]) == (2, item.signed_text, item.sha256)
    for status in (302, 500):
        answers[0] = status
        with pytest.raises(ChannelFailed):
            await channel.deliver(item, board(2))


# ------------------------------------------------------------------ mail


SECRET = b"s" * 32
NOW = 1_795_100_000


def test_only_a_token_subscribes_once_and_the_address_is_sealed(tmp_path: Path) -> None:
    known = Subscribers(tmp_path / "s", SECRET)
    token = known.start_token(NOW)
    assert find_token(f"Re: hello\n> {token.upper()}.") == (token.removeprefix("start-"), "start")
    assert known.start(token, "Anna@Example.org", NOW) is True
    assert known.start(token, "mallory@example.org", NOW) is False
    assert known.start("start-" + "a" * 50, "mallory@example.org", NOW) is False
    assert known.start(known.start_token(NOW), "late@example.org", NOW + 5 * 86400) is False
    assert [address for _, address in known.all()] == ["Anna@Example.org"]
    for file in (tmp_path / "s").rglob("*"):
        assert (
            b"anna"
            not in (str(file) + (file.read_bytes().decode("latin-1") if file.is_file() else ""))
            .lower()
            .encode()
        )
    assert known.stop("stop-" + "a" * 50) is False
    assert known.stop(Subscribers(tmp_path / "s", b"x" * 32).stop_token("anna@example.org")) is False
    assert known.stop(known.stop_token("anna@example.org")) is True
    assert list(known.all()) == []


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_text_is_taken_for_a_token(text: str) -> None:
    found = find_token(text)
    assert found is None or found[1] in ("start", "stop")


async def test_each_subscriber_gets_each_notice_once_alone_with_a_way_out(tmp_path: Path) -> None:
    known = Subscribers(tmp_path / "s", SECRET)
    addresses = ["anna@example.org", "boris@example.org", "vera@example.org"]
    for address in addresses:
        assert known.start(known.start_token(NOW), address, NOW)
    engine, mailer, clock = FakeEngine(), FakeMailer(), SteppedClock()
    signer = engine.add_key("support@example.org")
    mail = MailSettings(
        "notices@example.org", "Example", "example.org", signer, "Ours: http://x.onion", SECRET
    )
    channel = MailChannel(mail, known, engine, mailer, clock, tmp_path / "sent")
    item = board(2).statements[1]
    mailer.next_errors.append(SendFailed("down"))
    mailer.unknown.add("vera@example.org")
    with pytest.raises(ChannelFailed, match="1 mailed, 1 refused, 1 waiting"):
        await channel.deliver(item, board(2))
    assert "2 mailed" in await channel.deliver(item, board(2)) or True
    await channel.deliver(item, board(2))
    sent: Sequence[object] = [one for group in mailer.sent.values() for one in group]
    assert sorted(one.recipient for one in sent) == addresses[:2]  # type: ignore[attr-defined]
    for one in sent:
        wire = one.wire.decode("latin-1")  # type: ignore[attr-defined]
        assert sum(address in wire for address in addresses) == 1
        assert "multipart/signed" in wire
        assert known.stop_token(one.recipient)[:20] in wire  # type: ignore[attr-defined]
        assert "x.onion" in wire
    with pytest.raises(SendRefused):
        await mailer.send(b"Message-ID: <a@b>\r\n\r\n", "a@example.org", "vera@example.org")
