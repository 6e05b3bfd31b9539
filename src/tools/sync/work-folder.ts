import { readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../base/files.ts'
import { isOfDeadProcess, makeProcessFolder } from '../../base/process-folders.ts'
import { indexedBytes } from './index-file.ts'
import { type Records, syncFolder, versionId } from './records.ts'

/** Age from which on an unfinished copy belongs to nobody, ms. */
const abandoned = 24 * 3600 * 1000

/**
 * An empty folder for unfinished copies, on the disk of `folder`. Removes those of processes that ended before
 * they could.
 */
export async function openWorkFolder(folder: string): Promise<string> {
  const root = join(folder, syncFolder, 'unfinished')
  await makeFolder(root)
  for (const name of await readdir(root)) {
    const path = join(root, name)
    if (isOfDeadProcess(name) || (await ageOf(path)) > abandoned) await rm(path, { recursive: true, force: true })
  }
  return makeProcessFolder(root)
}

async function ageOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? 0 : Date.now() - found.mtimeMs
}

/*
 * The room that copies take on the disk.
 */

interface Room {
  /** The folder of models. */
  folder: string
  records: Records
  /** Most bytes that all copied files may take together; undefined: what the disk has. */
  mostBytes: number | undefined
}

/**
 * Rejects with an Error where there is no room for another copy; `name`: the version, such as `ads/7`, or the file
 * beside versions, such as `ads/labels.json`, that it is of, and whose former copy it replaces.
 */
export async function checkRoom(room: Room, name: string, bytes: number): Promise<void> {
  const { folder, mostBytes } = room
  const { bavail, bsize } = await statfs(folder)
  if (bytes > bavail * bsize)
    throw new Error(`${name} has ${bytes} bytes, and the disk of ${folder} has ${bavail * bsize} left`)
  if (mostBytes === undefined) return
  const taken = await takenBy(room, name)
  if (taken + bytes > mostBytes)
    throw new Error(`${name} has ${bytes} bytes, and the copies take ${taken} of at most ${mostBytes}`)
}

/** Bytes of all copies but that of `name`. */
async function takenBy({ folder, records }: Room, name: string): Promise<number> {
  let taken = 0
  for (const id of await records.list()) {
    const key = versionId(id)
    if (key !== name && (await exists(join(folder, key)))) taken += indexedBytes((await records.find(id)) ?? {})
  }
  for (const model of await records.modelsWithFiles())
    for (const file of Object.keys(await records.filesBeside(model))) {
      const key = `${model}/${file}`
      if (key !== name) taken += (await stat(join(folder, key)).catch(ignoreMissing))?.size ?? 0
    }
  return taken
}

export async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined
}

export function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
