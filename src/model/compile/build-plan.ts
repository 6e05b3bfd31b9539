import { rm } from 'node:fs/promises'
import { compile } from './compile.ts'
import { makeFolder, type PlanDescription, savePlan, unfinished } from './plan.ts'
import type { PrepareRequest } from './prepare.ts'
import { readGraph } from './read-graph.ts'
import { settleTables } from './tables.ts'

/** Compiles into `folder`; what is needed meanwhile stands beside it, so that large tables are linked, not copied. */
export async function buildPlan(
  { source, output, sides, fields, precision, quantization }: PrepareRequest,
  folder: string,
): Promise<PlanDescription> {
  const scratch = unfinished(folder)
  await makeFolder(scratch)
  try {
    const graph = await readGraph(source, output)
    const tables = await settleTables(graph, scratch)
    const compiled = await compile(graph, {
      sides,
      fields,
      quantization: precision === 'int8' ? quantization : undefined,
    })
    return await savePlan(folder, output, compiled, tables)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
