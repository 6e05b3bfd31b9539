/** Folder of a version's deltas, below its own: they come and go while the version is served, and belong to none of its digests. */
export const deltasFolder = 'deltas'

/** Whether a path below a version's folder is of its deltas. */
export function isOfDeltas(path: string): boolean {
  return path.split(/[/\\]/)[0] === deltasFolder
}
