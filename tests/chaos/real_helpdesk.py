"""A gateway and a real Request Tracker under a stream of mail, both killed again and again.

Request Tracker does not notice a repetition by itself: what is in its database more than once was created
more than once. Prints one JSON object; exit code 1 if anything was lost or doubled.
`python tests/chaos/real_helpdesk.py --kills 20`, with RT from Debian's packages.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from chaos.house import Gateway, drained, dump, end_agents, make_gateways, remove  # noqa: E402
from chaos.outside import Feeder, Sink, wait_until  # noqa: E402
from testbed.helpdesks.rt import PASSWORDS, RTServer, installed, rt_server  # noqa: E402

_POINTS = (
    "deliver.before-call",
    "deliver.after-call",
    "advance.before-commit",
    "advance.after-commit",
    "accept.after-commit",
)
_UNDER_WAY = 12
_DESK = """\
[backends.desk]
kind = "rt"
url = "{url}"
user = "veildesk"
password_file = "{password}"
queue = "Secure"
poll_seconds = 2
"""


def arrived(server: RTServer) -> Counter[str]:
    """How often each token was created, from RT's own database."""
    database = sqlite3.connect(f"file:{server.home}/rt.sqlite?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT Content FROM Attachments WHERE Content LIKE '%token-%'").fetchall()
    finally:
        database.close()
    texts = (row[0] if isinstance(row[0], str) else row[0].decode(errors="replace") for row in rows)
    return Counter(word for text in texts for word in text.split() if word.startswith("token-"))


class Story:
    """One run."""

    def __init__(self, folder: Path, server: RTServer, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = server
        self.sink = Sink()
        self.kills: Counter[str] = Counter()
        password = folder / "rt-password"
        password.write_text(PASSWORDS["veildesk"])
        desk = _DESK.format(url=server.url, password=password)
        (self.gateway,) = make_gateways(
            folder, helpdesk=1, smtp=self.sink.port, cluster=None, tor=None, desk=desk
        )
        self.feeder = Feeder(lmtp=self.gateway.lmtp, pause=0.3, prefix="rt", full=self._full)

    def _full(self) -> bool:
        return len(self.feeder.acknowledged) - len(arrived(self.server)) > _UNDER_WAY

    def run(self, kills: int) -> None:
        """Feed and kill, then drain."""
        self.gateway.start()
        self.feeder.start()
        points = list(_POINTS)
        while self.kills.total() < kills:
            if self.random.random() < 0.3:
                time.sleep(self.random.uniform(0.0, 3.0))
                self.server.kill()
                time.sleep(self.random.uniform(0.0, 2.0))
                self.server.start()
                self.kills["helpdesk"] += 1
            else:
                self._kill_gateway()
                self.gateway.start(f"{self.random.choice(points)}:{self.random.randint(1, 3)}")
        self.feeder.end()
        self.gateway.kill()
        self.gateway.start()
        end = time.monotonic() + 300
        while time.monotonic() < end and not drained([self.gateway]):
            time.sleep(1)

    def _kill_gateway(self) -> None:
        gateway: Gateway = self.gateway
        wait_until(lambda: gateway.ready() or not gateway.alive, 60)
        if gateway.point:
            wait_until(lambda: not gateway.alive, 20)
        else:
            time.sleep(self.random.uniform(0.5, 3.0))
        if gateway.alive:
            gateway.kill()
        self.kills["gateway"] += 1

    def close(self) -> None:
        """End everything."""
        self.feeder.end()
        self.gateway.close()
        self.sink.close()


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if not installed():
        print("Request Tracker is not installed: scripts/install-helpdesks rt", file=sys.stderr)
        return 2
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="vc-rt-"))
    folder.chmod(0o755)
    with rt_server(folder / "rt") as server:
        story = Story(folder, server, chosen.seed)
        try:
            story.run(chosen.kills)
        finally:
            story.close()
            end_agents(folder)
        found = arrived(server)
    told = story.feeder.acknowledged
    lost = [token for token in told if not found[token]]
    doubled = [token for token, count in found.items() if count > 1]
    summary = {
        "helpdesk": "rt",
        "kills": dict(story.kills),
        "acknowledged": len(told),
        "lost": len(lost),
        "doubled": len(doubled),
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(dump(summary), flush=True)
    if lost or doubled:
        print(f"lost {lost[:5]}, doubled {doubled[:5]}; kept {folder}", file=sys.stderr)
        return 1
    remove(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
