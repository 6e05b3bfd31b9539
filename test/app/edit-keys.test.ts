import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Keyring } from '../../src/server/security/keyring.ts'
import { addKey, describeKeys, removeKey } from '../../src/tools/keys/edit-keys.ts'
import { temporaryFolder } from '../support/bundle.ts'

const entry = (id: string, more: object = {}) => ({ id, scopes: ['predict' as const], ...more })

t.test('a key is printed once, and recognised by the file', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  const { key, created } = await addKey(file, entry('a', { models: ['ads'], rows_per_second: 10 }))
  t.ok(created)
  t.match(key, /^mg_[\w-]{43}$/)
  const text = readFileSync(file, 'utf8')
  t.notOk(text.includes(key))
  t.match(new Keyring(text).find(key), { id: 'a' })
  t.match(await describeKeys(file), /^a +predict +ads +— +10 +— +— +— +never$/m)
  await t.rejects(addKey(file, entry('a')), /has a key a already/)
  await t.rejects(removeKey(file, 'b'), /has no key b/)
  await removeKey(file, 'a')
  t.match(await describeKeys(file), /has no keys/)
  t.notOk(existsSync(`${file}.lock`))
})

t.test('changes at the same time are all kept; a revoked key does not come back', async (t) => {
  const file = join(await temporaryFolder(t), 'keys.json')
  await addKey(file, entry('old'))
  await Promise.all([removeKey(file, 'old'), ...['a', 'b', 'c', 'd'].map((id) => addKey(file, entry(id)))])
  const { keys } = JSON.parse(readFileSync(file, 'utf8'))
  t.same(keys.map(({ id }: { id: string }) => id).sort(), ['a', 'b', 'c', 'd'])
})

t.test('a file that is none changes nothing', async (t) => {
  const folder = await temporaryFolder(t)
  await t.rejects(addKey(join(folder, 'none/keys.json'), entry('a')), /can't be written/)
  await t.rejects(describeKeys('/dev/zero'), /pipe or a device/)
  const link = join(folder, 'link')
  symlinkSync('gone/keys.json', link)
  await t.rejects(addKey(link, entry('a')), /link is a link to gone\/keys\.json, which is missing/)
  t.ok(lstatSync(link).isSymbolicLink())
  const open = join(folder, 'open.json')
  await addKey(open, entry('a'))
  chmodSync(open, 0o666)
  await t.rejects(addKey(open, entry('b')), /is writable by everyone, who could add keys: chmod o-w/)
})
