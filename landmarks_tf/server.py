"""A page in the browser that names landmarks, and the same for other programs.

Gradio draws the page, FastAPI answers `POST /predict`. Nothing that is sent stays on
disk after its answer, and the page loads nothing from elsewhere.
"""

import base64
import html
import io
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import anyio
import fastapi
import gradio
from fastapi.responses import JSONResponse
from PIL import Image

from landmarks_tf import photo_input
from landmarks_tf import wording
from landmarks_tf.classifier import Classifier
from landmarks_tf.classifier import shrink
from landmarks_tf.errors import InvalidInput

# Of landmarks on the page.
_TOP_K = 5
_NUM_SUGGESTED = 3
# Questions that may wait for their turn.
_MAX_WAITING = 256
_BYTES_PER_MB = 1024 * 1024
# Seconds until what an upload left behind, that became no question, is removed.
_CACHE_AGE = 60
# Seconds until a photo is forgotten that is shown in a browser.
_STATE_AGE = 3600
# Width and height in pixels, at most.
_THUMBNAIL = (120, 80)
# The browser itself asks nobody else.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'self'"
)
# Where Gradio serves what was uploaded.
_FILES = "/gradio_api/file="
_NO_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_HINT = "Drop, paste or photograph a picture of a landmark."
_STYLE = "#shown img { max-height: 28rem; max-width: 100%; border-radius: 8px; }"


def build_app(
    classifier: Classifier,
    title: str,
    card: str = "",
    examples: Sequence[Path] = (),
    max_megabytes: float = 20,
    max_megapixels: float = 50,
    num_workers: int = 2,
) -> fastapi.FastAPI:
    """Returns the web application of a classifier.

    Args:
        classifier: that answers.
        title: of the page.
        card: of the model, in Markdown.
        examples: photo files to try it on.
        max_megabytes: of a photo; of 1,048,576 bytes.
        max_megapixels: of a photo; of 1,000,000 pixels.
        num_workers: photos that are answered at a time; the others wait.
    """
    max_pixels = int(max_megapixels * 1e6)

    def read(photo: bytes | Path) -> Image.Image:
        return photo_input.open_photo(photo, max_pixels)

    app = fastapi.FastAPI(title=title, docs_url=None, redoc_url=None)
    app.post("/predict", summary="Names the landmarks of a photo, sent as the body")(
        _make_endpoint(classifier, read, max_megabytes, num_workers)
    )

    @app.middleware("http")
    async def keep_to_ourselves(
        request: fastapi.Request,
        call_next: Callable[[fastapi.Request], Awaitable[fastapi.Response]],
    ) -> fastapi.Response:
        if _FILES in request.url.path:
            # The browser would show an upload before its answer: it is being removed.
            return fastapi.Response(_NO_PICTURE, media_type="image/svg+xml")
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    page = _build_page(classifier, read, title, card, examples)
    # As `launch` does, which is not called here: only then is a browser refused that
    # names a file which it has not uploaded (Gradio 6.31).
    page.has_launched = True
    page.queue(max_size=_MAX_WAITING, default_concurrency_limit=num_workers)
    return gradio.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=int(max_megabytes * _BYTES_PER_MB),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        # Its own fonts would come from elsewhere.
        theme=gradio.themes.Default(
            font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=_STYLE,
    )


def _make_endpoint(
    classifier: Classifier,
    read: Callable[[bytes], Image.Image],
    max_megabytes: float,
    num_workers: int,
) -> Callable[[fastapi.Request, int], Awaitable[JSONResponse]]:
    limiter: list[anyio.CapacityLimiter] = []
    limit = int(max_megabytes * _BYTES_PER_MB)

    def refuse(status: int, reason: str) -> JSONResponse:
        return JSONResponse({"photo": "-", "error": reason}, status)

    async def predict(
        request: fastapi.Request, top_k: int = fastapi.Query(3, ge=1)
    ) -> JSONResponse:
        if not limiter:  # it belongs to the loop that runs
            limiter.append(anyio.CapacityLimiter(num_workers))
        if limiter[0].statistics().tasks_waiting >= _MAX_WAITING:
            return refuse(503, "too many photos are waiting: try again later")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                return refuse(413, f"a photo may have {max_megabytes:g} MB at most")

        def answer() -> dict:
            landmarks = classifier.predict_landmarks(read(bytes(body)), top_k)
            return landmarks.to_record("-")

        try:
            record = await anyio.to_thread.run_sync(answer, limiter=limiter[0])
        except InvalidInput as error:
            return refuse(400, str(error))
        return JSONResponse(record)

    return predict


