import { date, number, own } from '../../parts/format.ts'
import { describeField } from './describe-several.ts'
import { architectureName, type Details, type Plan, type Task } from './words.ts'

/** A line of a comparison; `side` holds the values as text. */
export interface Difference {
  name: string
  before: string
  after: string
}

export interface Comparison {
  title: string
  rows: Difference[]
}

/** The differences between two versions. Parts without a difference have no rows. */
export function differencesOf(before: Details, after: Details): Comparison[] {
  return [
    { title: 'Fields', rows: fieldRows(before, after) },
    { title: 'Architecture', rows: changed(architectureOf(before), architectureOf(after)) },
    { title: 'Tasks and calibration', rows: changed(tasksOf(before), tasksOf(after)) },
    { title: 'Plan', rows: changed(planOf(before.plan), planOf(after.plan)) },
    { title: 'Provenance', rows: changed(provenanceOf(before), provenanceOf(after)) },
  ]
}

type Pairs = Record<string, string>

/** Names that differ, those of `before` first. */
function changed(before: Pairs, after: Pairs): Difference[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names
    .map((name) => ({ name, before: own(before, name) ?? '–', after: own(after, name) ?? '–' }))
    .filter((row) => row.before !== row.after)
}

/** A value of a manifest as text, short. */
export const text = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

function architectureOf(details: Details): Pairs {
  const { name: _, ...options } = details.architecture ?? {}
  return {
    architecture: architectureName(details),
    ...Object.fromEntries(Object.entries(options).map(([name, value]) => [name, text(value)])),
  }
}

function fieldRows(before: Details, after: Details): Difference[] {
  const fieldPairs = ({ fields = [] }: Details): Pairs =>
    Object.fromEntries(fields.map((field) => [field.name, describeField(field)]))
  return changed(fieldPairs(before), fieldPairs(after))
}

function tasksOf({ tasks = [] }: Details): Pairs {
  const taskPairs = (task: Task) => {
    const { product, calibration } = task
    const source = product === undefined ? 'output of the network' : product.join(' × ')
    const numbers = calibration?.method === 'platt' ? ` (a ${number(calibration.a)}, b ${number(calibration.b)})` : ''
    return `${source}; calibration ${describeCalibration(task)}${numbers}`
  }
  return Object.fromEntries(tasks.map((task) => [task.name, taskPairs(task)]))
}

function planOf(plan: Plan | undefined): Pairs {
  if (plan === undefined) return {}
  const { passes = [], costs, notes } = plan
  const full = costs?.variants.find(({ variant }) => variant === 'full')
  return {
    engine: plan.engine,
    precision: plan.precision,
    compiled: plan.compiled ? 'yes' : 'no',
    'split by side': plan.split_by_side ? 'yes' : 'no',
    ...(passes.length === 0 ? {} : { 'multiplications per row': number(passes.at(-1)!.multiplications, 9) }),
    ...(full === undefined ? {} : { 'whole graph, 100 candidates': `${number(full.call_us + 100 * full.row_us)} µs` }),
    ...(notes.length === 0 ? {} : { notes: notes.join('; ') }),
  }
}

const provenanceOf = ({ provenance = {} }: Details): Pairs => Object.fromEntries(provenanceRows(provenance))

type Given = NonNullable<Details['provenance']>

/** How a version came to be, as names and values; what the manifest does not say is left out. */
export function provenanceRows(given: Given): [string, string][] {
  const { field_options: options, sequences, history_of: history } = given
  const { created, command, data, rows, epochs, kept, from, calibration, seed, threads, engine, multigate } = given
  const found: [string, string | undefined][] = [
    ['Made', created === undefined ? undefined : dateOf(created)],
    ['Command', command],
    ['Data', data],
    [
      'Rows',
      rows &&
        `${number(rows.train, 12)} to train, ${number(rows.validation, 12)} to validate, ${number(rows.test, 12)} to test`,
    ],
    ['Epochs', epochs?.toString()],
    ['Kept', kept && `epoch ${kept.epoch}, best by ${kept.metric}: ${number(kept.value, 5)}`],
    ['Options of fields', options && describeOptions(options)],
    ['Sequences', sequences && describeOptions(Object.fromEntries(sequences.map(byName)))],
    ['Histories', history && describeOptions({ [`${history.name}`]: history })],
    ['Started from', from],
    [
      'Recalibrated',
      calibration && `from ${calibration.from} on ${number(calibration.rows, 12)} rows: ${calibration.data}`,
    ],
    ['Seed', seed?.toString()],
    ['Threads', threads?.toString()],
    ['Trained by', engine],
    ['multigate', multigate],
  ]
  return found.filter((row): row is [string, string] => row[1] !== undefined)
}

const byName = ({ name, ...own }: Record<string, unknown>): [string, object] => [String(name), own]

/** `colour: dim 2, l2 0.5; shop: l2 0`; undefined where no field has any. */
function describeOptions(options: Readonly<Record<string, object>>): string | undefined {
  const described = Object.entries(options).map(([field, own]) => {
    const pairs = Object.entries(own).map(([name, value]) => `${name} ${value}`)
    return `${field}: ${pairs.join(', ')}`
  })
  return described.length > 0 ? described.join('; ') : undefined
}

/** A manifest may say anything. */
const dateOf = (text: string) => (Number.isNaN(Date.parse(text)) ? text : date(text))

/** A sentence about what the method does. */
export function describeCalibration({ calibration, product }: Pick<Task, 'calibration' | 'product'>): string {
  switch (calibration?.method) {
    case undefined:
      return product === undefined
        ? 'none: the network’s probability is served'
        : `none: the product of ${product.join(' and ')} is served`
    case 'platt':
      return 'Platt scaling: the logit is stretched and moved'
    case 'isotonic':
      return 'isotonic: rising steps fitted to held-out rows'
    case 'negative_sampling':
      return 'undoes training on a share of the negatives'
  }
}
