import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/*
 * Models with lists that PyTorch exported, and its answers: test/fixtures/pytorch/lists.py makes them.
 */

/** Tests run from build/test/. */
const folder = join(import.meta.dirname, '../../../test/fixtures/pytorch')

export const listFixture = (name: string) => join(folder, `${name}.onnx`)

/** The rows of a model, as its graph takes them, and PyTorch's probabilities. */
export interface ListAnswers {
  inputs: Record<string, number[] | number[][]>
  outputs: number[][]
}

export async function readListAnswers(): Promise<Record<'din' | 'masked', ListAnswers>> {
  return JSON.parse(await readFile(join(folder, 'lists.json'), 'utf8'))
}

/** The context and the candidate of each row, as requests name them: the lists without padding. */
export function rowsOfLists({ inputs, outputs }: ListAnswers) {
  const values = (name: string, row: number) => (inputs[name]![row] as number[]).filter((id) => id > 0)
  const value = (name: string, row: number) => inputs[name]![row] as number
  return outputs.map((_, row) => ({
    context: { user: value('user', row), hist: values('hist', row), hist_cat: values('hist_cat', row) },
    candidate: {
      item: value('item', row),
      cat: value('cat', row),
      tags: values('tags', row),
      image: inputs.image![row] as number[],
      price: (inputs.price![row] as number[])[0]!,
    },
  }))
}
