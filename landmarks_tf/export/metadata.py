"""The description inside a TFLite file, that clients of MediaPipe and LiteRT read.

Slots and numbers are those of the tables in
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
No TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import flatbuffers

LABELS_FILE = "labels.txt"
_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.0.0"
# Members of enumerations and unions.
_TENSOR_AXIS_LABELS = 2
_RGB = 1
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_NORMALIZATION, _SCORE_THRESHOLDING = 1, 3


@dataclass(frozen=True)
class Description:
    """What a file says of its model.

    Attributes:
        name: of the model.
        description: a sentence or two.
        version: of the program that made it.
        author: who made it.
        licence: under which it may be used.
        threshold: in [0, 1]; clients leave out what is less probable.
    """

    name: str = ""
    description: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""
    threshold: float = 0.0


def build_metadata(description: Description, white: float) -> bytes:
    """Returns the metadata of an image classifier: a FlatBuffer `ModelMetadata`.

    Args:
        description: of the model.
        white: what the input takes for it: 1 of a float32 input, 255 of a uint8 one.
    """
    builder = flatbuffers.Builder(1024)
    given = _table(
        builder,
        _text(builder, "image"),
        _text(builder, "A photo, RGB, upright, stretched to this size."),
        None,
        _content(builder, _IMAGE_PROPERTIES, _table(builder, _byte(_RGB))),
        _process_unit(
            builder,
            _NORMALIZATION,
            # A client feeds (grey level - mean) / deviation; uint8 as it is.
            _table(builder, _floats(builder, 0.0), _floats(builder, 255.0)),
        ),
        _stats(builder, 0.0, white),
    )
    labels = _table(
        builder,
        _text(builder, LABELS_FILE),
        _text(builder, "Names of the landmarks, in the order of the probabilities."),
        _byte(_TENSOR_AXIS_LABELS),
    )
    got = _table(
        builder,
        _text(builder, "probability"),
        _text(builder, "How probable each landmark is; they add up to 1."),
        None,
        _content(builder, _FEATURE_PROPERTIES, _table(builder)),
        _process_unit(
            builder, _SCORE_THRESHOLDING, _table(builder, _float(description.threshold))
        ),
        _stats(builder, 0.0, 1.0),
        _offsets(builder, labels),
    )
    graph = _table(
        builder, None, None, _offsets(builder, given), _offsets(builder, got)
    )
    model = _table(
        builder,
        _text(builder, description.name),
        _text(builder, description.description),
        _text(builder, description.version),
        _offsets(builder, graph),
        _text(builder, description.author),
        _text(builder, description.licence),
        None,
        _text(builder, _MIN_PARSER_VERSION),
    )
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


# A table's field: writes it into a slot.
_Field = Callable[[flatbuffers.Builder, int], None] | int | None


def _table(builder: flatbuffers.Builder, *fields: _Field) -> int:
    """Returns a table's offset; a field is an offset, a scalar's writer or None."""
    builder.StartObject(len(fields))
    for slot, field in enumerate(fields):
        if callable(field):
            field(builder, slot)
        elif field is not None:
            builder.PrependUOffsetTRelativeSlot(slot, field, 0)
    return builder.EndObject()


def _byte(value: int) -> _Field:
    return lambda builder, slot: builder.PrependInt8Slot(slot, value, 0)


def _float(value: float) -> _Field:
    return lambda builder, slot: builder.PrependFloat32Slot(slot, value, 0.0)


def _text(builder: flatbuffers.Builder, text: str) -> int:
    return builder.CreateString(text)


def _floats(builder: flatbuffers.Builder, value: float) -> int:
    builder.StartVector(4, 1, 4)
    builder.PrependFloat32(value)
    return builder.EndVector()


def _offsets(builder: flatbuffers.Builder, offset: int) -> int:
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _content(builder: flatbuffers.Builder, kind: int, properties: int) -> int:
    return _table(builder, _byte(kind), properties)


def _process_unit(builder: flatbuffers.Builder, kind: int, options: int) -> int:
    return _offsets(builder, _table(builder, _byte(kind), options))


def _stats(builder: flatbuffers.Builder, low: float, high: float) -> int:
    return _table(builder, _floats(builder, high), _floats(builder, low))
