"""A bucket of a real S3 server that is killed, behind a proxy that spoils some requests."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from chaos.house import Gateway
from testbed.canary import hits
from testbed.s3_server import S3Server
from testbed.spoiling_proxy import SpoilingProxy
from veildesk.ops.clock import SystemClock
from veildesk.service.config import load_config
from veildesk.service.database import database_of, files_of
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.copying import named_files
from veildesk.spool.object_store import ObjectStore
from veildesk.spool.sweeping import sweep

__all__ = ["Bucket"]

_TROUBLES = ("refuse", "unavailable", "cut-request", "no-answer", "cut-answer")
_GONE = 1.5
"""More than a database gives somebody who seems gone, in seconds."""


class Bucket:
    """The server, its proxy, and the section of the configuration that names them."""

    def __init__(self, folder: Path, seed: int, trouble: float = 0.1) -> None:
        self._folder = folder / "s3"
        self._folder.mkdir(mode=0o700)
        self._server = S3Server(self._folder)
        self._random = random.Random(seed)
        self.trouble = trouble
        self._server.start()
        self.proxy = SpoilingProxy(self._server.endpoint, choose=self._choose)
        self.proxy.__enter__()
        self._place = replace(self._server.new_place(), endpoint=self.proxy.endpoint)

    def _choose(self) -> str:
        return self._random.choice(_TROUBLES) if self._random.random() < self.trouble else ""

    def section(self, keys: Path) -> str:
        """[store.s3]; writes its two keys into the folder `keys`."""
        lines = ["[store.s3]", "timeout_seconds = 5"]
        for name, key in (("access", self._place.access_key), ("secret", self._place.secret_key)):
            path = keys / f"s3-{name}"
            path.write_text(key + "\n")
            path.chmod(0o600)
            lines.append(f'{name}_key_file = "{path}"')
        for name in ("endpoint", "bucket", "prefix"):
            lines.append(f'{name} = "{getattr(self._place, name)}"')
        return "\n".join(lines) + "\n"

    def kill(self) -> None:
        """SIGKILL."""
        self._server.stop()

    def start(self) -> None:
        """Again, with what it had."""
        self._server.start()

    def left(self, gateway: Gateway) -> list[str]:
        """What is wrong in it once all gateways have ended and a sweep has passed."""
        self.trouble = 0.0
        return asyncio.run(self._left(gateway.config))

    async def _left(self, path: Path) -> list[str]:
        config = load_config(path)
        spool = await SqlSpool.open(
            config.gateway.state_dir, KeyRing.load(config.keys.ring), SystemClock(), 14,
            database=database_of(config), files=files_of(config), min_free=0,
        )  # fmt: skip
        try:
            store = spool._files.store
            assert isinstance(store, ObjectStore)
            before = store.names()
            swept = await sweep(spool._state, _GONE)
            named = set(await spool._read(lambda connection: named_files(connection, every=True)))
            present = store.names()
            print(f"bucket: {len(before)} objects at the end, {swept} of them swept", file=sys.stderr)
            wrong = [f"{len(present - named)} objects that no row names"] if present - named else []
            return wrong + ([f"{len(named - present)} objects are missing"] if named - present else [])
        finally:
            await spool.close()

    def leaks(self, needles: list[bytes]) -> list[str]:
        """Files of the server that hold a needle."""
        return hits(self._folder, needles)

    def close(self) -> None:
        """End both."""
        self.proxy.__exit__()
        self._server.stop()
        shutil.rmtree(self._folder / "data", ignore_errors=True)
