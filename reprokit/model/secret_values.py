"""How far a secret value reaches that stands in free text after its name: a quoted text, brackets, a word, or a line."""

from __future__ import annotations

import re

Span = tuple[int, int]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LONGEST = 20_000  # characters
_QUOTE = re.compile(r"[rbufRBUF]{0,2}(?P<slashes>\\*)(?P<mark>'''|\"\"\"|['\"`])")
_CALL = re.compile(r"[A-Za-z_][\w.]{0,60}(?=\()")
_WORD = re.compile(r"\S+")
# Where the next pair of name and value begins.
_NEXT = re.compile(
    r"[,;&|]?[^\S\n]+(?:--?)?[A-Za-z_][\w.\-]*['\"]?[^\S\n]?(?:=|:(?=[\s'\"]))|[^\S\n]--?[A-Za-z]|[,;&](?=[\w.\-]+=)"
)
_NEXT_FIELD = re.compile(r",\s*(?:['\"]?[\w.\-]+['\"]?\s*[=:]|\.\.\.|$)")
_HARMLESS = _set("""
    none null nil true false undefined unset required optional str int bytes bytearray string bool boolean float any object dict list
    tuple secretstr basic bearer digest yes no ok not missing invalid wrong expired incorrect empty redacted denied granted failed hidden is nan
""")
_NO_VALUE = _set("not missing invalid wrong expired incorrect empty is required unset")  # begin a remark
_PLACEHOLDER = re.compile(
    r"\*+|[xX]{3,}|\.{2,}|…|\$[A-Z_][A-Z0-9_]*|\$\{[^}]*\}|\{\{.*\}\}|%[a-z]|\{\}|%\(\w+\)s|\[\]|\(\)|\{\}|<[A-Za-z][\w .'\-]*>|SecretStr\('\*+'\)|['\"]{0,2}"
)
_NUMBER = re.compile(r"[+\-]?[0-9]{1,3}(?:[.,/][0-9]+)*%?|[+\-]?[0-9]*\.[0-9]+(?:[eE][+\-]?[0-9]+)?|[0-9]+/[0-9]+")
_CODE = re.compile(r"[a-z_][\w.]*\([\w.,\s]*\)?")  # a call in a source line, no text in it
_TYPES = re.compile(
    r"(?:str|bytes|int|float|bool|None|Any|SecretStr)(?:\s*[|,]\s*(?:str|bytes|int|float|bool|None|Any|SecretStr))*(?:\s*=.*)?"
)
_COUNT = re.compile(r"[0-9][0-9.,]*")
_OPEN, _CLOSE = "([{", ")]}"


def is_harmless(value: str, name: str) -> bool:
    """Tell whether a value found in text says nothing: a placeholder, a type, a small number."""
    bare = value.strip().rstrip(",;.)]}").strip()
    if len(bare) < 3 and not (bare.isalnum() and name.lower().endswith(("pin", "cvv", "cvc"))):
        return True
    if bare.lower() in _HARMLESS or _PLACEHOLDER.fullmatch(value.strip()) or _PLACEHOLDER.fullmatch(bare):
        return True
    words = bare.split(None, 3)
    if words[0].lower().rstrip(",") in _NO_VALUE and len(words) <= 3:
        return True
    if name.startswith("-") and bare.isupper() and bare.lower().replace("_", "-") in name.lower().replace("_", "-"):
        return True  # "--token TOKEN" of a help text
    if _NUMBER.fullmatch(bare) or bare.lower() == name.lower().rpartition(".")[2]:
        return True
    field = value.strip()[1:-1]
    if value.strip()[:1] == "{" and field.isidentifier() and field.lower() in name.lower():
        return True  # of a format
    if _CODE.fullmatch(bare) or (_TYPES.fullmatch(bare) and not bare.islower()):
        return True
    return name.lower().endswith("token") and _COUNT.fullmatch(bare) is not None and len(bare) < 8


def is_strong(word: str) -> bool:
    """Tell whether one word looks like a password of its own and not like the first word of a phrase."""
    bare = word.strip("'\",;.()[]{}")
    return (
        len(bare) >= 16
        or not bare.replace("-", "").isalpha()
        or not (bare.islower() or bare.istitle() or bare.isupper())
    )


def quoted(text: str, at: int) -> Span | None:
    """Give what stands between quotes; where they don't end (a text that was cut), the rest of the line."""
    found = _QUOTE.match(text, at)
    if found is None:
        return None
    mark, depth, start = found["mark"], len(found["slashes"]), found.end()
    end = start
    limit = min(len(text), start + _LONGEST)
    while True:
        end = text.find(mark, end, limit)
        if end < 0:
            break
        slashes = end
        while slashes > start and text[slashes - 1] == "\\":
            slashes -= 1
        # A quote inside has 2n + 1 backslashes where the opening one has n; each pair more is a backslash itself.
        if (end - slashes - depth) % (2 * (depth + 1)) == 0 and end - slashes >= depth:
            end -= depth
            break
        if end - slashes < depth:
            end = slashes
            break
        end += 1
    if len(mark) == 1:
        line = text.find("\n", start, limit)
        if line >= 0 and (end < 0 or line < end):
            end = line
    return start, end if end >= 0 else limit


def literal(text: str, at: int) -> Span | None:
    """Give a quoted text, what stands in brackets, or a word."""
    if _QUOTE.match(text, at):
        return quoted(text, at)
    if at < len(text) and text[at] in _OPEN:
        return at, _balanced(text, at)
    found = re.compile(r"[^\s,)\]}]+").match(text, at)
    return found.span() if found else None


