import { murmur3 } from '../../src/base/hash.ts'

/** Id of a creative in the example manifest: 50 buckets from id 30 on, seed 7. */
export const murmur = (creative: string) => 30 + (murmur3(creative, 7) % 50)
