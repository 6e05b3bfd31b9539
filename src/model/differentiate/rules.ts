import type { Rule } from './rule.ts'
import { einsumRules } from './rules/einsum.ts'
import { elementwiseRules } from './rules/elementwise.ts'
import { lookUpRules } from './rules/look-up.ts'
import { matmulRules } from './rules/matmul.ts'
import { normalisationRules } from './rules/normalisation.ts'
import { reductionRules } from './rules/reduction.ts'
import { shapeRules } from './rules/shape.ts'
import { softmaxRules } from './rules/softmax.ts'

const rules: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    ...einsumRules,
    ...elementwiseRules,
    ...lookUpRules,
    ...matmulRules,
    ...normalisationRules,
    ...reductionRules,
    ...shapeRules,
    ...softmaxRules,
  }),
)

/** ONNX operators, of the default domain, that have a rule. */
export const differentiable: ReadonlySet<string> = new Set(rules.keys())

/** The rule of an operator of the default domain; undefined if there is none. */
export const ruleOf = (opType: string, domain: string): Rule | undefined =>
  domain === '' || domain === 'ai.onnx' ? rules.get(opType) : undefined
