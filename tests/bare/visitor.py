"""Somebody who comes as tor does, over the portal's socket, and opens a ticket with a picture."""

from __future__ import annotations

import http.client
import re
import secrets
import socket
import sys
from urllib.parse import urlencode

from person import picture

FORM = "application/x-www-form-urlencoded"


class Portal(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, place: str, host: str) -> None:
        super().__init__(host, timeout=60)
        self.place, self.cookie = place, ""

    def connect(self) -> None:
        """To the socket rather than to the name."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.place)

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = FORM) -> str:
        """A page; the cookie goes along and redirects are followed."""
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None:
            headers["Content-Type"] = kind
        self.request(method, path, body, headers)
        answer = self.getresponse()
        text = answer.read().decode()
        if set_cookie := answer.headers["Set-Cookie"]:
            self.cookie = set_cookie.split(";")[0]
        if answer.status == 303:
            return self.ask("GET", answer.headers["Location"].partition("#")[0])
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status}")
        return text


def hidden(page: str, form: str) -> dict[str, str]:
    """The hidden fields of a form, by its address."""
    part = page.split(f'action="{form}"', 1)[1].split("</form>", 1)[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part))


def multipart(fields: dict[str, str], name: str, content: bytes) -> tuple[bytes, str]:
    """A form with one file."""
    edge = secrets.token_hex(16)
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = ("".join(parts) + head).encode() + content + f"\r\n--{edge}--\r\n".encode()
    return body, f"multipart/form-data; boundary={edge}"


def main(place: str, host: str) -> None:
    """Write, look at the check page, send; say what the pages said."""
    portal = Portal(place, host)
    fields = hidden(portal.ask("GET", "/en/new"), "/en/new")
    fields |= {"topic": "other", "message": "I am other@mail.example"}
    check = portal.ask("POST", "/en/new", *multipart(fields, "screen.png", picture()))
    print(re.search(r"<h1[^>]*>([^<]*)", check)[1], "[email-1]" in check, "Will not be sent" in check)
    sent = {**hidden(check, "/en/new/check"), "op": "send"}
    sent["hide"] = sent["seen"]
    receipt = portal.ask("POST", "/en/new/check", urlencode(sent).encode())
    print(re.search(r"<h1[^>]*>([^<]*)", receipt)[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
