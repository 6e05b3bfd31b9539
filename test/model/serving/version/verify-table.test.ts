import { generateKeyPairSync } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { signVersion } from '../../../../src/model/serving/version/signature.ts'
import { verifyTable } from '../../../../src/model/serving/version/verify-table.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { writeTable } from '../../../support/tables.ts'

const [ours, others] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]

async function signed(t: Test, { privateKey } = ours) {
  const root = await temporaryFolder(t)
  const { folder } = await writeTable(root, 'ads', [
    { id: 'a', price: 1 },
    { id: 'b', price: 2.5 },
  ])
  const key = join(root, 'signing.pem')
  writeFileSync(key, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  t.equal(await signVersion(folder, key), join(folder, 'table.json.sig'))
  return { root, folder, verify: (version = '1', table = 'ads') => verifyTable(root, table, version, [ours.publicKey]) }
}

t.test('a table that one of the keys has signed is accepted, with deltas beside what is signed', async (t) => {
  const { root, folder, verify } = await signed(t)
  await verify()
  mkdirSync(join(folder, 'deltas'))
  writeFileSync(join(folder, 'deltas/delta-1.bin'), 'x')
  await verify()
  await verifyTable(root, 'ads', '1', [others.publicKey, ours.publicKey])
})

t.test('one that is not signed, was changed, or is of another key is named', async (t) => {
  const unsigned = await signed(t)
  rmSync(join(unsigned.folder, 'table.json.sig'))
  await t.rejects(unsigned.verify(), {
    code: 'INVALID_BUNDLE',
    message:
      '.tables/ads/1/table.json.sig is missing; MULTIGATE_MODEL_KEYS asks for versions that multigate sign has signed',
  })
  await t.rejects((await signed(t, others)).verify(), {
    message: '.tables/ads/1/table.json.sig is not the signature of table.json by one of MULTIGATE_MODEL_KEYS',
  })
  const described = await signed(t)
  appendFileSync(join(described.folder, 'table.json'), ' ')
  await t.rejects(described.verify(), { message: /ads\/1\/table\.json\.sig is not the signature/ })
  for (const file of ['rows.bin', 'index.bin']) {
    const { root, folder, verify } = await signed(t)
    const bytes = readFileSync(join(folder, file))
    bytes[0]! ^= 1
    writeFileSync(join(folder, file), bytes)
    const message = new RegExp(
      `^\\.tables/ads/1/${file} is damaged: its SHA-256 is \\w{64}, the description says \\w{64}$`,
    )
    await t.rejects(verify(), { message })
    await t.rejects(verifyTable(root, 'ads', '1', []), { message }, 'without keys, too')
  }
})

t.test('a signed table is of its own name and number alone', async (t) => {
  const { root, folder, verify } = await signed(t)
  cpSync(folder, join(root, '.tables/ads/2'), { recursive: true })
  cpSync(join(root, '.tables/ads'), join(root, '.tables/users'), { recursive: true })
  await t.rejects(verify('2'), { message: /table\.json: \/version is "1", but the folder is called 2$/ })
  await t.rejects(verify('1', 'users'), { message: /table\.json: \/name is "ads", but the folder is called users$/ })
})

t.test('a file that links out of the folder is refused', async (t) => {
  for (const file of ['table.json', 'table.json.sig', 'rows.bin']) {
    const { root, folder, verify } = await signed(t)
    renameSync(join(folder, file), join(root, 'elsewhere'))
    symlinkSync('../../../elsewhere', join(folder, file))
    await t.rejects(verify(), { message: `.tables/ads/1/${file} leads out of its folder` })
  }
})
