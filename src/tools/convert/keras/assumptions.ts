import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { classOf } from './class-weights.ts'
import { knownActivations } from './operations.ts'

/** Defaults of the reference's classes, used unless the file or `--architecture` states others. */
export const assumedOptions = { gate_function: 'softmax', activation: 'relu', normalisation: 'batch' } as const

/** A property that a file of weights does not determine. */
export interface Assumption {
  text: string
  /** The option of `--architecture` that states it; undefined if every supported class has the property. */
  option?: 'gate_function' | 'activation'
}

/** Assumptions about a class with these options; `stated` are the options from the file or the user. */
export function assumptionsOf(options: ArchitectureOptions, stated: Readonly<Record<string, unknown>>): Assumption[] {
  const assumed: Assumption[] = []
  const others = (option: string, values: readonly string[]) => values.filter((value) => value !== option).join(', ')
  if ('num_experts' in options && stated.gate_function === undefined)
    assumed.push({
      text: `gate_function=${assumedOptions.gate_function}, not ${others(assumedOptions.gate_function, knownActivations)}`,
      option: 'gate_function',
    })
  if (hasHiddenLayers(options)) {
    if (stated.activation === undefined)
      assumed.push({
        text: `activation=${assumedOptions.activation} in every hidden layer, not ${others(
          assumedOptions.activation,
          knownActivations.filter((name) => name !== 'softmax'),
        )}`,
        option: 'activation',
      })
    if (options.normalisation !== 'none')
      assumed.push({ text: 'BatchNormalization before the activation, with epsilon 0.001' })
  }
  const { assumption } = classOf(options.name)
  if (assumption !== undefined) assumed.push({ text: assumption })
  assumed.push({ text: 'a sigmoid at the end of every task' })
  return assumed
}

function hasHiddenLayers(options: ArchitectureOptions): boolean {
  return Object.entries(options).some(([name, value]) => name.startsWith('num_hidden') && Number(value) > 1)
}

/** The options that change the computation, but not the set of weights. */
export function unseenOptions(options: ArchitectureOptions): Record<string, unknown> {
  const { activation, gate_function } = options as { activation?: string; gate_function?: string }
  return { ...(activation && { activation }), ...(gate_function && { gate_function }) }
}
