"""What is wrong with a data folder, from its listing and what its files are.

Owns the judgement. Does not read files (`check`), does not draw (`data_report`).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from landmarks_tf.data import file_check
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.photo_set import is_photo_name

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


@dataclass(frozen=True)
class Audit:
    """What was found in a data folder.

    Attributes:
        num_classes: class folders.
        num_photos: files that are photos by their names.
        num_readable: those that can be decoded.
        findings: problems and notes.
        page: file of the report.
    """

    num_classes: int
    num_photos: int
    num_readable: int
    findings: Sequence[Finding]
    page: Path


def check_data(
    photos: PhotoSet,
    folder_problems: Sequence[str],
    checks: Mapping[str, FileCheck],
    others: Mapping[str, str],
    min_side: int,
) -> list[Finding]:
    """Returns what was found, problems first, by kind.

    Args:
        photos: the folder, with the splits between which pictures must not be shared.
        folder_problems: see `photos.list_data_dir`.
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


def _check_files(checks: Mapping[str, FileCheck], min_side: int) -> Iterator[Finding]:
    for path, found in checks.items():
        if found.problem:
            yield Finding("unreadable", found.problem, (path,))
            continue
        if min(found.width, found.height) < min_side:
            text = f"{found.width}x{found.height} pixels, less than {min_side} a side"
            yield Finding("small", text, (path,))


def _check_duplicates(
    photos: PhotoSet, checks: Mapping[str, FileCheck]
) -> Iterator[Finding]:
    places = {p.path: (s, p.label) for s in photos.splits for p in photos.splits[s]}
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
            text = f"{count} photos to train on, median {middle:g}"
            yield Finding("imbalance", f"{photos.class_names[label]}: {text}")


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
        if "/." in f"/{path}":
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
