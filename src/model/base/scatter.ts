/** Mixes the bits of a number below 2³² (the end of MurmurHash3), so that neighbours are as far apart as any. One to one. */
export function scatter(number: number): number {
  let mixed = number ^ (number >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** Which of `folds` parts of about equal size a bucket falls into: rows that alternate in some way do not fall apart by it. */
export function foldOf(bucket: number, folds: number): number {
  return scatter(bucket) % folds
}
