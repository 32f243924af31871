"""`landmarks export`: see landmarks_tf/commands/export.py."""

from landmarks_tf.commands.export import COMMAND

if __name__ == "__main__":
    COMMAND.run()
