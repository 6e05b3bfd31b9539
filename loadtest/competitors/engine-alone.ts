// Times calls of a version's graph without a server: the program that `ceiling.ts` starts on each core.

import { once } from 'node:events'
import { join } from 'node:path'
import { median } from '../../src/base/arrays.ts'
import { createOnnxEngine } from '../../src/model/engines/onnx/onnx.ts'
import { prepareInThread } from '../../src/model/graph/compile/prepare-in-thread.ts'
import { cacheEvictor } from '../../src/tools/bench/processor-caches.ts'
import { drawBatch, redraw } from '../../src/tools/bench/rows.ts'
import { openTarget } from '../../src/tools/bench/target.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import type { AloneOptions, AloneTimes } from './ceiling.ts'

/** Fewest calls of a measurement, and those before it. */
const fewest = 200
const warmUp = 50
const candidateBytes = 256 * 2 ** 20

const { models, name, cache, rows, candidates, seconds } = JSON.parse(process.argv[2]!) as AloneOptions
const random = createRandom(1)
const draw = () => random.uniform()
const target = await openTarget(join(models, name), { models, random: draw })
const { plan, problem } = await prepareInThread({ ...target.request, cache, now: Date.now() })
if (plan === undefined) throw new Error(problem)
const engine = await createOnnxEngine({ threads: 1 })
const graph = await engine.load({ ...target.request.source, plan, cacheBytes: candidateBytes })
const shape = { rows, requests: 1 }
const known = drawBatch(target.inputs, shape, draw)
const batch = () =>
  candidates === 'new'
    ? drawBatch(target.inputs, shape, draw)
    : redraw(target.inputs, known, shape, ['context', 'cross'], draw)

async function time(between: () => void): Promise<number> {
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (times.length < fewest || performance.now() < end) {
    // Some at a time: making a batch takes longer than computing it, and goes through the caches.
    const batches = Array.from({ length: 20 }, batch)
    for (const [i, one] of batches.entries()) {
      between()
      const started = performance.now()
      await graph.run(one, [target.request.output])
      if (i > 1) times.push((performance.now() - started) * 1000)
    }
  }
  return median(times)
}

for (let i = 0; i < warmUp; i++) await graph.run(batch(), [target.request.output])
process.send!('ready')
await once(process, 'message')
const warm = await time(() => undefined)
const cold = await time(cacheEvictor())
const computed = Object.entries(graph.stats?.().rows ?? {}).sort((a, b) => b[1] - a[1])
process.send!({ warm, cold, variant: computed[0]?.[0] ?? '' } satisfies AloneTimes)
await graph.close()
process.disconnect()
