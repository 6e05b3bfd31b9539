import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createReference, largestDifference } from '../../../loadtest/competitors/check.ts'
import { idFields } from '../../../loadtest/competitors/columns.ts'
import { forms } from '../../../loadtest/competitors/forms.ts'
import { prepareModel, referenceModels } from '../../../loadtest/competitors/models.ts'
import { createQueries } from '../../../loadtest/competitors/queries.ts'
import { startTestServer } from '../../support/server.ts'

const { small, din } = referenceModels

for (const model of [small, din]) {
  t.test(`the bundle and the ONNX file of ${model.name} are one model, made once`, async (t) => {
    const cache = t.testdir()
    const { models, onnx, rounded } = await prepareModel(model, cache)
    t.same(await prepareModel(model, cache), { models, onnx, rounded })
    t.equal((await readdir(join(cache, 'models'))).length, 1)

    const server = await startTestServer(t, { models })
    const answers = await createReference(onnx, model)
    const draw = createQueries(model, 'seen', 1)
    const all: number[] = []
    for (const rows of [1, 40]) {
      const query = draw(rows)
      const expected = await answers(query)
      all.push(...expected)
      for (const form of ['tensors', 'columns'] as const) {
        const { status, body } = await server.predict(forms[form].render(query, model).body.toString())
        t.equal(status, 200)
        const got = forms[form].parse(Buffer.from(JSON.stringify(body)))
        t.equal(got.length, rows * 2)
        t.ok(largestDifference(got, expected) < 1e-5)
      }
    }
    t.ok(Math.max(...all) - Math.min(...all) > 0.1, 'answers differ enough to tell rows apart')
  })

  t.test(`a wrong id shows in the answer of ${model.name}, far above the tolerance`, async (t) => {
    const { onnx } = await prepareModel(model, t.testdir())
    const answers = await createReference(onnx, model)
    const query = createQueries(model, 'new', 1)(1)
    const expected = await answers(query)
    const columns = idFields(model).flatMap(({ column, list = 1, firstId }) =>
      Array.from({ length: list }, (_, i) => ({ column: column + i, firstId })),
    )
    t.equal(columns.length, model.sparse.fields)
    for (const { column, firstId } of columns) {
      const sparse = Int32Array.from(query.sparse)
      sparse[column] = firstId + ((sparse[column]! - firstId + 1) % model.sparse.ids)
      if (sparse[column] === query.sparse[column]) t.fail('the same id')
      t.ok(largestDifference(await answers({ ...query, sparse }), expected) > 1e-3, `column ${column}`)
    }
  })
}
