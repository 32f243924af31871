"""Shared data: three coloured classes, and one run trained on them."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import hypothesis
import numpy as np
import pytest
from absl import flags
from PIL import Image

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


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs scripts/<name>.py as a user would, from the project's root."""
    command = [sys.executable, f"scripts/{name}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def import_script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of scripts/ into this process."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    flags.FLAGS.mark_as_parsed()
    return importlib.import_module


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


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def colored_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ and test/ of three colours, a PNG among them and a stray text file."""
    rng = np.random.default_rng(0)
    data_dir = tmp_path_factory.mktemp("colored photos")
    draw_classes(data_dir / "train", 12, rng)
    draw_classes(data_dir / "test", 5, rng)
    draw(COLORS["0.red"], rng).save(data_dir / "train" / "0.red" / "extra.png")
    (data_dir / "train" / "0.red" / "notes.txt").write_text("not a photo")
    return data_dir


@pytest.fixture(scope="session")
def run_dir(colored_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of scripts/train.py on the coloured classes. Read only."""
    output_dir = tmp_path_factory.mktemp("runs") / "toy run"
    assert not output_dir.exists()
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
