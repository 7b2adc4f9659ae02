"""A whole gateway, as a process of its own, before a real helpdesk."""

from __future__ import annotations

import shutil
import smtplib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3] / "deploy" / "demo"))

from gateway import GatewayProcess


@contextmanager
def gateway_before(folder: Path, kind: str, settings: Mapping[str, Any]) -> Iterator[GatewayProcess]:
    """One that is set up and not started yet: mail by LMTP, no portal, tickets into the helpdesk."""
    gateway = GatewayProcess(folder)
    gateway.init("Example", "support@example.org", folder / "no-tor")
    given = {name: value for name, value in settings.items() if name != "base"}
    for name in [name for name in given if name.endswith("_file")]:
        shutil.copy(Path(settings["base"]) / given[name], folder / str(given[name]))
    text = gateway.config.read_text()
    for name in ("portal", "onion"):
        text = text.replace(f"[{name}]", f"[{name}-off]")
    gateway.config.write_text(_without(text, ("portal-off", "onion-off")))
    gateway.configure(**{"backends.desk": {"kind": kind, "poll_seconds": 1, **given}})
    try:
        yield gateway
    finally:
        gateway.stop()


def _without(text: str, sections: tuple[str, ...]) -> str:
    kept, keep = [], True
    for line in text.splitlines():
        if line.startswith("["):
            keep = line.strip("[]").partition("]")[0] not in sections
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def send(gateway: GatewayProcess, text: str, subject: str = "Help") -> None:
    """A mail of a person over LMTP; returns when the gateway has said that it is kept."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "someone@elsewhere.test", "support@example.org", subject
    mail["Message-ID"] = make_msgid(domain="elsewhere.test")
    mail.set_content(text)
    with smtplib.LMTP(str(gateway.folder / "run" / "lmtp.sock"), timeout=60) as client:
        client.sendmail("someone@elsewhere.test", ["support@example.org"], mail.as_bytes())
