"""A bar for tasks: done, failed, running."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprokit.ship.future import Future


def show(futures: list[Future], name: str, each: int, total: int) -> None:
    """Show a bar on the terminal until all futures are done; nothing where there is no terminal.

    Parameters
    ----------
    futures
        The tasks.
    name
        What the bar is called.
    each
        How many calls a task holds (the last one may hold fewer).
    total
        How many calls there are.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not futures or not (console.is_terminal or console.is_jupyter):
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed, {task.fields[running]} running"),
        TimeElapsedColumn(),
        console=console,
    )
    shown = bar.add_task(name, total=total, failed=0, running=total)
    counts = {"done": 0, "failed": 0, "open": len(futures)}
    lock = threading.Lock()

    def ended(future: Future) -> None:
        with lock:
            counts["open"] -= 1
            counts["done"] = min(counts["done"] + each, total)
            counts["failed"] += future.failed
            bar.update(shown, completed=counts["done"], failed=counts["failed"], running=total - counts["done"])
            if not counts["open"]:
                bar.stop()

    bar.start()
    for future in futures:
        future.add_done_callback(ended)  # type: ignore[arg-type]
