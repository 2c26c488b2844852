"""The forms in which a model is exported, and where each lies in the exported folder.

Light on purpose: the command line reads it before anything heavy is imported.
"""

# The layout that transformers.js reads: its default in a browser without WebGPU is the quantized file.
FILES: dict[str, str] = {
    "onnx": "onnx/model.onnx",
    "onnx-q8": "onnx/model_quantized.onnx",
    "onnx-fp16": "onnx/model_fp16.onnx",
    "openvino": "openvino/openvino_model.xml",
}
NATIVE = "native"
FORMATS = (NATIVE, *FILES)
