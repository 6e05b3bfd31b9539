import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { reasonOf } from '../src/model/errors.ts'
import { readArguments } from './arguments.ts'
import { describeMachine } from './machine.ts'
import { toMarkdown } from './report.ts'
import { runLoadTest } from './run.ts'

// Ending through `exit` ends the child processes too.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => process.exit(code))

const started = performance.now()
const seconds = () => ((performance.now() - started) / 1000).toFixed(0).padStart(3)

try {
  const options = readArguments(process.argv.slice(2))
  const machine = await describeMachine(new Date())
  const report = await runLoadTest(options, machine, (line) => console.error(`${seconds()} s  ${line}`))
  const markdown = toMarkdown(report)
  console.log(`\n${markdown}`)
  if (options.out !== undefined) {
    const file = resolve(options.out)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, markdown)
    await writeFile(file.replace(/(\.md)?$/, '.json'), `${JSON.stringify(report, null, 2)}\n`)
    console.error(`${seconds()} s  written to ${options.out}`)
  }
  process.exit(0)
} catch (error) {
  console.error(`the load test failed: ${reasonOf(error)}`)
  process.exit(1)
}
