import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf'
import type { GraphSource } from '../../../src/model/contracts/engine.ts'
import { createCrc32c } from '../../../src/model/graph/lower/tensorflow/sorted-table.ts'
import {
  BundleEntryProtoSchema,
  BundleHeaderProtoSchema,
  DataType,
  type FunctionDef,
  GraphDefSchema,
  type NodeDef,
  SavedModelSchema,
  TensorProtoSchema,
} from '../../../src/model/graph/lower/tensorflow/tensorflow_pb.ts'
import { call, constant, functionOf, node, shapeProto, type as typeOf } from './graph-def.ts'
import { type TableOptions, writeTable } from './table-writer.ts'

/*
 * Graphs written by hand, as TensorFlow and its converter save them.
 */

export interface HandWritten {
  nodes: NodeDef[]
  functions?: FunctionDef[]
  /** Key → tensor, type and shape. */
  inputs: Record<string, [tensor: string, type: DataType, shape: number[]]>
  /** Key → tensor, with its type and shape or without. */
  outputs: Record<string, string | [tensor: string, type: DataType, shape: number[]]>
  /** Values of VarHandleOps, by their node: float32. */
  variables?: Record<string, { shape: number[]; values: Float32Array }>
}

/** Writes a SavedModel; every variable is restored under the key `<name>/value`, as Keras 2 does it. */
export async function saveSavedModel(folder: string, model: HandWritten, table?: TableOptions): Promise<GraphSource> {
  const { nodes, functions = [], inputs, outputs, variables = {} } = model
  const names = Object.keys(variables)
  const info = (tensor: string, type: DataType, shape: number[] | undefined) => ({
    encoding: { case: 'name' as const, value: tensor },
    dtype: type,
    tensorShape: shape === undefined ? { unknownRank: true } : shapeProto(shape),
  })
  const restored = names.length === 0 ? [] : [call('restore', '__restore', names)]
  const handles = names.map((name) =>
    node('VarHandleOp', name, [], { dtype: typeOf(DataType.DT_FLOAT), shared_name: 'not unique' }),
  )
  const definition: MessageInitShape<typeof SavedModelSchema> = {
    savedModelSchemaVersion: 1n,
    metaGraphs: [
      {
        metaInfoDef: { tags: ['serve'] },
        graphDef: {
          node: [...nodes, ...handles, ...restored],
          library: { function: [...functions, restoreFunction(names)] },
        },
        ...(names.length === 0 ? {} : { saverDef: { restoreOpName: 'restore' } }),
        signatureDef: {
          serving_default: {
            inputs: Object.fromEntries(Object.entries(inputs).map(([key, given]) => [key, info(...given)])),
            outputs: Object.fromEntries(
              Object.entries(outputs).map(([key, given]) => [
                key,
                typeof given === 'string' ? info(given, DataType.DT_FLOAT, undefined) : info(...given),
              ]),
            ),
            methodName: 'tensorflow/serving/predict',
          },
        },
      },
    ],
  }
  await writeFile(join(folder, 'saved_model.pb'), toBinary(SavedModelSchema, create(SavedModelSchema, definition)))
  if (names.length > 0) await saveVariables(folder, variables, table)
  return { folder, format: 'saved_model', file: 'saved_model.pb', outputs: Object.keys(outputs) }
}

function restoreFunction(names: string[]): FunctionDef {
  const text = (value: string) => new TextEncoder().encode(value)
  const keys = create(TensorProtoSchema, {
    dtype: DataType.DT_STRING,
    tensorShape: shapeProto([names.length]),
    stringVal: names.map((name) => text(`${name}/value`)),
  })
  const body = [
    constant('names', keys),
    node('RestoreV2', 'restored', ['names:output:0', 'names:output:0', 'names:output:0']),
    ...names.flatMap((_, i) => [
      node('Identity', `value_${i}`, [`restored:tensors:${i}`]),
      node('AssignVariableOp', `assign_${i}`, [`arg_${i}`, `value_${i}:output:0`]),
    ]),
  ]
  return functionOf(
    '__restore',
    names.map((_, i) => `arg_${i}`),
    body,
    {},
    DataType.DT_RESOURCE,
  )
}

