import type { NodeProto } from '../ir/onnx_pb.ts'
import { binary } from './binary.ts'
import { castPlaces, unchangedPlaces } from './moved-places.ts'
import { normalisation } from './normalisation.ts'
import { type Operator, present, type Rule } from './operator.ts'
import { eachPlace } from './places.ts'
import { products } from './products.ts'
import { shape } from './shape.ts'
import { unary } from './unary.ts'

/** The operators of ONNX's default domain that are known, by name. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({ ...binary, ...normalisation, ...products, ...shape, ...unary }),
)

/** Undefined for one that is not known. */
export function operatorOf({ domain, opType }: Pick<NodeProto, 'domain' | 'opType'>): Operator | undefined {
  return domain === '' || domain === 'ai.onnx' ? operators.get(opType) : undefined
}

/** Whether a node computes each element from the elements at its place, of which the smaller operand has fewer. */
export function isElementwise(node: Pick<NodeProto, 'domain' | 'opType'>): boolean {
  const places = present(operatorOf(node)?.places)
  return places === eachPlace || places === castPlaces || places === unchangedPlaces
}

/** The gradient of an operator; undefined where it has no rule. */
export function ruleOf(node: Pick<NodeProto, 'domain' | 'opType'>): Rule | undefined {
  const rule = present(operatorOf(node)?.gradient)
  return rule === 'constant' ? undefined : rule
}
