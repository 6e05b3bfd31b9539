import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TensorProto_DataType as DataType } from '../../src/model/graph/ir/onnx_pb.ts'
import { floatShape } from '../../src/model/graph/ir/tensor-shape.ts'
import { checksums } from '../../src/model/serving/bundle/checksum.ts'
import { encodeQuantizationRows } from '../../src/model/serving/bundle/quantization.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { Dice } from './compile/dice.ts'
import { answerWith, emptyGraph } from './compile/run-graph.ts'

export const ads = 20_000
const dim = 4
const rows = 4000

export interface NarrowBundle {
  tables?: Manifest['tables']
  /** The first value of every row of the table, beside others from −1 to 1. */
  offset?: number
  live?: boolean
  /** Without quantization rows nothing can be checked. */
  unchecked?: boolean
}

/** Writes version 1 of `ads`: logit(ctr) = 3 · the second value of the ad's row + the price. Returns its folder. */
export async function writeNarrowBundle(
  models: string,
  { tables, offset = 0, live, unchecked }: NarrowBundle,
): Promise<string> {
  const folder = join(models, 'ads', '1')
  await mkdir(folder, { recursive: true })
  const dice = new Dice(1)
  const table = dice.floats(ads * dim).map((value, i) => (i % dim === 0 ? offset : value))
  const graph = emptyGraph({ sparse: { dtype: DataType.INT32, dims: [-1, 1] }, dense: floatShape(-1, 1) })
  const looked = graph.node('Gather', [graph.constant('table', table, [ads, dim]), 'sparse'])
  const x = graph.node('Concat', [graph.node('Reshape', [looked, graph.integers([-1, dim])]), 'dense'], {
    attributes: { axis: 1 },
  })
  const logit = graph.node('Gemm', [x, graph.constant('weights', Float32Array.of(1e-3, 3, 0, 0, 1), [dim + 1, 1])])
  graph.node('Sigmoid', [logit], { outputs: ['probabilities'] })
  answerWith(graph, 'probabilities')
  await writeFile(join(folder, 'model.onnx'), graph.toBytes())
  const sparse = Int32Array.from({ length: rows }, () => dice.below(ads))
  const dense = dice.floats(rows)
  const labels = Float32Array.from(sparse, (ad, i) =>
    dice.chance(1 / (1 + Math.exp(-3 * table[ad * dim + 1]! - dense[i]!))) ? 1 : 0,
  )
  await writeFile(join(folder, 'rows.bin'), encodeQuantizationRows({ rows, sparse, dense, labels }))
  const manifest: Manifest = {
    manifest: 1,
    name: 'ads',
    version: '1',
    features: [
      {
        ...{ name: 'ad', side: 'candidate', kind: 'integer', size: ads, out_of_vocabulary: 'error', missing: 'error' },
        ...(live && { live }),
      },
      { name: 'price', side: 'candidate', kind: 'numeric', scaling: { method: 'none' }, missing: 'error' },
    ],
    tasks: [{ name: 'ctr' }],
    derived: [],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { probabilities: 'probabilities' },
    },
    precision: 'float32',
    ...(tables && { tables }),
    ...(!unchecked && { quantization: { file: 'rows.bin', rows, labels: true } }),
    files: await checksums(folder),
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  return folder
}
