import type { Static } from 'typebox'
import Type from 'typebox'
import { product } from '../../../../base/arrays.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { weightsManifest } from '../weight-shards.ts'
import { type ElementType, sizeOf, type TensorData } from './tensor-data.ts'

/** Types of a graph model's weights in memory and, unless quantised, in their shard. */
const types = new Set<ElementType>(['float32', 'int32', 'bool'])
const quantised: Record<string, number> = { uint8: 1, uint16: 2, float16: 2 }

/** Size of a weight in its shard. Throws UNSUPPORTED_GRAPH for types without a fixed size. */
export function storedBytes({ name, shape, dtype, quantization }: WeightSpec, file: string): number {
  const type = dtype as ElementType
  if (!types.has(type)) throw unsupportedIn(file, `the weight ${name} is ${dtype}, not float32, int32 or bool`)
  if (quantization === undefined) return sizeOf(type, shape)
  if (!Object.hasOwn(quantised, quantization.dtype))
    throw unsupportedIn(file, `the weight ${name} is quantised to ${quantization.dtype}`)
  if (type === 'bool' || (quantization.dtype === 'float16' && type !== 'float32'))
    throw invalidIn(file, `the weight ${name} is ${dtype}, quantised to ${quantization.dtype}`)
  return product(shape) * quantised[quantization.dtype]!
}

/**
 * A weight in memory: one that is quantised is decoded as TensorFlow.js does: value = stored · scale + min, in double
 * precision, rounded for integers.
 */
export function decodeWeight(spec: WeightSpec, stored: Uint8Array, file: string): TensorData {
  const bytes = spec.quantization === undefined ? stored : decode(spec, stored, file)
  return { type: spec.dtype as ElementType, shape: spec.shape, bytes }
}

function decode({ name, dtype, quantization }: WeightSpec, stored: Uint8Array, file: string): Uint8Array {
  const { dtype: narrow, scale, min } = quantization!
  if (narrow !== 'float16' && (scale === undefined || min === undefined))
    throw invalidIn(file, `the weight ${name} is quantised to ${narrow} without scale and min`)
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength)
  const count = stored.length / quantised[narrow]!
  const decoded = new Uint8Array(4 * count)
  const target = new DataView(decoded.buffer)
  for (let i = 0; i < count; i++) {
    const value =
      narrow === 'float16'
        ? halfToNumber(view.getUint16(2 * i, true))
        : (narrow === 'uint8' ? view.getUint8(i) : view.getUint16(2 * i, true)) * scale! + min!
    if (dtype === 'int32') target.setInt32(4 * i, Math.round(value), true)
    else target.setFloat32(4 * i, value, true)
  }
  return decoded
}

/** IEEE 754 half precision: a sign, five bits of exponent, ten of fraction. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/*
 * The parts of a TensorFlow.js graph model's model.json that are read, as tensorflowjs_converter writes them. Other
 * parts are ignored. The graph itself is a GraphDef in protobuf's JSON form.
 */

const Argument = Type.Object({
  name: Type.String({ minLength: 1, description: 'Tensor of the graph, `node:output`' }),
  dtype: Type.Optional(Type.String({ description: '`DT_FLOAT`, `DT_INT32`, …' })),
  tensorShape: Type.Optional(
    Type.Object({
      dim: Type.Optional(Type.Array(Type.Object({ size: Type.Optional(Type.Union([Type.String(), Type.Integer()])) }))),
      unknownRank: Type.Optional(Type.Boolean()),
    }),
  ),
})

export type GraphModelSignature = Static<typeof GraphModelSignature>
export const GraphModelSignature = Type.Object({
  inputs: Type.Optional(Type.Record(Type.String(), Argument)),
  outputs: Type.Record(Type.String(), Argument),
})

export type WeightSpec = Static<typeof WeightSpec>
export const WeightSpec = Type.Object({
  name: Type.String({ minLength: 1 }),
  shape: Type.Array(Type.Integer({ minimum: 0 })),
  dtype: Type.String(),
  quantization: Type.Optional(
    Type.Object(
      {
        dtype: Type.String({ description: '`uint8` and `uint16`: value = stored · scale + min; `float16`' }),
        scale: Type.Optional(Type.Number()),
        min: Type.Optional(Type.Number()),
      },
      { description: 'How its values are stored' },
    ),
  ),
})

export type GraphModelFile = Static<typeof GraphModelFile>
export const GraphModelFile = Type.Object({
  format: Type.Literal('graph-model'),
  modelTopology: Type.Object({
    node: Type.Array(Type.Unknown()),
    library: Type.Optional(Type.Unknown()),
  }),
  signature: Type.Optional(GraphModelSignature),
  userDefinedMetadata: Type.Optional(Type.Object({ signature: Type.Optional(GraphModelSignature) })),
  modelInitializer: Type.Optional(Type.Unknown()),
  weightsManifest: weightsManifest(WeightSpec),
})
