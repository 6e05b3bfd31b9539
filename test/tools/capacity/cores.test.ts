import t from 'tap'
import { parseCores } from '../../../src/tools/capacity/cores.ts'

t.test('the allowed cores are read from what Linux says of a process', async (t) => {
  for (const [list, cores] of [
    ['0', [0]],
    ['0-3', [0, 1, 2, 3]],
    ['0-1,5,8-9', [0, 1, 5, 8, 9]],
  ] as const)
    t.same(parseCores(`Threads:\t1\nCpus_allowed_list:\t${list}\nMems_allowed:\t1\n`), cores)
  t.same(parseCores(''), [])
})
