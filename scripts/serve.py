"""`landmarks serve`: see landmarks_tf/commands/serve.py."""

from landmarks_tf.commands.serve import COMMAND

if __name__ == "__main__":
    COMMAND.run()
