import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pinVersion, unpinVersion } from '../../src/model/serving/registry/pin.ts'
import type { SwapWay } from './plan.ts'
import { chaosModel } from './versions.ts'

/** Answers that were seen last, oldest first; `at` is when each request was sent, ms from the start. */
export type Seen = readonly { at: number; version: string }[]

export interface Publisher {
  /**
   * Makes a version take over; resolves with what was done when the clients' answers show it. Rejects where they don't
   * in time.
   */
  swap(way: SwapWay): Promise<string>
}

export interface PublisherOptions {
  /** Folder of versions that are yet to be published, and the models folder, on the same file system. */
  staging: string
  models: string
  /** Versions in the order in which they are published; the first one is there already. */
  versions: readonly string[]
  now(): number
  seen(): Seen
  /** `POST`s to the administration port, again where the process that was asked dies. */
  post(path: string): Promise<void>
}

/** Answers of the new version alone, one after the other, by which it has taken over in every process. */
const enough = 20
/** Longest time until then, ms. */
const patience = 45_000
/** Versions that stay in the folder: one to go back to, and one more. */
const kept = 3

export function createPublisher(options: PublisherOptions): Publisher {
  const { staging, models, versions, now, seen, post } = options
  const folder = join(models, chaosModel.name)
  let newest = 0

  async function publish(): Promise<string> {
    const version = versions[++newest]
    if (version === undefined) throw new Error('there are too few versions')
    await rename(join(staging, version), join(folder, version))
    for (const name of await readdir(folder))
      if (/^\d+$/.test(name) && Number(name) <= Number(version) - kept)
        await rm(join(folder, name), { recursive: true })
    return version
  }

  async function takesOver(version: string, since: number): Promise<void> {
    for (;;) {
      const last = seen().slice(-enough)
      if (last.length === enough && last.every((one) => one.at >= since && one.version === version)) return
      if (now() > since + patience)
        throw new Error(
          `version ${version} has not taken over after ${patience / 1000} s: ${last.map(({ version }) => version)} answered`,
        )
      await sleep(50)
    }
  }

  const ways: Record<SwapWay, () => Promise<string>> = {
    async appears() {
      const since = now()
      const version = await publish()
      await takesOver(version, since)
      return `version ${version} appears in the folder`
    },
    async loaded() {
      const since = now()
      const version = await publish()
      await post(`/v2/repository/models/${chaosModel.name}/load`)
      await takesOver(version, since)
      return `version ${version} is loaded on demand`
    },
    async pinned() {
      const current = versions[newest]!
      const former = versions[Math.max(0, newest - 1)]!
      const pinned = now()
      await pinVersion(models, chaosModel.name, former)
      await takesOver(former, pinned)
      const unpinned = now()
      await unpinVersion(models, chaosModel.name)
      await takesOver(current, unpinned)
      return `version ${former} is pinned, then version ${current} again`
    },
    async reloaded() {
      await post(`/v2/repository/models/${chaosModel.name}/unload`)
      await post(`/v2/repository/models/${chaosModel.name}/load`)
      const version = versions[newest]!
      await takesOver(version, now())
      return `version ${version} is unloaded and loaded again`
    },
  }

  let last: Promise<unknown> = Promise.resolve()
  return {
    swap(way) {
      // One after the other: each must be seen.
      const done = last.then(() => ways[way]())
      last = done.catch(() => undefined)
      return done
    },
  }
}

/** How many of these swaps publish a version. */
export function publishedBy(ways: readonly SwapWay[]): number {
  return ways.filter((way) => way === 'appears' || way === 'loaded').length
}
