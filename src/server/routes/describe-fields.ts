import { referenceOf } from '../../model/drift/monitor.ts'
import { unscale } from '../../model/features/draw-value.ts'
import type { FieldColumn, Layout } from '../../model/features/layout.ts'
import type { Field } from '../../schemas/features.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { FieldDetails } from '../../schemas/models.ts'

/** Values of a vocabulary that a model's description shows. */
const shownValues = 10

/** What a client may send for each field of a model, in manifest order. `path`: that of the description. */
export function describeFields({ drift }: Manifest, { slots, sparse }: Layout, path: string): FieldDetails[] {
  return slots.map(({ sparse: isSparse, column, encoder: { field } }: FieldColumn) => {
    const { offset, ids } = (isSparse ? sparse[column] : undefined) ?? { offset: 0, ids: 0 }
    return {
      name: field.name,
      side: field.side,
      kind: field.kind,
      type: types[field.kind],
      required: field.missing === 'error',
      missing: field.missing === 'error' ? 'error' : 'default',
      ...(field.missing === 'error' ? {} : { default: field.missing.default }),
      ...ofKind(field, path, referenceOf(drift?.features, field.name)),
      encoding: {
        ...(isSparse ? { ids: [offset, offset + ids - 1] } : {}),
        ...(field.kind === 'hash' ? { buckets: field.buckets, seed: field.seed } : {}),
        ...(field.kind === 'numeric' ? { scaling: field.scaling } : {}),
      },
    }
  })
}

const types = { vocabulary: 'string', hash: 'string', integer: 'integer', numeric: 'number' } as const

function ofKind(field: Field, path: string, reference: Reference): Partial<FieldDetails> {
  switch (field.kind) {
    case 'vocabulary':
      return {
        out_of_vocabulary: field.out_of_vocabulary,
        values: {
          count: field.values.length,
          first: field.values.slice(0, shownValues),
          path: `${path}/fields/${encodeURIComponent(field.name)}/values`,
        },
      }
    case 'integer':
      return { out_of_vocabulary: field.out_of_vocabulary, minimum: 0, maximum: field.size - 1 }
    case 'hash':
      return {}
    case 'numeric': {
      const edges = reference && 'edges' in reference ? reference.edges : undefined
      return {
        ...(field.scaling.method === 'log1p' ? { exclusive_minimum: -1 } : {}),
        ...(edges ? { usual: [edges[0]!, edges.at(-1)!].map((edge) => rounded(unscale(field, edge))) } : {}),
      }
    }
  }
}

/** Edges are float32, of which six digits are exact. */
const rounded = (value: number) => Number(value.toPrecision(6))

type Reference = NonNullable<Manifest['drift']>['features'][string] | undefined
