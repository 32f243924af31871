"""The main job from Python: what the package names, and the code of docs/python.md."""

import contextlib
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from conftest import TOY_FLAGS
from conftest import run_script

import landmarks_tf as lt

TOY = lt.TrainConfig(preset="small", image_size=64, batch_size=4, epochs=1, formats=())
NAMES = ("0.red", "1.green", "2.blue")


def build_color_model(size=32, last="softmax"):
    """Returns a model that this project did not build, and that knows the colours."""
    images = keras.Input((size, size, 3))
    means = keras.layers.GlobalAveragePooling2D()(images)
    if last == "softmax":
        outputs = keras.layers.Dense(3, activation="softmax")(means)
    else:
        outputs = keras.layers.Softmax()(keras.layers.Dense(3)(means))
    model = keras.Model(images, outputs)
    model.set_weights([9 * np.eye(3), np.zeros(3)])
    return model


def test_every_name_is_there_and_no_other():
    for name in lt.__all__:
        assert getattr(lt, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        lt.trian


def test_datasets_are_the_contracts_and_hold_every_photo_once(colored_dir):
    datasets = lt.load_datasets(colored_dir)
    images = tf.TensorSpec((None, 800, 800, 3), tf.float32)
    labels = tf.TensorSpec((None,), tf.int32)
    assert [data.element_spec for data in datasets] == [(images, labels)] * 3
    train, validation, test = lt.load_datasets(colored_dir, image_size=16)
    assert train.class_names == test.class_names == NAMES
    counts = []
    for data in (train, validation, test):
        batches = list(data)
        sizes = [len(labels) for _, labels in batches]
        assert sizes[:-1] == [8] * (len(sizes) - 1) and 1 <= sizes[-1] <= 8
        rows = np.concatenate([images for images, _ in batches])
        assert rows.min() >= 0 and rows.max() <= 1
        counts.append(len({row.tobytes() for row in rows}))
        assert counts[-1] == len(rows)
    assert counts == [34, 3, 15]
    first, second = (np.concatenate([y for _, y in train]) for _ in range(2))
    assert sorted(first) == sorted(second) and list(first) != list(second)


def test_a_model_of_five_lines_learns_from_the_datasets(colored_dir):
    train, validation, test = lt.load_datasets(colored_dir, 800, 8)
    layers = [
        keras.layers.AveragePooling2D(100),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((800, 800, 3)), *layers])
    adam = keras.optimizers.Adam(0.02)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=4, shuffle=False, verbose=0)
    assert model.evaluate(test, verbose=0, return_dict=True)["accuracy"] > 0.9


def test_the_call_and_the_command_are_the_same_run(colored_dir, run_dir, tmp_path):
    flags = dict(flag.removeprefix("--").split("=") for flag in TOY_FLAGS)
    config = lt.TrainConfig(
        preset=flags["preset"],
        image_size=64,
        batch_size=4,
        epochs=6,
        learning_rate=1e-3,
        formats=("saved_model", "float32"),
    )
    events = []
    run = lt.train(colored_dir, config, tmp_path / "run", progress=events.append)
    assert run.path == tmp_path / "run"
    for name in ("history.csv", "labels.txt", "split.json"):
        assert (run.path / name).read_bytes() == (run_dir / name).read_bytes()
    assert run.metrics.test == lt.Run(run_dir).metrics.test
    assert f"test: {run.metrics.test}" in map(str, events)
    with pytest.raises(lt.InvalidInput, match="exists: choose another"):
        lt.train(colored_dir, config, tmp_path / "run")
    again = lt.train(colored_dir, config, tmp_path / "run", on_existing="resume")
    assert again == run


