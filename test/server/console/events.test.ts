import t from 'tap'
import { createEventLog } from '../../../src/server/console/events.ts'
import type { Condition, Readings } from '../../../src/server/console/reading.ts'
import { summarise } from '../../../src/server/console/summarise.ts'
import { logCounts } from '../../support/log-counts.ts'
import { aReading, aVersion } from '../../support/readings.ts'

const answered = (...changes: Parameters<typeof aReading>[0][]): Readings => ({
  answered: changes.map((change) => aReading(change)),
  silent: [],
})

/** Kinds and texts of the events between these readings, one per second. */
function eventsOf(...all: Readings[]) {
  const log = createEventLog()
  for (const [i, readings] of all.entries()) log.add(readings, 1000 * (i + 1))
  return log.since(0).map(({ kind, text }) => [kind, text])
}

t.test('the first reading is no event', async (t) => {
  t.same(eventsOf(answered({ workersReplaced: 3, condition: { serving: { ads: '1' }, logLinesDropped: 7 } })), [])
})

t.test('who pinned, unpinned, loaded and unloaded, once for all processes', async (t) => {
  const condition = (version: string | undefined, authors: NonNullable<Condition['authors']>[string]) => ({
    serving: version === undefined ? {} : { ads: version },
    authors: { ads: authors },
  })
  const of = (pid: number, ...given: Parameters<typeof condition>) => ({ pid, condition: condition(...given) })
  const pinned = { pin: { version: '1', by: 'ci' }, serving: 'ci' }
  const unpinned = { pin: { version: undefined, by: 'command' }, serving: 'command' }
  const log = createEventLog()
  const all = [
    answered({ pid: 1, condition: { serving: { ads: '2' } } }, { pid: 2, condition: { serving: { ads: '2' } } }),
    answered(of(1, '1', pinned), { pid: 2, condition: { serving: { ads: '2' } } }),
    answered(of(1, '1', pinned), of(2, '1', pinned)),
    answered(of(1, '2', unpinned), of(2, '2', unpinned)),
    answered(of(1, undefined, { ...unpinned, unloaded: 'ops' }), of(2, undefined, { ...unpinned, unloaded: 'ops' })),
    answered(of(1, '2', { ...unpinned, serving: 'administrator' }), of(2, '2', { ...unpinned, serving: 'ops' })),
    answered(of(1, '3', { ...unpinned, serving: 'file' }), of(2, '3', { ...unpinned, serving: 'file' })),
    answered(of(1, '4', { ...unpinned, serving: 'schedule' }), of(2, '4', { ...unpinned, serving: 'schedule' })),
    // The same again within seconds is another event.
    answered(of(1, '1', pinned), of(2, '1', pinned)),
  ]
  for (const [i, readings] of all.entries()) log.add(readings, 1000 * (i + 1))
  const events = log.since(0).map(({ kind, text, by, model }) => [kind, text, by, model])
  t.same(events, [
    ['version_pinned', 'Version 1 of ads is pinned (by the key ci)', 'ci', 'ads'],
    ['version_serves', 'Version 1 of ads answers, after version 2 (by the key ci)', 'ci', 'ads'],
    ['version_unpinned', 'No version of ads is pinned any more (by the command pin or unpin)', 'command', 'ads'],
    ['version_serves', 'Version 2 of ads answers, after version 1 (by the command pin or unpin)', 'command', 'ads'],
    ['model_unserved', 'No version of ads answers any more: it was unloaded (by the key ops)', 'ops', 'ads'],
    ['version_serves', 'Version 2 of ads answers (by an administrator without a key)', 'administrator', 'ads'],
    ['version_serves', 'Version 3 of ads answers, after version 2 (by a change of the files)', 'file', 'ads'],
    ['version_serves', 'Version 4 of ads answers, after version 3 (by its schedule)', 'schedule', 'ads'],
    ['version_pinned', 'Version 1 of ads is pinned (by the key ci)', 'ci', 'ads'],
    ['version_serves', 'Version 1 of ads answers, after version 4 (by the key ci)', 'ci', 'ads'],
  ])
})

