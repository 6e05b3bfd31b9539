import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Publish } from '../../../src/schemas/publish.ts'
import type { RowsSpec } from '../../../src/schemas/rows-spec.ts'
import { SpecError } from '../../../src/tools/data/source.ts'
import { readConditions } from '../../../src/tools/evaluate/publish.ts'
import { temporaryFolder } from '../../support/bundle.ts'

const tasks = [{ name: 'ctr' }, { name: 'cvr' }, { name: 'save' }, { name: 'ctcvr', product: ['ctr', 'cvr'] }]
const labels = ['ctr', 'cvr'].map((name) => ({ name, label: name }))

/** Conditions of rows with labels of ctr and cvr; else the problems of the file. */
async function conditionsOf(gate: string | true, publish?: Publish): Promise<Publish | string[] | undefined> {
  const spec = { tasks: labels, publish } as RowsSpec
  return readConditions(gate, { file: 'rows.yaml', spec }, tasks).catch((error) => {
    if (!(error instanceof SpecError)) throw error
    return error.problems.map(({ path, message }) => `${path} ${message}`)
  })
}

t.test('conditions of tasks without labels are refused with all other problems', async (t) => {
  const gate = join(await temporaryFolder(t), 'gate.yaml')
  const labelled = { metrics: { ctr: { auc: { min: 0.7 } }, ctcvr: { ece: { max: 0.1 } } } }
  await writeFile(gate, JSON.stringify(labelled))
  t.same(await conditionsOf(gate), labelled)
  t.same(await conditionsOf(true, labelled), labelled)

  const unknown =
    '/metrics/ctrr the rows have no labels of ctrr; did you mean "ctr"? They have those of ctr, cvr, ctcvr'
  await writeFile(
    gate,
    'metrics: { ctrr: { auc: { min: 0.7 } }, ctr: { auk: { min: 0.7 } }, save: { ece: { max: 1 } } }',
  )
  const found = await conditionsOf(gate)
  t.match(found, [
    /^\/metrics\/ctr\/auk is unknown/,
    unknown,
    /^\/metrics\/save the rows have no labels of save; they have/,
  ])
  const publish = { metrics: { ctrr: { auc: { min: 0.7 } } } }
  t.same(await conditionsOf(true, publish), [`/publish${unknown}`])
  t.same(await conditionsOf(true), ['/publish is missing: --gate checks the conditions in it'])
})
