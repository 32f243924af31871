import base64
import io
import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from conftest import Page
from PIL import Image

from landmarks_tf.evaluation import report
from landmarks_tf.evaluation.metrics import evaluate_probabilities
from landmarks_tf.evaluation.metrics import wilson_interval
from landmarks_tf.evaluation.robustness import ConditionResult

NAMES = ('<b onclick="x">$x_1$</b>', "Porto & Clerigos", "Eiffel Tower", "Petra", "Aix")
# Of the first two, one of each is taken for the other; Aix has no photo.
LABELS = [0, 0, 0, 3, 3, 2, 2, 1, 1]
ANSWERS = [0, 0, 3, 3, 0, 2, 2, 1, 2]


@pytest.fixture
def found():
    probabilities = np.full((len(LABELS), len(NAMES)), 0.05)
    probabilities[np.arange(len(LABELS)), ANSWERS] = 0.8
    picture = Image.new("RGB", (900, 600), "red")
    shown = [
        report.ShownPhoto(
            f"test/a/<script>{index}.jpg", NAMES[0], "Petra", 0.9, picture, picture
        )
        for index in range(2)
    ]
    return report.Content(
        run_name="<mobile>",
        day=date(2026, 3, 4),
        photos="its own test photos, of <here>",
        names=NAMES,
        metrics=evaluate_probabilities(probabilities, LABELS, NAMES),
        probabilities=probabilities,
        labels=LABELS,
        history=[dict.fromkeys(("loss", "val_loss", "accuracy", "val_accuracy"), 0.5)],
        mistakes=shown,
        unsure=shown[:1],
        conditions=[
            ConditionResult("as it is", 8, 10, picture),
            ConditionResult("<dark>", 5, 10, picture),
            ConditionResult("turned", 8, 10, picture.resize((300, 200))),
        ],
    )


def test_the_page_stands_alone(found):
    html = report.build_page(found)
    page = Page(html)
    assert set(page.open) <= {"html"}
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    without_namespaces = re.sub(r'xmlns(:xlink)?="[^"]*"', "", html)
    assert "://" not in without_namespaces and "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    # Two pictures a photo, one a condition.
    assert len(page.references) == 2 * 3 + 3
    for reference in page.references:
        kind, data = reference.split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) <= 200


def test_the_charts_of_a_page_share_no_ids(found):
    attributes = Page(report.build_page(found)).attributes
    ids = [value for name, value in attributes if name == "id"]
    uses = [value for name, value in attributes if name == "xlink:href"]
    assert len(set(ids)) == len(ids)
    assert uses and {value.removeprefix("#") for value in uses} <= set(ids)


def test_names_and_paths_are_shown_as_they_are(found):
    page = Page(report.build_page(found))
    for text in (*NAMES[:4], "How good is <mobile>?", "of <here>", "<dark>"):
        assert text in page.text
    assert "test/a/<script>1.jpg" in page.text
    assert not {"onclick"} & {name for name, _ in page.attributes}


def test_the_headline_has_the_figures(found):
    text = " ".join(Page(report.build_page(found)).text.split())
    assert "Evaluated on its own test photos, of <here>, 2026-03-04." in text
    low, high = wilson_interval(6, 9)
    assert f"66.7%top-1 accuracy (95 % interval {low:.1%} to {high:.1%})" in text
    assert "9photos of 5 landmarks" in text
    assert f"{found.metrics.calibration_error:.3f}calibration error" in text


def test_the_worst_landmark_comes_first_and_the_matrix_keeps_their_order(found):
    text = Page(report.build_page(found)).text
    bars = text[text.index("Accuracy by landmark") :]
    places = [bars.index(NAMES[label]) for label in (3, 1, 0, 2)]
    # Half of Petra and of Porto, two thirds of the first, all of the Tower.
    assert sorted(places[:2]) + places[2:] == sorted(places)
    assert "Landmarks without photos: 1." in text
    matrix = text[text.index("Which landmark") : text.index("The most frequent")]
    places = [matrix.index(name) for name in NAMES]
    assert places == sorted(places)


def test_conditions_are_compared_with_the_photos_as_they_are(found):
    html = report.build_page(found).partition("When photos are worse")[2]
    rows = re.findall(r"<tr><td>(.*?)</tr>", html, re.DOTALL)
    cells = [re.sub(r"\s*<td[^>]*>", "|", row).split("|") for row in rows]
    low, high = wilson_interval(5, 10)
    assert [row[0] for row in cells] == ["as it is", "&lt;dark&gt;", "turned"]
    assert [row[1] for row in cells] == ["80.0%", "50.0%", "80.0%"]
    assert cells[1][2:] == [f"{100 * low:.1f}–{high:.1%}", "\u221230.0"]
    assert [cells[0][3], cells[2][3]] == ["", "0"]
    assert "The same 10 photos" in html and "turned, 300×200" in html


def test_what_is_not_there_is_left_out(found):
    bare = replace(found, history=[], conditions=[], mistakes=[])
    text = Page(report.build_page(bare)).text
    assert "Training" not in text and "When photos are worse" not in text
    assert "The most confident mistakesNone." in text.replace("\n", "")
    assert "Porto & ClerigosEiffel Tower1 of 2" in text
    right = np.eye(len(NAMES))[LABELS]
    text = Page(report.build_page(replace(bare, probabilities=right))).text
    assert "No mistakes." in text and "The most frequent" not in text


def test_without_overlays_the_page_says_why(found):
    mistakes = [replace(photo, overlay=None) for photo in found.mistakes]
    sentence = "It cannot be <shown>."
    page = Page(
        report.build_page(
            replace(found, mistakes=mistakes, unsure=[], no_overlays=sentence)
        )
    )
    assert sentence in page.text and "Grad-CAM" not in page.text
    assert len(page.references) == 2 + 3


@pytest.mark.parametrize("num_classes", [61, 1000])
def test_many_classes_have_the_most_frequent_mistakes_instead_of_a_matrix(
    found, num_classes
):
    names = [f"Landmark {index}" for index in range(num_classes)]
    # One of two photos of Landmark 3 is taken for 5, both of Landmark 9 for 7.
    labels = sorted([*range(num_classes), 3, 9])
    answers = [{9: 7}.get(label, label) for label in labels]
    answers[3] = 5
    probabilities = np.eye(num_classes)[answers]
    metrics = evaluate_probabilities(probabilities, labels, names)
    many = replace(
        found,
        names=names,
        metrics=metrics,
        probabilities=probabilities,
        labels=labels,
    )
    html = report.build_page(many)
    assert "Each row is a true landmark" not in html
    rows = re.findall(r'<tr><td>(.*)<td>(.*)<td class="number">(.*)</tr>', html)
    assert rows == [
        ("Landmark 9", "Landmark 7", "2 of 2"),
        ("Landmark 3", "Landmark 5", "1 of 2"),
    ]
    rest = re.findall(r"(\d+) more landmarks are as good or better", html)
    assert rest == ([] if num_classes < 200 else ["800"])
