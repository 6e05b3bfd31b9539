import t from 'tap'
import { createTurns } from '../../../src/server/overload/pipelining.ts'

function setUp(perTurn: number) {
  const scheduled: (() => void)[] = []
  const turns = createTurns({ perTurn, soon: (callback) => scheduled.push(callback) })
  const begun: string[] = []
  return {
    turns,
    begun,
    enter: (name: string) => turns.enter(() => begun.push(name)),
    /** The next turn of the event loop; answers whether there was anything to do. */
    turn() {
      const callbacks = scheduled.splice(0)
      for (const callback of callbacks) callback()
      return callbacks.length > 0
    },
  }
}

t.test('a fixed number begins in each turn, in the order in which they came', async (t) => {
  const { begun, enter, turn } = setUp(2)
  for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name)
  t.same(begun, ['a', 'b'], 'what fits into this turn begins now')
  turn()
  t.same(begun, ['a', 'b', 'c', 'd'])
  enter('f')
  t.same(begun, ['a', 'b', 'c', 'd'], 'none overtakes those that wait')
  turn()
  t.same(begun, ['a', 'b', 'c', 'd', 'e', 'f'])
  while (turn());
  enter('g')
  t.equal(begun.at(-1), 'g')
})

t.test('what another one leads to begins in a later turn', async (t) => {
  const { turns, begun, turn } = setUp(2)
  const again = (left: number) => {
    begun.push(String(left))
    if (left > 0) turns.next(() => again(left - 1))
  }
  turns.enter(() => again(5))
  t.same(begun, ['5'])
  turn()
  t.same(begun, ['5', '4', '3'], 'within the bound of that turn')
  while (turn());
  t.same(begun, ['5', '4', '3', '2', '1', '0'])
})

t.test('thousands that wait all begin, a few per turn', async (t) => {
  const { begun, enter, turn } = setUp(8)
  for (let i = 0; i < 10_000; i++) enter(String(i))
  let turns = 0
  let most = 0
  for (let before = begun.length; turn(); before = begun.length) {
    most = Math.max(most, begun.length - before)
    turns++
  }
  t.equal(most, 8)
  t.ok(turns >= 10_000 / 8 - 1)
  t.same(
    begun,
    Array.from({ length: 10_000 }, (_, i) => String(i)),
  )
})
