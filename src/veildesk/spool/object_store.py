"""Sealed files as objects in a bucket of an S3-compatible store, by obstore.

An object is complete or not there (PUT is atomic), is acknowledged before the commit that names it, and is
never overwritten: it is created under the condition that its name is free (RFC 9110 § 13.1.2,
`If-None-Match: *`). A store that does not honour the condition is refused at the start.

What an error's text holds (addresses, names of buckets and objects, answers of servers) is not kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from veildesk.core.errors import ConfigInvalid, FilesUnavailable, KeyUnusable, VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.file_store import MISSING, ObjectSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

__all__ = ["ObjectStore"]

_MARK = "store"
_OURS = re.compile(r"[0-9a-f]{16}-[0-9a-f]{32}")
# So many objects are under way at a time; each is in memory once, sealed.
_CALLS = 4
_LONGEST = 256 << 20
_SAMPLE = 20
_ENVIRONMENT = threading.Lock()


class ObjectStore:
    """Objects under a prefix; `failed` is the code of the last call if it failed, else ""."""

    def __init__(self, settings: ObjectSettings) -> None:
        self._store = _connect(settings)
        self._threads = ThreadPoolExecutor(_CALLS, thread_name_prefix="veildesk-files")
        self.executor: Executor | None = self._threads
        self.limit: float | None = 2 * settings.timeout + 5
        self.failed = ""
        self.versioned = False

    @property
    def state(self) -> str:
        """By the last call."""
        return self.failed or ("ok, but the bucket keeps old versions" if self.versioned else "ok")

    def make(self) -> None:
        """The bucket is made by its owner."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """One conditional PUT, acknowledged."""
        import obstore

        sealed = list(pieces)
        crashpoint("file.written")
        with self._calls():
            done = obstore.put(self._store, name, iter(sealed), mode="create")
        self._note(done["version"])
        for point in ("file.synced", "file.renamed", "file.directory-synced"):
            # Of the steps of a folder's file nothing is left to do here.
            crashpoint(point)

    def read(self, name: str) -> bytes:
        """One GET; the store says itself that an object is missing, or it is not known."""
        import obstore

        with self._calls():
            found = obstore.get(self._store, name)
            if found.meta["size"] > _LONGEST:
                # Not one of ours; whoever put it there wants our memory.
                raise KeyUnusable("sealed file damaged")
            return bytes(found.bytes())

    def remove(self, names: Collection[str]) -> None:
        """DELETE for each name. A versioned bucket keeps what it had; see docs/storage.md."""
        import obstore

        if not names:
            return
        try:
            with self._calls():
                obstore.delete(self._store, list(names))
        except KeyUnusable:
            # Some servers say so of one that is not there, and the others were not asked for.
            for name in names:
                with contextlib.suppress(KeyUnusable), self._calls():
                    obstore.delete(self._store, name)

    def names(self) -> set[str]:
        """Names of our form under the prefix: what lies there besides is not ours to judge or remove."""
        import obstore

        found: set[str] = set()
        with self._calls():
            for batch in obstore.list(self._store, chunk_size=1000):
                found |= {entry["path"] for entry in batch if _OURS.fullmatch(entry["path"])}
        return found

    def bind(self, proof: bytes) -> bytes:
        """Create the mark, and see that the store refuses to create it again."""
        if (found := self.bound()) is None:
            self._create(_MARK, proof)
            found = self.bound()
        if found is None:
            raise FilesUnavailable("files-unreachable")
        # The same bytes once more: where the condition is not honoured, nothing is changed by it.
        if found == proof and self._create(_MARK, proof):
            raise ConfigInvalid(
                "[store.s3]: this store overwrites objects though told not to (If-None-Match)"
            )
        return found

    def bound(self) -> bytes | None:
        """The mark."""
        try:
            return self.read(_MARK)
        except KeyUnusable:
            return None

    def checks(self, names: Collection[str]) -> list[CheckResult]:
        """Whether the bucket answers, and whether it keeps versions."""
        title = "The object store answers"
        try:
            self._look([_MARK, *list(names)[:_SAMPLE]])
        except VeildeskError as error:
            fix = "Check [store.s3], its keys and the server; mail waits with its senders until it answers."
            return [CheckResult("spool.bucket", title, Level.FAIL, error.detail, "an answer", fix)]
        answers = CheckResult("spool.bucket", title, Level.OK)
        title = "The bucket keeps no old versions"
        if not self.versioned:
            return [answers, CheckResult("spool.versions", title, Level.OK, "none seen")]
        fix = "Switch versioning off, or let old versions expire after a day: see docs/storage.md."
        return [answers, CheckResult("spool.versions", title, Level.WARN, "versions", "none", fix)]

    def close(self) -> None:
        """What waits is given up, what runs ends by its time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _create(self, name: str, content: bytes) -> bool:
        """Whether it was created; False when the name is taken."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._calls():
            try:
                self._note(obstore.put(self._store, name, content, mode="create")["version"])
            except AlreadyExistsError:
                return False
        return True

    def _look(self, names: list[str]) -> None:
        import obstore
        from obstore.exceptions import NotFoundError

        for name in names:
            # Removed since it was listed; an answer to HEAD does not say more.
            with self._calls(), contextlib.suppress(FileNotFoundError, NotFoundError):
                self._note(obstore.head(self._store, name)["version"])

    def _note(self, version: str | None) -> None:
        self.versioned = self.versioned or version not in (None, "null")

    @contextlib.contextmanager
    def _calls(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        # A missing object comes as the built-in error.
        except (BaseError, OSError) as error:
            known = _meaning(error)
            self.failed = known.detail if isinstance(known, FilesUnavailable) else ""
            raise known from None
        self.failed = ""


def _meaning(error: Exception) -> VeildeskError:
    from obstore.exceptions import (
        AlreadyExistsError,
        NotFoundError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    if isinstance(error, AlreadyExistsError):
        # By chance never; after an answer that was lost, our own: the caller begins anew.
        return FilesUnavailable("file-exists")
    text = str(error)
    # Of a listing that failed the library tells no kind.
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in text:
        return FilesUnavailable("files-refused")
    if "NoSuchBucket" in text:
        return FilesUnavailable("files-no-bucket")
    # Another 404 (of a proxy) says nothing about the object.
    missing = isinstance(error, NotFoundError | FileNotFoundError) and "<Code>NoSuchKey</Code>" in text
    return KeyUnusable(MISSING) if missing else FilesUnavailable("files-unreachable")


def _connect(settings: ObjectSettings) -> S3Store:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError:
        raise ConfigInvalid("[store.s3]: the package obstore is missing; install veildesk[s3]") from None
    limit = timedelta(seconds=settings.timeout)
    client: ClientConfig = {
        "allow_http": settings.endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=min(5.0, settings.timeout)),
        "timeout": limit,
        "user_agent": "veildesk",
        "default_content_type": "application/octet-stream",
    }
    if settings.ca is not None:
        client["root_certificate"] = settings.ca
    try:
        with _own_settings_only():
            return S3Store(
                settings.bucket,
                prefix=settings.prefix or None,
                endpoint=settings.endpoint,
                region=settings.region,
                access_key_id=settings.access_key,
                secret_access_key=settings.secret_key,
                virtual_hosted_style_request=False,
                disable_bulk_delete=True,
                client_options=client,
                retry_config={"max_retries": 1, "retry_timeout": limit},
            )
    except (BaseError, ValueError):
        raise ConfigInvalid("[store.s3]: these settings cannot be used") from None


@contextlib.contextmanager
def _own_settings_only() -> Iterator[None]:
    """The library would also take settings and proxies out of the environment."""
    with _ENVIRONMENT:
        foreign: dict[str, Any] = {
            name: os.environ.pop(name)
            for name in list(os.environ)
            if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY")
        }
        try:
            yield
        finally:
            os.environ.update(foreign)
