import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { temporaryFolder } from '../support/bundle.ts'
import { whenReady } from '../support/process.ts'

/*
 * The container of KServe's ServingRuntime, with what KServe's storage initializer puts into /mnt/models.
 */

const root = join(import.meta.dirname, '../../..')
const { spec } = parse(readFileSync(join(root, 'deploy/kserve/serving-runtime.yaml'), 'utf8'))
const [container] = spec.containers

t.test('KServe expands one template, and Kubernetes no variable', async (t) => {
  const script: string = container.args[0]
  t.same(script.match(/\{\{.*?\}\}/g), ['{{.Name}}'])
  t.equal(script.match(/\{\{/g)?.length, 1)
  t.notMatch(script, /\$\(/)
})

/** The port of the container's own command, whose /mnt/models is `models`. */
async function start(t: Test, folder: string, models: string): Promise<number> {
  const [command, ...options] = container.command
  const script = container.args[0]
    .replaceAll('/mnt/models', models)
    .replaceAll('/tmp/models', join(folder, 'models'))
    .replaceAll('{{.Name}}', 'ranker')
  const env = Object.fromEntries(
    container.env.map(({ name, value }: any) => [name, value.replace('/tmp/', `${folder}/`)]),
  )
  const variables = {
    ...process.env,
    ...env,
    MULTIGATE_PORT: '0',
    MULTIGATE_WORKERS: '1',
    MULTIGATE_DRAIN_DELAY_MS: '0',
  }
  const child = spawn(command, [...options, script], { cwd: root, env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return whenReady({ child, ended, stdout: () => output.stdout, stderr: () => output.stderr, lines: () => [] })
}

const get = (port: number, path: string) =>
  fetch(`http://127.0.0.1:${port}${path}`).then(async (answer) => [answer.status, await answer.json()])

t.test('storageUri is one version: with a manifest it keeps its name and number', async (t) => {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'mnt')
  await cp(join(root, 'models/ads-funnel/1'), models, { recursive: true })
  const port = await start(t, folder, models)
  t.match(await get(port, '/v2/models/ads-funnel/versions/1'), [200, { name: 'ads-funnel', versions: ['1'] }])
  t.match(await get(port, '/v2/models/ads-funnel/ready'), [200, {}])
  const answer = await fetch(`http://127.0.0.1:${port}/v2/models/ads-funnel/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [
        { name: 'country', shape: [1, 1], datatype: 'BYTES', data: ['DE'] },
        { name: 'hour', shape: [1, 1], datatype: 'INT64', data: [21] },
        { name: 'segment', shape: [1, 1], datatype: 'BYTES', data: ['s17'] },
        { name: 'campaign', shape: [1, 1], datatype: 'BYTES', data: ['c9'] },
        { name: 'price', shape: [1, 1], datatype: 'FP32', data: [1.25] },
      ],
    }),
  })
  t.match(await answer.json(), { model_name: 'ads-funnel', outputs: [{ name: 'ctr', data: [Number] }] })
})

t.test('a graph alone is named after the InferenceService', async (t) => {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'mnt')
  await mkdir(models)
  await cp(join(root, 'test/fixtures/pytorch/mmoe-bmm-dynamo.onnx'), join(models, 'model.onnx'))
  const port = await start(t, folder, models)
  t.match(await get(port, '/v2/models/ranker'), [200, { name: 'ranker', versions: ['1'] }])
})

t.test('storageUri is a folder of models', async (t) => {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'mnt')
  for (const name of ['ads-funnel', 'census-income'])
    await cp(join(root, 'models', name), join(models, name), { recursive: true })
  const port = await start(t, folder, models)
  for (const name of ['ads-funnel', 'census-income']) t.match(await get(port, `/v2/models/${name}/ready`), [200, {}])
})
