"""The command line that starts a program in a sandbox of its own, with bubblewrap or without.

Inside there is a read-only root that holds the interpreter, its libraries, Pillow, the PDF renderer,
the programs of this package and what they read attached mails with, and nothing else: no home, no
configuration, no /proc, no network, no other processes, no place to write. Pure but for looking which of
these paths exist.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from veildesk.attachments.bounds import Bounds

__all__ = ["Layout", "command"]

_HERE = Path(__file__).resolve().parent
_TOOLS = ("pdftoppm", "pdftotext")
_SHARED = (
    "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/share/fonts",
    "/usr/share/fontconfig", "/usr/share/poppler", "/usr/share/ghostscript", "/etc/fonts", "/etc/ld.so.cache",
)  # fmt: skip
_ROOTS = ("/lib", "/lib32", "/lib64")
# No --new-session: the caller starts bubblewrap in a session of its own without a terminal, and a
# second one would take the inside out of the process group by which it is killed while it starts.
_NAMESPACES = (
    "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
    "--die-with-parent", "--clearenv", "--cap-drop", "ALL",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are on this machine. `bwrap` is None when bubblewrap is not there."""

    python: Path
    base: Path
    modules: tuple[Path, ...]
    import_paths: tuple[Path, ...]
    tools: tuple[Path, ...]
    bwrap: Path | None

    @classmethod
    def find(cls, python: str) -> Layout:
        """Look at the machine. `python` must be of the same installation as the running one."""
        spec = importlib.util.find_spec("PIL")
        folders = [Path(folder).resolve() for folder in (spec and spec.submodule_search_locations) or ()]
        libraries = [folder.with_name("pillow.libs") for folder in folders]
        modules = (
            _HERE,
            *(_HERE.parent / name for name in ("__init__.py", "core", "mail")),
            *folders,
            *(path for path in libraries if path.is_dir()),
        )
        tools = (Path(found).resolve() for found in map(shutil.which, _TOOLS) if found)
        bwrap = shutil.which("bwrap")
        return cls(
            Path(python).resolve(),
            Path(sys.base_prefix).resolve(),
            modules,
            (_HERE.parent.parent, *(folder.parent for folder in folders)),
            tuple(tools),
            Path(bwrap) if bwrap else None,
        )


def command(layout: Layout, program: Path, bounds: Bounds, *, confined: bool, room: int = 0) -> list[str]:
    """Arguments that run `program` under the bounds, in namespaces of its own if `confined`.

    `room` is how many bytes it may write, to files in memory under /work that end with it.
    """
    plan = {
        "cpu": bounds.cpu,
        "memory": bounds.memory,
        "paths": [str(path) for path in layout.import_paths],
        "program": str(program),
        "room": room,
    }
    inner = [str(layout.python), "-I", "-S", "-B", str(_HERE / "confine.py"), json.dumps(plan)]
    if not confined or layout.bwrap is None:
        return inner
    return [
        str(layout.bwrap),
        *_NAMESPACES,
        *_binds(layout, program),
        *(["--size", str(room), "--tmpfs", "/work"] if room else []),
        "--remount-ro",
        "/",
        "--chdir",
        "/",
        "--",
        *inner,
    ]


def _binds(layout: Layout, program: Path) -> list[str]:
    args: list[str] = []
    for root in _ROOTS:
        if Path(root).is_symlink():
            args += ["--symlink", str(Path(root).readlink()), root]
        elif Path(root).is_dir():
            args += ["--ro-bind", root, root]
    wanted = [Path(path) for path in _SHARED]
    wanted += [layout.python, *layout.tools, *layout.modules]
    if layout.base != Path("/usr"):
        wanted.append(layout.base)
    if not program.is_relative_to(_HERE):
        wanted.append(program)
    for path in dict.fromkeys(wanted):
        if path.exists():
            args += ["--ro-bind", str(path), str(path)]
    return [*args, "--dev-bind", "/dev/null", "/dev/null"]
