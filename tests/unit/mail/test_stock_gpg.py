"""What we compose is opened and verified by stock gpg and the standard library, without our code."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from veildesk.core.ports import DetachedSignature
from veildesk.core.ticket import File
from veildesk.mail.compose import Draft, protected_entity, signable_entity, wrap_encrypted, wrap_signed
from veildesk.service.runtime import runtime_folder

DRAFT = Draft(
    sender="desk@desk.example",
    recipient="user@mail.example",
    subject="Über die Wallet",
    text="Grüße  \n\n.\nFrom me\n-- \nlast line" + "x" * 200,
    message_id="1@desk.example",
    moment=20_000 * 86400,
    files=(File("a.bin", "application/octet-stream", bytes(range(256))),),
)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with runtime_folder(None) as folder:
        make = ["--passphrase", "", "--quick-generate-key", "Desk <desk@desk.example>", "future-default"]
        gpg(folder, *make, "default", "never")
        yield folder
        subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "gpg-agent"], check=False)


def gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--status-fd", "2", *words]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def test_encrypted_mail(home: Path) -> None:
    inside = ["--sign", "--encrypt", "--armor", "--recipient", "desk@desk.example", "--trust-model", "always"]
    sealed = gpg(home, *inside, given=protected_entity(DRAFT))
    mail = email.message_from_bytes(wrap_encrypted(DRAFT, sealed), policy=email.policy.default)
    assert mail["Subject"] == "[...]"
    _, ciphertext = mail.iter_parts()
    opened = gpg(home, "--decrypt", given=ciphertext.get_content())
    assert opened == protected_entity(DRAFT)
    payload = email.message_from_bytes(opened, policy=email.policy.default)
    assert payload["Subject"] == DRAFT.subject
    assert payload["Content-Type"].params["hp"] == "cipher"
    text, attached = payload.iter_parts()
    assert text.get_content().splitlines() == DRAFT.text.splitlines()
    assert attached.get_content() == bytes(range(256))


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_signed_mail(home: Path, tmp_path: Path, hash_name: str) -> None:
    inner = signable_entity(DRAFT)
    signature = gpg(home, "--detach-sign", "--armor", "--digest-algo", hash_name, given=inner).decode()
    wire = wrap_signed(DRAFT, inner, DetachedSignature(signature, hash_name))
    mail = email.message_from_bytes(wire, policy=email.policy.default)
    assert mail["Content-Type"].params["micalg"] == f"pgp-{hash_name}"
    boundary = mail.get_boundary("").encode()
    # RFC 3156 § 5: the signed bytes lie between the boundaries, without the last line break.
    match = re.search(
        rb"--%b\r\n(.*?)\r\n--%b\r\n" % (re.escape(boundary), re.escape(boundary)), wire, re.DOTALL
    )
    assert match is not None
    (tmp_path / "signature.asc").write_bytes(list(mail.iter_parts())[1].get_content())
    gpg(home, "--verify", str(tmp_path / "signature.asc"), "-", given=match.group(1))
    with pytest.raises(subprocess.CalledProcessError):
        gpg(
            home, "--verify", str(tmp_path / "signature.asc"), "-", given=match.group(1).replace(b"Gr", b"gR")
        )
