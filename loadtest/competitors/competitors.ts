import { readFile } from 'node:fs/promises'
import type { Experiment } from '../experiment.ts'
import { writeReadme } from '../readme.ts'
import { compareReports } from './against.ts'
import { type ComparisonArguments, description, readComparisonArguments } from './arguments.ts'
import { toMarkdown } from './report.ts'
import { addTo, type ComparisonReport } from './results.ts'
import { runComparison } from './run.ts'

export default {
  description,
  read: readComparisonArguments,
  async run(options, { machine, log }) {
    const measured = options.from ? await readReport(options.from) : await runComparison(options, machine, log)
    const { add, out, against } = options
    const report = add && out ? addTo(await readReport(out.replace(/(\.md)?$/, '.json')), measured) : measured
    if (options.readme) await writeReadme({ competitors: report })
    const errors = measured.cells
      .filter(({ server }) => server === 'multigate')
      .flatMap(({ closed }) => closed.map((run) => run.errors))
      .find((count) => count > 0)
    return {
      text: toMarkdown(report),
      json: report,
      note: against && compareReports(await readReport(against), measured),
      failure: errors === undefined ? undefined : `${errors} requests of a closed loop failed, see above`,
    }
  },
} satisfies Experiment<ComparisonArguments>

async function readReport(file: string): Promise<ComparisonReport> {
  return JSON.parse(await readFile(file, 'utf8')) as ComparisonReport
}
