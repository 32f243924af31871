"""Watching a Beam pipeline: a bar of its shards, and an end whatever its workers do."""

import contextlib
import logging
import os
import queue
import re
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NoReturn

import command_line
import tqdm

from landmarks_tf.errors import InvalidInput

if TYPE_CHECKING:
    from landmarks_tf.tag_folder import TagFolder

Counts = dict[str, int]
_LOOK_SECONDS = 1.0
# How a worker's traceback ends that met what a user can put right, such as a full disk.
_REASON = re.compile(
    r"\b(?:OSError|PermissionError|FileNotFoundError|BeamIOError|InvalidInput): (.+)$"
)


def watch(run: Callable[[], Counts], folder: "TagFolder", is_here: bool) -> Counts:
    """Runs a pipeline and returns what it returns.

    Args:
        run: the pipeline, until it has ended.
        folder: where its shards appear.
        is_here: whether it runs on this machine; another's log is shown.

    Raises:
        InvalidInput: if a worker is killed, or meets what a user can put right.
    """
    ended: queue.Queue[Counts | Exception] = queue.Queue()

    def work() -> None:
        try:
            ended.put(run())
        except Exception as error:
            ended.put(error)

    def notice(thread: threading.ExceptHookArgs) -> None:
        # Beam 2.77 waits for ever for a worker that was killed; only its thread that
        # waits for the process ends with an error.
        if thread.thread and thread.thread.name == "run_worker":
            reason = f"a worker is gone, killed or out of memory ({thread.exc_value})"
            ended.put(InvalidInput(f"{reason}: the same command goes on"))

    threading.excepthook = notice
    with _bar(folder) as look, _log(is_here):
        threading.Thread(target=work, daemon=True).start()
        outcome = None
        while outcome is None:
            with contextlib.suppress(queue.Empty):
                outcome = ended.get(timeout=_LOOK_SECONDS)
            look()
    if isinstance(outcome, Exception):
        found = _REASON.search(str(outcome).strip())
        raise InvalidInput(found[1]) if found else outcome
    return outcome


@contextlib.contextmanager
def _bar(folder: "TagFolder") -> Iterator[Callable[[], None]]:
    """Gives a function that looks for finished shards, and shows them on a terminal."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    # Its own way to the terminal: Beam's is closed meanwhile.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        with tqdm.tqdm(
            total=folder.num_shards,
            initial=len(folder.find_finished()),
            unit=" shards",
            leave=False,
            file=terminal,
        ) as bar:

            def look() -> None:
                bar.update(len(folder.find_finished()) - bar.n)

            yield look


def _log(is_here: bool) -> contextlib.AbstractContextManager[None]:
    if is_here:
        # Of workers that start, and tracebacks, which the error has too.
        return command_line.quiet_stderr()
    # Where the job can be seen, and how it goes.
    logging.getLogger().setLevel(logging.INFO)
    return contextlib.nullcontext()


def leave(end: SystemExit) -> NoReturn:
    """Ends this process at once, and with it the workers, which notice.

    Python would wait for threads of Beam's, which wait for workers, which wait for us.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code if isinstance(end.code, int) else 0)
