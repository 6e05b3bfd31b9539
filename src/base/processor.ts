import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/**
 * Classes of x86-64 processors, by what multiplies matrices there: named as values of `ONEDNN_MAX_CPU_ISA`, each with
 * the bits of oneDNN's `dnnl_cpu_isa_t`. A wider class comes first.
 */
const classes = {
  AVX512_CORE_AMX: 0xfef,
  AVX512_CORE_BF16: 0xe7,
  AVX512_CORE_VNNI: 0x67,
  AVX512_CORE: 0x27,
  AVX2_VNNI: 0xf,
  AVX2: 0x7,
} as const

export type ProcessorClass = keyof typeof classes

/** From the narrowest on. */
export const processorClasses = (Object.keys(classes) as ProcessorClass[]).reverse()

/** Further values of `ONEDNN_MAX_CPU_ISA` that mask anything. oneDNN ignores unknown ones. */
const caps: Record<string, number> = {
  ...classes,
  SSE41: 0x1,
  AVX: 0x3,
  AVX2_VNNI_2: 0x1f,
  AVX512_CORE_FP16: 0x1ef,
  AVX10_1_512: 0x1ef,
}

/** The bit of a feature, by the name that Linux has for it. */
const bits: Record<string, number> = {
  sse4_1: 0x1,
  avx: 0x2,
  avx2: 0x4,
  avx_vnni: 0x8,
  avx_vnni_int8: 0x10,
  avx512f: 0x20,
  avx512_vnni: 0x40,
  avx512_bf16: 0x80,
  avx512_fp16: 0x100,
  amx_tile: 0x200,
  amx_int8: 0x400,
  amx_bf16: 0x800,
}

export interface Processor {
  /** As Node names it, such as `x64`. */
  architecture: string
  /** As Linux names them, without those that `cap` masks; undefined on other systems, which don't say. */
  features: ReadonlySet<string> | undefined
  /** The widest class that the environment allows, such as `AVX512_CORE`; undefined where it allows any. */
  cap: string | undefined
}

/** Where a processor's description comes from. */
export interface ProcessorSource {
  architecture: string
  /** The text of `/proc/cpuinfo`; undefined on systems without it. */
  cpuinfo: string | undefined
  env: NodeJS.ProcessEnv
}

/**
 * The processor, at most as wide as `ONEDNN_MAX_CPU_ISA` allows, which oneDNN obeys too: with it, a processor stands in
 * for any narrower one. ONNX Runtime, which does not read it, computes the same.
 */
export function detectProcessor({
  architecture = process.arch,
  cpuinfo = readCpuinfo(),
  env = process.env,
}: Partial<ProcessorSource> = {}): Processor {
  const cap = architecture === 'x64' ? capOf(env) : undefined
  const allowed = cap === undefined ? ~0 : caps[cap]!
  const [, names] = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo ?? '') ?? []
  const listed = names?.trim().split(/\s+/)
  const features = listed?.filter((name) => ((bits[name] ?? 0) & ~allowed) === 0)
  return { architecture, features: features && new Set(features), cap }
}

/** The second name is the older one; upper and lower case are one, as for oneDNN. */
function capOf({ ONEDNN_MAX_CPU_ISA, DNNL_MAX_CPU_ISA }: NodeJS.ProcessEnv): string | undefined {
  const value = (ONEDNN_MAX_CPU_ISA || DNNL_MAX_CPU_ISA || '').toUpperCase()
  return Object.hasOwn(caps, value) ? value : undefined
}

function readCpuinfo(): string | undefined {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1')
  } catch {
    return undefined
  }
}

/**
 * The widest class that a processor includes; undefined for those of other architectures, and where the system doesn't
 * say.
 */
export function classOf({ architecture, features }: Processor): ProcessorClass | undefined {
  if (architecture !== 'x64') return undefined
  let sets = 0
  for (const name of features ?? []) sets |= bits[name] ?? 0
  return classOfBits(sets)
}

/** The widest class that such a `dnnl_cpu_isa_t` includes. */
export function classOfBits(sets: number): ProcessorClass | undefined {
  return (Object.keys(classes) as ProcessorClass[]).find((name) => (sets & classes[name]) === classes[name])
}

/**
 * The processor that times are measured on, such as `AMD EPYC, AVX2`: hosts call those of several classes by one name.
 */
export function processorTitle(): string {
  return `${cpus()[0]?.model}, ${classOf(detectProcessor()) ?? process.arch}`
}
