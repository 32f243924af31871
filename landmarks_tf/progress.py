"""How the library tells what it does: events, which a program may show or ignore."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that a person may want to read.

    Attributes:
        text: one line; of a step that takes long, what is done.
        done: how many of `total` are done; None for a line.
        total: of the step; None for a line.
        is_warning: whether something is skipped or not written.
    """

    text: str
    done: int | None = None
    total: int | None = None
    is_warning: bool = False

    def __str__(self) -> str:
        return (
            self.text
            if self.total is None
            else f"{self.text}: {self.done}/{self.total}"
        )


# `progress=print` shows all events.
Progress = Callable[[Event], object]


def ignore(event: Event) -> None:
    """Tells nobody."""


def track(items: Iterable[T], text: str, total: int, progress: Progress) -> Iterator[T]:
    """Yields the items, and tells after each how many are done."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(Event(text, done, total))
