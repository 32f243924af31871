"""scripts/predict.py, asked as people and programs ask it."""

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys

import keras
import pytest
from conftest import ROOT
from conftest import run_script
from PIL import Image

from landmarks_tf.data.photo import load_images
from landmarks_tf.inference import output
from landmarks_tf.inference.prediction import Prediction

TFLITE = "model_float32.tflite"


@pytest.fixture(scope="module")
def question(colored_dir, tmp_path_factory):
    """A photo, three bad files and a folder of photos, to ask about."""
    folder = tmp_path_factory.mktemp("question")
    (folder / "deeper").mkdir()
    shutil.copy(colored_dir / "test/0.red/00.jpg", folder / "deeper" / "r.jpg")
    shutil.copy(colored_dir / "test/2.blue/00.jpg", folder / "b.jpg")
    green = colored_dir / "test/1.green/00.jpg"
    bad_dir = tmp_path_factory.mktemp("bad")
    (bad_dir / "text.jpg").write_text("not a photo")
    (bad_dir / "empty.jpg").write_bytes(b"")
    (bad_dir / "half.jpg").write_bytes(green.read_bytes()[:700])
    return [green, *sorted(bad_dir.iterdir()), folder]


@pytest.mark.parametrize("model", ["", TFLITE])
def test_bad_photos_are_named_and_the_others_answered(run_dir, question, model):
    result = run_script(
        "predict", f"--model={run_dir / model}", "--top_k=2", "--output=csv", *question
    )
    assert result.returncode == 1
    assert re.fullmatch(
        r"error: \S+/empty.jpg: empty file\n"
        r"error: \S+/half.jpg: damaged \(.*\)\n"
        r"error: \S+/text.jpg: not a photo .*\n",
        result.stderr,
    )
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    names = [row["name_1"] for row in rows]
    assert names == ["green", "", "", "", "blue", "red"]
    assert [row["class_name_1"] for row in rows[4:]] == ["2.blue", "0.red"]
    assert [bool(row["error"]) for row in rows] == [False, True, True, True] + [
        False
    ] * 2
    assert list(rows[0]) == [
        *("photo", "is_known", "name_1", "class_name_1", "probability_1"),
        *("name_2", "class_name_2", "probability_2", "error"),
    ]


def test_answers_are_those_of_a_program_with_keras_alone(run_dir, question):
    result = run_script("predict", f"--model={run_dir}", "--output=json", *question)
    assert result.returncode == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) == 6
    model = keras.models.load_model(run_dir / "model.keras")
    class_names = (run_dir / "labels.txt").read_text().splitlines()
    for record in records:
        if "error" in record:
            assert record["error"].startswith(f"{record['photo']}: ")
            continue
        images = load_images([record["photo"]], (64, 64))
        (probabilities,) = model.predict(images, verbose=0)
        for landmark in record["landmarks"]:
            expected = probabilities[class_names.index(landmark["class_name"])]
            assert landmark["probability"] == pytest.approx(expected, abs=1e-6)
            assert landmark["name"] == landmark["class_name"][2:]


def test_a_table_for_people(run_dir, question):
    result = run_script("predict", f"--model={run_dir}", "--top_k=2", question[0])
    width = len(str(question[0]))
    assert re.fullmatch(
        rf"photo {{{width - 3}}}landmark           probability\n"
        rf"{question[0]}  green +\d+\.\d%\n"
        rf" {{{width + 2}}}(red|blue) +\d+\.\d%\n",
        result.stdout,
    )


def test_the_table_fits_the_terminal(run_dir, tmp_path):
    shutil.copy(run_dir / TFLITE, tmp_path)
    names = ("A_landmark_with_a_name_longer_than_most", "\x1b[31mred", "長城")
    (tmp_path / "labels.txt").write_text("\n".join(names))
    folder = tmp_path / "a folder whose name is longer than terminals are wide today"
    folder.mkdir()
    Image.new("RGB", (64, 64), (20, 40, 210)).save(folder / "last part.png")
    command = ["scripts/predict.py", f"--model={tmp_path / TFLITE}", str(folder)]
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=theirs,
        env=os.environ | {"COLUMNS": "60"},
        check=True,
    )
    os.close(theirs)
    lines = os.read(ours, 9999).decode().splitlines()
    os.close(ours)
    assert len(lines) == 4
    for line in lines:
        assert len(line) + line.count("長城") * 2 <= 60, line
    assert "\x1b" not in "".join(lines)
    assert lines[1].startswith("…") and "last part.png" in lines[1]


