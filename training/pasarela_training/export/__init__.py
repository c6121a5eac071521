"""The `export` stage: TorchScript, ONNX and OpenVINO, each with a fixed image size and a batch that varies."""
