"""What is wrong with a data folder, from its listing and what its files are.

Owns the judgement, and the report on it: JSON for programs, a page with pictures for
people, whose form is in `templates/data_report.html`. Does not judge a single file
(`file_check`).
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from landmarks_tf.data import file_check
from landmarks_tf.data.cache import Passing
from landmarks_tf.data.cache import map_files
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.photo import read_photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.photo_set import is_photo_name
from landmarks_tf.errors import InvalidInput
from landmarks_tf.page import encode_thumbnail
from landmarks_tf.page import render

# Kinds of findings, in the order of a report, with their titles.
PROBLEMS = {
    "folder": "Classes and folders that cannot be trained on",
    "unreadable": "Files that cannot be read",
    "misnamed": "Photos that are not named as photos, and so not read",
    "leak": "The same picture in two splits",
    "conflict": "The same picture in two classes",
    "duplicate": "The same picture more than once in a class",
    "split": "Photos that are not as the split file says",
    "imbalance": "Classes with few photos, or very many",
    "small": "Photos that are too small",
    "name": "Suspicious class names",
}
NOTES = {
    "converted": "Photos that others misread in silence, read rightly here",
    "ignored": "Other files, not read",
}
# In pixels: a thumbnail, of which a network at 224 or 800 sees little.
MIN_SIDE = 64
# Times the median of photos to train on: outside, a class is too small or too large.
_MIN_SHARE, _MAX_SHARE = 0.2, 5
# Fewer leave one or none for validation.
_MIN_PHOTOS = 10
_PLACEHOLDER = re.compile(
    r"(new folder|untitled|unsorted|unknown|other|misc|temp|tmp|todo|test|train|"
    r"val|validation|images?|photos?|pictures?|download(s|ed)?|dcim|\d+media|backup)"
    r"[ _-]*\d*|\d+|.*([ _-]copy|\(\d+\))",
    re.IGNORECASE,
)
_THUMBNAIL_SIDE = 96
_NUM_SAMPLES = 4
# A page must open in a browser, however large the folder: the rest is in the JSON.
_MAX_CLASSES = 200
_MAX_FINDINGS = 100
_MAX_THUMBNAILS = 4
_MAX_POINTS = 2000


@dataclass(frozen=True)
class Finding:
    """One thing found in a data folder.

    Attributes:
        kind: a key of `PROBLEMS` or `NOTES`.
        text: what it is.
        paths: relative paths of the files concerned, if there are any.
    """

    kind: str
    text: str
    paths: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        """Whether it should be put right before training."""
        return self.kind in PROBLEMS


def check_data(
    photos: PhotoSet,
    folder_problems: Sequence[str],
    checks: Mapping[str, FileCheck],
    others: Mapping[str, str],
    min_side: int,
) -> list[Finding]:
    """Returns what was found, problems first, by kind.

    Args:
        photos: of the folder, in the splits that must not share pictures.
        folder_problems: see `photo_set.list_data_dir`.
        checks: of every photo, by path.
        others: what the visible files are that are not named as photos, by path; see
            `file_check.find_format`.
        min_side: a photo with a shorter side, in pixels, is too small.
    """
    findings = [Finding("folder", problem) for problem in folder_problems]
    findings += _check_files(checks, min_side)
    findings += _check_duplicates(photos, checks)
    findings += _check_balance(photos)
    findings += _check_names(photos.class_names)
    findings += _check_ignored(photos.ignored, others)
    order = [*PROBLEMS, *NOTES]
    return sorted(findings, key=lambda finding: order.index(finding.kind))


def write_json(
    path: Path, photos: PhotoSet, num_read: int, findings: Sequence[Finding]
) -> None:
    """Writes what was found for programs to read.

    Args:
        path: the file.
        photos: of the data folder.
        num_read: photos that can be read.
        findings: what was found.
    """
    record = {
        "data_dir": str(photos.data_dir.resolve()),
        "num_photos": len(photos.all_photos()),
        "num_readable": num_read,
        "classes": _class_counts(photos),
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
    photos: PhotoSet,
    checks: Mapping[str, FileCheck],
    findings: Sequence[Finding],
) -> None:
    """Writes the page.

    Args:
        path: the file.
        photos: of the data folder.
        checks: of every photo, by path.
        findings: what was found.
    """
    from landmarks_tf import plots  # only here: matplotlib takes half a second

    by_title = {
        title: [finding for finding in findings if finding.kind == kind]
        for kind, title in (PROBLEMS | NOTES).items()
    }
    samples = _choose_samples(photos, checks)
    shown = [f for group in by_title.values() for f in group[:_MAX_FINDINGS]]
    wanted = [path for finding in shown for path in _shown_paths(finding)]
    wanted += [path for paths in samples.values() for path in paths]
    wanted = [p for p in wanted if p not in checks or not checks[p].problem]
    readable = [found for found in checks.values() if not found.problem]
    # Evenly chosen ones where there are very many.
    drawn = readable[:: -(-len(readable) // _MAX_POINTS) or 1]
    counts = _class_counts(photos)
    page = render(
        "data_report.html",
        data_dir=photos.data_dir.resolve(),
        num_photos=len(checks),
        num_readable=len(readable),
        num_problems=sum(finding.is_problem for finding in findings),
        findings={title: group for title, group in by_title.items() if group},
        max_findings=_MAX_FINDINGS,
        shown_paths=_shown_paths,
        thumbnails=load_thumbnails(photos.data_dir, dict.fromkeys(wanted)),
        splits=list(photos.splits),
        counts=counts,
        longest=max((sum(row.values()) for row in counts.values()), default=0) or 1,
        max_classes=_MAX_CLASSES,
        sizes=plots.draw_sizes([(x.width, x.height) for x in drawn]) if drawn else "",
        samples=samples,
    )
    path.write_text(page, encoding="utf-8")


def load_thumbnails(data_dir: Path, paths: Iterable[str]) -> dict[str, str]:
    """Returns small JPEGs as base64 by path; empty for files that cannot be read."""
    paths = list(paths)
    files = [os.path.join(data_dir, path) for path in paths]
    answers = map_files(_thumbnail, files, f"thumbnail {_THUMBNAIL_SIDE}")
    return dict(zip(paths, answers))


def _check_files(checks: Mapping[str, FileCheck], min_side: int) -> Iterator[Finding]:
    for path, found in checks.items():
        if found.problem:
            yield Finding("unreadable", found.problem, (path,))
            continue
        if min(found.width, found.height) < min_side:
            text = f"{found.width}x{found.height} pixels, less than {min_side} a side"
            yield Finding("small", text, (path,))
        for conversion in found.conversions:
            yield Finding("converted", conversion, (path,))


def _check_duplicates(
    photos: PhotoSet, checks: Mapping[str, FileCheck]
) -> Iterator[Finding]:
    places = {
        photo.path: (split, photo.label)
        for split, members in photos.splits.items()
        for photo in members
    }
    for group in file_check.group_duplicates(checks):
        is_exact = len({checks[path].sha256 for path in group}) == 1
        how = "the same bytes" if is_exact else "nearly the same"
        splits = sorted({places[path][0] for path in group})
        labels = sorted({places[path][1] for path in group})
        if len(splits) > 1:
            yield Finding("leak", f"{how} in {' and '.join(splits)}", tuple(group))
        if len(labels) > 1:
            names = " and ".join(photos.class_names[label] for label in labels)
            yield Finding("conflict", f"{how} as {names}", tuple(group))
        if len(splits) == len(labels) == 1:
            name = photos.class_names[labels[0]]
            yield Finding("duplicate", f"{how} in {name}", tuple(group))


def _check_balance(photos: PhotoSet) -> Iterator[Finding]:
    counts = Counter(photos.labels("train"))
    middle = median(counts.values()) if counts else 0
    for label, count in sorted(counts.items()):
        is_usual = middle * _MIN_SHARE <= count <= middle * _MAX_SHARE
        if count < _MIN_PHOTOS or not is_usual:
            name = photos.class_names[label]
            yield Finding(
                "imbalance", f"{name}: {count} photos to train on, median {middle:g}"
            )


def _check_names(class_names: Sequence[str]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name in class_names:
        bare = re.sub(r"^\d+[._ -]+", "", name)  # a running number in front is usual
        composed = unicodedata.normalize("NFKC", bare).casefold()
        plain = re.sub(r"[\W_]+", "", composed)
        if _PLACEHOLDER.fullmatch(bare.strip()):
            yield Finding("name", f"{name!r} is no landmark's name")
        elif name != name.strip() or not name.isprintable():
            yield Finding("name", f"{name!r} has blanks at its ends or odd characters")
        elif plain in seen:
            yield Finding("name", f"{name!r} differs from {seen[plain]!r} by little")
        seen.setdefault(plain, name)


def _check_ignored(
    ignored: Sequence[str], others: Mapping[str, str]
) -> Iterator[Finding]:
    for path in ignored:
        found = others.get(path, "")
        is_hidden = path.startswith(".") or "/." in path
        if is_hidden:
            yield Finding("ignored", "hidden", (path,))
        elif path.endswith("/"):
            where = "train/CLASS/ and test/CLASS/, or in CLASS/"
            yield Finding("folder", f"{path} is not read: photos lie in {where}")
        elif "not supported" in found:
            yield Finding("unreadable", found, (path,))
        elif found and is_photo_name(path.rpartition("/")[2]):
            yield Finding("folder", f"{path} is not read: it lies in no class's folder")
        elif found:
            text = "without a photo's extension, such as .jpg: rename it"
            yield Finding("misnamed", text, (path,))
        else:
            yield Finding("ignored", "not named as a photo", (path,))


def _thumbnail(path: str) -> str:
    try:
        _, upright = read_photo(path)
    except InvalidInput:
        return Passing()
    return encode_thumbnail(upright, _THUMBNAIL_SIDE)


def _class_counts(photos: PhotoSet) -> dict[str, dict[str, int]]:
    counts = {split: Counter(photos.labels(split)) for split in photos.splits}
    return {
        name: {split: counts[split][label] for split in counts}
        for label, name in enumerate(photos.class_names)
    }


def _choose_samples(
    photos: PhotoSet, checks: Mapping[str, FileCheck]
) -> dict[str, list[str]]:
    """Returns readable photos of each class, evenly spaced."""
    by_label: dict[int, list[str]] = {}
    for photo in photos.all_photos():
        if photo.label < _MAX_CLASSES and not checks[photo.path].problem:
            by_label.setdefault(photo.label, []).append(photo.path)
    return {
        photos.class_names[label]: paths[:: -(-len(paths) // _NUM_SAMPLES)]
        for label, paths in sorted(by_label.items())
    }


def _shown_paths(finding: Finding) -> tuple[str, ...]:
    return finding.paths[:_MAX_THUMBNAILS] if finding.kind != "ignored" else ()
