"""scripts/serve.py in a real browser and for other programs; all doors alike."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import COLORS
from conftest import ROOT
from conftest import run_script
from PIL import Image

import landmarks_tf

pytest.importorskip("gradio", reason='needs pip install -e ".[app]"')
pytestmark = pytest.mark.long
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium: the variable CHROMIUM names it"
)
MAX_MEGABYTES = 8


class Server:
    """scripts/serve.py on a port of its own, with a folder for what it keeps."""

    def __init__(self, model, tmp_path, **env):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.kept = tmp_path / "kept"
        self.kept.mkdir()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "scripts/serve.py", f"--model={model}"),
                *(f"--port={port}", f"--max_megabytes={MAX_MEGABYTES}"),
            ],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(self.kept)} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self):
        for _ in range(600):
            try:
                return urllib.request.urlopen(self.url).read()
            except OSError:
                assert self.process.poll() is None, self.process.stdout.read()
                time.sleep(0.1)
        raise TimeoutError(self.url)

    def ask(self, contents, query=""):
        """Returns status and record of `POST /predict`."""
        request = urllib.request.Request(f"{self.url}/predict{query}", contents)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return said

    def kept_files(self):
        # TensorFlow's own code, which it writes anew, is no photo.
        return [x for x in self.kept.rglob("*") if x.is_file() and x.suffix != ".py"]


@pytest.fixture(scope="module")
def served_dir(run_dir, tmp_path_factory):
    """The toy run, less sure of everything, and with an int8 file."""
    from landmarks_tf.export import int8
    from landmarks_tf.export import saved_model
    from landmarks_tf.models.surgery import divide_logits
    from landmarks_tf.models.surgery import load_model

    own = tmp_path_factory.mktemp("served") / "toy run"
    shutil.copytree(run_dir, own)
    model = load_model(own / "model.keras", 3)
    divide_logits(model, 10.0)
    model.save(own / "model.keras")
    (own / "metrics.json").unlink()  # and with it the threshold
    saved_model.export_tflite(model, own / "model_float32.tflite")
    photos = sorted((run_dir / "vectors").glob("*.png"))[:3]
    _, contents = next(int8.quantize(model, photos))
    (own / "model_int8.tflite").write_bytes(contents)
    return own


@pytest.fixture(scope="module")
def server(served_dir, tmp_path_factory):
    server = Server(served_dir, tmp_path_factory.mktemp("server"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A small one, one of 12 megapixels that lies on its side, and a PNG."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, color, size in (
        ("small.jpg", "0.red", (90, 120)),
        ("large.jpg", "1.green", (3000, 4000)),
        ("picture.png", "2.blue", (77, 64)),
    ):
        pixels = np.clip(rng.normal(COLORS[color], 25, (*size, 3)), 0, 255)
        # So that it is not all one colour, and no answer is quite sure.
        pixels[: size[0] // 3] = 255 - pixels[0, 0]
        exif = Image.Exif()
        exif[0x0112] = 6 if name == "large.jpg" else 1
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, exif=exif)
    return sorted(folder.iterdir())


@pytest.fixture
def page(server):
    """The page in Chromium, and the addresses elsewhere that it asked for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        # What the server says to the page, where percent are rounded.
        page.add_init_script(
            "const parse = JSON.parse; window.heard = '';"
            "JSON.parse = (text, ...rest) => {"
            " if (`${text}`.includes('confidences')) window.heard = text;"
            " return parse(text, ...rest); }"
        )
        page.elsewhere = []
        page.on(
            "request",
            lambda request: (
                page.elsewhere.append(request.url)
                if not request.url.startswith((server.url, "data:", "blob:"))
                else None
            ),
        )
        page.goto(server.url)
        page.wait_for_selector("input[type=file]", state="attached")
        yield page
        browser.close()


def upload(page, path, until):
    page.set_input_files("input[type=file]", path)
    page.wait_for_function(
        "text => document.querySelector('#answer').innerText.includes(text)", arg=until
    )


