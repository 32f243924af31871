"""`landmarks tag`: see landmarks_tf/commands/tag.py."""

from landmarks_tf.commands.tag import COMMAND

if __name__ == "__main__":
    COMMAND.run()
