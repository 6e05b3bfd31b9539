// Keras itself, of PyPI: models that mask their lists are served from what it exports, and answer as it does.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { importModel } from '../../../src/tools/convert/import-model.ts'
import { verifyVersion } from '../../../src/tools/convert/verify-version.ts'
import { writeInit } from '../../../src/tools/convert/write-init.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { importOptions } from '../../support/import-options.ts'
import { initOptions } from '../../support/init-options.ts'
import { kerasPatience, kerasPython } from '../../support/keras.ts'

t.setTimeout(kerasPatience)

const python = await kerasPython()

t.test('a masked mean of Keras 3', { skip: typeof python === 'string' ? python : false }, async (t) => {
  if (typeof python === 'string') return
  const folder = await temporaryFolder(t)
  const printed = (await python.run('keras/lists.py', [folder])).trim().split('\n').at(-1)!
  const { inputs, answers } = JSON.parse(printed) as {
    inputs: Record<string, number[][]>
    answers: Record<string, number[][]>
  }
  const rows = inputs.user!.map(([user], row) => ({
    ...{ user, item: inputs.item![row]![0], price: inputs.price![row]![0], image: inputs.image![row] },
    hist: inputs.hist![row]!.filter((id) => id > 0),
  }))
  const models = join(folder, 'models')
  for (const name of ['fixed', 'any']) {
    const { manifest, left } = await writeInit(initOptions(join(folder, name), models))
    t.match(
      manifest.features.find((field) => field.name === 'hist'),
      {
        ...{ kind: 'shared', table: 'item', list: { max: name === 'any' ? 50 : 6, padding: 0 } },
      },
    )
    t.ok(left.some((line) => line.startsWith('/features: the graph answers NaN where hist is empty')))
    const golden = join(folder, `${name}.json`)
    await writeFile(golden, JSON.stringify({ rows, probabilities: answers[name] }))
    t.match(await verifyVersion({ target: name, models, golden }), { rows: 5, difference: undefined })
  }
  const imported = (name: string) => importModel(importOptions(join(folder, `${name}.keras`), models, { name: 'shop' }))
  await t.rejects(imported('fixed'), {
    code: 'UNSUPPORTED_GRAPH',
    message: /layer items \(Embedding\): mask_zero is not supported: save the model with model\.export/,
  })
  await t.rejects(imported('any'), {
    code: 'UNSUPPORTED_GRAPH',
    message:
      /layer hist \(InputLayer\): the shape \[null,null\] .* for lists of any length, save the model with model\.export/,
  })
})
