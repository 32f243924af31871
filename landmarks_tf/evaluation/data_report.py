"""The report on a data folder: JSON for programs, a page with pictures for people.

Owns what they show; the form of the page is in `templates/data_report.html`.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from landmarks_tf import errors
from landmarks_tf.data import audit
from landmarks_tf.data import cache
from landmarks_tf.data import file_check
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.photo import read_photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.files import replacing
from landmarks_tf.page import encode_thumbnail
from landmarks_tf.page import render
from landmarks_tf.progress import Progress

_THUMBNAIL_SIDE = 96
_NUM_SAMPLES = 4
# A page must open in a browser, however large the folder: the rest is in the JSON.
_MAX_CLASSES = 200
_MAX_FINDINGS = 100
_MAX_THUMBNAILS = 4


def audit_folder(
    data_dir: Path,
    output_dir: Path,
    split_path: Path | None = None,
    min_side: int = audit.MIN_SIDE,
    progress: Progress = Progress(),
) -> audit.Audit:
    """Checks a data folder, and writes data_report.html and data_report.json.

    Args:
        data_dir: see `photo_set.list_data_dir`.
        output_dir: where the report is written, outside the photos.
        split_path: `split.json` of a run, whose splits must share no picture.
        min_side: a photo with a shorter side, in pixels, is a problem.
        progress: hears how many photos are read.
    """
    is_outside = not output_dir.resolve().is_relative_to(data_dir.resolve())
    errors.require(is_outside, "output_dir", "outside the photos", output_dir)
    photos, folder_problems = photo_set.list_data_dir(data_dir)
    checks = file_check.check_photos(photos, progress)
    changes: list[str] = []
    if split_path:
        hashes = {path: check.sha256 for path, check in checks.items()}
        changes = list(split_file.find_changes(split_path, photos, hashes))
        photos = split_file.apply_split(split_path, photos)
        kept = {photo.path for photo in photos.all_photos()}
        checks = {path: check for path, check in checks.items() if path in kept}
    files = [path for path in photos.visible_ignored() if not path.endswith("/")]
    others = {path: file_check.find_format(str(data_dir / path)) for path in files}
    findings = audit.check_data(photos, folder_problems, checks, others, min_side)
    findings += [audit.Finding("split", change) for change in changes]
    num_readable = sum(not check.problem for check in checks.values())
    output_dir.mkdir(parents=True, exist_ok=True)
    page = output_dir / "data_report.html"
    with replacing(page) as path:
        write_html(path, photos, checks, findings)
    with replacing(output_dir / "data_report.json") as path:
        write_json(path, photos, num_readable, findings)
    return audit.Audit(
        len(photos.class_names), len(checks), num_readable, findings, page
    )


def write_json(
    path: Path, photos: PhotoSet, num_read: int, findings: Sequence[audit.Finding]
) -> None:
    """Writes what was found for programs to read.

    Args:
        path: the file.
        photos: the data folder.
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
    findings: Sequence[audit.Finding],
) -> None:
    """Writes the page.

    Args:
        path: the file.
        photos: the data folder.
        checks: of every photo, by path.
        findings: what was found.
    """
    by_title = {
        title: [finding for finding in findings if finding.kind == kind]
        for kind, title in (audit.PROBLEMS | audit.NOTES).items()
    }
    samples = _choose_samples(photos, checks)
    shown = [f for group in by_title.values() for f in group[:_MAX_FINDINGS]]
    wanted = [path for finding in shown for path in _shown_paths(finding)]
    wanted += [path for paths in samples.values() for path in paths]
    wanted = [p for p in wanted if p not in checks or not checks[p].problem]
    counts = _class_counts(photos)
    page = render(
        "data_report.html",
        data_dir=photos.data_dir.resolve(),
        num_photos=len(checks),
        num_readable=sum(not check.problem for check in checks.values()),
        num_problems=sum(finding.is_problem for finding in findings),
        findings={title: group for title, group in by_title.items() if group},
        max_findings=_MAX_FINDINGS,
        shown_paths=_shown_paths,
        thumbnails=load_thumbnails(photos.data_dir, dict.fromkeys(wanted)),
        splits=list(photos.splits),
        counts=counts,
        longest=max((sum(row.values()) for row in counts.values()), default=0) or 1,
        max_classes=_MAX_CLASSES,
        samples=samples,
    )
    path.write_text(page, encoding="utf-8")


def load_thumbnails(data_dir: Path, paths: Iterable[str]) -> dict[str, str]:
    """Returns small JPEGs as base64 by path; empty for files that cannot be read."""
    paths = list(paths)
    files = [os.path.join(data_dir, path) for path in paths]
    answers = cache.map_files(_thumbnail, files, f"thumbnail {_THUMBNAIL_SIDE}")
    return dict(zip(paths, answers))


def _thumbnail(path: str) -> str:
    try:
        _, upright = read_photo(path)
    except errors.InvalidInput:
        return cache.Passing()
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


def _shown_paths(finding: audit.Finding) -> tuple[str, ...]:
    return finding.paths[:_MAX_THUMBNAILS] if finding.kind != "ignored" else ()
