# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Names people log in with, where systems write them down: log lines, access logs, command lines, settings.

Names of accounts that every system has ("root", "www-data") tell nothing about a person and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.detect.path import SHARED
from veildesk.redact.detect.secret import PLACEHOLDER
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_KEPT = SHARED | frozenset(
    [
        "admin",
        "system",
        "sshd",
        "mail",
        "vmail",
        "dovecot",
        "dovenull",
        "postfix",
        "nginx",
        "apache",
        "apache2",
        "httpd",
        "tomcat",
        "redis",
        "mongodb",
        "mongo",
        "elastic",
        "backup",
        "ftp",
        "ftpuser",
        "test",
        "tester",
        "guest",
        "operator",
        "anonymous",
        "debian",
        "ubuntu",
        "fedora",
        "centos",
        "ec2-user",
        "core",
        "pi",
        "git",
        "gitea",
        "gitlab-runner",
        "sa",
        "dba",
        "webmaster",
        "hostmaster",
        "postmaster",
        "support",
        "info",
        "root@localhost",
        "sync",
        "games",
        "man",
        "lp",
        "news",
        "uucp",
        "proxy",
        "list",
        "irc",
        "gnats",
        "systemd-network",
        "systemd-resolve",
        "systemd-timesync",
        "messagebus",
        "polkitd",
        "avahi",
        "debian-tor",
        "tor",
        "monero",
        "bitcoin",
        "electrs",
        "lnd",
        "clightning",
        "nm-openvpn",
        "openvpn",
        "network",
        "everyone",
        "self",
        "owner",
        "other",
        "others",
        "unknown",
        "new",
        "old",
        "both",
        "name",
        "names",
        "id",
        "ids",
        "type",
        "types",
        "role",
        "roles",
        "group",
        "groups",
        "agent",
        "data",
        "input",
        "output",
        "interface",
        "profile",
        "settings",
        "panel",
        "page",
        "password",
        "account",
        "accounts",
        "login",
        "logout",
        "email",
        "e-mail",
        "mode",
        "space",
        "root's",
        "users",
        "user1",
        "foo",
        "bar",
    ]
)
_NAME = r"(?P<name>[^\s\"'<>,;:=(){}\[\]|/\ue000@][^\s\"'<>,;=(){}\[\]|\ue000]{1,63})"
_STATES = re.compile(
    r"(?:is|was|has|had|can|could|and|or|not|the|a|an|in|at|to|of|from|via|with|for|on|by|who|that|cannot|does|did|will|should|must|already|again|still|only|"
    r"ist|hat|war|und|nicht|mit|der|die|das|est|les|des|una|los|las|что|не|был|уже|из|при|или|и|в|на|ok|page|button|screen|form|field|window|dialog|attempt\w*|"
    r"fail\w*|success\w*|error\w*|timeout|timed|required|rejected|denied|refused|accepted|expired|locked|disabled|enabled|unknown|invalid|pending|loop\w*|works?|broken)",
    re.IGNORECASE,
)


_CODE = re.compile(
    r".*(?:[(\[$]|::|->)|(?:process|os|sys|self|this|config|settings|env|req|request|args|opts|options|params|props|ctx|context|data|event|session|app|auth|current)\.[\w.]+\Z"
)


def _plain(value: str) -> bool:
    """Whether a name tells nothing: of an account that systems have by themselves, of a state, of code."""
    return (
        value.lower() in _KEPT
        or PLACEHOLDER.fullmatch(value) is not None
        or _STATES.fullmatch(value) is not None
        or _CODE.match(value) is not None
        or value.startswith(("$", "%", "-", "#", "http", "\\"))
        or not re.search(r"[^\W_]", value)
        or (value.isdigit() and len(value) < 6)
    )


_LEAST = 4
"""Shorter names, found by a word or an option alone, tell too little to be worth a mistake."""


def _found(match: re.Match[str], text: str) -> Iterator[Finding]:
    name = match["name"].rstrip(".:!?*")
    if len(name) > 1 and not _plain(name):
        yield finding(match.start("name"), match.start("name") + len(name), "NAME", "login", 0.7)


