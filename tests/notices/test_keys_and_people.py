"""Keys elsewhere, several signers, rotation, revocation and expiry, on real keys."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.openpgp_lab import Lab
from testbed.press import fresh_gpg, press_room, stop_agents
from veildesk.notices.expiry import checks, expiries
from veildesk.notices.signing import read_signed, sign_text

# Each command makes several runs of gpg; the machine may be busy.
pytestmark = pytest.mark.timeout(300)
PLAIN = ["--title", "T", "--state", "resolved", "--impact", "none", "--action", "Wait.", "--summary", "S"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "lab")
    lab.root.mkdir()
    yield lab
    for home in lab.root.iterdir():
        if home.is_dir():
            stop_agents(home)


def test_two_of_three_sign_offline_then_one_key_is_rotated_out(lab: Lab, tmp_path: Path) -> None:
    with press_room() as room:
        first = room.keys["notice_key"]
        others = [lab.make(who, f"{who} <{who}@example.org>") for who in ("anna", "boris")]
        for who in ("anna", "boris"):
            room.gpg("--import", lab.certificate_file(who))
        room.settings(f'[notices]\nthreshold = 2\nsigners = ["{others[0]}", "{others[1]}"]\n')

        def sign(text: Path, who: str) -> Path:
            out = tmp_path / f"{text.name}.{who}.asc"
            words = ["--home", str(lab.home(who)), "--key", lab.fingerprints[who], "--out", str(out)]
            assert room.command("notice", "sign", str(text), *words).returncode == 0
            return out

        def combined(text: Path, *parts: Path) -> Path:
            out = tmp_path / f"{text.name}.all.asc"
            done = room.command("notice", "combine", *map(str, parts), "--out", str(out))
            assert done.returncode == 0, done.stderr
            return out

        # The new list needs the key before it and every new key.
        listed = tmp_path / "list.txt"
        room.command("identity", "draft", "--out", str(listed))
        room.command("notice", "sign", str(listed))
        own = tmp_path / "list.txt.asc"
        assert "unsigned" in room.refused("notice", "publish", str(own))
        room.run("notice", "publish", str(combined(listed, own, sign(listed, "anna"), sign(listed, "boris"))))
        assert "signatures needed" in room.refused("notice", "publish", *PLAIN)

        # Two sign, each at home; stock gpg takes the one file.
        draft, text = tmp_path / "d.toml", tmp_path / "n.txt"
        draft.write_text(
            'kind = "security"\nstate = "identified"\nseverity = "major"\n[en]\n'
            'title = "T"\naction = "Wait."\nsummary = "- a line\\nFrom here on"\n'
        )
        room.command("notice", "preview", str(draft), "--out", str(text))
        both = combined(text, sign(text, "anna"), sign(text, "boris"))
        with fresh_gpg(Path(lab.certificate_file("anna")), Path(lab.certificate_file("boris"))) as gpg:
            done = subprocess.run([*gpg, "--status-fd", "1", "--verify", str(both)], capture_output=True)
            assert done.returncode == 0
            assert done.stdout.count(b"VALIDSIG") == 2
        room.run("notice", "publish", str(both))
        assert room.run("notice", "verify")["sound"] is True

        # The first key is rotated out; the old ones suffice with it, and it speaks no more.
        room.replace(first, others[0])
        room.replace(f'signers = ["{others[0]}", ', "signers = [")
        room.command("identity", "draft", "--out", str(listed))
        room.run("notice", "publish", str(combined(listed, sign(listed, "anna"), sign(listed, "boris"))))
        room.command("notice", "preview", str(draft), "--out", str(text))
        alone = tmp_path / "alone.asc"
        alone.write_text(room.gpg("--clearsign", "--local-user", first, stdin=text.read_text()))
        assert "unsigned" in room.refused("notice", "publish", str(alone))
        assert room.run("notice", "verify")["sound"] is True


def test_rotation_by_one_command_and_revocation_of_the_old_key(tmp_path: Path) -> None:
    with press_room() as room:
        room.publish()
        old = room.keys["notice_key"]
        room.gpg("--quick-generate-key", "New notices <n@example.org>", "future-default", "default", "1y")
        new = [
            line.split(":")[9]
            for line in room.gpg("--with-colons", "-K").splitlines()
            if line.startswith("fpr")
        ][-2]
        room.replace(f'notice = "{old}"', f'notice = "{new}"')
        assert "differs" in room.command("doctor").stdout
        room.run("identity", "publish")
        room.publish()
        revocation = room.folder / "keys" / "gnupg" / "openpgp-revocs.d" / f"{old}.rev"
        guarded = revocation.read_text()
        room.gpg("--import", stdin=guarded[guarded.index(":-----BEGIN") + 1 :])
        assert room.run("notice", "verify")["sound"] is True
        room.publish()
        series = tmp_path / "notices.txt"
        series.write_bytes(b"".join(file.read_bytes() for file in room.files()))
        keys = ["--keys", str(room.notices / "keys.asc")]
        room.run("notice", "verify", str(series), *keys, "--fingerprint", new)
        assert room.command("notice", "verify", str(series), *keys, "--fingerprint", old).returncode == 1


async def test_a_notice_outlives_the_key_that_signed_it(lab: Lab) -> None:
    past = "--faked-system-time=20240101T120000"
    lab.make("desk", "desk <desk@example.org>", past, expires="2024-03-01")
    text = "Veildesk statement 1\n- dashed\n"
    signed = lab.gpg("desk", past, "--clearsign", stdin=text.encode())
    engine = lab.engine("desk")
    await engine.start()
    read = await read_signed(signed, engine)
    assert read.text == text
    assert [name for name, _ in read.signers] == [lab.fingerprints["desk"]]
    from veildesk.core.errors import KeyUnusable

    with pytest.raises(KeyUnusable):
        await sign_text(text, engine, [lab.fingerprints["desk"]])


def test_everything_that_ends_is_watched(tmp_path: Path) -> None:
    from veildesk.notices.board import NoticeBoard

    class Clock:
        def now(self) -> int:
            return 0

        def monotonic(self) -> float:
            return 0.0

    with press_room() as room:
        board = NoticeBoard(room.notices, (), Clock()).board()
        (listed,) = board.statements
        end = listed.statement.valid_until
        keys = {"support key": end + 86400 * 400, "notice key": end + 86400 * 400}
        for days, level in ((40, "ok"), (29, "warn"), (14, "warn"), (4, "fail"), (-1, "fail")):
            found = {one.id: one for one in checks(expiries(board, keys), end - days * 86400)}
            assert found["expiry.addresses"].level.value == level, days
        # A key that ends sooner cuts everything it signs.
        room.gpg("--quick-set-expire", room.keys["notice_key"], "20d")
        number = room.publish()["number"]
        item = NoticeBoard(room.notices, (), Clock()).board().statements[number - 1]
        assert item.statement.valid_until - item.issued <= 20 * 86400
        room.gpg("--quick-set-expire", room.keys["notice_key"], "seconds=1")
        assert "expire" in room.refused("notice", "publish", *PLAIN)
        assert "expire" in room.refused("identity", "security-txt")


def test_the_gateway_runs_without_the_secret_notice_key(tmp_path: Path) -> None:
    from veildesk.service.build import build_gateway
    from veildesk.service.config import load_config

    with press_room() as room:
        key = room.keys["notice_key"]
        secret = tmp_path / "away.asc"
        secret.write_text(room.gpg("--armor", "--export-secret-keys", key))
        room.gpg("--yes", "--delete-secret-keys", key)
        assert "no notice key can sign here" in room.refused("notice", "publish", *PLAIN)
        said = room.command("doctor").stdout
        assert "skip  notice key can be used: its secret half is not here" in said

        async def start() -> None:
            async with build_gateway(load_config(room.config)):
                pass

        import asyncio

        asyncio.run(start())
        away = tmp_path / "away"
        away.mkdir(mode=0o700)
        subprocess.run(
            ["gpg", "--homedir", str(away), "--batch", "--import", str(secret)],
            check=True,
            capture_output=True,
        )
        draft, text = tmp_path / "d.toml", tmp_path / "n.txt"
        draft.write_text(
            'kind = "incident"\nstate = "identified"\nseverity = "major"\n'
            '[en]\ntitle = "T"\naction = "A"\nsummary = "S"\n'
        )
        room.command("notice", "preview", str(draft), "--out", str(text))
        done = room.command("notice", "sign", str(text), "--home", str(away), "--key", key)
        assert "Veildesk statement 1" in done.stderr
        assert not (away / "gpg-agent.conf").exists(), "somebody's own home is left as it is"
        room.run("notice", "publish", str(text) + ".asc")
        assert room.run("notice", "verify")["sound"] is True
        stop_agents(away)
