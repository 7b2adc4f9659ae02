"""Our own keys, over real gpg homes and the real command line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from testbed.openpgp_lab import Lab, new_lab
from veildesk.cli import main
from veildesk.core.errors import EngineUnavailable, KeyUnusable
from veildesk.core.limits import Limits
from veildesk.core.message import Verdict
from veildesk.core.notice import Board
from veildesk.core.ticket import Level
from veildesk.notices.board import NoticeBoard
from veildesk.notices.signing import sign_text
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.own_keys import SecretPlace, read_own_keys
from veildesk.openpgp.packets import read_certificate, split_packets
from veildesk.openpgp.wkd_address import wkd_hash
from veildesk.openpgp.wkd_export import wkd_paths
from veildesk.ops.clock import SystemClock
from veildesk.service import doctor_keys, key_watch
from veildesk.service.config import Config, load_config
from veildesk.service.doctor_keys import check_keys, check_memory, unencrypted_swap
from veildesk.service.engines import open_engine
from veildesk.service.key_watch import KeyWatch

DAY = 86400
CONFIG = """
[gateway]
name = "Desk"
address = "support@desk.example"
domain = "desk.example"
runtime_dir = "{root}/run"
state_dir = "{root}/state"

[keys]
home = "{home}"
support = "{support}"
notice = "{notice}"
secret = "{secret}"

[queues.support]
addresses = ["support@desk.example"]
backend = "desk"

[backends.desk]
kind = "memory"
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.make("notice", "Desk notices <support@desk.example>")
        secret = made.gpg("notice", "--export-secret-keys")
        made.gpg("desk", "--import", stdin=secret)
        yield made


def written(lab: Lab, secret: str = "agent") -> Path:
    path = lab.root / "veildesk.toml"
    path.write_text(
        CONFIG.format(
            root=lab.root,
            home=lab.home("desk"),
            support=lab.fingerprints["desk"],
            notice=lab.fingerprints["notice"],
            secret=secret,
        )
    )
    return path


def run(lab: Lab, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["keys", *words, "--config", str(written(lab))])
    assert done.exit_code == code, done.output
    return done


def listed(lab: Lab, *, code: int = 0) -> dict[str, dict[str, object]]:
    done = run(lab, "list", "--json", code=code)
    return {one["role"]: one for one in json.loads(done.stdout)["keys"]}


def config(lab: Lab, secret: str = "agent") -> Config:
    return load_config(written(lab, secret))


def test_list_names_the_heartbeat_key(lab: Lab) -> None:
    lab.gpg("desk", "--passphrase=", "--quick-generate-key", "--", "Heartbeat", "future-default", "default")
    other = next(one for one in listed(lab).values() if one["role"] == "earlier")
    path = written(lab, "agent")
    path.write_text(path.read_text().replace("[keys]\n", f'[keys]\nheartbeat = "{other["fingerprint"]}"\n'))
    done = CliRunner().invoke(main, ["keys", "list", "--json", "--config", str(path)])
    roles = {one["fingerprint"]: one["role"] for one in json.loads(done.stdout)["keys"]}
    assert roles[other["fingerprint"]] == "heartbeat"


def test_list_shows_both_keys(lab: Lab) -> None:
    found = listed(lab)
    assert found["support"]["fingerprint"] == lab.fingerprints["desk"]
    assert found["notice"]["fingerprint"] == lab.fingerprints["notice"]
    assert found["support"]["trouble"] is None
    assert found["support"]["days"] is None
    assert lab.fingerprints["desk"] in run(lab, "list").stdout


