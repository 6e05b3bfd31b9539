import { createHash } from 'node:crypto'
import { Duplex } from 'node:stream'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { liveRoute } from '../../../src/server/console/live-route.ts'
import { problems } from '../../../src/server/errors/error-handler.ts'
import type { LiveSource } from '../../../src/server/request/context.ts'
import { Guard } from '../../../src/server/security/guard.ts'
import { guarded } from '../../../src/server/security/guarded.ts'
import { Keyring } from '../../../src/server/security/keyring.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

/** A connection whose client reads, or takes nothing from some moment on. */
class Connection extends Duplex {
  received = ''
  reads = true

  override _read(): void {}

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    if (!this.reads) return
    this.received += piece.toString()
    done()
  }

  /** The last chunk has come. */
  ended(): boolean {
    return this.received.endsWith('\r\n0\r\n\r\n')
  }

  events(): string[] {
    return [...this.received.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name!)
  }
}

const sha256 = createHash('sha256').update('key-a').digest('hex')
const keyring = (...scopes: string[]) => new Keyring(JSON.stringify({ keys: [{ id: 'a', sha256, scopes }] }))

const noHistory = { at: 0, clock: 0, events: [], fine: [], coarse: [] }

async function start(t: Test, source: Partial<LiveSource> = {}) {
  const clock = createFakeClock()
  const drain = { draining: false }
  const guard = new Guard({ keyring: keyring('metrics'), open: new Set(), now: clock.now })
  const app = Fastify().setSerializerCompiler(() => JSON.stringify)
  const faults: unknown[] = []
  app.addHook('onRequest', async (_request, reply) => {
    reply.raw.on('error', (error) => faults.push(error))
  })
  await app.register(problems)
  await app.register(guarded, { guard, onDenied: () => undefined })
  app.get('/docs', async () => 'text')
  await app.register(liveRoute, {
    context: { clock, drain, guard },
    source: { history: async () => noHistory, latest: async () => undefined, ...source },
  })
  await app.ready()
  t.teardown(() => app.close())
  /** Asks for these, one behind the other. */
  const open = async ({ reads = true, paths = ['/console/live'] } = {}) => {
    const connection = new Connection()
    connection.reads = reads
    app.server.emit('connection', connection)
    connection.push(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: a\r\nx-api-key: key-a\r\n\r\n`).join(''))
    await clock.flush()
    return connection
  }
  return { app, clock, drain, guard, open, faults }
}

t.test('at the end of the server each viewer is told so once; one that reads nothing is closed', async (t) => {
  const { clock, drain, open, faults } = await start(t)
  const reading = await open()
  const stuck = await open()
  stuck.reads = false
  await clock.advance(1000)
  drain.draining = true
  await clock.advance(1000)
  t.same(reading.events(), ['history', 'bye'])
  t.ok(reading.ended())
  t.notOk(stuck.destroyed, 'it has a second to read its end')
  await clock.advance(1000)
  t.ok(stuck.destroyed)
  await clock.advance(3000)
  t.equal(clock.timers, 0, 'nobody watches')
  t.same(faults, [])
})

t.test('a key that loses its scope and gets it back: its stream has ended', async (t) => {
  const { clock, guard, open, faults } = await start(t)
  const reading = await open()
  const stuck = await open()
  stuck.reads = false
  guard.replace(keyring('predict'))
  await clock.advance(1000)
  guard.replace(keyring('metrics'))
  await clock.advance(2000)
  t.same(reading.events(), ['history'])
  t.ok(stuck.destroyed)
  t.equal(clock.timers, 0)
  t.same(faults, [])
})

t.test('a stream behind answers that nobody reads', async (t) => {
  const { clock, drain, open, faults } = await start(t)
  const stuck = await open({ reads: false, paths: ['/docs', '/docs', '/console/live'] })
  await clock.advance(2000)
  drain.draining = true
  await clock.advance(2000)
  t.ok(stuck.destroyed)
  t.equal(clock.timers, 0)
  t.same(faults, [])
})

t.test('a server that closes while figures are read: nothing follows the end of the stream', async (t) => {
  let answer = () => {}
  const latest = () =>
    new Promise<undefined>((resolve) => {
      answer = () => resolve(undefined)
    })
  const { app, clock, open, faults } = await start(t, { latest })
  const reading = await open()
  const stuck = await open()
  stuck.reads = false
  const closed = app.close()
  await clock.flush()
  answer()
  await clock.flush()
  t.same(reading.events(), ['history'])
  t.ok(reading.ended())
  await clock.advance(1000)
  t.ok(stuck.destroyed)
  await closed
  t.same(faults, [])
})

t.test('a server that stops before there is a history: the client is answered', async (t) => {
  let answer = () => {}
  let asked = 0
  const history = () =>
    asked++ === 0
      ? Promise.resolve(noHistory)
      : new Promise<typeof noHistory>((resolve) => {
          answer = () => resolve(noHistory)
        })
  const { clock, drain, open, faults } = await start(t, { history })
  await open()
  const waiting = await open()
  drain.draining = true
  await clock.advance(2000)
  t.equal(waiting.received, '')
  answer()
  await clock.flush()
  t.match(waiting.received, /^HTTP\/1\.1 503 [\s\S]*"DRAINING"/)
  t.same(faults, [])
})
