# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""`veildesk redact`: masks a file or a log, or finds in JSON lines. Reads, writes to standard output, keeps nothing."""

from __future__ import annotations

import codecs
import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from veildesk.cli.output import fail
from veildesk.core.errors import InputInvalid, VeildeskError
from veildesk.core.finding import MaskNumbering

if TYPE_CHECKING:
    from veildesk.redact.rules import RuleSet

__all__ = ["redact"]

_BLOCK = 256 * 1024
_MOST = 10_000_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@click.command()
@click.option(
    "--jsonl", is_flag=True, help='Read {"id", "text"} lines, write {"id", "findings", "text"} lines.'
)
@click.option(
    "--json", "as_json", is_flag=True, help="Write the counts to standard error as one JSON object."
)
@click.option("--word", "words", multiple=True, help="A word to hide too; repeatable.")
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A TOML file with a [redact] table: types switched off and rules of your own.",
)
@click.option("--preview", "look", is_flag=True, help="List what would be hidden, shortened, with its line.")
@click.option(
    "--keep", "wanted", multiple=True, help="A finding (f3) or a type (EMAIL) to leave visible; repeatable."
)
@click.option(
    "--confirm-secret", "confirmed", multiple=True, help="Needed beside --keep for a secret; repeatable."
)
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
def redact(
    jsonl: bool,
    as_json: bool,
    words: tuple[str, ...],
    rules_file: Path | None,
    look: bool,
    wanted: tuple[str, ...],
    confirmed: tuple[str, ...],
    file: Path | None,
) -> None:
    """Mask what identifies people in FILE ("-" or nothing: standard input), of any size.

    The masked text goes to standard output, byte for byte as it was where nothing is masked, and a table
    of counts to standard error.
    """
    try:
        rules = _rules(rules_file)
        with _opened(file) as stream:
            if jsonl:
                _lines(stream, rules, words)
            elif look or wanted:
                text = stream.read(_MOST + 1).decode("utf-8", "surrogateescape")
                if len(text) > _MOST:
                    raise InputInvalid("--preview and --keep are for texts of up to 10 MB")
                _chosen(text, rules, words, wanted, confirmed, look, as_json)
            else:
                _text(stream, rules, words, as_json)
    except VeildeskError as error:
        fail(error, as_json)


def _opened(file: Path | None) -> IO[bytes]:
    if file is None or str(file) == "-":
        return sys.stdin.buffer
    return file.open("rb")


def _rules(file: Path | None) -> RuleSet | None:
    """The rule set of an operator's file, None without one. Raises `ConfigInvalid`."""
    if file is None:
        return None
    import tomllib

    from veildesk.redact.rules import rule_set

    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise InputInvalid("the rules file is not TOML") from None
    return rule_set(table.get("redact", table))


def _pieces(stream: IO[bytes]) -> Iterator[str]:
    """Text of a stream: UTF-8 with other bytes passed through, or UTF-16 if it says so itself."""
    block = stream.read(_BLOCK)
    name = next((name for mark, name in _MARKS if block.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(name)("replace" if name == "utf-16" else "surrogateescape")
    while block:
        yield decoder.decode(block)
        block = stream.read(_BLOCK)
    yield decoder.decode(b"", final=True)


def _text(stream: IO[bytes], rules: RuleSet | None, words: tuple[str, ...], as_json: bool) -> None:
    from veildesk.redact.stream import redact_stream

    counts: Counter[str] = Counter()
    numbering = MaskNumbering(secrets.token_bytes(32))
    out = sys.stdout.buffer
    for piece in redact_stream(_pieces(stream), numbering, counts, rules=rules, own_words=words):
        out.write(piece.encode("utf-8", "surrogateescape"))
    out.flush()
    if as_json:
        click.echo(json.dumps({"counts": dict(sorted(counts.items()))}), err=True)
        return
    width = max([len(name) for name in counts] + [5])
    click.echo(f"{'type':<{width}}  count", err=True)
    for name, count in sorted(counts.items()):
        click.echo(f"{name:<{width}}  {count}", err=True)


def _chosen(
    text: str,
    rules: RuleSet | None,
    words: tuple[str, ...],
    wanted: tuple[str, ...],
    confirmed: tuple[str, ...],
    look: bool,
    as_json: bool,
) -> None:
    """List the findings, or mask all but the chosen ones. Ids count in the order of the text."""
    from veildesk.redact.apply import redact_text, settled
    from veildesk.redact.preview import choices, preview

    shown = preview(text, settled(text, rules=rules, own_words=words))
    chosen = choices(text, shown, wanted, confirmed)
    for name in chosen.unconfirmed:
        click.echo(
            f"{name} is secret and stays hidden: add --confirm-secret {name} if you are sure", err=True
        )
    if not look:
        numbering = MaskNumbering(secrets.token_bytes(32))
        masked = redact_text(
            text, numbering, rules=rules, own_words=words, kept=chosen.kept, confirmed=chosen.confirmed
        )
        sys.stdout.buffer.write(masked.text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        return
    rows = [
        {"id": i.id, "line": i.line, "type": i.type, "value": i.shortened, "mask": i.mask, "secret": i.secret}
        for i in shown.items
    ]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        mark = "  secret" if row["secret"] else ""
        click.echo(f"{row['id']:<6} line {row['line']:<6} {row['type']:<12} {row['value']}{mark}")


def _lines(stream: IO[bytes], rules: RuleSet | None, words: tuple[str, ...]) -> None:
    """One JSON object a line, each a ticket of its own. A line that is none ends in exit code 1."""
    wrong = 0
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        answer = _answer(line, rules, words)
        if answer is None:
            wrong += 1
            click.echo(f"line {number}: not an object with id and text", err=True)
        else:
            click.echo(json.dumps(answer))
    if wrong:
        sys.exit(1)


def _answer(line: bytes, rules: RuleSet | None, words: tuple[str, ...]) -> dict[str, Any] | None:
    from veildesk.redact.apply import apply, settled

    try:
        document = json.loads(line)
        text = document["text"]
        name = document["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(text, str):
        return None
    findings = settled(text, rules=rules, own_words=words)
    masked = apply(text, findings, MaskNumbering(secrets.token_bytes(32)))
    spans = [{"start": item.start, "end": item.end, "type": item.type} for item in findings]
    return {"id": name, "findings": spans, "text": masked.text}
