import t from 'tap'
import { checkColumns, parseColumns } from '../../../src/tools/bench/columns.ts'

t.test('columns are ranges by input', async (t) => {
  t.same(parseColumns('sparse=0-2,dense=4'), { sparse: [0, 1, 2], dense: [4] })
  t.same(parseColumns('a=1+3-4, a=0'), { a: [1, 3, 4, 0] })
})

t.test('what can not be read is named', async (t) => {
  for (const wrong of ['', 'sparse', 'sparse=', '=1', 'a=1=2', 'a=x', 'a=3-1', 'a=1-', 'a=-1', 'a=1.5', 'a=99999999'])
    t.throws(() => parseColumns(`b=0,${wrong}`), {
      code: 'INVALID_REQUEST',
      message: `${wrong}: columns have the form sparse=0-12,dense=0-5+9`,
    })
})

t.test('inputs and columns that there are not are named', async (t) => {
  const inputs = [
    { name: 'sparse', width: 3 },
    { name: 'dense', width: 1 },
  ]
  t.doesNotThrow(() => checkColumns({ sparse: [0, 2], dense: [0] }, inputs, '--context'))
  t.throws(() => checkColumns({ spares: [0] }, inputs, '--context'), {
    message: '--context: there is no input spares; the inputs are sparse, dense',
  })
  t.throws(() => checkColumns({ sparse: [2, 3] }, inputs, '--cross'), {
    message: '--cross: sparse has 3 columns, 0 … 2, not 3',
  })
})