def test_other_programs_get_the_shells_records(server, photos):
    for photo in photos:
        status, record = server.ask(photo.read_bytes(), "?top_k=2")
        assert status == 200
        assert (record["photo"], len(record["landmarks"])) == ("-", 2)
        assert set(record["landmarks"][0]) == {"name", "class_name", "probability"}
    assert len(server.ask(photos[0].read_bytes())[1]["landmarks"]) == 3
    for top_k in ("0", "-1", "two", "1e9"):
        status, record = server.ask(photos[0].read_bytes(), f"?top_k={top_k}")
        assert (status, record["error"][:7]) == (400, "`top_k`")


@pytest.mark.parametrize(
    "contents, status, reason",
    [
        (b"", 400, "photo: empty file"),
        (b"not a photo", 400, "photo: not a photo (of JPEG, PNG, WebP, GIF or BMP for"),
        (b"\0" * (MAX_MEGABYTES * 1024**2 + 1), 413, "a photo may have 8 MB at most"),
    ],
)
def test_other_programs_get_the_reason(server, contents, status, reason):
    found, record = server.ask(contents)
    assert (found, record["photo"]) == (status, "-")
    assert record["error"].startswith(reason)


def test_a_photo_of_too_many_pixels_is_not_decoded(server, tmp_path):
    Image.new("1", (9000, 8000)).save(tmp_path / "large.png")
    status, record = server.ask((tmp_path / "large.png").read_bytes())
    assert (status, record["error"]) == (400, "photo: 9000x8000 are too many pixels")


def test_many_at_once_are_all_answered(server, photos):
    expected = [server.ask(photo.read_bytes()) for photo in photos]
    contents = [photo.read_bytes() for photo in photos]
    # The first, of 12 megapixels, takes most of the time: two of them at once will do.
    order = [0, 0, *[1, 2] * 9] * 10
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(server.ask, [contents[index] for index in order]))
    assert len(answers) == 200
    assert answers == [expected[index] for index in order]


