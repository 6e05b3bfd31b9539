import type { Socket } from 'node:net'
import t from 'tap'
import { type Connection, Distributor } from '../../../src/app/cluster/distributor.ts'

interface FakeSocket {
  id: number
  destroyed: boolean
}

function start() {
  const distributor = new Distributor()
  let nextId = 0
  const taker = (ready = true) => ({
    ready,
    leaving: false,
    responsive: true,
    given: [] as FakeSocket[],
    give({ socket }: Connection) {
      this.given.push(socket as unknown as FakeSocket)
    },
  })
  const connect = (): FakeSocket => {
    const socket = {
      id: nextId++,
      destroyed: false,
      destroy() {
        this.destroyed = true
      },
    }
    distributor.distribute({ socket: socket as unknown as Socket, port: 'main' })
    return socket
  }
  return { distributor, taker, connect }
}

const idsOf = ({ given }: { given: FakeSocket[] }) => given.map(({ id }) => id)

t.test('each gets one in its turn', async (t) => {
  const { distributor, taker, connect } = start()
  const takers = [taker(), taker(), taker()]
  for (const one of takers) distributor.add(one)
  for (let i = 0; i < 7; i++) connect()
  t.same(takers.map(idsOf), [
    [0, 3, 6],
    [1, 4],
    [2, 5],
  ])
})

t.test('a connection is closed here when it has been taken, not before', async (t) => {
  const { distributor, taker, connect } = start()
  const one = taker()
  distributor.add(one)
  const [first, second] = [connect(), connect()]
  t.same([first.destroyed, second.destroyed], [false, false])
  distributor.taken(one)
  t.same([first.destroyed, second.destroyed], [true, false])
})

t.test('what waits for nobody waits; the first that comes gets it', async (t) => {
  const { distributor, taker, connect } = start()
  connect()
  connect()
  const one = taker(false)
  distributor.add(one)
  t.same(idsOf(one), [0, 1])
})

t.test('what one that is gone had not taken goes to others, in its order', async (t) => {
  const { distributor, taker, connect } = start()
  const [one, other] = [taker(), taker()]
  distributor.add(one)
  const sockets = [connect(), connect(), connect()]
  distributor.taken(one)
  distributor.add(other)
  distributor.remove(one)
  t.same(idsOf(other), [1, 2])
  t.same(
    sockets.map(({ destroyed }) => destroyed),
    [true, false, false],
  )
  // The message of one that is gone comes too late, and is not about another's connection.
  distributor.taken(one)
  t.notOk(sockets[1]!.destroyed)
})

t.test('one that is not ready gets none while another is', async (t) => {
  const { distributor, taker, connect } = start()
  const [one, other] = [taker(), taker(false)]
  distributor.add(other)
  distributor.add(one)
  connect()
  connect()
  t.same([idsOf(one), idsOf(other)], [[0, 1], []])
  other.ready = true
  distributor.update()
  connect()
  t.same(idsOf(other), [2])
})

t.test('one that stops gets none', async (t) => {
  const { distributor, taker, connect } = start()
  const [one, other] = [taker(), taker()]
  distributor.add(one)
  distributor.add(other)
  one.leaving = true
  connect()
  connect()
  t.same([idsOf(one), idsOf(other)], [[], [0, 1]])
})

t.test('one that does not answer gets none until it does', async (t) => {
  const { distributor, taker, connect } = start()
  const [one, other] = [taker(), taker()]
  distributor.add(one)
  distributor.add(other)
  one.responsive = false
  connect()
  connect()
  t.same([idsOf(one), idsOf(other)], [[], [0, 1]])
  other.responsive = false
  connect()
  one.responsive = true
  distributor.update()
  t.same([idsOf(one), idsOf(other)], [[2], [0, 1]])
})

t.test('one that takes nothing is not given without end, but at the end is given all', async (t) => {
  const { distributor, taker, connect } = start()
  const one = taker()
  distributor.add(one)
  for (let i = 0; i < 40; i++) connect()
  const most = one.given.length
  t.ok(most > 1 && most < 40, `${most}`)
  distributor.taken(one)
  t.equal(one.given.length, most + 1)
  distributor.flush()
  t.equal(one.given.length, 40)
})

t.test('at the end, with nobody there, what waits is closed', async (t) => {
  const { distributor, connect } = start()
  const socket = connect()
  distributor.flush()
  t.ok(socket.destroyed)
})

t.test('while all are refused nothing waits; afterwards it does again', async (t) => {
  const { distributor, taker, connect } = start()
  const refused: unknown[] = []
  connect()
  distributor.refuseBy(({ socket }) => refused.push(socket))
  connect()
  t.match(refused, [{ id: 0 }, { id: 1 }])
  distributor.refuseBy(undefined)
  connect()
  const one = taker()
  distributor.add(one)
  t.same([idsOf(one), refused.length], [[2], 2])
})
