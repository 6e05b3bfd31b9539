import { mkdirSync, writeFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import t from 'tap'
import { findPackage } from '../../src/base/project.ts'

t.test('the package is found from its folders', async (t) => {
  const folder = t.testdir({ 'package.json': '{"name":"multigate"}', dist: { deep: {} } })
  for (const from of [folder, join(folder, 'dist'), join(folder, 'dist/deep')])
    t.equal(findPackage(from).folder, folder)
})

t.test('files outside of their package say so', async (t) => {
  const app = t.testdir({ 'package.json': '{"name":"shop"}', dist: {} })
  const refused = { message: /runs outside of its package, in .+: a bundler must leave the package multigate external/ }
  t.throws(() => findPackage(join(app, 'dist')), refused, 'in the bundle of an application')
  const inner = join(app, 'node_modules/multigate')
  mkdirSync(inner, { recursive: true })
  writeFileSync(join(inner, 'package.json'), '{"name":"multigate"}')
  t.throws(() => findPackage(join(app, 'dist')), refused, 'although the application has the package')
  t.throws(() => findPackage(parse(app).root), refused, 'below no package')
})
