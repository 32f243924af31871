"""A trained network that teaches another.

Owns how it is asked and how much the student listens. Does not own training.
"""

import keras

# As much as to the labels: the default of keras.distillation.Distiller.
_LABELS_WEIGHT = 0.5


def build_distiller(teacher: keras.Model, student: keras.Model) -> keras.Model:
    """Returns a model that is trained as the student is, and is told more.

    Its loss is half the student's own and half the divergence of the student's
    probabilities from those that the teacher has for the same image.

    Args:
        teacher: a trained network, from the contract's images to probabilities. It is
            shown the student's images at its own size, and is not changed.
        student: likewise, of the same classes.

    Returns:
        an uncompiled `keras.distillation.Distiller`, whose outputs are the student's.
    """
    images = keras.Input((None, None, 3), name="images")
    resized = keras.layers.Resizing(*teacher.input_shape[1:3])(images)
    return keras.distillation.Distiller(
        keras.Model(images, teacher(resized), name="teacher"),
        student,
        keras.distillation.FeatureDistillation("kl_divergence"),
        student_loss_weight=_LABELS_WEIGHT,
    )


def student_of(model: keras.Model) -> keras.Model:
    """Returns the student of a distiller, of any other model itself."""
    return getattr(model, "student", model)
