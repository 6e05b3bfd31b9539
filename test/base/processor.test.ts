import t from 'tap'
import {
  classOf,
  classOfBits,
  detectProcessor,
  type ProcessorClass,
  processorClasses,
} from '../../src/base/processor.ts'
import { largestWeightOn } from '../../src/model/graph/int8/largest-weight.ts'
import { fastPrecisions, instructionsOf, lackingFor, suitabilityOf } from '../../src/model/graph/onednn/instructions.ts'

const avx512 = 'avx512f avx512dq avx512bw avx512vl'
/** Features of a processor of each class, as Linux lists them. */
const features: Record<ProcessorClass, string> = {
  AVX2: 'sse4_1 avx fma avx2',
  AVX2_VNNI: 'sse4_1 avx fma avx2 avx_vnni',
  AVX512_CORE: `sse4_1 avx fma avx2 ${avx512}`,
  AVX512_CORE_VNNI: `sse4_1 avx fma avx2 ${avx512} avx512_vnni`,
  AVX512_CORE_BF16: `sse4_1 avx fma avx2 ${avx512} avx512_vnni avx512_bf16 avx_vnni`,
  AVX512_CORE_AMX: `sse4_1 avx fma avx2 ${avx512} avx512_vnni avx512_bf16 avx_vnni avx512_fp16 amx_tile amx_int8 amx_bf16`,
}

/** A processor with these features, on a machine with this environment. */
function detect(names: string, env: NodeJS.ProcessEnv = {}, architecture = 'x64') {
  const cpuinfo = `processor\t: 0\nflags\t\t: fpu ${names}\nbugs\t\t: none\n`
  return detectProcessor({ architecture, cpuinfo, env })
}

/** Consequences of the class of a processor: the largest weight in int8, and what oneDNN makes fast. */
const consequences: Record<ProcessorClass, [weight: number, instructions: string | undefined, fast: string[]]> = {
  AVX2: [64, undefined, []],
  AVX2_VNNI: [127, undefined, []],
  AVX512_CORE: [64, 'AVX-512', []],
  AVX512_CORE_VNNI: [127, 'AVX512-VNNI', ['int8']],
  AVX512_CORE_BF16: [127, 'AVX512-BF16', ['bfloat16', 'int8']],
  AVX512_CORE_AMX: [127, 'AMX', ['bfloat16', 'int8']],
}

t.test('a processor of each class has its weights, and its precisions', async (t) => {
  t.same([...processorClasses].sort(), Object.keys(features).sort())
  for (const name of processorClasses) {
    const processor = detect(features[name])
    t.equal(classOf(processor), name)
    const instructions = instructionsOf(name)
    t.same([largestWeightOn(processor), instructions, fastPrecisions(instructions)], consequences[name], name)
    if (instructions === undefined) continue
    for (const precision of ['bfloat16', 'int8'] as const)
      t.equal(lackingFor(precision, instructions) === undefined, consequences[name][2].includes(precision), name)
  }
  t.equal(lackingFor('bfloat16', 'AVX512-VNNI'), 'neither AMX nor AVX512-BF16')
  t.equal(lackingFor('int8', 'AVX-512'), 'neither AMX nor AVX512-VNNI')
})

t.test('a processor is said to suit what oneDNN makes fast on it', async (t) => {
  const said = processorClasses.map((name) => suitabilityOf(name))
  const none = 'does not suit it'
  t.same(said, [none, none, none, 'suits int8 alone', 'suits bfloat16 and int8', 'suits bfloat16 and int8'])
  t.equal(suitabilityOf(undefined), none)
})

t.test('a processor plays every narrower class, and no wider one', async (t) => {
  const widest = detect(features.AVX512_CORE_AMX)
  for (const name of processorClasses) {
    const capped = detect(features.AVX512_CORE_AMX, { ONEDNN_MAX_CPU_ISA: name })
    t.equal(classOf(capped), name)
    t.equal(capped.cap, name)
    t.equal(largestWeightOn(capped), consequences[name][0], name)
    t.equal(classOf(detect(features.AVX2, { ONEDNN_MAX_CPU_ISA: name })), 'AVX2')
    t.ok([...capped.features!].every((feature) => widest.features!.has(feature)))
    t.ok(capped.features!.has('fma'), 'what is no class of its own stays')
  }
  t.equal(classOf(detect(features.AVX512_CORE, { ONEDNN_MAX_CPU_ISA: 'AVX2_VNNI' })), 'AVX2')
  t.equal(classOf(detect(features.AVX512_CORE, { ONEDNN_MAX_CPU_ISA: 'SSE41' })), undefined)
})

t.test('the cap is read as oneDNN reads it', async (t) => {
  const classWith = (env: NodeJS.ProcessEnv) => classOf(detect(features.AVX512_CORE_BF16, env))
  t.equal(classWith({ ONEDNN_MAX_CPU_ISA: 'avx512_Core' }), 'AVX512_CORE')
  t.equal(classWith({ DNNL_MAX_CPU_ISA: 'AVX2' }), 'AVX2')
  t.equal(classWith({ ONEDNN_MAX_CPU_ISA: '', DNNL_MAX_CPU_ISA: 'AVX2' }), 'AVX2')
  t.equal(classWith({ ONEDNN_MAX_CPU_ISA: 'AVX512_CORE', DNNL_MAX_CPU_ISA: 'AVX2' }), 'AVX512_CORE')
  for (const ignored of ['ALL', 'DEFAULT', 'toString', 'AVX1024', ''])
    t.equal(classWith({ ONEDNN_MAX_CPU_ISA: ignored }), 'AVX512_CORE_BF16', ignored)
})

t.test('processors of other architectures and systems', async (t) => {
  const arm64 = detectProcessor({
    architecture: 'arm64',
    cpuinfo: 'processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd asimddp i8mm bf16\n',
    env: { ONEDNN_MAX_CPU_ISA: 'AVX2' },
  })
  t.same([...arm64.features!], ['fp', 'asimd', 'asimddp', 'i8mm', 'bf16'])
  t.match({ class: classOf(arm64), weight: largestWeightOn(arm64), cap: arm64.cap }, { class: undefined, weight: 127 })
  t.equal(arm64.cap, undefined)
  // As on Windows and macOS.
  const unknown = { ...detectProcessor({ architecture: 'x64', env: {} }), features: undefined }
  t.equal(classOf(unknown), undefined)
  t.equal(largestWeightOn(unknown), 64)
  t.equal(classOfBits(0), undefined)
})
