#!/usr/bin/env bash
# The HTTP API of multigate, every operation once: bash examples/curl/api.sh [URL]
# Lines that begin with #> show the answer of the command before: its status unless that is 200, then the body, where …
# stands for what is left out. docs/api.md describes the parts of requests and answers.
url=${1:-http://127.0.0.1:3000}
json='content-type: application/json'
# Only the beginning of an answer is printed: some are long.
curl() {
  command curl -sS "$@" | { head -c 500 && cat >/dev/null; }
  echo
}

# ---- Predict --------------------------------------------------------------------------------------------------------

# One visitor, and candidates as rows. The answer has every probability of the model.
curl "$url/predict" -H "$json" -d '{
  "model": "ads-funnel",
  "context": { "country": "DE", "hour": 21, "segment": "s17" },
  "candidates": [ { "id": "ad-1", "campaign": "c9", "price": 1.25 }, { "id": "ad-2", "campaign": "c4", "price": 0.4 } ]
}'
#> {"model":"ads-funnel","version":"1","request_id":"…","predictions":[
#>   {"id":"ad-1","ctr":0.0109,"cvr":0.0282,"ctcvr":0.00027},{"id":"ad-2","ctr":0.0184,"cvr":0.114,"ctcvr":0.00192}]}

# Candidates as columns; one task; the best by revenue; an id for logs, and a deadline in milliseconds.
curl "$url/predict" -H "$json" -H 'x-request-id: view-1' -H 'x-deadline-ms: 9000' -d '{
  "context": { "country": "DE", "hour": 21, "segment": "s17" },
  "candidates": { "id": ["ad-1", "ad-2"], "campaign": ["c9", "c4"], "price": [1.25, 0.4], "bid": [0.8, 1.1] },
  "tasks": ["ctr"], "options": { "rank": { "by": "ecpm", "top_k": 1 } }
}'
#> {"model":"ads-funnel","version":"1","request_id":"view-1",
#>   "predictions":{"id":["ad-2"],"ctr":[0.0184],"score":[2.11],"index":[1]}}

# Errors have a code for programs: docs/errors.md lists all.
curl "$url/predict" -H "$json" -d '{ "model": "shop" }'
#> 404 {"title":"There is no such model","status":404,"code":"MODEL_NOT_FOUND",…}
curl "$url/predict" -H "$json" -d '{ "context": { "hour": "nine" }, "candidates": [{}] }'
#> 400 {"code":"INVALID_REQUEST","errors":[{"path":"/context/hour","message":"must be an integer, not a string"},…],…}

# ---- Models ---------------------------------------------------------------------------------------------------------

curl "$url/models"
#> {"models":[{"name":"ads-funnel","default":true,"versions":[{"version":"1","state":"ready",…}],…},…],…}
curl "$url/models/ads-funnel"
#> {"name":"ads-funnel","fields":[{"name":"country","side":"context","kind":"vocabulary","required":true,…},…],…}
curl "$url/models/ads-funnel/fields/country/values?offset=0&limit=3"
#> {"model":"ads-funnel","version":"1","field":"country","total":24,"offset":0,"values":["AR","AT","AU"]}

# Without /versions/1, a path means the default version. These have no such form: golden rows, the report that the
# version was published with, and recent values beside those of the report.
curl "$url/models/ads-funnel/versions/1/rows"
#> {"model":"ads-funnel","version":"1","rows":[{"context":{"country":"CH",…},"candidate":{"campaign":"c2",…}},…]}
curl "$url/models/ads-funnel/versions/1/evaluation"
#> {"report":1,"model":{"name":"ads-funnel","version":"1",…},…}
curl "$url/models/ads-funnel/versions/1/distributions"
#> {"model":"ads-funnel","fields":[{"name":"country","bins":[{"label":"US","then":0.2165,…},…],…},…],…}

# Feature tables beside the models; there are none here.
curl "$url/tables"
#> {"tables":[]}

# ---- Open Inference Protocol, for clients of KServe, Triton and MLServer --------------------------------------------

