import { readFile, writeFile } from 'node:fs/promises'
import { bestOf, type ComparisonReport } from './competitors/results.ts'
import type { ServerName } from './competitors/servers.ts'
import { type Columns, table, whole } from './markdown.ts'
import type { Report } from './report.ts'

/*
 * The README's benchmark table: the same JSON tensors to each server, from the committed results.
 */

const begin = '<!-- benchmark -->'
const end = '<!-- /benchmark -->'

/** The results for the table: the comparison, and the cheap ads-funnel model. */
export interface Results {
  competitors: ComparisonReport
  own: Report
}

/** Titles of the servers in the table; the load test of ads-funnel has the same. */
const columns = {
  multigate: 'multigate',
  rust: 'Rust: axum + ort',
  fastify: 'Fastify + onnxruntime-node',
} satisfies Partial<Record<ServerName, string>>
type Column = keyof typeof columns

type Cell = Pick<ComparisonReport['cells'][number], 'scenario' | 'candidates'>

/** Five rows: throughput of a small and of a wide model, and goodput at three times the maximum. */
export function benchmarkTable({ competitors, own }: Results): string {
  const cellOf = (server: Column, { scenario, candidates }: Cell) =>
    competitors.cells.find(
      (cell) =>
        cell.server === server &&
        cell.form === 'tensors' &&
        cell.scenario === scenario &&
        cell.candidates === candidates,
    )
  const throughput = (server: Column, which: Cell) => {
    const cell = cellOf(server, which)
    return cell && whole(bestOf(cell).requestsPerSecond)
  }
  const goodput = (server: Column, which: Cell) => {
    const run = cellOf(server, which)?.open.find(({ load }) => load === 3)
    return run && percent(run.good / run.seconds / (run.rate / run.load))
  }
  /** Only multigate has a cache of candidates. */
  const newAndCached = (figure: typeof throughput, server: Column) =>
    [figure(server, { scenario: 'S3', candidates: 'new' }), figure(server, { scenario: 'S3', candidates: 'seen' })]
      .filter((text) => text !== undefined)
      .join(' / ')
  const cheap = (server: Column) => {
    const run = own.openLoop.find(({ target, load }) => target === columns[server] && load === 3)
    return run && percent(run.result.good / run.seconds / (run.rate / run.load))
  }

  const rows: [string, (server: Column) => string | undefined][] = [
    ['small model, 1 row: requests/s', (server) => throughput(server, { scenario: 'S1', candidates: 'new' })],
    ['wide model, 1 row: requests/s', (server) => throughput(server, { scenario: 'S2', candidates: 'new' })],
    ['wide model, 100 candidates, new / cached: requests/s', (server) => newAndCached(throughput, server)],
    ['the same at 3× its maximum: goodput', (server) => newAndCached(goodput, server)],
    ['cheap model, 100 candidates, at 3× its maximum: goodput', cheap],
  ]
  const shown: Columns<(typeof rows)[number]> = { workload: ([title]) => title }
  for (const server of Object.keys(columns) as Column[])
    shown[columns[server]] = ([, figure]) => figure(server) || 'not measured'
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
  const [from, to] = places(text)
  return `${text.slice(0, from)}\n${table}\n${text.slice(to)}`
}

/** The table between the markers of a text. Throws without markers. */
export function tableOf(text: string): string {
  return text.slice(...places(text)).trim()
}

function places(text: string): [number, number] {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error(`there is no ${begin} … ${end}`)
  return [from, to]
}

function percent(share: number): string {
  const value = share * 100
  return `${value.toFixed(value < 10 ? 1 : 0)} %`
}
