import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'tap'

const script = pathToFileURL(join(import.meta.dirname, '../../../scripts/lock.mjs')).href

test('a lock that many processes want at once has one owner at a time', async (t) => {
  const folder = t.testdir()
  // Says so where it is not alone.
  const owner = (name: string) => `
    import { closeSync, openSync, unlinkSync } from 'node:fs'
    const { takeLock } = await import('${script}')
    await takeLock('${join(folder, name)}')
    closeSync(openSync('${name}', 'wx'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    unlinkSync('${name}')`
  for (const name of ['a', 'b', 'c']) {
    const owners = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', owner(name)], { cwd: folder, stdio: 'inherit' }),
    )
    const codes = await Promise.all(owners.map(async (process) => (await once(process, 'close'))[0]))
    t.same(codes, [0, 0, 0, 0, 0, 0])
  }
})
