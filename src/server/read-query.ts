import { invalidRequest } from '../model/features/problems.ts'
import type { Query } from '../model/prediction/model.ts'
import type { QueryRows } from '../model/prediction/query-rows.ts'
import type { PredictEnvelope } from '../schemas/predict.ts'
import { checkEnvelope } from './plugins/validation.ts'

/** What the body of `POST /predict` asks, and whom. */
export interface AddressedQuery extends Omit<Query, 'deadline'>, Pick<PredictEnvelope, 'model' | 'version' | 'label'> {}

/** Checks the body, but not yet its rows. Throws INVALID_REQUEST with every problem and its JSON pointer. */
export function readQuery(body: unknown): AddressedQuery {
  const envelope = checkEnvelope(body)
  const { model, version, label, tasks, options } = envelope
  if (version !== undefined && label !== undefined)
    throw invalidRequest([{ path: '/label', message: 'is given beside version: one of them is enough' }])
  return { model, version, label, tasks, options, rows: rowsOf(envelope) } as AddressedQuery
}

/** Which of the four forms the body has. */
function rowsOf({ context, candidates, sparse, dense, inputs }: PredictEnvelope): QueryRows {
  if (inputs !== undefined) {
    onlyOne('tensors (inputs)', { context, candidates, sparse, dense })
    return { form: 'inputs', inputs }
  }
  if (sparse !== undefined || dense !== undefined) {
    onlyOne('tensors (sparse, dense)', { context, candidates })
    return { form: 'tensors', sparse, dense }
  }
  const byColumn = typeof candidates === 'object' && candidates !== null && !Array.isArray(candidates)
  return { form: byColumn ? 'columns' : 'rows', context, candidates }
}

function onlyOne(form: string, others: Record<string, unknown>): void {
  const given = Object.keys(others).filter((name) => others[name] !== undefined)
  if (given.length === 0) return
  const message = `is given beside ${form}: only one form is possible`
  throw invalidRequest(given.map((name) => ({ path: `/${name}`, message })))
}
