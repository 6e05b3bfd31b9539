"""FastAPI with ONNX Runtime in the handler; uvicorn runs it in several processes."""

import orjson
from fastapi import FastAPI, Request, Response
from onnx_model import OnnxModel

app = FastAPI()
model = OnnxModel()


@app.post("/predict")
async def predict(request: Request) -> Response:
    body = orjson.loads(await request.body())
    answer = {"probabilities": model.predict(body["sparse"], body["dense"])}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
