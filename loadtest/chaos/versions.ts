import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readLayersModel } from '../../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel } from '../../src/model/graph/lower/layers/lower-layers.ts'
import { layersModelFile } from '../../src/model/graph/lower/layers/write-layers-model.ts'
import { createReference, largestDifference } from '../competitors/check.ts'
import { type Answer, forms, probabilitiesOf } from '../competitors/forms.ts'
import { type ReferenceModel, writeModel } from '../competitors/models.ts'
import { createQueries, type Query } from '../competitors/queries.ts'

/** Large enough for workers to compute it, small enough for two processes and their clients to share two cores. */
export const chaosModel: ReferenceModel = {
  name: 'chaos',
  sparse: { fields: 10, context: 4, ids: 200 },
  dense: { fields: 8, context: 4 },
  embedding: 8,
  experts: 4,
  expert: [64, 32],
  tower: 16,
}

/** A request, and what each version must answer. */
export interface KnownRequest {
  /** The body of `POST /predict`. */
  body: Buffer
  /** By version: probabilities [rows, tasks], row-major. */
  expected: Map<string, Float32Array>
}

/** Rows of the requests in turn. */
const rowCounts = [1, 3, 10, 30]
const requestCount = 24

/** The tolerance of golden rows (docs/compatibility.md). */
export const tolerance = 1e-5
/** By which versions must differ in every request, so that one taken for the other is noticed. */
const leastDifference = 100 * tolerance

/** Requests for the model, in its three forms in turn; nothing is expected of them yet. */
export function createKnownRequests(seed: number): (KnownRequest & { query: Query })[] {
  const draw = createQueries(chaosModel, 'seen', seed)
  return Array.from({ length: requestCount }, (_, i) => {
    const query = draw(rowCounts[i % rowCounts.length]!)
    const form = i % 3 === 0 ? forms.columns : forms.tensors
    const body = JSON.parse(form.render(query, chaosModel).body.toString())
    return { query, body: Buffer.from(JSON.stringify({ model: chaosModel.name, ...body })), expected: new Map() }
  })
}

/** Weights that are drawn for a version, at most, until it answers unlike all others. */
const mostDraws = 20

/**
 * Writes a version into the folder, with weights of its own, and adds to each request what ONNX Runtime answers with
 * the exported graph, as `multigate export` writes it: our compiler has no part in it. Among a hundred versions, two
 * with random weights answer some request of one row alike: then other weights are drawn.
 */
export async function addVersion(
  requests: readonly (KnownRequest & { query: Query })[],
  folder: string,
  version: string,
): Promise<void> {
  for (let draw = 0; draw < mostDraws; draw++) {
    await rm(join(folder, version), { recursive: true, force: true })
    await drawVersion(requests, folder, version, 1000 + Number(version) + draw * 100_000)
    if (requests.every((request) => isDistinct(request, version))) return
  }
  throw new Error(`version ${version} answers a request like another version, whatever its weights`)
}

async function drawVersion(
  requests: readonly (KnownRequest & { query: Query })[],
  folder: string,
  version: string,
  seed: number,
): Promise<void> {
  const bundle = join(folder, version)
  await writeModel(chaosModel, bundle, version, seed)
  const graph = lowerLayersModel(await readLayersModel(bundle, layersModelFile), ['probabilities'])
  const answers = await createReference(graph, chaosModel)
  for (const { query, expected } of requests) expected.set(version, await answers(query))
}

/** Whether the version's answer to the request differs from every other version's, so that a mix-up is noticed. */
function isDistinct({ expected }: KnownRequest, version: string): boolean {
  const values = expected.get(version)!
  return [...expected].every(
    ([other, theirs]) => other === version || largestDifference(values, theirs) >= leastDifference,
  )
}

/** The version that an answer names, and its probabilities [rows, tasks], row-major. */
export function readPrediction(body: Buffer): { version: string; values: number[] } {
  const { version, ...answer } = JSON.parse(body.toString()) as Answer & { version: string }
  return { version, values: probabilitiesOf(answer) }
}
