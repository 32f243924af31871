"""What every benchmark does alike: medians of runs in turn, a table, a line of JSON."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping

# 0 times the warm-up alone, which is enough to see that a benchmark runs.
NUM_RUNS = int(os.environ.get("BENCHMARK_RUNS", 5))


def measure(
    question: str,
    contestants: Mapping[str, Callable[[], object]],
    num_runs: int = NUM_RUNS,
    **facts: object,
) -> dict[str, float]:
    """Runs the contestants in turn, after one warm-up each, and prints what they took.

    Args:
        question: what is measured.
        contestants: functions without arguments by name; the last is the alternative
            that the others are compared with.
        num_runs: runs of each after its warm-up, at most NUM_RUNS.
        facts: more for the line of JSON.

    Returns:
        the median seconds by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(min(num_runs, NUM_RUNS) + 1):
        for name, contestant in contestants.items():
            begin = time.perf_counter()
            contestant()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: median(taken) for name, taken in seconds.items()}
    report(question, medians, **facts)
    return medians


def median(seconds: list[float]) -> float:
    """Returns the median after the warm-up, or the warm-up if it is all there is."""
    return statistics.median(seconds[1:] or seconds)


def report(question: str, medians: Mapping[str, float], **facts: object) -> None:
    """Prints a table of seconds and ratios to the last, and the same as JSON."""
    *_, alternative = medians.values()
    print(question)
    for name, median in medians.items():
        print(f"  {median:9.3f} s  {alternative / median:6.2f} x  {name}")
    tell(question, seconds=medians, **facts)


def tell(question: str, **facts: object) -> None:
    """Prints what was found, and on which machine, as a line of JSON."""
    machine = {"machine": platform.machine(), "cpu_count": os.cpu_count()}
    print(json.dumps({"question": question, **machine, **facts}), flush=True)
