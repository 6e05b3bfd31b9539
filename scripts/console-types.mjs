// Writes build/console-api.d.ts: the types of the HTTP interface, by which the console's client is checked.
//   node scripts/console-types.mjs [OpenAPI document]    default: of the server that is built
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import openapiTS, { astToString } from 'openapi-typescript'
import { startServer } from './server.mjs'

const root = join(import.meta.dirname, '..')
const [file] = process.argv.slice(2)
const document = file === undefined ? await ask() : JSON.parse(readFileSync(file, 'utf8'))
writeFileSync(join(root, 'build/console-api.d.ts'), astToString(await openapiTS(document)))

/** The document of a server without models. */
async function ask() {
  const models = mkdtempSync(join(tmpdir(), 'multigate-types-'))
  try {
    const { url, stop } = await startServer(['--models', models], { cwd: root })
    const document = await (await fetch(`${url}/docs/json`)).json()
    await stop()
    return document
  } finally {
    rmSync(models, { recursive: true, force: true })
  }
}
