"""The program inside the sandbox: one request on standard input, one answer on standard output.

Opens no files, keeps nothing and ends after one file, so nothing of one user can meet the next. Every
failure it notices is an answer; every failure it does not is an exit status.
"""

from __future__ import annotations

import sys

from veildesk.attachments.render import find_renderer
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import decode_request, encode_item

__all__ = ["main"]


def main() -> int:
    """Serve one request. Returns the exit status."""
    request = decode_request(sys.stdin.buffer.read())
    sys.stdout.buffer.write(encode_item(treat(request, find_renderer())))
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
