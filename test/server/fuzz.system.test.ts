import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { formatTable } from '../../src/base/terminal.ts'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { randomCases, steadySeed as seed } from '../support/cases.ts'
import { type Case, type Choice, dimensions, drawCase, kindsOf, maxBody } from '../support/fuzz/cases.ts'
import { createKinds } from '../support/fuzz/good-payloads.ts'
import { maxListValues } from '../support/fuzz/list-payloads.ts'
import { faultOf, play } from '../support/fuzz/play.ts'
import { send, startDeafViewers, startVictim } from '../support/hostile-clients.ts'
import { listFeatures } from '../support/list-features.ts'

/*
 * Requests drawn from a seed, against a server in a process of its own. After each few of them it is the same process,
 * ready, answers as before, and holds nothing.
 */

const mebibyte = 2 ** 20
/** More than all bodies that are sent together: unread responses and requests that wait share it. */
const maxPending = 33 * mebibyte

/**
 * By which a server may grow beyond its bounds: its heap before it is collected, threads' stacks, buffers of sockets.
 */
const slack = 400 * mebibyte

/** Cases that run side by side. */
const together = 8

/** Times that gauges are asked for before they are taken to stay as they are. */
const patience = 3000

/** Answers that a connection may have under way: sixteen, and the one before them. */
const mostUnderWay = 17

/** Cases after those that have to come. */
const more = randomCases(2000, 0)

t.setTimeout(3_600_000)

const models = await temporaryFolder(t)
const shipped = fileURLToPath(new URL('../../../models', import.meta.url))
await cp(join(shipped, 'ads-funnel'), join(models, 'ads-funnel'), { recursive: true })
await writeTestBundle(models, { name: 'lists', manifest: { features: listFeatures } })
const { manifest } = await readBundle(models, 'ads-funnel', '1')
const { rows } = manifest.golden!
const kinds = createKinds(rows)
const body = JSON.stringify({ candidates: rows })
const server = await startVictim(t, {
  MULTIGATE_MODELS: models,
  MULTIGATE_DEFAULT_MODEL: 'ads-funnel',
  MULTIGATE_MAX_LIST_VALUES: String(maxListValues),
  MULTIGATE_WORKERS: '1',
  MULTIGATE_ADMIN: 'true',
  // So that the live stream has several turns of a second while it drains.
  MULTIGATE_DRAIN_DELAY_MS: '3000',
  MULTIGATE_DEADLINE_MS: '600000',
  MULTIGATE_POLL_SECONDS: '0',
  MULTIGATE_MAX_BODY_BYTES: String(maxBody),
  MULTIGATE_MAX_PENDING_BYTES: String(maxPending),
})
const { port } = server

const gauges = [
  'multigate_pending_body_bytes',
  'multigate_pending_answer_bytes',
  'multigate_queue_rows',
  'multigate_in_flight_batches',
]

