import type { Violation } from '../../../base/errors.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import type { Entities } from '../../../schemas/entities.ts'

/** Contradictions between entities and fields. */
export function entityProblems(
  all: readonly { name: string; side: string }[],
  entities: Entities | undefined = {},
): Violation[] {
  const fields = new Map(all.map((field) => [field.name, field]))
  const owners = new Map<string, string>()
  const keys = new Map<string, string>()
  let candidate: string | undefined
  const problems: Violation[] = []
  const add = (path: string, message: string) => problems.push({ path, message })
  for (const [entity, { key, side, features, unknown }] of Object.entries(entities)) {
    const path = `/entities/${entity}`
    features.forEach((name, i) => {
      const field = fields.get(name)
      const owner = owners.get(name)
      owners.set(name, entity)
      const at = `${path}/features/${i}`
      if (field === undefined) add(at, `is not a field: ${JSON.stringify(name)}${didYouMean(name, [...fields.keys()])}`)
      else if (field.side !== side) add(at, `is a field of the ${field.side}, not of the ${side}`)
      else if (owner !== undefined) add(at, `belongs to the entity ${owner}, too`)
    })
    const field = fields.get(key)
    if (key === 'bid' || key === 'id') add(`${path}/key`, 'is a property that every candidate has: use another name')
    if (field !== undefined && field.side !== side)
      add(`${path}/key`, `is a field of the ${field.side}, not of the ${side}`)
    if (side === 'context' && unknown === 'leave_out')
      add(`${path}/unknown`, 'leaves candidates out, and the entity is of the context: defaults or refuse')
    if (features.includes(key)) add(`${path}/features`, 'has the key, which requests send')
    if (keys.has(key)) add(`${path}/key`, `is that of the entity ${keys.get(key)}, too`)
    else if (side === 'candidate' && candidate !== undefined)
      add(path, `is a second entity of candidates, beside ${candidate}`)
    keys.set(key, entity)
    if (side === 'candidate') candidate = entity
  }
  return problems
}
