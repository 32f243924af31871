"""The report on a data folder: JSON for programs, a page with pictures for people.

Owns their form. The page is one file that needs no other and no network.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from landmarks_tf import file_cache
from landmarks_tf import preprocessing
from landmarks_tf import web_page
from landmarks_tf.catalog import Catalog
from landmarks_tf.data_check import NOTES
from landmarks_tf.data_check import PROBLEMS
from landmarks_tf.data_check import Finding
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inspection import Inspection
from landmarks_tf.web_page import escape

_THUMBNAIL_SIDE = 96
_NUM_SAMPLES = 4
# A page must open in a browser, however large the folder: the rest is in the JSON.
_MAX_CLASSES = 200
_MAX_FINDINGS = 100
_MAX_THUMBNAILS = 4
_MAX_POINTS = 2000
_STYLE = """
figcaption { max-width: 12em; }
.none { display: block; border-radius: 3px; width: 96px; height: 64px;
  background: var(--faint); color: var(--muted); font-size: 12px; line-height: 64px;
  text-align: center; }
.bar { display: inline-block; height: .8em; } .key { width: .8em; }
td { overflow-wrap: anywhere; } .train { background: var(--blue); }
.test { background: var(--orange); }
.finding { display: inline-block; vertical-align: top; margin: .4em 2em .4em 0; }
"""


def write_json(
    path: Path, catalog: Catalog, num_read: int, findings: Sequence[Finding]
) -> None:
    """Writes what was found for programs to read.

    Args:
        path: the file.
        catalog: the data folder.
        num_read: photos that can be read.
        findings: what was found.
    """
    record = {
        "data_dir": str(catalog.data_dir.resolve()),
        "num_photos": len(catalog.all_photos()),
        "num_readable": num_read,
        "classes": _class_counts(catalog),
        "findings": [
            {
                "kind": finding.kind,
                "is_problem": finding.is_problem,
                "text": finding.text,
                "paths": finding.paths,
            }
            for finding in findings
        ],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_html(
    path: Path,
    catalog: Catalog,
    inspections: Mapping[str, Inspection],
    findings: Sequence[Finding],
) -> None:
    """Writes the page.

    Args:
        path: the file.
        catalog: the data folder.
        inspections: of every photo, by path.
        findings: what was found.
    """
    shown = _choose_findings(findings)
    samples = _choose_samples(catalog, inspections)
    wanted = [p for group in shown.values() for f in group for p in _shown_paths(f)]
    wanted += [photo for photos in samples.values() for photo in photos]
    wanted = [p for p in wanted if p not in inspections or not inspections[p].problem]
    thumbnails = load_thumbnails(catalog.data_dir, dict.fromkeys(wanted))
    counts = Counter(finding.kind for finding in findings)
    num_problems = sum(finding.is_problem for finding in findings)
    num_read = sum(not found.problem for found in inspections.values())
    verdict = f"{num_problems} problems" if num_problems else "no problems"
    parts = [
        web_page.begin_page(f"Data report: {catalog.data_dir.resolve().name}", _STYLE),
        f"<p>{len(catalog.class_names)} classes, {len(inspections)} photos, "
        f"{num_read} of them readable. "
        f'<b class="{"problem" if num_problems else "clean"}">{verdict}</b>.</p>',
    ]
    for kind, name in (PROBLEMS | NOTES).items():
        if counts[kind]:
            parts.append(f"<h2>{name} ({counts[kind]})</h2>")
            parts += [_finding(finding, thumbnails) for finding in shown[kind]]
            if counts[kind] > len(shown[kind]):
                rest = counts[kind] - len(shown[kind])
                parts.append(f"<p>and {rest} more, see data_report.json</p>")
    parts += ["<h2>Photos a class</h2>", _bars(catalog)]
    parts += ["<h2>Sizes in pixels</h2>", _scatter(inspections.values())]
    parts.append("<h2>Samples</h2>")
    for name, photos in samples.items():
        pictures = "".join(_figure(photo, thumbnails, "") for photo in photos)
        parts.append(f"<div>{escape(name)}<br>{pictures}</div>")
    if len(catalog.class_names) > _MAX_CLASSES:
        rest = len(catalog.class_names) - _MAX_CLASSES
        parts.append(f"<p>and {rest} more classes, see data_report.json</p>")
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def load_thumbnails(data_dir: Path, paths: Iterable[str]) -> dict[str, str]:
    """Returns small JPEGs as base64 by path; empty for files that cannot be read."""
    paths = list(paths)
    files = [os.path.join(data_dir, path) for path in paths]
    answers = file_cache.map_files(_thumbnail, files, f"thumbnail {_THUMBNAIL_SIDE}")
    return dict(zip(paths, answers))


def _thumbnail(path: str) -> str:
    try:
        _, upright = preprocessing.read_photo(path)
    except InvalidInput:
        return file_cache.Passing()
    return web_page.encode_thumbnail(upright, _THUMBNAIL_SIDE)


def _class_counts(catalog: Catalog) -> dict[str, dict[str, int]]:
    counts = {split: Counter(catalog.labels(split)) for split in catalog.splits}
    return {
        name: {split: counts[split][label] for split in counts}
        for label, name in enumerate(catalog.class_names)
    }


def _choose_findings(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    shown: dict[str, list[Finding]] = {}
    for finding in findings:
        of_kind = shown.setdefault(finding.kind, [])
        if len(of_kind) < _MAX_FINDINGS:
            of_kind.append(finding)
    return shown


def _choose_samples(
    catalog: Catalog, inspections: Mapping[str, Inspection]
) -> dict[str, list[str]]:
    """Returns readable photos of each class, evenly spaced."""
    by_label: dict[int, list[str]] = {}
    for photo in catalog.all_photos():
        if photo.label < _MAX_CLASSES and not inspections[photo.path].problem:
            by_label.setdefault(photo.label, []).append(photo.path)
    return {
        catalog.class_names[label]: photos[:: -(-len(photos) // _NUM_SAMPLES)]
        for label, photos in sorted(by_label.items())
    }


def _shown_paths(finding: Finding) -> tuple[str, ...]:
    return finding.paths[:_MAX_THUMBNAILS] if finding.kind != "ignored" else ()


def _finding(finding: Finding, thumbnails: Mapping[str, str]) -> str:
    shown = _shown_paths(finding)
    pictures = "".join(_figure(path, thumbnails, path) for path in shown)
    rest = " ".join(map(escape, finding.paths[len(shown) :][:_MAX_FINDINGS]))
    text = f'{escape(finding.text)} <span class="path">{rest}</span>'
    return f'<div class="finding">{text}<br>{pictures}</div>'


def _figure(path: str, thumbnails: Mapping[str, str], caption: str) -> str:
    data = thumbnails.get(path)
    picture = (
        web_page.show_picture(data, path)
        if data
        else '<span class="none">no picture</span>'
    )
    return web_page.show_figure(picture, escape(caption))


def _bars(catalog: Catalog) -> str:
    counts = _class_counts(catalog)
    longest = max((sum(row.values()) for row in counts.values()), default=0) or 1
    rows = []
    for name, row in list(counts.items())[:_MAX_CLASSES]:
        bars = "".join(
            f'<span class="bar {_shade(split)}" style="width:'
            f'min({30 * count / longest:.2f}em,{36 * count / longest:.1f}vw)"></span>'
            for split, count in row.items()
        )
        numbers = " + ".join(str(count) for count in row.values())
        rows.append(f"<tr><td>{escape(name)}<td>{bars} {numbers}")
    legend = " + ".join(
        f'<span class="bar {_shade(split)} key"></span> {split}'
        for split in catalog.splits
    )
    return f"<p>{legend}</p><table>{''.join(rows)}</table>"


def _shade(split: str) -> str:
    return "train" if split == "train" else "test"


def _scatter(inspections: Iterable[Inspection]) -> str:
    """Draws width against height; where there are very many, evenly chosen ones."""
    sizes = [(found.width, found.height) for found in inspections if not found.problem]
    if not sizes:
        return "<p>none</p>"
    sizes = sizes[:: -(-len(sizes) // _MAX_POINTS)]
    most = max(map(max, sizes))
    side = 320
    points = "".join(
        f'<circle cx="{40 + side * width / most:.1f}" '
        f'cy="{10 + side - side * height / most:.1f}" r="2" fill="#3b75af" '
        'fill-opacity=".4"/>'
        for width, height in sizes
    )
    axes = (
        f'<path d="M40 10V{side + 10}H{side + 40}" fill="none" stroke="#999"/>'
        f'<text x="{side + 40}" y="{side + 26}" text-anchor="end">width {most}</text>'
        f'<text x="36" y="18" text-anchor="end">{most}</text>'
        '<text x="44" y="18">height</text>'
    )
    return f'<svg width="{side + 60}" height="{side + 34}">{axes}{points}</svg>'
