"""Files of an answer that goes into a portal thread: sealed piece by piece, and named in the signed text.

The list under the text has the form that `sha256sum --check` reads, so that stock gpg and coreutils
verify every file without anything of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from veildesk.core.ports import ThreadCipher
from veildesk.core.thread_entry import ThreadFile, piece_name
from veildesk.core.ticket import File

__all__ = ["AnswerFiles", "seal_files", "signed_text"]


@dataclass(frozen=True, slots=True)
class AnswerFiles:
    """`listed` stands in the sealed entry; `parts` are the sealed pieces by the names of ticket parts."""

    listed: tuple[ThreadFile, ...] = ()
    parts: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def seal_files(
    files: Sequence[File], cipher: ThreadCipher, random_bytes: Callable[[int], bytes]
) -> AnswerFiles:
    """Seal cleaned files. Names that occur twice get a number, so that the signed list is clear."""
    listed: list[ThreadFile] = []
    parts: dict[str, bytes] = {}
    for file in files:
        sealed, place = cipher.seal_file(file.content), random_bytes(8).hex()
        parts |= {piece_name(place, number): piece for number, piece in enumerate(sealed.pieces)}
        listed.append(
            ThreadFile(
                name=_unused(file.name, {one.name.casefold() for one in listed}),
                media_type=file.media_type,
                size=len(file.content),
                sha256=hashlib.sha256(file.content).hexdigest(),
                place=place,
                pieces=len(sealed.pieces),
                key=sealed.key,
            )
        )
    return AnswerFiles(tuple(listed), parts)


def signed_text(text: str, files: Sequence[ThreadFile]) -> str:
    """The text to sign: the answer, and below it a line for every file."""
    whole = text.rstrip("\n") + "\n"
    if not files:
        return whole
    lines = "".join(f"{item.sha256}  {item.name}\n" for item in files)
    return f"{whole}\nFiles with this answer (SHA-256, name):\n{lines}".lstrip("\n")


def _unused(name: str, used: set[str]) -> str:
    stem, dot, end = name.rpartition(".")
    candidate, number = name, 1
    while candidate.casefold() in used:
        number += 1
        candidate = f"{stem}-{number}.{end}" if dot else f"{name}-{number}"
    return candidate
