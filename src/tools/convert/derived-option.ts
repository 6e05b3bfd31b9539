import { InvalidArgumentError } from 'commander'
import type { DerivedTask } from '../../schemas/manifest.ts'
import { parseTaskNames } from './name-options.ts'

export type ChosenDerived = Pick<DerivedTask, 'name' | 'product'>

/** `buy=click*cart*purchase,view=click*seen` → derived tasks. */
export function parseDerived(value: string): ChosenDerived[] {
  return value.split(',').map((part) => {
    const [name = '', product, ...more] = part.split('=')
    if (product === undefined || more.length > 0)
      throw new InvalidArgumentError(`${JSON.stringify(part.trim())} must be like buy=click*cart*purchase.`)
    const [parsed] = parseTaskNames(name)
    return { name: parsed!, product: product.split('*').flatMap((factor) => parseTaskNames(factor)) }
  })
}
