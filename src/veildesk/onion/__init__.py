"""The onion service: its key, its publication through tor's control port, and what doctor asks of it.

Only this package imports stem, in `control` and `descriptor`. Nothing here logs a control command,
because ADD_ONION carries the private key.
"""

from veildesk.onion.fake import FakeOnion
from veildesk.onion.health import check_onion
from veildesk.onion.key import (
    OnionKey,
    address_of,
    create_key,
    load_key,
    load_or_create_key,
    public_key_of,
    restore_key,
)
from veildesk.onion.request import OnionRequest, Target
from veildesk.onion.service import ManagedOnion, Timing, WatchedOnion
from veildesk.onion.trouble import Trouble

__all__ = [
    "FakeOnion",
    "ManagedOnion",
    "OnionKey",
    "OnionRequest",
    "Target",
    "Timing",
    "Trouble",
    "WatchedOnion",
    "address_of",
    "check_onion",
    "create_key",
    "load_key",
    "load_or_create_key",
    "public_key_of",
    "restore_key",
]
