import { pointer } from '../../../schemas/json.ts'
import { describeValue } from './field.ts'
import type { FieldColumn } from './field-column.ts'
import { isValues } from './lists.ts'

/** A column of lists as values and offsets: the list of row r is values[offsets[r]] to values[offsets[r + 1] − 1]. */
export interface ListColumn {
  values: ArrayLike<unknown>
  offsets: ArrayLike<number>
  weights: ArrayLike<unknown> | undefined
}

/**
 * The lists of a column that has values and offsets; undefined, and a problem, where they contradict each other.
 * `wrong` gets a JSON pointer below the column.
 */
export function readListColumn(
  { weights: weighted }: FieldColumn,
  column: Record<string, unknown>,
  wrong: (place: string, message: string) => void,
): ListColumn | undefined {
  const { values, offsets, weights, ...others } = column
  const [other] = Object.keys(others)
  if (other !== undefined) wrong(pointer(other), 'is not known: a column of lists has values, offsets and weights')
  else if (!isValues(values)) wrong('/values', `must be an array, not ${describeValue(values)}`)
  else if (!isValues(offsets)) wrong('/offsets', `must be an array, not ${describeValue(offsets)}`)
  else if (weights !== undefined && weighted === undefined) wrong('/weights', 'is given, but the list has no weights')
  else if (weights !== undefined && !isValues(weights))
    wrong('/weights', `must be an array, not ${describeValue(weights)}`)
  else if (weights !== undefined && weights.length !== values.length)
    wrong('/weights', `has ${weights.length} weights for ${values.length} values`)
  else {
    const bad = wrongOffset(offsets, values.length)
    if (bad === undefined) return { values, offsets: offsets as ArrayLike<number>, weights }
    wrong(`/offsets${bad.place}`, bad.message)
  }
  return undefined
}

function wrongOffset(offsets: ArrayLike<unknown>, values: number): { place: string; message: string } | undefined {
  if (offsets.length < 2)
    return { place: '', message: 'must have at least two values: where the first list begins and ends' }
  let last = 0
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i]
    const place = `/${i}`
    if (!Number.isSafeInteger(offset)) return { place, message: 'must be an integer' }
    if (i === 0 && offset !== 0) return { place, message: `must be 0, not ${offset}` }
    if ((offset as number) < last) return { place, message: `is ${offset}, less than the offset before it, ${last}` }
    if ((offset as number) > values) return { place, message: `is ${offset}, beyond the ${values} values` }
    last = offset as number
  }
  const place = `/${offsets.length - 1}`
  return last === values ? undefined : { place, message: `is ${last}, but there are ${values} values` }
}
