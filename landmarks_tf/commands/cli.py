"""What every command does alike: flags of a config, one line for an error, progress."""

import contextlib
import dataclasses
import faulthandler
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import IO
from typing import Any
from typing import TypeVar

import tqdm
from absl import flags

import landmarks_tf
from landmarks_tf.errors import InvalidInput
from landmarks_tf.names import printable
from landmarks_tf.progress import Event
from landmarks_tf.progress import Progress
from landmarks_tf.setting import Settings

# TensorFlow 2.21 uses oneDNN by itself only on processors with AVX-512 and the like.
# With AVX2, a training step of the reference network takes 0.6 of the time with it
# (benchmarks/training_step.py).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Its notes of how it buffers each kind of file.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

Config = TypeVar("Config", bound=Settings)
# Set by Ctrl-C: where native code was calling back, an OSError comes of it (h5py).
INTERRUPTED = threading.Event()
# What native code said last, of a defect.
_MAX_NOTES = 2000


class Flags(flags.FlagValues):
    """The flags of a command. Each method defines one and returns its holder.

    Options are those of absl's functions, such as `required` and `lower_bound`.
    """

    def string(self, name: str, text: str, default: Any = None, **options: Any) -> Any:
        return flags.DEFINE_string(name, default, text, self, **options)

    def integer(self, name: str, text: str, default: int, **options: Any) -> Any:
        return flags.DEFINE_integer(name, default, text, flag_values=self, **options)

    def number(self, name: str, text: str, default: float, **options: Any) -> Any:
        return flags.DEFINE_float(name, default, text, flag_values=self, **options)

    def boolean(self, name: str, text: str) -> Any:
        return flags.DEFINE_bool(name, False, text, self)

    def words(self, name: str, text: str) -> Any:
        return flags.DEFINE_list(name, None, text, self)

    def enum(self, name: str, text: str, default: Any, choices: Sequence[str]) -> Any:
        return flags.DEFINE_enum(name, default, choices, text, self)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line: its flags and what it does with them.

    Attributes:
        main: from the arguments that are no flags to the exit code, None for 0.
        flags: its own.
        description: what `--help` says before the flags.
        first: names of the flags that `--help` shows first.
        error_code: where nothing could be done.
    """

    main: Callable[[list[str]], int | None]
    flags: Flags
    description: str
    first: Sequence[str] = ()
    error_code: int = 1

    def run(self, arguments: Sequence[str] = ()) -> None:
        """Parses flags, calls main and ends the program with its exit code.

        `-h` and `--help` print the description and the flags; `--version` prints the
        version. What a user can put right, and what the system refuses (OSError), ends
        with one line; anything else is a defect and keeps its traceback.

        Args:
            arguments: the program's name and its arguments; default: those of Python.
        """
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # odd file names print
        INTERRUPTED.clear()
        # As Ctrl-C does: what is half-written is removed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        with _native_notes_apart() as notes:
            sys.exit(self._guarded(list(arguments or sys.argv), notes))

    def _guarded(self, arguments: list[str], notes: IO[bytes]) -> int:
        if {"-h", "-help", "--help"} & set(arguments):
            print(self.describe())
            return 0
        if "--version" in arguments:
            print(f"landmarks_tf {landmarks_tf.__version__}")
            return 0
        try:
            self.flags.unparse_flags()
            rest = self.flags(arguments)[1:]
        except flags.Error as error:
            return self._fail(f"error: {error} (--help explains the flags)")
        except UnicodeDecodeError as error:
            return self._fail(f"error: a --flagfile is no text in UTF-8: {error}")
        try:
            exit_code = self.main(rest)
            sys.stdout.flush()
            return exit_code or 0
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough: no word to it, nor at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return self.error_code
        except InvalidInput as error:
            return self._fail(f"error: {error}")
        except KeyboardInterrupt as error:
            return self._fail(": ".join(filter(None, ("interrupted", str(error)))))
        except Exception as error:
            reason = system_reason(error)
            if reason:
                return self._fail(f"error: {reason}")
            traceback.print_exc()
            notes.seek(-min(_MAX_NOTES, notes.seek(0, os.SEEK_END)), os.SEEK_END)
            sys.stderr.write(notes.read().decode(errors="replace"))
            return self.error_code

    def _fail(self, message: str) -> int:
        one_line = "; ".join(message.splitlines())  # of several flags that are missing
        print(printable(one_line), file=sys.stderr)
        return self.error_code

    def describe(self) -> str:
        """Returns the description and a paragraph for each flag."""
        own = {name: self.flags[name] for name in sorted(self.flags)}
        groups = {"flags that all need first": [own.pop(name) for name in self.first]}
        for flag in sorted(own.values(), key=lambda flag: not _group_of(flag)):
            groups.setdefault(f"{_group_of(flag) or 'other'} flags", []).append(flag)
        lines = [self.description.rstrip()]
        width = min(shutil.get_terminal_size().columns, 88) - 6
        for group, members in groups.items():
            lines += ["", f"{group}:"] if members else []
            for flag in members:
                value = (flag.default_as_str or "").strip("'")
                lines.append(f"  --{flag.name}{'=' * bool(value)}{value}")
                text = textwrap.fill(" ".join(str(flag.help).split()), width)
                lines.append(textwrap.indent(text, " " * 6))
        return "\n".join(lines)


def _interrupt(number: int, frame: object) -> None:
    INTERRUPTED.set()
    raise KeyboardInterrupt


def define_flags(config_class: type[Settings], values: flags.FlagValues) -> None:
    """Defines a flag for each field of a config, under the field's name."""
    define: Mapping[Any, Callable[..., Any]] = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_bool,
        tuple[int, ...]: flags.DEFINE_multi_integer,
        tuple[str, ...]: flags.DEFINE_list,
    }
    for field in dataclasses.fields(config_class):
        default: Any = field.default
        if isinstance(default, tuple):
            default = list(default)
        text, choices = field.metadata["help"], field.metadata["limit"].choices
        if choices:
            flags.DEFINE_enum(field.name, default, choices, text, flag_values=values)
        else:
            define[field.type](field.name, default, text, flag_values=values)
        values[field.name].group = field.metadata["group"]  # type: ignore[attr-defined]


