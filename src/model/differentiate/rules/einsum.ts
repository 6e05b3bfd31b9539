import { attribute } from '../../graph/attributes.ts'
import type { Appender } from '../appender.ts'
import type { Rule } from '../rule.ts'

/**
 * The gradient of an operand of `a,b->c` is a sum of products too, of the output's gradient and the other operands: `c,b->a`.
 *
 * Sides that only one operand has are in the output, and none repeats.
 */
const einsum: Rule = ({ append, node, gradient, wanted }) => {
  const { operands, output } = parse(new TextDecoder().decode(attribute(node, 'equation')?.s))
  expectEqualSides(append, operands, node.input)
  return operands.map((letters, i) => {
    if (!wanted(i)) return undefined
    const others = operands.toSpliced(i, 1)
    const known = [output, ...others]
    const lost = [...letters].find((letter) => !known.some((one) => one.includes(letter)))
    if (lost !== undefined) throw new Error(`the sum over ${lost}, a side of one operand alone, is not supported`)
    const equation = `${known.join(',')}->${letters}`
    const name = node.input[i]!
    return append.op('Einsum', [gradient, ...node.input.toSpliced(i, 1)], append.dims(name), { equation })
  })
}

/** Throws an Error where an equation has an ellipsis or a diagonal. */
function parse(text: string): { operands: string[]; output: string } {
  const equation = text.replaceAll(' ', '')
  const [left, right] = equation.split('->') as [string, string | undefined]
  const operands = left.split(',')
  // Without an arrow, the output has each letter that occurs once, in alphabetical order.
  const once = () => [...left].filter((letter) => letter !== ',' && left.split(letter).length === 2).sort()
  const output = right ?? once().join('')
  for (const letters of [...operands, output])
    if (!/^[a-zA-Z]*$/.test(letters) || new Set(letters).size < letters.length)
      throw new Error(`the equation ${equation} is not supported`)
  return { operands, output }
}

/** A side of 1 may repeat in place of the letter's. */
function expectEqualSides(append: Appender, operands: readonly string[], inputs: readonly string[]): void {
  const sides = new Map<string, number>()
  operands.forEach((letters, i) => {
    append.dims(inputs[i]!).forEach((side, axis) => {
      const letter = letters[axis]!
      if ((sides.get(letter) ?? side) !== side) throw new Error(`sides ${letter} that differ are not supported`)
      sides.set(letter, side)
    })
  })
}

export const einsumRules: Record<string, Rule> = { Einsum: einsum }
