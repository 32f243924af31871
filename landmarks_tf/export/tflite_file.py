"""What a TFLite file needs after the converter: changes in its FlatBuffer.

The layout: tensorflow/compiler/mlir/lite/schema/schema.fbs. No TensorFlow.
"""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

# Smaller ones, of the first layers most of all, are a twentieth of MobileNetV2; in
# half precision they move its probabilities five times as far as all others do.
_MIN_HALVED_VALUES = 10_000
# Version of the operation DEQUANTIZE, the first that takes float16.
_DEQUANTIZE_VERSION = 3
_METADATA_NAME = "TFLITE_METADATA"


def halve_weights(contents: bytes) -> bytes:
    """Returns a float32 file with its large weights in half precision.

    It still computes in float32. The converter would halve all weights.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(contents))
    (graph,) = model.subgraphs
    num_users = Counter(tensor.buffer for tensor in graph.tensors)
    operations = []
    for place, tensor in enumerate(list(graph.tensors)):
        data = model.buffers[tensor.buffer].data
        is_weights = tensor.type == schema.TensorType.FLOAT32 and data is not None
        if not is_weights or len(data) < 4 * _MIN_HALVED_VALUES:
            continue
        values = np.frombuffer(bytes(data), np.float32).astype(np.float16)
        graph.tensors.append(_half_tensor(tensor, len(model.buffers)))
        model.buffers.append(_buffer(values.tobytes()))
        operations.append(_operation([len(graph.tensors) - 1], [place]))
        num_users[tensor.buffer] -= 1
        if not num_users[tensor.buffer]:
            model.buffers[tensor.buffer].data = None
        tensor.buffer = 0
    _add_dequantize(model, operations)
    return _as_bytes(model)


def take_grey_levels(contents: bytes) -> bytes:
    """Returns a file whose float32 input is uint8 instead: 0..255 for [0, 1]."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(contents))
    (graph,) = model.subgraphs
    (place,) = graph.inputs
    images = graph.tensors[place]
    users = [x for x in graph.operators if place in x.inputs]
    codes = {model.operatorCodes[user.opcodeIndex].builtinCode for user in users}
    grey_levels = schema.TensorT()
    grey_levels.shape, grey_levels.shapeSignature = images.shape, images.shapeSignature
    grey_levels.name = images.name
    grey_levels.type = schema.TensorType.UINT8
    grey_levels.quantization = schema.QuantizationParametersT()
    grey_levels.quantization.scale = [1 / 255]
    grey_levels.quantization.zeroPoint = [0]
    if codes == {schema.BuiltinOperator.QUANTIZE}:
        # To eight bits of another kind: a difference of zero points.
        graph.tensors[place] = grey_levels
    else:
        graph.tensors.append(grey_levels)
        new_place = len(graph.tensors) - 1
        _add_dequantize(model, [_operation([new_place], [place])])
        images.name = b"dequantized_images"
        graph.inputs = [new_place]
        for signature in model.signatureDefs or []:
            for given in signature.inputs:
                given.tensorIndex = new_place
    return _as_bytes(model)


def add_metadata(contents: bytes, metadata: bytes, files: Mapping[str, bytes]) -> bytes:
    """Returns a file with its description, and with files in a zip behind its end.

    So TFLite Task Library and MediaPipe read them
    (https://ai.google.dev/edge/litert/conversion/tensorflow/metadata).

    Args:
        contents: of a TFLite file without metadata.
        metadata: of `tflite_metadata.describe`.
        files: contents by name.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(contents))
    entry = schema.MetadataT()
    entry.name = _METADATA_NAME
    entry.buffer = len(model.buffers)
    model.buffers.append(_buffer(metadata))
    model.metadata = [*(model.metadata or []), entry]
    stream = io.BytesIO(_as_bytes(model))
    with zipfile.ZipFile(stream, "a") as archive:
        for name, data in files.items():
            # Dated 1980, zip's earliest year: the same model gives the same file.
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def _as_bytes(model: schema.ModelT) -> bytes:
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _buffer(data: bytes) -> schema.BufferT:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    return buffer


def _half_tensor(tensor: schema.TensorT, buffer: int) -> schema.TensorT:
    half = schema.TensorT()
    half.shape, half.shapeSignature = tensor.shape, tensor.shapeSignature
    half.name = tensor.name + b"_float16"
    half.type = schema.TensorType.FLOAT16
    half.buffer = buffer
    return half


def _operation(inputs: list[int], outputs: list[int]) -> schema.OperatorT:
    operation = schema.OperatorT()
    operation.inputs, operation.outputs = inputs, outputs
    return operation


def _add_dequantize(model: schema.ModelT, operations: list[schema.OperatorT]) -> None:
    """Puts operations to float32 before all others."""
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.DEQUANTIZE
    code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _DEQUANTIZE_VERSION
    for operation in operations:
        operation.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    (graph,) = model.subgraphs
    graph.operators = [*operations, *graph.operators]
