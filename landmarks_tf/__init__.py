"""Recognise landmarks: train on a folder of photos, take the recogniser anywhere.

Importing the package imports no TensorFlow.
"""

from landmarks_tf.data.photo import load_images
from landmarks_tf.errors import InvalidInput
from landmarks_tf.inference.classifier import load_classifier

__all__ = ["InvalidInput", "load_classifier", "load_images"]
__version__ = "0.1.0"
