"""scripts/tag_library.py, as people run it."""

import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from conftest import run_script
from conftest import start_script
from PIL import Image

pytest.importorskip("apache_beam", reason='needs pip install -e ".[beam]"')
pytestmark = pytest.mark.long

MODEL = "model_float32.tflite"


@pytest.fixture(scope="module")
def photos_dir(colored_dir, tmp_path_factory):
    """Some photos many times, and bad ones among them."""
    folder = tmp_path_factory.mktemp("library")
    photos = sorted((colored_dir / "test").glob("*/*.jpg"))
    for index in range(60):
        (folder / f"{index:03}.jpg").symlink_to(photos[index % len(photos)])
    (folder / "020 text.jpg").write_text("not a photo")
    (folder / "040 empty.jpg").touch()
    return folder


def name_flags(model, photos_dir, output_dir):
    return [f"--model={model}", f"--photos={photos_dir}", f"--output_dir={output_dir}"]


def test_two_workers_give_the_answers_of_predict_py(run_dir, photos_dir, tmp_path):
    tags = tmp_path / "tags"
    job = [*name_flags(run_dir, photos_dir, tags), "--num_workers=2", "--top_k=2"]
    result = start_script("tag_library", *job)
    assert (result.returncode, result.stderr) == (0, "")
    line = r": 60 photos tagged and 2 bad; \d+\.\d s, \d+\.\d photos a second\n"
    assert re.fullmatch(re.escape(str(tags)) + line, result.stdout)
    predicted = run_script(
        *("predict", f"--model={run_dir / MODEL}", "--output=json", "--top_k=2"),
        photos_dir,
    )
    lines = predicted.stdout.splitlines()
    for kind, number in (("tags", 60), ("bad", 2)):
        paths = tags.glob(f"{kind}-*-of-*.jsonl")
        found = [line for path in paths for line in path.read_text().splitlines()]
        expected = [line for line in lines if ('"error"' in line) == (kind == "bad")]
        assert len(found) == number
        assert sorted(found) == sorted(expected)


def test_options_after_two_dashes_reach_beam(run_dir, photos_dir, tmp_path):
    tags = tmp_path / "tags"
    result = start_script(
        "tag_library",
        *name_flags(run_dir / MODEL, photos_dir / "00?.jpg", tags),
        *("--output=parquet", "--", "--runner=PortableRunner", "--job_endpoint=embed"),
        "--environment_type=LOOPBACK",
    )
    assert result.returncode == 0, result.stderr
    assert "10 photos tagged and 0 bad" in result.stdout
    assert list(tags.glob("tags-*.parquet"))


def test_a_job_that_was_killed_starts_again(run_dir, tmp_path):
    photos, tags = tmp_path / "library", tmp_path / "tags"
    photos.mkdir()
    # Many and large enough for a job to be killed after its first tags.
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8)
    Image.fromarray(pixels).save(photos / "000.jpg")
    for index in range(1, 450):
        (photos / f"{index:03}.jpg").symlink_to(photos / "000.jpg")
    process = subprocess.Popen(
        [sys.executable, "scripts/tag_library.py", *name_flags(run_dir, photos, tags)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tags.glob("beam-temp-tags-*/*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == "interrupted\n"
    assert process.returncode == 1
    assert not list(tags.glob("tags-*"))
    again = name_flags(run_dir, photos / "00?.jpg", tags)
    refused = run_script("tag_library", *again)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: `output_dir` must be new or empty: delete it or choose another. "
        f"Received: output_dir={tags}\n",
    )
    shutil.rmtree(tags)
    assert "10 photos tagged and 0 bad" in run_script("tag_library", *again).stdout


def test_a_folder_that_cannot_be_written_is_told_in_a_line(run_dir, photos_dir):
    tags = photos_dir / "020 text.jpg" / "tags"
    result = start_script("tag_library", *name_flags(run_dir, photos_dir, tags))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"error: [Errno 20] Not a directory: '{tags}'\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["photos"], "flags start with --. Received: photos"),
        (["--model=nowhere"], "`model` must be a .tflite file or a run folder with"),
        (["--model=other.tflite"], "`model` must be a .tflite file or a run folder"),
        (["--photos=nowhere"], "no photos fit photos=nowhere"),
        (["--photos=unheard-of://x"], "Unable to get filesystem from specified path"),
        (["--top_k=0"], "flag --top_k=0: 0 is not a positive integer"),
        (["--", "--direct_num_workers=x"], "Beam's options: argument --direct_num_w"),
        (["--", "--direct_numbers=2"], "Beam has no such options: direct_numbers"),
        (["--", "--runner=NoRunner"], "Unexpected pipeline runner: NoRunner"),
    ],
)
def test_refuses_in_a_line(run_dir, photos_dir, tmp_path, arguments, message):
    job = name_flags(run_dir / MODEL, photos_dir, tmp_path / "tags")
    result = run_script("tag_library", *job, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "tags").exists()