_LOGGED = Keyword(
    r"(?:\b(?:password|publickey|keyboard-interactive(?:/pam)?|none|gssapi-with-mic|hostbased|certificate) for (?:invalid user |illegal user )?(?=[^\s]{2,64} from )"
    r"|\b(?:invalid|illegal|authenticating|authorized|unknown|from) user:? (?=[^\s]{2,64} (?:from|port|[0-9\[])|[\"'])[\"']?|\b(?:session (?:opened|closed)|failed|denied|failure|succeeded|rejected) for user:? [\"'<]?|\bsession [0-9a-z]{1,8} of user |\b(?:for|of|to) (?:the )?(?:user|account):? (?:[\"'<]|(?=[\w.@-]{2,64}\())|\bby (?=[\w.-]{2,32}\(uid=)"
    r"|\buser=<|\b(?:imap|pop3|lmtp|submission|managesieve|smtp|auth|passwd-file|sql|ldap|pam)(?:-login)?\((?=[^\s(),]{2,80}[,)])"
    r"|\bsasl_username=|\bruser=|\bacct=\"?|\b(?:pptp|ipsec|openvpn|l2tp|eap|radius|chap|pap)[ -](?:user|login|username)[: =]{1,2}[\"'<]?"
    r"|\blogin (?:failed|attempt|succeeded|successful|from user)(?: for|:)? (?:user )?[\"'<]?|\bprincipal(?: name)?[ ]?[:=][ ]?[\"']?)"
)
_LOGGED_NAME = re.compile(_NAME)