def test_extend_and_rotate_keep_the_fingerprint_and_old_mail_opens(lab: Lab) -> None:
    before = lab.encrypt(b"earlier")
    old_subkeys = listed(lab)["support"]["subkeys"]
    run(lab, "extend", "support", "--for", "100d")
    days = listed(lab)["support"]["days"]
    assert days in (99, 100)
    run(lab, "rotate", "support", "--for", "1y")
    after = listed(lab)["support"]
    assert after["fingerprint"] == lab.fingerprints["desk"]
    assert len(after["subkeys"]) == len(old_subkeys) + 1  # type: ignore[arg-type]
    assert after["days"] in (364, 365, 366)
    later = lab.encrypt(b"later")
    assert next(split_packets(before)).body[1:9] != next(split_packets(later)).body[1:9]
    assert lab.gpg("desk", "--decrypt", stdin=before) == b"earlier"
    assert lab.gpg("desk", "--decrypt", stdin=later) == b"later"


def board(lab: Lab) -> Board:
    return NoticeBoard(config(lab).gateway.state_dir / "notices", (), SystemClock()).board()


def test_replaced_key_is_certified_by_the_old_one(lab: Lab) -> None:
    made = json.loads(run(lab, "replace", "support", "--json").stdout)
    new = made["fingerprint"]
    assert new not in lab.fingerprints.values()
    found = lab.gpg("desk", "--with-colons", "--check-signatures", new).decode()
    assert f"sig:!::22:{lab.fingerprints['desk'][-16:]}:" in found
    assert listed(lab)["earlier"]["fingerprint"] == new
    # The statement is on the pages, names both keys, and stock gpg finds the signatures of both on it.
    statement = Path(made["statement"]).read_bytes()
    assert board(lab).transitions == {"support": statement.decode()}
    assert read_certificate(board(lab).support_next).fingerprint == new
    old = lab.fingerprints["desk"]
    assert f"Old key: {old}\nNew key: {new}\n".encode() in statement
    status = lab.gpg("desk", "--status-fd=1", "--verify", stdin=statement).decode()
    valid = [line.split()[2] for line in status.splitlines() if line.startswith("[GNUPG:] VALIDSIG")]
    assert sorted(valid) == sorted([old, new])


def test_a_replacement_can_be_put_in_use_at_once(lab: Lab) -> None:
    path = written(lab)
    done = CliRunner().invoke(main, ["keys", "replace", "support", "--use", "--json", "--config", str(path)])
    assert done.exit_code == 0, done.output
    new = json.loads(done.stdout)["fingerprint"]
    expected = CONFIG.format(
        root=lab.root,
        home=lab.home("desk"),
        support=new,
        notice=lab.fingerprints["notice"],
        secret="agent",
    )
    assert path.read_text() == expected
    done = CliRunner().invoke(main, ["keys", "extend", "support", "--config", str(path)])
    assert done.exit_code == 0, done.output
    shown = board(lab)
    assert (read_certificate(shown.support_key).fingerprint, shown.support_next) == (new, b"")


async def test_a_rotated_key_is_served_without_a_restart(lab: Lab) -> None:
    async with AsyncExitStack() as stack:
        keys = config(lab, "memory").keys
        engine, watch = await open_engine(keys, lab.root / "run", Limits(), stack, lambda: int(time.time()))
        earlier = lab.encrypt(b"earlier")
        assert (await engine.open(earlier, [])).data == b"earlier"
        running = asyncio.create_task(watch.run())
        home = GnuPGEngine(lab.home("desk"), runtime_dir=lab.root / "run")
        await home.add_encryption_subkey(keys.support, "1y")
        await watch.again()
        later = lab.encrypt(b"later")
        # gpg is not there any more: the workers open both with what they have in memory.
        with pytest.MonkeyPatch.context() as patch:
            patch.delattr(GnuPGEngine, "open")
            assert (await engine.open(earlier, [])).data == b"earlier"
            assert (await engine.open(later, [])).data == b"later"
        running.cancel()


def test_pages_show_a_changed_key_at_once(lab: Lab) -> None:
    run(lab, "rotate", "support", "--for", "1y")
    shown = board(lab)
    assert read_certificate(shown.support_key).data == read_certificate(lab.certificate("desk")).data
    assert len(shown.directory_key) > 200


