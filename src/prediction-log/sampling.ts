import { murmur3 } from '../base/hash.ts'

/** The number that sampling goes by, from 0 to 1: a share of the requests are those with a smaller one. */
export const sampleHash = (traceId: string | undefined, requestId: string): number =>
  murmur3(traceId ?? requestId, 0) / 2 ** 32
