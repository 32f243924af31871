"""How a setting is declared: its group, default, help and limits. Owns no setting."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from landmarks_tf.errors import require


@dataclass(frozen=True)
class Limit:
    """What a value may be: in words, to stand behind "must be", and as a test.

    Where it is one of some words, `choices` are these.
    """

    wanted: str
    allows: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


ANY = Limit("anything", lambda value: True)
COUNT = Limit("a positive integer", lambda value: value >= 1)
NOT_NEGATIVE = Limit("0 or more", lambda value: value >= 0)
POSITIVE = Limit("greater than 0", lambda value: value > 0)
SHARE = Limit("between 0 and 1", lambda value: 0 < value < 1)
SHARE_OR_NONE = Limit("in [0, 1)", lambda value: 0 <= value < 1)
SHARE_OR_ALL = Limit("in [0, 1]", lambda value: 0 <= value <= 1)
SEED = Limit("in 0..2147483647", lambda value: 0 <= value < 2**31)


@dataclass(frozen=True)
class Group:
    """Settings that belong together, under whose name `--help` shows them."""

    name: str

    def field(self, default: Any, text: str, limit: Limit = ANY) -> Any:
        """Returns a field with its help and its limit."""
        metadata = {"group": self.name, "help": text, "limit": limit}
        return dataclasses.field(default=default, metadata=metadata)

    def choice(self, default: str, choices: tuple[str, ...], text: str) -> Any:
        """Returns a field that has one of some words."""
        limit = Limit(f"one of {choices}", lambda value: value in choices, choices)
        return self.field(default, text, limit)


@dataclass(frozen=True)
class Settings:
    """Settings of groups, which are checked at construction.

    Raises:
        InvalidInput: if a value is outside its limits.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            limit = field.metadata["limit"]
            value = getattr(self, field.name)
            require(limit.allows(value), field.name, limit.wanted, value)
