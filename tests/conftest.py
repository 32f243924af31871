"""Shared data: three coloured classes, and one run trained on them."""

import contextlib
import io
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import IO
from typing import TYPE_CHECKING

import filelock
import hypothesis
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    import keras

# A worker a core: threads of their own would only wait for each other.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The same examples in every run: a change that fails is the change that broke it.
hypothesis.settings.register_profile("fixed", derandomize=True)
hypothesis.settings.load_profile("fixed")

ROOT = Path(__file__).parents[1]
COLORS = {"0.red": (200, 30, 30), "1.green": (30, 180, 40), "2.blue": (20, 40, 210)}
TOY_FLAGS = (
    "--preset=reference",
    "--image_size=64",
    "--batch_size=4",
    "--epochs=6",
    "--learning_rate=1e-3",
    # The others take seconds, and have tests of their own.
    "--formats=saved_model,float32",
)


# Tags of HTML that need no end.
UNCLOSED = {"meta", "img", "br", "wbr", "td", "th", "tr"}


class Page(HTMLParser):
    """A page's tags, text and what it refers to; sees that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.references: list[str | None] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.references += [v for k, v in attrs if k in ("src", "href")]
        if tag not in UNCLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in UNCLOSED:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names cases of bytes by their argument.

    They may be long, and hold the time of day, as archives do: two workers that collect
    the tests must call them alike.
    """
    return argname if isinstance(val, bytes) else None


def start_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs scripts/<name>.py in a process of its own, for tests of how it starts."""
    command = [sys.executable, f"scripts/{name}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def run_script(
    name: str, *arguments: object, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Runs scripts/<name>.py from the project's root, in this process.

    Returns:
        what the same command in a process of its own would: exit code and output,
        native code's output too.
    """
    path = ROOT / "scripts" / f"{name}.py"
    if "keras" in sys.modules:
        # Layers are named as in a new process. Memory is left as it is: to search it
        # takes a second, where many tests ran before.
        sys.modules["keras"].utils.clear_session(free_memory=False)
        # Once a process TensorFlow notes, uncaught, that there is no GPU.
        sys.modules["tensorflow"].config.list_logical_devices()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(ROOT))
        stack.enter_context(_signals_kept())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys, "argv", [f"scripts/{name}.py", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        out, err = (stack.enter_context(_captured(name)) for name in _STREAMS)
        try:
            runpy.run_path(str(path), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        said = (os.pread(file.fileno(), 2**24, 0).decode() for file in (out, err))
        return subprocess.CompletedProcess(sys.argv, code, *said)


_STREAMS = {"stdout": 1, "stderr": 2}


@contextlib.contextmanager
def _captured(name: str) -> Iterator[IO[bytes]]:
    """Gives a file that takes a standard stream, of Python and of native code."""
    getattr(sys, name).flush()
    number = _STREAMS[name]
    kept = os.dup(number)
    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        os.dup2(file.fileno(), number)
        stream = open(number, "w", encoding="utf-8", closefd=False)
        patch.setattr(sys, name, stream)
        try:
            yield file
        finally:
            os.dup2(kept, number)
            os.close(kept)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def draw(color: tuple[int, ...], rng: np.random.Generator) -> Image.Image:
    """Returns a photo of one noisy colour, of a random size."""
    height, width = rng.integers(60, 120, 2)
    noise = rng.normal(0, 25, (height, width, 3))
    return Image.fromarray(np.clip(noise + color, 0, 255).astype(np.uint8))


def draw_classes(
    folder: Path, count: int, rng: np.random.Generator, is_random: bool = False
) -> None:
    """Draws `count` JPEGs a class, in the class's color or each in any of them."""
    palette = list(COLORS.values())
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            chosen = palette[rng.integers(len(palette))] if is_random else color
            draw(chosen, rng).save(folder / name / f"{index:02}.jpg")


def build_small_backbone(
    weights: str | None, include_top: bool, input_shape: tuple[int | None, ...]
) -> "keras.Model":
    """Stands for a network of keras.applications where seconds count."""
    import keras

    images = outputs = keras.Input(input_shape)
    for name in ("Conv1", "block_16_project", "Conv_1"):
        layer = keras.layers.Conv2D(16, 3, 2, "same", use_bias=False, name=name)
        outputs = keras.layers.BatchNormalization(name=f"{name}_bn")(layer(outputs))
        outputs = keras.layers.ReLU()(outputs)
    return keras.Model(images, outputs)


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run see."""
    base_dir = tmp_path_factory.getbasetemp()
    return base_dir.parent if "PYTEST_XDIST_WORKER" in os.environ else base_dir


@pytest.fixture(scope="session")
def colored_dir(shared_dir: Path) -> Path:
    """train/ and test/ of three colours, a PNG among them and a stray text file."""
    data_dir = shared_dir / "colored photos"
    with filelock.FileLock(shared_dir / "colored.lock"):
        if not data_dir.exists():
            rng = np.random.default_rng(0)
            draw_classes(data_dir / "train", 12, rng)
            draw_classes(data_dir / "test", 5, rng)
            draw(COLORS["0.red"], rng).save(data_dir / "train" / "0.red" / "extra.png")
            (data_dir / "train" / "0.red" / "notes.txt").write_text("not a photo")
    return data_dir


@pytest.fixture(scope="session")
def run_dir(colored_dir: Path, shared_dir: Path) -> Path:
    """The run folder of scripts/train.py on the coloured classes. Read only."""
    output_dir = shared_dir / "runs" / "toy run"
    with filelock.FileLock(shared_dir / "run.lock"):
        if not output_dir.exists():
            result = run_script(
                "train",
                *TOY_FLAGS,
                f"--data_dir={colored_dir}",
                f"--output_dir={output_dir}",
                "--min_accuracy=0.8",
            )
            assert result.returncode == 0, result.stderr
            (output_dir / "log.txt").write_text(result.stdout)
    return output_dir
