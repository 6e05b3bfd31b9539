import type { Field } from '../../schemas/features.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { VersionRows } from '../../schemas/model-versions.ts'
import type { ModelDetails } from '../../schemas/models.ts'

/** Most golden rows that are shown. */
const shownRows = 50

type GoldenRow = NonNullable<Manifest['golden']>['rows'][number]
type Row = VersionRows['rows'][number]

/** An example body for `POST /predict`: the first golden row, each field on its side. Nothing without golden rows. */
export function exampleOf({ name, features, golden }: Manifest): Pick<ModelDetails, 'example'> {
  const [first] = golden?.rows ?? []
  if (first === undefined) return {}
  const row = Object.fromEntries(
    Object.entries(first).map(([name, value]) => [
      name,
      shownValue(
        features.find((field) => field.name === name),
        value,
      ),
    ]),
  )
  const { context, candidate } = bySide(features, row)
  return {
    example: { model: name, ...(Object.keys(context).length > 0 ? { context } : {}), candidates: [candidate] },
  }
}

/** A value of the row, or any other that the field takes where its values are kept from logs. */
function shownValue(field: Field | undefined, value: GoldenRow[string]): GoldenRow[string] {
  if (field?.log === undefined) return value
  if (field.kind === 'vocabulary') return field.values[0]!
  return field.kind === 'hash' ? 'example' : 0
}

/** Golden rows, each field on its side. Fields whose values are hashed or dropped where requests are kept are left out. */
export function rowsOf({ features, golden }: Manifest): Row[] {
  const shown = features.filter(({ log }) => log === undefined)
  return (golden?.rows ?? []).slice(0, shownRows).map((row) => bySide(shown, row))
}

function bySide(features: readonly Field[], row: GoldenRow): Row {
  const valuesOf = (isSide: (side: Field['side']) => boolean) =>
    Object.fromEntries(
      features
        .filter((field) => isSide(field.side) && Object.hasOwn(row, field.name))
        .map((field) => [field.name, plausible(field, row[field.name]!)]),
    )
  return { context: valuesOf((side) => side === 'context'), candidate: valuesOf((side) => side !== 'context') }
}

/** Golden rows of imported models are drawn at random: long numbers, some of them negative where counts and prices are meant. */
function plausible(field: Field, value: GoldenRow[string]): GoldenRow[string] {
  if (field.kind !== 'numeric' || typeof value !== 'number') return value
  return Number((field.scaling.method === 'log1p' ? Math.abs(value) : value).toPrecision(4))
}
