"""What every script does alike: quiet TensorFlow, one line for an error, run.flags."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NoReturn
from typing import TypeVar

from absl import app
from absl import flags

import landmarks_tf
from landmarks_tf import run_folder
from landmarks_tf.config import ExportConfig
from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.names import printable

# TensorFlow 2.21 uses oneDNN by itself only on processors with AVX-512 and the like.
# With AVX2, a training step of the reference network takes 0.6 of the time with it
# (benchmarks/training_step.py).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Its warnings stand before our own line about the same photo or disk, and its notes of
# how it buffers each kind of TFRecord file in the log of a run.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

Config = TypeVar("Config", bound=ExportConfig)

# How to go about a run, which is the same without; of a recipe all values are recorded.
_NOT_RECORDED = (
    "recipe",
    "resume",
    "overwrite",
    "coordinator_address",
    "num_hosts",
    "host_index",
)

# Comes after the training: a run that failed there goes on with other values.
_NOT_COMPARED = ("formats", "author", "licence", "outliers_dir")


def define_flags(config_class: type[ExportConfig]) -> None:
    """Defines a flag for each field of a config, under the field's name.

    The script adopts this module's key flags.
    """
    define: dict[Any, Callable[..., object]] = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        tuple[int, ...]: flags.DEFINE_multi_integer,
        tuple[str, ...]: flags.DEFINE_list,
    }
    for field in dataclasses.fields(config_class):
        default: Any = field.default
        if isinstance(default, tuple):
            default = list(default)
        text, choices = field.metadata["help"], field.metadata["choices"]
        if choices:
            flags.DEFINE_enum(field.name, default, choices, text)
        else:
            define[field.type](field.name, default, text)


def read_config(base: Config) -> Config:
    """Returns a config with what the command line says in place of its own values.

    The flags have all of its values afterwards, as `write_flags` records them.
    """
    names = [field.name for field in dataclasses.fields(base)]
    given: dict[str, Any] = {
        name: flags.FLAGS[name].value for name in names if is_given(name)
    }
    for name, value in given.items():
        given[name] = tuple(value) if isinstance(value, list) else value
    config = dataclasses.replace(base, **given)
    for name in names:
        value = getattr(config, name)
        flags.FLAGS[name].value = list(value) if isinstance(value, tuple) else value
    return config


def is_given(name: str) -> bool:
    """Returns whether the command line, or a flagfile of it, has a flag."""
    return bool(flags.FLAGS[name].present)


def run(
    main: Callable[[list[str]], int | None],
    error_code: int = 1,
    first: Sequence[str] = (),
) -> None:
    """Runs a script: parses flags, calls main, ends with its exit code.

    `-h` and `--help` print its docstring and flags, those named in `first` before the
    others; `--version` prints the version.

    What a user can put right, and what the system refuses (OSError), ends with one line
    and `error_code`; anything else is a defect and keeps its traceback.
    """

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # odd file names print too

    def fail(message: str) -> NoReturn:
        one_line = "; ".join(message.splitlines())  # of several flags that are missing
        print(printable(one_line), file=sys.stderr)
        sys.exit(error_code)

    def parse(arguments: list[str]) -> list[str]:
        if {"-h", "-help", "--help"} & set(arguments):
            print(describe_flags(first))
            sys.exit()
        if "--version" in arguments:
            print(f"landmarks_tf {landmarks_tf.__version__}")
            sys.exit()
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            fail(f"error: {error} (--help explains the flags)")
        except UnicodeDecodeError as error:
            fail(f"error: a --flagfile is no text in UTF-8: {error}")

    def guarded(arguments: list[str]) -> None:
        try:
            exit_code = main(arguments[1:])
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough: no word to it, nor at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(error_code)
        except InvalidInput as error:
            fail(f"error: {error}")
        except KeyboardInterrupt as error:
            fail(": ".join(filter(None, ("interrupted", str(error)))))
        except Exception as error:
            reason = system_reason(error)
            if reason:
                fail(f"error: {reason}")
            traceback.print_exc()
            sys.exit(error_code)
        sys.exit(exit_code)

    # As Ctrl-C does: what is half-written is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app.run(guarded, flags_parser=parse)


def describe_flags(first: Sequence[str]) -> str:
    """Returns the docstring of the program and a paragraph for each of its flags."""
    own = {f.name: f for f in flags.FLAGS.get_key_flags_for_module(sys.argv[0])}
    settings = {f.name: f.metadata["group"] for f in dataclasses.fields(TrainConfig)}
    groups: dict[str, list[flags.Flag]] = {}
    if first:
        groups["flags that all need first"] = [own.pop(name) for name in first]
    for name, flag in sorted(own.items(), key=lambda item: item[0] not in settings):
        groups.setdefault(f"{settings.get(name, 'other')} flags", []).append(flag)
    lines = [(sys.modules["__main__"].__doc__ or "").rstrip()]
    width = min(shutil.get_terminal_size().columns, 88) - 6
    for group, members in groups.items():
        lines += ["", f"{group}:"]
        for flag in members:
            value = (flag.default_as_str or "").strip("'")
            lines.append(f"  --{flag.name}{'=' * bool(value)}{value}")
            text = textwrap.fill(" ".join(str(flag.help).split()), width)
            lines.append(textwrap.indent(text, " " * 6))
    return "\n".join(lines)


def system_reason(error: Exception) -> str:
    """Returns in a line what the system refuses; nothing if an error is no such one."""
    if isinstance(error, OSError):
        return str(error)
    if "tensorflow" not in sys.modules:
        return ""
    import tensorflow as tf

    of_files = (
        tf.errors.NotFoundError,
        tf.errors.PermissionDeniedError,
        tf.errors.ResourceExhaustedError,
        tf.errors.FailedPreconditionError,
        tf.errors.UnavailableError,
        tf.errors.UnknownError,
    )
    if not isinstance(error, of_files):
        return ""
    if isinstance(error, tf.errors.ResourceExhaustedError) and "OOM" in str(error):
        return "out of memory: lower --batch_size or --image_size"
    # In TensorFlow's message, the line of the file and what the system says of it.
    found = re.search(
        r"^(?:\{\{.*?\}\} |Error in user-defined function .* iterator: \S+: )*"
        r"(\S.*); ([A-Z].*)$",
        str(error),
        re.MULTILINE,
    )
    return f"{found[1]}: {found[2].strip().lower()}" if found else ""


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


def load_tensorflow(shares_gpus: bool = False, deterministic: bool = False) -> None:
    """Imports TensorFlow and finds its devices, without their notes.

    Called late: it takes seconds, and a wrong flag should not cost a user them.

    Args:
        shares_gpus: whether to leave their memory, all of which it takes else, to a
            process beside this one.
        deterministic: whether each operation must compute the same each time.
    """
    if shares_gpus:
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_logical_devices()
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def refuse_arguments(arguments: list[str]) -> None:
    """Raises InvalidInput for words that are no flags, such as `epochs=3`."""
    if arguments:
        raise InvalidInput(f"flags start with --. Received: {' '.join(arguments)}")


def write_flags(path: Path, **recorded: str) -> None:
    """Writes the script's own flags as a flagfile.

    Args:
        path: the file.
        recorded: values to write in place of some flags' own; these are not compared.

    Raises:
        InvalidInput: if one is there already, of a run that is resumed, and differs.
    """
    if path.exists():
        compare_flags(path, **recorded)
    lines, replaced = _flag_lines(recorded)
    # Aside: without its flags a run that is killed here could not go on.
    with run_folder.replacing(path) as aside:
        aside.write_text("\n".join([*lines, *replaced, ""]), encoding="utf-8")


def compare_flags(path: Path, **recorded: str) -> None:
    """Raises InvalidInput if a run was started with other flags; see `write_flags`."""
    lines, replaced = _flag_lines(recorded)
    previous = set(path.read_text(encoding="utf-8").splitlines()) - set(replaced)
    for line in sorted(set(lines) ^ previous):
        if not re.match(f"--(no)?({'|'.join(_NOT_COMPARED)})\\b", line):
            raise InvalidInput(
                f"the run to resume was started with other flags: {line} is only in "
                f"{'this command' if line in lines else path}"
            )


def _flag_lines(recorded: dict[str, str]) -> tuple[list[str], list[str]]:
    """Returns the lines of the script's own flags, and of those in their place."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    written = [flag for flag in own if flag.name not in (*_NOT_RECORDED, *recorded)]
    # A flag that may be repeated has a line for each value, whose order counts.
    blocks = sorted(filter(None, (flag.serialize() for flag in written)))
    replaced = [f"--{name}={value}" for name, value in recorded.items()]
    return "\n".join(blocks).splitlines(), replaced


def verbosity() -> int:
    """Returns Keras's `verbose`: a moving bar on a terminal, lines in a log."""
    return 1 if sys.stdout.isatty() else 2
