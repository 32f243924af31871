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

from landmarks_tf import wording

_QUALITY = 75
_MARKDOWN = "*_`[]#|\\~$"
_STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --muted: #666;
  --line: #bbb; --faint: #eee; --blue: #3b75af; --orange: #ef8636; --bad: #b3261e;
  --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --text: #ddd; --page: #17191c;
  --muted: #a3a3a3; --line: #555; --faint: #2b2e33; --blue: #6aa5e0;
  --bad: #f2857c; --good: #5dbb78; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em;
  padding: 0 1em; color: var(--text); background: var(--page);
  -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
h1 { font-size: 1.5em; overflow-wrap: anywhere; }
h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; } td { padding: .15em .6em .15em 0; }
figure { display: inline-block; margin: 0 .6em .6em 0; vertical-align: top; }
figcaption, .path { font-size: 12px; color: var(--muted); overflow-wrap: anywhere; }
img { display: block; border-radius: 3px; }
.problem { color: var(--bad); } .clean { color: var(--good); }
svg text { font-size: 11px; fill: var(--muted); }
"""


def render(template_name: str, **values: object) -> str:
    """Returns a template's text with values filled in.

    Args:
        template_name: file in `templates/`.
        values: by the names that the template uses. Text is escaped.

    Raises:
        jinja2.UndefinedError: if the template uses a name that is not in `values`.
    """
    return _TEMPLATES.get_template(template_name).render(values)


def begin_page(title: str, style: str = "") -> str:
    """Returns a page's first lines, its title as a headline.

    Args:
        title: text.
        style: CSS beside that of all pages.
    """
    name = escape(title)
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{name}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}{style}</style><h1>{name}</h1>"
    )


def escape(text: str) -> str:
    """Returns text as it stands in a page or an attribute."""
    # A file's name may hold bytes that are no text.
    readable = wording.printable(text.encode("utf-8", "replace").decode())
    return html.escape(readable)


def escape_markdown(text: str) -> Markup:
    """Returns text as it is to be read, in HTML and in Markdown."""
    return Markup(
        "".join(
            (
                f"&#{ord(letter)};"
                if letter in _MARKDOWN
                else html.escape(letter, quote=False)
            )
            for letter in _readable(text)
        )
    )


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


def show_figure(pictures: str, caption: str) -> str:
    """Returns the element of pictures with a caption, both of which are HTML."""
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _readable(text: str) -> str:
    # A file's name may hold bytes that are not text.
    return wording.printable(text.encode("utf-8", "replace").decode())


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
