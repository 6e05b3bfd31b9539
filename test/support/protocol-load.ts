import type { Test } from 'tap'
import type { HeldPool } from './held-pool.ts'
import { errorOf, type InferReply } from './infer-body.ts'
import { leaveQueue } from './leave-queue.ts'
import type { TestServer } from './server.ts'
import { until } from './until.ts'

export interface Protocol {
  server: Pick<TestServer, 'fastify' | 'metrics' | 'registry'>
  held: HeldPool
  /** Asks for two rows; `headers` and `body` in the place of the usual ones. */
  ask(headers?: Record<string, string>, body?: string): Promise<InferReply>
  /** The same as written to a connection. */
  written: (string | Buffer)[]
}

/**
 * Tests what holds for a protocol where requests come faster than they are answered; the model is `ads`, at most 4
 * rows may wait.
 */
export function testLoad(t: Test, { server: { fastify, metrics, registry }, held, ask, written }: Protocol): void {
  t.test('what can not be answered in time is refused before its body is read', async (t) => {
    const answer = await ask({ 'x-deadline-ms': '7' }, '{ no JSON')
    t.equal(errorOf(t, answer, 429), 'too much is under way')
    t.equal(answer.headers['retry-after'], '3')
    t.match(await metrics.registry.metrics(), /multigate_shed_total\{model="",version="",reason="busy"\} 1/)
  })

  t.test('a full queue is 429; what was accepted is answered', async (t) => {
    held.hold()
    const running = ask()
    await held.holding(1)
    const waiting = [ask(), ask()]
    const { model, release } = registry.acquire('ads')
    await until(() => model.stats().queuedRows === 4)
    release()
    const refused = await ask()
    errorOf(t, refused, 429)
    t.match(refused.headers['retry-after'], /^[1-9]/)
    held.release()
    for (const { status } of await Promise.all([running, ...waiting])) t.equal(status, 200)
  })

  t.test('an engine that throws is 500', async (t) => {
    held.fail(new Error('out of memory'))
    t.teardown(() => held.fail(undefined))
    errorOf(t, await ask(), 500)
  })

  t.test('a client that goes away is counted, and never computed', async (t) => {
    await fastify.listen({ host: '127.0.0.1', port: 0 })
    held.hold()
    const running = ask()
    await held.holding(1)
    await leaveQueue({ fastify, registry }, written, 2)
    held.release()
    t.equal((await running).status, 200)
    t.match(await metrics.registry.metrics(), /requests_total\{model="ads",version="1",outcome="cancelled"\} 1/)
  })
}

/** The last of a protocol's tests: its server answers nothing after them. */
export function testClosing(t: Test, { server: { registry }, held, ask }: Protocol): void {
  t.test('a version that is asked is not closed before it has answered', async (t) => {
    held.hold()
    const running = ask()
    await held.holding(1)
    const { model, release } = registry.acquire('ads')
    release()
    let closed = false
    const closing = registry.close().then(() => {
      closed = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    t.notOk(closed)
    t.match(errorOf(t, await ask(), 503), /shutting down/)
    held.release()
    t.equal((await running).status, 200)
    await closing
    t.equal(model.stats().queuedRows, 0)
  })
}
