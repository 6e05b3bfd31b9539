import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { answersOf, answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { withoutOnednn } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

t.test('mixtures are those of ONNX Runtime, whichever of their columns a product reads', { skip }, async () => {
  const model = fc.record({
    tasks: fc.integer({ min: 1, max: 3 }),
    count: fc.integer({ min: 1, max: 4 }),
    width: fc.integer({ min: 1, max: 40 }),
    clips: fc.boolean(),
    // Whether something else reads them as well.
    answers: fc.boolean(),
    // The columns of each task that are read.
    ranges: fc.array(fc.tuple(fc.nat(40), fc.nat(40)), { minLength: 3, maxLength: 3 }),
    rows: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(),
  })
  await fc.assert(
    fc.asyncProperty(model, async ({ tasks, count, width, clips, answers, ranges, rows, seed }) => {
      const dice = new Dice(seed)
      const graph = emptyGraph({ gates: floatShape(-1, tasks, count), experts: floatShape(-1, count, width) })
      const mixed = graph.node('MatMul', ['gates', 'experts'], { shape: floatShape(-1, tasks, width) })
      const shape = floatShape(-1, tasks * width)
      const flat = graph.node('Reshape', [mixed, graph.integers([-1, tasks * width])], { shape })
      const hidden = clips ? graph.node('Relu', [flat], { shape }) : flat
      const weights = dice.floats(tasks * width * 2).map((value, i) => {
        const [a, b] = ranges[Math.floor(i / 2 / width)]!
        const column = Math.floor(i / 2) % width
        return column >= Math.min(a, b) && column < Math.max(a, b) ? value : 0
      })
      const logits = graph.node('Gemm', [hidden, graph.constant('weights', weights, [tasks * width, 2])], {
        shape: floatShape(-1, 2),
      })
      const names = answers ? [logits, mixed] : [logits]
      answerWith(graph, ...names)
      await writeFile(join(folder, 'graph.onnx'), graph.toBytes())
      const inputs = ['gates', 'experts'].map((name) => ({ name, input: name, columns: [] }))
      const file = { file: 'graph.onnx', context: [], rows: inputs }
      // int8 leaves products of floats in float32.
      const program = await openProgram(folder, file, { precision: 'int8', requests: '' })
      if (typeof program === 'string') throw new Error(program)
      try {
        const feeds = {
          gates: new ort.Tensor('float32', dice.floats(rows * tasks * count), [rows, tasks, count]),
          experts: new ort.Tensor('float32', dice.floats(rows * count * width), [rows, count, width]),
        }
        const [expected] = await answersOf(graph, [feeds])
        const actual = await program.run(
          program.inputs.map(({ name }) => {
            const { data, dims } = feeds[name as keyof typeof feeds]
            return { data: data as Float32Array, dims }
          }),
        )
        for (const name of names) {
          const apart = distance(expected![name]!.values, actual[name]!.data)
          if (!(apart <= 1e-5)) throw new Error(`${name}: ${apart}`)
        }
      } finally {
        await program.close()
      }
    }),
    { numRuns: randomCases(150) },
  )
})
