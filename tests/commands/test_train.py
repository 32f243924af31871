"""The whole chain, through the scripts as a user runs them."""

import contextlib
import csv
import errno
import importlib.util
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import COLORS
from conftest import ROOT
from conftest import TOY_FLAGS
from conftest import Page
from conftest import build_small_backbone
from conftest import draw
from conftest import draw_classes
from conftest import run_script
from PIL import Image

import landmarks_tf
from landmarks_tf.commands import serve
from landmarks_tf.data import tf_image
from landmarks_tf.export import verify
from landmarks_tf.run import Run
from landmarks_tf.training.checkpoint import CheckpointKeeper

LONG = pytest.mark.long
RUN_FILES = {
    "model.keras",
    "labels.txt",
    "run.flags",
    "split.json",
    "history.csv",
    "curves.png",
    "metrics.json",
    "saved_model",
    "model_float32.tflite",
    "parity.json",
    "vectors",
    "MODEL_CARD.md",
}


def assert_refused(result, message, code=1):
    """One clear line on stderr, no traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert re.search(message, lines[0]), lines[0]


def test_a_run_leaves_every_file_of_the_contract(run_dir):
    files = {path.name for path in run_dir.iterdir()} - {"log.txt"}
    assert files == RUN_FILES
    assert (run_dir / "labels.txt").read_text() == "0.red\n1.green\n2.blue\n"
    with Image.open(run_dir / "curves.png") as image:
        assert min(image.size) > 300
    with open(run_dir / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    metrics = json.loads((run_dir / "metrics.json").read_text())
    sections = {"environment", "training", "calibration", "validation", "test"}
    assert set(metrics) == sections | {"threshold"}
    assert metrics["test"]["num_images"] == 15
    assert 0.05 <= metrics["calibration"]["temperature"] <= 20
    after = metrics["calibration"]["test"]["error_after"]
    assert after == pytest.approx(metrics["test"]["calibration_error"])
    assert metrics["threshold"]["chosen_on"] == {
        "validation_photos": 3,
        "outliers": 0,
    }
    assert metrics["training"]["images_per_second"] > 0
    split = json.loads((run_dir / "split.json").read_text())
    counts = [len(split[name]) for name in ("train", "validation", "test")]
    assert counts == [34, 3, 15]


def test_a_run_tells_what_it_did(run_dir):
    log = (run_dir / "log.txt").read_text()
    assert "ignored 1 file that is not a photo: train/0.red/notes.txt" in log
    assert "photos: 34 train, 3 validation, 15 test" in log
    assert re.search(
        r"^test: top-1 100.0% \(95 % interval 79.6% to 100.0%\)", log, re.M
    )
    # The answer for a test photo, by the file that goes on a phone.
    assert re.search(r"0.red/00.jpg  red +\d+\.\d%\n", log)
    assert log.endswith(f"next: python scripts/serve.py --model={run_dir}\n")


def test_a_phone_gets_the_right_answers(run_dir, colored_dir):
    class_names = (run_dir / "labels.txt").read_text().splitlines()
    interpreter = Interpreter(str(run_dir / "model_float32.tflite"))
    interpreter.allocate_tensors()
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    for name in COLORS:
        with Image.open(colored_dir / "test" / name / "03.jpg") as photo:
            pixels = np.asarray(photo.resize((64, 64)), np.float32) / 255
        interpreter.set_tensor(given["index"], pixels[np.newaxis])
        interpreter.invoke()
        answer = interpreter.get_tensor(got["index"])[0]
        assert class_names[np.argmax(answer)] == name


def test_random_colors_do_not_pass_the_gate(tmp_path):
    data_dir = tmp_path / "photos"
    rng = np.random.default_rng(1)
    for split, count in (("train", 12), ("test", 10)):
        draw_classes(data_dir / split, count, rng, is_random=True)
    output_dir = tmp_path / "run"
    result = run_script(
        "train",
        *TOY_FLAGS,
        f"--data_dir={data_dir}",
        f"--output_dir={output_dir}",
        "--min_accuracy=0.8",
    )
    assert_refused(
        result, r"top-1 \S+% is below --min_accuracy=0.8; nothing is exported", 3
    )
    exports = {"saved_model", "model_float32.tflite", "parity.json"}
    exports |= {"vectors", "MODEL_CARD.md"}
    assert {path.name for path in output_dir.iterdir()} == RUN_FILES - exports


def test_a_place_among_hosts_is_whole_or_not_there(colored_dir, tmp_path):
    flags = [f"--data_dir={colored_dir}", f"--output_dir={tmp_path / 'run'}"]
    message = "needs jax"
    if importlib.util.find_spec("jax"):
        message = "`coordinator_address` must be HOST:PORT"
    result = run_script("train", *TOY_FLAGS, *flags, "--distribution=hosts")
    assert_refused(result, message)
    alone = run_script("train", *TOY_FLAGS, *flags, "--num_hosts=2")
    assert_refused(alone, "`num_hosts` must be left out without --distribution=hosts")


def test_the_page_shows_photos_of_the_run_or_those_drawn_for_it(
    run_dir, colored_dir, tmp_path
):
    find_examples = serve.find_examples
    class_names = tuple((run_dir / "labels.txt").read_text().splitlines())
    photos = find_examples(Run(run_dir), class_names)
    assert {path.parent.name for path in photos} >= set(class_names)
    drawn = find_examples(Run(run_dir), ("other", *class_names[1:]))
    assert {path.parent.name for path in drawn} == {"vectors"}


def test_an_interrupted_run_says_how_to_go_on_and_does(
    colored_dir, tmp_path, monkeypatch
):
    """Killed in earnest, and to the same bits: the long tests."""
    data_dir = tmp_path / "photos"
    shutil.copytree(colored_dir, data_dir)
    flags = [
        *TOY_FLAGS,
        "--preset=small",
        "--epochs=2",
        "--formats=",
        f"--data_dir={data_dir}",
        f"--output_dir={tmp_path / 'run'}",
    ]

    def stop_in_second_epoch(error, *more):
        def on_epoch_begin(self, epoch, logs=None):
            self._begin = time.monotonic()
            if epoch == 1:
                raise error

        with monkeypatch.context() as patch:
            keeper = CheckpointKeeper
            patch.setattr(keeper, "on_epoch_begin", on_epoch_begin)
            result = run_script("train", *flags, *more)
        assert result.returncode == 1
        return result.stderr

    how = (
        "what came after the last finished epoch is lost; go on with the same command "
        "and --resume\n"
    )
    full = OSError(errno.ENOSPC, "No space left on device")
    where = f"(while writing {tmp_path / 'run.unfinished'})"
    assert stop_in_second_epoch(full) == f"error: {full} {where}; {how}"
    said = stop_in_second_epoch(KeyboardInterrupt(), "--resume")
    assert said == f"interrupted: {how}"
    assert_refused(run_script("train", *flags), "holds a run that was stopped: go on")
    Image.new("RGB", (80, 60), "pink").save(data_dir / "train" / "0.red" / "new.png")
    result = run_script("train", *flags, "--resume")
    assert result.returncode == 0, result.stderr
    assert "left out 1 photos that are new, the first: train/0.red/" in result.stdout
    assert "Epoch 2/2" in result.stdout and "Epoch 1/2" not in result.stdout
    again = run_script("train", *flags, "--resume")
    assert (again.returncode, again.stderr) == (0, "")
    assert "is finished: nothing to resume" in again.stdout


# train.py, whose decoded photos are kept on disk: as if there were too many for memory.
WITHOUT_MEMORY = """
import runpy
import sys

