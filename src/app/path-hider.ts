import { realpathSync } from 'node:fs'

export interface HiddenFolders {
  /** Paths in it become relative to it. */
  models: string
  /** Of paths in these only what is below is left, after an ellipsis. */
  other: readonly (string | undefined)[]
}

/**
 * Takes the places of this machine out of a text that clients may read. Only paths below the folders given are found: other
 * texts with slashes, as JSON pointers, look just like paths.
 */
export function createPathHider({ models, other }: HiddenFolders): (text: string) => string {
  const places = [
    ...spellings(models).map((folder) => ({ folder, below: '', itself: 'the models folder' })),
    ...[process.cwd(), ...other].flatMap((folder) =>
      folder === undefined ? [] : spellings(folder).map((folder) => ({ folder, below: '…/', itself: '…' })),
    ),
    // The longest first: one folder may be in another.
  ].sort((a, b) => b.folder.length - a.folder.length)
  const patterns = places.map(({ folder, ...rest }) => ({ pattern: patternOf(folder), ...rest }))
  return (text) =>
    patterns.reduce(
      (shorter, { pattern, below, itself }) => shorter.replace(pattern, (_, slash) => (slash ? below : itself)),
      text,
    )
}

/** A whole path, or the beginning of one; not the middle of another. */
function patternOf(folder: string): RegExp {
  return new RegExp(`(?<![\\w.~-])${folder.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?:(\\/)|(?![\\w.-]))`, 'g')
}

/** As given, and without links. The root of all is none: it is in every path. */
function spellings(folder: string): string[] {
  const spelt = new Set([folder])
  try {
    spelt.add(realpathSync(folder))
  } catch {
    // A path that doesn't exist has no other spelling.
  }
  return [...spelt].map((path) => path.replace(/\/+$/, '')).filter((path) => path !== '')
}
