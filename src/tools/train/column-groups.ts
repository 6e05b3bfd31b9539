import type { ColumnGroups, ListValues, MaskShape } from '../../model/graph/architectures/list-inputs.ts'
import type { OwnTable } from '../../model/graph/architectures/own-tables.ts'
import type { FieldColumn } from '../../model/serving/features/field-column.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import type { ArchitectureOptions } from '../../schemas/architecture.ts'
import type { Side } from '../../schemas/features.ts'
import type { TrainSequence } from '../../schemas/train-sequences.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'

/**
 * Which columns belong together, for a new network; undefined where each is a field. Fields and sequences must have
 * passed `severalProblems`.
 */
export function columnGroups(
  { fields, sequences = [], poolings = {} }: TrainSpec,
  layout: Layout,
): ColumnGroups | undefined {
  if (layout.groups.length === 0) return undefined
  const groups: ColumnGroups = {
    ids: [...singleColumns(layout, true), ...layout.crossed.flatMap(({ list, column }) => (list ? [] : [column]))],
    numbers: singleColumns(layout, false),
    ...{ vectors: [], lists: [], sequences: [] },
  }
  for (const { members } of layout.groups) {
    const [{ name, column, width, encoder }] = members as [FieldColumn]
    const { field } = encoder
    if (field.kind === 'vector') {
      const { dim } = fields.find((written) => written.name === name) as { dim?: number }
      groups.vectors.push({ name, side: field.side, column, length: width, dim })
      continue
    }
    const mask = maskOf(members)
    const sequence = sequences.find((one) => one.name === field.sequence)
    if (sequence !== undefined && sequence.attention !== 'none') {
      groups.sequences.push(sequenceOf(sequence, members, mask, layout))
      continue
    }
    for (const { name, width, weights, encoder } of members as FieldColumn[]) {
      const { pooling = 'mean' } = fields.find((written) => written.name === name) as { pooling?: 'mean' }
      const slot = layout.byName.get(name)!
      const list = { name, side: encoder.field.side, max: width, values: valuesOf(slot), mask, pooling }
      groups.lists.push({ ...list, ...(weights !== undefined && { weights }) })
    }
  }
  for (const crossed of layout.crossed) {
    const { list, field, column, offset } = crossed
    if (list === undefined) continue
    const { weights } = layout.byName.get(field.of[list.part]!)!
    groups.lists.push({
      ...{ name: field.name, side: field.side, max: list.width, values: { ids: column } },
      ...{ mask: { column, padding: offset }, pooling: poolings[field.name] ?? 'mean' },
      ...(weights !== undefined && { weights }),
    })
  }
  return groups
}

const singleColumns = ({ slots }: Layout, sparse: boolean): number[] =>
  slots.flatMap((slot) => (slot.group === undefined && slot.sparse === sparse ? [slot.column] : []))

const valuesOf = ({ sparse, column }: FieldColumn): ListValues => (sparse ? { ids: column } : { numbers: column })

function maskOf(members: readonly FieldColumn[]): MaskShape {
  const { column, padding } = members.find(({ sparse }) => sparse)!
  return { column, padding }
}

function sequenceOf(
  { name, target = [], ages, ...options }: TrainSequence,
  members: readonly FieldColumn[],
  mask: MaskShape,
  layout: Layout,
): ColumnGroups['sequences'][number] {
  const left = [...members]
  const targets = target.map((one) => layout.byName.get(one)!)
  const compared = targets.map((slot) => {
    const index = left.findIndex(
      (member) => member.sparse && tableOf(member.encoder.field) === tableOf(slot.encoder.field),
    )
    const [{ column }] = left.splice(index, 1) as [FieldColumn]
    return { ids: column, target: slot.column }
  })
  const age = left.find((member) => member.name === ages)
  const more = left.filter((member) => member !== age).map(valuesOf)
  const sides = new Set([...members, ...targets].map(({ encoder }) => encoder.field.side))
  const side: Side = sides.size === 1 ? [...sides][0]! : 'cross'
  const max = members[0]!.width
  return { name, side, max, mask, compared, more, ...(age && { ages: age.column }), options }
}

/** The name of the field that owns a field's table. */
export function tableOf(field: { name: string; owner?: { name: string } | undefined }): string {
  return field.owner?.name ?? field.name
}

/** A table per field that has one, as wide and penalised as it asks for, by the columns of ids that read it. */
export function ownTables(
  embeddings: NonNullable<TrainSpec['embeddings']>,
  { dim_emb, embedding_l2 }: ArchitectureOptions,
  { sparse }: Pick<Layout, 'sparse'>,
): OwnTable[] {
  const firsts = new Map<string, number>()
  return sparse.map(({ field, ids }, column) => {
    const name = tableOf(field)
    const { dim = dim_emb, l2 = embedding_l2 } = embeddings[name] ?? {}
    const owner = firsts.get(name) ?? column
    firsts.set(name, owner)
    return { ids, dim, l2, ...(owner !== column && { owner }) }
  })
}
