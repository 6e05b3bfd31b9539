import { EventEmitter } from 'node:events'
import t from 'tap'
import { type ChannelEnd, createChannel, type Handlers, longestSilence } from '../../../src/app/cluster/channel.ts'
import { createFakeClock } from '../../support/fakes/clock.ts'

/** The two ends of a channel in one process; what passes is delivered in the next turn. */
function connected(): [ChannelEnd & EventEmitter, ChannelEnd & EventEmitter, () => void] {
  const ends = [0, 1].map(() => Object.assign(new EventEmitter(), { connected: true })) as unknown as [
    ChannelEnd & EventEmitter,
    ChannelEnd & EventEmitter,
  ]
  ends.forEach((end, i) => {
    end.send = (message, handle) => {
      setImmediate(() => ends[1 - i]!.emit('message', structuredClone(message), handle))
      return true
    }
  })
  return [
    ...ends,
    () => {
      for (const end of ends) {
        end.connected = false
        end.emit('disconnect')
      }
    },
  ]
}

function start(handlers: Handlers) {
  const [end, other, disconnect] = connected()
  const [clock, theirs] = [createFakeClock(), createFakeClock()]
  createChannel(other, handlers, theirs)
  return { channel: createChannel(end, {}, clock), end, other, disconnect, clock, theirs }
}

const never = () => new Promise(() => undefined)

t.test('what is told arrives, with its socket', async (t) => {
  const heard = new Promise((resolve) => {
    const { channel } = start({ news: (payload, socket) => resolve([payload, socket]) })
    channel.tell('news', { a: 1 }, 'a socket' as never)
  })
  t.same(await heard, [{ a: 1 }, 'a socket'])
})

t.test('questions are answered, each with its own', async (t) => {
  const { channel } = start({ soon: () => 1, later: async () => Number.NaN })
  t.same(await Promise.all([channel.ask('later', 1e6), channel.ask('soon', 1e6)]), [Number.NaN, 1])
})

t.test('what throws there is said here', async (t) => {
  const { channel } = start({
    bad: () => {
      throw new Error('not today')
    },
  })
  await t.rejects(channel.ask('bad', 1e6), { message: /not today/ })
})

t.test('nobody waits for ever', async (t) => {
  const { channel, clock } = start({ never })
  const asked = channel.ask('never', 1)
  clock.advance(1)
  await t.rejects(asked, { message: 'no answer in time' })
  t.equal(clock.timers, 0)
})

t.test('an end that works is waited for; one that stands still is not', async (t) => {
  let finish = (_: string) => {}
  const { channel, clock, theirs } = start({ long: () => new Promise((resolve) => (finish = resolve)), never })
  const long = channel.ask('long', 1e6)
  for (let passed = 0; passed < 4 * longestSilence; passed += longestSilence / 3) {
    await theirs.advance(longestSilence / 3)
    await clock.advance(longestSilence / 3)
  }
  finish('done')
  t.equal(await long, 'done')
  t.same([clock.timers, theirs.timers], [0, 0])
  const rejected = t.rejects(channel.ask('never', 1e6), { message: 'no sign of life for 5 s' })
  await clock.advance(longestSilence)
  await rejected
  t.equal(clock.timers, 0)
})

t.test('what the other end had to answer is rejected when it goes, and nothing is sent to it', async (t) => {
  const { channel, end, disconnect, clock } = start({ never })
  const asked = channel.ask('never', 1e6)
  disconnect()
  await t.rejects(asked, { message: 'the other process has gone' })
  end.send = () => {
    throw new Error('sent')
  }
  channel.tell('news')
  await t.rejects(channel.ask('never', 1e6), { message: 'the other process has gone' })
  t.equal(clock.timers, 0)
})

t.test('and when it is said to have gone, though its disconnection is never reported', async (t) => {
  const { channel, end, theirs } = start({ never })
  const asked = channel.ask('never', 1e6)
  await theirs.flush()
  channel.close()
  await t.rejects(asked, { message: 'the other process has gone' })
  end.send = () => {
    throw new Error('sent')
  }
  channel.tell('news')
  await t.rejects(channel.ask('never', 1e6), { message: 'the other process has gone' })
  channel.close()
})

t.test('what can not be sent is said at once, and not waited for', async (t) => {
  const { channel, end, clock } = start({})
  end.send = (message) => {
    structuredClone(message)
    return true
  }
  await t.rejects(
    channel.ask('strange', 1e6, () => 1),
    { name: 'DataCloneError' },
  )
  t.equal(clock.timers, 0)
})

t.test('messages of others, and answers to nobody, are ignored', async (t) => {
  const { channel, end, other } = start({ soon: () => 1 })
  other.emit('message', { 'watch:import': ['x'] }, undefined)
  other.emit('message', { kind: 'unknown' }, undefined)
  end.emit('message', { kind: 'answer', id: 99, payload: 7 }, undefined)
  t.equal(await channel.ask('soon', 1e6), 1)
})
