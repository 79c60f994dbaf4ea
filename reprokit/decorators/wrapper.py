"""The one wrapper that all decorators of a stack share."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, Literal

import wrapt

from reprokit.recorder.plan import Plan, check_names

if TYPE_CHECKING:
    from collections.abc import Callable

Shape = Literal["sync", "async", "generator", "async generator"]


class Stack:
    """The decorators that share one wrapper: what they ask for, and what they are put on."""

    __slots__ = ("function", "inner", "may_reuse", "plan", "shape", "subjects", "whole")

    def __init__(self, function: Callable[..., Any], plan: Plan) -> None:
        self.function = function
        self.plan = plan
        self.shape: Shape = shape_of(function)
        behind = stacks_behind(function)
        self.inner = frozenset(id(stack) for stack in behind)
        self.whole = plan  # with what decorators behind a foreign one ask for; those rewrite their paths themselves
        for stack in behind:
            unnamed = tuple(spec._replace(names=()) for spec in stack.plan.artifacts)
            self.whole = self.whole.joined(stack.plan._replace(artifacts=unnamed))
        self.may_reuse = self.whole.reuse.asked or any(one.names and one.exists is None for one in self.whole.artifacts)
        self.subjects: dict[type | None, Any] = {}  # by the class of the instance that it is bound to

    def __call__(self, wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from reprokit.decorators import drive

        return drive.call(self, wrapped, instance, args, kwargs)


class RunWrapper(wrapt.FunctionWrapper):  # type: ignore[misc,type-arg,unused-ignore]
    """A function whose calls are recorded.

    A second decorator makes a new wrapper around the same function, with both plans, so one call stays one run.
    """

    def __init__(self, wrapped: Any, plan: Plan) -> None:
        stack = Stack(wrapped, plan)
        wrapt.FunctionWrapper.__init__(self, wrapped, stack)  # super() needs the name that the property below takes
        self._self_stack = stack

    @property  # type: ignore[misc,unused-ignore]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride,reportIncompatibleVariableOverride]
        # cloudpickle would take it for the function that it looks like, and send that.
        return RunWrapper if _is_asked_by_cloudpickle(2) else self.__wrapped__.__class__

    def __reduce_ex__(self, protocol: Any) -> Any:
        # By name where the name leads back here.  cloudpickle sends what is in __main__ by value, for the other side has
        # another __main__; multiprocessing's children have the same one.  Only the caller tells which of them asks.
        module = getattr(self, "__module__", None)
        found: Any = sys.modules.get(module or "")
        for part in getattr(self, "__qualname__", "").split("."):
            found = getattr(found, part, None)
        by_value = module == "__main__" and _is_asked_by_cloudpickle(2)
        if found is self and not by_value:
            return self.__qualname__
        return RunWrapper, (self.__wrapped__, self._self_stack.plan)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)


def _is_asked_by_cloudpickle(depth: int) -> bool:
    return "cloudpickle" in sys._getframe(depth).f_globals.get("__name__", "")


def attach(function: Any, plan: Plan, decorator: str) -> Any:
    """Put a decorator on a function, or add it to the stack that is there.

    Raises
    ------
    TypeError
        When it is no function or method.
    """
    if isinstance(function, RunWrapper):
        check_names(plan.reuse, function)
        return RunWrapper(function.__wrapped__, plan.joined(function._self_stack.plan))
    if isinstance(function, type):
        raise TypeError(
            f"@{decorator} goes on functions and methods, not on the class {function.__qualname__}; decorate its methods"
        )
    if isinstance(function, property):
        raise TypeError(f"@{decorator} goes below @property, on the function itself")
    if not callable(function) and not isinstance(function, (classmethod, staticmethod)):
        raise TypeError(f"@{decorator} goes on a function, not on {type(function).__name__}")
    check_names(plan.reuse, function)
    return RunWrapper(function, plan)


def shape_of(function: Any) -> Shape:
    """Tell which of the four call shapes a function has, looking through ``classmethod``, ``partial`` and the like."""
    plain = function
    while plain is not None:
        if inspect.isasyncgenfunction(plain):
            return "async generator"
        if inspect.iscoroutinefunction(plain):
            return "async"
        if inspect.isgeneratorfunction(plain):
            return "generator"
        plain = getattr(plain, "__func__", None) or getattr(plain, "func", None)
    return "sync"


def stacks_behind(function: Any) -> list[Stack]:
    """Find our wrappers further down, behind decorators of others that set ``__wrapped__`` as `functools.wraps` does."""
    found: list[Stack] = []
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        if isinstance(function, RunWrapper):
            found.append(function._self_stack)
            function = function.__wrapped__
            continue
        state = getattr(function, "__dict__", {})
        function = state.get("__wrapped__") or getattr(function, "__func__", None) or getattr(function, "func", None)
    return found
