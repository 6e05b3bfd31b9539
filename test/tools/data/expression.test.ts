import t from 'tap'
import { compileExpression } from '../../../src/tools/data/expression.ts'
import type { Column } from '../../../src/tools/data/source.ts'

const columns: Column[] = [
  { name: 'rating', type: 'string' },
  { name: 'genres', type: 'string' },
  { name: 'click', type: 'double' },
  { name: 'not an identifier', type: 'string' },
]
const row = ['4.5', 'Comedy|Crime', 1, 'x']

t.test('yields numbers and strings', async (t) => {
  const value = (text: string) => compileExpression(text, columns)(row)
  t.equal(value('double(rating) >= 4.0'), 1)
  t.equal(value('click == 0.0'), 0)
  t.equal(value('"Crime" in genres.split("|")'), 1)
  t.equal(value('size(genres)'), 12)
  t.equal(value('click * 2.5'), 2.5)
  t.equal(value('click > 0.5 ? "yes" : "no"'), 'yes')
  t.equal(value('genres.split("|").exists(g, g == "Comedy")'), 1, 'macros have variables of their own')
  t.equal(value('dyn("a")'), 'a')
  t.equal(value('dyn(null)'), null)
})

t.test('is null where a column that it names is missing', async (t) => {
  const liked = compileExpression('double(rating) >= 4.0', columns)
  t.equal(liked([null, 'Comedy', 1, 'x']), null)
  t.equal(liked([]), null)
  t.equal(liked(['3', null, null, null]), 0, 'others may be')
})

t.test('refuses what is wrong before any row is read', async (t) => {
  t.throws(() => compileExpression('ratings >= 4', columns), {
    message: 'no column "ratings"; the columns are rating, genres, click; did you mean rating?',
  })
  t.throws(() => compileExpression('rating >', columns), { message: /Unexpected token/ })
  t.throws(() => compileExpression('rating >= 4.0', columns), { message: /no such overload/ })
  t.throws(() => compileExpression('genres.split("|")', columns), {
    message: /must yield a boolean, a number or a string/,
  })
  t.throws(() => compileExpression('process.exit()', columns), { message: /process/ })
})

t.test('throws for a row that it cannot be computed of', async (t) => {
  const liked = compileExpression('double(rating) >= 4.0', columns)
  t.throws(() => liked(['four', 'Comedy', 1, 'x']), { message: /cannot convert to double/ })
  t.throws(() => compileExpression('dyn([1])', columns)(row), { message: 'must yield a boolean, a number or a string' })
})

t.test('explains values of another type than a column', async (t) => {
  const message = (text: string) => {
    try {
      compileExpression(text, [
        { name: 'clicked', type: 'string' },
        { name: 'price', type: 'double' },
      ])
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  t.equal(
    message('clicked == 1'),
    'no such overload: string == int; clicked is a string, as in clicked == "1" or double(clicked) > 0.5',
  )
  t.equal(message('price == "1"'), 'no such overload: double == string; price is a number, as in price == 1.0')
  t.equal(message('price == 1'), 'no such overload: double == int; price is a number, as in price == 1.0')
  t.match(message('clicked && price > 0.0'), /^Logical operator .*; clicked is a string, .*; price is a number, /)
})

t.test('a column may have the name of a type', async (t) => {
  const typed = [
    { name: 'type', type: 'string' as const },
    { name: 'double', type: 'string' as const },
    { name: 'x', type: 'string' as const },
  ]
  const compiled = compileExpression('double(x) > 1.0', typed)
  t.equal(compiled(['a', 'b', '2']), 1)
  t.same(compiled.columns, [2])
  t.throws(() => compileExpression('type == "a"', typed), {
    message: "type means a type in expressions, so the column of that name can't be used in them",
  })
})

t.test('a number that is none is refused where it is read, and not compared', async (t) => {
  const compiled = compileExpression('shown == 1.0 && clicked == 1.0', [
    { name: 'shown', type: 'double' },
    { name: 'clicked', type: 'double' },
  ])
  t.same([compiled([1, 1]), compiled([1, 0]), compiled([1, null])], [1, 0, null])
  t.throws(() => compiled([1, Number.NaN]), { message: 'column clicked is NaN; write null where there is no value' })
})
