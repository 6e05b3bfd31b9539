import t from 'tap'
import { requestIdOf, traceIdOf } from '../../../src/server/plugins/request-id.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const parent = '00f067aa0ba902b7'

const logged: Record<string, unknown>[] = []
const { fastify, registry } = await startTestServer(t, {
  models: await temporaryFolder(t),
  logger: { level: 'info', stream: { write: (line: string) => logged.push(JSON.parse(line)) } },
})

t.test('an id that is harmless is kept, to the letter', async (t) => {
  for (const id of ['r-1', 'a', 'x'.repeat(128), '00-!#$%&*+./:=?@^_~', '"quoted"', '{"json":1}'])
    t.equal(requestIdOf({ headers: { 'x-request-id': id } }), id)
})

t.test('an absent or harmful id is replaced by a new one', async (t) => {
  const ids = [
    '',
    ' ',
    'two words',
    'x'.repeat(129),
    'line\nbreak',
    'line\r\nset-cookie: a=b',
    'tab\t',
    'ümlaut',
    '\u0000',
    '\u007f',
  ]
  for (const id of ids) t.match(requestIdOf({ headers: { 'x-request-id': id } }), uuid, JSON.stringify(id))
  t.match(requestIdOf({ headers: {} }), uuid)
  t.match(requestIdOf({ headers: { 'x-request-id': ['a', 'b'] as unknown as string } }), uuid)
  t.not(requestIdOf({ headers: {} }), requestIdOf({ headers: {} }))
})

t.test('a trace id is read from a valid traceparent alone', async (t) => {
  t.equal(traceIdOf(`00-${trace}-${parent}-01`), trace)
  t.equal(traceIdOf(`cc-${trace}-${parent}-00-of-a-later-version`), trace)
  for (const header of [
    undefined,
    '',
    trace,
    `ff-${trace}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace.slice(1)}-${parent}-01`,
    `00-${trace}-${parent}`,
    `00-${trace}-${parent}-0`,
    `00-${trace}-${parent}-01-more`,
    `00-${trace}-${parent}-01more`,
    [`00-${trace}-${parent}-01`],
  ])
    t.equal(traceIdOf(header), undefined, String(header))
})

t.test('every answer carries the id, the log line the trace as well', async (t) => {
  for (const url of ['/livez', '/readyz', '/models', '/metrics', '/docs/json', '/nothing', '/%zz']) {
    const given = await fastify.inject({ url, headers: { 'x-request-id': `id-of-${url}` } })
    t.equal(given.headers['x-request-id'], `id-of-${url}`)
    t.match((await fastify.inject(url)).headers['x-request-id'], uuid, url)
  }
  registry.unreadyReasons = () => {
    throw new Error('unforeseen')
  }
  logged.length = 0
  const headers = { 'x-request-id': 'traced', traceparent: `00-${trace}-${parent}-01` }
  t.equal((await fastify.inject({ url: '/readyz', headers })).statusCode, 500)
  await fastify.inject({ url: '/readyz', headers: { ...headers, traceparent: 'nonsense\n"' } })
  t.match(logged[0], { request_id: 'traced', trace_id: trace })
  t.equal(logged[1]?.request_id, 'traced')
  t.notOk('trace_id' in logged[1]!)
})
