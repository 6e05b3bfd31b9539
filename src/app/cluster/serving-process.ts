import { longestStop } from '../../base/configuration.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live-figures.ts'
import type { RequestRecord } from '../../schemas/requests.ts'
import type { ModelChange, Siblings } from '../../server/request/context.ts'
import type { VersionKey } from '../../server/request/observations.ts'
import { ownDrift, ownObservations, ownStatistics } from '../../server/request/own-models.ts'
import { type RunningServer, serve } from '../listen.ts'
import { stopOnSignals } from '../shutdown.ts'
import type { Start as Beginning } from '../start.ts'
import { collectSeldom } from '../v8-flags.ts'
import { type Channel, createChannel } from './channel.ts'
import type { Connection } from './distributor.ts'
import { createGivenConnections, type GivenConnections } from './inherited-connections.ts'
import { type KeyUsage, longestAnswer, type Questions, type Refusal, type Start, usageInterval } from './messages.ts'

/*
 * A process of several that serve: started by the primary one, which gives it its configuration and its connections,
 * and says when to stop. Where the primary is gone, it answers what it has accepted and ends.
 */

let server: RunningServer | undefined
/** Resolves when it serves. */
let onServing: (server: RunningServer) => void = () => undefined
const serving = new Promise<RunningServer>((resolve) => {
  onServing = resolve
})
let connections: GivenConnections | undefined
let adminConnections: GivenConnections | undefined
let beginning: Beginning | undefined
let started = false
/** Longest time that stopping takes, ms. */
let longest = 0

/** From when it serves on it handles signals itself; `begun` does until then. */
export function startServing(begun: Beginning): void {
  beginning = begun
}

const channel: Channel = createChannel(process, {
  start: (message: Start) => {
    start(message).catch((error) => {
      channel.tell('failed', reasonOf(error))
      // The primary ends the process after this message.
    })
  },
  connection: (port: Connection['port'], socket) => {
    ;(port === 'admin' ? adminConnections : connections)?.give(socket)
    channel.tell('taken')
  },
  started: () => {
    started = true
  },
  ping: () => channel.tell('pong'),
  metrics: () => server?.metrics.registry.getMetricsAsJSON(),
  reasons: () => server?.unreadyReasons(),
  statistics: () => (server === undefined ? [] : ownStatistics(server)),
  slow: () => server?.recorder?.slow() ?? [],
  requests: () => server?.recorder?.list(),
  request: (id: string) => server?.recorder?.find(id),
  observations: (version: VersionKey) => server && ownObservations(server, version),
  drift: () => (server === undefined ? [] : ownDrift(server)),
  logCounts: () => server?.logStatus?.counts(),
  reading: () => server?.read?.(),
  change,
  usage: (usage: KeyUsage) => {
    const guard = server?.guard
    guard?.limits.addUsage(usage, guard.keys)
  },
  drain: stop,
  closed: noMoreConnections,
})

process.once('disconnect', () => {
  noMoreConnections()
  stop()
})

async function start({ configuration, url, adminUrl, started: before, introduces, unloaded }: Start): Promise<void> {
  started ||= before
  collectSeldom()
  const given = createGivenConnections(url)
  const givenAdmin = adminUrl === undefined ? undefined : createGivenConnections(adminUrl)
  const running = await serve(configuration, {
    connections: given,
    adminConnections: givenAdmin,
    peers,
    unloaded,
    introduces,
  })
  connections = given
  adminConnections = givenAdmin
  server = running
  onServing(running)
  longest = longestStop(configuration)
  const { log } = running.fastify
  beginning?.over()
  stopOnSignals(configuration, log, async (err) => {
    channel.tell(err ? 'leave' : 'stop')
    await running.close()
  })
  reportUsage(running)
  channel.tell('serving')
  await running.started
  channel.tell('ready')
  await running.loaded
  channel.tell('loaded')
}

function noMoreConnections(): void {
  connections?.close()
  adminConnections?.close()
}

/** So that all processes together keep to the limits of keys. */
function reportUsage({ guard }: RunningServer): void {
  if (guard === undefined) return
  setInterval(() => {
    const usage = guard.limits.takeUsage()
    if (usage.size > 0) channel.tell('usage', usage)
  }, usageInterval).unref()
}

/** Here alone; one that is still starting does it when it serves. */
async function change({ action, model, by }: ModelChange): Promise<Refusal | undefined> {
  const { registry } = await serving
  try {
    await (action === 'reconcile' ? registry.reconcile() : registry[action](model, by))
    return undefined
  } catch (error) {
    // Unforeseen errors have no code, here and on the wire.
    return { code: error instanceof ModelError ? error.code : 'INVALID_BUNDLE', message: reasonOf(error) }
  }
}

/** As the primary says, not a signal: one may follow, of a terminal to all processes, and is the first then. */
function stop(): void {
  if (server === undefined) process.exit(0)
  setTimeout(() => process.exit(1), longest).unref()
  server.close().then(
    () => process.exit(0),
    () => process.exit(1),
  )
}

const peers: Siblings = {
  async unreadyReasons(own) {
    if (started && own.length === 0) return []
    const all = channel.ask('reasons', 2 * longestAnswer.reasons) as Promise<string[]>
    return all.catch((error) => (own.length > 0 ? own : [`the primary process: ${reasonOf(error)}`]))
  },
  metrics: ofAll('metrics'),
  statistics: ofAll('statistics'),
  slow: ofAll('slow'),
  requests: ofAll('requests'),
  request: (id) =>
    (channel.ask('request', 2 * longestAnswer.request, id) as Promise<RequestRecord | undefined>).catch(() =>
      server?.recorder?.find(id),
    ),
  observations: ofAll('observations'),
  drift: ofAll('drift'),
  logCounts: ofAll('logCounts'),
  live: {
    history: () => channel.ask('live_history', longestAnswer.live) as Promise<LiveHistory>,
    latest: (at) => channel.ask('live', longestAnswer.live, at) as Promise<LiveUpdate | undefined>,
  },
  async change(change) {
    const asked = channel.ask('change', 2 * longestAnswer.change, change) as Promise<Refusal | undefined>
    const refusal = await asked.catch(
      (error): Refusal => ({ code: 'NOT_READY', message: `The primary process: ${reasonOf(error)}` }),
    )
    if (refusal) throw new ModelError(refusal.code, refusal.message)
  },
}

/** Asks the primary process for the answer of all processes; undefined where it gives none. */
function ofAll<Kind extends keyof Questions | 'metrics'>(kind: Kind): Siblings[Kind] {
  const ask = (payload?: unknown) => channel.ask(kind, 2 * longestAnswer[kind], payload).catch(() => undefined)
  return ask as Siblings[Kind]
}
