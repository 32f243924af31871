"""`POST /predict` and who is let in, in the same process. For real: test_serve."""

import io

import pytest
from PIL import Image
from page_parts import NAMES
from page_parts import cleared_away  # noqa: F401
from page_parts import photo_of
from page_parts import pytestmark  # noqa: F401
from page_parts import redness

from landmarks_tf.inference.classifier import Classifier

server = pytest.importorskip(
    "landmarks_tf.inference.web", reason='needs pip install -e ".[app]"'
)
testclient = pytest.importorskip("fastapi.testclient")


@pytest.fixture(scope="module")
def client():
    classifier = Classifier(NAMES, (8, 8), redness, 0.6)
    limits = server.Limits(max_megabytes=1, max_megapixels=0.1)
    about = server.web_page.About("colours")
    app = server.build_app(classifier, about, limits=limits)
    with testclient.TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_a_photo_is_answered(client):
    response = client.post("/predict?top_k=2", content=photo_of(240, 0, 0))
    assert response.status_code == 200
    record = response.json()
    assert (record["photo"], record["is_known"]) == ("-", True)
    assert [x["name"] for x in record["landmarks"]] == ["Eiffel Tower", "<b>Petra</b>"]
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


def large_photo():
    file = io.BytesIO()
    Image.new("1", (400, 300)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "query, content, headers, status, reason",
    [
        ("", b"?", {}, 400, "photo: not a photo (of "),
        ("", large_photo(), {}, 400, "photo: 400x300 are too many pixels"),
        ("", bytes(2**20 + 1), {}, 413, "a photo may have 1 MB at most"),
        ("?top_k=0", b"?", {}, 400, "`top_k` must be an integer of at least 1"),
        ("", b"?", {"Content-Type": "multipart/form-data"}, 400, "send the photo itse"),
        (
            "",
            b"?",
            {"Origin": "http://elsewhere.example"},
            403,
            "asked from another pa",
        ),
    ],
)
def test_what_cannot_be_answered_has_its_reason(
    client, query, content, headers, status, reason
):
    response = client.post(f"/predict{query}", content=content, headers=headers)
    assert response.status_code == status
    assert response.json()["error"].startswith(reason)


def test_too_many_at_a_time_are_refused(client, monkeypatch):
    monkeypatch.setattr(server, "_MAX_PHOTOS", 0)
    response = client.post("/predict", content=photo_of(240, 0, 0))
    assert response.status_code == 503
    assert response.json()["error"].startswith("too many photos are waiting")


def test_names_that_point_here_from_elsewhere_are_refused(client):
    response = client.get("/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    "path, is_open",
    [
        ("/", True),
        ("/config", True),
        ("/gradio_api/process_recording", False),
        ("/gradio_api/proxy=http://elsewhere.example", False),
        ("/openapi.json", False),
    ],
)
def test_only_what_the_page_needs_is_open(client, path, is_open):
    assert (client.get(path).status_code != 404) == is_open


def test_uploads_are_not_shown(client):
    response = client.get("/gradio_api/file=/etc/hosts")
    assert response.text == server._NO_PICTURE
