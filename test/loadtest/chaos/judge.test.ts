import t from 'tap'
import type { HttpAnswer } from '../../../loadtest/chaos/answers.ts'
import { AnswerStream } from '../../../loadtest/chaos/answers.ts'
import { judge } from '../../../loadtest/chaos/judge.ts'

const request = {
  expected: new Map([
    ['1', Float32Array.of(0.25, 0.5)],
    ['2', Float32Array.of(0.5, 0.25)],
  ]),
}
const deadline = { deadlineMs: 100, toleranceMs: 50 }

function verdictOf(answer: Partial<HttpAnswer> & { json?: unknown }, took = 10) {
  const { status = 200, headers = new Map(), json, body = Buffer.from(JSON.stringify(json)) } = answer
  const { outcome, reason } = judge({ answer: { status, headers, body }, port: 1, waited: 0 }, request, took, deadline)
  return `${outcome}: ${reason}`
}
const prediction = (version: string, ctr: number, cvr: number) => ({ version, predictions: [{ ctr, cvr }] })

t.test('an answer is right if it is that of the version that it names', async (t) => {
  t.equal(verdictOf({ json: prediction('1', 0.25, 0.5) }), 'right: ')
  t.equal(verdictOf({ json: { version: '2', predictions: { ctr: [0.5], cvr: [0.25] } } }), 'right: ')
  t.match(verdictOf({ json: prediction('2', 0.25, 0.5) }), /^wrong: it differs by 0.25 from version 2/)
  t.match(verdictOf({ json: prediction('1', 0.25, 0.5001) }), /^wrong: it differs/)
  t.match(verdictOf({ json: prediction('3', 0.25, 0.5) }), /^wrong: it is of version 3/)
  t.match(verdictOf({ json: { version: '1', predictions: [] } }), /^wrong/, 'too few rows')
  t.match(verdictOf({ body: Buffer.from('{') }), /^wrong: no prediction/)
})

t.test('a right answer long after its deadline is late', async (t) => {
  t.equal(verdictOf({ json: prediction('1', 0.25, 0.5) }, 150), 'right: ')
  t.equal(verdictOf({ json: prediction('1', 0.25, 0.5) }, 151), 'late: after 151 ms')
  t.match(verdictOf({ json: prediction('1', 0.5, 0.5) }, 151), /^wrong/)
})

t.test('a refusal is by design if it is what the documentation says', async (t) => {
  const headers = { 'content-type': 'application/problem+json', 'x-request-id': 'a', 'retry-after': '1' }
  const refused = (status: number, code: string, more: Record<string, string | undefined> = {}) =>
    verdictOf({
      status,
      headers: new Map(Object.entries({ ...headers, ...more }).filter(([, value]) => value !== undefined)) as never,
      json: { status, code, request_id: 'a' },
    })
  t.equal(refused(429, 'QUEUE_FULL'), 'refused: QUEUE_FULL')
  t.equal(refused(503, 'DRAINING', { 'retry-after': undefined }), 'refused: DRAINING')
  t.equal(refused(504, 'DEADLINE_EXCEEDED'), 'refused: DEADLINE_EXCEEDED')
  t.match(refused(429, 'QUEUE_FULL', { 'retry-after': undefined }), /^wrong: .*without Retry-After/)
  t.match(refused(503, 'QUEUE_FULL'), /^wrong/)
  t.match(refused(429, 'QUEUE_FULL', { 'x-request-id': 'b' }), /^wrong: .*another request_id/)
  t.match(refused(429, 'QUEUE_FULL', { 'content-type': 'application/json' }), /^wrong: .*no problem document/)
  t.equal(refused(500, 'MODEL_FAILED'), 'failed: MODEL_FAILED')
  t.match(refused(500, 'INTERNAL'), /^wrong/)
})

t.test('no answer is lost, except where nothing listens', async (t) => {
  t.match(judge({ lost: 'ECONNRESET', port: 1 }, request, 1, deadline), { outcome: 'lost' })
  t.match(judge({ lost: 'ECONNREFUSED', port: 0 }, request, 1, deadline), { outcome: 'no listener' })
})

t.test('answers are read wherever their bytes are cut, and several at once', async (t) => {
  const bytes = Buffer.from('HTTP/1.1 429 Too\r\nContent-Length: 2\r\nX-Request-Id: a\r\n\r\nhi')
  for (let cut = 0; cut <= bytes.length; cut++) {
    const stream = new AnswerStream()
    const answers = [...stream.take(bytes.subarray(0, cut)), ...stream.take(bytes.subarray(cut))]
    t.match(answers, [{ status: 429, body: Buffer.from('hi') }])
    t.equal(answers[0]!.headers.get('x-request-id'), 'a')
  }
  t.equal(new AnswerStream().take(Buffer.concat([bytes, bytes])).length, 2)
  t.throws(() => new AnswerStream().take(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /no answer/)
})
