import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { runCli, spawnCli } from '../support/cli.ts'
import { send, startProcess } from '../support/process.ts'
import { until } from '../support/until.ts'

const payload = JSON.stringify({
  model: 'ads',
  context: { country: 'DE', hour: 21 },
  candidates: [{ campaign: 'c9', price: 1.25 }],
})
const predict = (port: number) => send(port, '/predict', { payload })
const polled = { MULTIGATE_POLL_SECONDS: '0.05' }
const multigate = (...args: string[]) => runCli(args)
const listed = async (port: number) =>
  JSON.parse((await send(port, '/models')).text).models.find((model: any) => model.name === 'ads')

/** Events that the console's live page has, once the last change is among them. */
async function liveEvents(port: number, authorization: string): Promise<any[]> {
  const read = async () => {
    const stop = new AbortController()
    const answer = await fetch(`http://127.0.0.1:${port}/console/live`, {
      headers: { authorization },
      signal: stop.signal,
    })
    let text = ''
    for await (const piece of answer.body as any) {
      text += Buffer.from(piece)
      if (/^event: history\ndata: .*\n\n/m.test(text)) break
    }
    stop.abort()
    return [...text.matchAll(/^data: (.*)$/gm)].flatMap(([, data]) => JSON.parse(data!).events ?? [])
  }
  let events: any[] = []
  await until(async () => {
    events = await read()
    return events.some(({ kind }) => kind === 'version_unpinned')
  })
  return events
}

t.test('a version is pinned and rolled back while it is served, without a further load', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  const { port, lines } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_KEEP_PREVIOUS_SECONDS: '600',
    ...polled,
  })
  const version = async () => JSON.parse((await predict(port)).text).version
  await writeTestBundle(models, { version: '2', seed: 2 })
  await until(async () => (await version()) === '2')
  const pinned = await spawnCli(['pin', 'ads', '1', '--models', models])
  t.equal(
    pinned.stdout,
    'Version 1 of ads is pinned. A running server follows at its next scan of the folder, within 10 s (MULTIGATE_POLL_SECONDS); with --url it follows immediately.\n',
  )
  await until(async () => (await version()) === '1')
  t.match(await listed(port), { pin: '1', default_version: '1' })
  t.equal(JSON.parse((await send(port, '/models/ads')).text).version, '1')
  const unpinned = await spawnCli(['unpin', 'ads', '--models', models])
  t.match(unpinned.stdout, /^Version 1 of ads is no longer pinned\./)
  await until(async () => (await version()) === '2')
  t.notOk('pin' in (await listed(port)))
  t.notOk((await readdir(join(models, 'ads'))).includes('labels.json'), 'an empty file of labels is removed')
  t.match((await multigate('unpin', 'ads', '--models', models)).stdout, /^No version of ads was pinned/)
  t.equal(lines().filter(({ msg }) => msg === 'model loaded').length, 2)
  t.same(
    lines().flatMap(({ msg, previous, version }) => (msg === 'another version answers' ? [[previous, version]] : [])),
    [
      ['1', '2'],
      ['2', '1'],
      ['1', '2'],
    ],
  )
  t.match(await multigate('pin', 'ads', '7', '--models', models), {
    code: 1,
    stderr: 'ads has no version 7; it has 1, 2\n',
  })
  t.match(await multigate('pin', 'ads', 'newest', '--models', models), { code: 2, stderr: /positive whole number/ })
  t.match(await multigate('pin', 'shop', '1', '--models', models), {
    code: 1,
    stderr: /There is no model "shop" in /,
  })
})

