"""Several devices on one host: two logical CPUs stand for two GPUs."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT
from conftest import TOY_FLAGS

from landmarks_tf.training import distribution

TWO_DEVICES = """
import sys
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
"""
# No dropout: each device drops other values than one alone would.
TRAIN = """
import json
from pathlib import Path

import keras
import numpy as np

from landmarks_tf.config import TrainConfig
from landmarks_tf.training import distribution
from landmarks_tf.training import fit

rng = np.random.default_rng(0)
images = rng.random((24, 32, 32, 3), np.float32)
labels = tf.constant(rng.integers(0, 3, 24), tf.int32)
examples = tf.data.Dataset.from_tensor_slices((images, labels)).batch(6)
options = TrainConfig(epochs=5, batch_size=6, learning_rate=1e-3)


def build():
    layers = [
        keras.Input((32, 32, 3)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.MaxPooling2D(4),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return keras.Sequential(layers)


devices = distribution.list_devices()
result = {"devices": len(devices)}
for name, used in (("one", devices[:1]), ("two", devices)):
    folder = Path(sys.argv[1]) / name
    with distribution.on_devices(used):
        state = fit.train_model(
            fit.Stage(
                build,
                options,
                lambda epoch: examples.repeat(options.epochs - epoch),
                examples,
                folder,
            )
        )
        model = fit.load_best_model(build, folder)
    model = distribution.to_one_device(model)
    result[name] = [[row["loss"], row["val_loss"]] for row in state.history]
    result[name].append(model.predict(images, verbose=0).ravel().tolist())
print(json.dumps(result))
"""
# Runs of train.py, one after the other: TensorFlow starts once.
RUNS = """
import json

tf.config.list_logical_devices()
# Only now: it gives TensorFlow one thread, which two devices would share.
sys.path.insert(0, "tests")
from conftest import run_script

results = [run_script("train", *flags) for flags in json.loads(sys.argv[1])]
print(json.dumps([[run.returncode, run.stdout, run.stderr] for run in results]))
"""


def run_on_two_devices(program, argument):
    command = [sys.executable, "-c", TWO_DEVICES + program, str(argument)]
    # The tests' workers have one thread each, which two devices would share.
    own = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    result = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.long
def test_two_devices_learn_what_one_learns_in_20_steps(tmp_path):
    result = run_on_two_devices(TRAIN, tmp_path)
    assert result["devices"] == 2
    for one, two in zip(result["one"], result["two"], strict=True):
        assert two == pytest.approx(one, abs=1e-4)
    losses = [row[0] for row in result["two"][:-1]]
    assert losses[-1] < losses[0] - 0.02


@pytest.mark.long
def test_a_run_on_two_devices_is_a_run_as_any_other(colored_dir, tmp_path):
    output_dir = tmp_path / "run"
    flags = [
        *(*TOY_FLAGS, "--formats=float32", "--epochs=1"),
        *(f"--data_dir={colored_dir}", "--validation_fraction=0.25"),
    ]
    odd = [*flags, "--batch_size=5", f"--output_dir={tmp_path / 'odd'}"]
    even = [*flags, "--batch_size=6", f"--output_dir={output_dir}"]
    # In this order: the second strategy of a process cannot train.
    refused, trained = run_on_two_devices(RUNS, json.dumps([odd, even]))
    wanted = "`batch_size` must be a multiple of the 2 devices. Received: batch_size=5"
    assert refused[0] == 1 and wanted in refused[2]
    code, said, errors = trained
    assert code == 0, errors
    assert "training on 2 devices at a time" in said
    parity = json.loads((output_dir / "parity.json").read_text())
    assert parity["float32"]["faults"] == []


def test_a_copy_on_one_device_normalizes_as_the_model_does():
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Normalization()])
    model.layers[0].adapt(images)
    copy = distribution.to_one_device(model)
    expected = model.predict(images, verbose=0)
    np.testing.assert_array_equal(copy.predict(images, verbose=0), expected)
