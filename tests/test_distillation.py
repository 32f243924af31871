import keras
import numpy as np

from landmarks_tf import distillation
from landmarks_tf.models import build_scratch_model


def build_teacher(answer):
    """A network for 80 x 80 pixels that is sure of one of 3 classes."""
    teacher = build_scratch_model("small", (80, 80), 3)
    kernel, bias = teacher.layers[-1].weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(20 * np.eye(3)[answer])
    return teacher


def test_a_student_learns_from_its_teacher_what_no_label_says():
    keras.utils.set_random_seed(0)
    teacher, student = build_teacher(2), build_scratch_model("small", (64, 64), 3)
    before = [np.array(weight) for weight in teacher.weights]
    distiller = distillation.build_distiller(teacher, student)
    distiller.compile(
        keras.optimizers.Adam(1e-2), keras.losses.CategoricalCrossentropy()
    )
    images = np.random.default_rng(0).random((16, 64, 64, 3), np.float32)
    # Labels that are equally for all classes but the one the teacher is sure of.
    labels = np.tile(np.float32([0.5, 0.5, 0]), (16, 1))
    distiller.fit(images, labels, epochs=20, verbose=0)
    probabilities = student.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities, [[0.25, 0.25, 0.5]] * 16, atol=0.1)
    for old, new in zip(before, teacher.weights):
        np.testing.assert_array_equal(old, new)


def test_the_student_of_a_distiller_is_what_is_kept():
    teacher, student = build_teacher(0), build_scratch_model("small", (64, 64), 3)
    distiller = distillation.build_distiller(teacher, student)
    assert distillation.student_of(distiller) is student
    assert distillation.student_of(student) is student
