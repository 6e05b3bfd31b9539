import type { Field } from '../../schemas/features.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { ModelDetails } from '../../schemas/models.ts'

/** An example body for `POST /predict`: the first golden row, each field on its side. Nothing without golden rows. */
export function exampleOf({ name, features, golden }: Manifest): Pick<ModelDetails, 'example'> {
  const row = golden?.rows[0] as Record<string, unknown> | undefined
  if (row === undefined) return {}
  const valuesOf = (isSide: (side: Field['side']) => boolean) =>
    Object.fromEntries(
      features
        .filter((field) => isSide(field.side) && Object.hasOwn(row, field.name))
        .map((field) => [field.name, plausible(field, row[field.name])]),
    )
  const context = valuesOf((side) => side === 'context')
  const candidate = valuesOf((side) => side !== 'context')
  return {
    example: { model: name, ...(Object.keys(context).length > 0 ? { context } : {}), candidates: [candidate] },
  }
}

/** Golden rows of imported models are drawn at random: long numbers, some of them negative where counts and prices are meant. */
function plausible(field: Field, value: unknown): unknown {
  if (field.kind !== 'numeric' || typeof value !== 'number') return value
  return Number((field.scaling.method === 'log1p' ? Math.abs(value) : value).toPrecision(4))
}
