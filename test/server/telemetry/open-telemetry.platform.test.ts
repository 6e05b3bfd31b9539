import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startProcess } from '../../support/process.ts'
import { pythonWith } from '../../support/python.ts'
import { until } from '../../support/until.ts'

/*
 * Traces, as a receiver that nobody here wrote decodes them: OpenTelemetry's own messages, over HTTP and gRPC.
 */

interface Span {
  protocol: string
  resource: Record<string, string>
  name: string
  trace: string
  id: string
  parent: string
  start: number
  end: number
  attributes: Record<string, any>
  links: string[]
  error: boolean
}

const python = await pythonWith(['opentelemetry-proto==1.45.*', 'grpcio==1.85.*'])
const needsReceiver = { skip: typeof python === 'string' ? python : false }
const models = await temporaryFolder(t)
await writeTestBundle(models)
const body = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })
const parent = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }

async function startReceiver(t: Test) {
  if (typeof python === 'string') throw new Error(python)
  const file = join(await temporaryFolder(t), 'behaviour')
  const behave = (how: 'accept' | 'refuse' | 'hang') => writeFileSync(file, how)
  behave('accept')
  const child = python.start('otlp/receiver.py', [file])
  t.teardown(() => child.kill('SIGKILL'))
  const spans: Span[] = []
  let ports: { http: number; grpc: number } | undefined
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (ports === undefined) ports = JSON.parse(line)
    else spans.push(JSON.parse(line))
  })
  await until(() => ports !== undefined)
  return { spans, behave, ports: ports!, kill: () => child.kill('SIGKILL') }
}

const start = (t: Test, variables: Record<string, string>) =>
  startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_TRACES_SAMPLE: '1', ...variables })

const ask = (port: number, headers: Record<string, string> = {}, asked = body) =>
  fetch(`http://127.0.0.1:${port}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: asked,
  })

for (const protocol of ['http', 'grpc'] as const)
  t.test(`a request is one trace, with a span for each stage; over ${protocol}`, needsReceiver, async (t) => {
    const { spans, ports } = await startReceiver(t)
    const { port, lines } = await start(t, {
      MULTIGATE_TRACES: protocol,
      MULTIGATE_TRACES_ENDPOINT: `http://127.0.0.1:${ports[protocol]}`,
      MULTIGATE_LOG_REQUESTS: 'true',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
    })
    const answer = await ask(port, { traceparent: `00-${parent.trace}-${parent.span}-01`, 'x-request-id': 'r-1' })
    t.equal(answer.status, 200)
    await until(() => spans.length >= 9)
    const request = spans.find(({ name }) => name === 'POST /predict')!
    t.match(request, {
      protocol,
      trace: parent.trace,
      parent: parent.span,
      resource: { 'service.name': 'multigate', 'deployment.environment': 'test' },
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/predict',
        'http.response.status_code': 200,
        'multigate.model': 'ads',
        'multigate.version': '1',
        'multigate.rows': 1,
        'multigate.request_id': 'r-1',
      },
      error: false,
    })
    t.equal(answer.headers.get('traceresponse'), `00-${parent.trace}-${request.id}-01`)

    const stages = spans.filter((span) => span.parent === request.id)
    const byStart = stages.sort((a, b) => a.start - b.start || a.end - b.end).map(({ name }) => name)
    t.same(byStart, ['admission', 'read', 'encode', 'queue', 'infer', 'compose', 'write'])
    for (const { name, start, end } of stages)
      t.ok(start >= request.start - 1000 && end >= start && end <= request.end + 1000, `${name} is within its request`)
    const infer = stages.find(({ name }) => name === 'infer')!
    const batch = spans.find(({ name }) => name === 'batch')!
    t.same(infer.links, [batch.id])
    t.same(batch.links, [infer.id])
    t.match(batch, { trace: parent.trace, attributes: { 'multigate.batch.rows': 1, 'multigate.batch.requests': 1 } })

    const logged = lines().find(({ msg }) => msg === 'request')
    t.match(logged, { trace_id: parent.trace, span_id: request.id, trace_flags: '01' })
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { accept: 'application/openmetrics-text; version=1.0.0' },
    })
    t.match(metrics.headers.get('content-type'), /^application\/openmetrics-text/)
    const text = await metrics.text()
    t.match(text, new RegExp(`_bucket\\{le="[^"]+",model="ads",version="1"\\} 1 # \\{trace_id="${parent.trace}"\\}`))
    t.match(text, /^# TYPE multigate_requests counter$/m)
    t.match(text, /^multigate_spans_total\{result="exported"\} [1-9]/m)
    t.ok(text.endsWith('\n# EOF\n'))
  })