/** Values of metrics at one moment, each the sum of its series. */
async function scrape(): Promise<(name: string) => number> {
  const lines = (await send(port, '/metrics')).text.split('\n')
  return (name) =>
    lines
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

async function predictions(): Promise<string> {
  const { status, text } = await send(port, '/predict', body)
  return status === 200 ? JSON.stringify(JSON.parse(text).predictions) : `${status} ${text}`
}

const right = await predictions()
const before = await scrape()
/** The largest of all answers that any case can leave unread. */
const largestAnswer = Buffer.byteLength((await send(port, '/docs/json')).text)

const played = new Map<string, number>()
const cell = ({ route, coding, cut }: Pick<Choice, 'route' | 'coding' | 'cut'>) => `${route} ${coding} ${cut}`
let index = 0
let failed = false

/** Runs these side by side, and looks at the server meanwhile and afterwards. */
async function group(t: Test, choices: Partial<Choice>[]): Promise<void> {
  const cases = choices.map((choice) => drawCase(seed, index++, choice, kinds))
  const outcomes = await Promise.all(cases.map((one) => play(port, one)))
  const faults = server.alive() ? await heldFaults(cases) : []
  await Promise.all(outcomes.map(({ release }) => release()))
  const crowded = cases.reduce((sum, { inflated }) => sum + inflated, 0) > maxPending
  for (const outcome of outcomes) {
    const fault = faultOf(outcome, crowded)
    if (fault !== undefined) faults.push(`${outcome.case.name}: ${fault}`)
    played.set(cell(outcome.case), (played.get(cell(outcome.case)) ?? 0) + 1)
  }
  if (server.alive()) faults.push(...(await faultsAfter()))
  if (!server.alive()) faults.push(`the process ended: ${server.stderr().slice(0, 2000)}`)
  if (faults.length > 0) faults.push(...cases.map(({ name }) => `among: ${name}`))
  failed ||= faults.length > 0
  t.same(faults, [])
}

/** Faults in what the server holds while connections are open. */
async function heldFaults(cases: Case[]): Promise<string[]> {
  const faults = new Set<string>()
  for (let i = 0; i < 5; i++) {
    const now = await scrape()
    if (now('multigate_pending_body_bytes') > maxPending) faults.add('it holds more bodies than it may')
    const answers = now('multigate_pending_answer_bytes')
    const most = cases.length * mostUnderWay * largestAnswer
    if (answers > most) faults.add(`it holds ${answers} bytes of answers; connections may have ${most} under way`)
  }
  return [...faults]
}

/** Faults of the server once all connections are closed. */
async function faultsAfter(): Promise<string[]> {
  const faults: string[] = []
  let now = await scrape()
  const raised = () => gauges.filter((name) => now(name) !== 0)
  for (let i = 0; i < patience && raised().length > 0 && server.alive(); i++) {
    if (i > 20) await setTimeout(10)
    now = await scrape()
  }
  for (const name of raised()) faults.push(`${name} stays at ${now(name)}`)
  const grown = now('process_resident_memory_bytes') - before('process_resident_memory_bytes')
  if (!(grown < maxPending + slack)) faults.push(`it has grown by ${Math.round(grown / mebibyte)} MiB`)
  if (now('process_start_time_seconds') !== before('process_start_time_seconds')) faults.push('it is another process')
  if ((await send(port, '/readyz')).status !== 200) faults.push('it is not ready')
  const answer = await predictions()
  if (answer !== right) faults.push(`a good request is answered by ${answer.slice(0, 300)}`)
  if (server.stderr() !== '') faults.push(`it says ${server.stderr().slice(0, 2000)}`)
  const errors = server.lines().filter(({ level }) => level >= 50)
  if (errors.length > 0) faults.push(`it logs ${JSON.stringify(errors[0])}`)
  return faults
}

/** Runs all of them, some at a time, as long as nothing is wrong. */
function groups(name: string, choices: Partial<Choice>[], size = together): void {
  t.test(name, { timeout: 3_600_000 }, async (t) => {
    for (let at = 0; at < choices.length && !failed; at += size) await group(t, choices.slice(at, at + size))
  })
}

/** Sent as it should be, and answered. */
const whole = {
  coding: 'plain',
  cut: 'none',
  damage: 'none',
  framing: 'length',
  ask: 'once',
  label: undefined,
} satisfies Partial<Choice>
/** Routes that read large bodies. */
const readers = ['predict', 'v1', 'v2'] as const
const codings = ['gzip', 'deflate', 'br'] as const
const { route: routes, coding: allCodings, cut: cuts } = dimensions

const common = kindsOf('predict', kinds).filter((kind) =>
  readers.every((route) => kindsOf(route, kinds).includes(kind)),
)
const own = (route: Choice['route']) => kindsOf(route, kinds).filter((kind) => !common.includes(kind))
/** Nearly as many items as JSON may have arrays and objects. */
const manyItems = 590_000

groups('every kind of body, as large as it may be', [
  ...common.map((kind, i) => ({ ...whole, route: readers[i % 3]!, kind, size: maxBody - 1000 })),
  ...readers.flatMap((route) => own(route).map((kind) => ({ ...whole, route, kind, size: maxBody - 1000 }))),
  ...readers.flatMap((route) => own(route).map((kind) => ({ ...whole, route, kind, size: manyItems }))),
  ...common.map((kind, i) => ({ ...whole, route: i % 2 ? ('load' as const) : ('index' as const), kind, size: 60_000 })),
  ...own('index').map((kind) => ({ ...whole, route: 'load' as const, kind, size: 60_000 })),
])

groups('bombs, whole and cut short', [
  ...routes.map((route) => ({ ...whole, route, kind: 'bomb', coding: 'gzip' as const })),
  ...routes.map((route) => ({ ...whole, route, kind: 'bomb', coding: 'gzip' as const, damage: 'truncated' as const })),
  ...readers.map((route, i) => ({ ...whole, route, kind: 'bomb', coding: codings[i]! })),
])

groups(
  'brotli bodies of a hundred bytes with the largest window, each alone on its connection',
  Array.from({ length: 60 }, () => ({ ...whole, route: 'predict' as const, kind: 'wide bomb', coding: 'br' as const })),
  60,
)

groups('compressed bodies that are too dense, or too large decompressed', [
  ...readers.map((route, i) => ({ ...whole, route, kind: 'spaces', size: mebibyte, coding: codings[i]! })),
  ...readers.flatMap((route) =>
    codings.map((coding) => ({ ...whole, route, kind: 'good', size: maxBody + 1000, coding })),
  ),
])

groups('what is no such coding, where the body is read and where it is not', [
  ...routes.flatMap((route) => codings.map((label) => ({ ...whole, route, kind: 'noise', size: 5000, label }))),
  ...readers.map((route, i) => ({ ...whole, route, kind: 'noise', size: maxBody + 1000, label: codings[i]! })),
  // Answered later than its decoder fails, and read by nobody.
  ...codings.map((label) => ({
    ...whole,
    route: 'get' as const,
    line: 0,
    kind: 'noise',
    size: 5000,
    pieces: 1,
    label,
  })),
])

groups(
  'compressed bodies that nobody reads, and requests behind them',
  (['get', 'unknown'] as const).flatMap((route) =>
    codings.map((coding) => ({
      ...whole,
      ...({ route, kind: 'noise', size: mebibyte, coding, framing: 'chunked', ask: 'five' } as const),
    })),
  ),
)

groups(
  'clients that leave in the middle of a compressed body',
  (['get', ...readers] as const).flatMap((route) =>
    codings.flatMap((coding) =>
      cuts.slice(1).map((cut) => ({
        ...whole,
        ...({ route, kind: 'noise', size: mebibyte, coding, cut, at: 0.5 } as const),
      })),
    ),
  ),
)

groups('connections that ask for metrics and leave', [
  ...Array.from({ length: 2 * together }, (_, i) => ({
    ...whole,
    ...({ route: 'get', line: 0, kind: 'good', size: 500, ask: 'five', at: 1, pieces: 1 } as const),
    cut: cuts[1 + (i % 2)]!,
  })),
])

groups(
  'connections that never read',
  ['empty', 'noise'].flatMap((kind) =>
    cuts.map((cut) => ({ ...whole, route: 'get' as const, line: 3, kind, ask: 'unread' as const, pieces: 1, cut })),
  ),
  1,
)

groups(
  'every route, coding and cut',
  routes.flatMap((route) => allCodings.flatMap((coding) => cuts.map((cut) => ({ route, coding, cut })))),
)

if (more > 0)
  groups(
    `${more} more`,
    Array.from({ length: more }, () => ({})),
  )

t.test('what was tried', async (t) => {
  const columns = allCodings.flatMap((coding) => cuts.map((cut) => ({ coding, cut })))
  const table = routes.map((route) => columns.map((column) => played.get(cell({ route, ...column })) ?? 0))
  const header = ['', ...columns.map(({ coding, cut }) => `${coding} ${cut}`)]
  console.log(`seed ${seed}, ${index} cases`)
  console.log(
    formatTable(
      header,
      table.map((counts, i) => [routes[i]!, ...counts.map(String)]),
    ),
  )
  t.ok(table.flat().every((count) => count > 0))
})

t.test('it stops while viewers read nothing', async (t) => {
  const metric = async (name: string) => (await scrape())(name)
  const viewers = await startDeafViewers({ port, metric })
  server.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.equal(server.stderr(), '')
  t.same(
    server.lines().filter(({ level }) => level >= 50),
    [],
  )
  for (const socket of viewers) socket.destroy()
})
