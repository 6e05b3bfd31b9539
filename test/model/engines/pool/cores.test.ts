import { availableParallelism } from 'node:os'
import t from 'tap'
import { availableCores } from '../../../../src/model/engines/pool/cores.ts'

const v2 = '/sys/fs/cgroup/cpu.max'
const v1 = ['/sys/fs/cgroup/cpu/cpu.cfs_quota_us', '/sys/fs/cgroup/cpu/cpu.cfs_period_us'] as const
const host = availableParallelism()

/** Cores with these files and no others. */
const cores = (files: Record<string, string>) =>
  availableCores((path) => {
    const text = files[path]
    if (text === undefined) throw new Error(`ENOENT: ${path}`)
    return text
  })

t.test('without a quota the cores are the host’s', async (t) => {
  t.equal(cores({}), host)
  t.equal(cores({ [v2]: 'max 100000\n' }), host)
  t.equal(cores({ [v1[0]]: '-1\n', [v1[1]]: '100000\n' }), host)
})

t.test('a quota of one core counts', async (t) => {
  t.equal(cores({ [v2]: '100000 100000\n' }), 1)
  t.equal(cores({ [v1[0]]: '100000\n', [v1[1]]: '100000\n' }), 1)
})

t.test('a quota between two numbers of cores is rounded down', async (t) => {
  t.equal(cores({ [v2]: '190000 100000\n' }), 1)
})

t.test('a quota below one core is one', async (t) => {
  t.equal(cores({ [v2]: '20000 100000\n' }), 1)
  t.equal(cores({ [v1[0]]: '20000\n', [v1[1]]: '100000\n' }), 1)
})

t.test('a quota beyond the host is the host', async (t) => {
  t.equal(cores({ [v2]: '100000000 100000\n' }), host)
  t.equal(cores({ [v1[0]]: '100000000\n', [v1[1]]: '100000\n' }), host)
})

t.test('the second version of control groups goes before the first', async (t) => {
  t.equal(cores({ [v2]: '100000 100000\n', [v1[0]]: '100000000\n', [v1[1]]: '100000\n' }), 1)
})

t.test('files that say nothing are no quota', async (t) => {
  t.equal(cores({ [v2]: '', [v1[0]]: 'x', [v1[1]]: '' }), host)
})

t.test('this machine has at least one core', async (t) => {
  const count = availableCores()
  t.ok(Number.isInteger(count) && count >= 1 && count <= host)
})