def _build_page(
    classifier: Classifier,
    read: Callable[[bytes | Path], Image.Image],
    title: str,
    card: str,
    examples: Sequence[Path],
) -> gradio.Blocks:
    def answer_upload(sent: dict | None) -> tuple:
        if sent is None:
            return (gradio.skip(),) * 6
        file = Path(sent["path"])
        try:
            contents = file.read_bytes()
        finally:
            file.unlink(missing_ok=True)
        return (*answer(contents), None)

    def answer_example(index: int) -> tuple:
        return answer(examples[index])

    def answer(photo: bytes | Path) -> tuple:
        try:
            picture = read(photo)
        except InvalidInput as error:
            reason = str(error).partition(": ")[2]
            sentence = f"## This file cannot be read\n{_escape(_capitalize(reason))}."
            hidden = gradio.Label(visible=False), "", gradio.Button(visible=False)
            return (sentence, "", *hidden)
        landmarks = classifier.predict_landmarks(picture, _TOP_K)
        shown = _to_uri(shrink(picture))
        names = [name for name, _ in landmarks[:_NUM_SUGGESTED]]
        sentence = wording.suggestion(names, landmarks.is_known)
        return (
            f"## {_escape(_capitalize(landmarks.answer))}\n{_escape(sentence)}",
            _show(shown, "The photo"),
            gradio.Label(dict(landmarks), visible=True),
            shown,
            gradio.Button(visible=classifier.find_heat is not None),
        )

    def explain(shown: str) -> str:
        photo = base64.b64decode(shown.partition(",")[2])
        where = _to_uri(classifier.explain(photo))
        return _show(where, "The photo, red where it speaks most for the answer")

    with gradio.Blocks(
        title=title, analytics_enabled=False, delete_cache=(_CACHE_AGE, _CACHE_AGE)
    ) as page:
        gradio.Markdown(f"# {_escape(title)}\n{_HINT}")
        shown = gradio.State("", time_to_live=_STATE_AGE)
        with gradio.Row():
            with gradio.Column():
                upload = gradio.Image(
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "webcam", "clipboard"],
                    label="Photo",
                    height=260,
                )
                picked = gradio.Dataset(
                    components=[gradio.HTML(render=False)],
                    samples=[[_to_thumbnail(read(path))] for path in examples],
                    label="Examples",
                    type="index",
                    layout="gallery",
                    visible=bool(examples),
                )
            with gradio.Column():
                sentence = gradio.Markdown(elem_id="answer")
                picture = gradio.HTML(elem_id="shown", padding=False)
                bars = gradio.Label(
                    label="Most like", show_heading=False, visible=False
                )
                button = gradio.Button("Where does it look?", visible=False)
        if card:
            with gradio.Accordion("About this model", open=False):
                gradio.Markdown(card)
        outputs = [sentence, picture, bars, shown, button]
        for listen, respond, given, changed in (
            (upload.input, answer_upload, upload, [*outputs, upload]),
            (picked.click, answer_example, picked, outputs),
            (button.click, explain, shown, [picture]),
        ):
            listen(
                respond,
                given,
                changed,
                # Not read by Gradio, which knows fewer kinds of photos.
                preprocess=given is not upload,
                scroll_to_output=True,
                show_progress="minimal",
                api_visibility="private",
            )
    return page


def _to_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _to_thumbnail(picture: Image.Image) -> str:
    picture.thumbnail(_THUMBNAIL)
    return _show(_to_uri(picture), "An example")


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


def _show(uri: str, text: str) -> str:
    return f'<img src="{uri}" alt="{_escape(text)}">'


def _escape(text: str) -> str:
    """Returns text as it is to be read, in HTML and in Markdown."""
    escaped = html.escape(text.encode("utf-8", "replace").decode())
    return "".join(f"&#{ord(c)};" if c in "*_`[]#|\\~$" else c for c in escaped)
