"""A web application that names landmarks: a page, and `POST /predict` for programs.

Nothing that is sent stays on disk after its answer, and the page loads nothing from
elsewhere.
"""

import functools
import re
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import fastapi
import gradio
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference import photo_input
from landmarks_tf.inference import web_page
from landmarks_tf.inference.classifier import Classifier

# Photos of `POST /predict` that may be in memory at a time, those that wait included.
_MAX_PHOTOS = 32
# Questions of the page that may wait for their turn.
_MAX_WAITING = 256
_BYTES_PER_MB = 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
# The browser itself asks nobody else.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
# What the page needs of Gradio, which has many doors more.
_ROUTES = re.compile(
    r"/(predict|config|theme\.css|favicon\.ico|manifest\.json|(assets|static)/.*"
    r"|gradio_api/(upload|upload_progress|info|app_id|startup-events|cancel|reset"
    r"|queue/(join|data)|heartbeat/[^/]*))?"
)
# Where Gradio serves what was uploaded. The browser would show it before its answer,
# while it is being removed.
_FILES = "/gradio_api/file="
_NO_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    Attributes:
        max_megabytes: of a photo; of 1,048,576 bytes.
        max_megapixels: of a photo; of 1,000,000 pixels.
        num_workers: photos that the page answers at a time, and as many more for other
            programs; the others wait.
    """

    max_megabytes: float = 20
    max_megapixels: float = 50
    num_workers: int = 2

    @property
    def max_bytes(self) -> int:
        """The largest photo, in bytes."""
        return int(self.max_megabytes * _BYTES_PER_MB)


def build_app(
    classifier: Classifier,
    about: web_page.About,
    host: str = "127.0.0.1",
    limits: Limits = Limits(),
) -> fastapi.FastAPI:
    """Returns the web application of a classifier.

    Args:
        classifier: that answers.
        about: what the page tells of the model.
        host: address that it will listen on.
        limits: how much it takes on.
    """
    max_pixels = int(limits.max_megapixels * 1e6)

    def read(photo: bytes | Path) -> Image.Image:
        return photo_input.open_photo(photo, max_pixels)

    app = fastapi.FastAPI(openapi_url=None)
    app.post("/predict")(_make_endpoint(classifier, read, limits))
    app.middleware("http")(_guard)
    if host in _LOOPBACK:
        # A page elsewhere may have its name point here: the browser would let it ask.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK])
    page = web_page.build_page(classifier, read, about)
    # As `launch` does, which is not called here: only then does Gradio refuse to copy
    # files that a browser names and has not uploaded (Gradio 6.31).
    page.has_launched = True
    page.queue(max_size=_MAX_WAITING, default_concurrency_limit=limits.num_workers)
    return gradio.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=limits.max_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        # Its own fonts would come from elsewhere.
        theme=gradio.themes.Default(
            font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=web_page.STYLE,
    )


async def _guard(
    request: fastapi.Request,
    call_next: Callable[[fastapi.Request], Awaitable[fastapi.Response]],
) -> fastapi.Response:
    """Answers what the page and programs need, to nobody's page but our own."""
    path = request.url.path
    if path.startswith(_FILES):
        return fastapi.Response(_NO_PICTURE, media_type="image/svg+xml")
    if not _ROUTES.fullmatch(path):
        return JSONResponse({"error": "no such page"}, 404)
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        return JSONResponse({"error": "asked from another page"}, 403)
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _make_endpoint(
    classifier: Classifier, read: Callable[[bytes], Image.Image], limits: Limits
) -> Callable[[fastapi.Request, str], Awaitable[JSONResponse]]:
    num_photos = 0

    @functools.cache
    def limiter() -> anyio.CapacityLimiter:  # made where the event loop runs
        return anyio.CapacityLimiter(limits.num_workers)

    def refuse(status: int, reason: str) -> JSONResponse:
        return JSONResponse({"photo": "-", "error": reason}, status)

    def answer(photo: bytes, k: int) -> dict:
        return classifier.predict_landmarks(read(photo), k).to_record("-")

    async def respond(request: fastapi.Request, top_k: str) -> JSONResponse:
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            return refuse(400, "send the photo itself, not a form: --data-binary @FILE")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.max_bytes:
                most = f"{limits.max_megabytes:g} MB"
                return refuse(413, f"a photo may have {most} at most")
        if not top_k.isdecimal() or int(top_k) < 1:
            reason = f"`top_k` must be an integer of at least 1. Received: {top_k}"
            return refuse(400, reason)
        try:
            record = await anyio.to_thread.run_sync(
                answer, bytes(body), int(top_k), limiter=limiter()
            )
        except InvalidInput as error:
            return refuse(400, str(error))
        return JSONResponse(record)

    async def predict(request: fastapi.Request, top_k: str = "3") -> JSONResponse:
        nonlocal num_photos
        if num_photos >= _MAX_PHOTOS:
            return refuse(503, "too many photos are waiting: try again later")
        num_photos += 1
        try:
            return await respond(request, top_k)
        except ClientDisconnect:
            return refuse(400, "the photo did not arrive")
        finally:
            num_photos -= 1

    return predict
