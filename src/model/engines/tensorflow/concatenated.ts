import type {
  Batch,
  GraphSource,
  JoinedTensors,
  LoadedGraph,
  Outputs,
  Signature,
  TensorData,
} from '../../contracts/engine.ts'
import { type InputPart, partsOf, partsOfInput } from '../../graph/lower/concatenate.ts'
import { valuesOf } from '../memory.ts'

/**
 * Loads a graph for an engine that knows nothing of joined tensors: cuts inputs apart before each call, and joins
 * outputs after it.
 */
export async function loadJoined(
  source: GraphSource,
  load: (source: GraphSource, widths: InputWidths) => Promise<LoadedGraph>,
): Promise<LoadedGraph> {
  const { joined, ...plain } = source
  if (joined === undefined) return load(source, new Map())
  const outputs = partsOf(source.outputs, joined)
  const graph = await load({ ...plain, outputs }, fieldWidths(joined))
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

/** Widths of inputs that the saved graph may leave free, by name: of fields' own tensors. */
export type InputWidths = ReadonlyMap<string, number>

function fieldWidths({ inputs }: JoinedTensors): InputWidths {
  const own = Object.values(inputs).flatMap(({ fields }) => fields?.tensors ?? [])
  return new Map(own.map(({ tensor, width, is }) => [tensor, is === 'lengths' ? 1 : width]))
}

function joinedSignature({ inputs, outputs }: Signature, joined: JoinedTensors): Signature {
  const ofSaved = widthIn(inputs)
  const all = Object.entries(joined.inputs).map(([name, input]) => ({ name, input, ...partsOfInput(input, ofSaved) }))
  const replaced = new Set(all.flatMap(({ parts }) => parts.map(({ tensor }) => tensor)))
  const totalWidth = (tensors: { name: string; width: number }[], names: string[]) =>
    names.reduce((sum, name) => sum + widthIn(tensors)(name), 0)
  return {
    inputs: [
      ...inputs.filter(({ name }) => !replaced.has(name)),
      ...all.map(({ name, input: { dtype }, width }) => ({ name, dtype, width })),
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

/** The widths of tensors by name; 0 where there is none. */
const widthIn = (tensors: readonly { name: string; width: number }[]) => (name: string) =>
  tensors.find((tensor) => tensor.name === name)?.width ?? 0

function cut(batch: Batch, saved: Signature, seen: Signature, joined: JoinedTensors): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = { ...batch.inputs }
  for (const [name, input] of Object.entries(joined.inputs)) {
    const whole = seen.inputs.find((input) => input.name === name)!
    const values = valuesOf(batch, whole)
    delete inputs[name]
    for (const part of partsOfInput(input, widthIn(saved.inputs)).parts)
      inputs[part.tensor] = takePart(values, batch.rows, whole.width, part)
  }
  return inputs
}

/** A tensor that is made of columns of `values`, [rows, total]. */
function takePart(values: TensorData, rows: number, total: number, part: InputPart): TensorData {
  const { columns, width, is, padding = 0 } = part
  const places = Array.from({ length: width }, (_, i) => (typeof columns === 'number' ? columns + i : columns[i]!))
  const taken = values instanceof Int32Array ? new Int32Array(rows * width) : new Float32Array(rows * width)
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < width; i++) taken[row * width + i] = values[row * total + places[i]!]!
  if (is === 'values') return taken
  const mask = taken.map((value) => Number(value !== padding))
  if (is === 'mask') return mask
  const lengths = new Int32Array(rows)
  mask.forEach((one, place) => {
    lengths[Math.floor(place / width)]! += one
  })
  return lengths
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
