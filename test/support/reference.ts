import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import h5wasm from 'h5wasm/node'
import { Value } from 'typebox/value'
import type { Batch } from '../../src/model/contracts/engine.ts'
import type { ModelShape } from '../../src/model/graph/architectures/layers.ts'
import { BuiltInArchitecture } from '../../src/model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'

/*
 * Models of the reference implementation, trained and saved by Keras, with what Keras itself answers. They stand beside
 * the project, not in it: tests that need them are skipped, with `noReference` as the reason, where they are absent.
 */

/** Beside the project's folder; tests run from build/test/. */
export const referenceFolder = join(import.meta.dirname, '../../../../shared/reference')

/** Why tests that need the reference models can't run, or false where they can. */
export const noReference: string | false = existsSync(referenceFolder)
  ? false
  : `the reference models are not at ${referenceFolder}`

export const referenceModels = [
  'keras2/shared_bottom',
  'keras2/moe',
  'keras2/mmoe',
  'keras2/aitm',
  'keras3/shared_bottom',
  'keras3/moe',
  'keras3/mmoe',
] as const
export type ReferenceModel = (typeof referenceModels)[number]

export interface Reference {
  folder: string
  options: ArchitectureOptions
  shape: ModelShape
  /** Inputs `sparse` and `dense`. */
  batch: Batch
  /** Row-major [rows, tasks]. */
  probabilities: Float32Array
  logits: Float32Array
  /** Per gate, row-major [rows, experts]: one for a mixture, one a task for a multi-gate model, else none. */
  gates: Float32Array[]
  /** By our own names, `<layer>/<weight>`. */
  weights: Map<string, { shape: number[]; values: Float32Array }>
}

const architectures: Record<string, string> = {
  shared_bottom: 'shared_bottom',
  moe: 'mixture_of_experts',
  mmoe: 'multi_gate',
  aitm: 'aitm',
}

export async function readReference(model: ReferenceModel): Promise<Reference> {
  const folder = join(referenceFolder, model)
  const io = JSON.parse(await readFile(join(folder, 'io.json'), 'utf8'))
  const { num_tasks, num_emb, ...given } = io.constructor
  const name = architectures[model.split('/')[1]!]!
  const variant = BuiltInArchitecture.anyOf.find((variant) => variant.properties.name.const === name)!
  const options = Value.Default(variant, { name, ...given }) as ArchitectureOptions
  const tasks: string[] = io.tasks
  return {
    folder,
    options,
    shape: { sparseFields: io.sparse.shape[1], denseFields: io.dense.shape[1], ids: num_emb, tasks, seed: 1 },
    batch: {
      rows: io.rows,
      inputs: { sparse: Int32Array.from(io.sparse.data.flat()), dense: Float32Array.from(io.dense.data.flat()) },
    },
    probabilities: Float32Array.from(io.probabilities.data.flat()),
    logits: Float32Array.from(io.logits.data.flat()),
    gates: (io.gate_weights?.data ?? []).map((gate: number[][]) => Float32Array.from(gate.flat())),
    weights: await readWeights(folder, name, tasks),
  }
}

async function readWeights(folder: string, name: string, tasks: string[]) {
  const { weights } = JSON.parse(await readFile(join(folder, 'weight-paths.json'), 'utf8'))
  await h5wasm.ready
  const file = new h5wasm.File(join(folder, 'model.weights.h5'), 'r')
  try {
    return new Map(
      Object.entries<Record<string, string>>(weights).map(([attribute, paths]) => {
        const dataset = file.get(paths['model.weights.h5']!) as InstanceType<typeof h5wasm.Dataset>
        return [
          ourName(attribute, Object.keys(weights), name, tasks),
          { shape: dataset.shape as number[], values: Float32Array.from(dataset.value as Float32Array) },
        ]
      }),
    )
  } finally {
    file.close()
  }
}

/** `experts[1].layers[3].kernel`, an attribute of the reference's classes, as `expert_1/output/kernel`. */
function ourName(attribute: string, all: string[], name: string, tasks: string[]): string {
  const parts = attribute.split('.')
  const [owner, index] = parts[0]!.split(/[[\]]/)
  const weight = parts.at(-1)!
  const n = Number(index)
  switch (owner) {
    case 'embedding':
      return parts[1] === 'sparse_embedding' ? `embedding/${weight}` : `dense_embedding/${weight}`
    case 'ait':
      return `attention/${parts[1]}/${weight}`
    case 'gate':
      return `gate/${weight}`
    case 'gates':
      return name === 'aitm' ? `transfer_${tasks[n + 1]}/${weight}` : `gate_${tasks[n]}/${weight}`
  }
  const mlp = {
    shared_encoder: 'shared',
    experts: `expert_${n}`,
    towers: `tower_${tasks[n]}`,
    proj_heads: `head_${tasks[n]}`,
  }[owner!]
  // Dense, BatchNorm and ReLU by turns; the last Dense is the output.
  const place = placeOf(attribute)
  const last = Math.max(...all.filter((other) => other.startsWith(`${parts[0]}.`)).map(placeOf))
  const dense = place === last ? 'output' : `dense_${place / 3}`
  const layer = place % 3 === 1 ? `norm_${(place - 1) / 3}` : dense
  return `${mlp}/${layer}/${weight}`
}

/** 3 of `experts[1].layers[3].kernel`. */
function placeOf(attribute: string): number {
  return Number(/layers\[(\d+)\]/.exec(attribute)![1])
}