def word(text: str, at: int) -> Span | None:
    """Give a quoted text or a word."""
    if _QUOTE.match(text, at):
        return quoted(text, at)
    found = _WORD.match(text, at)
    if found is None:
        return None
    mark = _quote_around(text, at)
    stop = text.find(mark, at, found.end()) if mark else -1
    return at, stop if stop >= 0 else found.end()


def trimmed(text: str, start: int, end: int) -> Span:
    """Leave out blanks, and the comma or semicolon that ends an item."""
    while end > start and text[end - 1] in " \t\r│|┃":
        end -= 1
    return start, end - 1 if end - start > 1 and text[end - 1] in ",;" else end


def _balanced(text: str, at: int) -> int:
    """Find the end of brackets; where they don't end, that of the line."""
    depth, limit = 0, min(len(text), at + _LONGEST)
    while at < limit:
        char = text[at]
        if char in "'\"":
            span = quoted(text, at)
            at = span[1] if span else at
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    line = text.find("\n", at)
    return line if line >= 0 else len(text)


def _quote_around(text: str, at: int) -> str:
    """Give the quote that is open at a place of a line, if any."""
    line = max(text.rfind("\n", max(0, at - 400), at) + 1, at - 400, 0)
    mark = ""
    for i in range(line, at):
        char = text[i]
        if mark:
            if char == mark:
                mark = ""
        elif char in "'\"`" and not (i > line and text[i - 1].isalnum()):
            mark = char
    return mark


def after(text: str, opened: int, at: int, name: str, separator: str) -> Span | None:
    """Give the value at `at`, whose name (with its quote) begins at `opened`.

    Unquoted, it reaches to the end of the line where the name begins one (YAML, ``.env``, a prompt), to the next field inside
    brackets, to ``&`` in a URL; else it is one word, or all words up to the next pair where the first is a plain word.
    """
    if at >= len(text) or text[at] in "\n\r":
        return None
    if text.startswith(("%22", "%27"), at):
        stop = re.compile(r"%22|%27|&|\s|$").search(text, at + 3)
        return at + 3, stop.start() if stop else len(text)
    call = _CALL.match(text, at)
    if call:
        return at, _balanced(text, call.end())
    if _QUOTE.match(text, at):
        return quoted(text, at)
    if text[at] in _OPEN and not text.startswith("{{", at):
        return at, _balanced(text, at)
    return _bare(text, opened, at, name, separator)


def _bare(text: str, opened: int, at: int, name: str, separator: str) -> Span:
    mark = _quote_around(text, opened)
    limit = _line_end(text, at, at + _LONGEST)
    line = max(text.rfind("\n", max(0, opened - 400), opened) + 1, opened - 400, 0)
    if mark:
        stop = text.find(mark, at, limit)
        limit = stop if stop >= 0 else limit
        escaped = text.find("\\n", at, limit)  # the text is quoted: this is the end of a line in it
        limit = escaped if escaped >= 0 else limit
        line = max(line, text.rfind("\\n", line, opened) + 2, text.rfind(mark, line, opened) + 1)
    prefix = text[line:opened]
    before = prefix[-1:]
    whole = name.lower().endswith(("cookie", "authorization"))
    if whole and ":" in separator:
        scheme = re.compile(r"(?i)(?:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)[^\S\n]+").match(
            text, at
        )
        return trimmed(text, scheme.end() if scheme else at, limit)
    if before in ("?", "&") or separator.startswith("%"):
        ends = re.compile(r"[&#\s'\"<>]|$").search(text, at, limit)
        return at, ends.start() if ends else limit
    if before == ";" or (separator == "=" and re.compile(r"[^;\s]*;\s?[\w ]{1,40}=").match(text, at, limit)):
        stop = text.find(";", at, limit)
        return at, stop if stop >= 0 else limit
    first = _WORD.match(text, at, limit)
    if first is None:
        return at, at
    strong = is_strong(first.group())
    start = not prefix.strip(" \t-*>#•+") or prefix.strip() in ("export", "set", "SET", "setenv", "env", "ENV", "ARG")
    if start and not (separator == "=" and strong and name.isupper()):
        limit = limit if limit < at + _LONGEST else _line_end(text, limit, len(text))
        following = None if ":" in separator else _NEXT.search(text, at, limit)
        return trimmed(text, at, following.start() if following else limit)
    if sum(map(prefix.count, _OPEN)) > sum(map(prefix.count, _CLOSE)):
        return trimmed(text, at, _field_end(text, at, limit))
    if strong:
        end = first.end()
        following = _NEXT.search(text, at, end)
        end = following.start() if following else end
        while end - at > 3 and text[end - 1] in ",;.)]}":
            end -= 1
        return at, end
    following = _NEXT.search(text, at, limit)
    return trimmed(text, at, following.start() if following else limit)


def _line_end(text: str, at: int, limit: int) -> int:
    end = text.find("\n", at, limit)
    return end if end >= 0 else min(limit, len(text))


def _field_end(text: str, at: int, limit: int) -> int:
    """Find the end of a field inside brackets."""
    following = _NEXT_FIELD.search(text, at, limit)
    limit = following.start() if following else limit
    depth = 0
    for i in range(at, limit):
        if text[i] in _OPEN:
            depth += 1
        elif text[i] in _CLOSE:
            if depth == 0:
                return i
            depth -= 1
    return limit
