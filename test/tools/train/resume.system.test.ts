import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { cli } from '../../support/entries.ts'
import { checkResumed, lists, rows, shop, stopAt, training } from '../../support/resumed.ts'
import { tinyCsv, tinySpec } from '../../support/tiny.ts'

// resume.full.test.ts has other numbers of threads, and histories.
for (const [threads, changes, title] of [
  [1, {}, '1 thread'],
  [2, lists, '2 threads, with lists'],
] as const)
  t.test(`a killed run goes on, and ends with the weights of one that was not, on ${title}`, (t) =>
    checkResumed(t, threads, changes),
  )

t.test('after Ctrl-C nothing is written but the run, which goes on as it was begun, or not at all', async (t) => {
  t.testdir({})
  const { args, folder, run, change } = await shop(t)
  t.match(await runCli([...args, '--resume']), { code: 1, stderr: /run holds no unfinished run/ })
  const { code, lines } = await stopAt(args, 'epoch 1/4', 'SIGINT')
  t.equal(code, 130)
  t.match(lines.join('\n'), /the run in .*run can go on after its last complete epoch: --resume/)
  t.notOk((await readdir(folder)).includes('models'))
  t.match((await readdir(run)).sort().join(), /best-1.bin,history.jsonl,run.json,run.pid,state-1.bin/)
  const refused = async (pattern: RegExp, more: string[] = []) => {
    const { code, stderr } = await runCli([...args, '--resume', ...more])
    t.equal(code, 1)
    t.match(stderr, pattern)
  }
  await change({ training: { ...training, learning_rate: 0.02 }, description: 'another' })
  await refused(/run\.json: the run has another spec, in \/description, \/training; .*start without --resume/)
  await change({})
  await refused(/the run has another number of threads; /, ['--threads', '2'])
  await writeFile(join(folder, 'tiny.csv'), tinyCsv(rows + 1))
  await refused(/the run has another data; /)
  await writeFile(join(folder, 'tiny.csv'), tinyCsv(rows))
  await cp(run, join(folder, 'kept'), { recursive: true })
  t.match(await runCli([...args, '--resume']), { code: 0 })

  await rm(join(folder, 'models'), { recursive: true })
  await rename(join(folder, 'kept'), run)
  const [state] = (await readdir(run)).filter((name) => name.startsWith('state-'))
  await truncate(join(run, state!), 100)
  await refused(new RegExp(`${state}: has 100 bytes, not the \\d+ that this network needs`))
  await writeFile(join(run, 'run.json'), '{"run":1}')
  await refused(/run\.json: is no run of multigate: /)
  await writeFile(join(run, 'notes.txt'), 'mine')
  t.match(await runCli(args), { code: 0, stderr: /starting from the beginning; --resume would go on/ })
  t.same(await readdir(run), ['notes.txt'], 'files of others stay')
})

t.test('two processes do not share a run', async (t) => {
  t.testdir({})
  const { args, folder, run } = await shop(t, { training: { ...training, epochs: 500, patience: 500 } })
  const first = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(first, 'exit')
  for await (const line of createInterface(first.stderr)) if (/^epoch 1\/500/.test(line)) break
  // It is alive all the same, and not done before it is killed.
  first.kill('SIGSTOP')
  const before = await readFile(join(run, 'run.pid'), 'utf8')
  for (const more of [[], ['--resume']]) {
    const { code, stderr } = await runCli([...args, ...more])
    t.equal(code, 1)
    t.match(stderr, `run belongs to a run of process ${first.pid}, which is alive`)
  }
  t.equal(await readFile(join(run, 'run.pid'), 'utf8'), before)
  t.ok((await readdir(run)).includes('run.json'))
  first.kill('SIGKILL')
  await ended
  // As if it had been killed while it wrote.
  await writeFile(join(run, '.run.json.1234.0a1b2c3d'), '{')
  await writeFile(join(folder, 'spec.yaml'), JSON.stringify({ ...tinySpec(), training: { ...training, epochs: 1 } }))
  t.match(await runCli(args), { code: 0, stderr: /starting from the beginning/ })
  t.notOk((await readdir(folder)).includes('run'))
})

t.test('folders that can not be written to are named before anything is read', async (t) => {
  t.testdir({})
  const { args, folder } = await shop(t, { data: { csv: ['absent.csv'] } })
  const file = join(folder, 'tiny.csv')
  for (const option of ['--models', '--report', '--run']) {
    const { code, stderr } = await runCli([...args, option, file])
    t.equal(code, 1)
    t.match(stderr, `${option} ${file}: ${file} is not a folder`)
    t.match(await runCli([...args, option, join(file, 'below')]), { code: 1, stderr: /tiny\.csv is not a folder/ })
  }
})

t.test('a learning rate that explodes: the step is named, and the last good epoch kept', async (t) => {
  t.testdir({})
  const { args, folder } = await shop(t, { training: { ...training, learning_rate: 1e30 } })
  const hopeless = await runCli(args)
  t.match(hopeless, {
    code: 1,
    stderr: /the loss is not a number at step \d+ of epoch 1; try a learning rate below 1e\+30/,
  })
  t.same((await readdir(folder)).sort(), ['spec.yaml', 'tiny.csv'])
})

t.test('a full disk ends no training: the run can not be resumed, which is said', async (t) => {
  t.testdir({})
  const disk = await temporaryFolder(t)
  const { args, folder } = await shop(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.pass('a full disk', { skip: 'no file system can be mounted here' })
  }
  t.teardown(() => execFileSync('umount', [disk]))
  const moved = args.map((arg) => (arg === join(folder, 'run') ? join(disk, 'run') : arg))
  const { code, stderr } = await runCli(moved)
  t.equal(code, 0)
  t.match(stderr, /warning: the run can't be saved, and not be resumed: ENOSPC/)
  t.same(await readdir(disk), [])
})
