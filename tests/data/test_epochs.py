import tensorflow as tf

from landmarks_tf.config import TrainConfig
from landmarks_tf.data.epochs import chain_epochs

OPTIONS = TrainConfig(
    image_size=128,
    batch_size=4,
    epochs=4,
    augmentation="crop_flip_color",
    training_sizes=(64, 128),
)


def chained(initial_epoch=0, sizes=None):
    def load(shuffled, epoch, size):
        (sizes if sizes is not None else []).append(size)
        labelled = shuffled.map(lambda place, example: (example, epoch, size))
        return labelled.batch(OPTIONS.batch_size)

    examples = tf.data.Dataset.range(10)
    batches = chain_epochs(examples, load, OPTIONS, initial_epoch)
    assert len(batches) == 3 * (4 - initial_epoch)
    return [tuple(map(int, row)) for row in batches.unbatch().as_numpy_iterator()]


def test_each_epoch_holds_every_example_once_in_an_order_of_its_own():
    rows = chained()
    epochs = [[e for e, epoch, _ in rows if epoch == number] for number in range(4)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_each_size_is_traced_once_and_has_its_epochs():
    sizes = []
    rows = chained(sizes=sizes)
    assert sizes == [64, 128]
    assert [size for *_, size in rows] == [64] * 20 + [128] * 20


def test_the_epochs_to_come_are_those_of_the_whole_run():
    assert chained(3) == chained()[30:]
    assert chained(1) == chained()[10:]
    assert chained(4) == []
