import { readFile, writeFile } from 'node:fs/promises'
import type { FormName } from './competitors/forms.ts'
import { bestOf, type ComparisonReport, findCell, goodputAtThree, shareOfEngine } from './competitors/results.ts'
import type { ServerName } from './competitors/servers.ts'
import { type Columns, ofMaximum, percent, table, whole } from './markdown.ts'
import type { Report } from './report.ts'

/*
 * The README's benchmark table: the same rows to each server, from the committed results.
 */

const begin = '<!-- benchmark -->'
const end = '<!-- /benchmark -->'

/** The results for the table: the comparison, and the cheap ads-funnel model. */
export interface Results {
  competitors: ComparisonReport
  own: Report
}

interface Row {
  server: ServerName
  title: string
  form: FormName
}

/** The load test of ads-funnel has the same titles. */
const rows: Row[] = [
  { server: 'multigate', title: 'multigate', form: 'tensors' },
  { server: 'bfloat16', title: 'multigate, bfloat16', form: 'binary' },
  { server: 'int8', title: 'multigate, int8', form: 'binary' },
  { server: 'rust', title: 'Rust: axum + ort', form: 'tensors' },
  { server: 'triton', title: 'Triton', form: 'binary' },
  { server: 'fastify', title: 'Fastify + onnxruntime-node', form: 'tensors' },
]

const notMeasured = '–'

/** One row per server: throughput of several models, and goodput at three times the maximum. */
export function benchmarkTable({ competitors, own }: Results): string {
  type Cell = Pick<ComparisonReport['cells'][number], 'scenario' | 'candidates'>
  const cellOf = ({ server, form }: Row, cell: Cell) => findCell(competitors.cells, { server, form, ...cell })
  const throughput = (row: Row, which: Cell) => {
    const cell = cellOf(row, which)
    return cell && whole(bestOf(cell).requestsPerSecond)
  }
  const goodput = (row: Row, which: Cell) => {
    const cell = cellOf(row, which)
    return cell && goodputAtThree(cell)
  }
  const share = (row: Row, which: Cell) => {
    const cell = cellOf(row, which)
    return cell && shareOfEngine(cell, competitors.machine.cores)?.toFixed(2)
  }
  /** Only multigate has a cache of candidates. */
  const newAndCached = (figure: typeof throughput, row: Row, scenario: Cell['scenario']) =>
    [figure(row, { scenario, candidates: 'new' }), figure(row, { scenario, candidates: 'seen' })]
      .filter((text) => text !== undefined)
      .join(' / ') || notMeasured
  const cheap = ({ title }: Row) => {
    const run = own.openLoop.find(({ target, load }) => target === title && load === 3)
    return run && percent(ofMaximum(run.result.good, run))
  }

  const isTimed = competitors.cells.some(({ scenario, alone }) => scenario === 'S3' && alone)
  const shown: Columns<Row> = {
    server: ({ title }) => title,
    'small model, 1 row': (row) => throughput(row, { scenario: 'S1', candidates: 'new' }) ?? notMeasured,
    'wide model, 1 row': (row) => throughput(row, { scenario: 'S2', candidates: 'new' }) ?? notMeasured,
    'wide model, 100 candidates: new / cached': (row) => newAndCached(throughput, row, 'S3'),
    ...(isTimed && { "as a share of the engine's own rate": (row: Row) => newAndCached(share, row, 'S3') }),
    'its goodput at 3×': (row) => newAndCached(goodput, row, 'S3'),
    'history of 50, 200 candidates: new / cached': (row) => newAndCached(throughput, row, 'S5'),
    'goodput of a cheap model at 3×': (row) => cheap(row) ?? notMeasured,
  }
  return table(shown, rows)
}

/** Writes the table into README.md; the committed results are the default. */
export async function writeReadme(results: Partial<Results>): Promise<void> {
  const committed = async (name: string) => JSON.parse(await readFile(`loadtest/results/${name}.json`, 'utf8'))
  const competitors: ComparisonReport = results.competitors ?? (await committed('competitors'))
  const own: Report = results.own ?? (await committed('latest'))
  await writeFile('README.md', withTable(await readFile('README.md', 'utf8'), benchmarkTable({ competitors, own })))
}

/** Replaces the table between the markers of a text. Throws without markers. */
export function withTable(text: string, table: string): string {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error(`there is no ${begin} … ${end}`)
  return `${text.slice(0, from)}\n${table}\n${text.slice(to)}`
}
