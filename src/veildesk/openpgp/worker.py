"""A worker process: holds secret keys where it is given any, answers frames on its standard input.

Started by `pool`. Secret keys come over a pipe of their own, straight from gpg, so that the process which
reads mail from strangers never has them. Before the first message it gives up what it will not need: new
files and sockets, new privileges, core dumps, being looked into by others, and memory beyond a limit.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from veildesk.child.memory import (
    forbid_core_files,
    give_back_large_blocks,
    lock_memory,
    process_control,
)
from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.openpgp.agent_keys import agent_decryption, agent_signing
from veildesk.openpgp.assuan import AgentConnection, AgentLost
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.frames import (
    HEAD,
    Frame,
    FrameMalformed,
    body_size,
    decode_body,
    encode,
    signature_words,
    status_words,
)
from veildesk.openpgp.in_process import InProcess
from veildesk.openpgp.packets import read_certificate
from veildesk.openpgp.secret_keys import SecretKeys, read_secret_keys

__all__ = ["main"]

_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38
Answer = tuple[dict[str, Any], tuple[bytes, ...]]


def main() -> None:
    """Serve until the input ends. Arguments: descriptors of the secret keys and of a connection to gpg-agent,
    each or "none"."""
    os.environ["RUST_BACKTRACE"] = "0"
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_control(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    forbid_core_files()
    give_back_large_blocks()
    first = _receive(incoming)
    if first is None:
        return
    limits = Limits(plaintext_size=int(first.header["plaintext_size"]))
    locked = lock_memory()
    keys = read_secret_keys(_secret(sys.argv[1])) if sys.argv[1] != "none" else SecretKeys()
    if sys.argv[2] != "none":
        keys = _with_agent(keys, first, int(sys.argv[2]))
    engine = InProcess(first.blobs, keys, limits)
    _confine(int(first.header["memory"]))
    ready = {"locked": locked, "signing": len(keys.signing), "decryption": len(keys.decryption)}
    _send(outgoing, ready, ())
    _serve(engine, incoming, outgoing, float(first.header["seconds"]))


def _with_agent(keys: SecretKeys, first: Frame, descriptor: int) -> SecretKeys:
    """Keys in memory, then those that gpg-agent uses for us."""
    agent = AgentConnection(socket.socket(fileno=descriptor), float(first.header["agent_seconds"]))
    own = [read_certificate(one).data for one in first.blobs]
    grips = {str(name): str(grip) for name, grip in first.header["keygrips"].items()}
    held = {one.fingerprint for one in keys.decryption}
    asked = (one for one in agent_decryption(own, grips, agent) if one.fingerprint not in held)
    signing = agent_signing(own, grips, agent) | keys.signing
    return SecretKeys((*keys.decryption, *asked), signing)


def _serve(engine: InProcess, incoming: BinaryIO, outgoing: BinaryIO, seconds: float) -> None:
    operations = _operations(engine)
    while (frame := _receive(incoming)) is not None:
        _allow(seconds)
        try:
            header, blobs = operations[frame.header["op"]](frame)
        except AgentLost as lost:
            # Only a new worker with a new connection can ask again.
            _send(outgoing, {"declined": lost.reason, "last": True}, ())
            return
        except Declined as declined:
            header, blobs = {"declined": declined.reason}, ()
        except VeildeskError as error:
            header, blobs = {"error": error.code, "detail": error.detail}, ()
        except MemoryError:
            header, blobs = {"declined": "memory"}, ()
        except Exception as error:
            # Whatever a library stumbles over is a reason to let gpg look at it, and none to stop serving.
            header, blobs = {"declined": f"unexpected-{type(error).__name__}"}, ()
        _send(outgoing, header, blobs)


def _operations(engine: InProcess) -> dict[str, Callable[[Frame], Answer]]:
    def opening(frame: Frame) -> Answer:
        data, *certificates = frame.blobs
        opened = engine.open(data, certificates, frame.header["now"])
        header = {
            "encrypted": opened.encrypted,
            "integrity": None if opened.integrity is None else str(opened.integrity),
            "signatures": signature_words(opened.signatures),
            "recipients": list(opened.recipients),
        }
        return header, (opened.data,)

    def content(frame: Frame) -> Answer:
        data, *certificates = frame.blobs
        plain, signatures = engine.content(data, certificates, frame.header["now"], encrypted=True)
        return {"signatures": signature_words(signatures)}, (plain,)

    def verify(frame: Frame) -> Answer:
        data, signature, *certificates = frame.blobs
        found = engine.verify_detached(data, signature, certificates, frame.header["now"])
        return {"signatures": signature_words(found)}, ()

    def seal(frame: Frame) -> Answer:
        data, *recipients = frame.blobs
        return {}, (engine.seal(data, recipients, frame.header["signer"], frame.header["now"]),)

    def sign(frame: Frame) -> Answer:
        made = engine.sign_detached(frame.blobs[0], frame.header["signer"], frame.header["now"])
        return {"hash": made.hash_name}, (made.armored.encode("ascii"),)

    def clearsign(frame: Frame) -> Answer:
        text = frame.blobs[0].decode("utf-8")
        return {}, (engine.clearsign(text, frame.header["signer"], frame.header["now"]).encode(),)

    def status(frame: Frame) -> Answer:
        found = engine.certificate_status(frame.blobs[0], frame.header["at"], frame.header["now"])
        return {"status": status_words(found)}, ()

    return {
        "open": opening,
        "content": content,
        "verify": verify,
        "seal": seal,
        "sign": sign,
        "clearsign": clearsign,
        "status": status,
    }


def _receive(incoming: BinaryIO) -> Frame | None:
    head = incoming.read(HEAD)
    if len(head) < HEAD:
        return None
    size = body_size(head)
    body = incoming.read(size)
    if len(body) < size:
        raise FrameMalformed("cut")
    return decode_body(head, body)


def _send(outgoing: BinaryIO, header: dict[str, Any], blobs: tuple[bytes, ...]) -> None:
    outgoing.write(encode(header, blobs))
    outgoing.flush()


def _secret(descriptor: str) -> bytes:
    with os.fdopen(int(descriptor), "rb") as pipe:
        return pipe.read()


def _confine(memory: int) -> None:
    """Nothing can be opened, started, written to a file or gained from here on."""
    used = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115, PTH123
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    process_control(_SET_NO_NEW_PRIVILEGES, 1)


def _allow(seconds: float) -> None:
    """Processor time for one more message; beyond it the kernel ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
