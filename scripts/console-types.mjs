// Writes build/console-api.d.ts: the types of the HTTP interface, by which the console's client is checked.
//   node scripts/console-types.mjs [OpenAPI document]    default: of the server that is built
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import openapiTS, { astToString } from 'openapi-typescript'

const root = join(import.meta.dirname, '..')
const [file] = process.argv.slice(2)
const document = file === undefined ? await ask() : JSON.parse(readFileSync(file, 'utf8'))
writeFileSync(join(root, 'build/console-api.d.ts'), astToString(await openapiTS(document)))

/** The document of a server without models. */
async function ask() {
  const models = mkdtempSync(join(tmpdir(), 'multigate-types-'))
  const server = spawn(process.execPath, [join(root, 'dist/main.js'), '--port', '0', '--models', models], {
    env: { ...process.env, MULTIGATE_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    for await (const line of createInterface({ input: server.stdout })) {
      const [url] = /https?:\/\/[^\s"/]+/.exec(line) ?? []
      if (url !== undefined) return await (await fetch(`${url}/docs/json`)).json()
    }
    throw new Error('the server did not start')
  } finally {
    server.kill()
    rmSync(models, { recursive: true, force: true })
  }
}