def _logged(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    yield from _found(match, text)


_SUDO = re.compile(
    r"(?<![\w.-])"
    + r"(?P<name>[\w.][\w.@-]{1,63})(?= : (?:TTY=|user NOT|command not|a password|[0-9] incorrect))"
)
_ACCESS = re.compile(r" - (?P<name>[^\s\"\[\]]{2,64}) \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:")
_LISTED = re.compile(
    r"(?:^|(?<=\n))(?:> ?)*(?P<name>[A-Za-z_][\w.@-]{1,63}):(?=(?:[x*!]{1,2}|):[0-9]{1,10}:[0-9]{1,10}:|\$(?:apr1|2[abxy]|[1567]|y|gy)\$|\{(?:SSHA|SHA|CRYPT|SSHA512|PLAIN|BLF-CRYPT|ARGON2ID?)\})"
)
_HASHED = re.compile(
    r"(?:^|(?<=\n))[> \t]*(?P<name>[A-Za-z_][\w.@-]{1,63})[ \t]{1,4}(?=\$(?:apr1|2[abxy]|argon2id?)\$)"
)
_SHELL = re.compile(r":[~/][^\s$%#]{0,60} (?P<name>[a-z_][\w.-]{1,31})(?=[$%#] )")
_DAV = re.compile(
    r"/(?:(?:remote\.php/)?(?:web|cal|card)?dav/(?:calendars|addressbooks|files|uploads|principals|principals/users|users|cal)|principals/users|owncloud/files|caldav|carddav|SOGo/dav|mail/u)/(?P<name>[^\s/\"'<>?#\ue000]{2,64})(?=[/\s?\"'])"
)
_SETTING = re.compile(
    r"(?:^|(?<=\n))[> \t]*(?:User|USER|user|Login|RemoteUser|PubkeyAuthUser|AllowUsers)[ \t]{1,8}(?P<name>[A-Za-z_][\w.-]{1,63})[ \t]*(?=\r?\n|\Z)"
)
_OPTION = re.compile(
    r"(?:(?<![\w-])(?:mysql|mysqldump|mysqladmin|mariadb)[ ][^\n|;]{0,60}?-u ?|(?<![\w-])(?:docker|podman|helm|skopeo|buildah|nerdctl)[ ]login[ ][^\n|;]{0,80}?(?:-u|--username)[ =]"
    r"|(?<![\w-])(?:psql|pg_dump|pg_restore|createdb)[ ][^\n|;]{0,60}?(?:-U ?|--username[ =])|(?<![\w-])ssh[ ][^\n|;]{0,60}?-l ?|(?<![\w-])(?:su|sudo)[ ](?:-u ?|- |-l ))[\"']?"
    + _NAME
)
_WINDOWS = re.compile(
    r"(?:\b(?:Account|User|Logon|Target ?User|Subject ?User|Benutzer|Konto|Caller User) ?Name|Kontoname|Benutzername|Nombre de cuenta|Nom du compte|Имя учетной записи|Имя пользователя)"
    r"[ \t.]{0,40}:[ \t]{0,40}(?P<name>(?!-)[^\s\"'<>,;=(){}|\ue000]{2,64})",
    re.IGNORECASE,
)
_DOMAIN = re.compile(
    r"(?:\b(?:Account|User|Logon|Target|Subject) ?Domain(?: ?Name)?|Kontodomäne)[ \t.]{0,40}:[ \t]{0,40}(?P<name>[A-Za-z][\w.-]{1,62})",
    re.IGNORECASE,
)
_BUILTIN = frozenset(["nt", "authority", "workgroup", "builtin", "localhost", "window", "font"])
_SID = re.compile(
    r"(?<![\w-])S-1-(?:5-21|12-1)-[0-9]{3,10}-[0-9]{3,10}-[0-9]{3,10}(?:-[0-9]{3,10})?(?![\w-])"
)
_DOWNLEVEL = re.compile(
    r"(?<![^\s\"'(>=:])(?P<name>(?!HK|HKEY)[A-Za-z][A-Za-z0-9-]{1,14}\\[A-Za-z][\w.-]{1,40})(?=[ \t]{0,2}(?:\r?\n|\Z|logged|signed|has |failed|\())"
)


def _option(match: re.Match[str], text: str) -> Iterator[Finding]:
    if len(match["name"]) >= _LEAST:
        yield from _found(match, text)


_BLOCK = re.compile(r"(?:^|(?<=\n))[> \t]*(?i:host|match|hostname|identityfile|port)[ \t]")


def _setting(match: re.Match[str], text: str) -> Iterator[Finding]:
    """ "User X" on a line of its own: in a block for a host, or between the lines of POP3."""
    near = text[max(0, match.start() - 300) : match.end() + 200]
    if _BLOCK.search(near) or re.match(r"\s*(?:PASS|pass|\+OK)[ ]", text[match.end() : match.end() + 12]):
        yield from _found(match, text)


def _domain(match: re.Match[str], text: str) -> Iterator[Finding]:
    if match["name"].lower() not in _BUILTIN and not PLACEHOLDER.fullmatch(match["name"]):
        yield finding(match.start("name"), match.end("name"), "HOSTNAME", "login-domain", 0.7)


def _sid(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The number by which Windows knows one account of one machine."""
    yield finding(match.start(), match.end(), "NAME", "sid", 0.9)


def _downlevel(match: re.Match[str], text: str) -> Iterator[Finding]:
    """DOMAIN\\user, as whoami and event logs write it."""
    machine, _, user = match["name"].partition("\\")
    if user.lower() in _KEPT or machine.lower() in (
        "nt",
        "builtin",
        "users",
        "windows",
        "system32",
        "software",
    ):
        return
    if len(user.rstrip(".")) > 2 and (re.search(r"[0-9-]", machine) or machine.isupper()):
        yield finding(match.start("name"), match.end("name"), "NAME", "login-domain", 0.6)


_WORDS = (
    "username", "user name", "user", "login name", "login", "userid", "benutzername", "benutzer", "nutzername", "anmeldename", "usuario", "nombre de usuario", "usuário", "utilizador", "nome de usuário",
    "utilisateur", "identifiant", "nom d'utilisateur", "utente", "nome utente", "gebruikersnaam", "gebruiker", "nazwa użytkownika", "użytkownik", "kullanıcı adı", "kullanıcı adım", "kullanıcı",
    "логин", "пользователь", "имя пользователя", "логін", "користувач", "ім'я користувача", "用户名", "用戶名", "登录名", "账户名", "ユーザー名", "ユーザ名", "ユーザーid", "사용자 이름", "사용자명", "아이디",
    "اسم المستخدم", "نام کاربری", "उपयोगकर्ता नाम", "användarnamn", "brugernavn", "brukernavn", "uživatelské jméno", "felhasználónév", "nume utilizator",
)  # fmt: skip
_WORD = Keyword(
    rf"(?<![^\W\d_\u2e80-\uffdc])(?<![/.$-])(?:{keywords.pattern(_WORDS)})(?:(?<=[\u2e80-\uffdc])|(?![^\W\d_\u2e80-\uffdc]))"
)
_VALUE = re.compile(
    r"(?P<before>[\"'`]?)(?P<gap>[ \t]{0,3}(?:[:=：]|=>|>)[ \t]{0,3}|[ \t]{1,2}(?:(?:is|was|ist|lautet|est|es|è|é|to|jest|—|-)[ \t]{1,2})?|(?<=[\u2e80-\uffdc])[是为はが은는]?[ ]?)(?P<quote>[\"'`“„«]?)"
    + _NAME
)
_BESIDE = re.compile(
    rf"[\"'`”“»]?(?:[ \t]*(?:[,;/|]|und|and|y|et|e|i|и|та|ve)?[ \t]*\r?\n?[ \t>]*(?:{keywords.PASSWORD}))",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[\"'`”»]?[ \t]*(?:[,;/|)}\]]|\r?\n|\Z)|</")


def _said(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A name behind a word for one: in a setting, at the end of a line, before a password, or of a made-up look."""
    name = match["name"].rstrip(".:!?*")
    low, high = match.start("name"), match.start("name") + len(name)
    explicit = re.search(r"[:=：>]", match["gap"]) is not None
    if name.isdigit() and not (match["quote"] or _BESIDE.match(text, high)):
        return
    if len(name) < _LEAST or _plain(name) or re.search(r"[/\\]|[0-9]:[0-9]", name):
        return
    if match["gap"] == ":" and not match["before"]:
        return  # "user:password", which has rules of its own
    made = re.search(r"[0-9_]|[a-z]\.[a-z]", name) is not None and re.search(r"[^\W\d_]", name) is not None
    beside = _BESIDE.match(text, high) is not None
    if explicit:
        whole = match["quote"] != "" or ">" in match["gap"] or _ENDS.match(text, high) is not None
        weak = not made and not beside and match["quote"] == "" and name[0].isupper() and " " in match["gap"]
        if made or beside or (whole and not weak):
            yield finding(low, high, "NAME", "login-word", 0.7)
    elif (beside and (made or head[0].lower() != "user")) or (
        made
        and head[0].lower() != "user"
        and not re.match(r"v?[0-9]+(?:[._-][0-9]+)*\Z", name)
        and _ENDS.match(text, high)
    ):
        yield finding(low, high, "NAME", "login-word", 0.6)


_PAIR = re.compile(
    r"(?:auth-user-pass|auth\.txt|login\.conf|pass(?:wd|word)?\.txt|credentials?\.txt|creds(?:\.txt)?|up\.txt)[^\n]{0,40}\r?\n[ \t>]*"
    r"(?P<name>[^\s\\/()<>=\ue000]{3,64})[ \t]*\r?\n[ \t>]*(?P<value>(?=[^\s]{0,63}[0-9])[^\s\\/()<>=\ue000]{6,64})[ \t]*(?=\r?\n|\Z)",
    re.IGNORECASE,
)


def _two_lines(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A file of two lines, name and password, as OpenVPN and others read it."""
    if not _plain(match["name"]):
        yield finding(match.start("name"), match.end("name"), "NAME", "two-lines", 0.7)
    yield finding(match.start("value"), match.end("value"), "PASSWORD", "two-lines", 0.7)


RULES = (
    Rule("login", (rb"password for ", rb"publickey for ", rb"interactive for ", rb"/pam for ", rb"none for ", rb"mic for ", rb"certificate for ", rb" user ", rb" user: ", rb"(uid=".replace(b"(", b"\\("),
                   rb"user=<", rb"imap\(", rb"pop3\(", rb"lmtp\(", rb"submission\(", rb"imap-login\(", rb"managesieve\(", rb"for account ", rb"sasl_username=", rb"ruser=", rb"acct=", rb"-user ", rb"-login ", rb"login failed",
                   rb"login attempt", rb"login succe", rb"principal"),
         keyword_search(_LOGGED, _LOGGED_NAME, _logged), back=44, ahead=40),
    Rule("login", (rb" : tty=", rb" : user not", rb" : command not", rb" : a password", rb" incorrect password"), pattern_search(_SUDO, _found), back=84, ahead=20),
    Rule("login", (rb" \[[0-9]{2}/[a-z]{3}/[0-9]{4}:",), pattern_search(_ACCESS, _found), back=84, ahead=8),
    Rule("login", (rb":[x*!]?:[0-9]{1,6}:[0-9]{1,6}:", rb":\$(?:apr1|2[abxy]|[1567]|y|gy)\$", rb":\{(?:ssha|sha|crypt|plain|blf-crypt|argon2)"), pattern_search(_LISTED, _found), back=90, ahead=16),
    Rule("login", (rb"[ \t]\$(?:apr1|2[abxy]|argon2id?)\$",), pattern_search(_HASHED, _found), back=90, ahead=16),
    Rule("login", (rb"[a-z][$%] ",), pattern_search(_SHELL, _found), back=110, ahead=4),
    Rule("login", (rb"dav/", rb"principals/users/", rb"owncloud/files/"), pattern_search(_DAV, _found), back=40, ahead=110),
    Rule("login", (rb"\n[> \t]{0,8}(?:user|login|remoteuser|allowusers)[ \t]{1,8}[a-z_]",), pattern_search(_SETTING, _setting), back=40, ahead=70),
    Rule("login", (rb" -u", rb" -l ", rb"--username", rb"(?:docker|podman|helm|skopeo|buildah|nerdctl) login"), pattern_search(_OPTION, _option), back=110, ahead=70),
    Rule("login", (rb"account name", rb"accountname", rb"user name", rb"logon name", rb"logonname", rb"username", rb"user_name", rb"kontoname", rb"benutzername", "учетной записи".encode(), "мя пользователя".encode(), rb"nombre de cuenta", rb"nom du compte"), pattern_search(_WINDOWS, _found), back=70, ahead=110),
    Rule("login-domain", (rb"account domain", rb"user domain", rb"logon domain", rb"userdomain", rb"target domain", rb"subject domain", "kontodomäne".encode()), pattern_search(_DOMAIN, _domain), back=70, ahead=110),
    Rule("login-domain", (rb"[a-z0-9]\\[a-z]",), pattern_search(_DOWNLEVEL, _downlevel), back=20, ahead=50),
    Rule("sid", (rb"s-1-(?:5-21|12-1)-[0-9]",), pattern_search(_SID, _sid), back=14, ahead=60),
    Rule("login-word", (*keywords.triggers([word for word in _WORDS if word not in ("user", "login", "login name")]), rb"user[\"'`]?[ \t]{0,3}[:=>]", rb"login[\"'`]?[ \t]{0,3}[:=>]", rb"user is ", rb"login is ", rb"login [a-z]", rb"user [a-z]"),
         keyword_search(_WORD, _VALUE, _said), back=34, ahead=24),
    Rule("two-lines", (rb"auth-user-pass", rb"auth\.txt", rb"pass\.txt", rb"passwd\.txt", rb"password\.txt", rb"login\.conf", rb"credentials?\.txt", rb"creds", rb"up\.txt"), pattern_search(_PAIR, _two_lines), back=24, ahead=200),
)  # fmt: skip
