"""Names of secrets, told by their words, whether in snake, camel or kebab case."""

from __future__ import annotations

import re
from functools import lru_cache


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
# Each of them makes a name secret, wherever in it it stands.
_SECRET_WORDS = _set("""
    password passwords passwd passwds passwort passwords pwd passphrase passphrases passcode passcodes passkey passkeys
    pincode secret secrets credential credentials cred creds apikey apikeys authtoken accesstoken privatekey secretkey
    accesskey htpasswd pgpass authorization jwt bearer otp totp hotp mfa dsn psk csrf xsrf cvv cvc
    connstr sessionid sessid phpsessid jsessionid kennwort contrasena senha wachtwoord motdepasse mnemonic
""")
# Ends of words that are written together: PGPASSWORD, MYSQLPASSWD, csrftoken.
_ENDS = (
    *("password", "passwords", "passwd", "passphrase", "apikey", "authtoken", "accesstoken", "apitoken", "csrftoken"),
    *("secretkey", "privatekey", "accesskey", "sessiontoken"),
)
_FOREIGN = ("contraseña", "пароль", "密码", "密碼", "パスワード", "비밀번호", "hasło", "lösenord")
# Pairs of neighbouring words.
_SECRET_PAIRS = frozenset(
    f"{first} {second}"
    for second, firsts in {
        "key": """api access private secret signing encryption decryption session account auth master license deploy ssh storage
            subscription service shared app client consumer tls ssl hmac fernet aes cipher crypto symmetric rsa gpg pgp jwt root
            functions openai anthropic hf huggingface wandb aws azure google gcp gemini groq cohere mistral stripe twilio sendgrid
            mailgun slack github gitlab comet neptune kaggle datadog telegram discord ai""",
        "token": "id sas bot",
        "url": "webhook database db",
        "string": "connection conn",
        "str": "connection conn",
        "id": "session",
        "phrase": "pass seed recovery",
        "code": "pin recovery backup access invite",
        "codes": "recovery backup",
        "pin": "user card sim login door bank",
        "auth": "basic http proxy redis rediscli",
        "jar": "cookie",
    }.items()
    for first in _set(firsts)
)
# Words before "pass" or "pw" that make it a password: "pass" alone is more often a passing one.
_WHOSE = _set(
    "db database user username admin root my mysql pg postgres redis smtp imap mail email ssh ftp proxy http login"
)
_TOGETHER = frozenset(f"{whose}{short}" for whose in (*_WHOSE, "key", "store", "auth") for short in ("pass", "pw"))
_WHOLE = frozenset((("auth",), ("pin",), ("pw",), ("sas",), ("x", "auth"), ("auth", "header"), ("auth", "data")))
_TOKEN = frozenset(("token", "tokens"))
_GRANTS = _set("auth api access secret refresh bearer session oauth github gitlab hf csrf")
# Words beside "token" that make it a piece of text instead of a key.
_COUNTED = _set("""
    num n max min count counts size length len total per id ids type types vocab special pad padding eos bos unk mask sep cls
    start end stop index embedding embeddings limit budget rate usage prompt completion input output context new generated text
    word sub subword next last first batch used cached probs logits loss mean kind position positions dim classifier
    merge merges pattern regex split added chat image audio video patch class time step unexpected
    illegal current previous
""")
# Words after a secret word that make it a fact about the secret instead of the secret.
_ABOUT = _set("""
    length len count size policy field fields strength min max attempts expiry expires age required enabled hint file path name
    names tested type reset prompt score dir location url uri rotation ttl timeout version format method mode scheme manager
    provider store jar algorithm domain protected
""")


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret: ``api_token`` is one, ``num_tokens`` is none."""
    if len(name) > 300 or name in ("PWD", "OLDPWD"):  # the shell's working folders
        return False
    if not name.isascii() and any(word in name.lower() for word in _FOREIGN):
        return True
    words = words_of(name)
    if words in _WHOLE:
        return True
    for index, word in enumerate(words):
        after = words[index + 1 :]
        before = words[index - 1] if index else ""
        known = word in _SECRET_WORDS or word in _TOGETHER or word.endswith(_ENDS)
        known = known or (word in ("pass", "pw") and before in _WHOSE) or word.startswith("csrf")
        known = known or (word == "pat" and not after)
        known = known or (word in ("cookie", "cookies") and (not after or after[0] in ("header", "value")))
        if known and not (after and after[0] in _ABOUT):
            return True
        if after and f"{word} {after[0]}" in _SECRET_PAIRS and not (len(after) > 1 and after[1] in _ABOUT):
            return True
        if after and after[0] == "keys" and f"{word} key" in _SECRET_PAIRS and len(after) == 1:
            return True
        if word in _TOKEN and not (set(words) & _COUNTED) and not (after and after[0] in _ABOUT):
            return word == "token" or bool(_GRANTS.intersection(words[:index]))
    return len(words) > 1 and "".join(words) in _SECRET_WORDS


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """Give the words of a name, in lower case."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def is_piece_of_text(word: str) -> bool:
    """Tell whether a word before "token" makes it one of a text: the *next* token."""
    return word.lower() in _COUNTED


def is_weak(name: str) -> bool:
    """Tell whether a secret name is also one of harmless things: tokens of text, pins of a chip."""
    words = words_of(name)
    return bool(words) and words[-1] in ("token", "pin", "secret", "auth", "cookie", "cookies", "pat", "pw")
