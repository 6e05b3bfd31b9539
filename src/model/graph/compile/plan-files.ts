import { createHash, type Hash, randomUUID } from 'node:crypto'
import { realpath, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { product } from '../../../base/arrays.ts'
import { makeFolder } from '../../../base/files.ts'
import type { PlanDescription, Precision, TableFile, VariantFile, VariantFiles } from '../../contracts/compiled-plan.ts'
import { isExternal } from '../ir/constants.ts'
import { checkTables, external, externalPlace, largeTable, linkOrCopy } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import { isMarked } from '../ir/ids.ts'
import { TensorProto_DataType as DataType, type TensorProto, TensorProtoSchema } from '../ir/onnx_pb.ts'
import { writeOutSigmoids } from '../ir/sigmoids.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import { isAdded } from '../sides/tensor-names.ts'
import type { CompiledGraph, FoundTables, Plans } from './compiled-graph.ts'
import { checkStored, describeStored, hashOf, readSealed, seal, unseal } from './stored-files.ts'

/*
 * Compiled plans on disk: a folder of ONNX files, tables beside them, and plan.json.
 */

/** Must change whenever the compiler's output for a graph may change. */
export const compilerVersion = 19

export const planFile = 'plan.json'

/** Writes a plan to `folder`, which must not exist. Leaves nothing behind if it fails. */
export async function savePlan(
  folder: string,
  output: string,
  compiled: CompiledGraph,
  tables: TableFile[] = [],
): Promise<PlanDescription> {
  const building = unfinished(folder)
  await makeFolder(building)
  try {
    const writer = createWriter(building)
    const float32 = await writer.plans('float32', compiled.float32)
    const { int8 } = compiled
    const { graph } = compiled.float32.full
    const description: PlanDescription = {
      compiler: compilerVersion,
      inputs: inputsOf(graph),
      output,
      width: columnsOfOutput(graph, output),
      ...(compiled.paddedLists === undefined ? {} : { paddedLists: compiled.paddedLists }),
      passes: compiled.passes,
      float32,
      ...(int8 === undefined
        ? {}
        : { int8: { ...(await writer.plans('int8', int8)), effort: int8.effort, passes: int8.passes } }),
      ...(compiled.int8Problem === undefined ? {} : { int8Problem: compiled.int8Problem }),
      ...(compiled.tableRows === undefined ? {} : { tableRows: compiled.tableRows }),
      ...(compiled.reference === undefined ? {} : { reference: await writer.part('reference', compiled.reference) }),
      ...(compiled.live === undefined ? {} : { live: await writer.live(compiled.live, compiled.saved) }),
      ...(compiled.liveProblem === undefined ? {} : { liveProblem: compiled.liveProblem }),
      tables,
      files: writer.files,
    }
    await writeFile(join(building, planFile), seal(description))
    return (await settle(building, folder)) ?? description
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    throw error
  }
}

/** A temporary name beside `folder`, by which `cleanCache` recognises leftovers of interrupted writers. */
export function unfinished(folder: string): string {
  return `${folder}.${process.pid}.${randomUUID().slice(0, 8)}`
}

/** Gives a finished folder its final name. Returns the existing plan if another writer was faster. */
async function settle(building: string, folder: string): Promise<PlanDescription | undefined> {
  try {
    await rename(building, folder)
    return undefined
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
  const other = await readPlan(folder).catch(() => undefined)
  await rm(other === undefined ? folder : building, { recursive: true, force: true })
  if (other === undefined) await rename(building, folder)
  return other
}

/** Reads and verifies a plan; undefined if there is none. Rejects with an Error if it is damaged. */
export async function readPlan(folder: string): Promise<PlanDescription | undefined> {
  const text = await readSealed(join(folder, planFile))
  if (text === undefined) return undefined
  const description = descriptionOf(text)
  // A table that was linked, for want of room, changes with its source file.
  await checkTables(description.tables)
  await checkStored(folder, description.files)
  await touchPlan(folder)
  return description
}

/** Marks a plan as used. Never rejects: a cache that is not writable is never cleaned either. */
export async function touchPlan(folder: string): Promise<void> {
  const now = new Date()
  await utimes(folder, now, now).catch(() => undefined)
}

function createWriter(folder: string) {
  const files: PlanDescription['files'] = {}
  /** Large tables written so far, by data or path. */
  const tables = new Map<Uint8Array | string, string>()

  async function put(file: string, bytes: Uint8Array): Promise<void> {
    await writeFile(join(folder, file), bytes)
    files[file] = await describeStored(join(folder, file), bytes)
  }

  /** Moves large tables into files; small ones stay in the graph. */
  async function moveTables(graph: Graph): Promise<Graph> {
    const moved = graph.copy()
    const done = new Set<TensorProto>()
    const move = async (tensor: TensorProto) => {
      if (done.has(tensor)) return
      const there = await moveTable(tensor, graph.folder)
      moved.constants.set(tensor.name, there)
      done.add(there)
    }
    for (const node of moved.nodes) {
      const name = node.input[0]
      const tensor = node.opType === 'Gather' && name !== undefined ? moved.constants.get(name) : undefined
      if (tensor !== undefined && (isExternal(tensor) || tensor.rawData.byteLength >= largeTable)) await move(tensor)
    }
    // Paths of external data are relative to the plan.
    for (const tensor of [...moved.constants.values()]) if (isExternal(tensor)) await move(tensor)
    return moved
  }

  async function moveTable(tensor: TensorProto, from: string): Promise<TensorProto> {
    if (!isExternal(tensor)) {
      const file = tables.get(tensor.rawData) ?? `table-${tables.size}.bin`
      if (!tables.has(tensor.rawData)) await put(file, tensor.rawData)
      tables.set(tensor.rawData, file)
      return external(tensor, file, 0, tensor.rawData.byteLength)
    }
    const { location, start, length } = externalPlace(tensor)
    // A relative symbolic link would lead elsewhere from `folder`.
    const path = await realpath(resolve(from, location))
    const file = tables.get(path) ?? `table-${tables.size}.bin`
    if (!tables.has(path)) {
      await linkOrCopy(path, join(folder, file))
      files[file] = await describeStored(join(folder, file))
    }
    tables.set(path, file)
    return external(tensor, file, start, length)
  }

  /** Writes one graph; `set` receives what its set of variants is described by. */
  async function part(
    name: string,
    { graph, context, rows, lists, oneRequest }: VariantGraph,
    set?: { structure: Hash; tables: Set<string> },
  ): Promise<VariantFile> {
    const file = `${name}.onnx`
    const moved = await moveTables(graph)
    writeOutSigmoids(moved)
    await put(file, moved.toBytes())
    set?.structure.update(structureOf(graph))
    for (const tensor of moved.constants.values())
      if (isExternal(tensor)) set?.tables.add(externalPlace(tensor).location)
    return { file, context, rows, ...(lists && { lists }), ...(oneRequest && { oneRequest }) }
  }

  return {
    files,
    part,
    async live(found: FoundTables, saved?: VariantGraph): Promise<NonNullable<PlanDescription['live']>> {
      const live = { tables: [...found.values()] }
      return saved === undefined ? live : { ...live, saved: await part('saved', saved) }
    },
    async plans(precision: Precision, { full, split }: Plans): Promise<VariantFiles> {
      const described = { structure: createHash('sha256'), tables: new Set<string>() }
      const write = async (name: string, graph: VariantGraph) => part(`${precision}-${name}`, graph, described)
      const set: Omit<VariantFiles, 'structure' | 'tables'> = { full: await write('full', full), layers: [] }
      if (typeof split === 'string') set.unsplit = split
      else {
        set.layers = split.layers
        if (split.shared_context) set.shared_context = await write('shared-context', split.shared_context)
        if (split.candidate_encoder) set.candidate_encoder = await write('candidate-encoder', split.candidate_encoder)
        if (split.context_encoder) set.context_encoder = await write('context-encoder', split.context_encoder)
        if (split.cached) set.cached = await write('cached', split.cached)
      }
      return { ...set, tables: [...described.tables], structure: described.structure.digest('hex') }
    },
  }
}

/** All that a graph's cost depends on: no weights, and not how many rows a table has. */
function structureOf(graph: Graph): Uint8Array {
  const tables = new Set(graph.nodes.flatMap(({ opType, input }) => (opType === 'Gather' ? [input[0]] : [])))
  const bare = graph.copy()
  for (const [name, { dataType, dims }] of graph.constants)
    bare.constants.set(
      name,
      create(TensorProtoSchema, { name, dataType, dims: tables.has(name) ? dims.slice(1) : dims }),
    )
  return bare.toBytes()
}

/** Inputs of a graph for engines: [rows, width]. */
function inputsOf(graph: Graph): PlanDescription['inputs'] {
  const inputs = graph.inputs.filter(({ name }) => !isAdded(name))
  return inputs.map((input) => {
    const { name } = input
    const dtype = graph.shapes.get(name)?.dtype === DataType.FLOAT ? 'float32' : 'int32'
    return { name, dtype, width: columnsOfOutput(graph, name), ...(isMarked(input) ? { ids: true } : {}) }
  })
}

function columnsOfOutput(graph: Graph, name: string): number {
  const dims = graph.shapes.get(name)?.dims
  if (dims === undefined || dims[0] !== -1) throw new Error(`${name} does not have one row per row of the batch`)
  return product(dims.slice(1))
}

function descriptionOf(text: string): PlanDescription {
  const description = unseal(text, planFile) as PlanDescription | null
  if (description?.compiler !== compilerVersion)
    throw new Error(`${planFile} was made by version ${description?.compiler} of the compiler, not ${compilerVersion}`)
  return description
}

/** Identifies a plan by its files: results of one plan do not fit another. */
export function planDigest({ files }: Pick<PlanDescription, 'files'>): string {
  return hashOf(JSON.stringify(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))))
}
