# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Words that announce a secret, in the languages users write in.

Each family is a list of plain words and phrases. From it come the pattern that reads a text and the byte
triggers that make the scan stop there. Letters outside ASCII are listed in both cases for the triggers,
because the scan knows letter case for ASCII only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "API_KEY",
    "API_KEY_WORDS",
    "PASSWORD",
    "PASSWORD_WORDS",
    "PRIVATE_KEY",
    "PRIVATE_KEY_WORDS",
    "RECOVERY",
    "RECOVERY_WORDS",
    "SEED",
    "SEED_WORDS",
    "SESSION",
    "SESSION_WORDS",
    "TOTP",
    "TOTP_WORDS",
    "pattern",
    "spellings",
    "triggers",
]

PASSWORD_WORDS = (
    "password", "passwd", "passwrd", "pass word", "passphrase", "pass phrase", "passcode", "pass code", "pwd", "psw", "pswd", "pw", "puk", "unlock code", "security code", "entsperrcode", "код разблокировки", "pass", "pin", "pin码", "pin-код",
    "pin code", "pincode", "pin-code", "пін", "пін-код", "secret word", "codeword", "code word", "секретное слово", "кодовое слово", "geheimwort", "codewort", "palabra secreta", "mot secret", "master key", "passwort", "kennwort", "passwörter", "losung", "zugangscode", "contraseña", "contrasena", "clave", "palabra clave",
    "frase de contraseña", "пароль", "пароля", "паролем", "пароли", "пассворд", "пасс", "парольная фраза", "код доступа", "пин", "пин-код", "гасло",
    "密码", "密碼", "口令", "通行码", "暗号", "登录密码", "支付密码", "mot de passe", "mdp", "phrase de passe", "senha", "palavra-passe", "parola", "parola d'ordine",
    "wachtwoord", "hasło", "haslo", "heslo", "lösenord", "losenord", "adgangskode", "passord", "salasana", "jelszó", "şifre", "sifre", "şifrem", "sifrem", "şifresi", "parolam", "parolası", "parolă", "jelszavam", "salasanani", "گذرواژه", "پسورد", "رمز", "الرقم السري", "كلمه السر", "пароля", "паролю",
    "パスワード", "パスフレーズ", "合言葉", "비밀번호", "암호", "패스워드", "mật khẩu", "kata sandi", "รหัสผ่าน", "पासवर्ड", "كلمة المرور", "كلمة السر",
    "סיסמה", "סיסמא", "رمز عبور", "κωδικός", "парола", "лозинка",
    "wifi key", "wi-fi key", "wlan key", "wlan-key", "network key", "network security key", "wpa key", "wpa2 key", "pre-shared key", "preshared key", "pre-shared-key", "psk", "wlan-schlüssel", "wlan schlüssel",
    "netzwerkschlüssel", "clé wifi", "clé wi-fi", "clé du wifi", "clave wifi", "ключ wifi", "ключ wi-fi", "ключ от wi-fi", "chave wifi", "chave do wifi",
)  # fmt: skip
API_KEY_WORDS = (
    "api key", "api-key", "api_key", "apikey", "api token", "api_token", "api-token", "api secret", "api_secret", "secret key", "secret_key", "secretkey",
    "secret-key", "access key", "access_key", "accesskey", "access-key", "access token", "access_token", "accesstoken", "auth token", "auth_token",
    "authtoken", "refresh token", "refresh_token", "refreshtoken", "id_token", "client secret", "client_secret", "clientsecret", "client-secret",
    "private token", "private_token", "private-token", "personal access token", "signing key", "signing_key", "encryption key", "encryption_key",
    "master_key", "account key", "accountkey", "account_key", "sharedaccesskey", "shared access key", "storagekey", "app key", "app_key", "app secret", "app_secret", "webhook secret", "webhook_secret", "token", "secret", "x-api-key", "x-auth-token",
    "license key", "license_key", "licence key", "api-schlüssel", "api schlüssel", "zugriffstoken", "geheimer schlüssel", "lizenzschlüssel",
    "clave api", "clave de api", "clave secreta", "llave api", "ficha de acceso", "clave de acceso", "ключ api", "api-ключ", "api ключ", "ключ апи", "апи ключ", "апи-ключ",
    "секретный ключ", "ключ доступа", "токен", "токен доступа", "секрет", "api密钥", "api密鑰", "api 密钥", "密钥", "密鑰", "令牌", "访问令牌", "訪問令牌", "秘钥",
    "clé api", "clé d'api", "clé secrète", "jeton", "chave api", "chave de api", "chave secreta", "chiave api", "chiave segreta", "klucz api", "api-nøgle",
    "api-sleutel", "api anahtarı", "api anahtarım", "کلید api", "توکن", "توكن", "رمز api", "مفتاح api", "ключ api", "api-ключа", "токена", "токену", "apiキー", "トークン", "アクセストークン", "api 키", "api키", "토큰", "geheimnis", "secreto", "storage_key", "service_key",
    "_key", "-key", "_token", "-token", "_secret", "-secret",
)  # fmt: skip
SESSION_WORDS = (
    "session id", "session-id", "session_id", "sessionid", "session key", "session token", "session_token", "sessiontoken", "session", "sessid", "phpsessid",
    "jsessionid", "connect.sid", "asp.net_sessionid", "csrftoken", "csrf_token", "csrf-token", "xsrf-token", "x-csrf-token", "sid", "sitzungs-id", "sitzungs id",
    "sitzungskennung", "sitzungsschlüssel", "sitzung", "session-kennung", "id de sesión", "id de sesion", "identificador de sesión", "sesión", "clave de sesión",
    "token de sesión", "идентификатор сессии", "id сессии", "ключ сессии", "токен сессии", "сессия", "ид сессии", "идентификатор сеанса", "id сеанса", "сеанс",
    "会话id", "会话 id", "会话标识", "会话", "會話id", "會話", "identifiant de session", "id de session", "jeton de session", "id de sessão", "id sessione", "id sesji",
    "sessie-id", "oturum kimliği", "セッションid", "세션 id", "세션id",
)  # fmt: skip
TOTP_WORDS = (
    "totp", "otp", "2fa", "mfa", "two-factor", "two factor", "authenticator", "hotp", "google authenticator", "zwei-faktor", "2-faktor", "dos factores", "двухфакторн",
    "2фа", "аутентификатор", "双重验证", "两步验证", "雙重驗證", "二次验证", "验证器", "deux facteurs", "dois fatores", "due fattori", "二段階認証", "2단계 인증", "setup key",
    "double authentification", "autenticador", "autenticação em duas etapas", "verificação em duas etapas", "verificación en dos pasos", "аутентификатора", "двухэтапн",
    "authy", "zwei-schritt", "bestätigung in zwei schritten", "verificatore", "uwierzytelnianie dwuskładnikowe",
)  # fmt: skip
RECOVERY_WORDS = (
    "recovery code", "recovery codes", "recovery-codes", "recovery_codes", "recovery key", "backup code", "backup codes", "backup-code", "backup-codes", "backup_codes",
    "scratch code", "scratch codes", "emergency code", "emergency codes", "emergency kit", "rescue code", "restore code", "one-time codes", "einmalcodes", "one-time backup codes",
    "wiederherstellungscode", "wiederherstellungscodes", "wiederherstellungsschlüssel", "notfallcode", "notfallcodes", "ersatzcodes", "reservecodes", "sicherungscodes",
    "código de respaldo", "códigos de respaldo", "código de recuperación", "códigos de recuperación", "codigos de respaldo", "codigos de recuperacion", "códigos de emergencia",
    "clave de recuperación", "резервный код", "резервные коды", "резервных кодов", "код восстановления", "коды восстановления", "ключ восстановления", "запасные коды",
    "аварийные коды", "бэкап-коды", "бэкап коды", "备用码", "备用验证码", "备份码", "备用代码", "恢复码", "恢复代码", "恢复密钥", "備用碼", "復原碼", "应急码", "救援码", "codes de secours", "code de secours",
    "codes de récupération", "code de récupération", "códigos de backup", "códigos de recuperação", "código de recuperação", "código de backup", "codice di backup", "kod zapasowy", "codici di backup", "codici di recupero", "codice di recupero", "kody zapasowe",
    "kody odzyskiwania", "herstelcodes", "back-upcodes", "yedek kodlar", "kurtarma kodları", "リカバリーコード", "バックアップコード", "복구 코드", "백업 코드", "резервні коди",
)  # fmt: skip
SEED_WORDS = (
    "slip39", "slip-39", "shamir", "seed", "seedphrase", "mnemonic", "mnemonik", "mnémonique", "mnemotécnic", "mnemônic", "recovery phrase", "recovery words", "secret phrase", "backup phrase", "wallet phrase",
    "secret recovery", "bip39", "bip-39", "12 words", "24 words", "twelve words", "passphrase words", "wiederherstellungsphrase", "wiederherstellungswörter", "wörter", "12 wörter",
    "frase semilla", "semilla", "frase de recuperación", "palabras", "frase secreta", "сид", "сид-фраза", "сид фраза", "сидка", "мнемоник", "мнемоническ", "фраза восстановления",
    "seed-фраза", "кодовая фраза", "секретная фраза", "слов", "助记词", "助記詞", "种子", "種子", "恢复短语", "恢复词", "恢復短語", "备份词", "注记词", "私密短语", "phrase de récupération",
    "phrase secrète", "phrase de graine", "frase de recuperação", "frase-semente", "frase semente", "palavras", "frase di recupero", "frase seme", "parole", "fraza", "zaczątkow",
    "herstelzin", "kurtarma kelimeleri", "tohum", "ニーモニック", "リカバリーフレーズ", "シードフレーズ", "復元フレーズ", "니모닉", "복구 구문", "시드 구문", "시드", "mots", "phrase",
    "frase", "фраз", "obnovovací fráze", "semínko",
)  # fmt: skip
PRIVATE_KEY_WORDS = (
    "private key", "private-key", "private_key", "privatekey", "priv key", "privkey", "priv_key", "secret key", "secret_key", "spend key", "view key", "spendkey", "viewkey",
    "signing key", "seed hex", "wallet key", "key hex", "raw key", "privater schlüssel", "private schlüssel", "privaten schlüssel", "privatschlüssel", "geheimer schlüssel",
    "clave privada", "llave privada", "clave secreta", "приватный ключ", "приватного ключа", "закрытый ключ", "секретный ключ", "приват ключ", "приватник", "私钥", "私鑰", "密钥", "密鑰",
    "clé privée", "cle privee", "clé secrète", "chave privada", "chiave privata", "klucz prywatny", "privésleutel", "prive sleutel", "özel anahtar", "秘密鍵", "プライベートキー",
    "개인키", "개인 키", "приватний ключ", "soukromý klíč", "privat nyckel", "master secret", "entropy", "mini private key", "المفتاح الخاص", "مفتاح خاص", "مفتاحي الخاص", "کلید خصوصی", "kluczem prywatnym", "khóa riêng", "özel anahtarım",
)  # fmt: skip


