#!/usr/bin/env python3
"""A small receiver for Veildesk's signed JSON, to try and to copy from. Needs nothing but Python and SQLite.

    receiver.py serve --db desk.sqlite --key-file secret --port 8940
    receiver.py list --db desk.sqlite
    receiver.py answer --db desk.sqlite TICKET "The answer." [--file PATH] [--private]

The format is docs/helpdesks/webhook.md. Put a web server with TLS before it; it listens on loopback only.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY AUTOINCREMENT, thread TEXT UNIQUE, queue TEXT,
    subject TEXT, open INTEGER DEFAULT 1);
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, ticket INTEGER, key TEXT UNIQUE,
    author TEXT, public INTEGER, type TEXT, text TEXT);
CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER, name TEXT, type TEXT,
    content BLOB);
"""
QUEUES = ["support"]
MOST = 256 * 1024 * 1024
PAGE = 100
TOLERANCE = 300


class Refused(Exception):
    """What the caller did wrong, with the status to say it with."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


class Desk:
    """Tickets in one SQLite file. Deleted rows are overwritten."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.base = sqlite3.connect(path, check_same_thread=False, timeout=20)
        self.base.execute("PRAGMA secure_delete = ON")
        self.base.executescript(SCHEMA)

    def check(self, data):
        return {"protocol": 1, "queues": QUEUES}

    def message(self, data, files):
        """Make a ticket or append to one. The key is unique: the same call twice leaves one message."""
        promised = [one["sha256"] for one in data["files"]]
        if promised != [hashlib.sha256(content).hexdigest() for _, _, content in files]:
            raise Refused(400, "the files are not those of the signed event")
        with self.lock, self.base:
            known = self.base.execute("SELECT ticket FROM messages WHERE key = ?", (data["key"],)).fetchone()
            if known:
                return {"ref": str(known[0]), "fresh": False}
            found = self.base.execute("SELECT id FROM tickets WHERE thread = ?", (data["thread"],)).fetchone()
            ticket = found[0] if found else None
            if ticket is None:
                if data["queue"] not in QUEUES:
                    raise Refused(422, "no such queue")
                row = (data["thread"], data["queue"], data["subject"])
                ticket = self.base.execute(
                    "INSERT INTO tickets (thread, queue, subject) VALUES (?, ?, ?)", row
                ).lastrowid
            self.add(ticket, data["key"], "person", True, "text/plain", data["text"], files)
            self.base.execute("UPDATE tickets SET open = 1 WHERE id = ?", (ticket,))
            return {"ref": str(ticket), "fresh": True}

    def add(self, ticket, key, author, public, kind, text, files=()):
        row = (ticket, key, author, int(public), kind, text)
        message = self.base.execute(
            "INSERT INTO messages (ticket, key, author, public, type, text) VALUES (?, ?, ?, ?, ?, ?)", row
        ).lastrowid
        for name, media_type, content in files:
            row = (message, name, media_type, content)
            self.base.execute("INSERT INTO files (message, name, type, content) VALUES (?, ?, ?, ?)", row)

    def replies(self, data):
        """Agents' answers after a position, which here is the number of the last message."""
        query = (
            "SELECT m.id, t.thread, t.id, m.type, m.text FROM messages m JOIN tickets t ON t.id = m.ticket "
            "WHERE m.author = 'agent' AND m.public = 1 AND m.id > ? ORDER BY m.id LIMIT ?"
        )
        with self.lock:
            rows = self.base.execute(query, (int(data["after"] or 0), PAGE + 1)).fetchall()
            replies = [self.reply(row) for row in rows[:PAGE]]
        return {"replies": replies, "more": len(rows) > PAGE}

    def reply(self, row):
        number, thread, ticket, kind, text = row
        query = "SELECT id, name, type, length(content) FROM files WHERE message = ? ORDER BY id"
        files = [
            {"handle": str(i), "name": name, "type": media_type, "size": size}
            for i, name, media_type, size in self.base.execute(query, (number,))
        ]
        return {
            "id": str(number),
            "cursor": str(number),
            "thread": thread,
            "ref": str(ticket),
            "visibility": "public",
            "type": kind,
            "text": text,
            "files": files,
        }

    def file(self, data):
        with self.lock:
            query = (
                "SELECT content FROM files JOIN messages ON messages.id = message "
                "WHERE files.id = ? AND author = 'agent' AND public = 1"
            )
            found = self.base.execute(query, (int(data["handle"]),)).fetchone()
        if not found:
            raise Refused(404, "no such file")
        return found[0]

    def update(self, data):
        with self.lock, self.base:
            if data.get("state"):
                row = (data["state"] == "open", data["ref"])
                self.base.execute("UPDATE tickets SET open = ? WHERE id = ?", row)
            known = self.base.execute("SELECT 1 FROM messages WHERE key = ?", (data["note_key"],)).fetchone()
            if data.get("note") and not known:
                key = data["note_key"] or None
                self.add(int(data["ref"]), key, "veildesk", False, "text/plain", data["note"])
        return {}

    def erase(self, data):
        """Only the ticket of this thread, whatever number is given with it."""
        ticket = "(SELECT id FROM tickets WHERE thread = ?)"
        row = (data["thread"],)
        with self.lock, self.base:
            messages = f"(SELECT id FROM messages WHERE ticket IN {ticket})"
            self.base.execute(f"DELETE FROM files WHERE message IN {messages}", row)
            self.base.execute(f"DELETE FROM messages WHERE ticket IN {ticket}", row)
            self.base.execute("DELETE FROM tickets WHERE thread = ?", row)
        return {"outcome": "gone"}


