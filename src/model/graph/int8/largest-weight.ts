import { detectProcessor, type Processor } from '../../../base/processor.ts'

/**
 * Largest magnitude of an int8 weight. x86 processors without VNNI add two products of a byte and a weight in 16 bits:
 * with larger weights such sums saturate. Where the system doesn't list the processor's features, they count as
 * missing.
 */
export function largestWeightOn({ architecture, features }: Processor): number {
  const isExact = architecture !== 'x64' || features?.has('avx512_vnni') || features?.has('avx_vnni')
  return isExact ? 127 : 64
}

/** Largest magnitude of an int8 weight on this processor. */
export const largestWeight = largestWeightOn(detectProcessor())