def ask_page(server, number, sent, session):
    """Returns what the server says to a browser that listens to event `number`."""
    body = {"data": [sent], "fn_index": number, "session_hash": session}
    request = urllib.request.Request(
        f"{server.url}/gradio_api/queue/join",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()
    events = f"{server.url}/gradio_api/queue/data?session_hash={session}"
    with urllib.request.urlopen(events, timeout=30) as said:
        return said.read().decode()


def upload_file(server, contents):
    """Returns the path that Gradio has for what a browser uploads."""
    part = b'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    body = b"--x\r\n" + part + contents + b"\r\n--x--\r\n"
    request = urllib.request.Request(
        f"{server.url}/gradio_api/upload",
        body,
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urllib.request.urlopen(request) as response:
        (path,) = json.load(response)
    return path


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_nobody_reads_or_removes_files_of_the_server(server, tmp_path, meta):
    """A browser may be made to say that it uploaded a file that it did not."""
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (64, 64)).save(secret)
    (folder,) = filter(Path.is_dir, server.kept.iterdir())
    config = json.loads(urllib.request.urlopen(f"{server.url}/config").read())
    link = folder / f"link{len(meta)}.jpg"
    link.symlink_to(secret)
    around = f"{folder}/{os.path.relpath(secret, folder)}"
    for place, path in enumerate([secret, around, link]):
        assert Path(path).exists()
        for number in range(len(config["dependencies"])):
            session = f"attack{place}{number}{len(meta)}"
            said = ask_page(server, number, {"path": str(path)} | meta, session)
            assert '"success":false' in said or "data:image" not in said
            assert secret.exists()
    link.unlink(missing_ok=True)
    with urllib.request.urlopen(f"{server.url}/gradio_api/file={secret}") as file:
        assert file.read().startswith(b"<svg")


def test_the_same_photo_may_be_asked_about_twice_at_once(server, photos):
    contents = photos[2].read_bytes()
    first, second = upload_file(server, contents), upload_file(server, contents)
    assert first == second and Path(first).exists()
    for session in ("first", "second"):
        said = ask_page(server, 0, {"path": first}, session)
        assert '"success":true' in said and "## Red" in said
        assert not Path(first).parent.exists()


@pytest.mark.parametrize(
    "path, headers, status",
    [
        ("/gradio_api/process_recording", {}, 404),
        ("/gradio_api/openapi.json", {}, 404),
        ("/openapi.json", {}, 404),
        ("/predict", {"Origin": "http://elsewhere.example"}, 403),
        ("/predict", {"Host": "elsewhere.example"}, 400),
    ],
)
def test_other_doors_are_shut(server, path, headers, status):
    request = urllib.request.Request(server.url + path, b"?", headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == status
    refused.value.close()


@needs_browser
def test_the_page_answers_in_a_browser(served_dir, server, page, photos, tmp_path):
    best = landmarks_tf.load_classifier(served_dir).predict_landmarks(photos[0])[0][0]
    upload(page, photos[0], best.capitalize())
    assert page.inner_text("#answer h2") == best.capitalize()
    assert f"Is this a picture of {best}" in page.inner_text("#answer")
    assert page.locator("#shown img").get_attribute("src").startswith("data:image/jpeg")
    page.get_by_text("Where does it look?").click()
    page.wait_for_selector("#shown img[alt*=red]")
    page.get_by_text("About this model").click()
    page.get_by_text("What it must not be used for").wait_for()
    (tmp_path / "garbage.jpg").write_text("not a photo")
    upload(page, tmp_path / "garbage.jpg", "This file cannot be read")
    assert "Not a photo (of JPEG, " in page.inner_text("#answer")
    assert not page.get_by_text("Where does it look?").is_visible()
    page.locator(".gallery-item").first.click()
    page.wait_for_selector("#shown img")
    assert page.inner_text("#answer h2") == "Red"
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert page.elsewhere == []
    assert server.kept_files() == []


@needs_browser
def test_every_door_gives_the_same_answer(served_dir, server, page, photos):
    shell = run_script(
        "predict", f"--model={served_dir}", "--output=json", *photos
    ).stdout.splitlines()
    keras, tflite, int8 = (
        landmarks_tf.load_classifier(served_dir / name)
        for name in ("", "model_float32.tflite", "model_int8.tflite")
    )
    for photo, line in zip(photos, shell, strict=True):
        expected = keras.predict_landmarks(photo)
        doors = {
            "bytes": dict(keras.predict_landmarks(photo.read_bytes())),
            "tflite": dict(tflite.predict_landmarks(photo)),
            "shell": read(json.loads(line)),
            "http": read(server.ask(photo.read_bytes())[1]),
        }
        upload(page, photo, expected[0][0].capitalize())
        heard = page.evaluate("window.heard")
        (bars,) = re.findall(r'"confidences":\s*(\[.*?\])', heard)
        doors["page"] = {x["label"]: x["confidence"] for x in json.loads(bars)}
        for door, answer in doors.items():
            assert answer == pytest.approx(dict(expected), abs=1e-3), (door, photo)
        assert int8.predict_landmarks(photo)[0][0] == expected[0][0]
    # Were it not turned upright, the large one would have another answer.
    with Image.open(photos[0]) as image:
        lying = dict(keras.predict_landmarks(np.asarray(image)))
    upright = dict(keras.predict_landmarks(photos[0]))
    assert max(abs(lying[name] - upright[name]) for name in upright) > 1e-3


def read(record):
    return {x["name"]: x["probability"] for x in record["landmarks"]}


def test_it_stops_and_leaves_nothing(run_dir, tmp_path):
    server = Server(run_dir / "model_float32.tflite", tmp_path)
    server.wait()
    said = server.stop()
    assert said.splitlines() == [
        f"loading {run_dir / 'model_float32.tflite'} ...",
        f"open {server.url} (Ctrl-C ends it)",
    ]
    assert server.process.returncode == 0
    assert list(server.kept.iterdir()) == []


def test_without_gradio_it_says_what_to_install(run_dir, tmp_path):
    (tmp_path / "gradio.py").write_text("raise ImportError('none', name='gradio')")
    server = Server(run_dir, tmp_path, PYTHONPATH=str(tmp_path))
    said, _ = server.process.communicate(timeout=60)
    assert said == 'error: gradio is missing: python -m pip install -e ".[app]"\n'
    assert server.process.returncode == 1


def test_a_wrong_port_or_model_is_one_line(run_dir, server):
    port = server.url.rpartition(":")[2]
    result = run_script("serve", f"--model={run_dir}", f"--port={port}")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: cannot listen on port {port} of 127.0.0.1: Address already in use; "
        "choose another with --port\n"
    )
    result = run_script("serve", f"--model={Path('nowhere')}")
    assert result.returncode == 1
    assert result.stderr.startswith("error: `model` must be a run folder")
