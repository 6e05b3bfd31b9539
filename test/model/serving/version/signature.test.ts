import { generateKeyPairSync, type KeyObject } from 'node:crypto'
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
import {
  parsePublicKeys,
  readSignedBundle,
  signatureFile,
  signVersion,
} from '../../../../src/model/serving/version/signature.ts'
import { temporaryFolder, writeTestBundle } from '../../../support/bundle.ts'

const pem = (key: KeyObject) => key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }) as string
const [ours, others] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]

async function signed(t: Test, pair = ours) {
  const root = await temporaryFolder(t)
  await writeTestBundle(root)
  const folder = join(root, 'ads/1')
  const key = join(root, 'signing.pem')
  writeFileSync(key, pem(pair.privateKey))
  await signVersion(folder, key)
  return { root, folder, key }
}

t.test('a version that one of the keys has signed is read', async (t) => {
  const { root } = await signed(t)
  const keys = parsePublicKeys(`${pem(others.publicKey)}\n${pem(ours.publicKey)}`)
  t.equal(keys.length, 2)
  t.match(await readSignedBundle(root, 'ads', '1', keys), { manifest: { name: 'ads' } })
})

t.test('a forged one is not, whatever was changed', async (t) => {
  const keys = [ours.publicKey]
  const refusal = (root: string) =>
    t.rejects(readSignedBundle(root, 'ads', '1', keys), {
      code: 'INVALID_BUNDLE',
      message: /is not the signature of manifest\.json/,
    })
  await refusal((await signed(t, others)).root)
  const changed = await signed(t)
  appendFileSync(join(changed.folder, 'manifest.json'), ' ')
  await refusal(changed.root)
  const garbled = await signed(t)
  writeFileSync(join(garbled.folder, signatureFile), 'not base64!')
  await refusal(garbled.root)
  const long = await signed(t)
  writeFileSync(join(long.folder, signatureFile), 'A'.repeat(2000))
  await t.rejects(readSignedBundle(long.root, 'ads', '1', keys), { message: /larger than 1024 bytes/ })
  const weights = await signed(t)
  const { files } = JSON.parse(readFileSync(join(weights.folder, 'manifest.json'), 'utf8'))
  appendFileSync(join(weights.folder, Object.keys(files)[0]!), ' ')
  await t.rejects(readSignedBundle(weights.root, 'ads', '1', keys), { message: /is damaged/ })
  const unsigned = await signed(t)
  rmSync(join(unsigned.folder, signatureFile))
  await t.rejects(readSignedBundle(unsigned.root, 'ads', '1', keys), {
    code: 'INVALID_BUNDLE',
    message:
      'ads/1/manifest.json.sig is missing; MULTIGATE_MODEL_KEYS asks for versions that multigate sign has signed',
  })
})

t.test('a manifest or a signature that links out of its folder is refused, though both are right', async (t) => {
  for (const [file, keys] of [
    ['manifest.json', [ours.publicKey]],
    ['manifest.json', []],
    [signatureFile, [ours.publicKey]],
  ] as const) {
    const { root, folder } = await signed(t)
    renameSync(join(folder, file), join(root, 'elsewhere'))
    symlinkSync('../../elsewhere', join(folder, file))
    await t.rejects(readSignedBundle(root, 'ads', '1', keys), {
      code: 'INVALID_BUNDLE',
      message: `ads/1/${file} leads out of its folder`,
    })
    // As Kubernetes mounts files.
    mkdirSync(join(folder, '..data'))
    renameSync(join(root, 'elsewhere'), join(folder, '..data', file))
    rmSync(join(folder, file))
    symlinkSync(join('..data', file), join(folder, file))
    t.match(await readSignedBundle(root, 'ads', '1', keys), { manifest: { name: 'ads' } })
  }
})

t.test('a signed version is of its own name and number alone', async (t) => {
  const { root } = await signed(t)
  cpSync(join(root, 'ads/1'), join(root, 'ads/2'), { recursive: true })
  cpSync(join(root, 'ads'), join(root, 'shop'), { recursive: true })
  const keys = [ours.publicKey]
  await t.rejects(readSignedBundle(root, 'ads', '2', keys), {
    message: /\/version is "1", but the folder is called 2$/,
  })
  await t.rejects(readSignedBundle(root, 'shop', '1', keys), {
    message: /\/name is "ads", but the folder is called shop$/,
  })
})

t.test('without keys signatures are not looked at', async (t) => {
  const { root } = await signed(t, others)
  t.match(await readSignedBundle(root, 'ads', '1', []), { manifest: { name: 'ads' } })
})

t.test('other keys are refused', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  t.throws(() => parsePublicKeys(pem(rsa.publicKey)), /key 1 is rsa, not ed25519/)
  t.throws(() => parsePublicKeys('nothing'), /holds no public key/)
  const { folder, key, root } = await signed(t)
  writeFileSync(key, pem(rsa.privateKey))
  await t.rejects(signVersion(folder, key), /is rsa, not ed25519/)
  writeFileSync(key, 'nothing')
  await t.rejects(signVersion(folder, key), /holds no private key/)
  writeFileSync(key, pem(ours.privateKey))
  await t.rejects(signVersion(join(root, 'none'), key), /manifest\.json is missing/)
})
