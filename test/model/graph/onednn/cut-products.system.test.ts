import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { openProgram } from '../../../../src/model/graph/onednn/open-program.ts'
import { amxTiling, avx512Tiling } from '../../../../src/model/graph/onednn/tiling.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { distance } from '../../../support/compile/random-model.ts'
import { answersOf, answerWith, emptyGraph } from '../../../support/compile/run-graph.ts'
import { withoutOnednn } from '../../../support/onednn.ts'

const folder = await temporaryFolder(t)
const skip = withoutOnednn() ?? false

t.test('a product of many columns is cut, and its columns are read across the cut', { skip }, async (t) => {
  // Columns that are no whole block, and more than oneDNN computes on AMX; the second part lies on both sides of the
  // cut.
  const [columns, sizes] = [214, [1000, 1100, 20]] as const
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const dice = new Dice(3)
  const graph = emptyGraph({ x: floatShape(-1, columns) })
  const weights = graph.constant('weights', dice.floats(columns * total), [columns, total])
  const bias = graph.constant('bias', dice.floats(total), [total])
  const product = graph.node('Gemm', ['x', weights, bias], { shape: floatShape(-1, total) })
  const parts = graph.nodeOf('Split', [product, graph.integers(sizes)], sizes.length, { attributes: { axis: 1 } })
  answerWith(graph, ...parts, product)
  await writeFile(join(folder, 'graph.onnx'), graph.toBytes())

  const ways = (['context', 'rows'] as const).flatMap((each) =>
    [amxTiling, avx512Tiling].map((tiling) => ({ each, tiling })),
  )
  for (const { each, tiling } of ways) {
    const inputs = { context: [], rows: [], [each]: [{ name: 'x', input: 'x', columns: [] }] }
    const program = await openProgram(
      folder,
      { file: 'graph.onnx', ...inputs },
      { precision: 'bfloat16', requests: '', tiling },
    )
    if (typeof program === 'string') throw new Error(program)
    try {
      for (const rows of [1, 5, 130]) {
        const x = dice.floats(rows * columns)
        const [expected] = await answersOf(graph, [{ x: new ort.Tensor('float32', x, [rows, columns]) }])
        const actual = await program.run([{ data: x, dims: [rows, columns] }])
        for (const name of [...parts, product]) {
          const { values, dims } = expected![name]!
          t.same(actual[name]!.dims, dims)
          const most = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          const apart = distance(values, actual[name]!.data)
          t.ok(apart > 0 && apart < 0.02 * most, `${each}, ${rows} rows, ${name}: ${apart} of ${most}`)
        }
      }
    } finally {
      await program.close()
    }
  }
})
