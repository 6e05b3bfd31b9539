import t from 'tap'
import { type Changeable, ModelChanges, type Refusal } from '../../../src/app/cluster/messages.ts'
import type { ModelChange } from '../../../src/server/request/context.ts'

/** A process that says what it was told, and answers when it may. */
function createMember(name: string, told: string[], answer?: Promise<Refusal | undefined>): Changeable {
  return {
    async change({ action, model }: ModelChange) {
      told.push(`${name}: ${action} ${model}`)
      return answer
    },
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const refusal: Refusal = { code: 'NOT_READY', message: 'damaged' }

t.test('all are told, the first one alone', async (t) => {
  const told: string[] = []
  let open = (_: undefined) => {}
  const first = createMember('a', told, new Promise((resolve) => (open = resolve)))
  const changes = new ModelChanges()
  const done = changes.change({ action: 'load', model: 'ads', by: 'ci' }, () => [first, createMember('b', told)])
  await settled()
  t.same(told, ['a: load ads'])
  open(undefined)
  t.equal(await done, undefined)
  t.same(told, ['a: load ads', 'b: load ads'])
})

t.test('one that does not answer comes last, and all that have not confirmed are named', async (t) => {
  const told: string[] = []
  const refuse = (message: string) => Promise.resolve<Refusal>({ code: 'NOT_READY', message })
  const members = [
    { ...createMember('a', told, refuse('process 1')), responsive: false },
    { ...createMember('b', told), responsive: true },
    { ...createMember('c', told, refuse('process 3')), responsive: false },
  ]
  const done = await new ModelChanges().change({ action: 'load', model: 'ads', by: 'ci' }, () => members)
  t.same(told, ['b: load ads', 'a: load ads', 'c: load ads'])
  t.match(done, { code: 'NOT_READY', message: 'process 1; process 3' })
})

t.test('one change comes after the other, in all', async (t) => {
  const told: string[] = []
  let open = (_: undefined) => {}
  const slow = createMember('a', told, new Promise((resolve) => (open = resolve)))
  const changes = new ModelChanges()
  const members = () => [slow, createMember('b', told)]
  const both = [
    changes.change({ action: 'unload', model: 'ads', by: 'ci' }, members),
    changes.change({ action: 'load', model: 'ads', by: 'ci' }, members),
  ]
  await settled()
  open(undefined)
  await Promise.all(both)
  t.same(told, ['a: unload ads', 'b: unload ads', 'a: load ads', 'b: load ads'])
  t.same(changes.unloaded, [])
})

t.test('what is unloaded is known to those that start later, as soon as it is asked for', async (t) => {
  const changes = new ModelChanges()
  let open = (_: undefined) => {}
  const slow = createMember('a', [], new Promise((resolve) => (open = resolve)))
  const done = changes.change({ action: 'unload', model: 'ads', by: 'ci' }, () => [slow])
  await settled()
  t.same(changes.unloaded, ['ads'])
  open(undefined)
  await done
  t.same(changes.unloaded, ['ads'])
  await changes.change({ action: 'load', model: 'ads', by: 'ci' }, () => [])
  t.same(changes.unloaded, [])
})

t.test('the first refusal is the answer, and all are told nevertheless', async (t) => {
  const told: string[] = []
  const changes = new ModelChanges()
  const members = () => [
    createMember('a', told),
    createMember('b', told, Promise.resolve(refusal)),
    createMember('c', told),
  ]
  t.same(await changes.change({ action: 'load', model: 'ads', by: 'ci' }, members), refusal)
  t.equal(told.length, 3)
})

t.test('a model that nobody knows is not kept as unloaded', async (t) => {
  const changes = new ModelChanges()
  const unknown: Refusal = { code: 'MODEL_NOT_FOUND', message: 'no such model' }
  const members = () => [createMember('a', [], Promise.resolve(unknown))]
  t.same(await changes.change({ action: 'unload', model: 'nothing', by: 'ci' }, members), unknown)
  t.same(changes.unloaded, [])
})

t.test('all look at the folder again, whatever is out of service', async (t) => {
  const told: string[] = []
  const changes = new ModelChanges()
  const members = () => [createMember('a', told), createMember('b', told)]
  await changes.change({ action: 'unload', model: 'ads', by: 'ci' }, members)
  await changes.change({ action: 'reconcile', model: 'ads', by: 'ci' }, members)
  t.same(told.slice(2), ['a: reconcile ads', 'b: reconcile ads'])
  t.same(changes.unloaded, ['ads'])
})

t.test('a change that goes wrong holds up none of those behind it', async (t) => {
  const told: string[] = []
  const changes = new ModelChanges()
  const broken: Changeable = { change: () => Promise.reject(new Error('unforeseen')) }
  const bad = changes.change({ action: 'load', model: 'ads', by: 'ci' }, () => [broken])
  const good = changes.change({ action: 'load', model: 'ads', by: 'ci' }, () => [createMember('a', told)])
  await t.rejects(bad, { message: 'unforeseen' })
  t.equal(await good, undefined)
  t.same(told, ['a: load ads'])
})
