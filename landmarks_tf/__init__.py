"""Recognise landmarks: train on a folder of photos, take the recogniser anywhere.

Importing the package imports no TensorFlow.
"""

from landmarks_tf.errors import InvalidInput
from landmarks_tf.prediction import load_classifier
from landmarks_tf.preprocessing import load_images

__all__ = ["InvalidInput", "load_classifier", "load_images"]
__version__ = "0.1.0"
