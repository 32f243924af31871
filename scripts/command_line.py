"""What every script does alike: quiet TensorFlow, one line for an error, run.flags."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

from absl import app
from absl import flags

from landmarks_tf.catalog import Catalog
from landmarks_tf.errors import InvalidInput

_NOT_RECORDED = ("resume", "overwrite")


def run(main: Callable[[list[str]], int | None]) -> None:
    """Runs a script: parses flags, calls main, ends with its exit code.

    What a user can put right, and what the system refuses (OSError), ends with one line
    and exit code 1; anything else is a defect and keeps its traceback.
    """

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # odd file names print too

    def guarded(arguments: list[str]) -> None:
        try:
            exit_code = main(arguments[1:])
        except (InvalidInput, OSError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.exit("interrupted")
        sys.exit(exit_code)

    app.run(guarded)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to stderr; Python's exceptions still come out.

    TensorFlow 2.21 writes notes about absent GPUs at import and about each damaged
    photo, whatever TF_CPP_MIN_LOG_LEVEL says.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without their notes.

    Called late: it takes seconds, and a wrong flag should not cost a user them.
    """
    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_logical_devices()


def refuse_arguments(arguments: list[str]) -> None:
    """Raises InvalidInput for words that are no flags, such as `epochs=3`."""
    if arguments:
        raise InvalidInput(f"flags start with --. Received: {' '.join(arguments)}")


def write_flags(path: Path) -> None:
    """Writes the script's own flags as a flagfile.

    Raises:
        InvalidInput: if one is there already, of a run that is resumed, and differs.
    """
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    lines = [flag.serialize() for flag in own if flag.name not in _NOT_RECORDED]
    lines = sorted(line for line in lines if line)
    if path.exists():
        recorded = path.read_text(encoding="utf-8").splitlines()
        for line in sorted(set(lines) ^ set(recorded)):
            raise InvalidInput(
                f"the run to resume was started with other flags: {line} is only in "
                f"{'this command' if line in lines else path}"
            )
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def skip_unreadable(photos: Catalog) -> tuple[Catalog, dict[str, str]]:
    """Decodes every photo, names those that cannot be, and leaves them out.

    Returns:
        the rest, and the reason by relative path of those left out.
    """
    from landmarks_tf import pipeline

    with quiet_stderr():
        skipped = pipeline.find_unreadable(photos)
    for path, reason in skipped.items():
        print(f"skipped {photos.data_dir / path}: {reason}", file=sys.stderr)
    if skipped:
        print(f"skipped {len(skipped)} photos that cannot be read", file=sys.stderr)
    return photos.without(skipped), skipped


def verbosity() -> int:
    """Returns Keras's `verbose`: a moving bar on a terminal, lines in a log."""
    return 1 if sys.stdout.isatty() else 2


def print_landmarks(photo: Path, landmarks: Iterable[tuple[str, float]]) -> None:
    """Prints the answer for one photo."""
    print(photo)
    for class_name, probability in landmarks:
        print(f"  {probability:6.1%}  {class_name}")
