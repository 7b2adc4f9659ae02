"""`make chaos`: kill everything, everywhere, and compare what was acknowledged with what arrived.

Two parts. *Points*: a small process passes every crash point of the store, dies there, is started again and
checked, for SQLite. *Load*: real gateways under a steady stream of mail, from Postfix where it may run,
lose their lives at crash points and at random moments; so do their children, the helpdesk, PostgreSQL,
tor, and the server of a bucket if large parts lie in one, while a proxy spoils connections. The checker
knows only what senders were told, what the helpdesk's journal holds, and what the users' mail server
received. Prints one JSON object; exit code 1 if anything was lost, doubled or changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from chaos.bucket import Bucket  # noqa: E402
from chaos.house import (  # noqa: E402
    Clock,
    Gateway,
    Helpdesk,
    Tor,
    drained,
    dump,
    end_agents,
    make_gateways,
    remove,
    stop,
)
from chaos.outside import Feeder, Sink, wait_until  # noqa: E402
from live import test_spool_crash as points  # noqa: E402
from testbed.canary import forms, hits  # noqa: E402
from testbed.mail_servers import MailServers, MailServersUnavailable  # noqa: E402
from testbed.postgres import Cluster, cluster  # noqa: E402
from unit.spool import test_moving as moving  # noqa: E402
from veildesk.core.errors import EngineUnavailable, KeyUnusable  # noqa: E402
from veildesk.spool import KeyRing  # noqa: E402
from veildesk.spool.crashpoint import POINTS  # noqa: E402

_STORE_GONE = 15
_NO_ENGINE = (KeyUnusable.exit_code, EngineUnavailable.exit_code)
_STOP = threading.Event()
_LOADED = (
    *(f"deliver.{when}-call" for when in ("before", "after")),
    *(f"send.{when}-call" for when in ("before", "after")),
    *(
        f"{kind}.{when}-commit"
        for kind in ("accept", "claim", "advance", "collect")
        for when in ("before", "after")
    ),
)


@dataclass
class Tally:
    """What one run did and found."""

    reached: set[str] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    repeated: int = 0
    parked: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another run's numbers in."""
        self.reached |= other.reached
        self.kills += other.kills
        for name in ("acknowledged", "lost", "doubled", "repeated", "parked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong


def run_points(tally: Tally, say: Callable[[str], None]) -> None:
    """Every crash point of the store and of a move once, two processes at a time."""

    def one(point: str) -> None:
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="chaos-") as name:
            root = Path(name)
            KeyRing.create(root / "ring")
            if points.run_child(root, point) != -signal.SIGKILL:
                tally.wrong.append(f"{point} was not reached")
                return
            tally.reached.add(point.partition(":")[0])
            tally.kills["point"] += 1
            try:
                asyncio.run(points.check_acknowledged(root))
                asyncio.run(points.scenario(root))
                asyncio.run(points.check_whole(root))
            except AssertionError as error:
                tally.lost += 1
                tally.wrong.append(f"{point}: {error}")

    def moved(point: str, server: Cluster) -> None:
        with tempfile.TemporaryDirectory(prefix="chaos-") as name:
            try:
                asyncio.run(moving.killed_and_repeated(Path(name), server.new_database(), point))
                tally.reached.add(point)
                tally.kills["point"] += 1
            except AssertionError as error:
                tally.wrong.append(f"{point}: {error}")

    with ThreadPoolExecutor(2) as pool, cluster() as server:
        list(pool.map(one, [*points.HERE, *points.AGAIN]))
        for point in moving.POINTS_OF_A_MOVE:
            moved(point, server)
    say(f"points: {len(tally.reached)} reached, {tally.kills['point']} kills")


