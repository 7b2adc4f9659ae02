# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""What opens an account by itself: numbers of accounts without a password, application passwords in four
groups, vouchers, and codes that were sent once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect import keywords
from veildesk.redact.keyword import Keyword
from veildesk.redact.rule import Rule, before, finding, keyword_search, pattern_search

__all__ = ["RULES"]

_ACCOUNT_WORDS = (
    "account number", "account no", "account token", "account id", "account", "acct", "konto", "kontonummer", "accountnummer", "kontonr", "cuenta", "número de cuenta", "compte", "numéro de compte", "conta", "número da conta", "conto", "numero di conto", "rekening", "accountnaam",
    "konta", "numer konta", "hesap", "hesabım", "hesap numarası", "аккаунт", "аккаунта", "номер аккаунта", "учётная запись", "учетная запись", "акаунт", "рахунок", "账号", "帐号", "账户", "帳號", "アカウント", "アカウント番号", "계정", "계정 번호", "حساب", "رقم الحساب", "حسابي", "خाता", "खाता", "mullvad",
)  # fmt: skip
_ACCOUNT = Keyword(rf"(?<![^\W\d_\u2e80-\uffdc])(?:{keywords.pattern(_ACCOUNT_WORDS)})")
_SIXTEEN = re.compile(
    r"(?P<between>[^0-9\n\ue000]{0,28}(?:\r?\n[ \t>]{0,8}[^0-9\n\ue000]{0,20})?)(?<![0-9A-Za-z.,+/-])(?P<number>[0-9]{4}(?P<gap>[ \u00a0-]?)[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4})(?![0-9A-Za-z]|[.,-][0-9]|[ ][0-9]{4})"
)
_OTHER = re.compile(
    r"order|invoice|ticket|bestell|rechnung|auftrag|vorgang|pedido|factura|commande|facture|заказ|счёт-фактур|订单|txn|transaction|tracking|parcel|timestamp|time|epoch|trace|request|\bref",
    re.IGNORECASE,
)


