"""The tables of networks: what can be built, as plain data. No Keras.

`scratch` and `transfer` build from them; the command line takes its choices from them
without waiting for TensorFlow.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ScratchPreset:
    """Numbers of the 6-convolution, 3-dense network; the last dense is the output.

    Attributes:
        filters: of each convolution.
        dense_units: of the first two dense layers.
        dropout: share of their outputs dropped in training.
        pool_size: of the max-poolings, whose strides are 2: larger ones overlap.
        batch_normalization: whether one stands behind each hidden layer.
        global_pooling: whether the last feature maps are averaged before the dense
            layers, instead of flattened.
    """

    filters: tuple[int, int, int, int, int, int]
    dense_units: tuple[int, int] = (256, 128)
    dropout: float = 0.25
    pool_size: int = 2
    batch_normalization: bool = False
    global_pooling: bool = False


SCRATCH_PRESETS = MappingProxyType(
    {
        # The mission's own network: 20,486,738 parameters at 800x800 and 50 classes.
        "reference": ScratchPreset(filters=(16, 32, 64, 128, 256, 512)),
        # The same in more than name: 3.2 million parameters at any size.
        "strong": ScratchPreset(
            filters=(32, 64, 128, 256, 384, 512),
            dropout=0.3,
            pool_size=3,
            batch_normalization=True,
            global_pooling=True,
        ),
        # Learns the drawn sample set in a minute: 501,354 parameters.
        "small": ScratchPreset(
            filters=(8, 16, 32, 64, 128, 256),
            dropout=0.1,
            batch_normalization=True,
            global_pooling=True,
        ),
    }
)

# keras.applications name -> what its `preprocess_input` makes of pixels in 0..255:
# "tf" [-1, 1], "caffe" BGR less the ImageNet mean, "torch" RGB normalised by the
# ImageNet mean and deviation, "inside" nothing (the network rescales by itself).
BACKBONES = MappingProxyType(
    {
        "ConvNeXtTiny": "inside",
        "DenseNet121": "torch",
        "EfficientNetB0": "inside",
        "EfficientNetB1": "inside",
        "EfficientNetB2": "inside",
        "EfficientNetB3": "inside",
        "EfficientNetB4": "inside",
        "EfficientNetV2B0": "inside",
        "EfficientNetV2B1": "inside",
        "EfficientNetV2B2": "inside",
        "EfficientNetV2B3": "inside",
        "EfficientNetV2S": "inside",
        "InceptionV3": "tf",
        "MobileNetV2": "tf",
        "MobileNetV3Large": "inside",
        "MobileNetV3Small": "inside",
        "NASNetMobile": "tf",
        "ResNet50": "caffe",
        "ResNet50V2": "tf",
        "VGG16": "caffe",
        "Xception": "tf",
    }
)
