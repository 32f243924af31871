import numpy as np
import pytest

from landmarks_tf.config import TrainConfig
from landmarks_tf.data import epochs
from landmarks_tf.data import pipeline
from landmarks_tf.data.photo_set import load_catalog
from landmarks_tf.errors import InvalidInput
from landmarks_tf.training import hosts
from landmarks_tf.training.hosts import Hosts

OPTIONS = TrainConfig(
    image_size=64, batch_size=8, epochs=2, augmentation="crop_flip_color", seed=5
)
# Each has two devices: of 37 photos the last batch has 5, of which 4 divide by them.
TWO = [Hosts(2, index, 4) for index in range(2)]


@pytest.fixture
def photos(colored_dir):
    catalog = load_catalog(colored_dir)
    splits = dict(catalog.splits) | {"validation": catalog.splits["test"]}
    return type(catalog)(colored_dir, catalog.class_names, splits)


def read(dataset):
    return [[column.numpy() for column in batch] for batch in dataset]


def test_two_hosts_see_together_what_one_sees(photos):
    one, *shares = (
        read(pipeline.make_training_dataset(photos, OPTIONS, hosts=hosts))
        for hosts in (hosts.ALONE, *TWO)
    )
    assert [len(labels) for _, labels in shares[0]] == [4, 4, 4, 4, 2] * 2
    for whole, first, second in zip(one, *shares, strict=True):
        for column, *parts in zip(whole, first, second, strict=True):
            together = np.concatenate(parts)
            np.testing.assert_array_equal(together, column[: len(together)])


def test_a_last_batch_of_fewer_photos_than_devices_is_left_out():
    assert epochs.count_steps(37, 8) == 5
    assert epochs.count_steps(37, 8, Hosts(2, 0, 4)) == 5
    assert epochs.count_steps(35, 8, Hosts(2, 0, 4)) == 4
    options = TrainConfig(image_size=64, batch_size=18, epochs=3)
    many = Hosts(3, 0, 6)
    assert epochs.count_steps(37, options.batch_size, many) == 2


def test_hosts_mix_photos_each_in_its_own_way(photos):
    options = TrainConfig(image_size=64, batch_size=8, epochs=2, mixing="cutmix_mixup")
    shares = [
        read(pipeline.make_training_dataset(photos, options, hosts=hosts))
        for hosts in TWO
    ]
    is_mixed = [
        [bool((targets.max(axis=1) < 1).any()) for _, targets in share]
        for share in shares
    ]
    assert is_mixed[0] != is_mixed[1]


def test_validation_counts_every_photo_once(photos):
    one, *shares = (
        read(pipeline.make_validation_dataset(photos, 64, 8, hosts=hosts))
        for hosts in (hosts.ALONE, *TWO)
    )
    # 15 photos are filled up to 16.
    assert [len(weights) for *_, weights in shares[0]] == [4, 4]
    weights = np.concatenate([batch[2] for share in shares for batch in share])
    assert sorted(weights) == [0] + [pytest.approx(16 / 15)] * 15
    for whole, *parts in zip(one, *shares, strict=True):
        images, labels, weights = map(np.concatenate, zip(*parts))
        np.testing.assert_array_equal(images[weights > 0], whole[0])
        np.testing.assert_array_equal(labels[weights > 0], whole[1])


def test_a_lost_host_is_told_from_a_defect():
    gone = ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer\nmore")
    assert hosts.explain_loss(gone) == (
        "another host is gone (Gloo AllGather failed: Connection closed by peer)"
    )
    for text in (
        "shapes differ",
        "INTERNAL: cuDNN error",
        "UNKNOWN: CUDNN_STATUS_NOT_INITIALIZED",
        "Gloo is not there",
    ):
        assert hosts.explain_loss(ValueError(text)) is None
    said = (
        "failed call to cuInit: INTERNAL: CUDA error\n"
        "F1126 client.h:80] Terminating process because the JAX distributed service "
        "detected fatal errors. See the other logs. absl::Status: {}\nmore"
    )
    unhealthy = "UNAVAILABLE: The following tasks are unhealthy:"
    gone = f"another host is gone ({unhealthy[:-1]})"
    assert hosts.explain_end(said.format(unhealthy)) == gone
    sent = "UNAVAILABLE: Failed to send RPC"
    gone = f"another host is gone ({sent})"
    assert hosts.explain_end(said.format(sent + ". Either the leader")) == gone
    assert hosts.explain_end(said.splitlines()[0]) is None


def test_hosts_that_do_not_come_are_told_from_a_port_in_use(monkeypatch):
    said = (
        "distributed service detected fatal errors. absl::Status: DEADLINE_EXCEEDED: "
        "Deadline Exceeded\n\nRPC: /xla.coordination.CoordinationService/RegisterTask"
    )
    missing = "the other hosts did not come within an hour"
    assert hosts.explain_end(said) == missing

    jax = pytest.importorskip("jax", reason="needs [distributed]")

    def fail(*_, **__):
        raise RuntimeError(message)

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    message = "DEADLINE_EXCEEDED: Barrier timed out"
    with pytest.raises(ConnectionError, match=missing):
        hosts.meet("first:1", 2, 0)
    message = "UNKNOWN: Failed to add port to server"
    with pytest.raises(InvalidInput, match="must be a free port .*first:1 .*add port"):
        hosts.meet("first:1", 2, 0)
