"""The ADD_ONION command: complete, and nothing can be slipped into it."""

from __future__ import annotations

import base64

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.onion import OnionKey, OnionRequest

CLIENT = base64.b32encode(bytes(range(1, 33))).decode().rstrip("=")
OTHER = base64.b32encode(bytes(range(2, 34))).decode().rstrip("=")


def test_defaults_discard_the_key_bound_streams_and_ask_for_proof_of_work():
    key = OnionKey.generate()
    words = OnionRequest(((80, "unix:/run/veildesk/portal.sock"),)).command(key).split(" ")
    assert words[:2] == ["ADD_ONION", "ED25519-V3:" + base64.b64encode(key.expanded).decode()]
    assert words[2:] == [
        "Flags=DiscardPK,MaxStreamsCloseCircuit",
        "MaxStreams=64",
        "PoWDefensesEnabled=1",
        "Port=80,unix:/run/veildesk/portal.sock",
    ]


def test_client_keys_close_the_service_to_everybody_else():
    request = OnionRequest(
        ((80, "unix:/s"), (25, "127.0.0.1:2525")),
        proof_of_work=False,
        max_streams=0,
        client_keys=(CLIENT, f"descriptor:x25519:{OTHER.lower()}\n"),
    )
    words = request.command(OnionKey.generate()).split(" ")
    assert words[2:] == [
        "Flags=DiscardPK,V3Auth",
        "Port=80,unix:/s",
        "Port=25,127.0.0.1:2525",
        f"ClientAuthV3={CLIENT}",
        f"ClientAuthV3={OTHER}",
    ]


@pytest.mark.parametrize(
    "target",
    [
        (0, "unix:/s"),
        (65536, "unix:/s"),
        (80, "unix:relative"),
        (80, "unix:/run/../etc/s"),
        (80, "unix:/run/"),
        (80, "unix:/a b"),
        (80, 'unix:"/a"'),
        (80, "unix:/a\r\nSETCONF x"),
        (80, "unix:/a Flags=Detach"),
        (80, "0.0.0.0:80"),
        (80, "10.0.0.1:80"),
        (80, "localhost:80"),
        (80, "127.0.0.1:0"),
        (80, "127.0.0.1:70000"),
        (80, ""),
    ],
)
def test_targets_that_are_not_a_socket_of_this_machine_are_refused(target):
    with pytest.raises(ConfigInvalid):
        OnionRequest((target,))


@pytest.mark.parametrize("targets", [(), ((80, "unix:/a"), (80, "unix:/b"))])
def test_no_target_or_one_port_twice_is_refused(targets):
    with pytest.raises(ConfigInvalid):
        OnionRequest(targets)


@pytest.mark.parametrize("key", ["", "AAAA", "A" * 52, CLIENT + "A", CLIENT + " Flags=Detach", "!" * 52])
def test_a_malformed_client_key_is_refused(key):
    with pytest.raises(ConfigInvalid):
        OnionRequest(((80, "unix:/s"),), client_keys=(key,))


@pytest.mark.parametrize("bound", [-1, 65536])
def test_the_stream_bound_is_one_that_tor_knows(bound):
    with pytest.raises(ConfigInvalid):
        OnionRequest(((80, "unix:/s"),), max_streams=bound)
