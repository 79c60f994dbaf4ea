"""Names of secrets, told by their words, whether in snake, camel or kebab case."""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_SECRET_WORDS = frozenset(
    [
        "password",
        "passwd",
        "passwort",
        "pwd",
        "passphrase",
        "passcode",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "cred",
        "creds",
        "apikey",
        "authtoken",
        "accesstoken",
        "privatekey",
        "secretkey",
        "accesskey",
        "pat",
        "htpasswd",
        "authorization",
        "cookie",
        "jwt",
        "bearer",
        "otp",
        "mfa",
    ]
)
_SECRET_PAIRS = frozenset(
    [
        "api key",
        "access key",
        "private key",
        "secret key",
        "signing key",
        "encryption key",
        "session key",
        "account key",
        "auth key",
        "master key",
        "license key",
        "deploy key",
        "ssh key",
        "storage key",
        "subscription key",
        "webhook url",
        "connection string",
        "client secret",
        "session id",
        "session cookie",
        "refresh token",
        "database url",
        "db url",
        "service key",
        "shared key",
        "app key",
    ]
)
_TOKEN = frozenset(("token", "tokens"))
# Words beside "token" that make it a piece of text instead of a key.
_COUNTED = frozenset(
    [
        "num",
        "n",
        "max",
        "min",
        "count",
        "counts",
        "size",
        "length",
        "len",
        "total",
        "per",
        "id",
        "ids",
        "type",
        "types",
        "vocab",
        "special",
        "pad",
        "padding",
        "eos",
        "bos",
        "unk",
        "mask",
        "sep",
        "cls",
        "start",
        "end",
        "stop",
        "index",
        "embedding",
        "embeddings",
        "limit",
        "budget",
        "rate",
        "usage",
        "prompt",
        "completion",
        "input",
        "output",
        "context",
        "new",
        "generated",
        "text",
        "word",
        "sub",
        "subword",
        "next",
        "last",
        "first",
        "special",
        "batch",
        "used",
        "cached",
        "tokens",
        "probs",
        "logits",
        "loss",
        "mean",
        "kind",
        "position",
        "positions",
        "dim",
        "classifier",
        "merge",
        "merges",
        "pattern",
        "regex",
        "split",
        "added",
        "chat",
        "image",
        "audio",
        "video",
        "patch",
        "class",
        "time",
        "step",
    ]
)
# Words after a secret word that make it a fact about the secret instead of the secret.
_ABOUT = frozenset(
    [
        "length",
        "len",
        "count",
        "size",
        "policy",
        "field",
        "fields",
        "strength",
        "min",
        "max",
        "attempts",
        "expiry",
        "expires",
        "age",
        "required",
        "enabled",
        "hint",
        "file",
        "path",
        "name",
        "names",
        "tested",
        "type",
        "reset",
        "prompt",
        "score",
        "dir",
        "location",
        "url",
        "uri",
        "rotation",
        "ttl",
        "timeout",
        "version",
        "format",
    ]
)


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret: ``api_token`` is one, ``num_tokens`` is none."""
    if len(name) > 200 or name in ("PWD", "OLDPWD"):  # the shell's working folders
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    for index, word in enumerate(words):
        after = words[index + 1 :]
        pair = f"{word} {after[0]}" if after else ""
        if word in _SECRET_WORDS and not (after and after[0] in _ABOUT):
            return True
        if pair in _SECRET_PAIRS and not (len(after) > 1 and after[1] in _ABOUT):
            return True
        if word in _TOKEN and not (set(words) & _COUNTED) and not (after and after[0] in _ABOUT):
            return word == "token" or (
                len(words) > 1 and words[0] in ("auth", "api", "access", "secret", "refresh", "bearer")
            )
    return words == ["auth"] or "".join(words) in _SECRET_WORDS
