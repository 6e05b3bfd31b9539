import { rm } from 'node:fs/promises'
import { makeFolder } from '../../../base/files.ts'
import type { PlanDescription } from '../../contracts/compiled-plan.ts'
import type { LiveColumns } from '../../contracts/live-tables.ts'
import { settleTables } from '../ir/external-data.ts'
import type { Graph } from '../ir/graph.ts'
import { traceShapes } from '../ir/shapes.ts'
import { keepOutputs, openGraph, readGraph } from '../lower/read-graph.ts'
import type { VariantGraph } from '../sides/split-graphs.ts'
import { fullVariant } from '../sides/tensor-names.ts'
import { compile } from './compile.ts'
import type { CompiledGraph } from './compiled-graph.ts'
import { findLiveTables } from './find-live-tables.ts'
import { overlayVariant } from './overlays.ts'
import { savePlan, unfinished } from './plan-files.ts'
import type { PrepareRequest } from './prepare-request.ts'

/** Compiles into `folder`. Temporary files are beside it, so that large tables can be linked instead of copied. */
export async function buildPlan(request: PrepareRequest, folder: string): Promise<PlanDescription> {
  const { output, live, precision, source } = request
  const scratch = unfinished(folder)
  await makeFolder(scratch)
  try {
    const isLive = live !== undefined && precision === 'float32'
    const others = isLive && source.outputs.some((name) => name !== output)
    const graph = others ? await readOutputs(request) : await readGraph(source, output)
    const tables = await settleTables(graph, scratch)
    const compiled = others ? await compileLive(graph, request) : await compileOne(graph, request)
    return await savePlan(folder, output, compiled, tables)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function compileOne(graph: Graph, { sides, fields, lists, precision, quantization, live, tables }: PrepareRequest) {
  return compile(graph, {
    sides,
    fields,
    ...(lists && { lists }),
    quantization: precision === 'int8' ? quantization : undefined,
    ...(precision === 'float32' && live !== undefined && { live }),
    ...(tables !== undefined && tables !== 'float32' && { tables: { format: tables, judged: quantization?.judged } }),
  })
}

/** The saved graph with every output that may be requested. */
async function readOutputs({ source }: PrepareRequest): Promise<Graph> {
  const graph = await openGraph(source)
  keepOutputs(graph, source)
  return graph
}

/** Compiles one output of a graph, and has all of them computed with live tables. */
async function compileLive(graph: Graph, request: PrepareRequest): Promise<CompiledGraph> {
  const saved = graph.copy()
  graph.outputs.splice(0, Infinity, ...graph.outputs.filter(({ name }) => name === request.output))
  graph.tidy()
  const whole = await overlaySaved(saved, request.live!)
  if (typeof whole === 'string')
    return { ...(await compileOne(graph, { ...request, live: undefined })), liveProblem: whole }
  return { ...(await compileOne(graph, request)), saved: whole }
}

/**
 * A saved graph with overlays on its live tables, for outputs that are not compiled, such as gates. Changes `graph`.
 * Returns a reason if rows of its tables can't be replaced.
 */
export async function overlaySaved(graph: Graph, live: LiveColumns): Promise<VariantGraph | string> {
  const found = await findLiveTables(graph, live)
  if (typeof found === 'string') return found
  await traceShapes(graph)
  return overlayVariant(fullVariant(graph), found, {})
}
