import { Readable } from 'node:stream'
import t from 'tap'
import { contentOf } from '../../../src/tools/stores/content.ts'
import type { Content } from '../../../src/tools/stores/object-store.ts'
import { createPatience } from '../../../src/tools/stores/patience.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

const never = new AbortController().signal
const message = 'https://x/index.json is silent for 60 s, or slower than 64 KiB/s'

/** A patience in fake time, and a body that sends `bytes` for each of its chunks when told. */
function setUp(signal = never) {
  const clock = createFakeClock()
  const body = new Readable({ read: () => undefined })
  const patience = createPatience('https://x/index.json', signal, { clock })
  let received = 0
  const reading = (async () => {
    for await (const chunk of patience.read(body)) received += chunk.length
    return 'whole'
  })()
  // Its outcome is looked at later.
  reading.catch(() => undefined)
  return { clock, body, patience, reading, received: () => received }
}

t.test('a source that says nothing is left after a minute', async (t) => {
  const { clock, body, reading, patience } = setUp()
  await clock.advance(59_999)
  t.notOk(patience.signal.aborted)
  await clock.advance(1)
  await t.rejects(reading, { message })
  t.ok(body.destroyed)
  t.ok(patience.signal.aborted, 'its request is aborted')
  t.equal(clock.timers, 0)
})

t.test('one that sends a byte now and then is left, too', async (t) => {
  const { clock, body, reading, received } = setUp()
  let ended = false
  reading.catch(() => (ended = true))
  for (let i = 0; i < 200 && !ended; i++) {
    body.push('x')
    await clock.advance(500)
  }
  await t.rejects(reading, { message })
  t.equal(received(), 120)
})

t.test('one as fast as it must be is waited for as long as it takes, but not for longer silence', async (t) => {
  const { clock, body, reading, received } = setUp()
  for (let i = 0; i < 1000; i++) {
    body.push(Buffer.alloc(64 * 1024))
    await clock.advance(1000)
  }
  t.equal(received(), 1000 * 64 * 1024)
  // No more than a minute was saved.
  body.push(Buffer.alloc(64 * 1024 * 1024))
  await clock.flush()
  await clock.advance(59_999)
  t.equal(clock.timers, 1)
  await clock.advance(1)
  t.equal(clock.timers, 0)
  await t.rejects(reading, { message })
})

t.test('what is done with the bytes takes no patience away', async (t) => {
  const clock = createFakeClock()
  const patience = createPatience('x', never, { clock })
  let chunks = 0
  for await (const _ of patience.read(Readable.from([Buffer.from('a'), Buffer.from('b')]))) {
    chunks++
    await clock.advance(1e6)
  }
  t.equal(chunks, 2)
})

t.test('an object that never opens is left, whatever opens it heeds; what comes late is closed', async (t) => {
  const clock = createFakeClock()
  const patience = createPatience('https://x/index.json', never, { clock })
  let open = (_: { body: Readable }) => {}
  const opening = patience.open(new Promise<{ body: Readable }>((resolve) => (open = resolve)))
  opening.catch(() => undefined)
  await clock.advance(60_000)
  await t.rejects(opening, { message })
  const body = new Readable({ read: () => undefined })
  open({ body })
  await clock.flush()
  t.ok(body.destroyed)
  t.equal(clock.timers, 0)
})

t.test('ends with the signal that it is given', async (t) => {
  const stopping = new AbortController()
  const { reading, body } = setUp(stopping.signal)
  stopping.abort(new Error('stopped'))
  await t.rejects(reading, { message: 'stopped' })
  t.ok(body.destroyed)
})

t.test('a fault of the body is one line that names the object, without passwords', async (t) => {
  const { reading, body } = setUp()
  body.destroy(new TypeError('terminated', { cause: new Error('https://me:secret@x\nis gone') }))
  await t.rejects(reading, { message: 'https://x/index.json: https://…@x is gone' })
  const long = setUp()
  long.body.destroy(new Error(`${'x'.repeat(480)} https://me:secret@x is gone`))
  await t.rejects(long.reading, { message: `https://x/index.json: ${'x'.repeat(480)} https://…@x is gon` })
})

t.test('what is sent counts like what arrives', async (t) => {
  const clock = createFakeClock()
  const patience = createPatience('https://x/file', never, { clock })
  const content = contentOf(Buffer.alloc(64 * 1024))
  const body = new Readable({ read: () => undefined })
  let taken = 0
  const take = async ({ read }: Content) => {
    for await (const chunk of read()) taken += (chunk as Buffer).length
    await new Promise(() => undefined)
  }
  let sent = 0
  const sending = patience.send({ ...content, read: () => body }, take, (bytes) => (sent += bytes))
  sending.catch(() => undefined)
  for (let i = 0; i < 200; i++) {
    body.push(Buffer.alloc(64 * 1024))
    await clock.advance(1000)
  }
  t.equal(taken, 200 * 64 * 1024)
  t.equal(sent, taken)
  body.push(null)
  await clock.advance(59_999)
  t.notOk(patience.signal.aborted)
  await clock.advance(1)
  await t.rejects(sending, /^https:\/\/x\/file is silent for 60 s/)
  t.equal(clock.timers, 0)
  t.equal(await createPatience('x', never, { clock }).answer(Promise.resolve(7)), 7)
  await t.rejects(createPatience('x', never, { clock }).answer(Promise.reject(new Error('no'))), { message: 'no' })
})
