"""`landmarks predict`: see landmarks_tf/commands/predict.py."""

from landmarks_tf.commands.predict import COMMAND

if __name__ == "__main__":
    COMMAND.run()
