import t from 'tap'
import { createIdleCollector } from '../../src/app/v8-flags.ts'

const mebibyte = 2 ** 20

function setUp() {
  const state = { used: 60 * mebibyte, left: 60 * mebibyte, shared: 0, sharedLeft: 0, busy: 0, collections: 0 }
  const look = createIdleCollector({
    used: () => ({ own: state.used, other: 500 * mebibyte + state.shared }),
    busy: () => state.busy,
    collect() {
      state.collections++
      state.used = state.left
      state.shared = state.sharedLeft
    },
  })
  return { state, look }
}

t.test('what a flood leaves behind is collected once there is nothing to do', async (t) => {
  const { state, look } = setUp()
  look()
  t.equal(state.collections, 0, 'nothing has been left behind')
  state.used = 500 * mebibyte
  state.busy = 0.5
  look()
  t.equal(state.collections, 0, 'a pause would cost more than memory')
  state.busy = 0.01
  look()
  t.equal(state.collections, 1)
  look()
  t.equal(state.collections, 1)
})

t.test('memory that stays in use is not looked at again and again', async (t) => {
  const { state, look } = setUp()
  state.used = 400 * mebibyte
  state.left = 300 * mebibyte
  look()
  t.equal(state.collections, 1)
  state.used = 500 * mebibyte
  look()
  t.equal(state.collections, 1)
  state.used = 700 * mebibyte
  look()
  t.equal(state.collections, 2)
})

t.test('memory that threads share is collected, too, which V8 does not count', async (t) => {
  const { state, look } = setUp()
  state.shared = 60 * mebibyte
  look()
  t.equal(state.collections, 0)
  state.shared = 70 * mebibyte
  state.busy = 0.2
  look()
  t.equal(state.collections, 0)
  state.busy = 0.01
  look()
  t.equal(state.collections, 1)
  t.equal(state.shared, 0)
  look()
  t.equal(state.collections, 1)
})

t.test('shared memory that one collection does not free is looked for once more', async (t) => {
  const { state, look } = setUp()
  state.shared = 300 * mebibyte
  state.sharedLeft = 200 * mebibyte
  look()
  t.equal(state.collections, 1)
  state.sharedLeft = 150 * mebibyte
  look()
  t.equal(state.collections, 2)
  look()
  t.equal(state.collections, 2, 'then it is taken to be in use')
})
