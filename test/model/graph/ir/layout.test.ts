import t from 'tap'
import { broadcast, permute } from '../../../../src/model/graph/passes/einsum.ts'
import { fc } from '../../../support/cases.ts'

const count = (n: number) => Float32Array.from({ length: n }, (_, i) => i)

t.test('puts the sides of a constant in another order', (t) => {
  t.same([...permute(count(6), [2, 3], [1, 0])], [0, 3, 1, 4, 2, 5])
  t.same([...permute(count(8), [2, 2, 2], [1, 2, 0])], [0, 4, 1, 5, 2, 6, 3, 7])
  t.same([...permute(count(1), [], [])], [0])
  t.end()
})

t.test('and back', (t) => {
  const dims = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 })
  const turned = dims.chain((dims) =>
    fc.record({ dims: fc.constant(dims), perm: fc.shuffledSubarray([...dims.keys()], { minLength: dims.length }) }),
  )
  fc.assert(
    fc.property(turned, ({ dims, perm }) => {
      const values = count(dims.reduce((size, side) => size * side, 1))
      const inverse = perm.map((_, axis) => perm.indexOf(axis))
      const other = perm.map((axis) => dims[axis]!)
      return permute(permute(values, dims, perm), other, inverse).every((value, i) => value === values[i])
    }),
  )
  t.end()
})

t.test('repeats a constant as element-wise operators do', (t) => {
  t.same([...broadcast(count(3), [3], [2, 3])!], [0, 1, 2, 0, 1, 2])
  t.same([...broadcast(count(2), [2, 1], [2, 3])!], [0, 0, 0, 1, 1, 1])
  t.same([...broadcast(count(1), [], [2])!], [0, 0])
  t.equal(broadcast(count(2), [2], [2, 3]), undefined)
  t.equal(broadcast(count(3), [1, 3], [3]), undefined)
  t.end()
})
