"""How pages and Markdown are made: templates, safe text, pictures inside the page.

Owns the template engine. The templates are in `templates/`. A page is one file that
needs no other and no network, in light and dark.
"""

import base64
import html
import io

import jinja2
from markupsafe import Markup
from PIL import Image

from landmarks_tf.names import printable

_QUALITY = 75
_MARKDOWN_CODES = {ord(letter): f"&#{ord(letter)};" for letter in "*_`[]#|\\~$"}


def render(template_name: str, **values: object) -> str:
    """Returns a template's text with values filled in.

    Args:
        template_name: file in `templates/`.
        values: by the names that the template uses. Text is escaped.

    Raises:
        jinja2.UndefinedError: if the template uses a name that is not in `values`.
    """
    return _TEMPLATES.get_template(template_name).render(values)


def escape_markdown(text: str) -> Markup:
    """Returns text as it is to be read, in HTML and in Markdown."""
    safe = html.escape(_readable(text), quote=False)
    return Markup(safe.translate(_MARKDOWN_CODES))


def encode_thumbnail(picture: Image.Image, side: int) -> str:
    """Returns a small JPEG in Base64.

    Args:
        picture: RGB, which stays as it is.
        side: of the small one, in pixels, at most.
    """
    small = picture.copy()
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def show_picture(data: str, description: str) -> Markup:
    """Returns the element of a JPEG.

    Args:
        data: of `encode_thumbnail`.
        description: text in place of the picture.
    """
    element = Markup('<img alt="{}" src="data:image/jpeg;base64,{}">')
    return element.format(_readable(description), data)


def _readable(text: str) -> str:
    # A file's name may hold bytes that are not text.
    return printable(text.encode("utf-8", "replace").decode())


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("landmarks_tf"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    # Markup, a subclass of str, has been through it.
    finalize=lambda value: _readable(value) if type(value) is str else value,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "percent": "{:.1%}".format,
    "jpeg": encode_thumbnail,
    "picture": show_picture,
    "markdown": escape_markdown,
}
