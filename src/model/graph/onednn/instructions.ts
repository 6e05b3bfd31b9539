import type { ProcessorClass } from '../../../base/processor.ts'

/** The widest instructions that oneDNN uses, as reports name them. */
export type Instructions = 'AMX' | 'AVX512-BF16' | 'AVX512-VNNI' | 'AVX-512'

type RoundedPrecision = 'bfloat16' | 'int8'

const known: Partial<Record<ProcessorClass, Instructions>> = {
  AVX512_CORE_AMX: 'AMX',
  AVX512_CORE_BF16: 'AVX512-BF16',
  AVX512_CORE_VNNI: 'AVX512-VNNI',
  AVX512_CORE: 'AVX-512',
}

/**
 * Those that make a precision faster than ONNX Runtime is: without them oneDNN emulates bfloat16, and sums of bytes
 * saturate.
 */
const fast: Record<RoundedPrecision, readonly Instructions[]> = {
  bfloat16: ['AMX', 'AVX512-BF16'],
  int8: ['AMX', 'AVX512-BF16', 'AVX512-VNNI'],
}
const lacking = { bfloat16: 'neither AMX nor AVX512-BF16', int8: 'neither AMX nor AVX512-VNNI' }

/** Undefined on a processor without AVX-512, on which oneDNN isn't used. */
export function instructionsOf(processor: ProcessorClass | undefined): Instructions | undefined {
  return processor && known[processor]
}

/** The missing instructions that would make the precision fast; undefined where these make it fast. */
export function lackingFor(precision: RoundedPrecision, instructions: Instructions): string | undefined {
  return fast[precision].includes(instructions) ? undefined : lacking[precision]
}

/** The precisions that such instructions make fast. */
export function fastPrecisions(instructions: Instructions | undefined): RoundedPrecision[] {
  if (instructions === undefined) return []
  return (['bfloat16', 'int8'] as const).filter((precision) => fast[precision].includes(instructions))
}

/** The precisions that oneDNN would make faster on a processor, for people: it `suits int8 alone`. */
export function suitabilityOf(processor: ProcessorClass | undefined): string {
  const [first, ...more] = fastPrecisions(instructionsOf(processor))
  if (first === undefined) return 'does not suit it'
  return more.length === 0 ? `suits ${first} alone` : `suits ${[first, ...more].join(' and ')}`
}
