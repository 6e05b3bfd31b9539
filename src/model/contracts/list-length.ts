/**
 * An input of a compiled graph, int64 [1]: how many places of its lists have a value in any row of a call, at least 1.
 */
export interface ListLength {
  name: string
  /** Most values of a list. */
  size: number
  /** Whether the graph takes the lists of each request, or of every row. */
  each: 'requests' | 'rows'
  /** The lists of a sequence that the graph reads, as columns of the saved graph's inputs. */
  members: ListMember[]
}

/** The lists of a sequence, which have the same lengths. */
export interface ListColumns {
  /** The sequence, or the list that is none's. */
  name: string
  /** Most values of a list. */
  size: number
  members: readonly ListMember[]
}

export interface ListMember {
  input: string
  columns: readonly number[]
  /** The value of places behind the last. */
  padding: number
}

/** The columns of the saved graph's inputs, row-major. */
type Columns = Readonly<Record<string, ArrayLike<number>>>

/**
 * The length of an input that says one. `total`: rows of the columns, of which the graph takes those in `rows`. Padding
 * may stand between values; behind the last there is nothing else. Where all values of one list of a sequence equal
 * padding and those of another do not, all places count: a softmax that masks the former has a share for each.
 */
export function longestList(
  { members, size }: ListLength,
  inputs: Columns,
  total: number,
  rows: ArrayLike<number>,
): number {
  let longest = 1
  for (const { input, columns, padding } of members) {
    const values = inputs[input]!
    const width = values.length / total
    for (let i = 0; i < rows.length; i++) {
      const first = rows[i]! * width
      for (let place = columns.length - 1; place >= longest; place--)
        if (values[first + columns[place]!] !== padding) longest = place + 1
    }
  }
  return longest > 1 && members.length > 1 && someAreMasked(members, inputs, total, rows) ? size : longest
}

/** Whether one list of a row has no value but padding, and another of the same row has. */
function someAreMasked(
  members: readonly ListMember[],
  inputs: Columns,
  total: number,
  rows: ArrayLike<number>,
): boolean {
  const hasValue = ({ input, columns, padding }: ListMember, row: number) => {
    const values = inputs[input]!
    const first = (row * values.length) / total
    return columns.some((column) => values[first + column] !== padding)
  }
  for (let i = 0; i < rows.length; i++) {
    const isFull = hasValue(members[0]!, rows[i]!)
    for (let j = 1; j < members.length; j++) if (hasValue(members[j]!, rows[i]!) !== isFull) return true
  }
  return false
}

/** A length as graphs take it: int64 [1]. */
export const lengthTensor = (length: number): { data: BigInt64Array; dims: readonly number[] } => ({
  data: BigInt64Array.of(BigInt(length)),
  dims: [1],
})
