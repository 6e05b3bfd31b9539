"""Triton's Python backend with ONNX Runtime: the wheel that brings tritonserver has no other backend."""

import os
import sys

# The backend's stub embeds Python in isolated mode, which ignores the environment.
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
sys.dont_write_bytecode = True

import triton_python_backend_utils as triton  # noqa: E402
from onnx_model import OnnxModel  # noqa: E402


class TritonPythonModel:
    def initialize(self, _arguments) -> None:
        self.model = OnnxModel()

    def execute(self, requests) -> list:
        inputs = [
            tuple(triton.get_input_tensor_by_name(request, name).as_numpy() for name in ("sparse", "dense"))
            for request in requests
        ]
        answers = self.model.predict_all(inputs)
        return [triton.InferenceResponse([triton.Tensor("probabilities", answer)]) for answer in answers]
