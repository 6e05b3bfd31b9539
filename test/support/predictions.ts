import type { PredictionTable } from '../../src/model/contracts/prediction.ts'
import { writeAnswer } from '../../src/server/protocols/predict/predict-answer.ts'

type Row = Record<string, unknown>

const header = { model: 'm', version: '1', request_id: 'r' }

function read(table: PredictionTable, form: 'rows' | 'columns'): unknown {
  return (JSON.parse(writeAnswer(header, table, form).toString()) as { predictions: unknown }).predictions
}

/** Predictions as an answer by row gives them. */
export function toRows(table: PredictionTable): (Row | null)[] {
  return read(table, 'rows') as (Row | null)[]
}

/** Predictions as an answer by column gives them. */
export function toColumns(table: PredictionTable): Row {
  return read(table, 'columns') as Row
}
