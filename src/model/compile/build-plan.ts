import { rm } from 'node:fs/promises'
import { makeFolder } from '../base/make-folder.ts'
import type { PlanDescription } from '../contracts/compiled-plan.ts'
import { settleTables } from '../graph/external-data.ts'
import type { Graph } from '../graph/graph.ts'
import { keepOutputs, openGraph, readGraph } from '../lower/read-graph.ts'
import { compile } from './compile.ts'
import { overlaySaved } from './live/saved-outputs.ts'
import type { PrepareRequest } from './prepare-request.ts'
import type { CompiledGraph } from './store/compiled-graph.ts'
import { savePlan, unfinished } from './store/plan-files.ts'

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

function compileOne(graph: Graph, { sides, fields, precision, quantization, live, tables }: PrepareRequest) {
  return compile(graph, {
    sides,
    fields,
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
