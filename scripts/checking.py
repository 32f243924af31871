"""Reading the photos of a folder, and telling what is wrong with them."""

import itertools
import sys
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import command_line
import tqdm

from landmarks_tf import run_folder
from landmarks_tf.data import audit
from landmarks_tf.data import file_check
from landmarks_tf.data import photo_set
from landmarks_tf.data import split_file
from landmarks_tf.data.audit import Finding
from landmarks_tf.data.audit import MIN_SIDE
from landmarks_tf.data.file_check import FileCheck
from landmarks_tf.data.photo import MAX_PIXELS
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.errors import InvalidInput
from landmarks_tf.names import printable

# Of very many photos left out; split.json names them all.
_MAX_NAMED = 100


def inspect(photos: PhotoSet, max_pixels: int = MAX_PIXELS) -> dict[str, FileCheck]:
    """Reads every photo, or remembers it, with a progress bar on a terminal."""
    paths = [photo.path for photo in photos.all_photos()]
    inspections = tqdm.tqdm(
        file_check.check_files(photos.data_dir, paths, max_pixels),
        desc="reading photos",
        total=len(paths),
        unit="photo",
        leave=False,
        disable=None,  # where stderr is no terminal
    )
    return dict(zip(paths, inspections))


def skip_unreadable(
    photos: PhotoSet, inspections: Mapping[str, FileCheck]
) -> tuple[PhotoSet, dict[str, str]]:
    """Names the photos that cannot be decoded, and leaves them out.

    Returns:
        the rest, and the reason by relative path of those left out.
    """
    from landmarks_tf.data.tf_image import find_unreadable

    skipped = {path: i.problem for path, i in inspections.items() if i.problem}
    with command_line.quiet_stderr():
        # What Pillow can decode, TensorFlow must too, or training ends at that photo.
        skipped |= find_unreadable(photos.without(skipped))
    name_skipped(photos, skipped)
    return photos.without(skipped), skipped


def name_skipped(photos: PhotoSet, skipped: Mapping[str, str]) -> None:
    """Names photos that are left out, the first of very many."""
    for path, reason in itertools.islice(skipped.items(), _MAX_NAMED):
        named = printable(f"{photos.data_dir / path}: {reason}")
        print(f"skipped {named}", file=sys.stderr)


def print_left_out(**counts: int) -> None:
    """Prints one line of how many photos are left out and why, if there are any."""
    parts = [f"{n} {why.replace('_', ' ')}" for why, n in counts.items() if n]
    if parts:
        total = sum(counts.values())
        print(f"left out {total} photos: {', '.join(parts)}", file=sys.stderr)


def check(
    data_dir: Path,
    output_dir: Path,
    split_path: Path | None = None,
    max_pixels: int = MAX_PIXELS,
    min_side: int = MIN_SIDE,
) -> list[Finding]:
    """Checks a data folder, writes data_report.html and .json, prints a summary."""
    if output_dir.resolve().is_relative_to(data_dir.resolve()):
        raise InvalidInput(
            f"`output_dir` must lie outside the photos. Received: {output_dir}"
        )
    listing, folder_problems = photo_set.list_data_dir(data_dir)
    inspections = inspect(listing, max_pixels)
    changes: list[str] = []
    if split_path:
        hashes = {path: found.sha256 for path, found in inspections.items()}
        changes = list(split_file.find_changes(split_path, listing, hashes))
        listing = split_file.apply_split(split_path, listing)
        kept = {photo.path for photo in listing.all_photos()}
        inspections = {p: found for p, found in inspections.items() if p in kept}
    files = [path for path in listing.visible_ignored() if not path.endswith("/")]
    others = {path: file_check.find_format(str(data_dir / path)) for path in files}
    findings = audit.check_data(listing, folder_problems, inspections, others, min_side)
    findings += [Finding("split", change) for change in changes]
    num_read = sum(not found.problem for found in inspections.values())
    output_dir.mkdir(parents=True, exist_ok=True)
    page = output_dir / "data_report.html"
    with run_folder.replacing(page) as path:
        audit.write_html(path, listing, inspections, findings)
    with run_folder.replacing(output_dir / "data_report.json") as path:
        audit.write_json(path, listing, num_read, findings)
    num_classes, num_photos = len(listing.class_names), len(inspections)
    print(f"{num_classes} classes, {num_photos} photos, {num_read} readable")
    print_findings(findings)
    print(f"report: {page}")
    return findings


def print_findings(findings: Sequence[Finding]) -> None:
    """Prints a line for each kind of finding, with its first one."""
    counts = Counter(finding.kind for finding in findings)
    firsts = {finding.kind: finding for finding in reversed(findings)}
    for kind, title in (audit.PROBLEMS | audit.NOTES).items():
        if counts[kind]:
            first = " ".join([*firsts[kind].paths[:2], firsts[kind].text])
            print(f"  {counts[kind]:5}  {title}, the first: {printable(first)}")
    if not any(finding.is_problem for finding in findings):
        print("no problems")