def _sixteen(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """Sixteen digits behind a word for an account: whoever has them is logged in."""
    digits = re.sub(r"\D", "", match["number"])
    if (
        not _OTHER.search(match["between"])
        and len(set(digits)) > 3
        and not digits.startswith(("19", "20") if "0000" in digits else "\0")
    ):
        yield finding(match.start("number"), match.end("number"), "PASSWORD", "account-number", 0.8)


_FOURS = re.compile(
    r"(?<![A-Za-z0-9_-])[a-z]{4}(?P<gap>[ \u00a0-])[a-z]{4}(?P=gap)[a-z]{4}(?P=gap)[a-z]{4}(?![A-Za-z0-9_-])"
)
_APP_WORDS = Keyword(
    r"app(?:lication|likations?|-?spezifisch\w*)?[ -]?(?:specific[ -]?)?(?:pass|pw|kennw|wort)|apps?[ -]?passw|app-specific|anwendungspassw|anwendungsspezifisch|mot de passe d['’]app|contraseña de (?:la )?aplicaci|senha de app|password per (?:le )?app|"
    r"app-wachtwoord|hasło aplikacji|uygulama şifre|uygulama parola|пароль приложени|пароля приложени|пароль для приложени|应用(?:专用|程序)?密码|應用程式密碼|アプリ ?パスワード|앱 비밀번호|كلمة مرور التطبيق"
)
_WORDS_NEAR = Keyword(
    r"pass(?:word|wort)|kennwort|contraseña|mot de passe|senha|пароль|hasło|wachtwoord|密码|パスワード|비밀번호|google|gmail|icloud|apple|yahoo|fastmail|outlook"
)
_BEGIN = frozenset(
    [
        "bl",
        "br",
        "ch",
        "cl",
        "cr",
        "dr",
        "dw",
        "fl",
        "fr",
        "gh",
        "gl",
        "gn",
        "gr",
        "kl",
        "kn",
        "kr",
        "ph",
        "pl",
        "pr",
        "ps",
        "sc",
        "sh",
        "sk",
        "sl",
        "sm",
        "sn",
        "sp",
        "sq",
        "st",
        "sw",
        "th",
        "tr",
        "ts",
        "tw",
        "wh",
        "wr",
        "zw",
        "ll",
    ]
)
_END = frozenset(
    [
        "bs",
        "bt",
        "ch",
        "ck",
        "cs",
        "ct",
        "dd",
        "ds",
        "ff",
        "fs",
        "ft",
        "gg",
        "gh",
        "gn",
        "gs",
        "ht",
        "ks",
        "ld",
        "lf",
        "lk",
        "ll",
        "lm",
        "ln",
        "lp",
        "ls",
        "lt",
        "lz",
        "mb",
        "mm",
        "mn",
        "mp",
        "ms",
        "mt",
        "nd",
        "ng",
        "nk",
        "nn",
        "ns",
        "nt",
        "nz",
        "ph",
        "pp",
        "ps",
        "pt",
        "rb",
        "rc",
        "rd",
        "rf",
        "rg",
        "rk",
        "rl",
        "rm",
        "rn",
        "rp",
        "rr",
        "rs",
        "rt",
        "rz",
        "sh",
        "sk",
        "sm",
        "sp",
        "ss",
        "st",
        "tc",
        "th",
        "ts",
        "tt",
        "tz",
        "wd",
        "wk",
        "wl",
        "wn",
        "ws",
        "xt",
        "ys",
        "zz",
    ]
)
_VOWELS = frozenset("aeiouy")


def _odd(group: str) -> bool:
    """Whether four letters look like no word people write: no vowel, or sounds none begins or ends with."""
    hard = [char not in _VOWELS for char in group]
    return (
        all(hard)
        or not any(hard)
        or re.search(r"q(?!u)|[jvqxz][^aeiouyz]|[jvq]\Z|uu|ii|yy|aa[^lrt]", group) is not None
        or (hard[0] and hard[1] and (hard[2] or group[:2] not in _BEGIN))
        or (hard[2] and hard[3] and (group[2:] not in _END or (hard[1] and group[1:3] in ("nb", "mk"))))
    )


def _fours(match: re.Match[str], text: str) -> Iterator[Finding]:
    groups = re.split(r"[ \u00a0-]", match[0])
    odd = sum(map(_odd, groups))
    low = max(0, match.start() - 160)
    said = _APP_WORDS.search(text, low, match.start()) is not None
    least = 1 if said else 2 if _WORDS_NEAR.search(text, low, match.start()) is not None else 3
    if odd >= least and len(set(groups)) == len(groups):
        yield finding(match.start(), match.end(), "PASSWORD", "app-password", 0.8 if said else 0.6)


_VOUCHER_WORDS = (
    "voucher", "voucher code", "coupon", "gift card", "gift code", "giftcard", "activation code", "activation key", "redeem code", "redeem", "gutschein", "gutscheincode", "guthabencode", "aktivierungscode", "cupón", "código de activación",
    "code d'activation", "bon d'achat", "code cadeau", "voucher-code", "код активации", "ваучер", "промокод", "激活码", "兑换码", "礼品卡", "codice di attivazione", "buono", "kod aktywacyjny", "voucher kodu", "cadeaubon", "激活碼", "アクティベーションコード", "バウチャー",
)  # fmt: skip
_VOUCHER = Keyword(keywords.pattern(_VOUCHER_WORDS))
_VOUCHER_CODE = re.compile(
    r"[^\n0-9\ue000]{0,20}?[ \t:=：\"'(#]{1,4}(?P<code>(?=[A-Z0-9-]{0,40}[0-9])[A-Z0-9]{4,8}(?:-[A-Z0-9]{4,8}){1,5}|(?=[A-Z0-9]{0,30}[0-9])(?=[A-Z0-9]{0,30}[A-Z])[A-Z0-9]{10,32})(?![A-Za-z0-9-])"
)


def _voucher(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{4}", match["code"]):
        yield finding(match.start("code"), match.end("code"), "API_TOKEN", "voucher", 0.7)


_ONCE_WORDS = (
    "verification code", "confirmation code", "one-time code", "one time code", "login code", "sign-in code", "sms code", "authentication code", "otp", "otp code", "2fa code", "bestätigungscode", "sicherheitscode", "einmalcode", "sms-code", "anmeldecode", "tan",
    "código de verificación", "código de confirmación", "código de acceso", "code de vérification", "code de confirmation", "code sms", "codice di verifica", "código de verificação", "kod weryfikacyjny", "verificatiecode", "doğrulama kodu", "doğrulama kodum", "код подтверждения", "код из смс", "смс-код", "проверочный код", "код підтвердження",
    "验证码", "驗證碼", "校验码", "認証コード", "確認コード", "인증번호", "인증 코드", "رمز التحقق", "کد تایید", "کد تأیید", "सत्यापन कोड", "ओटीपी",
)  # fmt: skip
_ONCE = Keyword(
    rf"(?<![^\W\d_\u2e80-\uffdc])(?:{keywords.pattern(_ONCE_WORDS)})(?:(?<=[\u2e80-\uffdc])|(?![^\W\d_\u2e80-\uffdc]))"
)
_ONCE_CODE = re.compile(
    r"(?P<between>[^\n0-9.!?;\ue000]{0,32}?)(?<![0-9A-Za-z.,+/#-])(?:[A-Z]-)?(?P<code>[0-9]{4,8}|[0-9]{3}[ -][0-9]{3})(?![0-9A-Za-z]|[.,:/-][0-9]|[ ]?(?:min|sec|second|hour|stund|byte|%|€|\$|times|mal\b))"
)
_NOT_ONCE = re.compile(
    r"error|status|fehler|erreur|ошибк|错误|port|version|build|ticket|order|in 20|since|seit|length|digits|stellig",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"(?<![^\W\d_])(?:code|kod|код|código|codice)(?: (?:that|which|you|i|we|was|got|from|the|sms|by|per|in|via|die|den|den ihr|mir|que|me|il|который|пришел|пришёл|вы|из)){1,4} (?:sent|texted|received|got|mailed|sms|geschickt|bekommen|erhalten|enviaron|llegó|reçu|envoyé|прислали|пришел|пришёл|получил|text|message|app|mail|email|phone)"
    r"(?: (?:me|to me|us|by sms|via sms|yesterday|today|was|is|ist|war|es|est|это))*[ :]{1,2}(?P<code>[0-9]{4,8}|[0-9]{3}[ -][0-9]{3})(?![0-9A-Za-z]|[.,:/-][0-9])(?P<more> (?:and|und|y|et|и)(?: then)? [0-9]{4,8}(?![0-9A-Za-z.:-]))?",
    re.IGNORECASE,
)


def _once(head: re.Match[str], match: re.Match[str], text: str) -> Iterator[Finding]:
    """A code that was sent once, behind its name."""
    year = re.fullmatch(r"(?:19|20)[0-9]{2}", match["code"]) and not re.search(r"[:=：]", match["between"])
    if not year and not _NOT_ONCE.search(match["between"]):
        yield finding(match.start("code"), match.end("code"), "TOTP", "one-time-code", 0.7)


def _sent(match: re.Match[str], text: str) -> Iterator[Finding]:
    if not re.search(
        r"error|exit|status|fehler|zip|country|ошибк", before(text, match.start(), 10), re.IGNORECASE
    ):
        yield finding(
            match.start("code"),
            match.end("more") if match["more"] else match.end("code"),
            "TOTP",
            "one-time-code",
            0.6,
        )


_ORIGIN = re.compile(
    r"(?:\b(?:(?:master|root|wallet)[ _-]?(?:key[ _-]?)?(?:fingerprint|fp)|xfp|mfp)[\"']?[ \t]{0,2}[:= ][ \t]{0,2}[\"']?|\[(?=[0-9a-f]{8}/[0-9]{1,4}['h]/))(?P<value>[0-9a-f]{8})(?![0-9a-z])",
    re.IGNORECASE,
)


def _origin(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The fingerprint of a wallet's first key (BIP-32, BIP-380), the same in all its files."""
    yield finding(match.start("value"), match.end("value"), "XPUB", "key-origin", 0.8)


_INVOICE = re.compile(
    r"(?<![A-Za-z0-9])ln(?:bc|tb|bcrt|tbs)[0-9]{0,12}[munp]?1[02-9ac-hj-np-z]{100,2000}(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def _invoice(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A Lightning invoice (BOLT 11): it names the node that asks for money."""
    yield finding(match.start(), match.end(), "WALLET", "invoice", 0.95)


RULES = (
    Rule("invoice", (rb"lnbc", rb"lntb"), pattern_search(_INVOICE, _invoice), back=8, ahead=2040),
    Rule("key-origin", (rb"\[[0-9a-f]{8}/[0-9]", rb"fingerprint", rb"[^a-z][mx]fp[^a-z]", rb"(?:master|root)[ _-]fp"), pattern_search(_ORIGIN, _origin), back=24, ahead=24),
    Rule("account-number", (rb"[^0-9a-z.,+/-][0-9]{16}[^0-9a-z]", rb"[^0-9a-z.,+/-][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[^0-9a-z]"), keyword_search(_ACCOUNT, _SIXTEEN, _sixteen), back=100, ahead=2),
    Rule("app-password", (rb"[^A-Za-z0-9_-](?:[a-z]{4} ){3}[a-z]{4}[^A-Za-z0-9_-]", rb"[^A-Za-z0-9_-](?:[a-z]{4}-){3}[a-z]{4}[^A-Za-z0-9_-]"), pattern_search(_FOURS, _fours), back=24, ahead=2, cased=True),
    Rule("voucher", keywords.triggers(_VOUCHER_WORDS), keyword_search(_VOUCHER, _VOUCHER_CODE, _voucher), back=34, ahead=24),
    Rule("one-time-code", (*keywords.triggers([word for word in _ONCE_WORDS if word not in ("tan", "otp", "login code")]), rb"login[ -]code", rb"[^a-z]tan[^a-z]", rb"[^a-z]otp[^a-z]"), keyword_search(_ONCE, _ONCE_CODE, _once), back=34, ahead=24),
    Rule("one-time-code", (rb"code [a-z]", "(?:код|código) ".encode(), rb"kod [a-z]", rb"codice "), pattern_search(_SENT, _sent), back=10, ahead=90),
)  # fmt: skip
