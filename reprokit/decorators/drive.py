"""One call from the door to the vault, for each of the four call shapes.

The context is current while the function's own code runs and never across a ``yield``: each step of a generator or a
coroutine enters it and leaves it again.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from reprokit.context import enter, leave, peek
from reprokit.errors import ReprokitError
from reprokit.recorder import start
from reprokit.recorder.open_run import OpenRun
from reprokit.recorder.plan import subject_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from reprokit.decorators.wrapper import Stack
    from reprokit.recorder.plan import Subject
    from reprokit.recorder.reuse.attempt import Attempt


def call(
    stack: Stack, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `wrapped` as a run, or as a part of the run that a decorator further out has opened for this call."""
    subject = _subject(stack, instance)
    context = peek()
    if context is not None and id(stack) in context.joinable:
        run = context._ledger
        assert isinstance(run, OpenRun)
        args, kwargs = run.join(stack.plan, subject, args, kwargs)
        return wrapped(*args, **kwargs)
    if stack.shape == "sync":
        if stack.may_reuse and _wants_reuse(stack):
            return _call_unless_made(stack, subject, instance, wrapped, args, kwargs)
        return _call(_prepare(stack, subject, args, kwargs), wrapped)
    if stack.shape == "async":
        if stack.may_reuse and _wants_reuse(stack):
            return _await_unless_made(stack, subject, instance, wrapped, args, kwargs)
        return _await(stack, subject, wrapped, args, kwargs)
    run = _prepare(stack, subject, args, kwargs)
    return _iterate(run, wrapped) if stack.shape == "generator" else _iterate_async(run, wrapped)


def _wants_reuse(stack: Stack) -> bool:
    try:
        return start.wants_reuse(stack.whole, start.project_at(start.place()))
    except ReprokitError:  # who prepares the run says what is wrong with the settings
        return False


def _subject(stack: Stack, instance: Any) -> Subject:
    owner = instance if isinstance(instance, type) else None if instance is None else type(instance)
    subject = stack.subjects.get(owner)
    if subject is None:
        function = getattr(stack.function, "__func__", stack.function)
        subject = subject_of(function, owner)._replace(bound=instance is not None and owner is not instance)
        stack.subjects[owner] = subject
    monitor = stack.whole.monitor
    if subject.bound and monitor is not None and monitor.include_args:
        return subject._replace(instance=instance)
    return subject


def _prepare(stack: Stack, subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenRun:
    run = start.prepare(stack.whole, subject, args, kwargs)
    run.context.joinable = stack.inner
    return run


def _fail(run: OpenRun, error: BaseException) -> None:
    status, reason = run.status_of(error)
    run.close(status, error=error, reason=reason)


def _call(run: OpenRun, wrapped: Callable[..., Any]) -> Any:
    run.begin()
    return _run(run, wrapped)


def _run(run: OpenRun, wrapped: Callable[..., Any]) -> Any:
    token = enter(run.context)
    try:
        result = wrapped(*run.args, **run.kwargs)
    except BaseException as error:
        leave(token)
        _fail(run, error)
        raise
    leave(token)
    run.close("complete", result=result)
    return result


def _call_unless_made(
    stack: Stack, subject: Subject, instance: Any, wrapped: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Give the result of an earlier run that did the same, or call the function."""
    from reprokit.recorder.reuse import call

    made = call.attempt(stack.whole, subject, _bound(instance), args, kwargs)
    if made is None:
        return _call(_prepare(stack, subject, args, kwargs), wrapped)
    try:
        made.wait()
        if call.give(made):
            return made.value
        run = _prepare(stack, subject, args, kwargs)
        run.attempt = made
        run.begin()
        return made.value if call.put(made, run) else _run(run, wrapped)
    finally:
        made.end()


async def _await_unless_made(
    stack: Stack, subject: Subject, instance: Any, wrapped: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    from reprokit.recorder.reuse import call

    made = call.attempt(stack.whole, subject, _bound(instance), args, kwargs)
    if made is None:
        return await _await(stack, subject, wrapped, args, kwargs)
    try:
        await _pause(made)
        if call.give(made):
            return made.value
        run = _prepare(stack, subject, args, kwargs)
        run.attempt = made
        run.begin()
        return made.value if call.put(made, run) else await _run_async(run, wrapped)
    finally:
        made.end()


@types.coroutine
def _pause(made: Attempt) -> Generator[Any, Any, None]:
    yield from made.wait_async()


def _bound(instance: Any) -> Any:
    """Give the instance that a method is called on; a class is known by the code."""
    return None if isinstance(instance, type) else instance


async def _await(stack: Stack, subject: Subject, wrapped: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    run = _prepare(stack, subject, args, kwargs)
    run.begin()
    return await _run_async(run, wrapped)


async def _run_async(run: OpenRun, wrapped: Callable[..., Any]) -> Any:
    try:
        result = await _steps(run, wrapped(*run.args, **run.kwargs).__await__())
    except BaseException as error:
        _fail(run, error)
        raise
    run.close("complete", result=result)
    return result


def _iterate(run: OpenRun, wrapped: Callable[..., Any]) -> Generator[Any, Any, Any]:
    run.begin()  # at the first step: a generator that nobody starts is no run
    try:
        result = yield from _through(run, wrapped(*run.args, **run.kwargs))
    except BaseException as error:
        _fail(run, error)
        raise
    run.close("complete", result=result)
    return result


async def _iterate_async(run: OpenRun, wrapped: Callable[..., Any]) -> AsyncGenerator[Any, Any]:
    run.begin()  # at the first step: a generator that nobody starts is no run
    generator = wrapped(*run.args, **run.kwargs)
    try:
        step = generator.__anext__()
        while True:
            try:
                item = await _steps(run, step.__await__())
            except StopAsyncIteration:
                break
            try:
                sent = yield item
            except GeneratorExit:
                await _steps(run, generator.aclose().__await__())
                raise
            except BaseException as error:  # noqa: BLE001 - what the consumer throws in belongs to the function
                step = generator.athrow(error)
            else:
                step = generator.asend(sent)
    except BaseException as error:
        _fail(run, error)
        raise
    run.close("complete")


def _through(run: OpenRun, steps: Any) -> Generator[Any, Any, Any]:
    """Do what ``yield from`` does (PEP 380), with the run's context current during each step and not between them."""
    context = run.context
    action: Callable[..., Any] = steps.__next__
    argument: tuple[Any, ...] = ()
    while True:
        token = enter(context)
        try:
            item = action(*argument)
        except StopIteration as stop:
            return stop.value
        finally:
            leave(token)
        try:
            sent = yield item
        except GeneratorExit:
            token = enter(context)
            try:
                steps.close()
            finally:
                leave(token)
            raise
        except BaseException as error:  # noqa: BLE001 - what the consumer throws in belongs to the function
            action, argument = steps.throw, (error,)
        else:
            action, argument = (steps.__next__, ()) if sent is None else (steps.send, (sent,))


_steps = types.coroutine(_through)
