import t from 'tap'
import { checkAttention, checkPenalties } from '../../support/trained-lists.ts'

t.test('no penalty pulls the row of padding of a table that is as wide as its field says', (t) =>
  checkPenalties(t, [
    [3, 'adam'],
    [3, 'adagrad'],
  ]),
)

t.test('architectures with another attention, and without, are trained', async (t) => {
  await checkAttention(t, { name: 'aitm', attention: 'dot_product' })
  await checkAttention(t, { name: 'shared_bottom', attention: 'none' })
})
