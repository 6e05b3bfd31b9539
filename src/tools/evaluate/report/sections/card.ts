import { formatBytes } from '../../../../base/terminal.ts'
import type { EvaluationReport } from '../../../../schemas/evaluation.ts'
import { describeTable } from '../../describe-table.ts'
import { type Content, html, type Markup, name } from '../base/html.ts'
import { count, decimal, time } from '../base/numbers.ts'
import type { SectionOf } from './section.ts'

type Entry = [term: string, description: Content]

/** Describes the model, how it was made and how it was evaluated. */
export const cardSection: SectionOf = (report) => {
  const provenance = provenanceOf(report)
  const body = html`<p>Enough to find this version again and to repeat the evaluation.</p>
<h3>Model</h3>
${list(modelOf(report))}${
  provenance.length > 0 &&
  html`<h3>How it was made</h3>
${list(provenance)}`
}<h3>How it was evaluated</h3>
${list(evaluationOf(report))}<h3>What the metrics mean</h3>
${list(glossary(report), 'glossary')}`
  return { id: 'card', title: 'Model card', body }
}

function list(entries: readonly Entry[], kind = 'facts'): Markup {
  return html`<dl class="${kind}">
${entries.map(([term, description]) => html`<dt>${term}</dt><dd>${description}</dd>\n`)}</dl>
`
}

/** Entries whose value is known. */
const known = (entries: readonly [string, Content][]): Entry[] =>
  entries.filter(([, value]) => value !== undefined && value !== false && value !== '')

const nameOf = (text: string | undefined) => (text === undefined ? undefined : name(text))
const code = (text: string | undefined) => (text === undefined ? undefined : html`<code>${text}</code>`)

function modelOf({ model }: EvaluationReport): Entry[] {
  return known([
    ['Name', name(model.name)],
    ['Version', name(model.version)],
    ['Description', nameOf(model.description)],
    ['Architecture', described(model.architecture)],
    ['Precision', nameOf(model.precision)],
    ['Engine', model.engine !== undefined && html`${name(model.engine)}${model.compiled === true && ', compiled'}`],
    ['Service', nameOf(model.url)],
    ['Format of the graph', nameOf(model.graph)],
    ['SHA-256 of the graph', code(model.digest)],
    ['Size', model.bytes === undefined ? undefined : formatBytes(model.bytes)],
  ])
}

/** Readers of text that is not just a name. */
const readers: Record<string, (text: string) => Content> = { command: code, created: (text) => name(time(text)) }

const terms: Record<string, string> = {
  created: 'Created',
  command: 'Command',
  data: 'Data',
  seed: 'Seed',
  epochs: 'Epochs',
  kept: 'Kept',
  rows: 'Rows',
  sequences: 'Sequences',
  feature_tables: 'Feature tables',
  history_of: 'Histories are made of',
  engine: 'Engine',
  multigate: 'multigate',
}

function provenanceOf({ model: { provenance } }: EvaluationReport): Entry[] {
  if (typeof provenance !== 'object' || provenance === null) return []
  return Object.entries(provenance).map(([key, value]) => [
    terms[key] ?? key,
    readers[key] && typeof value === 'string' ? readers[key](value) : described(value),
  ])
}

function evaluationOf({ data, command, created, seed, replicates, multigate }: EvaluationReport): Entry[] {
  return known([
    ['Created', name(time(created))],
    ['Command', code(command)],
    ['Specification', name(data.spec)],
    ['Source', name(data.source)],
    [
      'Rows',
      `${count(data.judged)} judged of ${count(data.rows)} read${data.left_out === undefined ? '' : `; ${count(data.left_out)} left out, as a server does not answer them`}`,
    ],
    ['Part', name(data.part)],
    ...(data.tables ?? []).map((table): Entry => [`Table ${table.name}/${table.version}`, name(describeTable(table))]),
    [
      'Groups',
      data.group !== undefined &&
        html`${name(data.group)}${data.groups !== undefined && ` (${count(data.groups)} groups)`}`,
    ],
    ['Weights', nameOf(data.weight)],
    ['Bootstrap', `${count(replicates)} replicates, seed ${seed}`],
    ['multigate', name(multigate)],
  ])
}

/** A value of any shape: objects as `key value` pairs. */
function described(value: unknown): Content {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number') return Number.isInteger(value) ? count(value) : decimal(value, 5).replace(/0+$/, '')
  if (typeof value !== 'object') return name(String(value))
  const nested = Object.values(value).some((inner) => typeof inner === 'object' && inner !== null)
  if (Array.isArray(value) || nested) return html`<pre>${JSON.stringify(value, null, 2)}</pre>`
  const pairs = Object.entries(value).map(([key, inner]) => html`${name(key)} <b>${described(inner)}</b>`)
  return pairs.map((pair, i) => html`${i > 0 && ', '}${pair}`)
}

const meanings = {
  AUC: 'The chance that a random positive row is predicted higher than a random negative row: 1 is perfect order, .5 none. It says nothing about the size of the predictions.',
  'Log-loss':
    'Mean surprise at the outcomes, in nats. Lower is better; it judges order and size together, but depends on the base rate.',
  NE: 'Normalised entropy: log-loss divided by that of the best constant. Below 1 the model knows more than the base rate; tasks of different base rates can be compared.',
  'Calibration ratio':
    'Mean prediction divided by the observed rate. 1.02 means that the model predicts 2 % too high overall.',
  ECE: 'Expected calibration error: the mean distance between prediction and observed rate over ten bins of equal weight, minus what chance alone would add.',
  GAUC: 'Mean AUC within groups, such as the candidates of one request.',
  Oracle: 'The true probability, which only synthetic data knows: no model can do better.',
  PSI: 'Population stability index: the sum over bins of (now − then) · ln(now ÷ then).',
  'Rank correlation':
    'Spearman’s: 1 where both versions order the rows of a group alike, 0 where their orders are unrelated.',
  '95 % interval':
    'If the evaluation were repeated on new rows of the same kind, 95 of 100 such intervals would contain the true value.',
}

/** The metrics that a report has, each in a sentence or two. */
function glossary({ tasks, drift = [], comparison }: EvaluationReport): Entry[] {
  const isThere: Partial<Record<string, boolean>> = {
    GAUC: tasks.some(({ gauc }) => gauc !== undefined),
    Oracle: tasks.some(({ oracle }) => oracle !== undefined),
    PSI: drift.length > 0,
    'Rank correlation': comparison?.tasks.some(({ ranking }) => ranking !== undefined) ?? false,
  }
  return Object.entries(meanings).filter(([term]) => isThere[term] ?? true)
}
