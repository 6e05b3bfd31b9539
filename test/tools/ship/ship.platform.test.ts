import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { needsPython, startStore } from '../../support/object-stores.ts'
import { startCommand } from '../../support/sync.ts'
import { until } from '../../support/until.ts'

/*
 * The real `multigate log ship` into stores that others wrote.
 */

const [first, second, third] = ['1', '2', '3'].map((i) => `ads/1/20260102T03040${i}000Z-a-1.jsonl`) as [
  string,
  string,
  string,
]

for (const kind of ['s3', 'gcs'] as const)
  t.test(`ships to ${kind}`, needsPython, async (t) => {
    const folder = await temporaryFolder(t)
    const write = (path: string, content: string | Buffer) => writeFileSync(join(folder, path), content)
    mkdirSync(join(folder, 'ads/1'), { recursive: true })
    const large = Buffer.alloc(20_000_000, '{"a":1}\n')
    write(first, large)
    write(second, '{"b":2}\n')
    const { env, put, get, list } = await startStore(t, kind)
    const to = `${kind === 's3' ? 's3' : 'gs'}://models/log/`
    const ship = (...args: string[]) => startCommand(t, ['log', 'ship', folder, '--to', to, ...args], env)

    // Two at a time, and one that is killed.
    const killed = ship()
    const both = [ship(), ship('--interval', '1')] as const
    await until(async () => (await list()).length === 2)
    killed.child.kill('SIGKILL')
    t.equal(await both[0].ended, 0, both[0].output())
    t.same(await list(), [`log/${first}`, `log/${second}`])
    const local = join(folder, 'copy')
    await get(`log/${first}`, local)
    t.ok(readFileSync(local).equals(large))
    t.equal(await ship().ended, 0, 'nothing is left to do')

    write('other', 'other of the same length'.slice(0, 8))
    await put(`log/${third}`, join(folder, 'other'))
    write(third, '{"c":3}\n')
    const failed = ship('--remove-days', '0')
    t.equal(await failed.ended, 1)
    t.match(failed.output(), new RegExp(`models/log/${third} exists with other content than`))
    t.match(failed.output(), /file removed: it was shipped/)
    await get(`log/${third}`, local)
    t.equal(readFileSync(local, 'utf8'), 'other of', 'which stays')
    write(third, 'other of')
    both[1].child.kill('SIGTERM')
    t.equal(await both[1].ended, 0, both[1].output())
    const denied = startCommand(t, ['log', 'ship', folder, '--to', to.replace('models', 'nowhere')], env)
    t.equal(await denied.ended, 1)
    t.match(denied.output(), /NoSuchBucket|HTTP 404/)
  })
