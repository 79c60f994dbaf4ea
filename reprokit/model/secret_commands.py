"""Secrets on command lines: after options that are named like one, and where well-known programs take theirs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from reprokit.model import secret_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Found = tuple[str, int, int, int]  # name, where the value begins and ends in its argument, which argument

# Programs, and their options whose value is a secret; "=" in front: only attached ("-psecret"), ":" what follows a colon,
# "!" only after "login".
_PROGRAMS: tuple[tuple[str, str], ...] = (
    (r"curl|wget|http|https|httpie|xh|aria2c", ":-u :--user :--proxy-user :-U :-a :--auth -b --cookie :--cert :-E"),
    (r"mysql\w*|mariadb\w*", "=-p"),
    (r"sshpass|mongo\w*|twine|rabbitmqadmin|beeline", "-p"),
    (r"docker|podman|buildah|skopeo|az|helm|oc", "!-p"),
    (r"redis-cli", "-a"),
    (r"ldap\w+|beeline", "-w"),
    (r"smbclient|rpcclient", "%-U %--user"),
    (r"sqlcmd|bcp|isql|unzip|zip|7z|7za", "-P"),
    (r"7z|7za|unrar|rar", "=-p"),
    (r"lftp", ",-u ,--user"),
    (r"openssl", ":-passin :-passout :-pass -k"),
    (r"ipmitool", "-P"),
)
_NAMES = "|".join(names for names, _ in _PROGRAMS)
_PROGRAM = re.compile(rf"(?:.*[/\\])?(?P<name>{_NAMES})(?:\.exe)?")
_IN_TEXT = re.compile(rf"(?<![\w.\-=])(?:{_NAMES})(?=[^\S\n])")
_LONGEST = 20_000  # characters of a line
_FLAGS = re.compile(r"-(?:[upPawkUbE]|-user|-proxy-user|-auth|-cookie|-cert)")
_PART = re.compile(r"(?:'[^'\n]*'|\"(?:[^\"\\\n]|\\.)*\"|[^\s'\"])+")
_USER_PASSWORD = re.compile(r"[\w.@+\-]{1,80}:(?![0-9]+\Z)[^/\s:][^\s]{3,}")
_BARE = re.compile(r"[\w.\-$]{1,200}")
_USERS = frozenset(("-u", "--user", "--userpass", "--basic-auth"))
_OWNERS = frozenset(("docker", "podman", "chown", "sudo", "chroot", "install", "setpriv", "runuser"))


def hidden(argv: Sequence[str], is_secret_name: Callable[[str], bool]) -> list[Found]:
    """Find the secrets of a command line."""
    line = _Line(argv, is_secret_name)
    for index, arg in enumerate(argv):
        line.take(index, arg)
    return line.found


class _Line:
    """Reads a command line from left to right."""

    def __init__(self, argv: Sequence[str], is_secret_name: Callable[[str], bool]) -> None:
        self.found: list[Found] = []
        self._argv = argv
        self._logs_in = "login" in argv
        self._is_secret_name = is_secret_name
        self._options: dict[str, str] = {}  # of the last well-known program
        self._owner = False  # "-u" names who owns or runs something
        self._expects = ""  # the secret option whose value comes next
        self._several = ""  # the one of which more values may come
        self._how = ""  # the form of the value that comes next

    def take(self, index: int, arg: str) -> None:
        expects, how, several = self._expects, self._how, self._several
        self._expects = self._how = self._several = ""
        if (expects or several) and not arg.startswith("-"):
            self._several = several
            self._add(expects or several, 0, arg, index)
        elif how:
            self._add_part("password", 0, arg, how, index)
        elif arg.startswith("-") or "=" in arg:
            self._option(index, arg)
        elif len(arg) < 200:
            self._owner = self._owner or arg.rpartition("/")[2] in _OWNERS
            program = _PROGRAM.fullmatch(arg)
            if program:
                self._options = _options(program["name"], self._logs_in)

    def _option(self, index: int, arg: str) -> None:
        name, equals, _ = arg.partition("=")
        bare = name.lstrip("-+")
        if bare and (equals or arg.startswith("-")) and _BARE.fullmatch(bare) and self._is_secret_name(bare):
            if equals:
                self._add(bare, len(name) + 1, arg, index)
            else:
                self._expects = bare
                self._several = bare if bare.endswith("s") else ""
            return
        how = self._options.get(name, "")
        if how and how != "=":
            if equals:
                self._add_part("password", len(name) + 1, arg, how, index)
            else:
                self._how = how
        elif len(arg) > 2 and arg[1] != "-" and self._options.get(arg[:2]):
            self._add_part("password", 2, arg, self._options[arg[:2]], index)
        elif arg in _USERS and not self._owner and index + 1 < len(self._argv):
            self._how = ":" if _USER_PASSWORD.fullmatch(self._argv[index + 1]) else ""

    def _add(self, name: str, start: int, arg: str, index: int) -> None:
        if start < len(arg) and not secret_values.is_harmless(arg[start:], name):
            self.found.append((name, start, len(arg), index))

    def _add_part(self, name: str, start: int, arg: str, how: str, index: int) -> None:
        """Add what of an option's value is the secret."""
        if how in " =":
            self._add(name, start, arg, index)
        else:
            mark = arg.find(how, start)
            if mark >= 0:
                self._add(name, mark + 1, arg, index)


@lru_cache(maxsize=256)
def _options(program: str, logs_in: bool) -> dict[str, str]:
    made: dict[str, str] = {}
    for names, options in _PROGRAMS:
        if re.fullmatch(names, program):
            for option in options.split():
                if option[0] != "!" or logs_in:
                    made[option.lstrip("=:%,!")] = option[0] if option[0] in "=:%," else " "
    return made


def replace(text: str, by: str) -> tuple[str, int]:
    """Take the secrets out of command lines of well-known programs that stand in free text."""
    if not _FLAGS.search(text):
        return text, 0
    pieces: list[str] = []
    done = 0
    for line in _IN_TEXT.finditer(text):
        if line.start() < done:
            continue  # a later program of the same line
        limit = line.end() + _LONGEST
        stop = text.find("\n", line.end(), limit)
        parts = list(_PART.finditer(text, line.start(), stop if stop >= 0 else limit))
        for _, start, end, index in hidden([part.group().strip("'\"") for part in parts], _no_name):
            first = parts[index].start() + (parts[index].group()[0] in "'\"")
            begin, stop = first + start, first + end
            if text[begin] in "'\"" and text[stop - 1] == text[begin]:
                begin, stop = begin + 1, stop - 1
            if text[begin:stop] != by:
                pieces += (text[done:begin], by)
                done = stop
        end = parts[-1].end()
        pieces.append(text[done:end])
        done = end
    return "".join(pieces) + text[done:], pieces.count(by)


def _no_name(name: str) -> bool:
    return False
