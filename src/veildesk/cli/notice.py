"""`veildesk notice`: from a draft to a signed, published notice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from veildesk.cli.notice_report import say_published
from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json
from veildesk.core.errors import InputInvalid, VeildeskError
from veildesk.core.notice import MAINTENANCE_STATES, Impact, IncidentState, Kind, Notice, Words
from veildesk.notices.archive import NoticeRefused, replace_file
from veildesk.notices.draft import Draft, draft_text, read_draft, template_names, template_text
from veildesk.notices.signing import BEGIN, combine, signed_body
from veildesk.notices.story import next_notice
from veildesk.notices.text import parse_statement
from veildesk.service.config import load_config

__all__ = ["notice", "read_text", "with_press"]

_T = TypeVar("_T")
_SIGNABLE = "sign the text that 'veildesk notice preview --out' or 'veildesk identity draft' wrote"

allow_option = click.option(
    "--allow", multiple=True, metavar="VALUE", help="Let this exact value through redaction; never a secret."
)
pause_option = click.option(
    "--after-pause", is_flag=True, help="The clock is right although the last statement is long over."
)


def with_press(config_file: Path, as_json: bool, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """Run a coroutine with an open press; errors end the command with their exit code."""
    from veildesk.service.notices import open_press

    async def inside() -> _T:
        async with open_press(load_config(config_file, os.environ)) as press:
            return await work(press)

    try:
        return asyncio.run(inside())
    except VeildeskError as error:
        fail(error, as_json)


def read_text(path: Path) -> str:
    """A file as text. Raises `ConfigInvalid`."""
    try:
        return path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputInvalid(f"{path}: cannot be read ({type(error).__name__})") from None


@click.group(cls=Commands)
def notice() -> None:
    """Draft, sign, publish and verify incident notices."""


@notice.command()
@config_option
@click.option("--template", default="service-down", show_default=True, help="'list' shows all.")
@click.option("--lang", multiple=True, help="Only these languages.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write; else to output."
)
@json_option
def draft(config_file: Path, template: str, lang: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Start from a template: one for each kind of trouble, in every language."""
    try:
        own = load_config(config_file, os.environ).notices.templates if config_file.exists() else None
        if template == "list":
            names = template_names(own)
            if as_json:
                print_json(names)
            else:
                click.echo("\n".join(names))
            return
        text = template_text(template, lang, own)
        if out is not None and out.exists():
            raise InputInvalid(f"{out} exists already; nothing was changed")
    except VeildeskError as error:
        fail(error, as_json)
    if out is not None:
        replace_file(out, text.encode())
        click.echo(
            f"Wrote {out}. Fill in what stands in <...>, then: veildesk notice preview {out}", err=True
        )
    if as_json:
        print_json({"template": template, "draft": str(out) if out else None, "text": text})
    elif out is None:
        click.echo(text, nl=False)


@notice.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the exact text to sign.")
@allow_option
@pause_option
@json_option
def preview(
    config_file: Path, file: Path, out: Path | None, allow: tuple[str, ...], after_pause: bool, as_json: bool
) -> None:
    """Show exactly what would be signed, after all checks. Publishes nothing."""

    async def work(press: Any) -> str:
        text: str = await press.publisher.prepare(
            read_draft(read_text(file)), allowed=allow, after_pause=after_pause
        )
        return text

    text = with_press(config_file, as_json, work)
    if out is not None:
        replace_file(out, text.encode())
        click.echo(f"Wrote {out}. Sign it where the notice key is: veildesk notice sign {out}", err=True)
    if as_json:
        print_json({"text": text, "file": str(out) if out else None})
    elif out is None:
        click.echo(text, nl=False)


