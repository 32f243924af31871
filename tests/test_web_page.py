import html

import base64
import io

from conftest import Page
from PIL import Image

from landmarks_tf import web_page


def test_text_is_shown_as_it_is_in_titles_and_attributes():
    odd = "<i>\"a\" & 'b' $x$ \udcff"
    html = web_page.begin_page(odd) + web_page.show_picture("AAAA", odd)
    page = Page(html)
    shown = odd.replace("\udcff", "?")
    assert page.text.count(shown) == 2
    assert ("alt", shown) in page.attributes
    assert "i" not in page.tags


def test_a_thumbnail_is_small_and_the_picture_stays():
    picture = Image.new("RGB", (300, 200), "red")
    file = io.BytesIO(base64.b64decode(web_page.encode_thumbnail(picture, 60)))
    with Image.open(file) as small:
        assert (small.format, small.size) == ("JPEG", (60, 40))
    assert picture.size == (300, 200)


def test_names_are_text_in_markdown_too():
    name = "<img src=x onerror=alert(1)>\x1b[31m [a](javascript:x) *b* `c`"
    escaped = web_page.escape_markdown(name)
    assert html.unescape(escaped) == name.replace("\x1b", "?")
    assert not set(escaped) & set("<>*`[]\x1b")
