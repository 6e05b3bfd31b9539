import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { close, root, startClientDocs } from '../support/client-docs.ts'
import { writeDeclarations } from '../support/declarations.ts'
import { until } from '../support/until.ts'

/*
 * docs/clients.md: curl, JavaScript and TypeScript.  python.full.test.ts has the rest.
 */

const { fences, names, codeOf, folder, clicks, run } = await startClientDocs(t)
const [first, second] = clicks

t.test('no block of code is left out', async (t) => {
  t.equal(fences, names.length)
  t.ok(names.length > 10)
})

t.test('curl', async (t) => {
  const { predictions } = JSON.parse((await run('bash', ['-c', codeOf('curl')])).stdout)
  t.match(predictions, [{ id: 'ad-2', index: 1, score: Number }])
  t.ok(close(predictions[0].ctr, second))
  const rows = JSON.parse((await run('bash', ['-c', codeOf('serving-curl')])).stdout).predictions
  t.ok(rows.length === 2 && close(rows[0].ctr, first) && close(rows[1].ctr, second))
  const lists = JSON.parse((await run('bash', ['-c', codeOf('curl-lists')])).stdout)
  t.match(lists.predictions, [
    { id: 'ad-1', ctr: Number },
    { id: 'ad-2', ctr: Number },
  ])
  const byId = JSON.parse((await run('bash', ['-c', codeOf('curl-by-id')])).stdout).predictions
  t.ok(byId[0].id === 'ad-1' && close(byId[0].ctr, first) && close(byId[1].ctr, second))
  const compressed = JSON.parse((await run('bash', ['-c', codeOf('curl-gzip')])).stdout)
  t.equal(compressed.predictions.ctr.length, 2)
})

t.test('fetch', async (t) => {
  await writeFile(join(folder, 'fetch.mjs'), codeOf('fetch'))
  const { stdout, stderr } = await run(process.execPath, ['fetch.mjs'])
  t.ok(close(stdout, first), stdout + stderr)
})

t.test('openapi-fetch, and in your own process', async (t) => {
  await writeDeclarations()
  const generated = await run('bash', ['-c', codeOf('openapi-typescript')])
  t.equal(generated.status, 0, generated.stderr)
  const files = ['openapi-fetch', 'load-model', 'plugin']
  for (const name of files) await writeFile(join(folder, `${name}.ts`), codeOf(name))
  // The host says where it listens, and stops when it is told.
  const more = "\nconsole.log(JSON.stringify(app.addresses()))\nprocess.once('SIGTERM', () => app.close())\n"
  await writeFile(join(folder, 'plugin.ts'), codeOf('plugin').replace('port: 3001', 'port: 0') + more)
  const compilerOptions = {
    strict: true,
    skipLibCheck: true,
    target: 'es2023',
    module: 'nodenext',
    lib: ['es2023', 'dom'],
    types: ['node'],
  }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: files.map((name) => `${name}.ts`) }),
  )
  const tsc = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
  t.equal(tsc.stdout + tsc.stderr, '')

  await t.test('openapi-fetch', async (t) => {
    const { stdout, stderr } = await run(process.execPath, ['openapi-fetch.js'])
    t.ok(close(stdout, first), stdout + stderr)
  })
  await t.test('loadModel', async (t) => {
    const { status, stdout, stderr } = await run(process.execPath, ['load-model.js'])
    t.equal(status, 0, stderr)
    t.match(stdout, /^ad-2 \d+\.\d+\nad-1 \d+\.\d+\n$/)
  })
  await t.test('a plugin', async (t) => {
    const child = spawn(process.execPath, ['plugin.js'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    t.teardown(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (part) => (output += part))
    await until(() => output.includes('\n') || child.exitCode !== null)
    const origin = `http://127.0.0.1:${JSON.parse(output)[0].port}`
    t.equal(await (await fetch(origin)).text(), 'mine')
    await until(async () => (await fetch(`${origin}/rank/readyz`)).ok)
    t.equal((await fetch(`${origin}/rank/v2/models/ads-funnel/ready`)).status, 200)
    child.kill('SIGTERM')
    t.equal((await ended)[0], 0)
  })
})
