"""How fast is a training step of the reference network, beside PyTorch's?

PYTHONPATH=. python benchmarks/training_step.py [IMAGE_SIZE [BATCH_SIZE]]

Forward, backward and Adam's update on the same weights and the same random images;
needs the extra `bench`. The alternatives are PyTorch as the reference project uses it
(float32, channels first) and with its memory format and precision changed. The peak is
what a large product of matrices reaches on the same cores.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as scripts/train.py does

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
from measuring import NUM_RUNS  # noqa: E402
from measuring import measure  # noqa: E402
from measuring import median  # noqa: E402

from landmarks_tf.models.scratch import build_scratch_model  # noqa: E402

NUM_CLASSES = 50
LEARNING_RATE = 2e-4
# Of probabilities, of float32 and of bfloat16.
MAX_DIFFERENCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


def build_torch(model: keras.Sequential) -> torch.nn.Sequential:
    """Returns the same network with the same weights, up to the last product."""
    layers: list[torch.nn.Module] = []
    shape: tuple[int, ...] = ()
    for layer in model.layers:
        weights = [torch.from_numpy(array) for array in layer.get_weights()]
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = weights
            own = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            own.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
            own.bias.data = bias
            layers += [own, torch.nn.ReLU()]
        elif isinstance(layer, keras.layers.MaxPooling2D):
            layers.append(torch.nn.MaxPool2d(2))
        elif isinstance(layer, keras.layers.Flatten):
            shape = layer.input.shape[1:]
            layers.append(torch.nn.Flatten())
        elif isinstance(layer, keras.layers.Dropout):
            layers.append(torch.nn.Dropout(layer.rate))
        else:
            kernel, bias = weights
            if shape:  # flattened in another order
                rows = kernel.reshape(*shape, -1).permute(2, 0, 1, 3)
                kernel, shape = rows.reshape(kernel.shape), ()
            own = torch.nn.Linear(*kernel.shape)
            own.weight.data = kernel.T.contiguous()
            own.bias.data = bias
            layers.append(own)
            if layer is not model.layers[-1]:
                layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def torch_step(
    model: keras.Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    memory_format: torch.memory_format,
    dtype: torch.dtype,
) -> Callable[[], object]:
    network = build_torch(model).to(memory_format=memory_format)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    pixels = pixels.to(memory_format=memory_format)
    targets = torch.from_numpy(labels).long()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return network(pixels)

    with torch.no_grad():
        network.eval()
        probabilities = forward().float().softmax(1).numpy()
        network.train()
    difference = np.abs(probabilities - model.predict_on_batch(images)).max()
    if difference > MAX_DIFFERENCE[dtype]:
        raise RuntimeError(f"not the same network: {difference}")

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward().float(), targets)
        loss.backward()
        optimizer.step()

    return step


def num_operations(model: keras.Sequential) -> int:
    """Returns additions and multiplications of a step for one image.

    Backward takes twice the forward's: the gradient by the weights and by the input,
    of which the first layer needs none.
    """
    total = 0
    for place, layer in enumerate(model.layers):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            total += (
                2 * positions * layer.kernel.shape.num_elements() * (3 - (not place))
            )
    return int(total)


def peak() -> float:
    """Returns the floating-point operations a second of a large product."""
    size = 3072
    matrix = tf.random.normal((size, size))
    seconds = []
    for _ in range(NUM_RUNS + 1):
        begin = time.perf_counter()
        tf.linalg.matmul(matrix, matrix).numpy()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / median(seconds)


def seconds_without_onednn(image_size: int, batch_size: int) -> float:
    """Returns what the step takes with TensorFlow as it comes on AVX2."""
    done = subprocess.run(
        [sys.executable, __file__, str(image_size), str(batch_size), "alone"],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    image_size = int(sys.argv[1]) if len(sys.argv) > 1 else 800
    batch_size = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.random((batch_size, image_size, image_size, 3), np.float32)
    labels = random.integers(NUM_CLASSES, size=batch_size).astype(np.int32)
    model = build_scratch_model("reference", (image_size, image_size), NUM_CLASSES)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy"
    )
    tensors = tf.constant(images), tf.constant(labels)
    name = f"Keras {keras.__version__}, TensorFlow {tf.__version__}, float32"
    ours = {name: lambda: model.train_on_batch(*tensors)}
    if len(sys.argv) > 3:
        print(measure("alone", ours)[name])
        return
    contestants = {
        f"PyTorch {torch.__version__}, {layout}, {precision}": torch_step(
            model, images, labels, memory_format, dtype
        )
        for layout, memory_format in (
            ("channels last", torch.channels_last),
            ("channels first", torch.contiguous_format),
        )
        for precision, dtype in (
            ("bfloat16", torch.bfloat16),
            ("float32", torch.float32),
        )
    }
    operations = num_operations(model) * batch_size
    seconds = measure(
        f"a training step of {batch_size} images of {image_size}x{image_size}",
        ours | contestants,
        images_per_step=batch_size,
        gigaflop_per_step=operations / 1e9,
    )
    share = operations / seconds[name] / peak()
    print(
        f"ours: {batch_size / seconds[name]:.2f} images/s, "
        f"{operations / 1e9:.0f} GFLOP a step, {share:.0%} of the peak; without "
        f"oneDNN a step takes {seconds_without_onednn(image_size, batch_size):.2f} s"
    )


if __name__ == "__main__":
    main()
