import { drawValue } from '../../src/model/serving/features/draw.ts'
import { createLayout, type Layout } from '../../src/model/serving/features/layout.ts'
import { type InputField, inputFields } from '../../src/model/serving/features/table.ts'
import type { FeatureValue } from '../../src/schemas/feature-value.ts'
import type { Features, Field, Side } from '../../src/schemas/features.ts'
import type { ListOptions } from '../../src/schemas/list-options.ts'
import type { FieldTensors, Manifest } from '../../src/schemas/manifest.ts'
import type { Random } from '../../src/tools/data/random.ts'
import { exampleManifest } from './fakes/manifest.ts'

/*
 * Manifests of lists, sequences, weighted lists, vectors and shared tables, and requests for them, drawn at random.
 */

/** Some of these are the names of parts of a list, or look so. */
const names = ['tags', 'values', 'weights', 'a/b', 'tags.x', 'offsets', 'é~1', '0']
const sides: Side[] = ['context', 'candidate', 'cross']

export const pick = <T>(all: readonly T[], random: Random): T => all[random.integer(all.length)]!

/** At least one field of each side, and any of each kind. */
export function drawFeatures(random: Random): Features {
  const features: Field[] = []
  for (const [i, name] of names.slice(0, 3 + random.integer(names.length - 2)).entries()) {
    const side = sides[i] ?? pick(sides, random)
    const before = features.filter(({ kind }) => kind === 'vocabulary' || kind === 'integer')
    const list = random.integer(3) > 0 ? drawList(random, features, side) : {}
    const missing = random.integer(2) === 0 ? 'error' : undefined
    const otherwise = <T>(value: T) => missing ?? { default: 'list' in list ? [value, value] : value }
    const policy = pick(['bucket', 'error', ...('list' in list ? ['drop'] : [])] as const, random) as 'bucket'
    const sparse = { name, side, out_of_vocabulary: policy, ...list }
    switch (random.integer(before.length > 0 ? 6 : 5)) {
      case 0:
        features.push({ ...sparse, kind: 'vocabulary', values: ['a', 'b', 'ü€'], missing: otherwise('a') })
        break
      case 1:
        features.push({ ...sparse, kind: 'integer', size: 7, missing: otherwise(3) })
        break
      case 2:
        features.push({ name, side, ...list, kind: 'hash', buckets: 9, missing: otherwise('x') })
        break
      case 3:
        features.push({ name, side, ...list, kind: 'numeric', scaling: { method: 'none' }, missing: otherwise(0.5) })
        break
      case 4:
        features.push({ name, side, kind: 'vector', length: 3, missing: missing ?? { default: [0, 1, 2] } })
        break
      default: {
        // Never a bucket: its id may be that of padding.
        const owner = pick(before, random)
        const own = { ...sparse, out_of_vocabulary: 'error' as const, kind: 'shared' as const, table: owner.name }
        features.push({ ...own, missing: missing ?? otherwise(owner.kind === 'integer' ? 3 : 'b') })
      }
    }
  }
  return features
}

/** Options of a list, which now and then is of the sequence of another one. */
function drawList(random: Random, features: Features, side: Side): { list: ListOptions; sequence?: string } {
  const others = features.filter((field) => field.side === side && 'sequence' in field && field.sequence !== undefined)
  const weighted = random.integer(2) === 0
  if (others.length > 0 && random.integer(2) === 0) {
    const { list, sequence } = pick(others, random) as { list: ListOptions; sequence: string }
    return { list: { ...list, weighted }, sequence }
  }
  const list: ListOptions = { max: 1 + random.integer(4), keep: pick(['first', 'last'], random), weighted }
  return random.integer(2) === 0 ? { list } : { list, sequence: `of ${side} ${features.length}` }
}

/** Whether each field has tensors of the graph that are its own. */
export function drawManifest(random: Random): Manifest {
  const features = drawFeatures(random)
  const example = exampleManifest({ features })
  const { graph } = example
  const { sparse, dense } = createLayout(features)
  const inputs = { ...(sparse.length > 0 && { sparse: 'ids' }), ...(dense.length > 0 && { dense: 'numbers' }) }
  if (random.integer(2) === 0) return { ...example, graph: { ...graph, inputs } }
  const fields: Record<string, FieldTensors> = {}
  for (const [i, field] of inputFields(features).entries()) {
    const isDense = field.kind === 'numeric' || field.kind === 'vector'
    const list = field.kind === 'vector' ? undefined : field.list
    const tensors: FieldTensors = isDense ? { values: `values ${i}` } : { ids: `ids ${i}` }
    if (list?.weighted) tensors.weights = `weights ${i}`
    if (list !== undefined && !isDense && random.integer(2) === 0) tensors.mask = `mask ${i}`
    if (list !== undefined && !isDense && random.integer(2) === 0) tensors.lengths = `lengths ${i}`
    fields[field.name] = tensors
  }
  return { ...example, graph: { ...graph, inputs: { fields } } }
}

export type Row = Record<string, FeatureValue>

/** A request: some lists are longer than the model takes, and some lists and vectors are left to their defaults. */
export function drawQuery(features: Features, layout: Layout, random: Random): { context: Row; candidates: Row[] } {
  const fields = inputFields(features)
  const left = new Set(
    layout.slots
      .filter(
        ({ encoder, group }) => group !== undefined && encoder.field.missing !== 'error' && random.integer(4) === 0,
      )
      .flatMap(({ group }) =>
        group!.members.every(({ encoder }) => encoder.field.missing !== 'error')
          ? group!.members.map(({ name }) => name)
          : [],
      ),
  )
  const draw = (of: (side: Side) => boolean) => {
    const lengths = new Map<string, number>()
    return Object.fromEntries(
      fields
        .filter(({ name, side }) => of(side) && !left.has(name))
        .map((field) => [field.name, value(field, lengths, random)]),
    )
  }
  const rows = 1 + random.integer(4)
  return {
    context: draw((side) => side === 'context'),
    candidates: Array.from({ length: rows }, () => draw((side) => side !== 'context')),
  }
}

function value(field: InputField, lengths: Map<string, number>, random: Random): FeatureValue {
  if (field.kind === 'vector') return Array.from({ length: field.length }, () => Math.fround(random.normal()))
  const one = () => drawValue(field, random.uniform)
  if (field.list === undefined) return one()
  const drawn = random.integer(field.list.max + 3)
  const length = field.sequence === undefined ? drawn : (lengths.get(field.sequence) ?? drawn)
  if (field.sequence !== undefined) lengths.set(field.sequence, length)
  const values = Array.from({ length }, one)
  if (!field.list.weighted || random.integer(3) === 0) return values
  return { values, weights: values.map(() => Math.fround(random.uniform() * 3)) }
}
