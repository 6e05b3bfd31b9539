import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Tensor } from 'onnxruntime-node'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import type { CompiledPlan, PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import type { Batch } from '../../../../src/model/contracts/engine.ts'
import type { LiveColumns, Overlay } from '../../../../src/model/contracts/live-tables.ts'
import { openPlan } from '../../../../src/model/engines/plan/open-plan.ts'
import { findLiveTables } from '../../../../src/model/graph/compile/find-live-tables.ts'
import { prepare } from '../../../../src/model/graph/compile/prepare.ts'
import type { PrepareRequest } from '../../../../src/model/graph/compile/prepare-request.ts'
import type { Graph } from '../../../../src/model/graph/ir/graph.ts'
import { TensorProto_DataType as DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { nameConstants } from '../../../../src/model/graph/passes/canonicalise.ts'
import type { Side } from '../../../../src/model/graph/sides/split-graphs.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { randomGraph } from '../../../support/compile/random-graph.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { bytesFor, costsFor, randomCosts } from '../../../support/compile/random-traffic.ts'
import { answersOf, type Feeds, reread, vocabulary } from '../../../support/compile/run-graph.ts'
import { firstOverlay, liveFieldsOf, nextOverlay, randomDelta, writeRows } from '../../../support/live-overlay.ts'

/*
 * The law of live tables: answers are those of the saved graph with the rows written in, whatever reads the tables, and
 * however it is computed; or the tables are not live, for a reason.
 */

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const
const folder = await temporaryFolder(t)

/** The columns of a graph's inputs. */
function widthsOf(graph: Graph): Record<string, number> {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }) => {
      if (type?.value.case !== 'tensorType') throw new Error(`the input ${name} is no tensor`)
      const [, width] = type.value.value.shape!.dim
      return [name, width?.value.case === 'dimValue' ? Number(width.value.value) : 1]
    }),
  )
}

/** Candidates that all requests choose from. */
const pool = 5

/** Rows of a request of one context. `seed`: of the candidates. */
function randomBatch(graph: Graph, sides: Record<string, Side[]>, seed: number, dice: Dice): Batch {
  const rows = dice.between(1, 12)
  const chosen = Array.from({ length: rows }, () => dice.below(pool))
  const inputs: Batch['inputs'] = {}
  for (const [name, width] of Object.entries(widthsOf(graph))) {
    const { elemType } = graph.inputs.find((input) => input.name === name)!.type!.value.value as { elemType: number }
    const draw = (dice: Dice) => (name === 'dense' ? dice.next() : dice.below(vocabulary))
    const ofPool = new Dice(seed)
    const candidates = Array.from({ length: pool * width }, () => draw(ofPool))
    const values = Array.from({ length: rows * width }, () => draw(dice))
    for (let i = 0; i < values.length; i++) {
      const [row, column] = [Math.floor(i / width), i % width]
      if (sides[name]![column] === 'candidate') values[i] = candidates[chosen[row]! * width + column]!
      if (sides[name]![column] === 'context') values[i] = values[column]!
    }
    inputs[name] = elemType === DataType.FLOAT ? Float32Array.from(values) : Int32Array.from(values)
  }
  return { rows, inputs, requests: [rows] }
}

/** A batch as ONNX Runtime takes it. */
function feedsOf(graph: Graph, { rows, inputs }: Batch): Feeds {
  const feeds = graph.inputs.map(({ name, type }): [string, Tensor] => {
    const values = inputs[name]!
    const { elemType } = type!.value.value as { elemType: number }
    const dims = [rows, values.length / rows]
    if (elemType === DataType.INT64) return [name, new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)]
    if (elemType === DataType.FLOAT) return [name, new ort.Tensor('float32', values as Float32Array, dims)]
    return [name, new ort.Tensor('int32', values as Int32Array, dims)]
  })
  return Object.fromEntries(feeds)
}

interface Case {
  graph: Graph
  request: PrepareRequest
  live: LiveColumns
  sides: Record<string, Side[]>
}

