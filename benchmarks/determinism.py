"""What `train.py --deterministic` costs, and whether it changes anything.

  python benchmarks/determinism.py [NUM_RUNS] [FLAGS OF train.py ...]

Trains with and without it in turn (3 times each unless told otherwise), tells the
medians of photos a second in training steps, and in how many files or weights the runs
differ: those with one another, those without, and the two kinds. Default: 5 epochs of
the drawn sample set.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import kills

NUM_RUNS = 3
FLAGS = (
    "--flagfile=scripts/flags/quickstart.flags",
    "--epochs=5",
    "--formats=float32",
)


def main(num_runs: int, flags: list[str]) -> None:
    speeds: dict[str, list[float]] = {"--nodeterministic": [], "--deterministic": []}
    firsts: dict[str, Path] = {}
    differing: dict[str, set[str]] = {flag: set() for flag in speeds}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-1, num_runs):  # the first ones fill caches
            for flag, found in speeds.items():
                run = Path(folder) / f"run{number}{flag}"
                if kills.train(run, flags, flag).wait():
                    sys.exit(run.with_suffix(".log").read_text())
                if number >= 0:
                    record = json.loads((run / "metrics.json").read_text())
                    found.append(record["training"]["images_per_second"])
                firsts.setdefault(flag, run)
                differing[flag] |= {*kills.compare(firsts[flag], run)}
        differing["the two"] = {*kills.compare(*firsts.values())}
    medians = {flag: statistics.median(found) for flag, found in speeds.items()}
    for flag, found in speeds.items():
        print(f"{flag}: {medians[flag]} images/s (of {sorted(found)})")
    ratio = medians["--deterministic"] / medians["--nodeterministic"]
    print(f"ratio {ratio:.2f}")
    for kind, names in differing.items():
        print(f"{kind}: {len(names)} differ")


if __name__ == "__main__":
    has_number = len(sys.argv) > 1 and sys.argv[1].isdecimal()
    main(
        int(sys.argv[1]) if has_number else NUM_RUNS,
        sys.argv[1 + has_number :] or [*FLAGS],
    )
