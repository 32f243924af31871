"""`landmarks evaluate`: see landmarks_tf/commands/evaluate.py."""

from landmarks_tf.commands.evaluate import COMMAND

if __name__ == "__main__":
    COMMAND.run()
