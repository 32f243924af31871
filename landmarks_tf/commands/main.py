"""`landmarks VERB ...`: all commands under one name, after `pip install`."""

import importlib
import sys

import landmarks_tf

VERBS = ("train", "evaluate", "export", "predict", "check", "serve", "tag", "download")


def main() -> None:
    """Runs the command that the first argument names."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in VERBS:
        module = importlib.import_module(f"landmarks_tf.commands.{verb}")
        module.COMMAND.run([f"landmarks {verb}", *sys.argv[2:]])
    elif verb == "--version":
        print(f"landmarks_tf {landmarks_tf.__version__}")
    elif verb in ("-h", "--help", "help"):
        print("landmarks VERB [--help] ...\n")
        for name in VERBS:
            module = importlib.import_module(f"landmarks_tf.commands.{name}")
            print(f"  {name:10}{module.COMMAND.description.splitlines()[0]}")
    else:
        sys.exit(f"error: no such verb: {verb} (one of {', '.join(VERBS)})")
