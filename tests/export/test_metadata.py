import flatbuffers
import pytest
from flatbuffers import number_types
from flatbuffers.table import Table

from landmarks_tf.export import metadata
from landmarks_tf.export.metadata import Description

DESCRIPTION = Description("petra", "Names it.", "0.1.0", "A. Founder", "MIT", 0.25)


class Reader:
    """Reads a FlatBuffer by the numbers of the fields in its schema."""

    def __init__(self, table):
        self.table = table

    @classmethod
    def of_root(cls, contents):
        place = flatbuffers.encode.Get(flatbuffers.packer.uoffset, contents, 0)
        return cls(Table(contents, place))

    def place(self, field):
        offset = self.table.Offset(4 + 2 * field)
        assert offset, field
        return offset + self.table.Pos

    def text(self, field):
        return self.table.String(self.place(field)).decode()

    def child(self, field):
        return Reader(Table(self.table.Bytes, self.table.Indirect(self.place(field))))

    def first(self, field):
        offset = self.table.Offset(4 + 2 * field)
        assert self.table.VectorLen(offset) == 1
        start = self.table.Vector(offset)
        return Reader(Table(self.table.Bytes, self.table.Indirect(start)))

    def byte(self, field):
        return self.table.Get(number_types.Int8Flags, self.place(field))

    def number(self, field):
        return self.table.Get(number_types.Float32Flags, self.place(field))

    def first_number(self, field):
        start = self.table.Vector(self.table.Offset(4 + 2 * field))
        return self.table.Get(number_types.Float32Flags, start)


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_every_field_is_in_its_slot(white):
    contents = metadata.build_metadata(DESCRIPTION, white)
    assert contents[4:8] == b"M001"
    model = Reader.of_root(contents)
    texts = [model.text(field) for field in (0, 1, 2, 4, 5, 7)]
    assert texts == ["petra", "Names it.", "0.1.0", "A. Founder", "MIT", "1.0.0"]
    graph = model.first(3)
    given, got = graph.first(2), graph.first(3)

    assert given.text(0) == "image"
    assert given.child(3).byte(0) == 2  # ImageProperties
    assert given.child(3).child(1).byte(0) == 1  # RGB
    assert given.first(4).byte(0) == 1  # NormalizationOptions
    normalization = given.first(4).child(1)
    numbers = normalization.first_number(0), normalization.first_number(1)
    assert numbers == (0.0, 255.0)
    assert given.child(5).first_number(0) == white

    assert got.text(0) == "probability"
    assert got.child(3).byte(0) == 1  # FeatureProperties
    assert got.first(4).byte(0) == 3  # ScoreThresholdingOptions
    assert got.first(4).child(1).number(0) == 0.25
    assert got.first(6).text(0) == "labels.txt"
    assert got.first(6).byte(2) == 2  # TENSOR_AXIS_LABELS
