import type { Test } from 'tap'
import { type Fleet, type Server, servers } from './fleet.ts'
import type { Exchange } from './open-loop-client.ts'
import { until } from './until.ts'

/*
 * Operations on a fleet, and the conditions that all requests must meet meanwhile.
 */

/** That a server was taken from those that answer, without a warning: only its own requests may fail meanwhile. */
export interface Outage {
  server: Server
  /** Milliseconds since 1970: when it was stopped, and when the load balancer had noticed. */
  from: number
  to: number
}

export async function outage(fleet: Fleet, server: Server, signal: 'SIGKILL' | 'SIGSTOP'): Promise<Outage> {
  const from = Date.now()
  fleet.processes[server].child.kill(signal)
  await until(() => fleet.balancer.isDown(server))
  return { server, from, to: Date.now() }
}

/** A server stops as it is asked to, and starts again. */
export async function restart(fleet: Fleet, server: Server): Promise<void> {
  const { child, ended } = fleet.processes[server]
  child.kill('SIGTERM')
  await ended
  await until(() => fleet.balancer.isDown(server))
  await startAgain(fleet, server)
}

export async function startAgain(fleet: Fleet, server: Server): Promise<void> {
  await fleet.start(server)
  await until(() => fleet.balancer.isUp(server))
}

/** This many more requests are over. */
export async function goesOn(fleet: Fleet, more: number): Promise<void> {
  const before = fleet.exchanges().length
  await until(() => fleet.exchanges().length >= before + more)
}

/** All servers have logged this of a version. */
export function allSay(fleet: Fleet, message: string, version: string): Promise<void> {
  return until(() =>
    servers.every((server) =>
      fleet.processes[server].lines().some((line) => line.msg === message && line.version === version),
    ),
  )
}

/** Has a version take effect on all servers together, once they have loaded it; when, ms since 1970. */
export async function turnTogether(fleet: Fleet, version: string): Promise<number> {
  fleet.publish(version, new Date(Date.now() + 86_400_000))
  await allSay(fleet, 'model loaded', version)
  const at = Date.now() + 3000
  fleet.schedule(version, new Date(at))
  await allSay(fleet, 'another version answers', version)
  await goesOn(fleet, 25)
  return at
}

/** How many of these requests HAProxy or Envoy sent again during an outage. */
export function retriedDuring(fleet: Fleet, { from, to }: Outage): number {
  const during = new Map(fleet.exchanges().map(({ id, sent, received }) => [id, received >= from && sent <= to]))
  return fleet.balancer.logged().filter(({ id, retries }) => retries > 0 && during.get(id)).length
}

/**
 * Every request was answered once and rightly, but for those that a server held when it died or froze, or got before
 * the load balancer noticed.
 */
export function checkAnswers(t: Test, fleet: Fleet, outages: readonly Outage[]): void {
  const exchanges = fleet.exchanges()
  const logged = fleet.balancer.logged()
  const sorted = (ids: string[]) => ids.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
  const all = exchanges.map((_, i) => `r${i}`)
  t.same(sorted(exchanges.map(({ id }) => id)), all, `each of ${all.length} requests is over, once`)
  t.same(sorted(logged.map(({ id }) => id)), all, 'and is in the log of the load balancer, once')

  const failed = exchanges.filter(({ status }) => status !== 200)
  const servedBy = new Map(logged.map(({ id, server }) => [id, server]))
  const isExcused = ({ id, sent, received }: Exchange) =>
    outages.some(({ server, from, to }) => servedBy.get(id) === server && received >= from && sent <= to)
  t.same(
    failed.filter((exchange) => !isExcused(exchange)),
    [],
    `${failed.length} failed, all of them on a server that was dead or frozen and not noticed yet`,
  )

  const wrong = exchanges.filter((exchange) => exchange.status === 200 && !isRight(fleet, exchange))
  t.same(wrong, [], 'every answer is that of the version that it names, to the request that was sent')
}

function isRight(fleet: Fleet, { id, body, answered, text }: Exchange): boolean {
  const { version, request_id, predictions } = JSON.parse(text!)
  const expected = fleet.expected(version, body)
  if (expected === undefined || answered !== id || request_id !== id || predictions.length !== 1) return false
  return Object.entries(expected).every(([task, value]) => Math.abs(predictions[0][task] - value) <= 1e-5)
}

/** Before the time no answer was of the version, and no request after it was answered by another one. */
export function checkTurn(t: Test, fleet: Fleet, version: string, at: number): void {
  const answers = fleet.exchanges().filter(({ status }) => status === 200)
  const isNew = ({ text }: Exchange) => JSON.parse(text!).version === version
  const [before, after] = [answers.filter(({ received }) => received < at), answers.filter(({ sent }) => sent >= at)]
  t.ok(before.length > 0 && after.length > 0, `${before.length} answers before the time, ${after.length} after it`)
  t.same(before.filter(isNew), [])
  t.same(
    after.filter((answer) => !isNew(answer)),
    [],
  )
}
