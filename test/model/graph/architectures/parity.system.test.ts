import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Batch, Engine, GraphSource } from '../../../../src/model/contracts/engine.ts'
import { createOnnxEngine } from '../../../../src/model/engines/onnx/onnx.ts'
import { createTensorflowEngine } from '../../../../src/model/engines/tensorflow/tensorflow.ts'
import { prepareTensorFlow } from '../../../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { buildArchitecture, graphOutputs } from '../../../../src/model/graph/architectures/build.ts'
import { layersModelFiles, setWeights } from '../../../../src/model/graph/lower/layers/write-layers-model.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { openBuilt, saveLayersModel, writeFiles } from '../../../support/layers-model.ts'
import { randomArchitecture } from '../../../support/random-architecture.ts'
import { noReference, readReference, referenceModels } from '../../../support/reference.ts'

/*
 * Same weights, same inputs, same answers: our architectures against Keras' own outputs, and every engine against the
 * others.
 */

const native = await createTensorflowEngine({ backend: 'native' }).catch((error: Error) => error)
const engines: Engine[] = [
  await createOnnxEngine({ threads: 1 }),
  await createTensorflowEngine({ backend: 'wasm' }),
  await createTensorflowEngine({ backend: 'cpu' }),
]
if (native instanceof Error) t.comment(`without tensorflow (native): ${native.message}`)
else engines.unshift(native)

for (const model of referenceModels) {
  t.test(model, { skip: noReference }, async (t) => {
    const { options, shape, batch, weights, ...expected } = await readReference(model)
    const built = buildArchitecture(options, shape)
    const used = new Set<string>()
    setWeights(built, ({ name }) => {
      used.add(name)
      return weights.get(name)!.values
    })
    t.equal(used.size, weights.size, "the reference's every weight has its place")
    const folder = t.testdir()
    await writeFiles(folder, layersModelFiles(built))
    const names = graphOutputs(options, shape.tasks)
    const gates = [...new Set(Object.values(names.gates ?? {}))]
    const source = {
      folder,
      format: 'layers' as const,
      file: 'model.json',
      outputs: ['probabilities', 'logits', ...gates],
    }

    for (const engine of engines) {
      t.test(engine.name, async (t) => {
        const outputs = await answers(engine, source, batch)
        near(t, outputs.probabilities!, expected.probabilities, 1e-5, 'probabilities')
        near(t, outputs.logits!, expected.logits, 1e-4, 'logits')
        t.equal(gates.length, expected.gates.length)
        for (const [i, gate] of gates.entries()) near(t, outputs[gate]!, expected.gates[i]!, 1e-5, gate)
      })
    }

    t.test('its own ONNX file', async (t) => {
      const [onnx] = engines.filter(({ name }) => name === 'onnx')
      const keras3 = model.startsWith('keras3')
      const inputs = keras3
        ? { args_0: batch.inputs.sparse!, args_0_1: batch.inputs.dense! }
        : { input_1: batch.inputs.sparse!, input_2: batch.inputs.dense! }
      const name = keras3 ? 'output_0' : 'output_1'
      const file = { folder: expected.folder, format: 'onnx' as const, file: 'model.onnx', outputs: [name] }
      const outputs = await answers(onnx!, file, { rows: batch.rows, inputs })
      near(t, outputs[name]!, expected.probabilities, 1e-5, 'probabilities')
    })
  })
}

t.test('random architectures answer alike on every engine', async (t) => {
  const tensorflow = await prepareTensorFlow('cpu')
  const folder = t.testdir()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(
      randomArchitecture,
      fc.integer({ min: 1, max: 9 }),
      fc.noShrink(fc.nat()),
      async ({ options, shape }, rows, seed) => {
        const random = uniform(seed)
        const built = buildArchitecture(options, shape)
        setWeights(built, ({ name, shape: [rows = 1, columns] }) =>
          Float32Array.from({ length: rows * (columns ?? 1) }, () =>
            // A variance is positive. Kernels keep the scale of what passes through, also where gates are not
            // normalised.
            name.endsWith('variance') ? 0.3 + random() : ((random() - 0.5) * 2) / Math.sqrt(columns ? rows : 1),
          ),
        )
        const path = `${runs++}`
        // Either as we write a model or as TensorFlow.js does.
        if (runs % 3 === 0) await writeFiles(join(folder, path), layersModelFiles(built))
        else {
          const opened = await openBuilt(tensorflow, built)
          await saveLayersModel(tensorflow, opened, join(folder, path), runs % 3)
          opened.dispose()
        }
        const names = graphOutputs(options, shape.tasks)
        const outputs = [...new Set(['probabilities', 'logits', ...Object.values(names.gates ?? {})])]
        const batch: Batch = { rows, inputs: {} }
        if (shape.sparseFields > 0)
          batch.inputs.sparse = Int32Array.from({ length: rows * shape.sparseFields }, () => random() * shape.ids)
        if (shape.denseFields > 0)
          batch.inputs.dense = Float32Array.from({ length: rows * shape.denseFields }, () => random() * 4 - 2)

        const source = { folder: join(folder, path), format: 'layers' as const, file: 'model.json', outputs }
        // A gate divides its logits by its temperature, and so multiplies their rounding.
        const tolerance = 1e-5 / Math.min(1, Number(options.gate_temperature ?? 1))
        const all = []
        for (const engine of engines) all.push(await answers(engine, source, batch))
        const [first, ...others] = all
        for (const other of others)
          for (const name of outputs) {
            const scale = Math.max(1, ...first![name]!.map(Math.abs))
            const difference = farthest(first![name]!, other[name]!)
            if (!(difference <= tolerance * scale)) throw new Error(`${name} differ by ${difference}`)
          }
      },
    ),
    { numRuns: randomCases(70) },
  )
  t.pass(`${runs} architectures`)
})

async function answers(engine: Engine, source: GraphSource, batch: Batch) {
  const graph = await engine.load(source)
  try {
    return await graph.run(batch, source.outputs)
  } finally {
    await graph.close()
  }
}

function near(t: Test, actual: Float32Array, expected: Float32Array, tolerance: number, what: string): void {
  const difference = farthest(actual, expected)
  t.ok(difference <= tolerance, `${what} within ${tolerance}: ${difference}`)
}

/** Largest absolute difference; NaN where there is one, or the lengths differ. */
function farthest(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length || a.length === 0) return Number.NaN
  return a.reduce((most, value, i) => {
    const difference = Math.abs(value - b[i]!)
    return difference > most || Number.isNaN(difference) ? difference : most
  }, 0)
}

/** A generator of numbers in [0, 1): a linear congruence, good enough for weights. */
function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
