import t from 'tap'
import { readComparisonArguments } from '../../../loadtest/competitors/arguments.ts'

t.test('a full run has everything, and writes the results and the README', async (t) => {
  const all = readComparisonArguments([])
  t.match(all, {
    short: false,
    out: 'loadtest/results/competitors.md',
    readme: true,
    loads: [0.5, 0.8, 1.5, 3],
    deadline: 60,
  })
  t.same(all.servers, ['multigate', 'processes', 'bfloat16', 'int8', 'fastify', 'rust', 'triton', 'fastapi', 'mosec'])
  t.same(all.scenarios, ['S1', 'S2', 'S3', 'S4', 'S5'])
})

t.test('the short form installs nothing and writes nothing', async (t) => {
  const { servers, out, readme } = readComparisonArguments(['--short'])
  t.same({ servers, out, readme }, { servers: ['multigate', 'processes', 'fastify'], out: undefined, readme: false })
})

t.test('what is given holds, in the order of the tables', async (t) => {
  const given = readComparisonArguments([
    '--servers',
    'mosec,multigate',
    '--connections',
    '1,2',
    '--open-duration',
    '0',
  ])
  t.match(given, {
    servers: ['multigate', 'mosec'],
    connections: [1, 2],
    openDuration: 0,
    out: undefined,
    readme: false,
  })
})
