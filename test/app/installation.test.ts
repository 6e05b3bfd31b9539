import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { watchInstallation } from '../../src/app/installation.ts'
import { temporaryFolder } from '../support/bundle.ts'

t.test('an installation that is removed or replaced is reported once', async (t) => {
  const entry = join(await temporaryFolder(t), 'main.js')
  for (const change of [
    () => rm(entry),
    () => writeFile(`${entry}.new`, 'other').then(() => rename(`${entry}.new`, entry)),
  ]) {
    await writeFile(entry, 'one')
    const warnings: unknown[] = []
    const look = await watchInstallation(entry, { warn: (_: unknown, message?: string) => warnings.push(message) })
    await look()
    t.same(warnings, [])
    await change()
    await look()
    await look()
    t.equal(warnings.length, 1)
    t.match(warnings[0], /the installation was removed or replaced: .*restart the server/)
  }
})
