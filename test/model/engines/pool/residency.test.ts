import t from 'tap'
import type { Batch, GraphSource, GraphStats } from '../../../../src/model/contracts/engine.ts'
import type { EnginePool, PooledGraph } from '../../../../src/model/engines/pool/engine-pool.ts'
import { limitResidency } from '../../../../src/model/engines/pool/residency.ts'

const mebibyte = 2 ** 20
const batch: Batch = { rows: 1, inputs: { ids: new Int32Array(1) } }
const saved = (file: string): GraphSource => ({ folder: '/models', format: 'onnx', file, outputs: ['p'] })

/** A pool of one worker whose graphs take a mebibyte each, as the estimate has it, and count their rows. */
function setUp({ mebibytes = 2 } = {}) {
  const open: string[] = []
  const spread: string[] = []
  const overlays: [file: string, number: number, since: number][] = []
  const loads: GraphSource[] = []
  const held = { opening: undefined as Promise<void> | undefined, run: undefined as Promise<void> | undefined }
  const broken = new Set<string>()
  const cached = new Map<string, number>()
  let measure: () => void = () => undefined
  const pool: EnginePool = {
    engine: 'fake',
    size: 1,
    async load(source) {
      loads.push(source)
      await held.opening
      if (source.plan !== undefined && broken.has(source.file)) throw new Error('the plan is gone')
      open.push(source.file)
      const stats: GraphStats = {
        rows: { exported: 0, full: 0, shared_context: 0, cached: 0 },
        cache: { hits: 0, misses: 0, entries: 3, evictions: 0, bytes: 0 },
        memory: { weights: 0, variants: (0.75 * mebibyte) / 1.25, tables: 0 },
      }
      const graph: PooledGraph = {
        signature: { inputs: [], outputs: [] },
        async run({ rows }) {
          await held.run
          if (!open.includes(source.file)) throw new Error(`${source.file} is closed`)
          stats.rows.full += rows
          return { p: new Float32Array(rows) }
        },
        allocate: () => ({ inputs: {}, part: { slab: 0, start: 0, count: 1 }, release: () => undefined }),
        stats: async () => ({ ...stats, cache: { ...stats.cache, bytes: cached.get(source.file) ?? 0 } }),
        reset: async () => undefined,
        recount: async () => undefined,
        setOverlay: async ({ number, changed }) => void overlays.push([source.file, number, changed.since]),
        spread: async () => void spread.push(source.file),
        async close() {
          open.splice(open.indexOf(source.file), 1)
        },
      }
      return graph
    },
    stats: () => ({ workers: 1, alive: 1, replaced: 0 }),
    close: async () => undefined,
  }
  const failures: unknown[] = []
  const limited = limitResidency(pool, {
    bytes: mebibytes * mebibyte,
    clock: {
      now: () => 0,
      after(_, callback) {
        measure = callback
        return () => undefined
      },
    },
    onReloadFailed: (_, error) => failures.push(error),
  })
  return { limited, open, overlays, spread, loads, held, broken, cached, failures, measure: () => measure() }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const run = (graph: PooledGraph) => graph.run(batch, ['p'])

t.test('the graphs used least recently are closed where all take more than the bound', async (t) => {
  const { limited, open } = setUp()
  const [a, b] = [await limited.load(saved('a')), await limited.load(saved('b'))]
  await run(a)
  await limited.load(saved('c'))
  await settled()
  t.same(open, ['a', 'c'])
  t.same(limited.stats().residency, { open: 2, bytes: 2 * mebibyte, reopened: 0, reopenSeconds: 0 })
  await run(b)
  await settled()
  t.same(open, ['c', 'b'], 'one that is asked again is opened, another closed')
  t.match(limited.stats().residency, { open: 2, reopened: 1 })
})

t.test('the graph used last stays open whatever it takes', async (t) => {
  const { limited, open } = setUp({ mebibytes: 0.1 })
  const a = await limited.load(saved('a'))
  await run(a)
  t.same(open, ['a'])
})

t.test('a graph that was opened again is opened in all workers when it is asked often', async (t) => {
  const { limited, spread } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await limited.load(saved('b'))
  await settled()
  for (let call = 1; call <= 6; call++) {
    await run(a)
    t.same(spread, call < 4 ? [] : ['a'])
  }
})

t.test('a graph has the overlay of its live tables whenever it is open', async (t) => {
  const { limited, overlays } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await a.setOverlay!({ number: 1, tables: [], changed: { since: 0, tables: [] } })
  await limited.load(saved('b'))
  await settled()
  await a.setOverlay!({ number: 2, tables: [], changed: { since: 1, tables: [] } })
  await run(a)
  t.same(overlays, [
    ['a', 1, 0],
    ['a', 2, -1],
  ])
})

t.test('calls that come while a graph is opened share the opening', async (t) => {
  const { limited, loads, held } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await limited.load(saved('b'))
  await settled()
  let opened: () => void = () => undefined
  held.opening = new Promise((resolve) => (opened = resolve))
  const runs = [run(a), run(a), run(a)]
  await settled()
  opened()
  t.equal((await Promise.all(runs)).length, 3)
  t.equal(loads.length, 3)
})

t.test('a graph that is computing, or holds rows of a request, is not closed', async (t) => {
  const { limited, open, held } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  let computed: () => void = () => undefined
  held.run = new Promise((resolve) => (computed = resolve))
  const running = run(a)
  await limited.load(saved('b'))
  t.same(open, ['a', 'b'])
  computed()
  await running
  const rows = a.allocate!(1)!
  await limited.load(saved('c'))
  await settled()
  t.same(open, ['a', 'c'])
  rows.release()
  await limited.load(saved('d'))
  await settled()
  t.same(open, ['d'])
})

t.test('rows for a closed graph have no shared memory; the graph is opened for them', async (t) => {
  const { limited, open } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await limited.load(saved('b'))
  await settled()
  t.equal(a.allocate!(1), undefined)
  await settled()
  t.same(open, ['a'])
})

t.test('counts go on over the times when a graph is open; what it keeps does not', async (t) => {
  const { limited } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await run(a)
  await limited.load(saved('b'))
  t.match(await a.stats(), { rows: { full: 1 }, cache: { entries: 0 }, memory: { variants: 0 } })
  await run(a)
  t.match(await a.stats(), { rows: { full: 2 }, cache: { entries: 3 } })
  await a.reset()
  t.match(await a.stats(), { rows: { full: 1 } }, 'those of before are forgotten')
})

t.test('what graphs keep of candidates is measured from time to time', async (t) => {
  const { limited, open, cached, measure } = setUp()
  await limited.load(saved('a'))
  await limited.load(saved('b'))
  cached.set('b', mebibyte / 2)
  measure()
  await settled()
  t.same(open, ['b'])
  t.match(limited.stats().residency, { bytes: 1.5 * mebibyte })
})

t.test('a compiled graph that can not be opened again is opened as it was saved', async (t) => {
  const { limited, broken, loads, failures } = setUp({ mebibytes: 1 })
  const planned = (description: object) => ({
    ...saved('a'),
    plan: { description } as NonNullable<GraphSource['plan']>,
  })
  const a = await limited.load(planned({}))
  await limited.load(saved('b'))
  await settled()
  broken.add('a')
  await run(a)
  t.same(failures, [new Error('the plan is gone')])
  t.same(loads.at(-1), saved('a'))
  broken.clear()
  const live = await limited.load(planned({ live: {} }))
  await limited.load(saved('b'))
  await settled()
  broken.add('a')
  await t.rejects(run(live), { message: 'the plan is gone' }, 'whose tables have rows that the saved graph lacks')
})

t.test('a graph that is closed for good is not opened again', async (t) => {
  const { limited, open } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  const b = await limited.load(saved('b'))
  await settled()
  await a.close()
  await b.close()
  t.same(open, [])
  await t.rejects(run(a), { code: 'MODEL_FAILED', message: 'The graph has been closed' })
  t.match(limited.stats().residency, { open: 0, bytes: 0 })
  await limited.close()
})

t.test('a graph that is closed while it is opened is closed then', async (t) => {
  const { limited, open, held } = setUp({ mebibytes: 1 })
  const a = await limited.load(saved('a'))
  await limited.load(saved('b'))
  await settled()
  let opened: () => void = () => undefined
  held.opening = new Promise((resolve) => (opened = resolve))
  const running = run(a)
  running.catch(() => undefined)
  const closing = a.close()
  opened()
  await closing
  t.same(open, ['b'])
})
