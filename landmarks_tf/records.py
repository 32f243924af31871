"""What a run's `metrics.json` says, as types. Owns their form alone."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ClassMetrics:
    """How well one class is known.

    Attributes:
        num_images: photos of it.
        accuracy: the share that is predicted right, in [0, 1]; None without a photo.
    """

    num_images: int
    accuracy: float | None


@dataclass(frozen=True)
class Metrics:
    """How good probabilities are on some photos.

    Attributes:
        num_images: photos.
        top1: share of them, in [0, 1], whose most probable landmark is the right one.
        top1_interval: its 95 % Wilson interval.
        top3: share whose landmark is among the three most probable ones.
        top5: among the five most probable ones.
        loss: mean cross-entropy, in nats.
        calibration_error: see `evaluation.metrics.calibration_error`.
        per_class: by class name.
    """

    num_images: int
    top1: float
    top1_interval: tuple[float, float]
    top3: float
    top5: float
    loss: float
    calibration_error: float
    per_class: Mapping[str, ClassMetrics]

    def __str__(self) -> str:
        low, high = self.top1_interval
        return (
            f"top-1 {self.top1:.1%} (95 % interval {low:.1%} to {high:.1%}), "
            f"top-3 {self.top3:.1%}, top-5 {self.top5:.1%}, "
            f"loss {self.loss:.3f}, {self.num_images} photos"
        )


@dataclass(frozen=True)
class CalibrationErrors:
    """The calibration error of some photos before and after the temperature."""

    error_before: float
    error_after: float


@dataclass(frozen=True)
class Calibration:
    """What made the probabilities come true.

    Attributes:
        temperature: by which the logits were divided.
        validation: on the photos that it was chosen on.
        test: on others.
    """

    temperature: float
    validation: CalibrationErrors | None = None
    test: CalibrationErrors | None = None


@dataclass(frozen=True)
class ChosenOn:
    """How many photos a threshold was chosen on."""

    validation_photos: int
    outliers: int


@dataclass(frozen=True)
class Threshold:
    """The probability below which a photo shows no known landmark.

    Attributes:
        value: in [0, 1].
        chosen_on: how many photos.
        test_photos: photos of known landmarks that it was not chosen on.
        outliers: photos of other things, likewise.
        known_accepted: share of `test_photos` that reaches it.
        unknown_accepted: share of `outliers` that does; None without outliers.
        unknown_accepted_at_95: share that reaches what 95 % of `test_photos` do.
        auroc: how often a known landmark has more than something else, ties half.
    """

    value: float
    chosen_on: ChosenOn | None = None
    test_photos: int = 0
    outliers: int = 0
    known_accepted: float | None = None
    unknown_accepted: float | None = None
    unknown_accepted_at_95: float | None = None
    auroc: float | None = None


@dataclass(frozen=True)
class Training:
    """What the training took.

    Attributes:
        epochs: of all stages.
        best_epoch: the one that is kept, counted from 1.
        seconds: spent in training steps, without validation.
        images_per_second: in them.
    """

    epochs: int
    best_epoch: int
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class RunMetrics:
    """All of `metrics.json`; a part is None until it is known.

    Attributes:
        environment: versions and machine that the run was made with.
        training: what it took.
        calibration: see `Calibration`.
        validation: on the photos that the best epoch was chosen on.
        test: on photos that nothing was chosen on.
        threshold: see `Threshold`.
    """

    environment: Mapping[str, Any] | None = None
    training: Training | None = None
    calibration: Calibration | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    threshold: Threshold | None = None


def from_json(kind: type[T], value: Any) -> T:
    """Returns a record of what JSON says; what it does not know is passed over.

    Raises:
        TypeError, ValueError, AttributeError: if it says something else.
    """
    types = typing.get_type_hints(kind)
    return kind(
        **{name: _convert(types[name], value[name]) for name in types if name in value}
    )


def _convert(kind: Any, value: Any) -> Any:
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    if value is None:
        return None
    if dataclasses.is_dataclass(kind):
        return from_json(typing.cast(type, kind), value)
    if type(None) in typing.get_args(kind):
        return _convert(options[0], value)
    if typing.get_origin(kind) is tuple:
        return tuple(value)
    if typing.get_origin(kind) is Mapping or typing.get_origin(kind) is dict:
        return {key: _convert(options[-1], item) for key, item in value.items()}
    return value


def to_json(record: Any) -> Any:
    """Returns a record as JSON has it; parts that are not known are left out."""
    if isinstance(record, Mapping):
        return {key: to_json(value) for key, value in record.items()}
    if not dataclasses.is_dataclass(record):
        return record
    is_class = isinstance(record, ClassMetrics)
    # Fields are in the record's own dictionary, in their order.
    known = {k: v for k, v in vars(record).items() if v is not None or is_class}
    return to_json(known)
