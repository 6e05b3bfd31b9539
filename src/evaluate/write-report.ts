import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../model/base/errors.ts'
import { fileProblem } from '../model/base/regular-file.ts'
import { replaceFile } from '../model/base/replace-file.ts'
import type { EvaluationReport } from '../schemas/evaluation.ts'

/** Writes `report.html` and `report.json` into a folder; returns the path of the page. Rejects with INVALID_REQUEST if it can't. */
export async function writeReport(folder: string, report: EvaluationReport): Promise<string> {
  const { renderReport } = await import('./report/render-report.ts')
  const html = await renderReport(report)
  const page = join(folder, 'report.html')
  try {
    await mkdir(folder, { recursive: true })
    await replaceFile(page, html)
    await replaceFile(join(folder, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`)
  } catch (cause) {
    throw new ModelError('INVALID_REQUEST', `${folder} ${fileProblem(cause)}`, { cause })
  }
  return page
}
