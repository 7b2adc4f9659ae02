"""Reading our own service's descriptor: does it offer proof of work?

The only other module beside `control` that uses stem, and only its parser.
"""

from __future__ import annotations

from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

__all__ = ["proof_of_work_offered"]


def proof_of_work_offered(text: str, address: str) -> bool | None:
    """Whether the descriptor's inner layer has a `pow-params` line; None if it cannot be read.

    It cannot if clients must authorise themselves, or if the text is no descriptor of `address`.
    """
    try:
        parsed = HiddenServiceDescriptorV3.from_str(text)  # type: ignore[no-untyped-call]
        inner = parsed.decrypt(address)
    except Exception:  # stem's parser raises whatever it stumbles over; all of it means "unreadable"
        return None
    return any(line.startswith("pow-params ") for line in str(inner).splitlines())
