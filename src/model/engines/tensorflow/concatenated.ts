import type {
  Batch,
  GraphSource,
  JoinedTensors,
  LoadedGraph,
  Outputs,
  Signature,
  TensorData,
} from '../../contracts/engine.ts'
import { partsOf } from '../../graph/lower/concatenate.ts'
import { valuesOf } from '../memory.ts'

/**
 * Loads a graph for an engine that knows nothing of joined tensors: cuts inputs apart before each call, and joins
 * outputs after it.
 */
export async function loadJoined(
  source: GraphSource,
  load: (source: GraphSource) => Promise<LoadedGraph>,
): Promise<LoadedGraph> {
  const { joined, ...plain } = source
  if (joined === undefined) return load(source)
  const outputs = partsOf(source.outputs, joined)
  const graph = await load({ ...plain, outputs })
  const signature = joinedSignature(graph.signature, joined)
  return {
    ...graph,
    signature,
    async run(batch, wanted) {
      const parts = partsOf(wanted, joined)
      const answers = await graph.run({ ...batch, inputs: cut(batch, graph.signature, signature, joined) }, parts)
      return Object.fromEntries(wanted.map((name) => [name, answerOf(name, answers, batch.rows, joined)]))
    },
  }
}

function joinedSignature({ inputs, outputs }: Signature, joined: JoinedTensors): Signature {
  const parts = new Set(Object.values(joined.inputs).flatMap(({ tensors }) => tensors))
  const totalWidth = (tensors: { name: string; width: number }[], names: string[]) =>
    names.reduce((sum, name) => sum + (tensors.find((tensor) => tensor.name === name)?.width ?? 0), 0)
  return {
    inputs: [
      ...inputs.filter(({ name }) => !parts.has(name)),
      ...Object.entries(joined.inputs).map(([name, { dtype, tensors }]) => ({
        name,
        dtype,
        width: totalWidth(inputs, tensors),
      })),
    ],
    outputs: [
      ...outputs,
      ...Object.entries(joined.outputs).map(([name, { tensors }]) => ({
        name,
        width: totalWidth(outputs, tensors),
      })),
    ],
  }
}

function cut(batch: Batch, saved: Signature, seen: Signature, joined: JoinedTensors): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = { ...batch.inputs }
  for (const [name, { tensors: parts }] of Object.entries(joined.inputs)) {
    const whole = seen.inputs.find((input) => input.name === name)!
    const values = valuesOf(batch, whole)
    delete inputs[name]
    let column = 0
    for (const part of parts) {
      const width = saved.inputs.find((input) => input.name === part)?.width ?? 0
      inputs[part] = pickColumns(values, batch.rows, whole.width, column, width)
      column += width
    }
  }
  return inputs
}

function pickColumns(values: TensorData, rows: number, total: number, column: number, width: number): TensorData {
  const picked = values instanceof Int32Array ? new Int32Array(rows * width) : new Float32Array(rows * width)
  for (let row = 0; row < rows; row++)
    picked.set(values.subarray(row * total + column, row * total + column + width), row * width)
  return picked
}

function answerOf(name: string, answers: Outputs, rows: number, joined: JoinedTensors): Float32Array {
  const join = joined.outputs[name]
  if (join === undefined) return answers[name]!
  const parts = join.tensors.map((part) => answers[part]!)
  const widths = parts.map(({ length }) => (rows === 0 ? 0 : length / rows))
  const total = widths.reduce((sum, width) => sum + width, 0)
  const values = new Float32Array(rows * total)
  let column = 0
  parts.forEach((part, i) => {
    const width = widths[i]!
    for (let row = 0; row < rows; row++) values.set(part.subarray(row * width, (row + 1) * width), row * total + column)
    column += width
  })
  return join.sigmoid ? values.map((logit) => 1 / (1 + Math.exp(-logit))) : values
}