t.test('versions that answer, fail or can’t be stored: once for all processes', async (t) => {
  const serving = (version: string, pid: number) => ({ pid, condition: { serving: { ads: version } } })
  t.same(
    eventsOf(
      answered(serving('1', 1), serving('1', 2)),
      answered(serving('2', 1), serving('1', 2)),
      answered(serving('2', 1), serving('2', 2)),
    ),
    [['version_serves', 'Version 2 of ads answers, after version 1']],
  )
  t.same(
    eventsOf(
      answered(serving('1', 1), serving('1', 2)),
      answered({ pid: 1 }, serving('1', 2)),
      answered({ pid: 1 }, { pid: 2 }),
    ),
    [['model_unserved', 'No version of ads answers any more: it was unloaded, or its folder was removed']],
  )
  const failed = [{ model: 'ads', version: '3', reason: 'ads/3/manifest.json is not JSON' }]
  t.same(eventsOf(answered({}), answered({ condition: { failed } }), answered({ condition: { failed } })), [
    ['version_failed', 'Version 3 of ads failed to load: ads/3/manifest.json is not JSON'],
  ])
  const incompatible = [
    { model: 'ads', version: '4', reason: 'incompatible with version 3: the task cvr is no longer answered' },
  ]
  t.same(eventsOf(answered({}), answered({ condition: { incompatible } }), answered({ condition: { incompatible } })), [
    [
      'version_incompatible',
      'Version 4 of ads answers, and is incompatible with version 3: the task cvr is no longer answered',
    ],
  ])
  const log = createEventLog()
  for (const [i, condition] of [{}, { failed }, { failed }, { failed }, {}, {}].entries())
    log.add(answered({ condition }), 20_000 * i)
  t.match(log.since(0), [{ kind: 'version_failed', at: 20_000, until: 60_000 }], 'it lasts until the version is gone')
  t.equal(log.since(0).length, 1)
  log.add(answered({ condition: { failed } }), 200_000)
  t.match(
    log.since(0).map(({ at, until }) => [at, until]),
    [
      [20_000, 60_000],
      [200_000, 200_000],
    ],
    'what failed before stays as it was',
  )
  const unstored = [{ model: 'ads', version: '1', reason: 'the disk is full, so its graph runs as it was saved' }]
  t.same(eventsOf(answered({}), answered({ condition: { unstored } })), [
    [
      'plan_unstored',
      'The compiled plan of ads/1 can’t be stored: the disk is full, so its graph runs as it was saved',
    ],
  ])
  t.match(eventsOf(answered({}), answered({ condition: { missing: 2 } })), [['models_missing', /^2 models/]])
  const unreadable = 'it is not there'
  t.match(eventsOf(answered({}), answered({ condition: { unreadable } }), answered({ condition: { unreadable } })), [
    ['folder_unreadable', /^The models folder can’t be read \(it is not there\): loaded models go on serving/],
  ])
  const lasting = createEventLog()
  for (const [i, condition] of [{}, { unreadable }, { unreadable }, { unreadable }, {}, {}].entries())
    lasting.add(answered({ condition }), 1000 * i)
  t.match(lasting.since(0), [
    { kind: 'folder_unreadable', at: 1000, until: 3000 },
    { kind: 'folder_readable', severity: 'info', at: 4000, until: 4000 },
  ])
})

t.test('a prediction log that fails, is written again, and lacks requests: once for all processes', async (t) => {
  const of = (pid: number, changes: Parameters<typeof logCounts>[0] = {}) => ({ pid, log: logCounts(changes) })
  const problem = 'ENOSPC: no space left on device, write'
  const failing = answered(of(1), of(2, { problem, dropped: { disk: 9 } }))
  const log = createEventLog()
  for (const [i, readings] of [answered(of(1), of(2)), failing, failing, answered(of(1), of(2))].entries())
    log.add(readings, 1000 * i)
  t.match(log.since(0), [
    {
      ...{ kind: 'prediction_log_failing', severity: 'error', at: 1000, until: 2000 },
      text: `The prediction log can’t be written (${problem}): requests are answered, and not recorded`,
    },
    { kind: 'prediction_log_writable', severity: 'info', at: 3000 },
  ])
  t.equal(log.since(0).length, 2)
  const lacking = answered(of(1, { dropped: { full: 2 } }), of(2, { dropped: { full: 1, unreadable: 1 } }))
  t.match(eventsOf(answered(of(1), of(2)), lacking, lacking), [
    ['prediction_log_drops', /its thread does not keep up$/],
    ['prediction_log_drops', /could not be read again/],
  ])
  t.same(eventsOf(answered(of(1)), answered(of(1), of(2, { dropped: { full: 2 } }))), [
    ['process_started', 'Process 2 started to serve'],
  ])
})

