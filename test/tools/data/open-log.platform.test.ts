import { readdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { needsPython, startStore } from '../../support/object-stores.ts'
import { startProcess } from '../../support/process.ts'

/* The log of a server is copied into stores that others wrote, and read from there. */

const contexts = [3, 12, 20].map((hour) => ({ country: 'DE', hour, segment: 's17' }))
const candidates = ['a', 'b'].map((id, i) => ({ id, campaign: `c${i}`, price: 1 + i }))

const folder = await temporaryFolder(t)
const log = join(folder, 'log')
t.test('a server writes a log', async (t) => {
  const server = await startProcess(t, { MULTIGATE_PREDICTION_LOG: log, MULTIGATE_MODELS: 'models' })
  for (const context of contexts) {
    const answer = await fetch(`http://127.0.0.1:${server.port}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'ads-funnel', context, candidates }),
    })
    t.equal(answer.status, 200)
  }
  server.child.kill('SIGTERM')
  await server.ended
})

for (const kind of ['s3', 'gcs'] as const)
  t.test(`${kind}: the log in a bucket reads like the one in a folder`, needsPython, async (t) => {
    const { env, put } = await startStore(t, kind)
    const bucket = `${kind === 's3' ? 's3' : 'gs'}://models/log`
    const run = (...args: string[]) => runCli(args, env)
    const both = async (...args: string[]) => {
      const of = (place: string) => run(...args.map((arg) => (arg === 'LOG' ? place : arg)))
      const [local, there] = [await of(log), await of(bucket)]
      for (const { code, stderr } of [local, there]) t.equal(code, 0, stderr)
      return [local.stdout, there.stdout] as const
    }
    for (const entry of await readdir(log, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isFile()) await put(`log/${relative(log, path)}`, path)
    }
    for (const args of [
      ['stats', 'LOG', '--json'],
      ['tail', 'LOG'],
    ]) {
      const [local, there] = await both('log', ...args)
      t.equal(there, local)
    }
    const [local, there] = (await both('replay', 'LOG', '--model', 'ads-funnel', '--against', '1', '--json')).map(
      (output) => JSON.parse(output),
    )
    t.match(there, {
      log: bucket,
      requests: 3,
      rows: 6,
      tasks: local.tasks.map(({ same }: { same: number }) => ({ same })),
    })
    const spec = join(folder, 'spec.json')
    await writeFile(join(folder, 'events.csv'), 'request,ad\nnone,a\n')
    const label = { name: 'click', csv: 'events.csv', request: 'request', candidate: 'ad' }
    const specOf = (data: object) => writeFile(spec, JSON.stringify({ data, tasks: [{ name: 'ctr', label: 'click' }] }))
    await specOf({ log: bucket, labels: label })
    const judged = await run('evaluate', 'ads-funnel', '--data', spec)
    t.match(judged.stderr, /none of 1 events of click is of a row of the log/, 'its rows were read')
    await specOf({ log: `${bucket}/none`, labels: label })
    t.match(
      (await run('evaluate', 'ads-funnel', '--data', spec)).stderr,
      /\/data\/log .*models\/log\/none has no files/,
    )
    await specOf({ log: bucket.replace('models', 'nowhere'), labels: label })
    t.match((await run('evaluate', 'ads-funnel', '--data', spec)).stderr, /\/data\/log .*(NoSuchBucket|HTTP 404)/)
  })
