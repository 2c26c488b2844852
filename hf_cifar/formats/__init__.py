"""A model in other forms: ONNX, its smaller variants, OpenVINO."""
