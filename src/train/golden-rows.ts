import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dataset } from '../data/dataset.ts'
import type { EncodedRows } from '../data/encode-rows.ts'
import { createOnnxEngine } from '../model/engines/onnx/onnx.ts'
import { bindingsOf, namedInputs } from '../model/prediction/bindings.ts'
import type { GoldenRows } from '../schemas/manifest.ts'
import type { Saved } from './network/network.ts'

/** Number of test rows in the manifest, with their answers. */
const goldenRowCount = 8

/** A few evenly spread test rows, with the answers of the saved graph after reopening it. `names` are the cells' fields. */
export async function goldenRows(
  { graph, files }: Saved,
  names: readonly string[],
  { cells, parts }: Dataset,
  test: EncodedRows,
): Promise<GoldenRows> {
  const count = Math.min(goldenRowCount, test.rows)
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * test.rows) / count))
  const row = <T extends Int32Array | Float32Array>(values: T, width: number, i: number) =>
    values.slice(i * width, (i + 1) * width) as T
  const folder = await mkdtemp(join(tmpdir(), 'multigate-golden-'))
  try {
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes)
    const { probabilities: output, joined } = bindingsOf({ graph })
    const { file, format } = graph
    const engine = await createOnnxEngine({ threads: 1 })
    const loaded = await engine.load({ folder, file, format, outputs: [output], ...(joined && { joined }) })
    const probabilities: number[][] = []
    for (const i of picked) {
      const inputs = namedInputs(
        { graph },
        row(test.sparse, test.sparseFields, i),
        row(test.dense, test.denseFields, i),
      )
      probabilities.push(Array.from((await loaded.run({ rows: 1, inputs }, [output]))[output]!))
    }
    await loaded.close()
    return {
      rows: picked.map((i) => Object.fromEntries(names.map((name, field) => [name, cells[field]!.at(parts.test[i]!)]))),
      probabilities,
      tolerance: 1e-5,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