@notice.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--home", type=click.Path(path_type=Path), help="GnuPG home on this machine; needs no configuration."
)
@click.option("--key", multiple=True, help="Fingerprint to sign with, with --home.")
@click.option("--ask-passphrase", is_flag=True, help="Ask for the key's passphrase.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: FILE.asc")
@allow_option
@json_option
def sign(
    config_file: Path,
    file: Path,
    home: Path | None,
    key: tuple[str, ...],
    ask_passphrase: bool,
    out: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Sign a text from 'notice preview --out', or a draft. With --home this works offline, anywhere.

    A FILE that is signed already gets one more signature.
    """
    try:
        text = read_text(file)
        before = text if text.startswith(BEGIN) else None
        if before is not None:
            text = signed_body(before)
        is_draft = not text.startswith(("Veildesk statement 1\n", "Contact: "))
        if home is not None and (is_draft or not key):
            raise InputInvalid(f"with --home, {_SIGNABLE}, and name the key with --key")
        if not is_draft and text.startswith("Veildesk"):
            parse_statement(text)
    except ValueError:
        fail(NoticeRefused(f"this is not a statement; {_SIGNABLE}"), as_json)
    except VeildeskError as error:
        fail(error, as_json)

    async def here(press: Any) -> str:
        ready = await press.publisher.prepare(read_draft(text), allowed=allow) if is_draft else text
        signed: str = await press.publisher.sign(ready)
        return signed

    if home is not None:
        phrase = click.prompt("Passphrase", hide_input=True, err=True) if ask_passphrase else None
        signed = _sign_offline(text, home, key, phrase, as_json)
    else:
        signed = with_press(config_file, as_json, here)
    if before is not None:
        signed = combine([before, signed])
    target = out or file.with_name(file.name.removesuffix(".asc") + ".asc")
    replace_file(target, signed.encode())
    if as_json:
        print_json({"signed": str(target)})
    else:
        click.echo(f"Signed: {target}. Next: veildesk notice publish {target}", err=True)


def _sign_offline(text: str, home: Path, keys: tuple[str, ...], phrase: str | None, as_json: bool) -> str:
    from veildesk.service.notice_verify import sign_offline

    click.echo("You are about to sign:\n", err=True)
    click.echo(text, err=True)
    try:
        return asyncio.run(sign_offline(text, home, keys, phrase))
    except VeildeskError as error:
        fail(error, as_json)


@notice.command("combine")
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@json_option
def combine_signatures(files: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Put the signatures of several people over one text into one file."""
    try:
        signed = combine([read_text(file) for file in files])
    except ValueError as error:
        fail(NoticeRefused(f"{error}; everyone must sign the same file"), as_json)
    except VeildeskError as error:
        fail(error, as_json)
    replace_file(out, signed.encode())
    if as_json:
        print_json({"signed": str(out)})
    else:
        click.echo(f"Wrote {out}. Next: veildesk notice publish {out}", err=True)


@notice.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--title")
@click.option("--kind", type=click.Choice(["incident", "security"]), default="incident", show_default=True)
@click.option("--state", type=click.Choice([s.value for s in IncidentState]))
@click.option("--impact", "--severity", "severity", type=click.Choice([i.value for i in Impact]))
@click.option("--action", help="What a reader should do, first of all.")
@click.option("--summary")
@click.option("--affected", default="")
@click.option("--lang", default="en", show_default=True, help="Language of the texts given here.")
@allow_option
@pause_option
@json_option
def publish(
    config_file: Path,
    file: Path | None,
    title: str | None,
    kind: str,
    state: str | None,
    severity: str | None,
    action: str | None,
    summary: str | None,
    affected: str,
    lang: str,
    allow: tuple[str, ...],
    after_pause: bool,
    as_json: bool,
) -> None:
    """Publish a signed file, a draft, or a text given by options, on every channel.

    Publishing the same signed file again changes nothing.
    """
    try:
        if file is not None:
            text = read_text(file)
            content: Draft | str = text if text.startswith(BEGIN) else read_draft(text)
        else:
            if not (title and state and severity and action and summary):
                raise InputInvalid("give a FILE, or --title, --state, --impact, --action and --summary")
            words = Words(title, action, summary, affected=affected)
            made = Notice(Kind(kind), IncidentState(state), Impact(severity), {lang: words})
            content = Draft(made.kind, made.words, made)
            if made.state in (*MAINTENANCE_STATES, IncidentState.POSTMORTEM):
                raise InputInvalid("maintenance and post-mortems need a draft; see 'veildesk notice draft'")
    except VeildeskError as error:
        fail(error, as_json)

    async def work(press: Any) -> Any:
        return await press.publish(content, allowed=allow, after_pause=after_pause)

    item, results = with_press(config_file, as_json, work)
    say_published(item, results, as_json)


def story_command(name: str, state: IncidentState | None, help_text: str) -> Callable[..., None]:
    """`update`, `resolve` and `post-mortem`: the next notice of a story."""

    @click.argument("incident", type=int)
    @click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
    @click.option("--state", "state_name", type=click.Choice([s.value for s in IncidentState]))
    @click.option("--impact", "--severity", "severity", type=click.Choice([i.value for i in Impact]))
    @click.option("--action", multiple=True, help="Prefix 'ru:' for another language than the main one.")
    @click.option("--summary", multiple=True, help="What changed. Prefix 'ru:' likewise.")
    @click.option("--fix", multiple=True)
    @click.option(
        "--draft-to", type=click.Path(path_type=Path, dir_okay=False), help="Write a draft; publish nothing."
    )
    @allow_option
    @json_option
    @config_option
    def command(
        config_file: Path,
        incident: int,
        file: Path | None,
        state_name: str | None,
        severity: str | None,
        action: tuple[str, ...],
        summary: tuple[str, ...],
        fix: tuple[str, ...],
        draft_to: Path | None,
        allow: tuple[str, ...],
        as_json: bool,
    ) -> None:

        texts = {"action": action, "summary": summary, "fix": fix}
        wanted = state or (IncidentState(state_name) if state_name else None)

        async def work(press: Any) -> Any:
            made = next_notice(press.directory, incident, file, wanted, severity, texts, read_text)
            if draft_to is not None:
                replace_file(draft_to, draft_text(made).encode())
                return None
            return await press.publish(Draft(made.kind, made.words, made), allowed=allow)

        done = with_press(config_file, as_json, work)
        if done is None:
            click.echo(f"Wrote {draft_to}. Edit it, then: veildesk notice publish {draft_to}", err=True)
        else:
            say_published(done[0], done[1], as_json)

    return notice.command(name, help=help_text)(command)


story_command("update", None, "Say what changed in a story; INCIDENT is the number that opened it.")
story_command("resolve", IncidentState.RESOLVED, "Say that an incident or a maintenance is over.")
story_command(
    "post-mortem", IncidentState.POSTMORTEM, "Publish the report after an incident, from a draft FILE."
)
