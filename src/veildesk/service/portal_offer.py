"""What the gateway gives a portal process to work by: settings, and no key that opens anything at rest.

The pepper of the ticket words and the secret of forms are kept in that process's memory only. The pepper
alone opens nothing: with a stolen store it lets words be tried, of which there are 2 to the 82nd.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from veildesk.portal.ports import PortalSettings

__all__ = ["PortalOffer"]


@dataclass(frozen=True, slots=True)
class PortalOffer:
    """`site` is the portal at `socket`; `status` the site of the notices alone at `status_socket`, if any.

    `clamd` and `require_sandbox` are about files as visitors add them; `subscriptions` says whether there
    are notices by mail.
    """

    site: PortalSettings
    socket: Path
    pepper: bytes = field(repr=False)
    status: PortalSettings | None = None
    status_socket: Path = Path()
    clamd: Path | None = None
    require_sandbox: bool = False
    subscriptions: bool = False
