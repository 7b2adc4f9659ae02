# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""User names inside paths of Windows, Linux, macOS, WSL and the BSDs; only the name is hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES", "SHARED"]

_BASES = (
    r"(?:(?:(?<![0-9A-Za-z])(?:[A-Za-z]:|/(?:mnt/|cygdrive/)?[a-z](?=/)|/[A-Z]:))?(?<!\w)?[\\/]{1,4}"
    r"(?:Users|Benutzer|Usuarios|Utilisateurs|Utilizadores|Utenti|Пользователи|用户|Documents and Settings)"
    r"|(?<![\w.])[\\/]{1,4}(?:(?:usr|export|var|mnt|vol|data|srv|net|nfs|Volumes)[\\/](?:[\w.-]{1,40}[\\/]){0,2})?home(?:[\\/]users)?"
    r"|(?<=[\w$])\\{1,2}home|(?<![\w.])/(?:run/)?media|(?<![\w.])/var/(?:spool/)?mail|(?<![\w.])/var/spool/cron(?:/crontabs)?|(?<![\w.])/usr/people"
    r"|[\\/]{2}[\w.$-]{1,63}[\\/]{1,2}(?:Users|home|homes|profiles)\$?"
    # Folders for each person beside the system's own; a folder of digits is a date or a number there.
    r"|(?<![0-9A-Za-z])[A-Za-z]:[\\/]{1,4}(?:Backups?|Sicherung(?:en)?|Profiles|Homes?)"
    r"(?=[\\/]{1,4}(?![0-9_.-]+[\\/])[^\\/\s]{1,60}[\\/]))"
)
_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁ][\w.'-]{1,24}"
_USER = re.compile(
    rf"{_BASES}(?P<sep>[\\/]{{1,4}})(?:(?P<spaced>[^\\/\n\r\t:*?\"<>|\ue000,;()\[\]{{}}]{{1,60}}?)(?=[\\/]|(?<=\w)>|(?<=\w)\")|(?P<names>(?-i:{_CAPITAL}(?: {_CAPITAL}){{1,2}}))(?=[\r\n]|\Z)|(?P<plain>[^\\/\s:*?\"<>|'`,;()\[\]{{}}，。；、）】]{{1,60}}))",
    re.IGNORECASE,
)
SHARED = frozenset(
    [
        "public",
        "default",
        "shared",
        "all",
        "all-users",
        "allusers",
        "guest",
        "administrator",
        "defaultapppool",
        "defaultuser0",
        "runner",
        "runneradmin",
        "circleci",
        "travis",
        "vsts",
        "jenkins",
        "vagrant",
        "linuxbrew",
        "user",
        "username",
        "%username%",
        "$user",
        "${user}",
        "~",
        ".",
        "..",
        "node",
        "app",
        "deploy",
        "root",
        "daemon",
        "nobody",
        "www-data",
        "containeradministrator",
        "systemprofile",
        "localservice",
        "networkservice",
        "postgres",
        "mysql",
        "git",
        "build",
        "builder",
        "lib",
        "local",
        "bin",
        "log",
        "cdrom",
        "usb",
        "floppy",
        "devuser",
        "youruser",
        "your-user",
        "yourname",
        "your-name",
        "me",
        "<user>",
        "xxx",
        "***",
        "всем",
        "общие",
    ]
) | {"default user", "all users", "public user"}


def _user(match: re.Match[str], text: str) -> Iterator[Finding]:
    name = match.lastgroup or "plain"
    value = match[name]
    if name == "spaced" and (value != value.strip() or value.count(" ") > 3 or _prose(value)):
        plain = re.match(r"[^\\/\s'`]{1,60}", value)
        if plain is None:
            return
        start, value = match.start(name), plain[0]
    else:
        start = match.start(name)
    value = value.rstrip(".,;:!?")
    if not value or value.lower() in SHARED or value.startswith(("%", "$", "{")):
        return
    yield finding(start, start + len(value), "PATH_USER", "path", 0.95)


def _prose(value: str) -> bool:
    return bool(
        re.search(
            r"\s(?:and|or|und|oder|y|o|и|или|to|in|on|at|is|was|the|not|from|with|von|nach|en|de la)(?:\s|\Z)",
            value,
            re.IGNORECASE,
        )
    )


_TILDE = re.compile(r"(?<![\w/.~])~(?P<name>[a-z][a-z0-9._-]{1,31})/", re.IGNORECASE)


def _tilde(match: re.Match[str], text: str) -> Iterator[Finding]:
    if match["name"].lower() not in SHARED:
        yield finding(match.start("name"), match.end("name"), "PATH_USER", "tilde", 0.8)


_ENV = re.compile(
    r"(?<![A-Za-z])(?:USER|USERNAME|LOGNAME|SUDO_USER|username|user_name|login_name|login_user)[\"']?(?:=|:[ \t]?)[\"']?(?P<name>[^\s\"',;=&<>\\/@]{2,40})(?![@\w])"
)


def _env(match: re.Match[str], text: str) -> Iterator[Finding]:
    value = match["name"].rstrip(".:)")
    if (
        value.lower() not in SHARED
        and value.lower() not in ("true", "false", "null", "none", "required", "unknown", "missing")
        and not value.startswith(("$", "%", "{", "["))
    ):
        yield finding(match.start("name"), match.start("name") + len(value), "PATH_USER", "env", 0.7)


RULES = (
    Rule("path", (rb"[\\/](?:users|home|benutzer|usuarios|utilisateurs|utilizadores|utenti|homes?|profiles|backups?|sicherung|sicherungen|mail|media|people|documents and settings)(?:/users)?\$?[\\/]",
                  rb"/cron(?:/crontabs)?/", "[\\\\/](?:Пользователи|用户)[\\\\/]".encode()),
         pattern_search(_USER, _user), back=110, ahead=66),
    Rule("tilde", (rb"[^a-z0-9/.~]~[a-z]",), pattern_search(_TILDE, _tilde), back=4, ahead=40),
    Rule("env", (rb"(?:USER|USERNAME|LOGNAME|username|user_name|login_name|login_user)[\"']?[=:]",), pattern_search(_ENV, _env), back=16, ahead=50, cased=True),
)  # fmt: skip