def test_revocation_ends_a_key_and_the_service(lab: Lab) -> None:
    target = lab.root / "revocation.asc"
    run(lab, "revocation", "support", "--out", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    run(lab, "revocation", "support", "--out", str(target), code=10)
    assert listed(lab)["support"]["trouble"] is None
    run(lab, "revoke", "notice", "--certificate", str(target), "--yes", code=11)
    run(lab, "revoke", "support", "--certificate", str(lab.root / "veildesk.toml"), "--yes", code=11)
    lines = listed(lab, code=11)
    assert lines["support"]["trouble"] == "revoked"
    assert lines["notice"]["trouble"] is None


def test_a_revoked_key_vouches_for_no_other_and_can_still_be_replaced(lab: Lab) -> None:
    target = lab.root / "revocation.asc"
    run(lab, "revocation", "support", "--out", str(target))
    run(lab, "revoke", "support", "--certificate", str(target), "--yes")
    before = len(listed(lab, code=11))
    refused = run(lab, "replace", "support", "--use", code=11)
    assert "--without-old" in refused.output
    # Nothing was made that lies about, however often somebody tries.
    assert len(listed(lab, code=11)) == before
    run(lab, "replace", "notice", "--without-old", code=10)
    path = written(lab)
    words = ["keys", "replace", "support", "--without-old", "--use", "--json", "--config", str(path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["statement"] is None
    assert f'support = "{made["fingerprint"]}"' in path.read_text()
    listing = CliRunner().invoke(main, ["keys", "list", "--json", "--config", str(path)])
    lines = {one["role"]: one for one in json.loads(listing.stdout)["keys"]}
    assert (lines["support"]["fingerprint"], lines["support"]["trouble"]) == (made["fingerprint"], None)
    # Nothing says that the old key vouched for it.
    assert board(lab).transitions == {}


@pytest.mark.parametrize("role", ["support", "notice"])
async def test_without_a_mail_key_nothing_runs_and_without_a_notice_key_all_but_notices(
    lab: Lab, role: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(lab).keys
    engine = lab.engine("desk")
    fingerprint = {"support": settings.support, "notice": settings.notice}[role]
    await engine.revoke(fingerprint, await engine.revocation_certificate(fingerprint))
    async with AsyncExitStack() as stack:
        opening = open_engine(settings, lab.root / "run", Limits(), stack, lambda: int(time.time()))
        if role == "support":
            with pytest.raises(KeyUnusable, match="support-key-revoked"):
                await opening
            return
        serving, watch = await opening
        assert (await serving.open(lab.encrypt(b"Hello"), [])).data == b"Hello"
        await watch.look()
        assert (watch.trouble, watch.days["notice"]) == ({"notice": "revoked"}, 0)
    assert caplog.text.count("notices-stopped key=revoked") == 1
    with pytest.raises(KeyUnusable, match="expired or revoked"):
        await sign_text("a statement\n", engine, [settings.notice])


@pytest.mark.parametrize(("left", "step"), [(40, None), (29, 30), (14, 15), (4, 5)])
async def test_warnings_come_in_steps(
    lab: Lab, caplog: pytest.LogCaptureFixture, left: int, step: int | None
) -> None:
    engine = lab.engine("desk")
    await engine.set_expiry(lab.fingerprints["desk"], f"{left + 1}d")
    watch = KeyWatch(engine, config(lab).keys, lambda: int(time.time()))
    with caplog.at_level("WARNING", "veildesk.keys"):
        await watch.look()
        await watch.look()
    told = [one.getMessage() for one in caplog.records if one.name == "veildesk.keys"]
    assert len(told) == (0 if step is None else 1)
    assert watch.days["support"] in (left, left + 1)
    (support,) = [one for one in await check_keys(config(lab)) if one.id == "keys.support"]
    assert support.level is (Level.OK if step is None else Level.WARN)


async def test_an_expired_key_ends_the_service_and_doctor_fails(lab: Lab) -> None:
    moment = time.time() - 30 * DAY
    faked = "--faked-system-time=" + time.strftime("%Y%m%dT%H%M%S!", time.gmtime(moment))
    lab.make("old", "Old <support@desk.example>", faked, expires="seconds=864000")
    lab.gpg("desk", "--import", stdin=lab.gpg("old", "--export-secret-keys"))
    lab.fingerprints["desk"] = lab.fingerprints["old"]
    watch = KeyWatch(lab.engine("desk"), config(lab).keys, lambda: int(time.time()))
    with pytest.raises(KeyUnusable, match="support-key-expired"):
        await watch.look()
    (support,) = [one for one in await check_keys(config(lab)) if one.id == "keys.support"]
    assert (support.level, support.found) == (Level.FAIL, "expired")


async def test_a_key_without_its_secret_half_cannot_serve(lab: Lab) -> None:
    lab.fingerprints["desk"] = lab.fingerprints["user"]
    lab.gpg("desk", "--import", stdin=lab.certificate("user"))
    with pytest.raises(KeyUnusable, match="secret-missing"):
        await KeyWatch(lab.engine("desk"), config(lab).keys, lambda: int(time.time())).look()


def test_wkd_holds_only_the_published_address(lab: Lab) -> None:
    lab.gpg(
        "desk", "--passphrase=", "--quick-add-uid", lab.fingerprints["desk"], "Other <private@desk.example>"
    )
    folder = lab.root / "web"
    made = json.loads(run(lab, "export-wkd", "--out", str(folder), "--json").stdout)["files"]
    key = Path(made[0])
    relative = str(key.relative_to(folder))
    assert relative == f".well-known/openpgpkey/desk.example/hu/{wkd_hash('support')}"
    read = read_certificate(key.read_bytes())
    assert read.fingerprint == lab.fingerprints["desk"]
    names = [one.body for one in split_packets(read.data) if one.tag == 13]
    assert names == [b"Support <support@desk.example>"]
    assert Path(made[1]).read_bytes() == b""
    run(lab, "export-wkd", "--out", str(folder), "--address", "nobody@desk.example", code=11)
    direct = json.loads(run(lab, "export-wkd", "--out", str(folder), "--direct", "--json").stdout)["files"][0]
    assert direct.endswith(f".well-known/openpgpkey/hu/{wkd_hash('support')}")


def test_wkd_hash_is_that_of_the_draft() -> None:
    assert wkd_hash("Joe.Doe") == "iy9q119eutrkn8s1mk4r39qejnbu3n5q"
    assert str(wkd_paths("Joe.Doe@Example.ORG", advanced=True)[0]).startswith(
        ".well-known/openpgpkey/example.org/hu/"
    )
    for wrong in ("", "a", "@example.org", "a@..", "a@example.org/../x", "a@localhost"):
        with pytest.raises(KeyUnusable):
            wkd_paths(wrong, advanced=True)


def test_export_gives_the_public_key_only(lab: Lab) -> None:
    out = run(lab, "export", "support").stdout
    assert "PUBLIC KEY BLOCK" in out
    assert read_certificate(out.encode()).fingerprint == lab.fingerprints["desk"]


@pytest.mark.parametrize("period", ["0", "2", "-1d", "--yes", "2y; x", "99999y"])
def test_odd_periods_are_refused(lab: Lab, period: str) -> None:
    done = CliRunner().invoke(
        main, ["keys", "extend", "support", f"--for={period}", "--config", str(written(lab))]
    )
    assert done.exit_code == 11
    assert listed(lab)["support"]["days"] is None


def test_listing_of_stubs_and_tokens() -> None:
    lines = [
        b"sec:u:255:22:1:100:500::u:::scESC:::#::ed25519:::0:",
        b"fpr:::::::::" + b"A" * 40 + b":",
        b"uid:u::::1::x::A <a@x.example>::::::::::0:",
        b"ssb:u:255:18:2:100:300:::::e:::D2760001240100000006123456780000::cv25519::",
        b"fpr:::::::::" + b"B" * 40 + b":",
        b"ssb:e:255:18:3:100:200:::::e:::+::cv25519::",
        b"fpr:::::::::" + b"C" * 40 + b":",
    ]
    (key,) = read_own_keys(b"\n".join(lines))
    assert [one.secret for one in key.parts] == [SecretPlace.MISSING, SecretPlace.TOKEN, SecretPlace.HOME]
    assert (key.can("s"), key.can("e")) == (False, True)
    assert (key.ends("s"), key.ends("s", "e")) == (500, 300)


def test_swap_that_is_encrypted_or_in_memory_is_no_swap(tmp_path: Path) -> None:
    swaps = tmp_path / "swaps"
    heads = "Filename Type Size Used Priority\n"
    (tmp_path / "dm-0" / "dm").mkdir(parents=True)
    (tmp_path / "dm-0" / "dm" / "uuid").write_text("CRYPT-PLAIN-swap\n")
    (tmp_path / "dm-1" / "dm").mkdir(parents=True)
    (tmp_path / "dm-1" / "dm" / "uuid").write_text("LVM-abc\n")
    (tmp_path / "zram1").mkdir()
    (tmp_path / "zram1" / "backing_dev").write_text("/dev/sda3\n")
    for name, plain in {"dm-0": False, "dm-1": True, "zram0": False, "zram1": True, "sda2": True}.items():
        swaps.write_text(f"{heads}/dev/{name} partition 1 0 -2\n")
        assert unencrypted_swap(swaps, tmp_path) == ((f"/dev/{name}",) if plain else ())
    swaps.write_text(heads)
    assert unencrypted_swap(swaps, tmp_path) == ()


@pytest.mark.parametrize(("secret", "level"), [("agent", Level.WARN), ("memory", Level.FAIL)])
async def test_doctor_fails_on_swap_and_core_files_where_keys_are_in_memory(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, secret: str, level: Level
) -> None:
    monkeypatch.setattr(doctor_keys, "unencrypted_swap", lambda: ("/dev/sda2",))
    monkeypatch.setattr(doctor_keys, "core_dumps", lambda: True)
    found = {one.id: one for one in await check_memory(config(lab, secret))}
    assert found["memory.swap"].level is level
    assert found["memory.core"].level is level
    monkeypatch.setattr(doctor_keys, "unencrypted_swap", lambda: ())
    monkeypatch.setattr(doctor_keys, "core_dumps", lambda: False)
    assert {one.level for one in await check_memory(config(lab, secret))} == {Level.OK}


async def test_doctor_says_which_keys_cannot_be_in_memory(lab: Lab) -> None:
    found = {one.id: one.level for one in await check_keys(config(lab, "memory"))}
    assert found["keys.support.memory"] is Level.OK
    assert "keys.support.memory" not in {one.id for one in await check_keys(config(lab))}


async def test_a_gpg_that_does_not_answer_ends_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [EngineUnavailable("process-seconds"), KeyUnusable("support-key-expired")]

    async def look() -> None:
        raise answers.pop(0)

    watch = KeyWatch(lab.engine("desk"), config(lab).keys, lambda: int(time.time()))
    monkeypatch.setattr(key_watch, "_PERIOD", 0.0)
    monkeypatch.setattr(watch, "look", look)
    with caplog.at_level("WARNING", "veildesk.keys"), pytest.raises(KeyUnusable):
        await watch.run()
    assert answers == []
    assert "keys-not-seen" in caplog.text


async def test_with_keys_in_memory_gpg_is_not_asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    message = lab.encrypt(b"Hello", sign=True)
    async with AsyncExitStack() as stack:
        keys = config(lab, "memory").keys
        engine, watch = await open_engine(keys, lab.root / "run", Limits(), stack, lambda: int(time.time()))
        for name in ("open", "seal", "sign_detached", "verify_detached"):
            monkeypatch.delattr(GnuPGEngine, name)
        opened = await engine.open(message, [lab.certificate("user")])
        assert (opened.data, [one.verdict for one in opened.signatures]) == (b"Hello", [Verdict.VALID])
        sealed = await engine.seal(b"Answer", [lab.certificate("user")], keys.support)
        assert watch.days == {"support": None, "notice": None}
    assert lab.gpg("user", "--decrypt", stdin=sealed, check=False) == b"Answer"
