import base64
import html
import io

import jinja2
import pytest
from conftest import Page
from PIL import Image

from landmarks_tf import page

ODD = "<i>\"a\" & 'b' $x$ {{ 7 * 7 }} \udcff"


def test_a_value_that_is_missing_is_an_error_and_no_gap():
    with pytest.raises(jinja2.UndefinedError, match="'data_dir' is undefined"):
        page.render("data_report.html")


def test_text_is_shown_as_it_is_in_templates_and_attributes(monkeypatch):
    loader = jinja2.DictLoader(
        {"a": "<p>{{ odd }}</p><p title='{{ odd }}'></p>{{ 'A'|picture(odd) }}"}
    )
    monkeypatch.setattr(page._TEMPLATES, "loader", loader)
    shown_page = Page(page.render("a", odd=ODD))
    shown = ODD.replace("\udcff", "?")
    assert shown_page.text == shown
    assert shown_page.attributes[:2] == [("title", shown), ("alt", shown)]
    assert shown_page.tags == ["p", "p", "img"]


def test_a_thumbnail_is_small_and_the_picture_stays():
    picture = Image.new("RGB", (300, 200), "red")
    file = io.BytesIO(base64.b64decode(page.encode_thumbnail(picture, 60)))
    with Image.open(file) as small:
        assert (small.format, small.size) == ("JPEG", (60, 40))
    assert picture.size == (300, 200)


def test_names_are_text_in_markdown_too():
    name = "<img src=x onerror=alert(1)>\x1b[31m [a](javascript:x) *b* `c` St Mary's"
    escaped = page.escape_markdown(name)
    assert html.unescape(escaped) == name.replace("\x1b", "?")
    assert not set(escaped) & set("<>*`[]\x1b")
