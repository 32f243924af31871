"""What the page answers, without a browser. With one: test_serve."""

import numpy as np
import pytest
from page_parts import NAMES
from page_parts import cleared_away  # noqa: F401
from page_parts import photo_of
from page_parts import pytestmark  # noqa: F401
from page_parts import redness

from landmarks_tf.inference.classifier import Classifier
from landmarks_tf.inference.photo_input import open_photo

pytest.importorskip("gradio", reason='needs pip install -e ".[app]"')
browser_page = pytest.importorskip("landmarks_tf.inference.web_page")


def find_heat(image):
    return np.eye(4, dtype=np.float32)


@pytest.fixture
def answers():
    classifier = Classifier(NAMES, (8, 8), redness, 0.6, find_heat)
    return browser_page._Answers(classifier, open_photo)


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads" / "hash").mkdir(parents=True)
    browser_page._read_once.cache_clear()
    return tmp_path / "uploads"


def test_what_is_likely_is_asked_and_all_that_is_shown_is_escaped(answers):
    sentence, picture, bars, shown, button = answers.answer(photo_of(0, 240, 60))
    assert sentence.startswith("## &lt;b&gt;Petra&lt;/b&gt;\nIs this a picture of &lt;")
    assert "Eiffel" not in sentence and "Stone&#42;henge&#42;" in sentence
    assert picture.startswith('<img alt="The photo" src="data:image/jpeg;base64,')
    assert bars.value["label"] == "<b>Petra</b>" and button.visible
    assert shown[0].shape == (8, 8, 3)
    explained = answers.explain(shown)
    assert "red where it speaks most" in explained and "Warm colours" in explained
    assert answers.explain(None) == ""


def test_what_is_unknown_or_no_photo_is_said(answers):
    sentence, *_ = answers.answer(photo_of(90, 90, 90))
    assert sentence.startswith("## No known landmark\nThis is no landmark that I know.")
    sentence, picture, bars, shown, button = answers.answer(b"not a photo")
    assert sentence.startswith("## This file cannot be read\nNot a photo (of JPEG, ")
    assert (picture, shown, bars.visible, button.visible) == ("", None, False, False)


def test_an_upload_is_removed_and_may_be_asked_about_by_another(answers, uploads):
    path = uploads / "hash" / "a.png"
    path.write_bytes(photo_of(240, 0, 0))
    for _ in range(2):
        sentence, *_, upload = answers.answer_upload({"path": str(path)})
        assert sentence.startswith("## Eiffel Tower\n") and upload is None
        assert list(uploads.iterdir()) == []
    assert len(answers.answer_upload(None)) == 6


def test_other_files_are_neither_read_nor_removed(answers, uploads, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo_of(240, 0, 0))
    link = uploads / "hash" / "link.png"
    link.symlink_to(secret)
    for path in (secret, link, uploads / "hash" / ".." / ".." / "secret.png", uploads):
        with pytest.raises(PermissionError, match="was not uploaded$"):
            answers.answer_upload({"path": str(path)})
    assert secret.exists() and link.is_symlink()


def test_the_page_has_the_examples_that_can_be_read(answers, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(photo_of(240, 0, 0))
    bad.write_bytes(b"?")
    thumbnails = browser_page._load_thumbnails([bad, good], open_photo)
    assert list(thumbnails) == [good]
    about = browser_page.About("mobile_1", "# The card", [bad, good])
    page = browser_page.build_page(answers._classifier, open_photo, about)
    said = str(page.config)
    assert "mobile&#95;1" in said and "# The card" in said
    assert "&lt;b&gt;Petra" in said and "<b>Petra" not in said
