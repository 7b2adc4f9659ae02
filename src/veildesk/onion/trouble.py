"""Why the onion service is not published: one word each, with what an operator can do about it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ControlFailed", "Trouble"]


class Trouble(StrEnum):
    """A stable word for logs, status and doctor; empty when there is none."""

    NONE = ""
    STARTING = "starting"
    CONTROL_MISSING = "control-socket-missing"
    CONTROL_FORBIDDEN = "control-socket-forbidden"
    CONTROL_REFUSED = "control-socket-refused"
    AUTHENTICATION = "control-authentication-refused"
    SILENT = "tor-does-not-answer"
    LOST = "control-connection-lost"
    OFFLINE = "tor-has-no-network"
    BOOTSTRAPPING = "tor-not-bootstrapped"
    COLLISION = "address-in-use-by-another-gateway"
    PROOF_OF_WORK = "tor-without-proof-of-work"
    NOT_ANONYMOUS = "tor-in-single-hop-mode"
    REFUSED = "tor-refused-the-service"
    ABSENT = "service-not-in-tor"
    UPLOAD = "descriptor-not-uploaded"
    ANOTHER = "another-gateway-publishes-this-address"

    @property
    def hint(self) -> str:
        """What to do next, for the operator; empty when nothing is."""
        return _HINTS[self]


_HINTS: dict[Trouble, str] = {
    Trouble.NONE: "",
    Trouble.STARTING: "Wait a moment and look again.",
    Trouble.CONTROL_MISSING: "Start the gateway's tor, or name its ControlSocket in the configuration.",
    Trouble.CONTROL_FORBIDDEN: "Let the gateway's user into the group that may use tor's ControlSocket.",
    Trouble.CONTROL_REFUSED: "Start the gateway's tor: its ControlSocket is there but nothing listens.",
    Trouble.AUTHENTICATION: "Set CookieAuthentication 1 and let the gateway's user read the cookie.",
    Trouble.SILENT: "tor runs but does not answer; see its log and restart it.",
    Trouble.LOST: "tor went away; it is tried again by itself.",
    Trouble.OFFLINE: "Set DisableNetwork 0 and check that this machine reaches the Tor network.",
    Trouble.BOOTSTRAPPING: "Wait until tor is bootstrapped; check network and clock if it stays so.",
    Trouble.COLLISION: "Stop the other gateway that uses this onion key.",
    Trouble.PROOF_OF_WORK: "Use a tor of at least 0.4.9 with proof of work, or switch it off on purpose.",
    Trouble.NOT_ANONYMOUS: "Remove HiddenServiceNonAnonymousMode from this tor's configuration.",
    Trouble.REFUSED: "See tor's log for why it refused the service.",
    Trouble.ABSENT: "Check HiddenServiceDir in tor's configuration and the configured address.",
    Trouble.ANOTHER: "Stop the gateway elsewhere that has a copy of this onion key. If it is none of yours, "
    "the key was stolen: tell people in another way, and change to a new address.",
    Trouble.UPLOAD: "No directory took the descriptor yet; check the network and the clock.",
}


class ControlFailed(Exception):
    """Talking to tor failed; `trouble` says how. Holds no text of tor or stem."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble
