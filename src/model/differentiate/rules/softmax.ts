import { positive } from '../../base/dims.ts'
import { intAttribute } from '../../graph/attributes.ts'
import { type Application, type Rule, unary } from '../rule.ts'

const axisOf = ({ append, node }: Application, x: string): number =>
  positive(intAttribute(node, 'axis', -1), append.dims(x).length)

/** y·(g − Σ g·y) */
const softmax = unary((application, x, y) => {
  const { append, gradient } = application
  const weighted = append.multiply(gradient, y)
  const total = append.reduce('ReduceSum', weighted, [axisOf(application, x)], true)
  return append.subtract(weighted, append.multiply(y, total))
})

/** g − eʸ·Σ g */
const logSoftmax = unary((application, x, y) => {
  const { append, gradient } = application
  const total = append.reduce('ReduceSum', gradient, [axisOf(application, x)], true)
  return append.subtract(gradient, append.multiply(append.unary('Exp', y), total))
})

export const softmaxRules: Record<string, Rule> = { LogSoftmax: logSoftmax, Softmax: softmax }
