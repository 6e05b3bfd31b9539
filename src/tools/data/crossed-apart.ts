import type { Static } from 'typebox'
import type { Violation } from '../../base/errors.ts'
import { crossedProblems } from '../../model/serving/features/crossed.ts'
import type { TrainField } from '../../schemas/train-fields.ts'
import type { TrainSpec } from '../../schemas/train-spec.ts'

/**
 * The spec with its crossed fields apart from others, to which `fields` adds those that are made of rows. Adds to
 * `problems` where crossed fields stand before others, or are made of what can't be crossed.
 */
export function withCrossedApart(
  { fields: written, ...spec }: Static<typeof TrainSpec>,
  fields: TrainField[],
  problems: Violation[],
): TrainSpec {
  const given = written.filter(({ kind }) => kind !== 'crossed').length
  const crossed = written.flatMap((field) => {
    if (field.kind !== 'crossed') return []
    const { kind: _, dim: __, l2: ___, pooling: ____, ...rest } = field
    return [rest]
  })
  const own = written.flatMap((field) => {
    if (field.kind === 'numeric' || field.kind === 'shared' || field.kind === 'vector') return []
    if (field.dim === undefined && field.l2 === undefined) return []
    return [[field.name, { dim: field.dim, l2: field.l2 }]]
  })
  const poolings = written.flatMap((field) =>
    field.kind === 'crossed' && field.pooling !== undefined ? [[field.name, field.pooling] as const] : [],
  )
  const early = written.slice(0, given).findIndex(({ kind }) => kind === 'crossed')
  if (early >= 0)
    problems.push({ path: `/fields/${early}`, message: 'is crossed: crossed fields come after all others' })
  else
    for (const { path, message } of crossedProblems(crossed, fields)) {
      const [, index, ...rest] = path.split('/')
      problems.push({ path: ['/fields', given + Number(index), ...rest].join('/'), message })
    }
  for (const [name] of poolings) if (!hasList(name)) problems.push(uselessPooling(written, name))
  return {
    ...{ ...spec, fields, crossed },
    ...(own.length > 0 && { embeddings: Object.fromEntries(own) }),
    ...(poolings.length > 0 && { poolings: Object.fromEntries(poolings) }),
  }

  function hasList(name: string): boolean {
    const { of } = crossed.find((one) => one.name === name)!
    return fields.some((field) => of.includes(field.name) && field.list !== undefined)
  }
}

function uselessPooling(written: readonly { name: string }[], name: string): Violation {
  const index = written.findIndex((field) => field.name === name)
  return { path: `/fields/${index}/pooling`, message: 'has no effect: none of the fields that it is made of is a list' }
}
