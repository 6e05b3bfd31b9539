import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { reasonOf } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import { sha256 } from '../../model/serving/bundle/checksum.ts'
import { manifestFile } from '../../model/serving/bundle/manifest.ts'
import { deltasFolder } from '../../model/serving/delta-files/delta-folder.ts'
import { labelsFile } from '../../model/serving/registry/source.ts'
import type { IndexedFiles } from '../../schemas/models-folder.ts'
import { type DownloadOptions, download, downloadFiles } from './download.ts'
import { indexedBytes, isBesideVersions, type Listing, scheduleOf, tableOf } from './index-file.ts'
import { type CurrentIndex, readIndex } from './read-index.ts'
import { openRecords, type Records, Verifier, type VersionId, versionId } from './records.ts'
import { tablesOf, versionsOf } from './wanted-versions.ts'
import { checkRoom, exists, ignoreMissing, openWorkFolder } from './work-folder.ts'

export interface SyncOptions extends Pick<DownloadOptions, 'source' | 'onBytes' | 'delay' | 'silence'> {
  /** The folder of models that becomes a copy of the source. */
  folder: string
  /** How long a version stays after the source stopped listing it, ms; undefined: for ever. */
  keep: number | undefined
  /** Most bytes that all copied files may take together; undefined: what the disk has. */
  mostBytes?: number | undefined
  /** Milliseconds, monotonic. */
  now(): number
  /** A version is about to be copied; `bytes`: its size. */
  onCopy?(id: VersionId, bytes: number): void
}

/** The outcome of one pass. */
export interface SyncPass {
  copied: VersionId[]
  removed: VersionId[]
  /** Versions of the index, and those of them that are in the folder, whole and checked. */
  listed: number
  present: number
  /** Why versions of the index are not; one line each. */
  problems: string[]
}

/**
 * Keeps a folder a copy of a source. Several may work on one folder: each copies into a folder of its own, and finds
 * what another has put there. Files that sync did not put there stay.
 */
export class Synchroniser {
  readonly #options: SyncOptions
  readonly #records: Records
  readonly #verifier: Verifier
  /** Where unfinished copies are. */
  readonly #work: string
  /** When a version was first missing from the index. */
  readonly #unlisted = new Map<string, number>()
  #current: CurrentIndex | undefined

  private constructor(options: SyncOptions, work: string) {
    this.#options = options
    this.#work = work
    this.#records = openRecords(options.folder)
    this.#verifier = new Verifier(options.folder)
  }

  /** Makes the folder, if it is missing. Rejects with the system's error if it can't be written. */
  static async open(options: SyncOptions): Promise<Synchroniser> {
    await makeFolder(options.folder)
    return new Synchroniser(options, await openWorkFolder(options.folder))
  }