from landmarks_tf.data import pixels

sys.path.insert(0, "scripts")
pixels.MEMORY_BUDGET_BYTES = 0
runpy.run_path("scripts/train.py", run_name="__main__")
"""


def kill_when(path, *flags, how=signal.SIGKILL):
    """Starts train.py, ends it when a file or folder is there, and returns its words.

    The file may be there of an earlier kill: it goes first.
    """
    path.unlink(missing_ok=True)
    command = [sys.executable, "-c", WITHOUT_MEMORY, *flags]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    said = process.communicate()[1]
    assert process.returncode == (-how if how == signal.SIGKILL else 1), said
    return said


@LONG
def test_a_killed_run_goes_on_and_repeats_from_its_own_flags(colored_dir, tmp_path):
    """Killed four times; at random moments: benchmarks/kills.py."""
    data_dir = tmp_path / "photos"
    shutil.copytree(colored_dir, data_dir)
    output_dir = tmp_path / "run"
    flags = [
        *TOY_FLAGS,
        "--preset=small",
        "--epochs=8",
        "--augmentation=crop_flip_color",
        "--deterministic",
        "--formats=float32",
        f"--data_dir={data_dir}",
        f"--output_dir={output_dir}",
    ]
    checkpoints = tmp_path / "run.unfinished" / "checkpoints"
    kill_when(checkpoints / "epoch_000001", *flags)
    assert not output_dir.exists()
    kept = list((tmp_path / "run.unfinished" / "pixels").iterdir())
    assert len(kept) == 37

    assert_refused(run_script("train", *flags), "holds a run that was stopped: go on")
    wrong = run_script("train", *flags, "--learning_rate=0.5", "--resume")
    assert_refused(wrong, "started with other flags: --learning_rate=0.")
    kill_when(checkpoints / "unfinished" / "last.keras", *flags, "--resume")
    asked = kill_when(
        checkpoints / "epoch_000004", *flags, "--resume", how=signal.SIGTERM
    )
    assert asked.splitlines()[-1] == (  # with --deterministic TensorFlow notes more
        "interrupted: what came after the last finished epoch is lost; go on with the "
        "same command and --resume"
    )
    checkpoint = max(checkpoints.glob("epoch_*"))
    assert "epoch_000004" <= checkpoint.name < "epoch_000008"
    kill_when(checkpoints.parent / "model.keras", *flags, "--resume")
    new = data_dir / "train" / "0.red" / "new.png"
    Image.new("RGB", (80, 60), "pink").save(new)
    # What comes after the training may be another.
    other = ["--author=A. Founder"]
    resumed = run_script("train", *flags, *other, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    message = "left out 1 photos that are new, the first: train/0.red/new.png\n"
    assert message in resumed.stdout
    assert "Epoch" not in resumed.stdout
    assert "--author=A. Founder\n" in (output_dir / "run.flags").read_text()
    assert not checkpoints.parent.exists()
    files = {path.name for path in output_dir.iterdir()}
    assert files == RUN_FILES - {"saved_model"}

    again = run_script("train", *flags, "--resume")
    assert (again.returncode, again.stderr) == (0, "")
    assert "is finished: nothing to resume" in again.stdout
    assert_refused(run_script("train", *flags), "exists: choose another --output_dir")

    new.unlink()
    repeated_dir = tmp_path / "repeated"
    repeat = [f"--flagfile={output_dir}/run.flags", f"--output_dir={repeated_dir}"]
    repeated = run_script("train", *repeat, "--formats=")
    assert repeated.returncode == 0, repeated.stderr
    names = ("history.csv", "labels.txt", "split.json")
    for name in names:
        assert (repeated_dir / name).read_bytes() == (output_dir / name).read_bytes()
    one, other = (
        keras.models.load_model(path / "model.keras").get_weights()
        for path in (output_dir, repeated_dir)
    )
    for weights, expected in zip(one, other, strict=True):
        assert np.array_equal(weights, expected)
    own_split = f"--split_file={repeated_dir}/split.json"
    assert own_split in (repeated_dir / "run.flags").read_text().splitlines()

    shutil.copy(data_dir / "train/1.green/01.jpg", data_dir / "train/0.red/01.jpg")
    refused = run_script("train", *repeat, "--overwrite")
    assert_refused(refused, "train/0.red/01.jpg has changed since the split of ")


@pytest.mark.parametrize(
    "build",
    [build_small_backbone, pytest.param(keras.applications.MobileNetV2, marks=LONG)],
)
def test_a_transfer_run_trains_a_head_on_features_and_then_the_backbone(
    colored_dir, tmp_path, monkeypatch, build
):
    monkeypatch.setattr(keras.applications, "MobileNetV2", build)
    flags = [
        *TOY_FLAGS,
        "--model=transfer",
        "--backbone_weights=none",
        "--augmentation=crop_flip_color",
        "--fine_tuning_epochs=1",
        "--fine_tuning_from=block_16_project",
        "--training_sizes=32",
        f"--data_dir={colored_dir}",
        f"--output_dir={tmp_path / 'run'}",
    ]
    result = run_script("train", *flags)
    assert result.returncode == 0, result.stderr
    assert "features of 34 train photos: " in result.stdout
    assert "features of 3 validation photos: " in result.stdout
    told = r"^fine-tuning: calibrated validation loss [\d.]+, then [\d.]+: (not )?kept$"
    assert re.search(told, result.stdout, re.M)
    assert re.search(r"^training: 7 epochs, ", result.stdout, re.M)
    assert {path.name for path in (tmp_path / "run").iterdir()} == RUN_FILES


def test_bad_and_leaked_photos_are_skipped_and_an_older_run_is_replaced(
    run_dir, colored_dir, tmp_path
):
    shutil.copytree(run_dir, tmp_path / "run")
    data_dir = tmp_path / "photos"
    shutil.copytree(colored_dir, data_dir)
    shutil.rmtree(data_dir / "test" / "2.blue")
    good = (data_dir / "train/0.red/00.jpg").read_bytes()
    (data_dir / "train/0.red/empty.jpg").write_bytes(b"")
    (data_dir / "train/1.green/half.jpg").write_bytes(good[: len(good) // 2])
    (data_dir / "test/1.green/text.jpg").write_text("not a photo")
    shutil.copy(data_dir / "test/0.red/00.jpg", data_dir / "train/0.red/leak.jpg")
    result = run_script(
        "train",
        *TOY_FLAGS,
        "--epochs=1",
        "--overwrite",
        f"--data_dir={data_dir}",
        f"--output_dir={tmp_path / 'run'}",
    )
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} == RUN_FILES
    assert result.stderr.splitlines() == [
        f"skipped {data_dir}/train/0.red/empty.jpg: empty file",
        f"skipped {data_dir}/train/1.green/half.jpg: damaged (image file is truncated "
        f"({re.search('[0-9]+ bytes', result.stderr)[0]} not processed))",
        f"skipped {data_dir}/test/1.green/text.jpg: not a photo (of JPEG, PNG, WebP, "
        "GIF or BMP format)",
        f"skipped {data_dir}/train/0.red/leak.jpg: the same picture as "
        "test/0.red/00.jpg",
        "left out 4 photos: 3 cannot be read, 1 show what another split shows",
        "warning: no test photos of class 2.blue",
    ]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["num_images"] == 10
    blue = {"num_images": 0, "accuracy": None}
    assert metrics["test"]["per_class"]["2.blue"] == blue
    evaluated = run_script("evaluate", f"--model_dir={tmp_path / 'run'}")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "  no photos  2.blue\n" in evaluated.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--overwrite", f"--output_dir={ROOT}"],
            "is not a run folder: it is not over",
        ),
        (["--data_dir=nowhere"], "no such folder: `data_dir`=nowhere"),
        (["--image_size=-1"], "`image_size` must be .* Received: image_size=-1"),
        (["--epochs=0"], "`epochs` must be a positive integer. Received: epochs=0"),
        (["epochs=3"], "flags start with --. Received: epochs=3"),
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (
            ["--model=transfer", "--backbone_weights=nowhere.h5"],
            "`backbone_weights` must be .* Received: backbone_weights=nowhere.h5",
        ),
        (
            [
                "--model=transfer",
                "--backbone_weights=none",
                "--fine_tuning_epochs=1",
                "--fine_tuning_from=other",
            ],
            "`fine_tuning_from` must be a layer .* Received: fine_tuning_from=other",
        ),
        (
            ["--image_size=1000000"],
            r"decoded photos take \d+\.\d GiB and .*pixels has \d+\.\d GiB free: ",
        ),
    ],
)
def test_train_refuses_in_one_line(colored_dir, tmp_path, flags, message):
    output_dir = tmp_path / "run"
    result = run_script(
        "train",
        *TOY_FLAGS,
        f"--data_dir={colored_dir}",
        f"--output_dir={output_dir}",
        *flags,
    )
    assert_refused(result, message)
    assert not output_dir.exists()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"--flagfile=%s\n--epochs=none\n", "flag --epochs=none: "),  # itself
        (b"\xff\xfe--epochs=3", "a --flagfile is no text in UTF-8: "),
    ],
)
def test_an_odd_flagfile_is_one_line(tmp_path, contents, message):
    path = tmp_path / "own.flags"
    path.write_bytes(contents.replace(b"%s", bytes(path)))
    result = run_script("train", f"--flagfile={path}", "--data_dir=nowhere")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}")


def copy_without_classes(colored_dir, data_dir):
    data_dir.mkdir()
    shutil.copy(colored_dir / "train/0.red/00.jpg", data_dir)


def copy_with_an_empty_class(colored_dir, data_dir):
    shutil.copytree(colored_dir, data_dir)
    (data_dir / "train/3.violet").mkdir()


def copy_with_an_unknown_test_class(colored_dir, data_dir):
    shutil.copytree(colored_dir, data_dir)
    shutil.copytree(data_dir / "test/2.blue", data_dir / "test/3.violet")


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        (copy_without_classes, "photos must hold a folder .* Received: 0 folders$"),
        (copy_with_an_empty_class, "no photos of class 3.violet in "),
        (copy_with_an_unknown_test_class, "3.violet: training never saw this class$"),
    ],
)
def test_train_refuses_odd_folders_and_leaves_them_alone(
    colored_dir, tmp_path, copy, message
):
    data_dir = tmp_path / "photos"
    copy(colored_dir, data_dir)
    before = sorted(tmp_path.rglob("*"))
    result = run_script(
        "train", *TOY_FLAGS, f"--data_dir={data_dir}", f"--output_dir={tmp_path}/run"
    )
    assert_refused(result, message)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_refused_overwrite_leaves_the_run_there(run_dir, colored_dir, tmp_path):
    output_dir = tmp_path / "run"
    shutil.copytree(run_dir, output_dir)
    weights = tmp_path / "other.weights.h5"
    layers = [keras.Input((8,)), keras.layers.Dense(2, name="another")]
    keras.Sequential(layers).save_weights(weights)
    result = run_script(
        "train",
        *TOY_FLAGS,
        "--model=transfer",
        "--overwrite",
        f"--backbone_weights={weights}",
        f"--data_dir={colored_dir}",
        f"--output_dir={output_dir}",
    )
    assert_refused(result, f"{weights} does not hold the weights of MobileNetV2")
    for name in RUN_FILES - {"saved_model", "vectors"}:
        assert (output_dir / name).read_bytes() == (run_dir / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("train", []),
        ("evaluate", ["--model_dir=m"]),
        ("export", ["--model_dir=m"]),
        ("predict", ["--model=m"]),
    ],
)
def test_an_unknown_flag_is_refused_and_help_is_there(name, required):
    result = run_script(name, "--colour=red", *required)
    assert result.returncode == 1
    assert "Unknown command line flag 'colour'" in result.stderr
    assert "Traceback" not in result.stderr
    result = run_script(name, "--help")
    assert "Traceback" not in result.stderr
    assert f"python scripts/{name}.py" in result.stdout
    result = run_script(name, "--version")
    assert result.stdout == f"landmarks_tf {landmarks_tf.__version__}\n"


def test_a_run_folder_with_a_file_missing_is_refused(run_dir, tmp_path):
    whole = tmp_path / "run"
    shutil.copytree(run_dir, whole)
    (whole / "labels.txt").unlink()
    for name, flag in (
        ("evaluate", "--model_dir"),
        ("export", "--model_dir"),
        ("predict", "--model"),
    ):
        photo = [str(run_dir / "curves.png")] if name == "predict" else []
        result = run_script(name, f"{flag}={whole}", *photo)
        assert_refused(result, f"{whole} is not a whole run folder: no labels.txt")
        result = run_script(name, f"{flag}={tmp_path / 'nowhere'}", *photo)
        assert_refused(result, "nowhere")


def test_evaluate_repeats_the_metrics_of_the_run(run_dir, colored_dir, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    before = json.loads((own / "metrics.json").read_text())
    result = run_script("evaluate", f"--model_dir={own}", "--batch_size=4")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"\nreport: {own / 'report.html'}\n")
    page = Page((own / "report.html").read_text(encoding="utf-8"))
    assert set(page.open) <= {"html"}
    assert all(r.startswith("data:image/jpeg;base64,") for r in page.references)
    # The least certain right answers with where the network looks, and worse photos.
    assert len(page.references) == 2 * 12 + 10
    for text in (
        "How good is run?",
        f"its own test photos, in “{colored_dir.name}”",
        "The same 15 photos",
        # Of its own photos as they are the model knows what it is said to know.
        "as it is\n100.0%\n79.6\u2013100.0%",
    ):
        assert text in page.text
    assert "  100.0% of 5    1.green\n" in result.stdout
    assert re.search("^test: top-1 100.0% .*15 photos$", result.stdout, re.M)
    after = json.loads((own / "metrics.json").read_text())
    assert after["test"]["loss"] == pytest.approx(before["test"]["loss"], abs=1e-5)
    result = run_script(
        "evaluate", f"--model_dir={own}", "--split=validation", "--condition_photos=0"
    )
    assert re.search("^validation: .*, 3 photos$", result.stdout, re.M)


def test_two_runs_are_compared_on_photos_that_neither_has_seen(
    run_dir, colored_dir, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(run_dir, other)
    result = run_script("evaluate", f"--compare={run_dir},{other}")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{run_dir}: top-1 100.0%")
    assert lines[-1] == (
        f"of 15 photos 0 are known to {run_dir} alone, 0 to {other} alone: "
        "p = 1 (McNemar's exact test)"
    )
    own_photos = ["--split=train", f"--data_dir={colored_dir}"]
    refused = run_script("evaluate", f"--compare={run_dir},{other}", *own_photos)
    assert_refused(refused, f"{run_dir} was trained on {colored_dir}/train/")
    assert_refused(
        run_script("evaluate", f"--compare={run_dir}"), "must be two run folders"
    )
    (other / "labels.txt").write_text("0.red\n1.green\n2.yellow\n")
    refused = run_script("evaluate", f"--compare={run_dir},{other}")
    assert_refused(refused, "know different landmarks")


def test_evaluate_takes_other_photos_and_leaves_the_run_alone(
    run_dir, colored_dir, tmp_path
):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    before = (own / "metrics.json").read_bytes()
    files = sorted(own.rglob("*"))
    other = tmp_path / "others"
    draw_classes(other, 2, np.random.default_rng(7))
    (other / "0.red" / "bad.jpg").write_text("not a photo")
    result = run_script("evaluate", f"--model_dir={own}", f"--data_dir={other}")
    assert result.returncode == 0, result.stderr
    assert "bad.jpg: not a photo" in result.stderr
    assert "left out 1 photos: 1 cannot be read\n" in result.stderr
    assert re.search("^test: top-1 .*, 6 photos$", result.stdout, re.M)
    assert (own / "metrics.json").read_bytes() == before
    assert "no report: these photos are not the run's own" in result.stdout
    assert sorted(own.rglob("*")) == files
    (other / "9.violet").mkdir()
    result = run_script("evaluate", f"--model_dir={own}", f"--data_dir={other}")
    assert_refused(result, "9.violet: training never saw this class")


def test_a_report_goes_where_it_is_wanted_and_an_old_one_stays_till_then(
    run_dir, tmp_path
):
    own, other = tmp_path / "run", tmp_path / "<others>"
    page = tmp_path / "page.html"
    shutil.copytree(run_dir, own)
    draw_classes(other, 2, np.random.default_rng(7))
    command = ["evaluate", f"--model_dir={own}", f"--data_dir={other}"]
    for place, message in (
        (tmp_path, "`report` must be a file. Received: .*, a folder"),
        (tmp_path / "nowhere" / "page.html", "in a folder that is not there"),
    ):
        assert_refused(run_script(*command, f"--report={place}"), message)
    page.write_text("older")
    flags = [f"--report={page}", "--condition_photos=3"]
    history = own / "history.csv"
    history.write_text("epoch,loss\n1,much\n")
    refused = run_script(*command, *flags)
    assert_refused(refused, "history.csv is damaged: delete it to go on")
    assert page.read_text() == "older"
    history.unlink()
    result = run_script(*command, *flags)
    assert result.returncode == 0, result.stderr
    assert f"report: {page}\n" in result.stdout
    text = Page(page.read_text(encoding="utf-8")).text
    assert "other test photos, in “<others>”" in text and "The same 3 photos" in text
    assert "epoch" not in text
    assert not list(tmp_path.glob("unfinished*"))


def test_export_writes_the_files_again(run_dir, tmp_path):
    own = tmp_path / run_dir.name  # which is written into the files
    shutil.copytree(run_dir, own)
    original = (own / "model_float32.tflite").read_bytes()
    (own / "model_float32.tflite").write_text("damaged")
    shutil.rmtree(own / "saved_model")
    result = run_script("export", f"--model_dir={own}", "--formats=float32")
    assert (result.returncode, result.stderr) == (0, "")
    assert "3 of 3 first answers as the model's" in result.stdout
    assert (own / "model_float32.tflite").read_bytes() == original
    assert not (own / "saved_model").exists()
    # What is said of a file that is not there any more is not said any more.
    assert set(json.loads((own / "parity.json").read_text())) == {"float32"}
    result = run_script("export", f"--model_dir={own}", "--formats=float32,onnx")
    assert_refused(
        result, "`formats` must be of saved_model,float32,.* Received: .*onnx"
    )


def test_export_writes_smaller_files_that_know_every_color(
    run_dir, colored_dir, tmp_path
):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    formats = ("float16", "int8")
    result = run_script(
        "export", f"--model_dir={own}", f"--formats={','.join(formats)}"
    )
    assert (result.returncode, result.stderr) == (0, "")
    parity = json.loads((own / "parity.json").read_text())
    assert set(parity) == {"saved_model", "float32", *formats}
    assert set(parity["saved_model"]["entrances"]) == {"photo_bytes", "images"}
    assert parity["int8"]["made_with"] == "34 calibration photos"
    for name in formats:
        assert parity[name]["faults"] == []
        assert parity[name]["entrances"]["image"]["num_photos"] == 3
        model = own / f"model_{name}.tflite"
        result = run_script(
            "predict",
            f"--model={model}",
            "--top_k=1",
            "--output=csv",
            colored_dir / "test",
        )
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert len(rows) == 15
        for row in rows:
            assert f"/{row['class_name_1']}/" in row["photo"]


def test_the_self_test_of_the_documentation_passes_and_can_fail(run_dir, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    result = run_script("export", f"--model_dir={own}", "--formats=int8,float32")
    assert (result.returncode, result.stderr) == (0, "")
    text = (ROOT / "docs" / "mobile.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    for block in re.findall(r"```\w+\n(.*?)```", text, re.S):
        assert len([line for line in block.splitlines() if line]) < 15

    def check():
        with contextlib.chdir(own):
            exec(code, {})

    check()
    record = json.loads((own / "vectors" / "vectors.json").read_text())
    assert set(record["photos"][0]["probabilities"]) == {
        "model.keras",
        "model_float32.tflite",
        "model_int8.tflite",
    }
    for answers in record["photos"][2]["probabilities"].values():
        answers.reverse()
    (own / "vectors" / "vectors.json").write_text(json.dumps(record))
    with pytest.raises(AssertionError):
        check()


def test_a_run_has_a_model_card(run_dir):
    card = (run_dir / "MODEL_CARD.md").read_text()
    assert card.startswith("# toy run\n\nNames which of 3 landmarks a photo shows.")
    assert "34 photos to train on" in card
    assert "On the 15 test photos, on which nothing was chosen: 100.0%" in card
    assert re.search(
        r"\| `model_float32.tflite` \| \d+\.\d \| \d+\.\d \| 100.0% ", card
    )
    assert "author: unknown; licence: unknown." in card
    assert "$" not in card and card.count("unknown") == 2


def test_a_file_that_answers_otherwise_does_not_leave_the_building(
    run_dir, tmp_path, monkeypatch
):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    monkeypatch.setitem(verify.GATES, "float16", verify.Gate(max_difference=0))
    formats = "--formats=float16,saved_model"
    result = run_script("export", f"--model_dir={own}", formats)
    assert_refused(
        result,
        r"model_float16.tflite is not written: probabilities differ by up to \S+ "
        r"\(at most 0\): train/\S+, train/\S+, train/\S+$",
        code=3,
    )
    assert not (own / "model_float16.tflite").exists()
    assert (own / "saved_model").is_dir()
    faults = json.loads((own / "parity.json").read_text())["float16"]["faults"]
    assert len(faults) == 1
    card = (own / "MODEL_CARD.md").read_text()
    assert "| `model_float16.tflite` not written: probabilities differ" in card


def test_a_wrong_preprocessing_is_found_and_the_photos_are_named(
    run_dir, tmp_path, monkeypatch
):
    """The gate sees what it is there for: blue and red taken for each other."""
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    decode = tf_image.decode
    monkeypatch.setattr(
        tf_image, "decode", lambda contents: decode(contents)[..., ::-1]
    )
    result = run_script("export", f"--model_dir={own}", "--formats=saved_model,float32")
    assert_refused(
        result,
        r"saved_model is not written: 2 of 3 first answers differ .*: "
        r"train/0.red/\S+, train/2.blue/\S+$",
        code=3,
    )
    assert not (own / "saved_model").exists()
    assert (own / "model_float32.tflite").exists()


def test_export_refuses_a_model_that_is_not_of_its_labels(run_dir, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    names = (own / "labels.txt").read_text()
    (own / "labels.txt").write_text(names + "3.violet\n")
    result = run_script("export", f"--model_dir={own}", "--formats=float32")
    assert_refused(result, "has 3 outputs, but there are 4 class names")


@contextlib.contextmanager
def files_limited_to(size):
    """What is written beyond fails, as on a full disk, with an OSError of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@LONG