/** A graph whose fields share tables, and which of them are live. */
function randomCase(seed: number, dice: Dice): Case {
  const graph = randomGraph(seed, { wild: dice.chance(0.6), apart: false })
  const widths = widthsOf(graph)
  const all: Side[] = ['context', 'candidate', 'candidate', 'cross']
  const sides = Object.fromEntries(
    Object.entries(widths).map(([name, width]) => [name, Array.from({ length: width }, () => dice.pick(all))]),
  )
  const columns = Array.from({ length: widths.ids! }, (_, column) => column).filter((i) => i === 0 || dice.chance(0.4))
  const live = {
    input: 'ids',
    columns: columns.map((column) => ({ column, offset: 0, ids: vocabulary - dice.below(3) })),
  }
  const names = graph.outputs.map(({ name }) => name)
  const [output] = names as [string]
  const file = `${seed}.onnx`
  return {
    graph,
    live,
    sides,
    request: {
      source: { folder, format: 'onnx', file, outputs: dice.chance(0.5) ? names : [output] },
      output,
      sides,
      fields: { ids: Array.from({ length: widths.ids! }, () => ({ offset: 0, ids: vocabulary })) },
      precision: 'float32',
      live,
      quantization: undefined,
      identity: file,
      cache: undefined,
      now: Date.now(),
    },
  }
}

/** Everything that may keep a table from being live. */
const reasons = new RegExp(
  [
    'is looked up in more than one table',
    'is not read by look-ups alone',
    'are not one after the other',
    'are looked up in different rows',
    'by ids that are not computed from one column each',
  ].join('|'),
)

/** Runs a plan beside the saved graph, while rows change. Returns how rows were computed, and changes. */
async function follow({ graph, request, live, sides }: Case, plan: CompiledPlan, costs: PlanCosts, dice: Dice) {
  const opened = await openPlan({ ...plan, costs }, options, bytesFor(plan, 40))
  try {
    const written = reread(graph)
    const only = reread(graph)
    only.outputs.splice(0, Infinity, ...only.outputs.filter(({ name }) => request.source.outputs.includes(name)))
    only.tidy()
    const found = await findLiveTables(only, live)
    if (typeof found === 'string') throw new Error(found)
    nameConstants(written)
    const fields = liveFieldsOf(plan.description.live!)
    let overlay: Overlay = firstOverlay(plan.description.live!)
    let changes = 0
    for (let round = 0; round < 3; round++) {
      if (round > 0) {
        const delta = randomDelta(fields, dice)
        writeRows(written, delta, fields, [...found.keys()])
        overlay = nextOverlay(overlay, [delta], fields)
        opened.setOverlay!(overlay)
        changes++
      }
      const batches = Array.from({ length: 4 }, () => randomBatch(graph, sides, fields.length, dice))
      const expected = await answersOf(
        written,
        batches.map((batch) => feedsOf(graph, batch)),
      )
      for (const [call, batch] of batches.entries()) {
        const outputs = { ...(await opened.runSaved?.(batch, request.source.outputs)) }
        outputs[request.output] = await opened.run(batch)
        for (const [name, values] of Object.entries(outputs)) {
          const right = expected[call]![name]!.values
          const apart = distance(right, values as Float32Array) / Math.max(1, ...right.map(Math.abs))
          if (!(apart <= 1e-5)) throw new Error(`${name} is ${apart} apart`)
        }
      }
    }
    return { ...opened.stats().rows, hits: opened.stats().cache.hits, others: opened.runSaved ? 1 : 0, changes }
  } finally {
    await opened.close()
  }
}

t.test('answers are those of the saved graph with the rows written in, or the tables are not live', async (t) => {
  await mkdir(folder, { recursive: true })
  const seen: Record<string, number> = {
    full: 0,
    shared_context: 0,
    cached: 0,
    hits: 0,
    others: 0,
    changes: 0,
    refused: 0,
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.oneof(randomCosts, fc.constant(costsFor('cached'))), async (seed, costs) => {
      const dice = new Dice(seed)
      const own = randomCase(seed, dice)
      await writeFile(join(folder, own.request.source.file), own.graph.toBytes())
      const { plan, problem } = await prepare(own.request)
      if (plan === undefined) throw new Error(problem)
      try {
        const { live, liveProblem } = plan.description
        if (live === undefined) {
          if (!reasons.test(liveProblem!)) throw new Error(liveProblem)
          seen.refused!++
          return
        }
        const counts: Record<string, number> = await follow(own, plan, costs, dice)
        for (const name of Object.keys(seen)) seen[name]! += counts[name] ?? 0
      } finally {
        await rm(dirname(plan.folder), { recursive: true })
      }
    }),
    { numRuns: randomCases(40), seed: steadySeed },
  )
  for (const [name, count] of Object.entries(seen)) t.ok(count > 0, `${name}: ${count}`)
})
