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
        is_line = self.total is None
        return self.text if is_line else f"{self.text}: {self.done}/{self.total}"


# What a program hears events with; `print` shows them all.
Listener = Callable[[Event], object]


class Progress:
    """Tells a listener what is done, or nobody.

    Args:
        listener: is called with each event; may be another Progress.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener or (lambda event: None)

    def __call__(self, event: Event) -> None:
        self._listener(event)

    def tell(self, text: str) -> None:
        """Tells a line."""
        self(Event(text))

    def warn(self, text: str) -> None:
        """Tells a line of what is skipped or not written."""
        self(Event(text, is_warning=True))

    def step(self, text: str, done: int, total: int) -> None:
        """Tells how many of what takes long are done."""
        self(Event(text, done, total))

    def track(self, items: Iterable[T], text: str, total: int) -> Iterator[T]:
        """Yields the items, and tells after each how many are done."""
        for done, item in enumerate(items, start=1):
            yield item
            self.step(text, done, total)
