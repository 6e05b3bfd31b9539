import { crc32 } from 'node:zlib'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { largestHdf5 } from './hdf5.ts'

/** The parts of a `.keras` file that define a model. */
export interface KerasArchive {
  config: string
  metadata: string
  weights: Uint8Array<ArrayBuffer>
}

/** Largest size of each part, decompressed, bytes. A layer takes about 1 KiB of config.json. */
const parts: Record<keyof KerasArchive, { entry: string; most: number }> = {
  config: { entry: 'config.json', most: 16 * 1024 * 1024 },
  metadata: { entry: 'metadata.json', most: 1024 * 1024 },
  weights: { entry: 'model.weights.h5', most: largestHdf5 },
}

/** Keras writes three entries, and one per asset, which models without text do not have. */
const mostEntries = 10_000

/** Deflate expands one byte to at most 1032; weights and JSON stay far below. */
const mostGrowth = 200
const smallEntry = 1024 * 1024

/**
 * Reads a `.keras` file, a zip archive, in memory. Other entries are ignored.
 *
 * Rejects with INVALID_BUNDLE, naming file and entry, if it is not a zip archive, is truncated, or if a part is
 * missing, duplicate, encrypted, damaged, or larger than its bound or its declared size.
 */
export async function readKerasArchive(path: string): Promise<KerasArchive> {
  const invalid = (message: string, cause: unknown) =>
    new ModelError('INVALID_BUNDLE', `${path}: ${message}`, { cause })
  const zip = await openPromise(path, { autoClose: false }).catch((cause) => {
    throw invalid(`can't be read as a zip archive: ${reasonOf(cause).split(', ')[0]}`, cause)
  })
  try {
    if (zip.entryCount > mostEntries) throw new Error(`has ${zip.entryCount} entries, more than ${mostEntries}`)
    const entries: Entry[] = []
    for await (const entry of zip.eachEntry()) entries.push(entry)
    const read = (part: keyof KerasArchive) => {
      const { entry: name, most } = parts[part]
      const found = entries.filter(({ fileName }) => fileName === name)
      if (found.length !== 1) throw new Error(`has ${found.length === 0 ? 'no' : 'more than one'} ${name}`)
      return readEntry(zip, found[0]!, most)
    }
    const config = Buffer.from(await read('config')).toString()
    const metadata = Buffer.from(await read('metadata')).toString()
    return { config, metadata, weights: await read('weights') }
  } catch (cause) {
    throw invalid(reasonOf(cause), cause)
  } finally {
    zip.close()
  }
}

/** yauzl ends the stream with an error if its length is not the declared one. */
async function readEntry(zip: ZipFile, entry: Entry, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const { fileName, uncompressedSize: size } = entry
  if (size > most) throw new Error(`${fileName} has ${size} bytes; at most ${most} can be read`)
  if (size > smallEntry && size > entry.compressedSize * mostGrowth)
    throw new Error(`${fileName} expands from ${entry.compressedSize} to ${size} bytes, which no model does`)
  if (entry.isEncrypted()) throw new Error(`${fileName} is encrypted`)
  const bytes = new Uint8Array(size)
  let offset = 0
  let sum = 0
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    bytes.set(chunk, offset)
    sum = crc32(chunk, sum)
    offset += chunk.length
  }
  if (offset !== size || sum !== entry.crc32) throw new Error(`${fileName} is damaged: its checksum is wrong`)
  return bytes
}
