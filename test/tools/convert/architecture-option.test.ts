import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readArchitecture } from '../../../src/tools/convert/architecture-option.ts'

t.test('an architecture is a name, of ours or of the class, or a file of arguments', async (t) => {
  t.match(await readArchitecture('AITM'), { name: 'aitm', options: {} })
  t.match(await readArchitecture('multi_gate'), { name: 'multi_gate', options: {} })
  const path = join(t.testdir(), 'class.yaml')
  await writeFile(path, 'name: MixtureOfExperts\nnum_experts: 3\nnum_tasks: 2\nnum_emb: 484\nsparse_fields: 31\n')
  t.same(await readArchitecture(path), {
    name: 'mixture_of_experts',
    options: { num_experts: 3 },
    num_tasks: 2,
    num_emb: 484,
    sparseFields: 31,
  })
  await writeFile(path, 'num_experts: 3')
  t.match(await readArchitecture(path), { name: undefined, options: { num_experts: 3 } })
  await writeFile(path, 'name: constructor')
  await t.rejects(readArchitecture(path), { message: /"constructor" is neither .* nor one of SharedBottom/ })
})

t.test('papers’ names stand for ours', async (t) => {
  t.match(await readArchitecture('mmoe'), { name: 'multi_gate' })
  t.match(await readArchitecture('moe'), { name: 'mixture_of_experts' })
})

t.test('options may stand in place, with a name or without', async (t) => {
  t.match(await readArchitecture('mmoe, gate_function=sigmoid,activation=tanh,num_experts=3'), {
    name: 'multi_gate',
    options: { gate_function: 'sigmoid', activation: 'tanh', num_experts: 3 },
  })
  t.match(await readArchitecture('normalisation=none'), { name: undefined, options: { normalisation: 'none' } })
})

t.test('each option that is none, or has another value, is named', async (t) => {
  const refused = (option: string, message: RegExp) =>
    t.rejects(readArchitecture(option), { code: 'INVALID_REQUEST', message })
  await refused(
    'mmoe,gate_funtion=sigmoid',
    /gate_funtion is not an option of multi_gate; did you mean gate_function\?/,
  )
  await refused('mmoe,gate_function=cosine', /gate_function must be "softmax" or .*"sigmoid".*, not "cosine"/)
  await refused('mmoe,gate_function=cosine,activation=1', /gate_function must be .*; activation must be/)
  await refused('gate_function=cosine', /gate_function must be/)
  await refused('aitm,gate_function=sigmoid', /gate_function is not an option of aitm; the options are dim_emb/)
  await refused('mmoe,normalisation=layer', /normalisation must be "batch" or "none", not "layer"/)
  await refused('mmoe,gate_function', /"gate_function" is not of the form option=value/)
  await refused('mmoee', /"mmoee" is neither .* nor one of SharedBottom.*; did you mean mmoe\?/)
})
