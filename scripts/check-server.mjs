// Requests the golden rows of every model from a running server and compares the answers with the manifests.
//   node scripts/check-server.mjs URL MODELS_FOLDER
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const [url, folder] = process.argv.slice(2)
if (!url || !folder) {
  console.error('usage: check-server.mjs URL MODELS_FOLDER')
  process.exit(2)
}

let asked = 0
for (const { name, versions } of (await json('GET', '/models')).models) {
  const version = versions
    .filter(({ state }) => state === 'ready')
    .map(({ version }) => version)
    .sort((a, b) => Number(b) - Number(a))[0]
  const file = join(folder, name, String(version), 'manifest.json')
  if (version === undefined || !existsSync(file)) continue
  const { golden, tasks } = JSON.parse(readFileSync(file, 'utf8'))
  if (golden === undefined) continue

  const body = { model: name, version, candidates: golden.rows, options: { raw: true } }
  const { predictions } = await json('POST', '/predict', body)
  if (predictions?.length !== golden.rows.length)
    fail(`${name}: ${golden.rows.length} rows requested, but the answer has ${predictions?.length}`)
  predictions.forEach((prediction, row) => {
    tasks.forEach((task, column) => {
      const expected = golden.probabilities[row][column]
      const difference = Math.abs(prediction.raw?.[task.name] - expected)
      if (!(difference <= golden.tolerance)) {
        fail(`${name}: row ${row}, ${task.name}: ${prediction.raw?.[task.name]} instead of ${expected}`)
      }
    })
  })
  console.log(`${name}/${version}: ${golden.rows.length} golden rows answered correctly`)
  asked++
}
if (asked === 0)
  fail(`the server has no model with golden rows (of those in ${readdirSync(folder).join(', ') || 'an empty folder'})`)

async function json(method, path, body) {
  const reply = await fetch(new URL(path, url), {
    method,
    headers: body && { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await reply.text()
  if (!reply.ok) fail(`${method} ${path}: ${reply.status} ${text}`)
  return JSON.parse(text)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