def test_patterns_and_stdin(run_dir, colored_dir):
    pattern = f"{colored_dir}/test/[02]*/00.jpg"
    green = (colored_dir / "test/1.green/00.jpg").read_bytes()
    result = run_script(
        "predict",
        f"--model={run_dir / TFLITE}",
        "--output=json",
        pattern,
        "-",
        stdin=green,
    )
    assert (result.returncode, result.stderr) == (0, "")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["landmarks"][0]["name"] for record in records] == [
        "red",
        "blue",
        "green",
    ]
    assert records[2]["photo"] == "-"


def test_overlays_are_as_large_as_their_photos(
    run_dir, colored_dir, question, tmp_path
):
    result = run_script(
        "predict",
        f"--model={run_dir}",
        f"--explain={tmp_path / 'over' / 'lays'}",
        *(f"{colored_dir}/test/{name}/00.jpg" for name in ("0.red", "1.green")),
        question[1],
    )
    assert result.returncode == 1
    written = sorted(path.name for path in (tmp_path / "over" / "lays").iterdir())
    assert written == ["00-2.explained.png", "00.explained.png"]
    with Image.open(tmp_path / "over" / "lays" / "00.explained.png") as overlay:
        with Image.open(colored_dir / "test/0.red/00.jpg") as photo:
            assert overlay.size == photo.size


def test_whoever_reads_may_stop(run_dir, colored_dir):
    command = f"{sys.executable} scripts/predict.py --model='{run_dir / TFLITE}'"
    photos = " ".join(["'{}'".format(colored_dir / "test")] * 60)
    result = subprocess.run(
        f"set -o pipefail; {command} {photos} | head -n 1",
        cwd=ROOT,
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("photo ")


def test_photos_are_not_written_over(run_dir, tmp_path):
    photo = tmp_path / "a.png"
    Image.new("RGB", (64, 64), (20, 40, 210)).save(photo)
    before = photo.read_bytes()
    command = "predict", f"--model={run_dir}", f"--explain={tmp_path}", photo
    assert run_script(*command).returncode == 0
    assert photo.read_bytes() == before


def test_names_move_no_cursor(run_dir, tmp_path):
    (tmp_path / "a\n\x1b[31merror.jpg").write_text("not a photo")
    result = run_script("predict", f"--model={run_dir / TFLITE}", tmp_path)
    assert result.stderr.count("\n") == 1 and "\x1b" not in result.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "name at least one photo or folder of photos"),
        (["nowhere/*.jpg"], "no file or folder fits nowhere/*.jpg"),
        (["-", "-"], "`-` stands for one photo on stdin: name it once"),
        (["a.jpg", "--explain=folder"], "`explain` needs a .keras model"),
    ],
)
def test_refuses_what_cannot_be_done(run_dir, arguments, message):
    result = run_script("predict", f"--model={run_dir / TFLITE}", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_a_table_cuts_paths_first_then_names(monkeypatch):
    """In a terminal of 40 columns; a real one: the table that fits the terminal."""
    file = io.StringIO()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(file, "isatty", lambda: True, raising=False)
    names = ["a landmark whose name is long", "tower"]
    photos = ["folder/of/many/photos/001.jpg", "b.jpg"]
    write = output.make_writer("table", photos, names, 2, file)
    write(photos[0], Prediction([(n, n, 0.5) for n in names], is_known=True))
    write(photos[1], Prediction([("tower", "tower", 0.25)], is_known=False))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith("…") and lines[1].endswith("50.0%")
    assert "no known" in lines[3] and lines[4].endswith("25.0%")
