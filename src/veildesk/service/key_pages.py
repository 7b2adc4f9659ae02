"""Our mail key where pages and Web Key Directories take it from, so that a renewed key is served at once.

The portal and the status site read these files; neither of them can reach a key.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.notices.archive import replace_file
from veildesk.notices.board import DIRECTORY_KEY_FILE, NEXT_KEY_FILE, SUPPORT_KEY_FILE
from veildesk.openpgp.gnupg_home import GnuPGHome
from veildesk.openpgp.packets import read_certificate
from veildesk.service.config import Config

__all__ = ["keep_file", "keep_mail_key", "notices_folder"]


def notices_folder(config: Config) -> Path:
    """Where public statements and keys lie."""
    return config.gateway.state_dir / "notices"


async def keep_mail_key(config: Config, home: GnuPGHome) -> None:
    """Write the public mail key as it is now. What cannot be exported is left as it was."""
    folder, keys = notices_folder(config), config.keys
    with contextlib.suppress(KeyUnusable):
        armored = await home.export(keys.support)
        await asyncio.to_thread(keep_file, folder / SUPPORT_KEY_FILE, armored)
        await asyncio.to_thread(_drop_when_in_use, folder / NEXT_KEY_FILE, keys.support)
        binary = await home.export_for(keys.support, config.gateway.address)
        await asyncio.to_thread(keep_file, folder / DIRECTORY_KEY_FILE, binary)


def keep_file(path: Path, content: bytes) -> None:
    """Write a file if it says something else."""
    if not path.exists() or path.read_bytes() != content:
        replace_file(path, content)


def _drop_when_in_use(path: Path, fingerprint: str) -> None:
    """A key that was announced and is in use now is no longer the next one."""
    with contextlib.suppress(OSError, VeildeskError):
        if read_certificate(path.read_bytes()).fingerprint == fingerprint:
            path.unlink()
