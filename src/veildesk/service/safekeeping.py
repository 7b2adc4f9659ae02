"""Backup, restore, move and check of everything a configuration names. Plain functions, for a thread.

A backup has two folders. *bulk*: the sealed store and the published notices. *keys*: everything that
opens it, the key ring, ticket keys, the GnuPG home, the onion key and the configuration, in one newest copy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from veildesk.core.errors import ConfigInvalid, SpoolUnavailable, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.ops.clock import SystemClock
from veildesk.service.backup_mark import mark_backup
from veildesk.service.config import Config
from veildesk.service.database import database_of, files_of
from veildesk.spool.archiving import back_up_bulk, back_up_keys, restore
from veildesk.spool.copying import copy_tree
from veildesk.spool.examining import examine_store
from veildesk.spool.keyring import KeyRing
from veildesk.spool.moving import move
from veildesk.spool.store import SqlSpool

__all__ = ["back_up", "check_store", "move_store", "repair_store", "restore_backup"]

_SUBSCRIBERS = "subscribers"


def _onion_keys(config: Config) -> list[tuple[str, Path]]:
    onion = config.onion
    given = {} if onion is None else {"onion-key": onion.key_file, "onion-status-key": onion.status_key_file}
    return [(name, path) for name, path in given.items() if path is not None]


def back_up(config: Config, config_file: Path, bulk: Path | None, keys: Path | None) -> dict[str, int]:
    """Write the classes that are given; the gateway may run. Returns counts.

    Raises `ConfigInvalid`, `KeyUnusable` or `SpoolUnavailable`.
    """
    if bulk is not None and keys is not None and bulk.resolve() == keys.resolve():
        raise ConfigInvalid("bulk and keys must not lie in one folder: together they open everything")
    state, database = config.gateway.state_dir, database_of(config)
    done: dict[str, int] = {}
    try:
        if bulk is not None:
            done |= back_up_bulk(state, database, files_of(config), bulk)
            if (notices := state / "notices").is_dir():
                # Who subscribed must be forgotten in backups too: in the newest copy only.
                copy_tree(notices, bulk / "notices", without=[_SUBSCRIBERS])
        if keys is not None:
            done["keys"] = back_up_keys(state, database, KeyRing.load(config.keys.ring), keys)
            copy_tree(config.keys.home, keys / "gnupg")
            _newest_subscribers(state / "notices" / _SUBSCRIBERS, keys / _SUBSCRIBERS)
            shutil.copy2(config_file, keys / "veildesk.toml")
            for name, path in _onion_keys(config):
                if path.exists():
                    shutil.copy2(path, keys / name)
    except (OSError, shutil.Error):
        raise SpoolUnavailable("the backup folder cannot be written") from None
    mark_backup(state, [name for name, made in (("bulk", bulk), ("keys", keys)) if made is not None])
    return done


def _newest_subscribers(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        copy_tree(source, target)


def restore_backup(config: Config, bulk: Path, keys: Path) -> dict[str, int]:
    """Fill an empty store, and put keys in place that are missing; nothing existing is overwritten."""
    done = restore(
        bulk,
        keys,
        state_dir=config.gateway.state_dir,
        conninfo=database_of(config),
        ring_path=config.keys.ring,
        files=files_of(config),
    )
    try:
        if (bulk / "notices").is_dir() and not (config.gateway.state_dir / "notices").exists():
            copy_tree(bulk / "notices", config.gateway.state_dir / "notices")
        subscribers = config.gateway.state_dir / "notices" / _SUBSCRIBERS
        if (keys / _SUBSCRIBERS).is_dir() and not subscribers.exists():
            copy_tree(keys / _SUBSCRIBERS, subscribers)
        if not config.keys.home.exists():
            copy_tree(keys / "gnupg", config.keys.home)
        for name, path in _onion_keys(config):
            if not path.exists() and (keys / name).exists():
                shutil.copy2(keys / name, path)
    except (OSError, shutil.Error):
        raise SpoolUnavailable("a key could not be put in its place") from None
    return done


def move_store(config: Config) -> dict[str, int]:
    """Move the SQLite store of the state directory into the configured PostgreSQL database."""
    database = database_of(config)
    if database is None:
        raise ConfigInvalid("[store] database: name the PostgreSQL database to move to")
    ring = KeyRing.load(config.keys.ring)
    return move(config.gateway.state_dir, ring, database, files_of(config))


def check_store(config: Config) -> list[CheckResult]:
    """Everything about the store, read only."""
    database = database_of(config)
    return examine_store(config.gateway.state_dir, database, config.keys.ring, files_of(config))


async def repair_store(config: Config) -> list[CheckResult]:
    """Do what loses nothing: tighten modes, and finish what a crash interrupted by opening the store once.

    A store with anything that failed its check is left alone.
    """
    for path in (config.gateway.state_dir, config.keys.ring):
        if path.exists():
            path.chmod(path.stat().st_mode & ~0o077)
    results = check_store(config)
    if any(result.level is Level.FAIL for result in results):
        return results
    try:
        spool = await SqlSpool.open(
            config.gateway.state_dir,
            KeyRing.load(config.keys.ring),
            SystemClock(),
            config.gateway.retention_days,
            database=database_of(config),
            files=files_of(config),
        )
        await spool.close()
    except VeildeskError as error:
        fix = error.hint
        return [CheckResult("spool.repair", "The store opens", Level.FAIL, error.detail or "", fix=fix)]
    return check_store(config)
