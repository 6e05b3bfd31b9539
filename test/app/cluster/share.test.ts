import t from 'tap'
import { shareOf } from '../../../src/app/cluster/share.ts'
import { readConfiguration } from '../../../src/base/configuration.ts'

const shared = (changes: Record<string, string>, cores: number) =>
  shareOf(readConfiguration(changes, {}).configuration, cores)

t.test('cores, memory and connections are divided', async (t) => {
  const configuration = {
    MULTIGATE_PROCESSES: '3',
    MULTIGATE_CANDIDATE_CACHE_BYTES: '3001',
    MULTIGATE_RESIDENT_BYTES: '3001',
    MULTIGATE_MAX_PENDING_BYTES: '30000',
    MULTIGATE_MAX_BODY_BYTES: '1024',
    MULTIGATE_MAX_CONNECTIONS: '100',
  }
  t.match(shared(configuration, 8), {
    MULTIGATE_WORKERS: 2,
    MULTIGATE_CANDIDATE_CACHE_BYTES: 1000,
    MULTIGATE_RESIDENT_BYTES: 1001,
    MULTIGATE_MAX_PENDING_BYTES: 10000,
    MULTIGATE_MAX_CONNECTIONS: 34,
  })
})

t.test('each has a worker at least, and as many as were asked for', async (t) => {
  t.equal(shared({ MULTIGATE_PROCESSES: '4' }, 2).MULTIGATE_WORKERS, 1)
  t.equal(shared({ MULTIGATE_PROCESSES: '4', MULTIGATE_WORKERS: '3' }, 2).MULTIGATE_WORKERS, 3)
})

t.test('the largest body fits, if it did', async (t) => {
  const configuration = { MULTIGATE_PROCESSES: '4', MULTIGATE_MAX_BODY_BYTES: '3000' }
  const shareWith = (bytes: string) =>
    shared({ ...configuration, MULTIGATE_MAX_PENDING_BYTES: bytes }, 4).MULTIGATE_MAX_PENDING_BYTES
  t.equal(shareWith('8000'), 3000)
  t.equal(shareWith('2000'), 2000)
})
