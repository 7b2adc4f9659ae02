"""First set-up: folders, keys and a configuration file that says what each line does.

Nothing that exists is overwritten: a second call on the same folder is refused before it makes anything.
"""

from __future__ import annotations

import os
from pathlib import Path

from veildesk.core.errors import InputInvalid
from veildesk.onion.key import create_key
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.service.config import load_config
from veildesk.service.notices import open_press
from veildesk.service.runtime import runtime_folder
from veildesk.spool.keyring import KeyRing

__all__ = ["initialise"]

_TEMPLATE = """\
# Configuration of a Veildesk gateway. Paths count from this file's folder.
# 'veildesk check-config' says whether it can be used, 'veildesk doctor' whether all it names works.

[gateway]
name = {name}                 # who people reach
address = {address}           # the support address
domain = {domain}             # for Message-IDs and EHLO; must not name this machine
state_dir = "state"           # everything here is sealed; back it up apart from the key ring
retention_days = 14           # 7 to 30 is usual; then the ticket's key is destroyed
reply_delimiter = "+"         # answers come from support+token@...; "" if your mail server refuses that

[keys]
home = "keys/gnupg"           # GnuPG home with both secret keys
ring = "keys/ring"            # key ring of the store; without it nothing in state_dir can be read
support = "{support}"
notice = "{notice}"
heartbeat = "{heartbeat}"   # says that nothing was published, and is good for nothing else
# contacts = "keys/contacts"  # folder of public keys you know and trust
# wkd_proxy = "127.0.0.1:9050"  # tor's SOCKS port: ask mail domains for keys (WKD) when none is known
# secret = "memory"           # many times faster; what it costs: docs/keys.md

# [store]                     # PostgreSQL instead of SQLite, for several gateways
# database = "host=/run/postgresql dbname=veildesk"
# files = "/srv/veildesk/files"  # or a bucket: [store.s3], docs/storage.md

# [metrics]                   # OpenMetrics for a collector on this machine
# socket = "run/metrics.sock"

[queues.support]
addresses = [{address}]
require = "nothing"           # or "encryption", or "signature"
backend = "desk"

[backends.desk]
kind = "maildir"              # clean tickets for any mail program that reads Maildir
path = "tickets"
replies = "replies"           # an answer is a mail file with In-Reply-To, dropped here
poll_seconds = 5

[lmtp]                        # for Postfix: see deploy/postfix
listen = "unix:run/lmtp.sock"

# [imap]                      # fetch from an account instead, over TLS
# host = "imap.example.org"
# user = "support"
# password_file = "keys/imap-password"

# [outgoing]                  # without it answers to mail wait in the spool
# host = "127.0.0.1"
# port = 25
# security = "plain"          # loopback only; otherwise "starttls" or "tls"

[portal]
socket = "run/portal.sock"    # only tor and a local proxy may reach it
# queues.security = "support" # which queue a topic goes to, see docs/portal.md

{onion}
# [identity]                  # official addresses besides our own onion and the support address
# domains = ["status.example.org"]
# handles = ["matrix @support:example.org"]

# [notices]                   # where signed notices go besides the status page: see docs/notices.md
# exports = ["status.example.org=/srv/status"]
# mail = "notices@example.org"
# webhook = "https://example.org/hook"

# [status]                    # 'veildesk status-site run': goes on when the gateway does not; its onion
#                             # is that of status_key_file in [onion]
"""

_ONION = """\
[onion]
control_socket = {control}
key_file = "keys/hs_ed25519_secret_key"
"""

_NO_ONION = """\
# [onion]                     # an own tor instance: see torrc.example
# control_socket = "/run/tor-instances/veildesk/control"
# key_file = "keys/hs_ed25519_secret_key"
"""


async def initialise(
    folder: Path, *, name: str, address: str, tor_control: Path | None = None
) -> dict[str, str]:
    """Make a gateway in `folder`; returns paths and fingerprints. Raises `ConfigInvalid`."""
    config = folder / "veildesk.toml"
    if config.exists():
        raise InputInvalid("there is a veildesk.toml already; nothing was changed")
    if "@" not in address or any(c in address + name for c in '"\\\r\n'):
        raise InputInvalid("the address must look like support@example.org, without quotes")
    keys = folder / "keys"
    for path in (folder, keys, folder / "run", folder / "state"):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with runtime_folder(None) as runtime:
        engine = GnuPGEngine(keys / "gnupg", runtime_dir=runtime)
        await engine.start()
        try:
            support = await engine.generate_key(f"{name} <{address}>")
            notice = await engine.generate_key(f"{name} notices <{address}>")
            heartbeat = await engine.generate_key(f"{name} heartbeat <{address}>")
            _write(keys / "support.asc", await engine.export(support))
            _write(keys / "notices.asc", await engine.export(notice))
        finally:
            await engine.close()
    if not (keys / "ring").exists():
        KeyRing.create(keys / "ring")
    onion_key = keys / "hs_ed25519_secret_key"
    if not onion_key.exists():
        create_key(onion_key)
    text = _TEMPLATE.format(
        name=_quoted(name),
        address=_quoted(address),
        domain=_quoted(address.rpartition("@")[2]),
        support=support,
        notice=notice,
        heartbeat=heartbeat,
        onion=_ONION.format(control=_quoted(str(tor_control.resolve()))) if tor_control else _NO_ONION,
    )
    _write(config, text.encode())
    await _introduce(config)
    return {"config": str(config), "support_key": support, "notice_key": notice, "heartbeat_key": heartbeat}


async def _introduce(config: Path) -> None:
    """The first statements: who we are, signed, and security.txt."""
    async with open_press(load_config(config)) as press:
        await press.publish(press.publisher.rules.identity)
        await press.write_security_txt(days=180)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
