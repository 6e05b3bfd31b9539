import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { formatBytes, formatTable, grouped } from '../../base/terminal.ts'
import { hasFreeLength, type SavedTensor } from '../../model/contracts/saved-signature.ts'
import { fixLengths, triedLength } from '../../model/graph/ir/free-lengths.ts'
import { type GraphSummary, type NodeSummary, summarise } from '../../model/graph/ir/summary.ts'
import { openGraph } from '../../model/graph/lower/read-graph.ts'
import { survey } from '../../model/serving/version/survey.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { rolesOf } from './input-roles.ts'
import type { SavedGraph } from './open-saved.ts'

/** The description of a saved graph that `multigate inspect` prints. */
export interface Inspection extends GraphSummary {
  name: string
  format: string
  file: string
  /** All files of its folder. */
  bytes: number
  inputs: SavedTensor[]
  outputs: SavedTensor[]
  /** Parts of inputs in the fields of requests, by name, where they are more than columns: `ids of history`. */
  parts: Record<string, string>
  tasks: string[] | undefined
  fields: number | undefined
}

/** Rejects like `survey`. */
export async function inspect({ name, source, manifest, unpacked }: SavedGraph): Promise<Inspection> {
  // The saved tensors, not joined.
  const { joined: _, ...saved } = source
  const { inputs, outputs } = await survey(saved, { uses: true })
  const graph = await openGraph(saved)
  fixLengths(graph)
  const summary = await summarise(graph)
  return {
    name,
    format: unpacked?.format ?? source.format,
    file: basename(unpacked?.path ?? source.file),
    bytes: await bytesBelow(
      unpacked?.path ?? (source.format === 'onnx' ? join(source.folder, source.file) : source.folder),
    ),
    inputs,
    outputs,
    parts: manifest === undefined ? likelyParts(inputs) : partsOf(manifest),
    tasks: manifest?.tasks.map((task) => task.name),
    fields: manifest?.features.length,
    ...summary,
  }
}

/** The parts that a manifest gives to inputs. */
function partsOf({ graph }: Manifest): Record<string, string> {
  const fields = Object.entries(graph.inputs.fields ?? {})
  return Object.fromEntries(
    fields.flatMap(([field, tensors]) => Object.entries(tensors).map(([is, tensor]) => [tensor, `${is} of ${field}`])),
  )
}

/** The parts that `init` would give them. */
function likelyParts(inputs: readonly SavedTensor[]): Record<string, string> {
  const parts = rolesOf(inputs).flatMap(({ input: { name }, is, of, sequence, owner }): [string, string][] => {
    if (of !== undefined) return [[name, `${is} of ${of.name}`]]
    const words = [
      ...(is === 'columns' ? [] : [is]),
      ...(sequence === undefined || sequence.name === name ? [] : [`items as in ${sequence.name}`]),
      ...(owner === undefined ? [] : [`table of ${owner.name}`]),
    ]
    return words.length === 0 ? [] : [[name, words.join(', ')]]
  })
  return Object.fromEntries(parts)
}

async function bytesBelow(path: string): Promise<number> {
  const found = await stat(path)
  if (found.isFile()) return found.size
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const sizes = entries.filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name)))
  return (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0)
}

/** The inspection as text: inputs and outputs, layers with weights or products, and the totals. */
export function formatInspection(inspection: Inspection): string {
  const { name, format, file, bytes, inputs, outputs, parts, nodes } = inspection
  const { parameters, parameterBytes, flops, opset } = inspection
  // A column for parts, if there are any.
  const partOf = Object.keys(parts).length > 0 ? ({ name }: SavedTensor) => [parts[name] ?? ''] : () => []
  const cells = (side: string, tensor: SavedTensor) => {
    const { shape, ids, ...own } = tensorCells(tensor)
    return [side, own.name, own.type, shape, ...partOf(tensor), ids]
  }
  const tensors = [
    ...inputs.map((tensor) => cells('input', tensor)),
    ...outputs.map((tensor) => cells('output', tensor)),
  ]
  const header = ['', 'name', 'type', 'shape', ...(Object.keys(parts).length > 0 ? ['part'] : []), 'ids']
  const main = nodes.filter((node) => node.parameters > 0 || node.operator === 'MatMul' || node.operator === 'Gemm')
  const others = nodes.filter((node) => !main.includes(node))
  const prefix = commonFolder(main.map((node) => node.name))
  const { tasks, fields } = inspection
  return [
    `${name}: ${format}, ${file}, ${formatBytes(bytes)}`,
    ...(tasks === undefined ? [] : [`${fields} fields → ${tasks.join(', ')}`]),
    '',
    formatTable(header, tensors, header.length - 1),
    '',
    formatTable(
      ['layer', 'operator', 'shape', 'parameters', 'FLOPs per row'],
      main.map((node) => [
        node.name.startsWith(prefix) ? node.name.slice(prefix.length) : node.name,
        node.operator,
        shapeOf(node.shape),
        grouped(node.parameters),
        grouped(node.flops),
      ]),
      3,
    ),
    ...(others.length === 0 ? [] : ['', `and ${countOperators(others)}`]),
    '',
    `${grouped(parameters)} parameters, ${formatBytes(parameterBytes)}; ${grouped(flops)} FLOPs per row${inputs.some(hasFreeLength) ? ` with lists of ${triedLength}` : ''}; opset ${opset}`,
  ].join('\n')
}

/** The common folder prefix of all names with folders, as TensorFlow writes them. */
function commonFolder(names: string[]): string {
  const [first, ...others] = names.filter((name) => name.includes('/'))
  if (first === undefined || others.length === 0) return ''
  let folder = first.slice(0, first.lastIndexOf('/') + 1)
  while (!others.every((name) => name.startsWith(folder)))
    folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1)
  return folder
}

function tensorCells({ name, dtype: type, dims, ids }: SavedTensor) {
  const tables = [...new Set(ids)]
  const range = (rows: number | undefined) => (rows === undefined ? '?' : `0 … ${grouped(rows - 1)}`)
  const taken = tables.some((rows) => rows !== undefined) ? tables.map(range).join(', ') : ''
  return { name, type, shape: shapeOf(dims), ids: taken }
}

function shapeOf(dims: number[] | undefined): string {
  return dims === undefined ? '?' : `[${['rows', ...dims.map((side) => (side < 0 ? 'any' : side))].join(', ')}]`
}

function countOperators(nodes: NodeSummary[]): string {
  const counts = new Map<string, number>()
  for (const { operator } of nodes) counts.set(operator, (counts.get(operator) ?? 0) + 1)
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([operator, count]) => `${count} ${operator}`)
    .join(', ')
}
