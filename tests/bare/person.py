"""Somebody with Python and gpg only, who writes one encrypted, signed mail with files."""

from __future__ import annotations

import base64
import io
import secrets
import smtplib
import struct
import subprocess
import wave
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path

HOME = Path("/root/person-gnupg")
ADDRESS = "person@user.example"
SUPPORT = "support@example.org"


def gpg(*words: str, data: bytes = b"") -> bytes:
    """What gpg writes."""
    command = ["gpg", "--homedir", str(HOME), "--batch", "--trust-model", "always", *words]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture() -> bytes:
    """Two by two pixels and the name of an author."""
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\1\2\3" * 2) * 2)
    parts = chunk(b"IHDR", head) + chunk(b"tEXt", b"Author\0Synthetic Author") + chunk(b"IDAT", rows)
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def letter() -> bytes:
    """A text document of LibreOffice's kind, with the name of an author."""
    names = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    dublin = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    author = "<office:meta><dc:creator>Synthetic Author</dc:creator></office:meta>"
    words = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    body = "<office:body><office:text><text:p>It stops at step 4.</text:p></office:text></office:body>"
    kind = "application/vnd.oasis.opendocument.text"
    files = {
        "mimetype": kind,
        "META-INF/manifest.xml": '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:'
        f'manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        '<manifest:file-entry manifest:full-path="meta.xml" manifest:media-type="text/xml"/>'
        "</manifest:manifest>",
        "content.xml": f"<office:document-content {names} {words}>{body}</office:document-content>",
        "meta.xml": f"<office:document-meta {names} {dublin}>{author}</office:document-meta>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def sound() -> bytes:
    """A tenth of a second of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(bytes(1600))
    return out.getvalue()


def page() -> bytes:
    """A PDF of one line, with the name of an author."""
    stream = b"BT /F1 12 Tf 20 100 Td (It stops at step 4.) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Author(Synthetic Author)>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in places)
    return out + b"trailer<</Size 6/Root 1 0 R/Info 5 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table


FILES = (
    ("screen.png", "image/png", picture),
    ("letter.odt", "application/vnd.oasis.opendocument.text", letter),
    ("sound.wav", "audio/x-wav", sound),
    ("page.pdf", "application/pdf", page),
    ("app.log", "text/plain", lambda: b"refused by 93.184.216.35\n"),
)


def mail() -> bytes:
    """PGP/MIME (RFC 3156) with the key in an Autocrypt header."""
    inner = EmailMessage()
    inner.set_content("Since 4.2.1 it does not start. Write to other@mail.example, I am at 93.184.216.34.\n")
    for name, kind, made in FILES:
        main, _, sub = kind.partition("/")
        inner.add_attachment(made(), maintype=main, subtype=sub, filename=name)
    signed = inner.as_bytes().replace(b"\n", b"\r\n")
    sealed = gpg("--armor", "--sign", "--encrypt", "-r", SUPPORT, "-r", ADDRESS, data=signed).decode()
    key = base64.b64encode(gpg("--export", ADDRESS)).decode()
    edge = "edge" + secrets.token_hex(8)
    return "\r\n".join(
        [
            f"From: {ADDRESS}",
            f"To: {SUPPORT}",
            "Subject: ...",
            f"Message-ID: <{secrets.token_hex(12)}@user.example>",
            f"Autocrypt: addr={ADDRESS}; keydata={key}",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{edge}"',
            "",
            f"--{edge}",
            "Content-Type: application/pgp-encrypted",
            "",
            "Version: 1",
            "",
            f"--{edge}",
            "Content-Type: application/octet-stream",
            "",
            *sealed.splitlines(),
            "",
            f"--{edge}--",
            "",
        ]
    ).encode()


def main() -> None:
    """Make a key and learn the support key, the first time; send."""
    if not HOME.exists():
        HOME.mkdir(mode=0o700)
        gpg("--passphrase", "", "--quick-gen-key", ADDRESS, "ed25519", "default", "1y")
        listing = gpg("--list-keys", "--with-colons").decode().splitlines()
        (fingerprint,) = [line.split(":")[9] for line in listing if line.startswith("fpr:")]
        gpg("--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr", "1y")
        gpg("--import", data=Path("/var/lib/veildesk/keys/support.asc").read_bytes())
    with smtplib.SMTP("127.0.0.1", 25) as server:
        server.ehlo("user.example")
        server.sendmail(ADDRESS, [SUPPORT], mail())


if __name__ == "__main__":
    main()
