import { readFileSync } from 'node:fs'

/**
 * Largest magnitude of an int8 weight. x86 processors without VNNI add two products of a byte and a weight in 16 bits: with
 * larger weights such sums saturate.
 */
export const largestWeight = saturates() ? 64 : 127

function saturates(): boolean {
  if (process.arch !== 'x64') return false
  try {
    return !/\b(?:avx512_vnni|avx_vnni)\b/.test(readFileSync('/proc/cpuinfo', 'latin1'))
  } catch {
    // Other systems don't say.
    return true
  }
}
