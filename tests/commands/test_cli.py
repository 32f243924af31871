"""What a command makes of errors. The rest is in test_train."""

import pytest
import tensorflow as tf
from conftest import TOY_FLAGS
from conftest import run_script

from landmarks_tf.commands.cli import system_reason


def test_a_file_that_is_gone_in_the_middle_is_a_line(tmp_path):
    path = tmp_path / "a;b" / "photo.jpg"
    dataset = tf.data.Dataset.from_tensors(str(path)).map(tf.io.read_file)
    with pytest.raises(tf.errors.NotFoundError) as caught:
        next(iter(dataset))
    assert system_reason(caught.value) == f"{path}: no such file or directory"
    assert system_reason(OSError(28, "No space left", "a.h5")).endswith("left: 'a.h5'")


def test_what_is_a_defect_keeps_its_traceback():
    shapes = tf.errors.InvalidArgumentError(None, None, "Wrong shapes; Got 3")
    assert system_reason(shapes) == ""
    assert system_reason(ValueError("Wrong; Got 3")) == ""


def test_a_gpu_that_is_too_small_is_a_line():
    message = "OOM when allocating tensor with shape[8,800,800,64]"
    error = tf.errors.ResourceExhaustedError(None, None, message)
    assert system_reason(error).startswith("out of memory: lower --batch_size")


@pytest.mark.parametrize("output_dir", ["/proc/run", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_is_a_line(colored_dir, output_dir):
    result = run_script(
        "train", *TOY_FLAGS, f"--data_dir={colored_dir}", f"--output_dir={output_dir}"
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and output_dir in result.stderr
