"""`landmarks check`: see landmarks_tf/commands/check.py."""

from landmarks_tf.commands.check import COMMAND

if __name__ == "__main__":
    COMMAND.run()
