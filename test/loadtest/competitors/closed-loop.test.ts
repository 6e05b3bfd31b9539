import t from 'tap'
import { readWrk } from '../../../loadtest/competitors/closed-loop.ts'

const output = `Running 4s test @ http://127.0.0.1:43121
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.62ms    1.06ms  24.21ms   92.65%
  48000 requests in 4.00s, 18.74MB read
  Non-2xx or 3xx responses: 2000
Requests/sec:  12000.00
Transfer/sec:      4.68MB
{"requests":48000,"seconds":4.000000,"refused":2000,"broken":3,"p50":2.4210,"p99":6.1000,"p999":11.2500,"cpu":1.0000,"loading":0.5000}
`

t.test('of wrk only what was answered with 200 counts as an answer', async (t) => {
  t.same(readWrk(output), {
    answers: 46_000,
    requestsPerSecond: 11_500,
    p50: 2.421,
    p99: 6.1,
    p999: 11.25,
    errors: 2003,
    generatorCores: 0.25,
    generatorSeconds: 1.5,
  })
})

t.test('a run without a result is an error with its last words', async (t) => {
  t.throws(() => readWrk('unable to connect to 127.0.0.1:9 Connection refused\n'), /Connection refused/)
})
