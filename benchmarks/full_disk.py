"""Does a run lose anything to a disk that fills up?

  python benchmarks/full_disk.py [NUM_SIZES] [FLAGS OF train.py ...]

Trains on disks of ever more space (20 sizes unless told otherwise, from none to what a
run takes), so that each run fails at another of its writes; then gives it space and
goes on with `--resume`. Each must fail with one line and end as the run that was never
stopped, and the older run in its place must load until then. Needs the right to mount a
tmpfs (Linux, root). Default: 2 epochs of the drawn sample set, which FLAGS replace. A
run UNBROKEN of the environment, trained with the same flags, is not trained here.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kills
import numpy as np
from measuring import tell

from landmarks_tf.inference.classifier import load_classifier

NUM_SIZES = 20
FLAGS = (
    "--flagfile=scripts/flags/quickstart.flags",
    "--epochs=2",
    "--formats=saved_model,float32",
)
ENOUGH = "256m"


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Mounts a disk in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder: Path, size: str) -> None:
    option = f"remount,size={size}"
    subprocess.run(["mount", "-o", option, folder], check=True)


def train(output_dir: Path, flags: list[str], *more: str) -> tuple[int, str]:
    """Returns the exit code and what is on stderr."""
    command = [sys.executable, "scripts/train.py", *flags, f"--output_dir={output_dir}"]
    result = subprocess.run(
        [*command, *more],
        cwd=kills.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return result.returncode, result.stderr


def used(folder: Path) -> int:
    return shutil.disk_usage(folder).used


def find_faults(
    folder: Path, flags: list[str], num_bytes: int, older: Path, unbroken: Path
) -> list[str]:
    """Returns what is wrong about a run on a disk with so much space."""
    output_dir = folder / "run"
    shutil.copytree(older, output_dir)
    resize(folder, str(used(folder) + num_bytes + 4096))
    faults = []
    code, message = train(output_dir, flags, "--overwrite")
    print(f"{num_bytes // 1024} kB: exit code {code}: {message.strip()}", flush=True)
    if code not in (0, 1) or (code == 1) != (message.count("\n") == 1):
        faults.append("not one line")
    if code == 0:
        return [*faults, *kills.compare(unbroken, output_dir)]
    model = load_classifier(output_dir)
    if model.predict(np.zeros((1, *model.image_size, 3), np.float32)).shape[0] != 1:
        faults.append("the older run does not answer")
    resize(folder, ENOUGH)
    is_begun = (folder / "run.unfinished" / "checkpoints").exists()
    if is_begun != ("--resume" in message):
        faults.append("does not say how to go on")
    code, message = train(output_dir, flags, "--resume" if is_begun else "--overwrite")
    if code:
        return [*faults, f"does not go on: {message.strip()}"]
    return [*faults, *kills.compare(unbroken, output_dir)]


def main(num_sizes: int, flags: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        unbroken = Path(name) / "unbroken"
        if not kills.copy_unbroken(unbroken):
            code, message = train(unbroken, flags)
            if code:
                sys.exit(message)
        # What it takes while it is not finished: checkpoints and decoded photos too.
        num_bytes = 2 * sum(p.stat().st_size for p in unbroken.rglob("*"))
        faulty = 0
        for number in range(num_sizes):
            folder = Path(name) / f"disk{number}"
            with disk(folder):
                size = num_bytes * number // num_sizes
                faults = find_faults(folder, flags, size, unbroken, unbroken)
            faulty += bool(faults)
            for fault in faults:
                print(f"  {fault}", flush=True)
    tell("runs on a disk that fills", disks=num_sizes, at_fault=faulty)
    if faulty:
        sys.exit(1)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    has_number = len(sys.argv) > 1 and sys.argv[1].isdecimal()
    main(
        int(sys.argv[1]) if has_number else NUM_SIZES,
        sys.argv[1 + has_number :] or [*FLAGS],
    )