t.test('requests of one batch link to its span', needsReceiver, async (t) => {
  const { spans, ports } = await startReceiver(t)
  const { port } = await start(t, {
    MULTIGATE_TRACES: 'http',
    MULTIGATE_TRACES_ENDPOINT: `http://127.0.0.1:${ports.http}/`,
    MULTIGATE_MAX_DELAY_MS: '500',
    MULTIGATE_MAX_BATCH_ROWS: '4',
  })
  // With gates a worker computes it.
  const gated = JSON.stringify({ ...JSON.parse(body), options: { gates: true } })
  await Promise.all(Array.from({ length: 4 }, () => ask(port, {}, gated)))
  await until(() => spans.filter(({ name }) => name.startsWith('POST')).length === 4)
  await until(() => spans.some(({ name }) => name === 'batch'))
  const shared = spans.find(({ name, attributes }) => name === 'batch' && attributes['multigate.batch.requests'] > 1)!
  t.ok(shared, 'some shared a call')
  const members = spans.filter(({ name, links }) => name === 'infer' && links.includes(shared.id))
  t.equal(members.length, shared.attributes['multigate.batch.requests'])
  t.same(members.map(({ id }) => id).sort(), shared.links.sort())
  t.equal(new Set(members.map(({ trace }) => trace)).size, members.length, 'each in its own trace')
})

t.test('what is kept is decided by the parent, else by the share', needsReceiver, async (t) => {
  const { spans, ports } = await startReceiver(t)
  const { port } = await start(t, {
    MULTIGATE_TRACES: 'http',
    MULTIGATE_TRACES_ENDPOINT: `http://127.0.0.1:${ports.http}`,
    MULTIGATE_TRACES_SAMPLE: '0',
  })
  t.match((await ask(port)).headers.get('traceresponse'), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  await ask(port, { traceparent: `00-${parent.trace}-${parent.span}-00` })
  await ask(port, { traceparent: 'nonsense' })
  t.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).headers.get('traceresponse'), null, 'probes have no trace')
  await ask(port, { traceparent: `00-${parent.trace}-${parent.span}-01` })
  await until(() => spans.length >= 9)
  t.same([...new Set(spans.map(({ trace }) => trace))], [parent.trace])
})

t.test('a refused request has a trace of what it reached; a failed one says so', needsReceiver, async (t) => {
  const { spans, ports } = await startReceiver(t)
  const { port } = await start(t, {
    MULTIGATE_TRACES: 'http',
    MULTIGATE_TRACES_ENDPOINT: `http://127.0.0.1:${ports.http}`,
  })
  t.equal((await ask(port, { 'x-deadline-ms': '0.0001' })).status >= 400, true)
  const wrong = await fetch(`http://127.0.0.1:${port}/predict`, {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json' },
  })
  t.equal(wrong.status, 400)
  await until(() => spans.filter(({ name }) => name === 'POST /predict').length === 2)
  const invalid = spans.find(({ attributes }) => attributes['http.response.status_code'] === 400)!
  t.equal(invalid.error, false, 'the client was wrong, not the server')
  t.same(
    spans
      .filter((span) => span.parent === invalid.id)
      .map(({ name }) => name)
      .sort(),
    ['admission', 'read'],
  )
})

t.test('a receiver that hangs, refuses or dies harms no request', needsReceiver, async (t) => {
  const { spans, behave, ports, kill } = await startReceiver(t)
  const server = await start(t, {
    MULTIGATE_TRACES: 'http',
    MULTIGATE_TRACES_ENDPOINT: `http://127.0.0.1:${ports.http}`,
  })
  const { port, lines } = server
  const flood = async (requests: number) => {
    let failed = 0
    const client = async () => {
      for (let i = 0; i < requests / 8; i++) if ((await ask(port)).status !== 200) failed++
    }
    await Promise.all(Array.from({ length: 8 }, client))
    return failed
  }
  behave('hang')
  t.equal(await flood(2000), 0)
  await until(() => lines().some(({ msg }) => msg.startsWith('traces could not be sent')))

  behave('refuse')
  t.equal(await flood(200), 0)
  behave('accept')
  const seen = spans.length
  await until(async () => {
    await ask(port)
    return spans.length > seen
  })
  kill()
  t.equal(await flood(200), 0)
  const began = performance.now()
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.comment(`stopped in ${Math.round(performance.now() - began)} ms`)
  t.match(lines().at(-1), { msg: 'stopped' })
})

t.test('wrong settings are reported at startup', async (t) => {
  const { run } = await import('../../support/process.ts')
  const server = run(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_PORT: '0',
    MULTIGATE_TRACES: 'grpc',
    MULTIGATE_TRACES_ENDPOINT: 'collector:4317',
  })
  t.not(await server.ended, 0)
  t.match(
    server.stdout() + server.stderr(),
    /MULTIGATE_TRACES_ENDPOINT: .*collector:4317.* is no URL, such as http:\/\/collector:4318/,
  )
})
