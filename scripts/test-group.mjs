// Runs test files one after another in this process, each as a subtest: together they load what they test once.
//   node scripts/test-group.mjs FILE…
// What a test file imports as `tap` is its own subtest, so its teardown and hooks end with it.
import { register } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

// Not left in the arguments: tap puts them into the names of folders.
const files = process.argv.splice(2)
const { t } = await import('tap')

const hooks = `
export function resolve(specifier, context, nextResolve) {
  return specifier === 'tap' && /\\.test\\.m?js$/.test(context.parentURL)
    ? { url: ${JSON.stringify(new URL('test-of-file.mjs', import.meta.url).href)} + '?' + encodeURIComponent(context.parentURL), shortCircuit: true }
    : nextResolve(specifier, context)
}`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

/** By a test file's URL: its subtest. */
const tests = new Map()
globalThis[Symbol.for('multigate.tests')] = tests

for (const file of files) {
  await t.test(file, async (subtest) => {
    const { href } = pathToFileURL(resolve(file))
    tests.set(href, subtest)
    await import(href)
  })
}
