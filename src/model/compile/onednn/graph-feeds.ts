import type { VariantFile } from '../../contracts/compiled-plan.ts'
import type { InputRows } from '../int8/observe-ranges.ts'
import { planNames } from '../sides/tensor-names.ts'

export interface GraphFeed {
  data: Float32Array | Int32Array | BigInt64Array
  dims: readonly number[]
}

/** An input of a graph; `rank`: how many dimensions it has. */
interface GraphInput {
  name: string
  type: string
  rank: number
}

/**
 * The inputs of a graph by side, by name, for requests with these numbers of rows: context columns of each request's first row, the others
 * of each row. If there are fewer rows, they repeat.
 */
export function graphFeeds(
  inputs: readonly GraphInput[],
  file: VariantFile,
  rows: InputRows,
  requests: readonly number[],
): Record<string, GraphFeed> {
  let total = 0
  const firsts = requests.map((count) => {
    total += count
    return total - count
  })
  const all = Array.from({ length: total }, (_, row) => row)
  const feeds: Record<string, GraphFeed> = {}
  for (const [packed, picked] of [
    [file.context, firsts],
    [file.rows, all],
  ] as const)
    for (const { name, input, columns } of packed) {
      const values = rows.inputs[input]
      const own = inputs.find((other) => other.name === name)
      if (values === undefined || own === undefined) continue
      const width = values.length / rows.rows
      const numbers = picked.flatMap((row) => columns.map((column) => values[(row % rows.rows) * width + column]!))
      const dims = own.rank === 1 ? [picked.length] : [picked.length, columns.length]
      if (own.type === 'int64') feeds[name] = { data: BigInt64Array.from(numbers, BigInt), dims }
      else feeds[name] = { data: (own.type === 'int32' ? Int32Array : Float32Array).from(numbers), dims }
    }
  if (inputs.some(({ name }) => name === planNames.requests)) {
    const numbers = Int32Array.from(requests.flatMap((count, request) => new Array<number>(count).fill(request)))
    feeds[planNames.requests] = { data: numbers, dims: [total] }
  }
  return feeds
}
