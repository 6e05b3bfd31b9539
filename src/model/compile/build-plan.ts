import { rm } from 'node:fs/promises'
import { makeFolder } from '../base/make-folder.ts'
import type { PlanDescription } from '../contracts/compiled-plan.ts'
import { settleTables } from '../graph/external-data.ts'
import { readGraph } from '../lower/read-graph.ts'
import { compile } from './compile.ts'
import type { PrepareRequest } from './prepare-request.ts'
import { savePlan, unfinished } from './store/plan-files.ts'

/** Compiles into `folder`. Temporary files are beside it, so that large tables can be linked instead of copied. */
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
