import { isDeepStrictEqual } from 'node:util'
import { check } from '../../schemas/check.ts'
import { History } from '../../schemas/history.ts'
import { isObject } from '../../schemas/json.ts'
import { historyLists } from '../data/history-fields.ts'
import { openSource } from '../data/open-source.ts'
import { uselessPast } from '../data/parts.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'

/** A version, of which training may have said what its histories are made of. */
export interface HistoryVersion {
  name: string
  version: string
  provenance?: unknown
}

const titleOf = ({ name, version }: HistoryVersion) => `${name}/${version}`

/**
 * The rows with the history of the versions where the spec has none, as `train --from` takes it. Rows that have one of
 * its lists, as a column or under `fields`, have no other. Rejects with a SpecError where the versions' are different.
 */
export async function withModelHistory(
  loaded: LoadedRows,
  versions: readonly HistoryVersion[],
): Promise<{ loaded: LoadedRows; source: HistoryVersion | undefined }> {
  const { file, spec } = loaded
  const [source, ...others] = spec.history ? [] : versions.filter((version) => writtenHistory(version) !== undefined)
  if (source === undefined || (await hasLists(loaded, historyLists(writtenHistory(source)!)))) {
    const problems = uselessPast(spec)
    if (problems.length > 0) throw new SpecError(file, problems)
    return { loaded, source: undefined }
  }
  const history = historyOf(source, file)
  const other = others.find((version) => !isDeepStrictEqual(historyOf(version, file), history))
  if (other !== undefined) {
    const message = `is missing, and the versions have different ones: that of ${titleOf(source)} is ${JSON.stringify(history)}, that of ${titleOf(other)} ${JSON.stringify(historyOf(other, file))}`
    throw new SpecError(file, [{ path: '/history', message }])
  }
  return { loaded: { ...loaded, spec: { ...spec, history } }, source }
}

/** An error of the rows, which says where the history comes from that it is about. */
export function withHistorySource(error: unknown, source: HistoryVersion | undefined): unknown {
  if (source === undefined || !(error instanceof SpecError)) return error
  const note = `; the spec has no history, so this is that of ${titleOf(source)}`
  return new SpecError(
    error.file,
    error.problems.map(({ path, message }) => ({
      path,
      message: path.startsWith('/history') ? `${message}${note}` : message,
    })),
  )
}

function writtenHistory({ provenance }: HistoryVersion): Record<string, unknown> | undefined {
  return isObject(provenance) && isObject(provenance.history_of) ? provenance.history_of : undefined
}

function historyOf(version: HistoryVersion, file: string): History {
  const problems: SpecError['problems'] = []
  const history = check(History, writtenHistory(version), '/history', problems) as History
  if (problems.length > 0) throw withHistorySource(new SpecError(file, problems), version)
  return history
}

/** Whether rows have a list already. */
async function hasLists({ file, spec }: LoadedRows, lists: readonly string[]): Promise<boolean> {
  if (spec.fields.some(({ name }) => lists.includes(name))) return true
  const { columns } = await openSource(spec.data, file)
  return columns.some(({ name }) => lists.includes(name))
}