def _group_of(flag: flags.Flag) -> str:
    return getattr(flag, "group", "")


def read_config(base: Config, values: flags.FlagValues) -> Config:
    """Returns a config with what the command line says in place of its own values."""
    names = [field.name for field in dataclasses.fields(base)]
    given: dict[str, Any] = {
        name: values[name].value for name in names if values[name].present
    }
    lists = {name: tuple(x) for name, x in given.items() if isinstance(x, list)}
    return dataclasses.replace(base, **given | lists)


def refuse_arguments(arguments: list[str]) -> None:
    """Raises InvalidInput for words that are no flags, such as `epochs=3`."""
    if arguments:
        raise InvalidInput(f"flags start with --. Received: {' '.join(arguments)}")


class Console(Progress):
    """Shows events: lines on stdout, warnings on stderr, a bar where it is a terminal.

    The bar has the time that is left.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm.tqdm | None = None
        self._text = ""

    def __call__(self, event: Event) -> None:
        if event.total is None:
            self._close()
            stream = sys.stderr if event.is_warning else sys.stdout
            print(printable(event.text), file=stream, flush=True)
            return
        if self._bar is None or self._text != event.text:
            self._close()
            self._text = event.text
            # None disables it where stderr is no terminal.
            self._bar = tqdm.tqdm(
                desc=event.text, total=event.total, leave=False, disable=None
            )
        self._bar.update((event.done or 0) - self._bar.n)
        if event.done == event.total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def system_reason(error: Exception) -> str:
    """Returns in a line what the system refuses; nothing if an error is no such one."""
    if isinstance(error, OSError):
        return str(error)
    if "tensorflow" not in sys.modules:
        return ""
    import tensorflow as tf

    of_code = tf.errors.InvalidArgumentError, tf.errors.InternalError
    if not isinstance(error, tf.errors.OpError) or isinstance(error, of_code):
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
def _native_notes_apart() -> Iterator[IO[bytes]]:
    """Keeps what native code writes to stderr in a file, and gives it.

    TensorFlow 2.21 writes notes about absent GPUs at import and about each damaged
    photo, whatever TF_CPP_MIN_LOG_LEVEL says. Python's own words still come out, and
    where native code crashes, Python says where.
    """
    stderr = sys.stderr
    try:
        stderr.flush()
        number = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is no stderr
        yield io.BytesIO()
        return
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        sys.stderr = open(number, "w", 1, stderr.encoding, "backslashreplace")
        was_enabled = faulthandler.is_enabled()
        if not was_enabled:
            faulthandler.enable(sys.stderr)
        try:
            yield notes
        finally:
            if not was_enabled:
                faulthandler.disable()
            sys.stderr.flush()
            os.dup2(number, 2)
            sys.stderr.close()
            sys.stderr = stderr
