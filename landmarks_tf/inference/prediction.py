"""The answer about a photo: its most likely landmarks. No TensorFlow."""

from collections.abc import Sequence

UNKNOWN = "no known landmark"


class Prediction(list[tuple[str, float]]):
    """The most likely landmarks of a photo: (name, probability), most likely first.

    Args:
        rows: (class name, name, probability) of each.
        is_known: whether the photo shows a known landmark at all.

    Attributes:
        class_names: of each, as in `labels.txt`; the names are for people.
        is_known: whether the first probability reaches the run's threshold.
    """

    def __init__(self, rows: Sequence[tuple[str, str, float]], is_known: bool) -> None:
        super().__init__((name, probability) for _, name, probability in rows)
        self.class_names = tuple(class_name for class_name, _, _ in rows)
        self.is_known = is_known

    @property
    def answer(self) -> str:
        """The most likely landmark's name, or "no known landmark"."""
        return self[0][0] if self.is_known else UNKNOWN

    def to_record(self, photo: str) -> dict:
        """Returns the answer as programs read it.

        Args:
            photo: path, or "-" for a photo that came without.

        Returns:
            `photo`; `is_known`; `landmarks`, of each its `name`, its `class_name` as in
            `labels.txt` and its `probability` in [0, 1].
        """
        landmarks = [
            {"name": name, "class_name": class_name, "probability": probability}
            for class_name, (name, probability) in zip(self.class_names, self)
        ]
        return {"photo": photo, "is_known": self.is_known, "landmarks": landmarks}
