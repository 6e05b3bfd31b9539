import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { type Coding, createDecoders, decoderMemory } from '../../../src/server/body/decoders.ts'
import { until } from '../../support/until.ts'

const text = Buffer.from('{"rows":1}')

function brotli(window: number, bytes = text): Buffer {
  const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY } = constants
  return brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 5, [BROTLI_PARAM_LGWIN]: window } })
}

/** Decodes a body; records what the decoder reports. */
function decode(decoders: ReturnType<typeof createDecoders>, coding: Coding, bytes: Buffer, go = true) {
  const events: string[] = []
  let started: (() => void) | undefined
  const begun = new Promise<void>((resolve) => {
    started = resolve
  })
  const giveUp = decoders.decode(coding, bytes, {
    start: () => {
      events.push('start')
      started?.()
      return go
    },
    data: (piece) => events.push(String(piece)),
    end: () => events.push('end'),
    error: () => events.push('error'),
  })
  return { events, giveUp, begun }
}

t.test('a decoder counts with its window', async (t) => {
  const spaces = Buffer.alloc(1 << 25, ' ')
  for (let window = 10; window <= 24; window++)
    t.equal(decoderMemory('br', brotli(window, spaces)), 2 ** 16 + 2 ** window, `${window}`)
  t.equal(decoderMemory('br', Buffer.from([0x11])), 2 ** 16 + 2 ** 24, 'one that Node refuses')
  t.ok(decoderMemory('br', Buffer.alloc(0)) >= 2 ** 16)
  t.equal(decoderMemory('gzip', gzipSync(text)), 2 ** 16)
})

t.test('bodies are decoded, some at a time, in the order of their arrival', async (t) => {
  const decoders = createDecoders(2)
  const decodings = (['gzip', 'deflate', 'br'] as const).map((coding) => {
    const encode = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[coding]
    return decode(decoders, coding, encode(text))
  })
  t.same(
    decodings.map(({ events }) => events),
    [['start'], ['start'], []],
  )
  await until(() => decodings.every(({ events }) => events.includes('end')))
  for (const { events } of decodings) t.same(events, ['start', String(text), 'end'])
})

t.test('a body that fails, is given up or may not start makes room for the next', async (t) => {
  const decoders = createDecoders(1)
  const broken = decode(decoders, 'gzip', Buffer.from('not gzip'))
  const left = decode(decoders, 'br', brotli(24))
  const refused = decode(decoders, 'br', brotli(24), false)
  const started = decode(decoders, 'gzip', gzipSync(text))
  const last = decode(decoders, 'gzip', gzipSync(text))
  left.giveUp()
  await started.begun
  started.giveUp()
  started.giveUp()
  await until(() => last.events.includes('end'))
  t.same(broken.events, ['start', 'error'])
  t.same(left.events, [])
  t.same(refused.events, ['start'])
  t.same(started.events, ['start'])
})
