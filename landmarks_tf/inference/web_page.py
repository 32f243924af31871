"""The page in the browser that names the landmarks of photos, drawn by Gradio.

A photo that is uploaded is removed from the disk before it is answered.
"""

import base64
import contextlib
import functools
import io
import threading
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio
import gradio.utils
import numpy as np
from PIL import Image

from landmarks_tf.data.photo import resize
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.names import suggestion
from landmarks_tf.page import encode_thumbnail
from landmarks_tf.page import escape_markdown
from landmarks_tf.page import show_picture

# Landmarks on the page.
_TOP_K = 5
_NUM_SUGGESTED = 3
_SHOWN_SIDE = 1024
_EXAMPLE_SIDE = 120
_MAX_NAMES = 200
# Below, a landmark is not worth asking about, unless it is the likeliest.
_MIN_PROBABILITY = 0.05
# Seconds until a photo is forgotten that is shown in a browser.
_STATE_AGE = 3600
# Uploads that are remembered, for others who upload the same at the same time.
_NUM_UPLOADS = 8
_TITLE = "Which landmark is this?"
_HINT = "Drop, paste or photograph a picture of a landmark."
STYLE = "#shown img { max-height: 28rem; max-width: 100%; border-radius: 8px; }"

# Reads a photo, or tells by InvalidInput why it cannot be read.
Reader = Callable[[bytes | Path], Image.Image]
# The pixels that were answered, and what the page shows, a JPEG in Base64.
Shown = tuple[np.ndarray, str]


@dataclass(frozen=True)
class About:
    """What the page tells of a model.

    Attributes:
        name: of the model.
        card: of the model, in Markdown.
        examples: photo files to try it on; those that cannot be read are left out.
    """

    name: str
    card: str = ""
    examples: Sequence[Path] = ()


def build_page(classifier: Classifier, read: Reader, about: About) -> gradio.Blocks:
    """Returns the page of a classifier.

    Args:
        classifier: that answers.
        read: reads what is uploaded.
        about: the model.
    """
    answers = _Answers(classifier, read)
    thumbnails = _load_thumbnails(about.examples, read)
    examples = list(thumbnails)
    with gradio.Blocks(title=_TITLE, analytics_enabled=False) as page:
        gradio.Markdown(f"# {_TITLE}\n{_HINT}")
        shown = gradio.State(None, time_to_live=_STATE_AGE)
        with gradio.Row():
            with gradio.Column():
                upload = gradio.Image(
                    type="filepath",
                    sources=["upload", "webcam", "clipboard"],
                    label="Photo",
                    height=260,
                )
            with gradio.Column():
                sentence = gradio.Markdown(elem_id="answer")
                picture = gradio.HTML(elem_id="shown", padding=False)
                bars = gradio.Label(
                    label="Most like", show_heading=False, visible=False
                )
                button = gradio.Button("Where does it look?", visible=False)
        picked = gradio.Dataset(
            components=[gradio.HTML(render=False)],
            samples=[[thumbnail] for thumbnail in thumbnails.values()],
            label="Examples",
            type="index",
            layout="gallery",
            visible=bool(thumbnails),
        )
        _describe(about, classifier.names)
        outputs = [sentence, picture, bars, shown, button]
        options: dict[str, Any] = {
            "scroll_to_output": True,
            "show_progress": "minimal",
            "api_visibility": "private",
            "concurrency_id": "answers",
        }
        # Gradio does not read the upload: it knows fewer kinds of photos.
        upload.input(
            answers.answer_upload,
            upload,
            [*outputs, upload],
            preprocess=False,
            **options,
        )
        picked.click(
            lambda index: answers.answer(examples[index]), picked, outputs, **options
        )
        button.click(answers.explain, shown, [picture], **options)
    return page


def _describe(about: About, known: Sequence[str]) -> None:
    """Adds to the page what is known of the model."""
    with gradio.Accordion("About this model", open=False):
        more = len(known) - _MAX_NAMES
        rest = f" and {more} more" if more > 0 else ""
        names = escape_markdown(", ".join(known[:_MAX_NAMES]))
        gradio.Markdown(f"**{escape_markdown(about.name)}** knows {names}{rest}.")
        if about.card:
            gradio.Markdown(about.card)


class _Answers:
    """What the page says to what a browser does."""

    def __init__(self, classifier: Classifier, read: Reader) -> None:
        self._classifier = classifier
        self._read = read
        self._lock = threading.Lock()

    def answer_upload(self, sent: dict | None) -> tuple:
        if sent is None:
            return (gradio.skip(),) * 6
        with self._lock:
            contents = take_upload(Path(sent["path"]))
        return (*self.answer(contents), None)

    def answer(self, photo: bytes | Path) -> tuple:
        """Returns sentence, picture, bars, state and button."""
        try:
            picture = self._read(photo)
        except InvalidInput as error:
            reason = escape_markdown(_capitalize(str(error).partition(": ")[2]))
            sentence = f"## This file cannot be read\n{reason}."
            hidden = gradio.Label(visible=False), None, gradio.Button(visible=False)
            return (sentence, "", *hidden)
        pixels = np.asarray(resize(picture, self._classifier.image_size))
        prediction = self._classifier.predict_landmarks(pixels, _TOP_K)
        data = encode_thumbnail(picture, _SHOWN_SIDE)
        likely = [
            name for name, p in prediction[:_NUM_SUGGESTED] if p >= _MIN_PROBABILITY
        ]
        sentence = suggestion(likely or [prediction[0][0]], prediction.is_known)
        answer = escape_markdown(_capitalize(prediction.answer))
        return (
            f"## {answer}\n{escape_markdown(sentence)}",
            show_picture(data, "The photo"),
            gradio.Label(dict(prediction), visible=True),
            (pixels, data),
            gradio.Button(visible=self._classifier.find_heat is not None),
        )

    def explain(self, shown: Shown | None) -> str:
        if shown is None:
            return ""
        pixels, data = shown
        picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        overlay = self._classifier.explain_pixels(pixels, picture)
        description = "The photo, red where it speaks most for the answer"
        drawn = show_picture(encode_thumbnail(overlay, _SHOWN_SIDE), description)
        return f"{drawn}<p>Warm colours: what speaks for the first answer.</p>"


def take_upload(path: Path) -> bytes:
    """Returns the contents of a file that was uploaded, and removes it.

    Args:
        path: as a browser says, which may say anything.

    Raises:
        PermissionError: if it is no file of Gradio's folder of uploads.
    """
    folder = Path(gradio.utils.get_upload_folder()).resolve()
    if path.is_symlink() or folder not in path.resolve().parents:
        raise PermissionError(f"{path} was not uploaded")
    try:
        return _read_once(path)
    finally:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or gone already
            path.parent.rmdir()


@functools.lru_cache(maxsize=_NUM_UPLOADS)
def _read_once(path: Path) -> bytes:
    # Gradio names the folder of an upload by its contents: the same path, the same
    # photo, which another browser may have asked about and removed already.
    return path.read_bytes()


def _load_thumbnails(paths: Sequence[Path], read: Reader) -> dict[Path, str]:
    thumbnails: dict[Path, str] = {}
    for path in paths:
        with contextlib.suppress(InvalidInput):
            data = encode_thumbnail(read(path), _EXAMPLE_SIDE)
            thumbnails[path] = show_picture(data, "An example")
    return thumbnails


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
