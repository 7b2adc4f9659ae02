"""Makes series of statements with pretended signatures: what was signed by whom is a table, not mathematics.

Both verifiers ask the same table, so thousands of mutations can be judged without starting gpg. What gpg
itself says of signatures is tested elsewhere with real keys.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import veildesk.notices
from veildesk.core.notice import (
    Heartbeat,
    Identity,
    Impact,
    IncidentState,
    Kind,
    Notice,
    Statement,
    Words,
)
from veildesk.notices.series import Signed
from veildesk.notices.text import heartbeat_text, statement_text

__all__ = ["Forge", "HOUR", "START", "standalone"]

START, HOUR = 1_795_000_020, 3600
SUPPORT = "5" * 40


def standalone() -> ModuleType:
    """The program that suspicious users run, loaded from its file."""
    path = Path(veildesk.notices.__file__).parent / "standalone" / "verify-notices.py"
    spec = importlib.util.spec_from_file_location("verify_notices", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Forge:
    """Signs anything as anyone, and remembers it. Keys are letters: "A" is forty times "A"."""

    table: dict[bytes, Signed] = field(default_factory=dict)

    @staticmethod
    def key(letter: str) -> str:
        return letter * 40

    def sign(self, text: str, keys: Iterable[str], made: int, revoked: Iterable[str] = ()) -> bytes:
        names = sorted(set(keys))
        raw = (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n\n"
            f"{''.join(names)}{made}\n-----END PGP SIGNATURE-----\n"
        ).encode()
        signers = tuple((self.key(name), made) for name in names)
        self.table[raw] = Signed(raw, text, signers, frozenset(self.key(name) for name in revoked))
        return raw

    def identity(
        self, keys: Sequence[str] = ("A",), threshold: int = 1, heartbeat: str | None = "E"
    ) -> Identity:
        signers = tuple(self.key(key) for key in keys)
        return Identity(signers, threshold, self.key(heartbeat) if heartbeat else None, SUPPORT)

    def append(
        self,
        series: Sequence[bytes],
        *,
        keys: Iterable[str] = ("A",),
        content: Identity | None = None,
        title: str = "Late",
        issued: int | None = None,
        days: int = 30,
        **changes: object,
    ) -> bytes:
        """The next file of a series."""
        read = [self.table[raw] for raw in series]
        number = len(series) + 1
        at = START + number * 4 * HOUR if issued is None else issued
        lists = [n for n, one in enumerate(read, 1) if one.text and "\nKind: identity\n" in one.text]
        notice = Notice(
            Kind.INCIDENT, IncidentState.MONITORING, Impact.MINOR, {"en": Words(title, "Wait.", "Late.")}
        )
        statement = Statement(
            number=number,
            kind=Kind.IDENTITY if content else Kind.INCIDENT,
            issued=at,
            valid_until=at + (180 if content else days) * 86400,
            previous=read[-1].sha256 if read else "",
            addresses=number if content or not lists else lists[-1],
            where="",
            content=content or notice,
        )
        statement = replace(statement, **changes)  # type: ignore[arg-type]
        return self.sign(statement_text(statement), keys, at + 60)

    def series(self, length: int, keys: Sequence[str] = ("A",), threshold: int = 1) -> list[bytes]:
        """A sound series of `length` statements."""
        made = [self.append([], keys=keys, content=self.identity(keys, threshold))]
        while len(made) < length:
            made.append(self.append(made, keys=keys[:threshold], title=f"Late {len(made)}"))
        return made

    def heartbeat(
        self,
        series: Sequence[bytes],
        *,
        number: int = 1,
        key: str = "E",
        issued: int | None = None,
        hours: int = 48,
    ) -> bytes:
        """A heartbeat for the end of a series."""
        at = START + len(series) * 4 * HOUR + HOUR if issued is None else issued
        head = self.table[series[-1]].sha256
        beat = Heartbeat(number, at, at + hours * HOUR, len(series), head)
        return self.sign(heartbeat_text(beat), key, at)

    def signed(self, raw: bytes) -> Signed:
        """What cryptography would say; of bytes that nobody signed, nothing good."""
        return self.table.get(raw, Signed(raw))

    def check(self, raw: bytes) -> tuple[str | None, dict[str, int], set[str]]:
        """The same as the stand-alone verifier asks for it."""
        signed = self.signed(raw)
        return signed.text, dict(signed.signers), set(signed.revoked)