@pytest.mark.parametrize("last", ["softmax", "layer"])
def test_any_model_is_evaluated_and_exported(colored_dir, tmp_path, last):
    model = build_color_model(last=last)
    before = model.get_weights()
    report = lt.EvaluationConfig(report=str(tmp_path / "r.html"), condition_photos=0)
    metrics = lt.evaluate(model, colored_dir, config=report)
    assert (metrics.top1, metrics.num_images) == (1.0, 15)
    assert "How good is the model?" in (tmp_path / "r.html").read_text()
    config = lt.ExportConfig(formats=("saved_model", "float32"), author="A. Founder")
    run = lt.export_model(model, NAMES, colored_dir, tmp_path / "own", config)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert {path.name for path in run.path.iterdir()} == {
        *("model.keras", "labels.txt", "split.json", "metrics.json", "parity.json"),
        *("saved_model", "model_float32.tflite", "vectors", "MODEL_CARD.md"),
    }
    assert all(record["faults"] == [] for record in run.parity.values())
    # Surer than it was: the model is right about all of them.
    calibrated = run.metrics
    assert calibrated.test.loss < metrics.loss
    assert calibrated.calibration.test.error_after < metrics.calibration_error
    assert calibrated.threshold.value > 1 / 3
    assert "A. Founder" in (run.path / "MODEL_CARD.md").read_text()
    photo = colored_dir / "test" / "1.green" / "00.jpg"
    for path in (run.path, run.path / "model_float32.tflite"):
        assert lt.load_classifier(path).predict_landmarks(photo)[0][0] == "green"
    result = run_script("export", f"--model_dir={run.path}", "--formats=float16")
    assert result.returncode == 0, result.stderr


def test_class_names_are_in_the_order_of_the_outputs(colored_dir, tmp_path):
    model, order = build_color_model(), [2, 0, 1]
    model.set_weights([9 * np.eye(3)[:, order], np.zeros(3)])
    names = [NAMES[label] for label in order]
    assert lt.evaluate(model, colored_dir, names).top1 == 1
    assert lt.evaluate(model, colored_dir).top1 == 0
    config = lt.ExportConfig(formats=())
    run = lt.export_model(model, names, colored_dir, tmp_path / "own", config)
    assert run.metrics.test.top1 == 1 and list(run.class_names) == names


def test_what_does_not_fit_a_model_is_refused(colored_dir, tmp_path):
    model = build_color_model()
    with pytest.raises(lt.InvalidInput, match="`num_classes` must be 3, as many as"):
        lt.evaluate(model, colored_dir, [*NAMES, "3.violet"])
    for names, message in (
        (NAMES[:2], "`class_names` must be 3 names, one for each output"),
        (("a", "b", "c"), "`class_names` must be .'0.red', '1.green', '2.blue'."),
    ):
        with pytest.raises(lt.InvalidInput, match=message):
            lt.export_model(model, names, colored_dir, tmp_path / "own")
    anyhow = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(
        lt.InvalidInput, match="`model` must be a model that takes images of one"
    ):
        lt.evaluate(anyhow, colored_dir)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_test_photos_is_divided_for_evaluation(colored_dir, tmp_path):
    shutil.copytree(colored_dir / "train", tmp_path / "photos")
    metrics = lt.evaluate(build_color_model(), tmp_path / "photos")
    assert metrics.num_images == 7  # a fifth of 37


def test_tensorboard_is_one_of_the_callbacks(colored_dir, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="needs [tensorboard]")
    flags = ["--tensorboard", "--epochs=1", "--formats=", f"--data_dir={colored_dir}"]
    result = run_script("train", *TOY_FLAGS, *flags, f"--output_dir={tmp_path / 'run'}")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "run" / "tensorboard").rglob("events.out.tfevents*"))


def test_without_tensorboard_it_says_what_to_install(colored_dir, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = lt.TrainConfig(tensorboard=True)
    with pytest.raises(lt.InvalidInput, match="needs tensorboard: .*'.\\[tensorboard"):
        lt.train(colored_dir, config, "run")


def test_the_code_of_the_documentation_runs(colored_dir, tmp_path, capsys):
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    recipe = 'lt.TrainConfig.recipe("mobile")'
    assert code.count(recipe) == 1  # which takes minutes
    (tmp_path / "photos").symlink_to(colored_dir)
    shutil.copy(colored_dir / "test" / "0.red" / "00.jpg", tmp_path / "holiday.jpg")
    names: dict = {"TOY": TOY}
    with contextlib.chdir(tmp_path):
        exec(code.replace(recipe, "TOY"), names)
        assert (tmp_path / "why.png").exists()
        assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    assert names["hardest"] in NAMES and names["best"] in (1e-3, 3e-3)
    parity = json.loads((tmp_path / "saved_models/own/parity.json").read_text())
    assert set(parity) == {"saved_model", "float32", "float16", "int8"}
    assert "Epoch 1/1: " in capsys.readouterr().out
