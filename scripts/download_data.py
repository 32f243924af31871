"""`landmarks download`: see landmarks_tf/commands/download.py."""

from landmarks_tf.commands.download import COMMAND

if __name__ == "__main__":
    COMMAND.run()
