import { ModelError } from '../../../base/errors.ts'
import { suggestNames } from '../../../base/names.ts'

export interface DefaultModelOptions {
  /** Undefined: `preferred`, or the only one there is. */
  configured: string | undefined
  preferred: string | undefined
  /** Models of the folder. */
  inFolder(): readonly { name: string }[]
  /** These, and those that are still served. */
  names(): string[]
  answers(name: string): boolean
  onMissing?(message: string): void
}

/** Which model answers requests that name none. */
export class DefaultModel {
  readonly #options: DefaultModelOptions
  #reported = false

  constructor(options: DefaultModelOptions) {
    this.#options = options
  }

  /** Whether none is configured. */
  get isImplied(): boolean {
    return this.#options.configured === undefined
  }

  get name(): string | undefined {
    const { configured, preferred, inFolder } = this.#options
    if (configured !== undefined) return configured
    const models = inFolder()
    if (models.some(({ name }) => name === preferred)) return preferred
    return models.length === 1 ? models[0]!.name : undefined
  }

  /** Throws MODEL_NOT_FOUND, or NOT_READY where there is no model. */
  require(): string {
    const { name } = this
    const missing = this.#missing()
    if (missing !== undefined) throw new ModelError('MODEL_NOT_FOUND', `The request names no model, and ${missing}`)
    if (name !== undefined) return name
    if (this.#options.inFolder().length === 0) throw new ModelError('NOT_READY', 'There is no model')
    throw new ModelError('MODEL_NOT_FOUND', 'The request names no model, and there is no default model')
  }

  /** Warns once each time that the configured default model goes missing. */
  report(): void {
    const missing = this.#missing()
    if (missing !== undefined && !this.#reported) this.#options.onMissing?.(missing)
    this.#reported = missing !== undefined
  }

  /** That the configured default model does not exist, if so. */
  #missing(): string | undefined {
    const { configured, names, answers } = this.#options
    // Most requests that name no model end here.
    if (configured === undefined || answers(configured)) return undefined
    const known = names()
    if (known.includes(configured)) return undefined
    const others = suggestNames(configured, known, 'the folder has')
    return `the configured default model ${JSON.stringify(configured)} does not exist${others}`
  }
}
