import { readFile } from 'node:fs/promises'
import t from 'tap'
import { operators, ruleOf } from '../../../../src/model/graph/operators/table.ts'

t.test('the documentation lists the operators that have rules', async (t) => {
  const text = await readFile('docs/compiler.md', 'utf8')
  const section = text.slice(text.indexOf('## Gradients'), text.indexOf('## The plan cache'))
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
  const listed = rows.flatMap((row) => row.split('|')[2]!.match(/\b[A-Z][A-Za-z]+\b/g) ?? [])
  t.same(listed.sort(), [...operators.keys()].filter((opType) => ruleOf({ domain: '', opType })).sort())
})