def verifier(key):
    """What says whether a signature fits, for a shared secret or the public half of an Ed25519 key."""
    kind, _, encoded = key.partition("_")
    raw = base64.b64decode(encoded)
    if kind == "whsec":

        def good(signed, given):
            mine = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
            return any(hmac.compare_digest(one, f"v1,{mine}") for one in given)

        return good
    if kind == "whpk":
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        public = Ed25519PublicKey.from_public_bytes(raw)

        def fits(signed, given):
            for one in given:
                try:
                    public.verify(base64.b64decode(one.removeprefix("v1a,")), signed)
                    return True
                except (InvalidSignature, ValueError):
                    continue
            return False

        return fits
    raise SystemExit("the key file holds neither whsec_ nor whpk_")


def parts_of(content_type, body):
    """The event and the files of a multipart form (RFC 7578)."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if not boundary:
        raise Refused(400, "no boundary")
    event, files = b"", []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.group(1).encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'name="([^"]*)"', text)
        file_name = re.search(r'filename="([^"]*)"', text)
        kind = re.search(r"(?im)^content-type: *(.+?)\r?$", text)
        if name and name.group(1) == "event":
            event = content
        elif file_name:
            media_type = kind.group(1) if kind else "application/octet-stream"
            files.append((file_name.group(1), media_type, content))
    return event, files


def handler(desk, fits):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # Head and body in one packet: answers are waited for.

        def do_POST(self):
            try:
                status, kind, answer = 200, "application/json", self.answered()
                if isinstance(answer, bytes):
                    kind = "application/octet-stream"
                else:
                    answer = json.dumps(answer).encode()
            except Refused as error:
                status, kind = error.status, "application/json"
                answer = json.dumps({"error": str(error)}).encode()
            except (KeyError, TypeError, ValueError):
                status, kind, answer = 400, "application/json", b'{"error": "not the documented format"}'
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def answered(self):
            size = int(self.headers.get("Content-Length") or 0)
            if not 0 < size <= MOST:
                self.close_connection = True
                raise Refused(413, "too large")
            body, kind = self.rfile.read(size), self.headers.get("Content-Type", "")
            event, files = parts_of(kind, body) if kind.startswith("multipart/form-data") else (body, [])
            self.verify(event)
            call = json.loads(event)
            if call["type"] == "ticket.message":
                return desk.message(call["data"], files)
            methods = {
                "check": desk.check,
                "replies.list": desk.replies,
                "file.get": desk.file,
                "ticket.update": desk.update,
                "ticket.erase": desk.erase,
            }
            return methods[call["type"]](call["data"])

        def verify(self, event):
            identity, stamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
            if not stamp.isdigit() or abs(int(stamp) - time.time()) > TOLERANCE:
                raise Refused(401, "too old, or our clocks differ")
            if not fits(
                f"{identity}.{stamp}.".encode() + event, self.headers.get("webhook-signature", "").split()
            ):
                raise Refused(401, "the signature does not fit")

        def log_message(self, *words):
            """Requests are nobody's business."""

    return Handler


def notify(url, key_file):
    """Tell Veildesk that there is something to fetch; it would look by itself a little later."""
    import urllib.request

    body = b'{"type": "replies.waiting"}'
    secret = base64.b64decode(Path(key_file).read_text().strip().removeprefix("whsec_"))
    stamp = str(int(time.time()))
    identity = hashlib.sha256(stamp.encode() + secret).hexdigest()[:32]
    digest = hmac.new(secret, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": identity,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5).close()
    except OSError:
        print("Veildesk could not be told; it will look by itself.", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    serve, shows = commands.add_parser("serve"), commands.add_parser("list")
    answer = commands.add_parser("answer")
    for one in (serve, shows, answer):
        one.add_argument("--db", required=True)
    serve.add_argument("--key-file", required=True)
    serve.add_argument("--port", type=int, default=8940)
    answer.add_argument("ticket", type=int)
    answer.add_argument("text")
    answer.add_argument("--private", action="store_true")
    answer.add_argument("--file", type=Path, action="append", default=[])
    answer.add_argument("--notify", help="address of Veildesk's listener for notices")
    answer.add_argument("--notify-key-file")
    given = parser.parse_args()
    desk = Desk(given.db)
    if given.command == "serve":
        fits = verifier(Path(given.key_file).read_text().strip())
        server = ThreadingHTTPServer(("127.0.0.1", given.port), handler(desk, fits))
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
    elif given.command == "list":
        for row in desk.base.execute("SELECT id, subject, open FROM tickets"):
            print(*row, sep="\t")
    else:
        files = [(path.name, "application/octet-stream", path.read_bytes()) for path in given.file]
        with desk.base:
            desk.add(given.ticket, None, "agent", not given.private, "text/plain", given.text, files)
        if given.notify and given.notify_key_file:
            notify(given.notify, given.notify_key_file)


if __name__ == "__main__":
    main()
