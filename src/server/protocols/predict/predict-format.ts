import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import type { BodyFormat } from '../../body/body-format.ts'
import { defaultBounds, readJson } from '../../body/read-json.ts'
import { readTensors } from '../../body/read-tensors.ts'
import { type AddressedQuery, readQuery } from './read-query.ts'

/** The request in a body, without its rows. */
export type PredictAsked = Omit<AddressedQuery, 'rows'> & { form: QueryRows['form'] }

export const predictFormat: BodyFormat<PredictAsked> = {
  name: 'predict',
  open({ bytes }, bounds = defaultBounds) {
    const query = readQuery(readTensors(bytes) ?? readJson(bytes, bounds))
    // Property by property: a rest pattern would take a microsecond.
    const { model, version, label, tasks, options, problems, rows } = query
    return {
      asked: { model, version, label, tasks, options, problems, form: rows.form },
      rowsFor: () => ({ rows }),
    }
  },
}