t.test('with --url the server is asked, and follows before the command ends', async (t) => {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  await writeTestBundle(models)
  await writeTestBundle(models, { version: '2', seed: 2 })
  const keys = join(folder, 'keys.json')
  const keyFile = join(folder, 'ci.key')
  const sha256 = createHash('sha256').update('secret-of-ci').digest('hex')
  await writeFile(keys, JSON.stringify({ keys: [{ id: 'ci', sha256, scopes: ['predict', 'metrics', 'admin'] }] }))
  await writeFile(keyFile, 'secret-of-ci\n')
  const { port, lines } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_KEYS: keys,
    MULTIGATE_OPEN: 'predict',
    ...polled,
  })
  const url = `http://127.0.0.1:${port}`
  const version = async () => JSON.parse((await predict(port)).text).version
  const multigate = (...args: string[]) => runCli([...args, '--key-file', keyFile])
  t.match(await multigate('pin', 'ads', '1', '--url', url), {
    code: 0,
    stdout: `Version 1 of ads is pinned at ${url}: version 1 answers.\n`,
  })
  t.equal(await version(), '1')
  t.match(await multigate('unpin', 'ads', '--url', url), {
    code: 0,
    stdout: `No version of ads is pinned at ${url}: version 2 answers.\n`,
  })
  t.equal(await version(), '2')
  t.match(await multigate('pin', 'ads', '7', '--url', url), {
    code: 1,
    stderr: `POST ${url}/models/ads/pin answers 404: ads has no version 7; it has 1, 2\n`,
  })
  await mkdir(join(models, 'ads/3'))
  await writeFile(join(models, 'ads/3/manifest.json'), '{')
  // A scan may have met it before.
  const failed = await multigate('pin', 'ads', '3', '--url', url)
  t.match(failed, { code: 1, stderr: /answers 503: Version 3 of ads failed to load and (?:is|was) not pinned/ })
  t.match(await multigate('pin', 'ads', '1', '--url', 'http://127.0.0.1:1'), { code: 1, stderr: /can't be reached/ })
  t.match(await multigate('pin', 'ads', '1', '--url', 'elsewhere'), { code: 2, stderr: /http:\/\/ or https:\/\// })
  t.match(await multigate('unpin', 'ads', '--url', url, '--models', models), { code: 2, stderr: /cannot be used with/ })

  // Others change the folder: the command, and an editor.
  await rm(join(models, 'ads/3'), { recursive: true })
  await runCli(['pin', 'ads', '1', '--models', models])
  await until(async () => (await version()) === '1')
  await writeFile(join(models, 'ads/labels.json'), '{}')
  await until(async () => (await version()) === '2')
  const authorization = 'Bearer secret-of-ci'
  for (const action of ['unload', 'load']) {
    const options = { method: 'POST', headers: { authorization } }
    t.equal((await fetch(`${url}/v2/repository/models/ads/${action}`, options)).status, 200)
  }
  t.same(
    lines().flatMap(({ audit, version, by, outcome }) => (audit ? [[audit, version, by, outcome]] : [])),
    [
      ['pin', '1', 'ci', 'done'],
      ['unpin', undefined, 'ci', 'done'],
      ['pin', '7', 'ci', 'VERSION_NOT_FOUND'],
      ['pin', '3', 'ci', 'NOT_READY'],
      ['unload', undefined, 'ci', 'done'],
      ['load', undefined, 'ci', 'done'],
    ],
  )
  const changes = ['version pinned', 'version unpinned', 'another version answers', 'model unloaded', 'model loaded']
  const last = lines().filter(({ msg, by }) => changes.includes(msg) && by !== undefined)
  const told = last.map(({ msg, version, by }) => [msg, version, by])
  for (const expected of [
    ['version pinned', '1', 'ci'],
    ['another version answers', '1', 'ci'],
    ['version unpinned', undefined, 'ci'],
    ['another version answers', '2', 'ci'],
    ['version pinned', '1', 'command'],
    ['another version answers', '1', 'command'],
    ['version unpinned', undefined, 'file'],
    ['another version answers', '2', 'file'],
    ['model unloaded', '2', 'ci'],
    ['model loaded', '2', 'ci'],
  ])
    t.ok(
      told.some((one) => JSON.stringify(one) === JSON.stringify(expected)),
      expected.join(' '),
    )
  const events = await liveEvents(port, authorization)
  t.ok(
    events.some(({ kind, by }) => kind === 'version_unpinned' && by === 'file'),
    JSON.stringify(events),
  )
})

t.test('a pin that can not be followed is reported, and what serves goes on', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeFile(join(models, 'ads/labels.json'), '{"$pin": "9"}')
  const { port, lines } = await startProcess(t, { MULTIGATE_MODELS: models, ...polled })
  t.equal((await predict(port)).status, 200)
  const problem = 'version 9 is pinned, but it is not in the folder; version 1 answers'
  t.match(await listed(port), { pin: '9', problem })
  t.ok(lines().some(({ msg, level }) => msg === `ads: ${problem}` && level === 40))
})
