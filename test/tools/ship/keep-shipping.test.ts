import t from 'tap'
import { keepShipping } from '../../../src/tools/ship/keep-shipping.ts'
import type { ShipPass } from '../../../src/tools/ship/shipper.ts'

const empty: ShipPass = { sent: [], removed: [], present: 0, waiting: 0, problems: [] }

/** Keeps shipping; `runs` are the passes, the last of them for all further ones. */
function keep(runs: ((signal: AbortSignal) => Promise<ShipPass>)[], interval = 0) {
  const [interrupted, terminated] = [new AbortController(), new AbortController()]
  const [passes, failures]: [ShipPass[], unknown[]] = [[], []]
  let called = 0
  const run = (signal: AbortSignal) => runs[Math.min(called++, runs.length - 1)]!(signal)
  const ended = keepShipping(
    { run },
    {
      ...{ interval, interrupted: interrupted.signal, terminated: terminated.signal, random: () => 0.5 },
      onPass: (pass) => passes.push(pass),
      onFailure: (error) => failures.push(error),
    },
  )
  return { interrupted, terminated, passes, failures, ended, called: () => called }
}

t.test('pass follows pass, also after failures', async (t) => {
  const third = withResolvers()
  const { terminated, passes, failures, ended } = keep([
    async () => empty,
    async () => {
      throw new Error('gone')
    },
    async () => {
      third.resolve()
      return empty
    },
  ])
  await third.promise
  terminated.abort()
  await ended
  t.match(failures, [{ message: 'gone' }])
  t.ok(passes.length >= 2)
})

t.test('SIGTERM between two passes is followed by one more', async (t) => {
  const kept = keep([async () => empty], 1e6)
  await new Promise(setImmediate)
  t.equal(kept.passes.length, 1)
  kept.terminated.abort()
  await kept.ended
  t.equal(kept.passes.length, 2)
})

t.test('SIGTERM during a pass waits for its end, and is followed by one more', async (t) => {
  const begun = withResolvers()
  const go = withResolvers()
  const kept = keep([
    async (signal) => {
      begun.resolve()
      await go.promise
      t.notOk(signal.aborted)
      return empty
    },
    async () => empty,
  ])
  await begun.promise
  kept.terminated.abort()
  go.resolve()
  await kept.ended
  t.equal(kept.called(), 2)
})

t.test('an interrupt ends a pass immediately', async (t) => {
  const kept = keep([
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  ])
  kept.interrupted.abort(new Error('interrupted'))
  await kept.ended
  t.same([kept.passes, kept.failures], [[], []])
})

function withResolvers() {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
