import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileProblem, realPathInside, replaceFile, sizeOfOrdinary } from '../../../base/files.ts'
import { manifestFile } from '../bundle/manifest.ts'
import type { Bundle } from '../bundle/read.ts'
import { descriptionFile } from '../tables/table-folder.ts'
import { readBundle, readDescription } from './read-version.ts'

/*
 * Signed versions: an ed25519 signature of the manifest, or of the description of a table. Each has the checksum of
 * every other file.
 */

/** Beside the file that is signed; base64 of 64 bytes. */
const signatureOf = (file: string) => `${file}.sig`

/** The signature of a manifest. */
export const signatureFile = signatureOf(manifestFile)

/** Bytes of a signature file, at most. */
const longestSignature = 1024

/** The ed25519 public keys of a text in PEM. Throws an Error if there is none, or another kind of key. */
export function parsePublicKeys(pem: string): KeyObject[] {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g)
  if (blocks === null) throw new Error('holds no public key in PEM')
  return blocks.map((block, i) => {
    const key = createPublicKey(block)
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`: key ${i + 1} is ${key.asymmetricKeyType}, not ed25519`)
    return key
  })
}

/**
 * Signs the version in a folder, of a model or of a table. Rejects with an Error if there is no manifest or
 * description, or no ed25519 private key in PEM.
 */
export async function signVersion(folder: string, keyFile: string): Promise<string> {
  const pem = await readFile(keyFile, 'utf8').catch((cause) => {
    throw new Error(`${keyFile} ${fileProblem(cause)}`)
  })
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new Error(`${keyFile} holds no private key in PEM`)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${keyFile} is ${key.asymmetricKeyType}, not ed25519`)
  const names = await readdir(folder).catch((): string[] => [])
  const isTable = names.includes(descriptionFile) && !names.includes(manifestFile)
  const file = join(folder, isTable ? descriptionFile : manifestFile)
  const content = await readFile(file).catch((cause) => {
    throw new Error(`${file} ${fileProblem(cause)}`)
  })
  const path = signatureOf(file)
  await replaceFile(path, `${sign(null, content, key).toString('base64')}\n`).catch((cause) => {
    throw new Error(`${path} can't be written: ${fileProblem(cause)}`)
  })
  return path
}

/**
 * Reads a version whose manifest one of the keys has signed; any version where there are no keys. Throws INVALID_BUNDLE
 * as `readBundle` does, and where the signature is missing, is outside the folder, or is not of these keys.
 */
export async function readSignedBundle(
  root: string,
  name: string,
  version: string,
  keys: readonly KeyObject[],
): Promise<Bundle> {
  if (keys.length === 0) return readBundle(root, name, version)
  return whileSigned(root, `${name}/${version}`, manifestFile, keys, () => readBundle(root, name, version))
}

/** The same of what a version says of itself: see `readDescription`. */
export async function readSignedDescription(
  root: string,
  name: string,
  version: string,
  keys: readonly KeyObject[],
): Promise<Pick<Bundle, 'manifest' | 'manifestless'>> {
  if (keys.length === 0) return readDescription(root, name, version)
  return whileSigned(root, `${name}/${version}`, manifestFile, keys, () => readDescription(root, name, version))
}

/**
 * The result of `work`, which reads a version whose `file` is signed and stays the same meanwhile; `where`: the
 * version's folder below `root`.
 */
export async function whileSigned<T>(
  root: string,
  where: string,
  file: string,
  keys: readonly KeyObject[],
  work: () => Promise<T>,
): Promise<T> {
  const folder = join(root, where)
  const content = await read(folder, file, where)
  const name = signatureOf(file)
  const signature = Buffer.from((await read(folder, name, where, longestSignature)).toString('latin1'), 'base64')
  if (!keys.some((key) => verify(null, content, key, signature)))
    invalid(`${where}/${name} is not the signature of ${file} by one of MULTIGATE_MODEL_KEYS`)
  const done = await work()
  // Otherwise another one may have been read in between.
  if (!content.equals(await read(folder, file, where))) invalid(`${where}/${file} changed while it was read`)
  return done
}

async function read(folder: string, file: string, where: string, longest = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const isSignature = file.endsWith(signatureOf(''))
  const hint = isSignature ? '; MULTIGATE_MODEL_KEYS asks for versions that multigate sign has signed' : ''
  try {
    const path = await realPathInside(await realpath(folder), join(folder, file), `${where}/${file}`)
    if ((await sizeOfOrdinary(path)) > longest) invalid(`${where}/${file} is larger than ${longest} bytes`)
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    throw new ModelError('INVALID_BUNDLE', `${where}/${file} ${fileProblem(cause)}${hint}`, {
      cause,
      // A version that is not signed will not be until its folder changes.
      ...((cause as NodeJS.ErrnoException).code === 'ENOENT' && { transient: false }),
    })
  }
}

function invalid(message: string): never {
  throw new ModelError('INVALID_BUNDLE', message)
}
