import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import { faultKinds } from '../../../loadtest/chaos/plan.ts'
import { runChaos } from '../../../loadtest/chaos/run.ts'
import { judgeRun } from '../../../loadtest/chaos/verdict.ts'

/*
 * Chaos, short: with every kind of fault nothing is lost; and what is lost or wrong without a fault is noticed.
 */

t.setTimeout(600_000)

const hasOpenssl = (() => {
  try {
    return execFileSync('openssl', ['version']).length > 0
  } catch {
    return false
  }
})()
const needs = { skip: process.platform === 'linux' && hasOpenssl ? false : 'openssl on Linux is needed' }

const options = { swaps: 2, seed: 1, rate: 60, log: (line: string) => t.comment(line) }

t.test('every kind of fault in 15 s, and no answer is lost, wrong or given twice', needs, async (t) => {
  const run = await runChaos({ ...options, seconds: 15, kinds: faultKinds })
  const { accounts, violations } = judgeRun(run)
  t.same(violations, [])
  t.ok(accounts.total.right > 100)
  t.same(
    new Set([...run.events.map(({ kind }) => kind), ...run.skipped.keys()]),
    new Set(faultKinds),
    'each kind has happened, or says why it can not',
  )
})

t.test(
  'an answer that is swallowed is lost, and bound to nothing; an answer of other values is wrong',
  needs,
  async (t) => {
    let swallowed = 0
    let chunks = 0
    const run = await runChaos({
      ...options,
      seconds: 5,
      kinds: [],
      sabotage: {
        requests: ([request]) => {
          request!.expected.get('1')![0]! += 0.001
        },
        between: async (port) => {
          const proxy = createServer((client) => {
            const server = connect(port, '127.0.0.1')
            server.on('data', (bytes) => {
              // Handshakes come first; this one is an answer.
              if (swallowed === 0 && ++chunks > 250) {
                swallowed++
                client.destroy()
                server.destroy()
              } else client.write(bytes)
            })
            client.on('data', (bytes) => server.write(bytes))
            for (const [one, other] of [
              [client, server],
              [server, client],
            ] as const)
              one.on('error', () => undefined).on('close', () => other.destroy())
          }).listen(0, '127.0.0.1')
          await once(proxy, 'listening')
          t.teardown(() => proxy.close())
          return (proxy.address() as AddressInfo).port
        },
      },
    })
    const { accounts, violations } = judgeRun(run)
    t.equal(swallowed, 1)
    // After SIGTERM the proxy accepts connections that the server would refuse.
    const before = accounts.unboundCalls.filter(({ at }) => at < run.stop.at)
    t.equal(before.length, 1)
    t.equal(accounts.total.bound, 0)
    t.ok(accounts.total.wrong > 0)
    t.ok(accounts.total.right > accounts.total.wrong)
    t.match(violations.join('\n'), /^\d+ requests? (?:was|were) lost that no killed process or thread held/m)
    t.match(violations.join('\n'), /^\d+ answers? (?:is|are) wrong: .* differs by /m)
  },
)
