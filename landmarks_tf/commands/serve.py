"""Serves a page for the browser that names the landmarks of photos.

  python -m pip install -e ".[app]"
  python scripts/serve.py --model=saved_models/quickstart

Other programs send a photo's bytes to the same web, and get what
`predict.py --output=json` prints; with `error`, status 400 for a file that is no photo
or a wrong `top_k`, 413 for a file that is too large and 503 where too many wait:

  curl --data-binary @photo.jpg 'http://127.0.0.1:7860/predict?top_k=3'

Nothing that is sent is kept. The page needs no network but this machine's own.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path


from landmarks_tf.commands import cli
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import load_classifier
from landmarks_tf.run import Run

FLAGS = cli.Flags()
_MODEL = FLAGS.string(
    "model",
    "Run folder, or a .keras or .tflite file with its labels.txt beside it.",
    required=True,
)
_HOST = FLAGS.string(
    "host", "Address to listen on; 0.0.0.0 lets other machines in.", "127.0.0.1"
)
_PORT = FLAGS.integer(
    "port", "Port to listen on.", 7860, lower_bound=1, upper_bound=65535
)
_MAX_MEGABYTES = FLAGS.number(
    "max_megabytes", "A larger photo is refused.", 20, lower_bound=0.001
)
_MAX_MEGAPIXELS = FLAGS.number(
    "max_megapixels", "A photo of more pixels is refused.", 50, lower_bound=0.001
)
_NUM_EXAMPLES = 4
_SWEPT_SECONDS = 60


def main(arguments: list[str]) -> None:
    cli.refuse_arguments(arguments)
    require_free_port()
    path = Path(_MODEL.value)
    with tempfile.TemporaryDirectory() as folder:
        # Gradio reads these when it is imported.
        os.environ |= {
            "GRADIO_TEMP_DIR": folder,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
        }
        try:
            import uvicorn

            from landmarks_tf.inference import web
            from landmarks_tf.inference import web_page
        except ImportError as error:
            how = 'python -m pip install -e ".[app]"'
            raise InvalidInput(f"{error.name} is missing: {how}") from error
        print(f"loading {path} ...", flush=True)
        classifier = load_classifier(path)
        run = Run(path if path.is_dir() else path.parent)
        card = run.model_card_path
        about = web_page.About(
            run.name,
            card.read_text(encoding="utf-8") if card.is_file() else "",
            find_examples(run, classifier.class_names),
        )
        num_cores = os.cpu_count() or 1
        limits = web.Limits(_MAX_MEGABYTES.value, _MAX_MEGAPIXELS.value, num_cores)
        app = web.build_app(classifier, about, _HOST.value, limits)
        # Uvicorn stops, then raises the signal again: what is open shall be closed.
        for name in ("SIGTERM", "SIGHUP"):  # Windows has the first alone
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: sys.exit())
        threading.Thread(target=sweep, args=[Path(folder)], daemon=True).start()
        host = f"[{_HOST.value}]" if ":" in _HOST.value else _HOST.value
        print(f"open http://{host}:{_PORT.value} (Ctrl-C ends it)", flush=True)
        uvicorn.run(app, host=_HOST.value, port=_PORT.value, log_level="warning")


def sweep(folder: Path) -> None:
    """Removes from time to time what became no question: uploads that were broken off.

    Photos that become one are removed with their answer.
    """
    while True:
        time.sleep(_SWEPT_SECONDS)
        for parent, folders, files in os.walk(folder, topdown=False):
            for name in files + folders:
                path = Path(parent, name)
                with contextlib.suppress(OSError):  # gone, or not empty
                    if path.stat().st_mtime < time.time() - _SWEPT_SECONDS:
                        path.unlink() if name in files else path.rmdir()


def require_free_port() -> None:
    """Raises InvalidInput before the seconds that a model takes to load."""
    family = socket.AF_INET6 if ":" in _HOST.value else socket.AF_INET
    with socket.socket(family) as probe:
        # As Uvicorn does: what a server before us has just left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST.value, _PORT.value))
        except OSError as error:
            raise InvalidInput(
                f"cannot listen on port {_PORT.value} of {_HOST.value}: "
                f"{error.strerror or error}; choose another with --port"
            ) from error


def find_examples(run: Run, class_names: tuple[str, ...]) -> list[Path]:
    """Returns some of the run's test photos, or of the photos drawn for its vectors."""
    try:
        photos = split_file.load_split(run.split_path, class_names, None, ["test"])
        one_of_each = photos.draw_evenly("test", len(class_names))
        paths = one_of_each.absolute_paths("test")
        return [Path(path) for path in paths[:: -(-len(paths) // _NUM_EXAMPLES)]]
    except (InvalidInput, OSError):  # gone since, or it was trained elsewhere
        files = sorted(run.vectors_dir.glob("*"))
        return [path for path in files if photo_set.is_photo_name(path.name)]


COMMAND = cli.Command(main, FLAGS, __doc__)
