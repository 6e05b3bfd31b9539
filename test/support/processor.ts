import { classOf, detectProcessor, type ProcessorClass } from '../../src/base/processor.ts'

/** The environment variables of a process that plays a class of processor. */
export const playing = (name: ProcessorClass) => ({ ONEDNN_MAX_CPU_ISA: name, DNNL_MAX_CPU_ISA: '' })

/** Why this machine can't play a class; undefined where it can. */
export function cannotPlay(name: ProcessorClass): string | undefined {
  return classOf(detectProcessor({ env: playing(name) })) === name ? undefined : `this processor can't play ${name}`
}
