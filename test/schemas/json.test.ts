import t from 'tap'
import { pointer } from '../../src/schemas/json.ts'

t.test('a name with a slash and a tilde is escaped in a JSON pointer', async (t) => {
  t.equal(pointer('a/b~c/~1'), '/a~1b~0c~1~01')
})
