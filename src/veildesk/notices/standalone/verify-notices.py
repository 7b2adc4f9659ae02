#!/usr/bin/env python3
"""Check a team's signed statements yourself. Needs gpg and Python 3.8 or later, nothing else, no network.

    python3 verify-notices.py --keys notices.asc --fingerprint FINGERPRINT notices.txt heartbeat.asc

FINGERPRINT is that of the notice key, from a source you trust more than the site you got the files from.
notices.txt is the whole series, one clear-signed text after the other; single files work too. With
--state FILE the newest statement is remembered, so that a series that was cut back is noticed next time.

It finds statements that are missing, reordered, repeated, changed, signed by others, out of date, or
replaced by another series, against the heartbeat and against what it remembers. It cannot find: that
others are shown another series (compare the last line with theirs), nor that the end is withheld while
what you have is still valid.

Exit code: 0 sound, 1 not sound, 2 wrong use. It writes only to a temporary folder and the state file.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from calendar import timegm

SHAPE = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Z0-9, ]+\n)*\n(?:.*\n)+"
    rb"-----BEGIN PGP SIGNATURE-----\n\n[A-Za-z0-9+/=\n]+-----END PGP SIGNATURE-----\n\Z"
)
HOUR, MONTH = 3600, 31 * 86400


def split(data):
    """The clear-signed texts of a file. A text cannot hold such a border itself: it would be escaped."""
    parts = re.split(rb"(?m)^(?=-----BEGIN PGP SIGNED MESSAGE-----$)", data.replace(b"\r\n", b"\n"))
    return [part for part in parts if part.strip()]


class GnuPG:
    """gpg with a throw-away home that knows only the keys given."""

    def __init__(self, home, keys):
        self.home = home
        done = self.run(["--import"], b"".join(keys))
        if b"IMPORT_OK" not in done[1]:
            raise SystemExit("The key file holds no key that gpg can read.")

    def run(self, words, data, at=None):
        read, write = os.pipe()
        command = [
            "gpg",
            "--homedir",
            self.home,
            "--batch",
            "--no-tty",
            "--no-options",
            "--trust-model=always",
        ]
        command += ["--no-auto-key-retrieve", "--no-auto-key-locate", "--status-fd", str(write)]
        command += ["--faked-system-time=%d!" % at] if at else []
        with tempfile.TemporaryFile() as stdin:
            stdin.write(data)
            stdin.seek(0)
            child = subprocess.Popen(
                command + words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[write],
            )
            os.close(write)
            # The text is small enough for a pipe to be read after the other: see the limit in main().
            with os.fdopen(read, "rb") as status:
                out = child.stdout.read()
                seen = status.read()
            child.stdout.close()
            return out, seen, child.wait()

    def check(self, data):
        """(text, {fingerprint: time of signature}, revoked): text None unless exactly one signed text."""
        if not SHAPE.match(data) or data.count(b"\n-----BEGIN") != 1:
            return None, {}, set()
        text, status, _ = self.run(["--decrypt"], data)
        good, revoked = {}, set()
        for one in re.split(rb"(?m)^\[GNUPG:\] NEWSIG.*$", status)[1:]:
            valid = re.search(rb"(?m)^\[GNUPG:\] VALIDSIG (.*)$", one)
            if valid is None:
                continue
            fields = valid[1].decode().split()
            made, hash_name, primary = int(fields[2]), int(fields[7]), fields[9]
            if hash_name not in (8, 9, 10):
                continue
            # Only at the start of a line: behind it stand names that the key's owner chose.
            word = re.search(rb"(?m)^\[GNUPG:\] (GOODSIG|EXPSIG|EXPKEYSIG|REVKEYSIG) ", one)
            word = word[1] if word else b""
            if word == b"GOODSIG":
                good[primary] = made
            elif word == b"EXPKEYSIG":
                # The key is over by now; what counts is whether it was good when it signed.
                then = self.run(["--decrypt"], data, at=made + 1)[1]
                if re.search(
                    rb"(?m)^\[GNUPG:\] GOODSIG .*\n(?:(?!\[GNUPG:\] NEWSIG).*\n)*?\[GNUPG:\] VALIDSIG "
                    + fields[0].encode(),
                    then,
                ):
                    good[primary] = made
            elif word == b"REVKEYSIG":
                revoked.add(primary)
        return text.decode("utf-8"), good, revoked


def when(text):
    """Seconds since 1970 of a time as it stands in statements."""
    return timegm(time.strptime(text, "%Y-%m-%d %H:%M UTC"))


def fields_of(text, wanted):
    """The "Name: value" lines at the top, after a first line that must be `wanted`."""
    head = text.split("\n\n")[0].split("\n")
    if head[0] != wanted:
        raise ValueError("is not what it should be")
    pairs = [line.partition(": ")[::2] for line in head[1:]]
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("has a line twice")
    return dict(pairs)


def read_statement(data, gnupg):
    text, good, revoked = gnupg.check(data)
    if text is None:
        raise ValueError("is not exactly one clear-signed text")
    fields = fields_of(text, "Veildesk statement 1")
    return {
        "number": int(fields["Number"]),
        "kind": fields["Kind"],
        "issued": when(fields["Issued"]),
        "until": when(fields["Valid until"]),
        "previous": fields["Previous"],
        "addresses": int(fields["Addresses"].split()[0]),
        "signers": fields.get("Signers", "").split(),
        "needed": int(fields.get("Signatures needed", "0")),
        "beat_key": fields.get("Heartbeat key"),
        "hash": hashlib.sha256(data).hexdigest(),
        "data": data,
        "good": good,
        "revoked": revoked,
    }


def order(read, say):
    numbers = [one["number"] for one in read]
    by_number = {}
    for one in read:
        known = by_number.setdefault(one["number"], one)
        if known is not one:
            say("replayed" if known["data"] == one["data"] else "forked", one["number"], "there twice")
    if numbers != sorted(numbers):
        say("reordered", 0, "not in order of number")
    for missing in sorted(set(range(1, max(numbers or [1]) + 1)) - set(numbers)):
        say("dropped", missing, "missing")
    return [by_number[number] for number in sorted(by_number)]


def chain(series, now, say):
    before, issued, addresses = {0: "none"}, 0, 0
    for one in series:
        number = one["number"]
        if before.get(number - 1, one["previous"]) != one["previous"]:
            say("forked", number, "does not follow the statement before it")
        before[number] = one["hash"]
        if one["issued"] < issued:
            say("backdated", number, "issued before the one before it")
        if one["issued"] > now + HOUR:
            say("future", number, "issued in the future of this clock")
        if one["until"] <= one["issued"]:
            say("expired", number, "was never valid")
        if any(not -HOUR <= made - one["issued"] <= MONTH for made in one["good"].values()):
            say("backdated", number, "signed at quite another time")
        issued = max(issued, one["issued"])
        addresses = number if one["kind"] == "identity" else addresses
        if one["addresses"] != addresses:
            say("forked", number, "names another list of addresses")


def authority(series, anchor, say):
    """Who may sign, from one statement to the next; returns the list in force at the end."""
    now, anchored, doubtful = None, False, []
    for one in series:
        good, every = set(one["good"]), set(one["good"]) | one["revoked"]
        if one["kind"] == "identity":
            listed, old = set(one["signers"]), set(now["signers"]) if now else set()
            fresh, needed = listed - old, one["needed"]
            enough = 1 <= needed <= len(listed) and len(every & listed) >= needed and fresh <= every
            if now is not None:
                enough = enough and len(every & old) >= now["needed"]
            if not enough or (now is None and one["number"] != 1):
                say("unsigned", one["number"], "a new list needs the old keys and every new key")
                continue
            if len(good & listed) >= needed and fresh <= good:
                doubtful = []
            else:
                doubtful.append(one["number"])
            anchored = anchored or anchor in good & listed
            now = one
        elif now is None:
            say("unsigned", one["number"], "no list says yet who may sign")
        elif len(every & set(now["signers"])) < now["needed"]:
            say("unsigned", one["number"], "not signed by those who may")
        elif len(good & set(now["signers"])) < now["needed"]:
            doubtful.append(one["number"])
    for number in doubtful:
        say("unsigned", number, "by a key that was revoked later")
    if series and not anchored:
        say("anchor", 0, "no list in this series is signed by the key you named")
    return now


def read_heartbeat(data, gnupg, listed, now, say):
    try:
        text, good, _ = gnupg.check(data)
        if text is None:
            raise ValueError("is not exactly one clear-signed text")
        fields = fields_of(text, "Veildesk heartbeat 1")
        issued, next_by = when(fields["Issued"]), when(fields["Next by"])
        head, digest = fields["Head"].split()
        made = good.get(listed["beat_key"] if listed else None)
        if made is None or not -HOUR <= made - issued <= MONTH:
            raise ValueError("is not signed by the heartbeat key")
        if next_by > listed["until"]:
            raise ValueError("lasts longer than the list that names its key")
        if issued > now + HOUR or next_by <= issued:
            raise ValueError("is issued in the future of this clock")
        return {"number": int(fields["Number"]), "next": next_by, "head": int(head), "hash": digest}
    except (ValueError, KeyError) as error:
        say("heartbeat", 0, "the heartbeat %s" % error)
        return None


def compare(series, number, digest, defect, say, who):
    hashes = {one["number"]: one["hash"] for one in series}
    if number > max(hashes or [0]):
        say(defect, number, "%s a newer statement" % who)
    elif hashes.get(number, digest) != digest:
        say("forked", number, "%s another one" % who)


def verify(files, gnupg, anchor, now, remembered=None):
    """(faults, head): faults are (word, number, detail); head is what to remember."""
    faults, read, beats = [], [], []

    def say(*fault):
        faults.append(fault)

    for place, data in enumerate(files, 1):
        if b"\nVeildesk heartbeat 1\n" in data:
            beats.append(data)
            continue
        try:
            read.append(read_statement(data, gnupg))
        except (ValueError, KeyError, IndexError) as error:
            say("unreadable", place, str(error))
    series = order(read, say)
    if not series:
        say("dropped", 1, "there is no statement at all")
        return faults, None
    chain(series, now, say)
    listed = authority(series, anchor, say)
    if len(beats) > 1:
        say("heartbeat", 0, "there is more than one heartbeat")
    beat = read_heartbeat(beats[0], gnupg, listed, now, say) if beats else None
    last = series[-1]
    fresh = last["until"]
    if beat and (beat["head"], beat["hash"]) == (last["number"], last["hash"]):
        fresh = max(fresh, beat["next"])
    if fresh < now:
        say("expired", last["number"], "nothing in it is valid any more: newer ones may be withheld")
    if beat:
        compare(series, beat["head"], beat["hash"], "withheld", say, "the heartbeat knows")
    if remembered:
        compare(series, remembered["number"], remembered["sha256"], "rolled-back", say, "you saw before")
        if beat and beat["number"] < remembered.get("heartbeat", 0):
            say("rolled-back", 0, "you saw a newer heartbeat before")
    return faults, {
        "number": last["number"],
        "sha256": last["hash"],
        "heartbeat": beat["number"] if beat else 0,
    }


def main():
    parser = argparse.ArgumentParser(description="Check a team's signed statements.")
    parser.add_argument("--keys", required=True, action="append", help="file with the public notice keys")
    parser.add_argument("--fingerprint", required=True, help="fingerprint of a notice key that you trust")
    parser.add_argument("--state", help="file to remember the newest statement in")
    parser.add_argument("files", nargs="+", help="notices.txt, heartbeat.asc, or single statements")
    options = parser.parse_args()
    anchor = re.sub(r"[\s:]", "", options.fingerprint).upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", anchor):
        parser.error("a full fingerprint of 40 hexadecimal digits is needed")
    files = []
    for name in options.files:
        with open(name, "rb") as file:
            files += split(file.read(32 * 1024 * 1024))
    if any(len(one) > 60000 for one in files):
        parser.error("a statement is longer than statements are")
    remembered = None
    if options.state and os.path.exists(options.state):
        with open(options.state, encoding="utf-8") as file:
            remembered = json.load(file)
    home = tempfile.mkdtemp()
    try:
        keys = [open(name, "rb").read() for name in options.keys]
        faults, head = verify(files, GnuPG(home, keys), anchor, int(time.time()), remembered)
    finally:
        subprocess.call(["gpgconf", "--homedir", home, "--kill", "all"], stderr=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)
    for word, number, detail in faults:
        print("%s: %s%s" % (word, "statement %d: " % number if number else "", detail))
    if faults:
        print("NOT SOUND. Trust nothing newer than what you checked before; ask at another official address.")
        return 1
    print("Sound. Newest statement: %(number)d %(sha256)s" % head)
    if options.state:
        with open(options.state + ".new", "w", encoding="utf-8") as file:
            json.dump(head, file)
        os.replace(options.state + ".new", options.state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
