"""mosec: a Rust front, Python workers with ONNX Runtime behind it, with or without batching."""

import os

import numpy as np
import orjson
from mosec import Server, Worker
from onnx_model import OnnxModel

BATCH = int(os.environ["BATCH"])


class Predict(Worker):
    def __init__(self) -> None:
        self.model = OnnxModel()

    def deserialize(self, data: bytes) -> tuple:
        body = orjson.loads(data)
        return np.asarray(body["sparse"], np.int32), np.asarray(body["dense"], np.float32)

    def forward(self, data):
        return self.model.predict_all(data) if BATCH > 1 else self.model.predict(*data)

    def serialize(self, data: np.ndarray) -> bytes:
        return orjson.dumps({"probabilities": data}, option=orjson.OPT_SERIALIZE_NUMPY)


if __name__ == "__main__":
    server = Server()
    batching = {"max_batch_size": BATCH, "max_wait_time": 1} if BATCH > 1 else {}
    server.append_worker(Predict, num=int(os.environ["WORKERS"]), **batching)
    server.run()
