"""What a walk has found so far, under which names."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import deque
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.reach import constants
from reprokit.code.reach.modules import OWN, Module, Modules, is_own, unwrapped
from reprokit.code.reach.values import ATOMS, LOCAL, Describer, is_fixed
from reprokit.model import digest

if TYPE_CHECKING:
    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.facts import Expression


_SHORT = 128  # characters; below that, the eight bytes of a length are ASCII
_SIZES = [size.to_bytes(8, "big").decode() for size in range(_SHORT)]


def of_texts(kind: str, texts: list[str]) -> str:
    """Digest texts under a kind as `reprokit.model.digest.of_parts` does, in one go."""
    texts = [kind, *texts]
    try:
        said = "".join([part for text in texts for part in (_SIZES[len(text)], text)])
    except IndexError:  # a longer one
        said = "\x80"
    if said.isascii():
        return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"
    first, *rest = (text.encode("utf-8", "surrogatepass") for text in texts)
    return digest.of_parts(first.decode(), *rest)


class Labels:
    """Names functions, classes, modules and values; what is local waits to be followed."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self.parts: dict[str, str] = {}
        self.kinds: dict[str, str] = {}  # of parts that are no functions
        self.unknown: set[str] = set()
        self.environment: set[str] = set()  # names of the variables that it reads
        self.foreign: dict[str, str | None] = {}  # modules that are not of the project, and their files
        self.functions: list[FunctionType] = []
        self.classes: list[type] = []
        self.cells: list[Any] = []
        self.mutable: list[tuple[Any, str]] = []  # values that may change in place, and what they are now
        self.unseen: dict[str, tuple[Any, str]] = {}  # constants whose state is not seen, and what is unknown for that
        self.labels: dict[int, str] = {}
        self.labelled: list[Any] = []  # keeps them, and so their ids
        self.outside: dict[int, type] = {}  # types of objects that are not local
        self.passed: dict[int, Any] = {}  # functions and classes in such objects that are not local
        self._numbers: dict[str, int] = {}
        self.taken: dict[Any, str] = {}  # labels of what has no object: constants, modules, unloaded definitions
        self._pending: deque[tuple[str, tuple[Any, ...]]] = deque()

    def later(self, step: str, args: tuple[Any, ...]) -> None:
        """Keep something for `run` to follow."""
        self._pending.append((step, args))

    def run(self) -> None:
        """Follow everything that waits to be followed."""
        while self._pending:
            step, args = self._pending.popleft()
            getattr(self, f"follow_{step}")(*args)

    def new_label(self, base: str, kind: str) -> str:
        number = self._numbers[base] = self._numbers.get(base, 0) + 1
        label = base if number == 1 else f"{base}#{number}"
        if kind != "function":
            self.kinds[label] = kind
        return label

    def link(self, value: Any) -> str | None:
        """Name a function, class or module; local ones are followed.  Instances of local classes are named by these."""
        known = self.labels.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if kind is FunctionType:
            return self.link_function(value)
        if is_own(value):
            inner = unwrapped(value)
            return OWN if inner is value else self.link(inner)
        if issubclass(kind, ModuleType):
            return self.linked(value, f"module {self.module_of(value, use=True).shown}")
        if issubclass(kind, type):
            return self.link_class(value)
        if self.is_local_class(kind):
            return self.link_class(kind)
        self.outside[id(kind)] = kind
        return None

    def link_inside(self, value: Any) -> str | None:
        """Do the same for what lies inside an object of an installed package, which holds more once it was used.

        Local code counts; of other code, no package is noted.
        """
        kind = type(value)
        if id(value) not in self.labels and (kind is FunctionType or issubclass(kind, type)):
            if kind is FunctionType:
                home, local, _ = self.modules.of_function(value)
                passed = not local and not home.is_own
            else:
                around = self.module_of_class(value)
                passed = around is None or not around.local
            if passed:
                self.passed[id(value)] = value
                return ""
        return self.link(value)

    def linked(self, value: Any, text: str) -> str:
        self.labels[id(value)] = text
        self.labelled.append(value)
        return text

    def link_function(self, value: FunctionType) -> str:
        module, local, text = self.modules.of_function(value)
        if module.is_own:
            return OWN
        if not local:
            self.note(module.name)
            return self.linked(value, f"{module.name}:{value.__code__.co_qualname}")
        return self.link_local(value, module, text)

    def link_local(self, value: FunctionType, module: Module, text: Text | None) -> str:
        label = self.new_label(f"{module.shown}:{value.__qualname__}", "function")
        self._pending.append(("function", (value, label, module, text)))
        said = self.labels[id(value)] = LOCAL + label
        self.labelled.append(value)
        return said

    def link_class(self, value: type) -> str:
        known = self.labels.get(id(value))
        if known is not None:
            return known
        module = self.module_of_class(value)
        if module is None or not module.local:
            self.note(value.__module__)
            return self.linked(value, f"{value.__module__}:{value.__qualname__}")
        label = self.linked(value, LOCAL + self.new_label(f"{module.shown}:{value.__qualname__}", "class"))
        self.later("class", (value, label[len(LOCAL) :], module))
        return label

    def module_of_class(self, value: type) -> Module | None:
        name = value.__module__
        if not isinstance(name, str):
            return None
        module = sys.modules.get(name)
        return self.modules.of_space(vars(module)) if isinstance(module, ModuleType) else None

    def is_local_class(self, kind: type) -> bool:
        module = self.module_of_class(kind)
        return module is not None and module.local

    def module_of(self, value: ModuleType, use: bool = False) -> Module:
        module = self.modules.of_space(vars(value))
        if not module.local:
            self.note(module.name, module.file)
        elif use:
            self.whole(module)
        return module

    def whole(self, module: Module) -> str:
        """Follow everything that a module binds: it is used as an object."""
        key = ("module", module.name)
        if key not in self.taken:
            self.taken[key] = LOCAL + self.new_label(module.shown, "module")
            self.later("whole", (module, self.taken[key][len(LOCAL) :]))
        return self.taken[key]

    def note(self, name: Any, file: str | None = None) -> None:
        if (
            isinstance(name, str)
            and name.partition(".")[0] not in {OWN, "builtins", "?"}
            and not name.startswith(PREFIX)
        ):
            top = name.partition(".")[0]
            if file is None and isinstance(loaded := sys.modules.get(top), ModuleType):
                file = getattr(loaded, "__file__", None)
            if top not in sys.stdlib_module_names:
                self.foreign[name if file else top] = file

    def part(self, label: str, kind: str, form: str, edges: list[str]) -> None:
        self.parts[label] = of_texts(f"reprokit/part/{kind}", [form, *edges])

    def unless_said(
        self,
        value: Any,
        said: Expression | None,
        text: Text | None,
        module: Module,
        where: str,
        opaque: bool = False,
        label: str | None = None,
    ) -> str:
        """Describe a value, unless it is what an expression of the source says."""
        if said is not None and text is not None and constants.says(said, value, text, module, self.modules):
            if type(value) not in ATOMS:
                self.watch(value, None)
            return ""
        return self.described(value, where, opaque, label)

    def described(self, value: Any, where: str, opaque: bool = False, label: str | None = None) -> str:
        """Describe a value; where its state cannot be seen and `opaque` does not allow that, it is unknown."""
        if type(value) is FunctionType and (linked := self.link(value) or "").startswith(LOCAL):
            return linked
        if type(value) in ATOMS:
            return Describer(self.link, self.modules.roots, self.link_inside).text(value)
        writer = Describer(self.link, self.modules.roots, self.link_inside)
        text = writer.text(value)
        self.watch(value, text)
        if writer.opaque:
            sentence = f"{where}: the state of a {writer.opaque[0]} cannot be seen"
            if writer.passing or not opaque:
                self.unknown.add(sentence)
            if label is not None and not writer.passing:
                self.unseen[label] = value, "" if opaque else sentence
        return text

    def watch(self, value: Any, text: str | None) -> None:
        if not is_fixed(value) and not (type(value) is FunctionType and (text or "").startswith(LOCAL)):
            self.mutable.append(
                (
                    value,
                    Describer(self.link, self.modules.roots, self.link_inside).text(value) if text is None else text,
                )
            )

    def where(self, filename: str, line: int) -> str:
        for root in self.modules.roots:
            if filename.startswith(root.rstrip(os.sep) + os.sep):
                return f"{filename[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, '/')}:{line}"
        return f"{os.path.basename(filename)}:{line}"
