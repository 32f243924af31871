"""Names and sentences for people. No TensorFlow."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

# What stands before the name in the folders of the reference data set: 16.Eiffel_Tower.
_NUMBER = re.compile(r"^\d+\.(?=\S)")
# Unicode's categories of control characters, formats and ends of lines.
_UNPRINTABLE = ("Cc", "Cf", "Zl", "Zp")
# Formats that some scripts are written with.
_JOINERS = "\u200c\u200d"


def fits_in_a_line(name: str) -> bool:
    """Returns whether `labels.txt` can hold a class name."""
    # Bytes that are no UTF-8 are surrogates here.
    has_surrogates = any("\ud800" <= letter <= "\udfff" for letter in name)
    return not has_surrogates and not {"\n", "\r"} & set(name)


def human_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names to show: `16.Eiffel_Tower` is Eiffel Tower.

    Args:
        class_names: as in `labels.txt`.

    Returns:
        as many; two classes that would be shown alike keep their own names.
    """
    names = [_human_name(name) for name in class_names]
    counts = Counter(names)
    pairs = zip(names, class_names)
    return tuple(name if counts[name] == 1 else own for name, own in pairs)


def _human_name(class_name: str) -> str:
    words = _NUMBER.sub("", class_name).replace("_", " ").split()
    return printable(" ".join(words) or class_name)


def printable(text: str) -> str:
    """Replaces what would move a terminal's cursor, colour it or turn text round."""
    return "".join(
        "?" if unicodedata.category(c) in _UNPRINTABLE and c not in _JOINERS else c
        for c in text
    )


def suggestion(names: Sequence[str], is_known: bool = True) -> str:
    """Returns a sentence that suggests landmarks, the most likely first.

    Args:
        names: at least one, as `human_names` returns them.
        is_known: whether the photo shows one of them at all.
    """
    *others, last = names
    choice = f"{', '.join(others)} or {last}" if others else last
    if is_known:
        return f"Is this a picture of {choice}?"
    return f"This is no landmark that I know. It is most like {choice}."
