import type { Architecture } from '../../../model/graph/architectures/architecture.ts'
import { type Box, type Column, idsOf, sequenceBoxes, taskId } from '../../../model/graph/architectures/diagram.ts'
import { findArchitecture } from '../../../model/graph/architectures/table.ts'
import type { Details, Field } from './words.ts'

type Options = Record<string, unknown>

/** Most boxes of a column: further ones are counted in one. */
const mostBoxes = 10

/** A model as columns of parts, each of which reads parts of columns before it, or above it. */
export function diagramOf(details: Details): Column[] {
  const options = (details.architecture ?? {}) as Options
  const fields = partsOf(details)
  const own = details.provenance?.field_options ?? {}
  const tasks = (details.tasks ?? []).filter((task) => task.product === undefined).map(({ name }) => name)
  const architecture = findArchitecture(String(options.name))
  const groups = groupsOf(fields)
  const columns: Column[] =
    architecture === undefined || tasks.length === 0
      ? generic(details, tasks)
      : [
          { title: 'Fields', boxes: groups },
          {
            title: 'Embeddings',
            boxes: embeddings(architecture, options, own, fields, groups, tasks, details.provenance?.sequences),
          },
          ...withWidePart(architecture.diagram(options as never, tasks), options),
        ]
  const derived = (details.tasks ?? []).flatMap(({ name, product }) =>
    product === undefined
      ? []
      : [{ id: `derived ${name}`, title: name, note: product.join(' × '), reads: product.map(taskId) }],
  )
  if (derived.length > 0) columns.push({ title: 'Derived tasks', boxes: derived })
  return shorten(columns)
}

type Part = Pick<Field, 'name' | 'side' | 'kind'>

/** The fields that have embeddings. */
function partsOf({ fields = [], crossed = [] }: Pick<Details, 'fields' | 'crossed'>): Part[] {
  return [...fields, ...crossed.map(({ name, side }) => ({ name, side, kind: 'crossed' }))]
}

function groupsOf(fields: readonly Part[]): Box[] {
  const groups = new Map<string, Part[]>()
  for (const side of ['context', 'cross', 'candidate'])
    for (const field of fields)
      if (field.side === side) {
        const key = `${side}: ${field.kind}`
        groups.set(key, [...(groups.get(key) ?? []), field])
      }
  return [...groups].map(([key, members]) => ({
    id: `fields ${key}`,
    title: `${members.length} ${key.split(': ')[1]}`,
    note: `${key.split(': ')[0]}: ${members
      .slice(0, 4)
      .map(({ name }) => name)
      .join(', ')}${members.length > 4 ? ', …' : ''}`,
    reads: [],
  }))
}

/** Options of single fields in the network, by name. */
type FieldOptions = NonNullable<NonNullable<Details['provenance']>['field_options']>

function embeddings(
  { ownEmbeddings }: Pick<Architecture, 'ownEmbeddings'>,
  options: Options,
  own: FieldOptions,
  fields: readonly Part[],
  groups: readonly Box[],
  tasks: string[],
  sequences: readonly Record<string, unknown>[] = [],
): Box[] {
  const reads = idsOf(groups)
  const attended = sequenceBoxes(sequences, reads)
  const wide = options.wide
    ? [{ id: widePart, title: 'Wide part', note: 'a weight for each value and task', reads }]
    : []
  const bins = binsOf(own, groups)
  const dims = [Number(options.dim_emb), ...ownDims(own)]
  const [least, most] = [Math.min(...dims), Math.max(...dims)]
  const title = `${fields.length} × ${least === most ? most : `${least}–${most}`} numbers`
  const box = { title, reads: [...reads, ...idsOf(bins), ...idsOf(attended)] }
  const others = dims.length > 1 ? `; ${describeDims(own)}` : ''
  if (!ownEmbeddings)
    return [...bins, ...attended, { ...box, id: 'embedding', note: `a learnt vector for each field${others}` }, ...wide]
  const ofTasks = tasks.map((task) => ({ ...box, id: `embedding ${task}`, note: `vectors of ${task} alone${others}` }))
  return [...bins, ...attended, ...ofTasks, ...wide]
}

const ownDims = (own: FieldOptions) => Object.values(own).flatMap(({ dim }) => dim ?? [])

const describeDims = (own: FieldOptions) =>
  Object.entries(own)
    .flatMap(([name, { dim }]) => (dim === undefined ? [] : [`${name}: ${dim}`]))
    .join(', ')

/** The numbers that the network also gets by bins, which stand above the embeddings. */
function binsOf(own: FieldOptions, groups: readonly Box[]): Box[] {
  const binned = Object.entries(own).flatMap(([name, { bins }]) => (bins === undefined ? [] : [`${name}: ${bins}`]))
  if (binned.length === 0) return []
  const numeric = groups.filter(({ title }) => title.endsWith(' numeric'))
  return [{ id: 'bins', title: 'Bins', note: `at most ${binned.join(', ')}`, reads: idsOf(numeric) }]
}

const widePart = 'wide'

/** The tasks, which the last column has, read the wide part too. */
function withWidePart(columns: Column[], options: Options): Column[] {
  if (!options.wide) return columns
  const { title, boxes } = columns.at(-1)!
  const read = boxes.map((box) => ({ ...box, reads: [...box.reads, widePart] }))
  return [...columns.slice(0, -1), { title, boxes: read }]
}

/** Inputs, a graph that is not looked into, and its outputs. */
function generic({ inputs = [], plan, ...details }: Details, tasks: string[]): Column[] {
  const groups = groupsOf(partsOf(details))
  const tensors = inputs.map(({ name, dtype, shape }) => ({
    id: `input ${name}`,
    title: name,
    note: `${dtype} [rows${shape.map((size) => `, ${size}`).join('')}]`,
    reads: groups.map(({ id }) => id),
  }))
  return [
    ...(groups.length > 0 ? [{ title: 'Fields', boxes: groups }] : []),
    { title: 'Inputs', boxes: tensors },
    {
      title: 'Graph',
      boxes: [
        {
          id: 'graph',
          title: plan?.graph ?? 'graph',
          note: `run by ${plan?.engine}`,
          reads: tensors.map(({ id }) => id),
        },
      ],
    },
    { title: 'Outputs', boxes: tasks.map((task) => ({ id: taskId(task), title: task, reads: ['graph'] })) },
  ]
}

/** Counts the last boxes of long columns, in one box that has their links. */
function shorten(columns: readonly Column[]): Column[] {
  const counted = new Map<string, string>()
  const short = columns.map(({ title, boxes }): Column => {
    if (boxes.length <= mostBoxes) return { title, boxes }
    const rest = boxes.slice(mostBoxes - 1)
    const id = `more ${title}`
    for (const one of rest) counted.set(one.id, id)
    const more: Box = { id, title: `and ${rest.length} more`, reads: rest.flatMap(({ reads }) => reads) }
    return { title, boxes: [...boxes.slice(0, mostBoxes - 1), more] }
  })
  const linked = (reads: readonly string[]) => [...new Set(reads.map((id) => counted.get(id) ?? id))]
  return short.map(({ title, boxes }) => ({
    title,
    boxes: boxes.map((one) => ({ ...one, reads: linked(one.reads) })),
  }))
}
