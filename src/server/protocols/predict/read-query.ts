import { ModelError, type Violation } from '../../../base/errors.ts'
import { KeyList } from '../../../model/contracts/key-list.ts'
import { invalidRequest, maxViolations } from '../../../model/serving/features/problems.ts'
import type { Query } from '../../../model/serving/prediction/loaded-model.ts'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import { isObject, pointer } from '../../../schemas/json.ts'
import { maxTasks, PredictEnvelope, type PredictOptions, type RankOptions } from '../../../schemas/predict.ts'
import { suggestKeys } from '../../body/read-json.ts'
import { checkEnvelope } from '../../plugins/validation.ts'

/** The query in a body of `POST /predict`, and the model that it is for. */
export interface AddressedQuery extends Omit<Query, 'deadline'> {
  model: string | undefined
  version: string | undefined
  label: string | undefined
}

/**
 * Checks the body, but not yet its rows. Problems of `tasks` and `options` come with the query, to be reported together
 * with what is wrong with the rows; for all others it throws INVALID_REQUEST with every problem and its JSON pointer.
 */
export function readQuery(body: unknown): AddressedQuery {
  const { envelope, problems } = readEnvelope(body)
  const { model, version, label } = envelope
  if (version !== undefined && label !== undefined)
    throw invalidRequest([...problems, { path: '/label', message: 'is given beside version: one of them is enough' }])
  const rows = rowsOf(envelope, problems)
  if (problems.length === 0) return { model, version, label, rows, tasks: envelope.tasks, options: envelope.options }
  return { model, version, label, rows, ...usable(envelope, problems), problems }
}

/** The tasks and options that the model can still check, to report its problems together with these. */
function usable({ tasks, options }: PredictEnvelope, problems: readonly Violation[]): Pick<Query, 'tasks' | 'options'> {
  const wrong = new Set(problems.map(({ path }) => path))
  const areNames = Array.isArray(tasks) && tasks.length <= maxTasks && tasks.every((task) => typeof task === 'string')
  return {
    tasks: areNames && !problems.some(({ path }) => path.startsWith('/tasks/')) ? tasks : undefined,
    options: isObject(options) ? usableOptions(options, wrong) : undefined,
  }
}

function usableOptions(options: PredictOptions, wrong: ReadonlySet<string>): PredictOptions {
  const { rank, ...others } = withoutWrong(options, '/options', wrong)
  if (!isObject(rank)) return others
  const usable = withoutWrong(rank as RankOptions, '/options/rank', wrong)
  return usable.by === undefined ? others : { ...others, rank: { ...usable, by: usable.by } }
}

function withoutWrong<T extends object>(value: T, path: string, wrong: ReadonlySet<string>): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !wrong.has(path + pointer(name)))) as Partial<T>
}

/** Does `work`; if it throws, the problems that the request has already are thrown instead, where there are any. */
export function orProblems<T>(problems: readonly Violation[] | undefined, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (problems === undefined) throw error
    throw invalidRequest([...problems])
  }
}

/** Says how to answer, not who is asked or with what. */
const optional = /^\/(?:tasks|options)(?:\/|$)/

function readEnvelope(body: unknown): { envelope: PredictEnvelope; problems: Violation[] } {
  try {
    return { envelope: checkEnvelope(body), problems: [] }
  } catch (error) {
    if (!(error instanceof ModelError && error.problems)) throw error
    const problems = error.problems.map(suggestKeys(PredictEnvelope))
    const goOn = isObject(body) && problems.length < maxViolations && problems.every(({ path }) => optional.test(path))
    if (!goOn) throw invalidRequest(problems)
    return { envelope: body as PredictEnvelope, problems }
  }
}

/** Which of the four forms the body has. */
function rowsOf({ context, candidates, sparse, dense, inputs }: PredictEnvelope, problems: Violation[]): QueryRows {
  if (inputs !== undefined) {
    onlyOne('tensors (inputs)', { context, candidates, sparse, dense }, problems)
    return { form: 'inputs', inputs }
  }
  if (sparse !== undefined || dense !== undefined) {
    onlyOne('tensors (sparse, dense)', { context, candidates }, problems)
    return { form: 'tensors', sparse, dense }
  }
  const byRow = Array.isArray(candidates) || candidates instanceof KeyList
  const byColumn = typeof candidates === 'object' && candidates !== null && !byRow
  return { form: byColumn ? 'columns' : 'rows', context, candidates }
}

function onlyOne(form: string, others: Record<string, unknown>, problems: Violation[]): void {
  const given = Object.keys(others).filter((name) => others[name] !== undefined)
  if (given.length === 0) return
  const message = `is given beside ${form}: only one form is possible`
  throw invalidRequest([...problems, ...given.map((name) => ({ path: `/${name}`, message }))].slice(0, maxViolations))
}