curl "$url/v2"
#> {"name":"multigate","extensions":["binary_tensor_data",…],…}
curl "$url/v2/health/live"
#> {"live":true}
curl "$url/v2/health/ready"
#> {"ready":true}
curl "$url/v2/models/ads-funnel"
#> {"name":"ads-funnel","versions":["1"],"inputs":[{"name":"sparse","datatype":"INT32","shape":[-1,10]},…],…}
curl "$url/v2/models/ads-funnel/ready"
#> {"name":"ads-funnel","ready":true}
curl "$url/v2/models/ads-funnel/config"
#> {"name":"ads-funnel","max_batch_size":10000,…}
curl "$url/v2/models/ads-funnel/infer" -d '{ "outputs": [{ "name": "ctr" }], "inputs": [
  { "name": "sparse", "datatype": "INT32", "shape": [1, 10], "data": [8, 47, 60, 96, 97, 105, 4491, 4563, 4577, 4582] },
  { "name": "dense", "datatype": "FP32", "shape": [1, 5], "data": [1.777, 1.588, 0.075, 2.705, 0.957] } ] }'
#> {"model_name":"ads-funnel","model_version":"1",
#>   "outputs":[{"name":"ctr","datatype":"FP32","shape":[1,1],"data":[0.0109]}]}
curl "$url/v2/models/ads-funnel/stats"
#> {"model_stats":[{"name":"ads-funnel","version":"1",…}]}
curl "$url/v2/models/stats"
#> {"model_stats":[{"name":"ads-funnel","version":"1",…},…]}

# ---- TensorFlow Serving REST ----------------------------------------------------------------------------------------

curl "$url/v1/models"
#> {"models":["ads-funnel",…]}
curl "$url/v1/models/ads-funnel"
#> {"name":"ads-funnel","ready":true,"model_version_status":[{"version":"1","state":"AVAILABLE",…}]}
curl "$url/v1/models/ads-funnel/metadata"
#> {"model_spec":{"name":"ads-funnel","signature_name":"","version":"1"},…}
curl "$url/v1/models/ads-funnel/versions/1:predict" -d '{ "instances": [
  { "country": "DE", "hour": 21, "segment": "s17", "campaign": "c9", "price": 1.25 },
  { "country": "DE", "hour": 21, "segment": "s17", "campaign": "c4", "price": 0.4 } ] }'
#> {"predictions":[{"ctr":0.0109,"cvr":0.0282,"ctcvr":0.00027},{"ctr":0.0184,"cvr":0.114,"ctcvr":0.00192}]}

# ---- Operation ------------------------------------------------------------------------------------------------------

curl "$url/livez"
#> {"status":"ok"}
curl "$url/readyz"
#> {"status":"ok"}
curl "$url/docs/json"
#> {"openapi":"3.1.0",…}
curl "$url/metrics"
#> … multigate_rows_total{model="ads-funnel",version="1"} …
# The console's figures go on until the client leaves.
curl "$url/console/live" -N --max-time 1 2>/dev/null
#> … event: history …

# ---- Administration, where MULTIGATE_ADMIN is true ------------------------------------------------------------------

curl "$url/models/ads-funnel/pin" -H "$json" -d '{ "version": "1" }'
#> {"name":"ads-funnel","pin":"1",…}
curl "$url/models/ads-funnel/unpin" -X POST
#> {"name":"ads-funnel","default_version":"1",…}
curl "$url/v2/repository/models/census-income/unload" -X POST
#> {"name":"census-income","unload":true}
curl "$url/v2/repository/models/census-income/load" -X POST
#> {"name":"census-income","load":true}
curl "$url/v2/repository/index" -X POST
#> [{"name":"ads-funnel","version":"1","state":"READY","reason":""},…]

# Recorded requests: as many as MULTIGATE_SLOW_REQUESTS says.
curl "$url/debug/requests"
#> {"slow":[…],"failed":[…],"recent":[…],…}
curl "$url/debug/requests/view-1"
#> {"request_id":"view-1","url":"/predict","status":200,"rows":2,…}
curl "$url/debug/slow"
#> {"requests":[…]}

# The prediction log: null where MULTIGATE_PREDICTION_LOG names no folder.
curl "$url/debug/prediction-log"
#> {"log":null}

# Profiles of the event loop and of allocations, over one second.
curl "$url/debug/profile?seconds=1" -X POST
#> {"nodes":[…],…}
curl "$url/debug/heap-profile?seconds=1" -X POST
#> {"head":{…},…}
