import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core'
import { product } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { Batch, GraphSource, LoadedGraph, Outputs, Signature, TensorData } from '../../contracts/engine.ts'
import { invalidIn, unsupportedIn } from '../../graph/ir/file-errors.ts'
import { flatten } from '../../graph/lower/tensorflow/flatten.ts'
import { idInputs } from '../../graph/lower/tensorflow/id-inputs.ts'
import type { Argument, Program } from '../../graph/lower/tensorflow/program.ts'
import { elementTypeOf, nameOfType } from '../../graph/lower/tensorflow/tensor-data.ts'
import { refuseFloats, refuseNegative, valuesOf } from '../memory.ts'
import type { InputWidths } from './concatenated.ts'
import type { TensorFlow } from './tensorflow-backend.ts'

/** A TensorFlow graph that can be run; the signature's keys name its tensors. */
export interface Runner {
  /** Answers in the order of `wanted`. The caller frees the tensors. */
  run(inputs: NamedTensorMap, wanted: string[]): Tensor[] | Promise<Tensor[]>
  dispose(): void
}

/** Rows of the trial when a graph is loaded: more than one, to see that it takes a batch. */
const triedRows = 2

interface Input {
  name: string
  /** Booleans are given as integers, 0 or 1. */
  dtype: 'int32' | 'float32' | 'bool'
  /** Dimensions after the batch. */
  dims: number[]
  width: number
  /** Must not be negative, where the graph alone would not say so. */
  ids: boolean
}

/**
 * A TensorFlow graph that TensorFlow itself computes, as a loaded graph. It is tried on rows of zeros, since
 * TensorFlow.js looks at operators only when it runs them: the trial finds their faults, and the widths of outputs.
 */
export async function loadProgram(
  tensorflow: TensorFlow,
  program: Program,
  runner: Runner,
  { file, outputs: named }: GraphSource,
  given: InputWidths = new Map(),
): Promise<LoadedGraph> {
  const { tf, activate } = tensorflow
  const ids = idInputs(program, flatten(program))
  const inputs = program.inputs.map((argument): Input => inputOf(argument, ids, file, given.get(argument.key)))
  const names = program.outputs.map(({ key }) => key)
  for (const name of named)
    if (!names.includes(name)) throw invalidIn(file, `there is no output ${name}, but ${names.join(', ')}`)
  let open = true

  async function compute(batch: Batch, wanted: string[]): Promise<Tensor[]> {
    await activate()
    const tensors: NamedTensorMap = {}
    try {
      for (const input of inputs) {
        const { name, dtype, dims } = input
        const values = valuesOf(batch, input)
        if (dtype === 'int32') refuseFloats(name, values)
        if (input.ids) refuseNegative(name, values)
        tensors[name] = tf.tensor(typed(values, dtype), [batch.rows, ...dims], dtype)
      }
      return await runner.run(tensors, wanted)
    } finally {
      tf.dispose(tensors)
    }
  }

  async function widths(): Promise<Signature['outputs']> {
    const zeros = inputs.map(({ name, dtype, width }): [string, Int32Array | Float32Array] => {
      const size = triedRows * width
      return [name, dtype === 'float32' ? new Float32Array(size) : new Int32Array(size)]
    })
    const tensors = await compute({ rows: triedRows, inputs: Object.fromEntries(zeros) }, named).catch((cause) => {
      throw unsupportedIn(file, firstLine(cause), cause)
    })
    try {
      return tensors.map(({ shape, dtype }, i) => {
        const name = named[i]!
        if (dtype !== 'float32') throw unsupportedIn(file, `the output ${name} is not float32`)
        if (shape[0] !== triedRows) throw unsupportedIn(file, `the output ${name} is not a row for a row: [${shape}]`)
        return { name, width: product(shape.slice(1)) }
      })
    } finally {
      tf.dispose(tensors)
    }
  }

  async function run(batch: Batch, wanted: string[]): Promise<Outputs> {
    if (!open) throw new ModelError('MODEL_FAILED', `${file}: is closed`)
    if (batch.rows === 0 || wanted.length === 0)
      return Object.fromEntries(wanted.map((name) => [name, new Float32Array(0)]))
    const distinct = [...new Set(wanted)]
    const tensors = await compute(batch, distinct).catch((cause) => {
      throw cause instanceof ModelError
        ? cause
        : new ModelError('MODEL_FAILED', `${file}: ${firstLine(cause)}`, { cause })
    })
    try {
      return Object.fromEntries(distinct.map((name, i) => [name, tensors[i]!.dataSync<'float32'>()]))
    } finally {
      tf.dispose(tensors)
    }
  }

  async function close(): Promise<void> {
    if (!open) return
    open = false
    runner.dispose()
  }

  try {
    const signature: Signature = {
      inputs: inputs.map(({ name, dtype, width }) => ({ name, dtype: dtype === 'bool' ? 'int32' : dtype, width })),
      outputs: await widths(),
    }
    return { signature, run, close }
  } catch (error) {
    runner.dispose()
    throw error
  }
}

/** Numbers of a request as an input takes them. */
function typed(values: TensorData, dtype: Input['dtype']): TensorData | Uint8Array {
  if (dtype === 'bool') return Uint8Array.from(values, (value) => Number(value !== 0))
  return dtype === 'float32' && values instanceof Int32Array ? Float32Array.from(values) : values
}

/** `given`: its width, where the graph leaves it free. */
function inputOf({ key, type, shape }: Argument, ids: Set<string>, file: string, given: number | undefined): Input {
  const element = elementTypeOf(type)
  if (element !== 'float32' && element !== 'int32' && element !== 'int64' && element !== 'bool')
    throw unsupportedIn(file, `the input ${key} is ${nameOfType(type)}, not float32 or an integer`)
  const [batch, ...sides] = shape ?? []
  const dims = sides.length === 1 && sides[0] === -1 && given !== undefined ? [given] : sides
  if (batch !== -1 || dims.some((side) => side < 0))
    throw unsupportedIn(file, `the input ${key} is not rows of a fixed width: [${shape ?? 'open'}]`)
  const width = product(dims)
  if (width > widest) throw unsupportedIn(file, `the input ${key} is ${width} wide`)
  const dtype = element === 'int64' ? 'int32' : element
  return { name: key, dtype, dims, width, ids: ids.has(key) }
}

/** Wider inputs are no features. */
const widest = 100_000

/** TensorFlow adds stack traces of its own. */
function firstLine(error: unknown): string {
  return reasonOf(error).trim().split('\n')[0]!
}
