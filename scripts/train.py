"""`landmarks train`: see landmarks_tf/commands/train.py."""

from landmarks_tf.commands.train import COMMAND

if __name__ == "__main__":
    COMMAND.run()