  /**
   * Reads the index and copies what the folder lacks: tables, then models, of each the highest versions first. A
   * version appears in the folder in one step, after all its files have been checked. Rejects with an Error if the
   * index can't be read or is wrong: then nothing changes.
   */
  async run(signal: AbortSignal): Promise<SyncPass> {
    const { source, silence } = this.#options
    this.#current = await readIndex(source, this.#current, signal, { silence })
    const { listing } = this.#current
    const versions = versionsOf(listing)
    const pass: SyncPass = { copied: [], removed: [], listed: versions.length, present: 0, problems: [] }
    const ready = new Set<string>()
    // Tables whose highest version is not here.
    const lacking = new Set(Object.keys(listing.models).filter((folder) => tableOf(folder) !== undefined))
    const attempt = async (work: () => Promise<void>) => {
      try {
        await work()
      } catch (error) {
        signal.throwIfAborted()
        pass.problems.push(reasonOf(error))
      }
    }
    for (const { id, age, files } of versions)
      await attempt(async () => {
        // Before the version: without it, the version would take effect immediately.
        await this.#updateFile(id.model, scheduleOf(id.version), listing, signal)
        if (await this.#install(id, files, lacking, signal)) pass.copied.push(id)
        pass.present++
        ready.add(id.model)
        if (age === 0) lacking.delete(id.model)
      })
    // Labels name versions, so these come first.
    for (const model of Object.keys(listing.models))
      await attempt(() => this.#updateFile(model, labelsFile, listing, signal))
    await attempt(() => this.#removeFiles(listing))
    await attempt(() => this.#removeUnlisted(listing, ready, pass.removed))
    return pass
  }

  /** Whether the folder has a version of a model that sync once copied. */
  async holdsModels(): Promise<boolean> {
    for (const id of await this.#records.list())
      if (tableOf(id.model) === undefined && (await exists(join(this.#options.folder, id.model, id.version))))
        return true
    return false
  }

  /**
   * Puts a version into the folder unless it is there; resolves with whether it was copied. Rejects where it names one
   * of the tables that are `lacking`.
   */
  async #install(
    id: VersionId,
    files: IndexedFiles,
    lacking: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { folder } = this.#options
    const place = join(folder, id.model, id.version)
    if (await exists(place)) {
      const recorded = await this.#records.find(id)
      const isSame = isDeepStrictEqual(recorded, files)
      if (await this.#verifier.verify(id, files)) {
        if (!isSame) await this.#records.write(id, files)
        return false
      }
      if (recorded === undefined && !(await holdsOnlyDeltas(place)))
        throw new Error(`${place} differs from the source, and sync did not put it there`)
      if (recorded !== undefined && !isSame)
        throw new Error(`${versionId(id)} has changed at the source; a version never changes: publish a new one`)
    }
    await this.#checkRoom(versionId(id), indexedBytes(files))
    const copy = join(this.#work, 'version')
    const options = { ...this.#options, signal }
    try {
      await mkdir(copy)
      const { [manifestFile]: manifest, ...others } = files
      if (manifest !== undefined) await downloadFiles(versionId(id), { [manifestFile]: manifest }, copy, options)
      const table =
        lacking.size > 0 ? (await tablesOf(join(copy, manifestFile))).find((name) => lacking.has(name)) : undefined
      if (table !== undefined) throw new Error(`${versionId(id)} waits for the highest version of ${table}`)
      this.#options.onCopy?.(id, indexedBytes(files))
      await downloadFiles(versionId(id), others, copy, options)
      await this.#records.write(id, files)
      await this.#place(copy, id, files)
      return true
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  }

  #checkRoom(name: string, bytes: number): Promise<void> {
    const { folder, mostBytes } = this.#options
    return checkRoom({ folder, records: this.#records, mostBytes }, name, bytes)
  }

  /** Moves a whole copy to its place. */
  async #place(copy: string, id: VersionId, files: IndexedFiles): Promise<void> {
    const model = join(this.#options.folder, id.model)
    const place = join(model, id.version)
    const damaged = join(this.#work, 'damaged')
    await makeFolder(model)
    try {
      await rename(copy, place)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
      // Another sync was faster, or what is there is damaged: then it may be away for a moment.
      if (await this.#verifier.verify(id, files)) return
      await rename(place, damaged)
      // Others bring these.
      await rename(join(damaged, deltasFolder), join(copy, deltasFolder)).catch(ignoreMissing)
      await rename(copy, place)
    } finally {
      await rm(damaged, { recursive: true, force: true })
    }
    await flush(model)
    await this.#verifier.trust(id, files)
  }

  /** Brings a file beside a model's versions up to date, if the source has it. */
  async #updateFile(model: string, name: string, { models }: Listing, signal: AbortSignal): Promise<void> {
    const file = models[model]?.files?.[name]
    if (file === undefined) return
    const { folder } = this.#options
    const path = join(folder, model, name)
    const isThere = (await sha256(path).catch(() => undefined)) === file.sha256
    if (!isThere) await this.#checkRoom(`${model}/${name}`, file.bytes)
    const recorded = await this.#records.filesBeside(model)
    if (!isDeepStrictEqual(recorded[name], file)) await this.#records.writeBeside(model, { ...recorded, [name]: file })
    if (isThere) return
    const copy = join(this.#work, name)
    await rm(copy, { force: true })
    await download(`${model}/${name}`, file, copy, { ...this.#options, signal })
    await makeFolder(join(folder, model))
    await rename(copy, path)
  }

  /** Removes files beside versions that sync once copied and the source no longer lists. */
  async #removeFiles({ models }: Listing): Promise<void> {
    for (const model of await this.#records.modelsWithFiles()) {
      const recorded = await this.#records.filesBeside(model)
      const listed = (Object.hasOwn(models, model) && models[model]?.files) || {}
      const gone = Object.keys(recorded).filter((name) => isBesideVersions(name) && !Object.hasOwn(listed, name))
      if (gone.length === 0) continue
      for (const name of gone) await rm(join(this.#options.folder, model, name), { force: true })
      const kept = Object.entries(recorded).filter(([name]) => !gone.includes(name))
      await this.#records.writeBeside(model, Object.fromEntries(kept))
    }
  }

  /** Removes what sync once copied and the source has not listed for long enough. */
  async #removeUnlisted(listing: Listing, ready: ReadonlySet<string>, removed: VersionId[]): Promise<void> {
    const { folder, keep, now } = this.#options
    const { models, listsTables } = listing
    for (const id of await this.#records.list()) {
      if (!listsTables && tableOf(id.model) !== undefined) continue
      const key = versionId(id)
      const model = Object.hasOwn(models, id.model) ? models[id.model] : undefined
      if (model !== undefined && Object.hasOwn(model.versions, id.version)) {
        this.#unlisted.delete(key)
        continue
      }
      const since = this.#unlisted.get(key) ?? now()
      this.#unlisted.set(key, since)
      // A model keeps what it has until something of the index is there instead.
      const isSucceeded = model === undefined || ready.has(id.model)
      if (keep === undefined || !isSucceeded || now() - since < keep) continue
      const gone = join(this.#work, 'removed')
      // In one step: a server must not find half of it.
      await rename(join(folder, id.model, id.version), gone).catch(ignoreMissing)
      await this.#records.remove(id)
      await rm(gone, { recursive: true, force: true })
      this.#unlisted.delete(key)
      removed.push(id)
    }
  }
}

/** Whether a version's folder was made for its deltas, which came before it. */
async function holdsOnlyDeltas(folder: string): Promise<boolean> {
  return (await readdir(folder)).every((name) => name === deltasFolder)
}

/** Writes a folder's names to the disk. */
async function flush(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export interface KeepOptions {
  /**
   * Time between two passes, on average, ms: each is up to a fifth shorter or longer, so that a fleet doesn't ask at
   * the same moment.
   */
  interval: number
  signal: AbortSignal
  onPass(pass: SyncPass): void
  /** The index could not be read, or is wrong. */
  onFailure(error: unknown): void
  random?: () => number
}

/** Runs pass after pass until the signal is aborted. */
export async function keepSynchronised(synchroniser: Synchroniser, options: KeepOptions): Promise<void> {
  const { interval, signal, onPass, onFailure, random = Math.random } = options
  try {
    while (!signal.aborted) {
      try {
        onPass(await synchroniser.run(signal))
      } catch (error) {
        if (!signal.aborted) onFailure(error)
      }
      await wait(interval * (0.8 + 0.4 * random()), undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
