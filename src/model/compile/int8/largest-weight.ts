import { processorFeatures } from '../../base/processor.ts'

/**
 * Largest magnitude of an int8 weight. x86 processors without VNNI add two products of a byte and a weight in 16 bits: with
 * larger weights such sums saturate. Where the system doesn't list the processor's features, they count as missing.
 */
export const largestWeight = saturates() ? 64 : 127

function saturates(): boolean {
  if (process.arch !== 'x64') return false
  const features = processorFeatures()
  return !features?.has('avx512_vnni') && !features?.has('avx_vnni')
}
