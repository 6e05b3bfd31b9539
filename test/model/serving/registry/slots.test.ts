import t from 'tap'
import { createSlots } from '../../../../src/model/serving/registry/slots.ts'
import { settled } from '../../../support/controlled.ts'

t.test('so many are taken at once, the others in the order of asking', async (t) => {
  let limit = 2
  const slots = createSlots(() => limit)
  const given: string[] = []
  const take = (name: string) =>
    slots.take().then((free) => {
      given.push(name)
      return free
    })
  const [a, b] = await Promise.all([take('a'), take('b')])
  const others = [take('c'), take('d')]
  await settled()
  t.same(given, ['a', 'b'])
  a()
  a()
  await settled()
  t.same(given, ['a', 'b', 'c'], 'freed twice is freed once')
  limit = 0
  b()
  await settled()
  t.same(given, ['a', 'b', 'c'], 'fewer from now on')
  const free = await others[0]!
  free()
  await settled()
  t.same(given, ['a', 'b', 'c', 'd'], 'one at least')
})
