-- Replays requests from a file (request-file.ts), from request START on, each in turn; one line of JSON at the end.
local length_of = function(s)
  local a, b, c, d = s:byte(1, 4)
  return a + b * 256 + c * 65536 + d * 16777216
end
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init()
  local first = "POST " .. os.getenv("REQUEST_PATH") .. " HTTP/1.1\r\n"
  requests, at = {}, tonumber(os.getenv("REQUEST_START"))
  local file = assert(io.open(os.getenv("REQUEST_FILE"), "rb"))
  while true do
    local length = file:read(4)
    if length == nil then break end
    requests[#requests + 1] = first .. file:read(length_of(length))
  end
  file:close()
  -- Processor time that loading took.
  loaded = os.clock()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local loading = threads[1]:get("loaded")
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"p50":%.4f,"p99":%.4f,"p999":%.4f,"cpu":%.4f,"loading":%.4f}\n',
    summary.requests, summary.duration / 1e6, errors.status, broken, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, os.clock() - loading, loading))
end
