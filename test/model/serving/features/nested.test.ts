import t from 'tap'
import { flattenRows } from '../../../../src/model/serving/features/number-matrix.ts'
import { Violations } from '../../../../src/model/serving/features/problems.ts'
import { fc } from '../../../support/cases.ts'

function flatten(value: unknown, dims: number[], booleans?: boolean) {
  const problems = new Violations()
  const matrix = flattenRows(value, dims, '/x', problems, booleans)
  return {
    values: matrix && [...matrix.values],
    problems: problems.list.map(({ path, message }) => `${path} ${message}`),
  }
}

t.test('numbers are read row by row, of any shape', async (t) => {
  const dims = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
  const law = fc.property(dims, fc.integer({ min: 1, max: 4 }), (dims, rows) => {
    const width = dims.reduce((product, side) => product * side, 1)
    const flat = Array.from({ length: rows * width }, (_, i) => i / 7)
    // From the innermost side outwards.
    const nested = [...dims].reverse().reduce<unknown[]>((parts, side) => {
      return Array.from({ length: parts.length / side }, (_, i) => parts.slice(i * side, (i + 1) * side))
    }, flat)
    const { values, problems } = flatten(nested, dims)
    return problems.length === 0 && JSON.stringify(values) === JSON.stringify(flat)
  })
  fc.assert(law)
  t.same(flatten([1, 2], [1]).values, [1, 2], 'one number a row needs no brackets')
})

t.test('masks may be booleans, other tensors may not', async (t) => {
  t.same(
    flatten(
      [
        [true, false],
        [1, 0],
      ],
      [2],
      true,
    ).values,
    [1, 0, 1, 0],
  )
  t.same(flatten([[1, true]], [2]).problems, ['/x/0/1 must be a number, not a boolean'])
  t.same(flatten([[1, 'true']], [2], true).problems, ['/x/0/1 must be a number, not a string'])
})

t.test('what is amiss is told with its place, whatever was read before it', async (t) => {
  for (const [value, dims, problems] of [
    [[1, 'x', 3, null], [], ['/x/1 must be a number, not a string', '/x/3 must be a number, not null']],
    [[[1, 2], [3]], [2], ['/x/1 has 1 values, not 2']],
    [[[1, 2], 7], [2], ['/x/1 must be an array of 2, not a number']],
    [
      [
        [1, 2],
        [3, [4]],
      ],
      [2],
      ['/x/1/1 must be a number, not an array'],
    ],
    [[[1], 2], [1], ['/x/1 must be an array of 1, not a number']],
    [[1, [2]], [1], ['/x/1 must be a number, not an array']],
    [
      [
        [[1], [2]],
        [[3], [true]],
      ],
      [2, 1],
      ['/x/1/1/0 must be a number, not a boolean'],
    ],
    [[], [2], ['/x must be an array of at least one row, not an empty one']],
    [{}, [2], ['/x must be an array of at least one row, not an object']],
  ] as [unknown, number[], string[]][])
    t.same(flatten(value, dims), { values: undefined, problems }, JSON.stringify(value))
})
