"""What ends a program in good order: what a user can put right."""

import importlib.util


class InvalidInput(ValueError):
    """A value, file or folder from outside that cannot be used.

    Its message is one line that names the argument or file, what is allowed and
    what came. The scripts print that line and exit; any other exception is a
    defect of the program and keeps its traceback.
    """


def require(is_allowed: bool, name: str, wanted: str, value: object) -> None:
    """Raises InvalidInput unless a value is allowed.

    Args:
        is_allowed: whether it is.
        name: of the argument or flag.
        wanted: what it must be, to stand behind "must be".
        value: what came.
    """
    if not is_allowed:
        raise InvalidInput(f"`{name}` must be {wanted}. Received: {name}={value}")


def require_extra(module: str, extra: str, what: str) -> None:
    """Raises InvalidInput unless a package of an extra is installed.

    Args:
        module: that must be there.
        extra: of setup.cfg, which brings it.
        what: needs it.
    """
    if importlib.util.find_spec(module) is None:
        raise InvalidInput(
            f"{what} needs {module}: python -m pip install -e '.[{extra}]'"
        )


def first_line(error: Exception) -> str:
    """Returns the first line of what an exception says, or its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
