"""Without a gateway around: verify a series, or sign a text on a machine that has the key and no network."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from veildesk.core.errors import InputInvalid
from veildesk.notices.archive import replace_file
from veildesk.notices.heartbeat_file import HEARTBEAT_FILE
from veildesk.notices.publishing import series_bytes
from veildesk.notices.series import Head, Judgement, judge_series
from veildesk.notices.signing import read_signed, sign_text
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.ops.clock import SystemClock
from veildesk.service.config import Config
from veildesk.service.notices import open_press
from veildesk.service.runtime import runtime_folder

__all__ = ["sign_offline", "split_texts", "verify_files", "verify_own"]

_BORDER = re.compile(rb"(?m)^(?=-----BEGIN PGP SIGNED MESSAGE-----$)")
_LARGEST = 32 * 1024 * 1024


async def verify_own(config: Config) -> Judgement:
    """The series that we publish, with the heartbeat that lies beside it."""
    async with open_press(config) as press:
        path = press.directory.folder / HEARTBEAT_FILE
        beat = await read_signed(path.read_bytes(), press.engine) if path.exists() else None
        read = [await read_signed(raw, press.engine) for raw in series_bytes(press.directory.published())]
        return judge_series(read, config.keys.notice, press.clock.now(), heartbeat=beat)


async def verify_files(
    files: Sequence[Path], keys: Sequence[Path], fingerprint: str, state: Path | None
) -> Judgement:
    """Any copy, with a throw-away key ring. `state` remembers the newest statement of a sound series."""
    anchor = re.sub(r"[\s:]", "", fingerprint).upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", anchor):
        raise InputInvalid("--fingerprint: a full fingerprint of 40 hexadecimal digits is needed")
    try:
        certificates = [block.data for path in keys for block in find_blocks(path.read_bytes())]
        texts = [text for path in files for text in split_texts(path.read_bytes()[:_LARGEST])]
        remembered = Head(**json.loads(state.read_text())) if state is not None and state.exists() else None
    except (OSError, ValueError, TypeError) as error:
        raise InputInvalid(f"a file cannot be read ({type(error).__name__})") from None
    beats = [text for text in texts if b"\nVeildesk heartbeat 1\n" in text]
    with runtime_folder(None) as runtime, tempfile.TemporaryDirectory(dir=runtime) as home:
        engine = GnuPGEngine(Path(home) / "gnupg", runtime_dir=runtime)
        await engine.start()
        try:
            read = [await read_signed(text, engine, certificates) for text in texts if text not in beats]
            beat = await read_signed(beats[-1], engine, certificates) if beats else None
        finally:
            await engine.close()
    judgement = judge_series(read, anchor, SystemClock().now(), heartbeat=beat, remembered=remembered)
    if state is not None and judgement.head is not None and not judgement.faults:
        replace_file(state, json.dumps(asdict(judgement.head)).encode())
    return judgement


async def sign_offline(text: str, home: Path, keys: Sequence[str], passphrase: str | None) -> str:
    """Clear-sign with the keys of a GnuPG home. Raises `KeyUnusable`."""
    if not home.is_dir():
        raise InputInvalid("--home: there is no such folder")
    with runtime_folder(None) as runtime:
        phrases = [passphrase.encode()] if passphrase else []
        # Not started: that would settle gpg-agent's options in somebody's own home.
        engine = GnuPGEngine(home.absolute(), runtime_dir=runtime, passphrases=phrases)
        return await sign_text(text, engine, [one.replace(" ", "").upper() for one in keys])


def split_texts(data: bytes) -> list[bytes]:
    """The clear-signed texts of a file; a text cannot hold such a border itself (RFC 9580 § 7.1)."""
    return [part for part in _BORDER.split(data.replace(b"\r\n", b"\n")) if part.strip()]