/** Entries of a checkpoint's index, and the bytes of its one data file. */
export async function variableEntries(variables: NonNullable<HandWritten['variables']>) {
  const crc = await createCrc32c()
  const entries: [string, Uint8Array][] = [
    ['', toBinary(BundleHeaderProtoSchema, create(BundleHeaderProtoSchema, { numShards: 1 }))],
  ]
  const parts: Buffer[] = []
  let offset = 0
  for (const [name, { shape, values }] of Object.entries(variables).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    crc.update(bytes)
    const entry = create(BundleEntryProtoSchema, {
      dtype: DataType.DT_FLOAT,
      shape: shapeProto(shape),
      offset: BigInt(offset),
      size: BigInt(bytes.length),
      crc32c: crc.masked(),
    })
    entries.push([`${name}/value`, toBinary(BundleEntryProtoSchema, entry)])
    parts.push(bytes)
    offset += bytes.length
  }
  return { entries, data: Buffer.concat(parts) }
}

async function saveVariables(folder: string, variables: NonNullable<HandWritten['variables']>, table?: TableOptions) {
  const { entries, data } = await variableEntries(variables)
  await mkdir(join(folder, 'variables'), { recursive: true })
  await writeFile(join(folder, 'variables/variables.index'), await writeTable(entries, table))
  await writeFile(join(folder, 'variables/variables.data-00000-of-00001'), data)
}

/** model.json of a graph model whose constants are all in its shard. */
export function graphModelFile({ nodes, functions = [], inputs, outputs }: HandWritten) {
  const info = (tensor: string, type?: DataType, shape?: number[]) => ({
    name: tensor.includes(':') ? tensor : `${tensor}:0`,
    ...(type === undefined ? {} : { dtype: typeNames.get(type)! }),
    ...(shape === undefined ? {} : { tensorShape: { dim: shape.map((size) => ({ size: String(size) })) } }),
  })
  const weights: { name: string; shape: number[]; dtype: string; quantization?: unknown }[] = []
  const shard: Buffer[] = []
  const stripped = nodes.map((each) => {
    const value = each.attr.value?.value
    if (each.op !== 'Const' || value?.case !== 'tensor') return each
    const { dtype, tensorShape, tensorContent, intVal, boolVal } = value.value
    const bytes =
      tensorContent.length > 0
        ? Buffer.from(tensorContent)
        : dtype === DataType.DT_BOOL
          ? Buffer.from(boolVal.map(Number))
          : Buffer.from(Int32Array.from(intVal).buffer)
    shard.push(bytes)
    const type = { [DataType.DT_FLOAT]: 'float32', [DataType.DT_BOOL]: 'bool' }[dtype as number] ?? 'int32'
    weights.push({ name: each.name, shape: tensorShape!.dim.map(({ size }) => Number(size)), dtype: type })
    const { value: _, ...attr } = each.attr
    return { ...each, attr }
  })
  const graph = toJson(GraphDefSchema, create(GraphDefSchema, { node: stripped, library: { function: functions } }))
  const json = {
    format: 'graph-model',
    modelTopology: { node: [], ...(graph as object), versions: { producer: 1286 } },
    signature: {
      inputs: Object.fromEntries(Object.entries(inputs).map(([key, given]) => [key, info(...given)])),
      outputs: Object.fromEntries(
        Object.entries(outputs).map(([key, given]) => [key, typeof given === 'string' ? info(given) : info(...given)]),
      ),
    },
    weightsManifest: [{ paths: ['group1-shard1of1.bin'], weights }],
  }
  return { json, shard: Buffer.concat(shard) }
}

const typeNames = new Map<number, string>(Object.entries(DataType).map(([name, type]) => [type, name]))

export async function saveGraphModel(folder: string, model: HandWritten): Promise<GraphSource> {
  const { json, shard } = graphModelFile(model)
  await writeFile(join(folder, 'model.json'), JSON.stringify(json))
  await writeFile(join(folder, 'group1-shard1of1.bin'), shard)
  return { folder, format: 'graph_model', file: 'model.json', outputs: Object.keys(model.outputs) }
}
