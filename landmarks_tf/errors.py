"""The one exception for what a user can put right: a wrong value, file or folder."""


class InvalidInput(ValueError):
    """A value, file or folder from outside that cannot be used.

    Its message is one line that names the argument or file, what is allowed and
    what came. The scripts print that line and exit; any other exception is a
    defect of the program and keeps its traceback.
    """
