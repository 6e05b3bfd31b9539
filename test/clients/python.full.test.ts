import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { close, type Output, startClientDocs } from '../support/client-docs.ts'
import { type Python, pythonWith } from '../support/python.ts'

/*
 * Clients in Python: what openapi-python-client makes of /docs/json, and the examples of docs/clients.md.
 */

const { codeOf, folder, clicks, run, post, document, origin } = await startClientDocs(t)
const [first, second] = clicks
const generator = await pythonWith(['openapi-python-client'])
const triton = await pythonWith(['tritonclient[http]'])
const kserve = process.env.MULTIGATE_TEST_KSERVE
  ? await pythonWith(['kserve'])
  : 'kserve brings 430 MB of packages; MULTIGATE_TEST_KSERVE=1 asks it too'

testWith('openapi-python-client makes a client that works, and leaves nothing out', generator, async (t, generator) => {
  const made = join(folder, 'made')
  await mkdir(join(made, 'multigate_client'), { recursive: true })
  const path = join(made, 'openapi.json')
  await writeFile(path, JSON.stringify(document))
  const said = await generator.runModule('openapi_python_client', [
    ...['generate', '--path', path, '--output-path', join(made, 'multigate_client'), '--meta', 'none', '--overwrite'],
  ])
  t.notMatch(said, /warning|unable|skipping|error/i)
  const asked = JSON.parse(await generator.run('openapi-python-client/ask.py', [origin], [made]))
  const { value } = document.paths['/predict'].post.requestBody.content['application/json'].examples.rows
  const { predictions } = await post(value)
  t.same(asked.tasks, ['ctr', 'cvr', 'ctcvr'])
  t.same(asked.rows, predictions)
  t.same(asked.columns, {
    id: ['ad-1', 'ad-2'],
    ...Object.fromEntries(['ctr', 'cvr', 'ctcvr'].map((task) => [task, predictions.map((row: any) => row[task])])),
  })
  t.match(asked.best, { id: 'ad-2', index: 1 })
  t.ok(asked.best.score > 0 && asked.best.raw > 0 && asked.experts > 1)
  t.same(asked.problem, [400, 'INVALID_REQUEST', ['/candidates/1/price']])
  t.same(asked.unknown, [404, 'MODEL_NOT_FOUND'])
})

// It has httpx of its own.
for (const name of ['httpx', 'serving-httpx']) {
  testWith(name, generator, (t, python) =>
    example(t, name, python, ({ stdout }) => {
      const [one, other] = JSON.parse(stdout)
      t.ok(close(one, first) && close(other, second), stdout)
    }),
  )
}

testWith('httpx, by id', generator, (t, python) =>
  example(t, 'httpx-by-id', python, ({ stdout }) => {
    const clicks = JSON.parse(stdout.replaceAll("'", '"'))
    t.same(Object.keys(clicks), ['ad-1', 'ad-2'])
    t.ok(close(clicks['ad-1'], first) && close(clicks['ad-2'], second), stdout)
  }),
)

testWith('a generated client', generator, async (t, python) => {
  const env = { PYTHONPATH: join(python.bin, '..'), PATH: python.bin }
  const generated = await run('bash', ['-c', codeOf('openapi-python-client')], env)
  t.equal(generated.status, 0, generated.stderr)
  await example(t, 'generated-python', python, ({ stdout }) => t.ok(close(stdout, first), stdout))
})

// The tensors of these two are rounded.
testWith('tritonclient', triton, (t, python) =>
  example(t, 'tritonclient', python, ({ stdout }) => t.ok(close(stdout.replace(/[[\]\s]/g, ''), first, 1e-2), stdout)),
)

testWith('tritonclient, with lists', triton, (t, python) =>
  example(t, 'tritonclient-lists', python, async ({ stdout }) => {
    const { predictions } = JSON.parse((await run('bash', ['-c', codeOf('curl-lists')])).stdout)
    const given: number[] = JSON.parse(stdout).flat()
    t.equal(given.length, 2)
    for (const [i, { ctr }] of predictions.entries()) t.ok(close(given[i], ctr), `${given[i]} is ${ctr}`)
  }),
)

testWith('tritonclient, by id', triton, (t, python) =>
  example(t, 'tritonclient-by-id', python, ({ stdout }) => {
    const [one, other] = JSON.parse(stdout).flat()
    t.ok(close(one, first) && close(other, second), stdout)
  }),
)

testWith('kserve', kserve, (t, python) =>
  example(t, 'kserve', python, ({ stdout }) => {
    t.match(stdout, /^ctr \[\[.*\]\]\ncvr \[\[.*\]\]\nctcvr \[\[.*\]\]\n$/)
    t.ok(close(/^ctr \[\[(.*)\]\]/.exec(stdout)?.[1], first, 1e-2), stdout)
  }),
)

/** A test that needs Python with some packages; skipped where these can't be had, with the reason. */
function testWith(name: string, python: Python | string, work: (t: Test, python: Python) => Promise<void>): void {
  t.test(name, { skip: typeof python === 'string' ? python : false }, (t) => work(t, python as Python))
}

/** Runs a block of Python. */
async function example(t: Test, name: string, python: Python, check: (output: Output) => unknown): Promise<void> {
  // Not by the name of a package, which it would hide.
  const script = `ask-${name}.py`
  await writeFile(join(folder, script), codeOf(name))
  const paths = [join(python.bin, '..'), folder].join(delimiter)
  const output = await run('python3', [script], { PYTHONPATH: paths })
  t.equal(output.status, 0, output.stderr)
  await check(output)
}
