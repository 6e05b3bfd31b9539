"""The model that every Python competitor serves: an ONNX file, float32 [rows, tasks] of two tensors."""

import os

import numpy as np
import onnxruntime


class OnnxModel:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    def predict(self, sparse, dense) -> np.ndarray:
        """sparse int32 [rows, sparse fields], dense float32 [rows, numeric fields]: arrays or lists of rows."""
        inputs = {"sparse": np.asarray(sparse, np.int32), "dense": np.asarray(dense, np.float32)}
        return self.session.run(None, inputs)[0]

    def predict_all(self, requests: list) -> list:
        """Several requests in one call, and their answers apart again."""
        if len(requests) == 1:
            return [self.predict(*requests[0])]
        sparse, dense = (np.concatenate(part) for part in zip(*requests))
        ends = np.cumsum([len(rows) for rows, _ in requests])
        return np.split(self.predict(sparse, dense), ends[:-1])
