// Runs test files one after another in this process, each as a subtest: together they load what they test once.
//   node scripts/test-group.mjs FILE…
// The object that a test file imports as `tap` is its own subtest, so its teardown and hooks end with it. A single file
// has tap's root for itself, as if Node ran it. A comment follows each file: `# processor SECONDS FILE`, of this
// process and of the child processes that it has waited for.
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'

// Most code of a test runs too briefly to repay its optimisation: a function is optimised after several times as much
// work as V8's default asks, which takes a sixth of the processor time from most files.
setFlagsFromString('--interrupt-budget=1000000')
// The option --enable-source-maps would also have every thread of a test read and parse its scripts' maps.
process.setSourceMapsEnabled(true)
// tap puts the arguments into the names of folders: a file alone is the program, those of a group are not named.
const files = process.argv.splice(2)
/** Only a process that something keeps ends so late after its last test, however busy the machine is; ms. */
const endWithin = 120_000
const isAlone = files.length === 1
if (isAlone) process.argv[1] = resolve(files[0])
// By hand, too, only a file that hangs takes so long; tap's own limit is 30 s.
process.env.TAP_TIMEOUT ??= '600'
const tap = await import('tap')

if (isAlone) {
  process.on('exit', () => process.stdout.write(`# processor ${processorSeconds().toFixed(2)} ${files[0]}\n`))
  await import(pathToFileURL(files[0]).href)
} else await runGroup()

async function runGroup() {
  /** By a test file's URL: its subtest. */
  const tests = new Map()
  globalThis[Symbol.for('multigate.tests')] = tests
  register(`data:text/javascript,${encodeURIComponent(hooks())}`)
  let before = 0
  for (const file of files) {
    const environment = { ...process.env }
    await tap.t.test(file, async (subtest) => {
      const { href } = pathToFileURL(resolve(file))
      tests.set(href, subtest)
      await import(href)
    })
    restore(environment)
    const seconds = processorSeconds()
    tap.t.comment(`processor ${(seconds - before).toFixed(2)} ${file}`)
    before = seconds
  }
  setTimeout(failIfKept, endWithin).unref()
}

/** A file has left something open, such as a server: without this, the process would wait for it until its timeout. */
function failIfKept() {
  console.error(
    `These files have ended, and something keeps their process: ${process.getActiveResourcesInfo().join(', ')}`,
  )
  console.error(`node scripts/test-group.mjs ${files.join(' ')}`)
  process.exit(1)
}

/**
 * The module hooks by which a test file has its subtest, and its methods, as the module `tap`. A helper has no file to
 * serve.
 */
function hooks() {
  const methods = Object.keys(tap).filter((name) => typeof tap.t[name] === 'function')
  return `
    export function resolve(specifier, context, nextResolve) {
      if (specifier !== 'tap' || context.parentURL.includes('/node_modules/')) return nextResolve(specifier, context)
      if (!/\\.test\\.m?js$/.test(context.parentURL))
        throw new Error(context.parentURL + ' imports tap: only test files may, others take the test as an argument')
      const source = \`
        const t = globalThis[Symbol.for('multigate.tests')].get(\${JSON.stringify(context.parentURL)})
        export { t, t as default }
        export const { ${methods} } = t\`
      return { url: 'data:text/javascript,' + encodeURIComponent(source), shortCircuit: true }
    }`
}

/** Restores the environment: the variables that a test has set are not for the next file. */
function restore(environment) {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name]
  Object.assign(process.env, environment)
}

function processorSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6 + secondsOfChildren()
}

/** Only Linux tells. */
function secondsOfChildren() {
  try {
    // Behind the name, which can contain spaces: cutime and cstime are the 14th and 15th fields, in hundredths of a
    // second.
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  } catch {
    return 0
  }
}
