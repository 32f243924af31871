"""What scripts/watching.py makes of a pipeline's end."""

import threading

import pytest

from landmarks_tf.errors import InvalidInput


@pytest.fixture
def watching(import_script):
    return import_script("watching")


class NoFolder:
    """A job's folder that nobody looks into: there is no terminal."""


@pytest.fixture(autouse=True)
def hook(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def test_what_a_pipeline_returns_comes_back(watching):
    assert watching.watch(lambda: {"tags": 3}, NoFolder(), True) == {"tags": 3}


@pytest.mark.parametrize("kind", ["OSError", "PermissionError", "InvalidInput"])
def test_a_full_disk_is_told_in_a_line(watching, kind):
    def run():
        raise RuntimeError(
            "Traceback (most recent call last):\n  File ...\n"
            f"RuntimeError: {kind}: [Errno 28] No space left [while running 'Write']\n"
        )

    with pytest.raises(InvalidInput) as raised:
        watching.watch(run, NoFolder(), True)
    assert str(raised.value) == "[Errno 28] No space left [while running 'Write']"


def test_a_defect_keeps_its_traceback(watching):
    with pytest.raises(ZeroDivisionError):
        watching.watch(lambda: 1 / 0, NoFolder(), True)


def test_a_killed_worker_ends_the_wait(watching):
    """Beam's own thread for a worker ends with an error, and its pipeline never."""
    never = threading.Event()

    def wait_for_process():
        raise RuntimeError("Worker subprocess exited with return code 137")

    def run():
        threading.Thread(name="run_worker", target=wait_for_process).start()
        never.wait()

    with pytest.raises(InvalidInput, match="a worker is gone, .*code 137"):
        watching.watch(run, NoFolder(), True)
    never.set()