t.test('tables that take over, apply deltas, or are refused: once for all processes', async (t) => {
  const of = (pid: number, version: string, applied: number, refused: string[] = []) => ({
    pid,
    condition: { tables: [{ table: 'ads', version, applied, refused }] },
  })
  t.same(eventsOf(answered(of(1, '1', 3)), answered(of(1, '1', 3))), [], 'what is read from the start')
  const refused = ['Version 3 of the table ads is refused: has no column "price"']
  t.same(
    eventsOf(
      answered({ pid: 1 }, { pid: 2 }),
      answered(of(1, '1', 0), { pid: 2 }),
      answered(of(1, '1', 0), of(2, '1', 0)),
      answered(of(1, '1', 2), of(2, '1', 0)),
      answered(of(1, '1', 2), of(2, '1', 2)),
      answered(of(1, '1', 1), of(2, '1', 2)),
      answered(of(1, '2', 4), of(2, '1', 1)),
      answered(of(1, '2', 4, refused), of(2, '2', 4, refused)),
    ),
    [
      ['table_read', 'The table ads is read in version 1'],
      ['deltas_applied', 'Deltas of version 1 of the table ads were applied'],
      ['deltas_reverted', 'Deltas of version 1 of the table ads were reverted: 1 left'],
      ['table_read', 'The table ads is read in version 2, after version 1'],
      ['table_refused', refused[0]],
    ],
  )
  const log = createEventLog()
  for (const i of [0, 1, 2, 3]) log.add(answered(of(1, '1', i)), 60_000 * i)
  t.match(log.since(0), [{ kind: 'deltas_applied', at: 60_000, until: 180_000, times: 3 }], 'one event, however long')
  t.equal(log.since(0).length, 1)
})

t.test('processes that end, start, fall silent and come back', async (t) => {
  const two = answered({ pid: 1 }, { pid: 2, residentBytes: 2e8 })
  const one = { answered: [aReading({ pid: 1 })], silent: [2] }
  t.match(eventsOf(two, one, one, two), [
    ['process_silent', /^Process 2 /],
    ['process_answers', /^Process 2 /],
  ])
  t.match(eventsOf(two, answered({ pid: 1 }), answered({ pid: 1 }, { pid: 3 })), [
    ['process_ended', /^Process 2 ended/],
    ['process_started', /^Process 3 /],
  ])
  t.match(eventsOf(answered({ pid: 1 }), answered({ pid: 1 }, { pid: 3, workersReplaced: 1 })), [
    ['process_started', /^Process 3 /],
    ['worker_replaced', /^A worker thread of process 3 died/],
  ])
  t.match(eventsOf(two, one, answered({ pid: 1 })), [
    ['process_silent', /2/],
    ['process_ended', /^Process 2 ended/],
  ])
  t.same(eventsOf(answered({ pid: 1 }), one), [], 'one that has yet to start is not silent')
  const endedBy = (how: number | string) =>
    eventsOf(two, { ...answered({ pid: 1 }), ended: new Map([[2, how]]) }).map(([, text]) => text)
  t.same(endedBy('SIGKILL'), [
    'Process 2 was ended by SIGKILL, by somebody or for lack of memory; it held 200 MB; its connections were closed',
  ])
  t.match(endedBy('SIGSEGV'), [/^Process 2 was ended by SIGSEGV; it held/])
  t.match(endedBy(70), [/^Process 2 ended with exit code 70; it held/])

  const loading = {
    pid: 2,
    condition: { unready: ['models are loading'], stalls: { count: 0, lastMs: 0, lastBusy: 0 } },
  }
  const stalls = { count: 1, lastMs: 900, lastBusy: 1 }
  t.same(
    eventsOf(answered({ pid: 1 }, loading), one, answered({ pid: 1 }, { ...loading, condition: { stalls } })),
    [],
    'one that loads its models is busy',
  )
  t.match(
    eventsOf(two, one, answered({ pid: 1 }, { pid: 2, condition: { stalls } })),
    [
      ['process_silent', /2/],
      ['process_stalled', /2/],
    ],
    'a stall says when it ended, and why',
  )
})

t.test('deaths that follow each other are one event with their number', async (t) => {
  const log = createEventLog()
  for (const [i, workersReplaced] of [0, 1, 1, 3].entries()) log.add(answered({ workersReplaced }), 1000 * i)
  t.match(log.since(0), [{ kind: 'worker_replaced', at: 1000, until: 3000, times: 2 }])
})

t.test('workers, log lines, connections and clocks', async (t) => {
  t.match(eventsOf(answered({}), answered({ workersReplaced: 1 })), [['worker_replaced', /process 1 died/]])
  const workerLost = { reason: 'exit code 134', folder: '/models/ads/2' }
  t.same(eventsOf(answered({}), answered({ workersReplaced: 1, workerLost })), [
    ['worker_replaced', 'A worker thread of process 1 died while it computed ads/2 and was replaced (exit code 134)'],
  ])
  t.match(eventsOf(answered({}), answered({ condition: { logLinesDropped: 1 } })), [['log_lines_dropped', /full disk/]])
  t.match(eventsOf(answered({}), answered({ condition: { connectionsRefused: 1 } })), [['connections_refused', /open/]])
  const stalled = (lastBusy: number) => answered({ condition: { stalls: { count: 1, lastMs: 1234, lastBusy } } })
  t.same(eventsOf(answered({}), stalled(0.1)), [
    ['process_stalled', 'Process 1 stood still for 1.2 s: it was stopped, or had no core'],
  ])
  t.match(eventsOf(answered({}), stalled(1)), [['process_stalled', /busy/]])
  t.same(eventsOf(answered({ at: 0, clock: 0 }), answered({ at: 1000, clock: 1000 + 3_600_000 })), [
    ['clock_jumped', 'The server’s clock jumped by +1 h'],
  ])
  t.same(eventsOf(answered({ at: 0, clock: 0 }), answered({ at: 1000, clock: 1000 - 90_000 })), [
    ['clock_jumped', 'The server’s clock jumped by −1.5 min'],
  ])
  t.same(eventsOf(answered({ at: 0, clock: 0 }), answered({ at: 1000, clock: 3000 })), [], 'a correction is no jump')
})

