import { join, resolve } from 'node:path'
import { ModelError } from '../model/base/errors.ts'
import { existingFolder } from '../model/base/existing-folder.ts'
import { makeFolder } from '../model/base/make-folder.ts'
import { fileReason } from '../model/base/regular-file.ts'
import { replaceFile } from '../model/base/replace-file.ts'
import type { EvaluationReport } from '../schemas/evaluation.ts'

/** Writes `report.html` and `report.json` into a folder; returns the path of the page. Rejects with INVALID_REQUEST if it can't. */
export async function writeReport(folder: string, report: EvaluationReport): Promise<string> {
  const { renderReport } = await import('./report/render-report.ts')
  const html = await renderReport(report)
  const page = join(folder, 'report.html')
  try {
    await makeFolder(resolve(folder))
    await replaceFile(page, html)
    await replaceFile(join(folder, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`)
  } catch (cause) {
    throw unwritable(folder, cause)
  }
  return page
}

/**
 * Checks that a report can be written into a folder, which need not be there, so that a long evaluation does not end in vain. Rejects
 * with INVALID_REQUEST if it can't.
 */
export async function checkReportFolder(folder: string): Promise<void> {
  await existingFolder(folder).catch((cause) => {
    throw unwritable(folder, cause)
  })
}

function unwritable(path: string, cause: unknown): ModelError {
  return new ModelError('INVALID_REQUEST', `${path} can't be written: ${fileReason(cause)}`, { cause })
}