class Load:
    """The second part, on one engine."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        tally: Tally,
        postgres: Cluster | None,
        *,
        with_tor: bool,
        with_bucket: bool,
        longest: float,
        under_way: int,
    ) -> None:
        self.random = random.Random(seed)
        self.folder, self.tally, self.postgres = folder, tally, postgres
        self.helpdesk = Helpdesk(folder, seed)
        self.sink = Sink()
        self.tor = Tor(folder) if with_tor else None
        self.bucket = Bucket(folder, seed) if with_bucket else None
        self.clock = Clock(folder) if Clock.installed() else None
        self.longest, self.under_way = longest, under_way
        self.gateways = make_gateways(
            folder,
            helpdesk=self.helpdesk.proxy.port,
            smtp=self.sink.port,
            cluster=postgres,
            tor=self.tor,
            clock=self.clock,
            bucket=self.bucket.section if self.bucket is not None else None,
        )
        self.feeders: list[Feeder] = []
        self._points = [*_LOADED, "file.written", "file.renamed"] if with_bucket else list(_LOADED)
        self._states: dict[str, int] = {}
        self._failures = 0
        self._crippled: Gateway | None = None
        self.others: Counter[str] = Counter()

    def run(self, kills: int, mail: MailServers | None, pause: float) -> None:
        """Feed and kill, then drain and check."""
        self.helpdesk.start()
        if self.tor is not None:
            self.tor.start()
        for gateway in self.gateways:
            gateway.start()
        if mail is not None:
            mail.set_gateway_lmtp(("127.0.0.1", self.gateways[0].lmtp))
            self.feeders.append(Feeder(smtp=mail.smtp_port, pause=pause, prefix="postfix", full=self._full))
        for number, gateway in enumerate(self.gateways):
            name = f"direct{number}x"
            large = self.bucket is not None
            self.feeders.append(
                Feeder(lmtp=gateway.lmtp, pause=pause, prefix=name, full=self._full, large=large)
            )
        for feeder in self.feeders:
            feeder.start()
        goal = self.tally.kills.total() + kills
        told = time.monotonic()
        while self.tally.kills.total() < goal:
            self._go_on()
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self._tell(goal)
            self._one_kill()
            if mail is not None:
                mail.flush()
        for feeder in self.feeders:
            feeder.end()
        self._drain(mail)
        self._check()

    def _tell(self, goal: int) -> None:
        engine = "sqlite" if self.postgres is None else "postgresql"
        acknowledged = sum(len(one.acknowledged) for one in self.feeders)
        line = f"{engine}: {self.tally.kills.total()} of {goal} kills, {acknowledged} acknowledged"
        print(line, file=sys.stderr, flush=True)

    @staticmethod
    def _go_on() -> None:
        if _STOP.is_set():
            raise RuntimeError("told to stop")

    def _full(self) -> bool:
        """Whether enough is under way: the harness measures safety, not how long a queue drains."""
        return sum(len(one.acknowledged) for one in self.feeders) - len(self.sink.recipients) > self.under_way

    def _one_kill(self) -> None:
        victims = ["gateway"] * 5 + ["worker"] * 2 + ["helpdesk"] * 2 + ["stop"]
        victims += ["clock"] if self.clock is not None else []
        victims += ["postgres"] if self.postgres is not None else []
        victims += ["tor"] if self.tor is not None else []
        victims += ["bucket"] * 2 if self.bucket is not None else []
        victim = self.random.choice(victims)
        if victim == "helpdesk":
            self.helpdesk.kill()
            time.sleep(self.random.uniform(0, 0.3))
            self.helpdesk.start()
        elif victim == "postgres" and self.postgres is not None:
            self.postgres.kill()
            self.postgres.start()
        elif victim == "tor" and self.tor is not None:
            self.tor.kill()
            self.tor.start()
        elif victim == "bucket" and self.bucket is not None:
            self.bucket.kill()
            time.sleep(self.random.uniform(0, 2))
            self.bucket.start()
        elif victim == "worker":
            self._kill_child(self.random.choice(self.gateways))
        elif victim == "stop":
            stop(self.random.choice(self.gateways), self.longest)
            self.others["stops"] += 1
        elif victim == "clock" and self.clock is not None:
            self.clock.jump(self.random.choice([0, 0, 0.04, 1, 6]))
            self.others["clock jumps"] += 1
        else:
            self._kill_gateway(self.random.choice(self.gateways))
        if victim in ("helpdesk", "postgres", "tor", "bucket"):
            self.tally.kills[victim] += 1
        self._revive()

    def _kill_child(self, gateway: Gateway) -> None:
        found: list[int] = []
        # A gateway that loses a child while it starts says so and ends; the service manager starts it again.
        self._crippled = gateway if not gateway.ready() else None
        if gateway.alive:
            wait_until(lambda: bool(found.extend(gateway.children()) or found), 1.0)
        for pid in found[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.tally.kills["worker"] += 1

    def _kill_gateway(self, gateway: Gateway) -> None:
        """At a crash point when one is left to reach, else at a random moment."""
        begun = time.monotonic()
        wait_until(lambda: gateway.ready() or not gateway.alive, 60)
        # As long as the start took, which is longer on a busy machine: so work gets done between kills.
        patience = min(max(0.5, time.monotonic() - begun), 20.0)
        time.sleep(self.random.uniform(0, patience))
        if gateway.point:
            wait_until(lambda: not gateway.alive, max(patience, 5.0))
        if gateway.alive:
            gateway.kill()
            self.tally.kills["gateway"] += 1

    def _revive(self) -> None:
        for gateway in self.gateways:
            if gateway.alive:
                continue
            self._judge_end(gateway)
            if (point := gateway.died_at_point()) is not None:
                self.tally.reached.add(point)
                self.tally.kills["gateway"] += 1
                if point in self._points:
                    self._points.remove(point)
            if self.random.random() < 0.6:
                chosen = self.random.choice(self._points or list(_LOADED))
                gateway.start(f"{chosen}:{1 if self._points else self.random.randint(1, 3)}")
            else:
                gateway.start()

    def _judge_end(self, gateway: Gateway) -> None:
        """A gateway may end by our hand, at its crash point, or because its store was gone."""
        code = gateway.process.returncode if gateway.process is not None else None
        if code in (-signal.SIGKILL, _STORE_GONE) or (code in _NO_ENGINE and gateway is self._crippled):
            return
        self._failures += 1
        if self._failures > 3:
            raise RuntimeError(f"gateways end by themselves with {code}: see {gateway.log}")

    def _drain(self, mail: MailServers | None) -> None:
        for gateway in self.gateways:
            if gateway.point or not gateway.alive:
                gateway.end()
                gateway.start()
        self.helpdesk.proxy.trouble = 0.0
        if self.bucket is not None:
            self.bucket.trouble = 0.0
        end = time.monotonic() + 600
        calm = 0
        while time.monotonic() < end and calm < 3:
            self._go_on()
            for gateway in self.gateways:
                if not gateway.alive:
                    gateway.start()
            if mail is not None and mail.queued():
                mail.flush()
                time.sleep(0.5)
                continue
            counts = drained(self.gateways)
            threads = {entry["thread"] for entry in self.helpdesk.entries()}
            if counts is not None and counts.get("sent", 0) + counts.get("held", 0) >= len(threads):
                calm += 1
                self._states = counts
            time.sleep(0.3)
        if calm < 3:
            self.tally.wrong.append(f"did not drain: {[one.ask('status') for one in self.gateways]}")

    def _check(self) -> None:
        tally = self.tally
        told = [token for feeder in self.feeders for token in feeder.acknowledged]
        tally.acknowledged += len(told)
        arrived = Counter(word for entry in self.helpdesk.entries() for word in _tokens(entry["text"]))
        lost = [token for token in told if not arrived[token]]
        doubled = [token for token, count in arrived.items() if count > 1]
        answered = {name.partition("@")[0]: count for name, count in self.sink.recipients.items()}
        silent = [token for token in told if token not in lost and not answered.get(token)]
        twice = [token for token, count in answered.items() if count > 1]
        tally.lost += len(lost) + len(silent)
        tally.doubled += len(doubled) + len(twice)
        tally.repeated += self.sink.repeated
        tally.parked += sum(
            getattr(self, "_states", {}).get(name, 0) for name in ("parked", "quarantined", "held")
        )
        for what, names in (
            ("lost", lost),
            ("unanswered", silent),
            ("doubled", doubled),
            ("answered twice", twice),
        ):
            if names:
                tally.wrong.append(f"{what}: {names[:5]} of {len(names)}")
        if self.sink.changed:
            tally.wrong.append("a repeated mail had other bytes")
        if self.sink.repeated > tally.kills["gateway"] + tally.kills["postgres"]:
            tally.wrong.append("more repetitions than kills")
        sample = [form for token in told[:40] for form in forms(token.encode())]
        places = [*(gateway.state for gateway in self.gateways), self.folder / "files"]
        leaks = [hit for place in places if place.exists() for hit in hits(place, sample)]
        leaks += [one.log.name for one in self.gateways if any(f in one.log.read_bytes() for f in sample)]
        if self.postgres is not None:
            leaks += hits(self.postgres.folder, sample)
        if self.bucket is not None:
            for gateway in self.gateways:
                gateway.end()
            leaks += self.bucket.leaks(sample)
            tally.wrong += self.bucket.left(self.gateways[0])
        if leaks:
            tally.wrong.append(f"plaintext in {sorted(set(leaks))}")

    def close(self) -> None:
        """End everything."""
        for feeder in self.feeders:
            feeder.end()
        for gateway in self.gateways:
            gateway.close()
        for process in (self.helpdesk, self.tor):
            if process is not None:
                process.end()
        self.helpdesk.proxy.close()
        if self.bucket is not None:
            self.bucket.close()
        self.sink.close()
        end_agents(self.folder)


def _tokens(text: str) -> list[str]:
    return [word for word in text.split() if word.startswith("token-")]


def run_load(engine: str, kills: int, seed: int, chosen: argparse.Namespace, *, tor: bool) -> Tally:
    """Random kills on one engine."""
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="vc-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        postgres = stack.enter_context(cluster()) if engine != "sqlite" else None
        mail = None
        if not chosen.no_postfix:
            try:
                mail = stack.enter_context(MailServers(folder / "mail"))
            except MailServersUnavailable as error:
                print(f"without Postfix: {error}", file=sys.stderr)
        load = Load(
            folder,
            seed,
            tally,
            postgres,
            with_tor=tor,
            with_bucket=engine == "bucket",
            longest=chosen.stop,
            under_way=chosen.under_way,
        )
        stack.callback(load.close)
        load.run(kills, mail, pause=0.1)
        spoiled = load.helpdesk.proxy.spoiled
        others = ", ".join(f"{count} {name}" for name, count in sorted(load.others.items()))
        print(f"{engine}: {spoiled} connections spoiled, {others}", file=sys.stderr)
    if chosen.keep or tally.wrong:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        remove(folder)
    return tally


def main(words: list[str] | None = None) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["sqlite", "postgresql", "both", "bucket"], default="both")
    parser.add_argument("--no-points", action="store_true", help="leave the first part out")
    parser.add_argument("--no-postfix", action="store_true")
    parser.add_argument("--tor", action="store_true", help="also an onion service on a tor that is killed")
    parser.add_argument("--stop", type=float, default=2.5, help="seconds that a stopped gateway stays so")
    parser.add_argument("--under-way", type=int, default=60, help="mails that may wait before more are sent")
    parser.add_argument("--keep", action="store_true", help="leave all files")
    chosen = parser.parse_args(words)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _STOP.set())
    begun = time.monotonic()
    tally = Tally()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    if not chosen.no_points:
        run_points(tally, say)
    engines = ["sqlite", "postgresql"] if chosen.engine == "both" else [chosen.engine]
    left = max(chosen.kills - tally.kills.total(), len(engines))

    def one(number: int) -> None:
        share = (left + number) // len(engines)
        done = run_load(engines[number], share, chosen.seed + number, chosen, tor=chosen.tor and number == 0)
        say(f"{engines[number]}: {dict(done.kills)}, {done.acknowledged} acknowledged")
        tally.add(done)

    # Side by side: most of the time is waiting for processes to start.
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(one, range(len(engines))))
    if not chosen.no_points:
        tally.wrong += [f"never reached: {name}" for name in sorted(POINTS - tally.reached)]
    for line in tally.wrong:
        say(f"WRONG {line}")
    summary = {
        "points": len(tally.reached),
        "kills": tally.kills.total(),
        "acknowledged": tally.acknowledged,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "repeated": tally.repeated,
        "parked": tally.parked,
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(dump(summary), flush=True)
    return 1 if tally.wrong or tally.lost or tally.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
