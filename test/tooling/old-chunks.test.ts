import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const { removeOldChunks } = (await import(new URL('../../../scripts/old-chunks.mjs', import.meta.url).href)) as {
  removeOldChunks(folder: string, written: string[]): void
}

t.test('the chunks of the last other build stay, however often a build is repeated', async (t) => {
  const folder = t.testdir({ console: {}, 'licenses.txt': '' })
  const build = (...written: string[]) => {
    for (const name of written) writeFileSync(join(folder, name), '')
    removeOldChunks(folder, written)
    return readdirSync(folder).filter((name) => name.endsWith('.js'))
  }
  t.same(build('main.js', 'a-1.js'), ['a-1.js', 'main.js'])
  const both = ['a-1.js', 'a-2.js', 'main.js']
  t.same(build('main.js', 'a-2.js'), both)
  t.same(build('main.js', 'a-2.js'), both, 'a server of the first build may still run')
  t.same(build('main.js', 'a-3.js'), ['a-2.js', 'a-3.js', 'main.js'])
  t.same(build('main.js'), ['a-3.js', 'main.js'], 'chunks that are gone')
  t.ok(readdirSync(folder).includes('licenses.txt'))
})
