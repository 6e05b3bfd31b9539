import t from 'tap'
import { rowsProvenance } from '../../../src/tools/data/rows-provenance.ts'

const tasks = [{ name: 'click' }, { name: 'sale' }]
const spec = {
  tasks: [
    { name: 'click', label: 'c == "1"', negatives_kept: 0.1 },
    { name: 'sale', label: 's == "1"', where: 'c == "1"' },
    { name: 'both', label: 's == "1"' },
  ],
  fields: [{ name: 'size', column: 'width' }, { name: 'hour' }],
}

t.test('labels, sample spaces and columns of the rows are kept', async (t) => {
  t.same(rowsProvenance({ tasks }, spec), {
    tasks: { click: { label: 'c == "1"' }, sale: { label: 's == "1"', where: 'c == "1"' } },
    field_options: { size: { column: 'width' } },
  })
  t.same(rowsProvenance({ tasks }, { tasks: [], fields: [] }), { tasks: {} })
})

t.test('what training said stays', async (t) => {
  const provenance = {
    tasks: { click: { label: 'clicked' } },
    field_options: { size: { bins: 8, column: 'w' }, hour: { dim: 2 } },
  }
  t.match(rowsProvenance({ provenance, tasks }, spec), {
    tasks: { click: { label: 'clicked' }, sale: { where: 'c == "1"' } },
    field_options: { size: { bins: 8, column: 'w' }, hour: { dim: 2 } },
  })
})
