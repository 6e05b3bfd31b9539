import { PassThrough } from 'node:stream'
import type { FastifyRequest, RequestPayload } from 'fastify'
import t from 'tap'
import { createDecoders } from '../../../src/server/body/decoders.ts'
import { createBytesParser } from '../../../src/server/body/raw-body.ts'
import { createMemoryBudget } from '../../../src/server/overload/pending-bytes.ts'

const bodies = createMemoryBudget({ maxBytes: Number.POSITIVE_INFINITY }).part()

/** The parser's answer for a body that announces this many bytes. */
function read(length: number | undefined, send: (body: PassThrough) => void, bodyLimit = 100) {
  const headers = length === undefined ? {} : { 'content-length': String(length) }
  const body = new PassThrough()
  return new Promise<Buffer>((resolve, reject) => {
    const request = { headers, routeOptions: { bodyLimit }, raw: { rawHeaders: [] } } as unknown as FastifyRequest
    createBytesParser({ bodies, onGivenUp: () => undefined, decoders: createDecoders() })(
      request,
      body as RequestPayload,
      (error, bytes) => (error ? reject(error) : resolve(bytes!)),
    )
    send(body)
  })
}

t.test('a body that comes in one piece is not copied', async (t) => {
  const bytes = Buffer.from('{"rows":1}')
  t.equal(await read(bytes.length, (body) => body.end(bytes)), bytes)
})

t.test('pieces are put together', async (t) => {
  const inPieces = (body: PassThrough) => {
    body.write('{"ro')
    body.end('ws":1}')
  }
  t.equal(String(await read(10, inPieces)), '{"rows":1}')
  t.equal(String(await read(undefined, inPieces)), '{"rows":1}', 'whether it says how many there are or not')
  t.equal((await read(0, (body) => body.end())).length, 0)
  const asText = (body: PassThrough) => body.setEncoding('utf8').end('{"ü":1}')
  t.equal(String(await read(8, asText)), '{"ü":1}')
})

t.test('what is too large, too long, too short or broken is refused', async (t) => {
  const large = { statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' }
  await t.rejects(
    read(101, () => undefined),
    large,
    'by what it says',
  )
  await t.rejects(
    read(undefined, (body) => body.write(Buffer.alloc(101))),
    large,
    'by what comes',
  )
  await t.rejects(
    read(10, (body) => body.end('{"rows":1}}')),
    { statusCode: 400, code: 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' },
  )
  await t.rejects(
    read(10, (body) => body.end('{')),
    { statusCode: 400, code: 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' },
  )
  await t.rejects(
    read(10, (body) => body.destroy(new Error('lost'))),
    { statusCode: 400, message: 'lost' },
  )
  const unsupported = Object.assign(new Error('no'), { statusCode: 415 })
  await t.rejects(
    read(10, (body) => body.destroy(unsupported)),
    { statusCode: 415, message: 'no' },
  )
})