def pattern(words: Sequence[str]) -> str:
    """An alternation, longest first; words in scripts with word gaps must begin and end at one."""
    groups: dict[str, list[str]] = {}
    for word in sorted(set(words), key=len, reverse=True):
        body = re.escape(word).replace(r"\ ", r"[\s_-]{1,2}")
        first, last = word[0], word[-1]
        cut = 2 if body[0] == "\\" else 1
        head = r"(?<![^\W\d_]\w)" if first.isalpha() and first < "\u2e80" and len(word) <= 5 else ""
        tail = r"(?![^\W\d_])" if last < "\u2e80" and last.isalpha() and len(word) <= 6 else ""
        groups.setdefault(body[:cut], []).append(head + body[cut:] + tail)
    return "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in groups.items())


def spellings(word: str) -> set[str]:
    """A word in the letter cases people type; the scan itself knows letter case for ASCII only."""
    if word.isascii():
        return {word}
    lower, upper = word.lower(), word.upper()
    return {lower, upper, upper[0] + lower[1:], lower[0] + upper[1:]}


_LONG = 5
_GAPS = (" ", "-", "_", "\n", "\r\n", "  ", "\n ", " -", "- ", "--", "__")


def _telling(word: str) -> set[str]:
    """What of a phrase is looked for: its longest word, or all of it with usual gaps if that is short."""
    pieces = word.split(" ")
    longest = max(pieces, key=len)
    if len(pieces) == 1 or len(longest) >= _LONG:
        return {longest}
    return {gap.join(pieces) for gap in _GAPS}


def triggers(words: Sequence[str]) -> tuple[bytes, ...]:
    """Byte triggers for a family: words that contain another of the family need none of their own."""
    plain = sorted({piece for word in words for piece in _telling(word)}, key=len)
    needed = [word for i, word in enumerate(plain) if not any(short in word for short in plain[:i])]
    forms = {form for word in needed for form in spellings(word)}
    return tuple(re.escape(form.encode()) for form in sorted(forms))


PASSWORD = pattern(PASSWORD_WORDS)
API_KEY = pattern(API_KEY_WORDS)
SESSION = pattern(SESSION_WORDS)
TOTP = pattern(TOTP_WORDS)
RECOVERY = pattern(RECOVERY_WORDS)
SEED = pattern(SEED_WORDS)
PRIVATE_KEY = pattern(PRIVATE_KEY_WORDS)