def test_a_disk_that_is_full_leaves_the_files_that_were_there(run_dir, tmp_path):
    own = tmp_path / "run"
    shutil.copytree(run_dir, own)
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    size = (own / "model_float32.tflite").stat().st_size // 2

    for name in ("float32", "float16", "int8", "saved_model"):
        with files_limited_to(size):
            result = run_script("export", f"--model_dir={own}", f"--formats={name}")
        assert_refused(result, "(?i)(file too large|disk|space|write)")
        after = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
        assert after == before


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_export_needs_the_photos_of_the_run(run_dir, tmp_path, name):
    result = run_script(
        "export",
        f"--model_dir={run_dir}",
        f"--formats={name}",
        f"--data_dir={tmp_path}",
    )
    assert_refused(result, "is gone since the split")


def test_what_is_no_landmark_is_told_apart(run_dir, colored_dir, tmp_path):
    own, outliers = tmp_path / "run", tmp_path / "outliers"
    shutil.copytree(run_dir, own)
    rng = np.random.default_rng(0)
    outliers.mkdir()
    (outliers / "bad.jpg").write_text("not a photo")
    for index in range(20):
        # Between the colours that the network knows.
        draw((110, 110, 110), rng).save(outliers / f"grey{index}.jpg")
    result = run_script("evaluate", f"--model_dir={own}", f"--outliers_dir={outliers}")
    assert result.returncode == 0, result.stderr
    assert "skipped " in result.stderr and "bad.jpg: not a photo" in result.stderr
    metrics = json.loads((own / "metrics.json").read_text())
    record = metrics["threshold"]
    assert record["chosen_on"] == {"validation_photos": 3, "outliers": 10}
    assert (record["test_photos"], record["outliers"]) == (15, 10)
    assert record["unknown_accepted"] <= 0.2 and record["auroc"] >= 0.9
    result = run_script("predict", f"--model={own}", outliers / "grey1.jpg")
    assert re.search(r"/grey1.jpg  no known landmark   most like:\n", result.stdout)
    known = colored_dir / "test" / "2.blue" / "00.jpg"
    result = run_script(
        "predict",
        f"--model={own / 'model_float32.tflite'}",
        "--output=json",
        known,
        outliers / "grey1.jpg",
    )
    answers = [json.loads(line)["is_known"] for line in result.stdout.splitlines()]
    assert answers == [True, False]


def test_outliers_are_refused_before_any_work(run_dir, tmp_path_factory):
    tmp_path, bad = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("bad")
    for name in ("a.jpg", "b.jpg"):
        (bad / name).write_text("not a photo")
    for folder, message in (
        (tmp_path / "nowhere", "no such folder: outliers_dir="),
        (tmp_path, "no photos in the folder"),
        (bad, "less than two photos can be read in "),
    ):
        result = run_script(
            "evaluate", f"--model_dir={run_dir}", f"--outliers_dir={folder}"
        )
        assert_refused(result, message)


def test_uploads_that_were_broken_off_are_swept_away(tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.jpg").touch()
    for path in (tmp_path / "old" / "photo.jpg", tmp_path / "old"):
        os.utime(path, (0, 0))
    naps = iter([None])
    monkeypatch.setattr(serve.time, "sleep", lambda _: next(naps))
    with pytest.raises(StopIteration):
        serve.sweep(tmp_path)
    assert (tmp_path / "new" / "photo.jpg").exists()
    assert not (tmp_path / "old" / "photo.jpg").exists()
