import { createHash } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hideCredentials } from '../../base/address-credentials.ts'
import { fileProblem, fileReason, isOrdinary, makeFolder } from '../../base/files.ts'
import { isOfDeadProcess, makeProcessFolder } from '../../base/process-folders.ts'
import { AbsentObject, type Content, type ObjectStore, type PutCondition } from './object-store.ts'

/** Where objects are written before they get their names, on the disk of the folder. */
const unfinished = '.unfinished'

/** Age from which on an unfinished object belongs to nobody, ms. */
const abandoned = 24 * 3600 * 1000

/**
 * A folder, such as a network volume. Two that replace the same object with `ifTag` at the same moment may both
 * succeed: file systems compare nothing when they rename.
 */
export function openFolder(folder: string): ObjectStore {
  const name = hideCredentials(folder)
  let cleaned: Promise<void> | undefined
  return {
    name,
    async get(path, tag, signal) {
      const file = join(folder, path)
      try {
        const found = await stat(file)
        if (!isOrdinary(found)) throw new Error('it is a pipe or a device, not a file')
        const current = tagOf(found)
        if (current === tag) return undefined
        return { body: createReadStream(file, { highWaterMark: 1 << 20, signal }), tag: current }
      } catch (cause) {
        const Fault = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? AbsentObject : Error
        throw new Fault(`${join(name, path)} ${fileProblem(cause)}`, { cause })
      }
    },
    async head(path) {
      try {
        const found = await stat(join(folder, path))
        if (!found.isFile()) throw new Error('it is no file')
        return { bytes: found.size, tag: tagOf(found) }
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw new Error(`${join(name, path)} ${fileProblem(cause)}`, { cause })
      }
    },
    async put(path, content, condition, signal) {
      try {
        const work = join(folder, unfinished)
        await makeFolder(work)
        cleaned ??= removeAbandoned(work)
        await cleaned
        const own = await makeProcessFolder(work)
        try {
          const file = join(own, 'object')
          await write(file, content, signal)
          return await place(file, join(folder, path), condition)
        } finally {
          await rm(own, { recursive: true, force: true })
        }
      } catch (cause) {
        signal.throwIfAborted()
        throw new Error(`${join(name, path)} can't be written: ${fileReason(cause)}`, { cause })
      }
    },
  }
}

const tagOf = ({ mtimeMs, size, ino }: Stats) => `${mtimeMs} ${size} ${ino}`

async function removeAbandoned(work: string): Promise<void> {
  for (const name of await readdir(work)) {
    const path = join(work, name)
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
    if (isOfDeadProcess(name) || age > abandoned) await rm(path, { recursive: true, force: true })
  }
}

/** Writes the content to the disk. Rejects where it has not the size and digest that it should have. */
async function write(path: string, { bytes, sha256, read }: Content, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx', 0o640)
  try {
    const hash = createHash('sha256')
    let written = 0
    for await (const chunk of read() as AsyncIterable<Buffer>) {
      signal.throwIfAborted()
      await file.writeFile(chunk)
      hash.update(chunk)
      written += chunk.length
    }
    if (written !== bytes || hash.digest('hex') !== sha256) throw new Error('the file changed while it was read')
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Gives a whole file its name, if the condition holds. */
async function place(file: string, path: string, condition: PutCondition): Promise<'stored' | 'conflict'> {
  await makeFolder(dirname(path))
  if (condition !== undefined && 'ifAbsent' in condition) {
    if (!(await linkNew(file, path))) return 'conflict'
  } else {
    if (condition !== undefined && (await currentTag(path)) !== condition.ifTag) return 'conflict'
    await rename(file, path)
  }
  const parent = await open(dirname(path), 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
  return 'stored'
}

/** Gives a file another name unless it is taken, and says whether it could. */
async function linkNew(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    // File systems without hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS' && code !== 'EMLINK') throw error
    if ((await currentTag(path)) !== undefined) return false
    await rename(file, path)
    return true
  }
}

const currentTag = (path: string) => stat(path).then(tagOf, () => undefined)