t.test('an event that goes on stays one, and is sent again; the log is bounded', async (t) => {
  const log = createEventLog()
  for (let i = 0; i <= 20; i++) log.add(answered({ condition: { logLinesDropped: i } }), 1000 * i)
  t.match(log.since(0), [{ id: 1, at: 1000, until: 20_000 }])
  t.equal(log.since(19_000).length, 1)
  t.same(log.since(20_000), [])
  log.add(answered({ condition: { logLinesDropped: 20 } }), 60_000)
  log.add(answered({ condition: { logLinesDropped: 21 } }), 61_000)
  t.match(
    log.since(0).map(({ id }) => id),
    [1, 2],
    'after a pause it is another',
  )
  for (let i = 0; i < 500; i++) log.add(answered({ pid: 10 + i }), 100_000 + i)
  t.ok(log.since(0).length <= 200)
})

t.test('requests that are shed, that fail, that stop and that arrive again', async (t) => {
  const log = createEventLog()
  const total = aVersion().total.map(() => 1)
  const interval = (seconds: number, versions: Parameters<typeof aVersion>[0][]) => {
    const at = 1000 * seconds
    const reading = (at: number, versions: Parameters<typeof aVersion>[0][]) =>
      aReading({ at, versions: versions.map((version) => aVersion(version)) })
    log.addInterval(summarise([reading(at - 10_000, [])], [reading(at, versions)]))
  }
  interval(10, [{ rows: 50, outcomes: { ok: 50 } }])
  t.same(log.since(0), [])
  const flooded = [
    { model: 'quiet', rows: 10, total, outcomes: { ok: 10 } },
    { model: 'ads', rows: 9000, total, outcomes: { ok: 40, queue_full: 60 }, shed: { queue_full: 60 } },
  ]
  interval(20, flooded)
  interval(30, flooded)
  // Requests stopped within the one before: its rate says less.
  for (const seconds of [40, 50, 60]) interval(seconds, [])
  interval(70, [{ rows: 50, outcomes: { ok: 50, invalid_request: 2 } }])
  interval(80, [{ model: 'ads', rows: 50, total, outcomes: { ok: 20, invalid_request: 20, cancelled: 30 } }])
  interval(90, [{ model: 'quiet', rows: 50, total, outcomes: { ok: 20, model_failed: 20 } }])
  t.match(log.since(0), [
    {
      kind: 'requests_shed',
      severity: 'error',
      at: 20_000,
      until: 30_000,
      text: 'Requests are refused or dropped under load, mostly for ads',
    },
    {
      kind: 'requests_stopped',
      severity: 'error',
      at: 40_000,
      until: 60_000,
      text: 'No requests arrive any more; before, 11 per second',
    },
    { kind: 'requests_arrive', severity: 'info', at: 70_000 },
    {
      kind: 'requests_failing',
      severity: 'warning',
      at: 80_000,
      text: 'Many requests fail, mostly for ads; the most frequent error: invalid request',
    },
    {
      kind: 'requests_failing',
      severity: 'error',
      at: 90_000,
      text: 'Many requests fail, mostly for quiet; the most frequent error: model failed',
    },
  ])
})

t.test('requests that are refused just after a worker died were not too many', async (t) => {
  const log = createEventLog()
  const refuse = (seconds: number, queue_full = 20) => {
    const versions = [aVersion({ outcomes: { ok: 100, queue_full }, shed: { queue_full } })]
    log.addInterval(
      summarise([aReading({ at: 1000 * seconds - 10_000 })], [aReading({ at: 1000 * seconds, versions })]),
    )
  }
  log.add(answered({}), 1000)
  log.add(answered({ workersReplaced: 1 }), 8000)
  refuse(10)
  refuse(50)
  refuse(100, 9)
  t.match(log.since(0), [
    { kind: 'worker_replaced' },
    {
      text: 'Requests are refused or dropped under load, just after this: A worker thread of process 1 died and was replaced',
    },
    { text: 'Requests are refused or dropped under load', until: 50_000 },
  ])
  t.equal(log.since(0).length, 3, 'a few are none')
})
