"""Every mail that leaves says where our addresses and keys can be checked."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

from testbed.house import SUPPORT, House, mail
from veildesk.onion.key import create_key, load_key
from veildesk.service.config import parse_config
from veildesk.service.official import mail_footer, wanted_identity

RAW = {
    "gateway": {"name": "Desk", "address": SUPPORT, "domain": "desk.example"},
    "keys": {"home": "keys", "support": "A" * 40, "notice": "B" * 40},
    "backends": {"desk": {"kind": "memory"}},
    "queues": {"support": {"addresses": [SUPPORT], "backend": "desk"}},
}


def test_the_footer_names_our_own_onion_else_a_domain(tmp_path: Path) -> None:
    assert mail_footer(parse_config(RAW, tmp_path)) == ""
    domain = parse_config(RAW | {"identity": {"domains": ["status.example.org"]}}, tmp_path)
    assert mail_footer(domain).endswith(" https://status.example.org/addresses.asc")
    create_key(tmp_path / "onion")
    raw = RAW | {"onion": {"control_socket": "control", "key_file": "onion"}}
    config = parse_config(raw | {"identity": {"handles": ["matrix @a:b.example"]}}, tmp_path)
    address = load_key(tmp_path / "onion").address
    assert mail_footer(config).endswith(f" http://{address}/addresses.asc")
    identity = wanted_identity(config)
    assert (identity.onions, identity.mails) == ((address,), (SUPPORT,))
    assert identity.handles[0].risk.startswith("Matrix servers see")


async def test_an_answer_carries_the_footer(house: House) -> None:
    object.__setattr__(
        house.outbound, "footer", "Our addresses and keys, signed: http://x.onion/addresses.asc"
    )
    (entry,) = await house.deliver(mail("Hello?\n"))
    await house.answer(entry.thread, "Hello.")
    (wire,) = house.sent()
    texts = [p for p in message_from_bytes(wire).walk() if p.get_content_type() == "text/plain"]
    body = texts[0].get_payload(decode=True).replace(b"\r\n", b"\n")
    assert body.endswith(b"\n-- \nOur addresses and keys, signed: http://x.onion/addresses.asc\n")
