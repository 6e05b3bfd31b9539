import t from 'tap'
import { experiment, inTurns, withServers } from '../../loadtest/experiment.ts'
import { readOptions } from '../../loadtest/options.ts'

t.test('options are declared by name: flags, texts, what is read, and defaults', async (t) => {
  const options = {
    short: ['', 'whether it is short'],
    folder: ['<path>', 'where'],
    rounds: ['<number>', 'how often', Number, 3],
    openDuration: ['<seconds>', 'how long', Number],
  } as const
  const read = (...argv: string[]) => readOptions(argv, { name: 'x', description: 'X', options })
  t.same(read(), { rounds: 3 })
  t.same(read('--short', '--folder', 'a', '--rounds', '5', '--open-duration', '2'), {
    ...{ short: true, folder: 'a', rounds: 5, openDuration: 2 },
  })
})

t.test('every experiment can write its page, unless it says that it has none', async (t) => {
  const declared = { description: 'X', options: {}, run: async () => 'page' }
  t.same(experiment(declared).read(['--out', 'a.md'], 'x'), { out: 'a.md' })
  t.same(experiment({ ...declared, out: false }).read([], 'x'), {})
})

t.test('in turns: each once in every round, and the results of each', async (t) => {
  const order: string[] = []
  const results = await inTurns(['a', 'b'], 2, async (item, round) => {
    order.push(`${item}${round}`)
    return round
  })
  t.same(order, ['a0', 'b0', 'a1', 'b1'])
  t.same(results, [
    [0, 1],
    [0, 1],
  ])
})

t.test('servers stop after their use, and where it or a later start fails', async (t) => {
  const stopped: number[] = []
  const server = (id: number) => async () => ({ stop: async () => stopped.push(id) })
  const failing = () => Promise.reject(new Error('no port'))
  t.equal(await withServers([server(1), server(2)], async (servers) => servers.length), 2)
  t.same(stopped, [1, 2])
  await t.rejects(
    withServers([server(3), failing, server(4)], async () => t.fail('one of them is missing')),
    { message: 'no port' },
  )
  await t.rejects(
    withServers([server(5)], () => Promise.reject(new Error('no answer'))),
    { message: 'no answer' },
  )
  t.same(stopped, [1, 2, 3, 5])
})
