"""Which photos a report shows, and how it asks. The rest is in test_train."""

import keras
import numpy as np
import pytest

from landmarks_tf.data.photo_set import load_evaluation_photos
from landmarks_tf.evaluation import report
from landmarks_tf.evaluation import robustness
from landmarks_tf.evaluation.evaluate import EvaluationConfig
from landmarks_tf.evaluation.metrics import evaluate_probabilities

NAMES = ("0.red", "1.green", "2.blue")


@pytest.fixture
def photos(colored_dir):
    return load_evaluation_photos(colored_dir, "test", NAMES)


def color_model(branches):
    """Answers with the colour that there is most of."""
    images = keras.Input((40, 40, 3))
    maps = keras.layers.Conv2D(3, 1, use_bias=False, activation="relu", name="colors")(
        images
    )
    if branches:
        maps = keras.layers.Add()([maps, maps])
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    outputs = keras.layers.Dense(3, activation="softmax", use_bias=False)(pooled)
    model = keras.Model(images, outputs)
    model.set_weights([np.eye(3)[np.newaxis, np.newaxis], 9 * np.eye(3)])
    return model


def evaluated(model, photos):
    probabilities = np.tile([0.1, 0.6, 0.3], (15, 1))
    labels = photos.labels("test")
    metrics = evaluate_probabilities(probabilities, labels, NAMES)
    return report.Evaluated(model, photos, probabilities, metrics)


@pytest.mark.parametrize("branches", [False, True])
def test_photos_are_shown_with_their_answers_and_where_a_network_looks_if_it_can(
    photos, branches
):
    (first, none), note = report.show_photos(
        evaluated(color_model(branches), photos), ([14, 0], [])
    )
    assert none == []
    assert [photo.path for photo in first] == [
        "test/2.blue/04.jpg",
        "test/0.red/00.jpg",
    ]
    assert [photo.true_name for photo in first] == ["blue", "red"]
    assert {(photo.answered_name, photo.probability) for photo in first} == {
        ("green", 0.6)
    }
    for photo in first:
        assert (photo.overlay is None) == branches
        assert branches or photo.overlay.size == photo.picture.size
    assert bool(note) == branches


def test_as_many_photos_as_wanted_are_asked_a_batch_at_a_time(photos, monkeypatch):
    model, sizes = color_model(False), []
    predict = model.predict_on_batch
    monkeypatch.setattr(
        model, "predict_on_batch", lambda x: sizes.append(len(x)) or predict(x)
    )
    asked = EvaluationConfig(condition_photos=4)
    results = report.predict_under_conditions(evaluated(model, photos), asked)
    assert [result.name for result in results] == list(robustness.CONDITIONS)
    assert sizes == [8, 2] * 4
    # Of each colour the first, then a second red; it knows all, however turned.
    assert [result.num_right for result in results] == [4] * 10
    none = EvaluationConfig(condition_photos=0)
    assert report.predict_under_conditions(evaluated(model, photos), none) == []
