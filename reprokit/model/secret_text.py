"""Secrets in free text that are told by the name before them: ``password=x``, ``'api_key': 'x'``, ``--token x``.

Words that names of secrets hold are searched for; what stands around such a word is looked at only where it belongs to the
name of a secret, so all of it stays linear.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from reprokit.model import secret_names, secret_values

if TYPE_CHECKING:
    from collections.abc import Callable

    Span = tuple[int, int]  # of a value in a text

_HINTS = (
    r"pass|pwd|pw(?![a-z])|secret|cred|key(?!board|word|point|frame)|token(?!iz|is)|auth(?!or(?!iz))|cookie|jwt|bearer|otp|mfa|"
    r"pat(?![a-z])|sess(?:ion)?.?id|(?:db|database|webhook).?url|conn(?:ection)?.?str|(?:pin|recovery|backup|access|invite).?code|"
    r"dsn|sas(?![a-z])|pin(?![a-z])|psk|csrf|xsrf|cv[vc](?![a-z])|kennwort|contrase|senha|wachtwoord|motdepasse|mnemonic|phrase|"
    r"identified|пароль|密码|密碼|パスワード|비밀번호|hasło|lösenord"
)
_SECOND = frozenset(("key", "keys", "string", "url", "id", "code", "phrase"))
_OTHERS = frozenset(("PWD", "IDENTIFIED", "identified"))  # of ODBC where it isn't the shell's; of SQL
_ESCAPE = re.compile(r"[abfnrtv]|[0-9;]*m")
_COLOUR = r"(?:\x1b\[[0-9;]*m)*"
_RIGHT = re.compile(r"[\w.\-]{0,80}")
_BEFORE = re.compile(r"([A-Za-z]{2,20}) \Z")
_SEPARATOR = re.compile(
    rf"{_COLOUR}(?P<close>\\*['\"`]|%2[27])?\]?[^\S\n]{{0,20}}"
    r"(?::[^\S\n]*(?:str|bytes|int|float|SecretStr|(?:Optional\[)?str\]?)(?:[^\S\n]*\|[^\S\n]*None)?[^\S\n]*=(?!=)"
    r"|(?P<pair>,\s*\\*['\"](?:value|content|val|data)\\*['\"]\s*:)"
    r"|=>|->|:=|!=|={1,3}|:(?!:)|%3[AaDd])" + _COLOUR + r"[^\S\n]*" + _COLOUR
)
_TUPLE = re.compile(r"(?P<close>\\*['\"])\s*,\s*(?=[rbuf]{0,2}\\*['\"]|[0-9(\[{])")
_TAG = re.compile(r"(?:[^\S\n][^<>\n]{0,200})?>(?=[^<\s])")
_BETWEEN = re.compile(r"[\s=:,|>%]")  # stands between name and value
_BLANK = re.compile(r"[^\S\n]+")
_SAID = re.compile(
    r"(?i)[^\S\n]{1,4}(?:(?:is|was|of|to|with \w{1,40} by|by|\(?default(?:s to|[:=])?)[^\S\n]{1,4})?(?:(?P<quoted>(?=\\*['\"]))|(?=[^\s'\"]*[0-9])(?=[^\s'\"]*[A-Za-z])(?=[^\s'\"]{6}))"
)
_ROW = re.compile(
    r"[^\S\n]*[|│┃][^\S\n]*(?P<value>[^|│┃\n]+?)[^\S\n]*(?:[|│┃][^\S\n]*)?(?=\n|\Z)"
)  # a table of two columns
_LOGIN = re.compile(r"(?i)\b(?:machine|login)\s+\S{1,80}(?:\s+account\s+\S{1,80})?\s+\Z")  # netrc
_USER = re.compile(r"(?i)\b(?:user|username|login|uid|usr)\b")
_NAMED = re.compile(r"(?i)\\*['\"](?:name|key|header|field|variable|env|id)\\*['\"]\s*:\s*\\*['\"]\Z")


@lru_cache(maxsize=64)
def hints(extra: tuple[str, ...] = ()) -> re.Pattern[str]:
    """Give the pattern of what names of secrets hold, in lower case."""
    return re.compile("|".join([_HINTS, *(re.escape(name.lower()) for name in extra if name)]))


def _lower(text: str) -> str:
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def names_in(text: str, is_secret_name: Callable[[str], bool], hint: re.Pattern[str]) -> list[tuple[int, int, str]]:
    """Find the names of secrets in a text: where each begins and ends, and the name."""
    names: list[tuple[int, int, str]] = []
    if not _BETWEEN.search(text):
        return names
    done = 0
    for found in hint.finditer(_lower(text)):
        start = found.start()
        if start < done:
            continue
        while start > done and found.start() - start < 80 and (text[start - 1].isalnum() or text[start - 1] in "_.-+"):
            start -= 1
        tail = _RIGHT.match(text, found.end())
        done = tail.end() if tail else found.end()
        end = done
        while end > start and text[end - 1] in ".-":
            end -= 1
        escape = _ESCAPE.match(text, start, found.start()) if start and text[start - 1] in "\\[" else None
        if escape and is_secret_name(text[escape.end() : end]):  # "\n" of a repr, a colour of a terminal
            start = escape.end()
        name = text[start:end]
        if name in _OTHERS and (name != "PWD" or text[max(0, start - 2) : start].rstrip().endswith(";")):
            names.append((start, end, "password"))
        elif is_secret_name(name.lstrip("-")):
            names.append((start, end, name))
        elif name.lower() in _SECOND:  # "API key: x"
            before = _BEFORE.search(text, max(0, start - 24), start)
            if before and is_secret_name(f"{before[1]}_{name}"):
                names.append((before.start(), end, f"{before[1]}_{name}"))
        elif name.lower() in ("pass", "pw") and _USER.search(text, max(0, start - 200), start):
            names.append((start, end, "password"))
    return names


def replace(
    text: str, by: str, is_secret_name: Callable[[str], bool], hint: re.Pattern[str]
) -> tuple[str, int, list[tuple[str, str]]]:
    """Replace the values that stand after names of secrets.

    Returns
    -------
    tuple
        The text, how many values there were, and each of them with its name.
    """
    parts: list[str] = []
    taken: list[tuple[str, str]] = []
    done = 0
    for start, end, name in names_in(text, is_secret_name, hint):
        if end < done:
            continue
        span = _value_after(text, start, end, name)
        if span is None or span[0] < done or span[1] <= span[0]:
            continue
        value = text[span[0] : span[1]]
        if value.startswith(by) or secret_values.is_harmless(value, name):
            continue
        if name.lower() == "token" and not secret_values.is_strong(value):
            before = _BEFORE.search(text, max(0, start - 24), start)
            if before and secret_names.is_piece_of_text(before[1]):
                continue
        taken.append((name, value))
        parts += (text[done : span[0]], by)
        done = span[1]
    if not taken:
        return text, 0, taken
    return "".join(parts) + text[done:], len(taken), taken


def _value_after(text: str, start: int, end: int, name: str) -> Span | None:
    """Find the value that belongs to a name."""
    if "<" in text[max(0, start - 12) : start] and text[start - 1] in "<:":
        tag = _TAG.match(text, end)
        if tag:
            stop = text.find("<", tag.end())
            return tag.end(), stop if stop >= 0 else len(text)
    found = _SEPARATOR.match(text, end)
    if found:
        if found["pair"] and not _NAMED.search(text, max(0, start - 40), start):
            return None
        opened = start - len(found["close"]) if found["close"] and not found["close"].startswith("%") else start
        return secret_values.after(text, opened, found.end(), name, found.group().strip())
    quoted = start and text[start - 1] in "'\"`"
    if quoted:
        pair = _TUPLE.match(text, end)
        if pair is None:
            return None
        before = text[max(0, start - len(pair["close"]) - 2) : start - len(pair["close"])]
        if before[-1:] in ("(", "[") or before in ("(b", "[b") or name.startswith("-"):
            span = secret_values.literal(text, pair.end())
            closes = text[span[1] : span[1] + 6].lstrip("\\'\" \n")[:1] if span else ""
            return span if name.startswith("-") or closes in (")", "]", "") else None
        return None
    return _value_said(text, start, end, name)


def _value_said(text: str, start: int, end: int, name: str) -> Span | None:
    """Find a value that only a blank separates from its name."""
    prefix = text[max(text.rfind("\n", max(0, start - 200), start) + 1, start - 200, 0) : start]
    row = _ROW.match(text, end) if not prefix.strip(" \t|│┃") and name.lower() != "token" else None
    if row:
        return row.span("value")
    blank = _BLANK.match(text, end)
    if blank is None or blank.end() >= len(text) or text[blank.end()] == "\n":
        return None
    if name.startswith("-"):
        if start and text[start - 1] not in " \t\n'\"`([{=,":
            return None
        if text[blank.end()] == "-":
            return None
        return secret_values.word(text, blank.end())
    plain = name.rpartition(".")[2]
    if not prefix.strip(" \t│|┃>*") and (len(blank.group()) > 1 or "\t" in blank.group()) and plain.lower() != "token":
        stop = text.find("\n", blank.end())
        return secret_values.trimmed(text, blank.end(), stop if stop >= 0 else len(text))
    if _LOGIN.search(text, max(0, start - 200), start):
        return secret_values.word(text, blank.end())
    if secret_names.is_weak(name):
        return None
    said = _SAID.match(text, end)
    if said is None:
        return None
    return (
        secret_values.quoted(text, said.end()) if said["quoted"] is not None else secret_values.word(text, said.end())
    )
