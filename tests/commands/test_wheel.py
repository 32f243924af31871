"""The wheel, installed elsewhere: every verb of `landmarks` runs once."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from archive_server import Server
from conftest import ROOT
from conftest import TOY_FLAGS

pytestmark = pytest.mark.long


# What a user's shell has: no way to the checkout.
VARIABLES = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh virtual environment with the wheel, and the packages that are here.

    Of these .pth files are not read, so not that of an editable install.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder]
    subprocess.run([*wheel, ROOT], check=True, cwd=folder)
    venv.create(folder / "venv", with_pip=False)
    paths = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    here = sysconfig.get_path("purelib")
    (packages / "packages.pth").write_text(f"{here}\n")
    (wheel_file,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--no-deps", wheel_file]
    subprocess.run(install, check=True, cwd=folder, env=VARIABLES)
    return folder


@pytest.fixture(scope="module")
def landmarks(environment):
    """Runs `landmarks ARGUMENTS` in a folder of its own, and returns what it prints."""

    def run(*arguments, code=0):
        command = [environment / "venv" / "bin" / "landmarks", *map(str, arguments)]
        result = subprocess.run(
            command, cwd=environment, env=VARIABLES, capture_output=True, text=True
        )
        assert result.returncode == code, result.stderr
        return result.stdout

    run.command = environment / "venv" / "bin" / "landmarks"
    return run


@pytest.fixture(scope="module")
def trained(landmarks, environment, colored_dir):
    flags = [*TOY_FLAGS, "--formats=float32", f"--data_dir={colored_dir}"]
    assert "test: top-1 " in landmarks("train", *flags, "--output_dir=run")
    return environment / "run"


def test_the_wheel_is_what_is_imported(environment):
    code = "import landmarks_tf; print(landmarks_tf.__file__)"
    python = [environment / "venv" / "bin" / "python", "-c", code]
    file = subprocess.check_output(python, cwd=environment, env=VARIABLES, text=True)
    assert Path(file.strip()).is_relative_to(environment / "venv")


def test_it_says_what_it_can(landmarks):
    text = landmarks("--help")
    for verb in "train evaluate export predict check serve tag download".split():
        assert f"  {verb} " in text
    assert landmarks("--version").startswith("landmarks_tf ")
    assert "flags that all need first:\n  --data_dir" in landmarks("train", "--help")


def test_a_run_is_evaluated_exported_and_predicts(landmarks, trained, colored_dir):
    assert "report: run/report.html" in landmarks("evaluate", "--model_dir=run")
    exported = landmarks("export", "--model_dir=run", "--formats=float16")
    assert "wrote model_float16.tflite" in exported
    photo = colored_dir / "test" / "2.blue" / "00.jpg"
    for model in ("run", "run/model_float32.tflite"):
        assert "blue" in landmarks("predict", f"--model={model}", photo)


def test_photos_are_checked_and_downloaded(landmarks, colored_dir):
    # Some photos are too small, which is a problem.
    text = landmarks("check", f"--data_dir={colored_dir}", code=1)
    assert "52 photos, 52 readable" in text
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in colored_dir.glob("*/*/*.jpg"):
            archive.write(path, path.relative_to(colored_dir))
    server = Server(file.getvalue())
    running = server.running()
    next(running)
    flags = [f"--url={server.url}", "--data_dir=photos"]
    assert "51 photos, 51 readable" in landmarks("download", *flags, code=1)
    assert not list(running)


def test_a_library_is_tagged(landmarks, trained, environment, colored_dir):
    flags = [f"--photos={colored_dir / 'test'}", "--output_dir=tags"]
    told = landmarks("tag", "--model=run/model_float32.tflite", *flags)
    assert "tags: 15 photos tagged and 0 bad" in told


def test_a_run_is_served(landmarks, trained, environment, colored_dir):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    photo = (colored_dir / "test" / "0.red" / "00.jpg").read_bytes()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", photo)
    command = [landmarks.command, "serve", "--model=run", f"--port={port}"]
    server = subprocess.Popen(command, cwd=environment, env=VARIABLES)
    end = time.monotonic() + 120
    try:
        while time.monotonic() < end and server.poll() is None:
            with contextlib.suppress(urllib.error.URLError):  # it is not there yet
                with urllib.request.urlopen(request) as response:
                    assert b'"red"' in response.read()
                    return
            time.sleep(0.2)
        pytest.fail("the server has not come")
    finally:
        server.terminate()
        server.wait()
