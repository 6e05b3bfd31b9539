import type { VersionState } from '../../schemas/models.ts'
import { compareVersions } from '../base/versions.ts'
import type { KnownModel } from './entry.ts'

/** A version in the models' folder, or one that still answers though it is gone from there. */
export interface FolderVersion {
  name: string
  /** Undefined of a model that has none. */
  version: string | undefined
  /** `absent`: on disk alone. */
  state: VersionState | 'absent'
  /** Why it doesn't answer; empty where it does. */
  reason: string
}

/** All versions of a model, served or not; highest first. */
export function contentsOf({ name, source, entries, unloaded }: KnownModel): FolderVersion[] {
  const onDisk = source?.versions.map(({ version }) => version) ?? []
  const versions = [...new Set([...onDisk, ...entries.map(({ version }) => version)])]
  if (versions.length === 0)
    return [{ name, version: undefined, state: 'absent', reason: source?.problem ?? 'it has no version' }]
  return versions
    .sort((a, b) => compareVersions(b, a))
    .map((version) => {
      const entry = entries.find((known) => known.version === version)
      const reason = unloaded ? 'it was unloaded' : ''
      if (entry === undefined) return { name, version, state: 'absent', reason: reason || 'it is not loaded' }
      return { name, version, state: entry.state, reason: entry.error ?? reason }
    })
}
