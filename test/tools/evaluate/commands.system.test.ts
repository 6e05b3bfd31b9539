import { execFileSync } from 'node:child_process'
import { cp, lstat, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { readEvaluation } from '../../../src/model/serving/bundle/evaluation.ts'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { findVersion, openLocalPredictor } from '../../../src/tools/evaluate/local-predictor.ts'
import { runCalibrate } from '../../../src/tools/evaluate/run-calibrate.ts'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { runCli } from '../../support/cli.ts'
import { evaluateDefaults, evaluateToJson } from '../../support/evaluate.ts'
import { startProcess } from '../../support/process.ts'
import { calibrating, copyShop, rows, users, writeShop } from '../../support/wrong-shop.ts'

const shop = await writeShop(t)
/** The same, whose second version the first test writes. */
const own = await copyShop(t, shop)

t.test('from wrong probabilities to a version that took over', async (t) => {
  const data = await own.spec('rows.yaml')
  const before = await evaluateToJson({ data, target: 'shop', models: own.models })
  const ratio = before.tasks[0]!.metrics.calibration_ratio
  t.ok(ratio.low! > 1.05 || ratio.high! < 0.95, `version 1 is miscalibrated: ${ratio.value}`)
  t.equal(before.data.groups! <= users, true)
  t.ok(before.tasks[0]!.gauc!.groups > 100)
  t.ok(before.tasks[0]!.slices.length >= 3)
  t.ok(before.gates!.experts > 1)

  const { url, ended } = await startServer(t, own.models)
  const { done, report, said } = calibrating(own, data)
  t.equal(await done, 0, said())
  const { tasks, comparison } = report()
  t.equal(comparison!.verdict, 'better')
  t.equal(report().data.part, 'half')
  for (const { metrics } of comparison!.tasks.slice(0, 2))
    t.ok(Math.abs(metrics.auc.difference.value!) < 1e-12, 'one monotone curve changes no ranking')
  for (const { name, metrics } of tasks) {
    const { value } = metrics.calibration_ratio
    t.ok(value! > 0.9 && value! < 1.1, `${name}: ${value}`)
  }
  const { manifest } = await readBundle(own.models, 'shop', '2')
  const calibration = manifest.tasks[0]!.calibration as { method: 'platt'; a: number; b: number }
  t.ok(Math.abs(calibration.a - 1.5) < 0.4 && Math.abs(calibration.b + 0.3) < 0.15, JSON.stringify(calibration))
  t.match(manifest.derived, [{ name: 'ctcvr', calibration: { method: 'platt' } }])
  t.match(manifest.provenance, { calibration: { from: 'shop/1', data: 'rows.csv', rows } })
  t.equal(manifest.quality!.ctr!.auc, tasks[0]!.metrics.auc.value)
  const { files } = (await readBundle(own.models, 'shop', '1')).manifest
  t.same(Object.keys(manifest.files).sort(), [...Object.keys(files), 'evaluation.json'].sort())
  const counted = await ended
  t.same(counted.failed, [], 'no request was lost while it took over')
  t.ok(counted.versions.has('1') && counted.versions.has('2'))

  // Without its context the answer of the new version is what the report judged.
  const served = await evaluateToJson({ data, target: 'shop', service: { url }, models: own.models })
  t.equal(served.model.version, '2')
  for (const [i, { metrics }] of served.tasks.entries()) {
    const { value } = metrics.calibration_ratio
    t.ok(Math.abs(value! - tasks[i]!.metrics.calibration_ratio.value!) < 0.1, `through HTTP: ${value}`)
  }
})

/** A real server, asked without a pause until it answers with version 2. */
async function startServer(t: Test, models: string) {
  const { port } = await startProcess(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: 'off',
    MULTIGATE_POLL_SECONDS: '0.5',
  })
  const url = `http://127.0.0.1:${port}`
  const { example } = (await (await fetch(`${url}/models/shop`)).json()) as { example: object }
  const counted = { failed: [] as number[], versions: new Set<string>() }
  let isOver = false
  t.teardown(() => {
    isOver = true
  })
  const ask = async () => {
    while (!isOver && !counted.versions.has('2')) {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${url}/predict`, { method: 'POST', headers, body: JSON.stringify(example) })
      const body = (await response.json()) as { version: string }
      if (response.status === 200) counted.versions.add(body.version)
      else counted.failed.push(response.status)
      await sleep(10)
    }
    return counted
  }
  return { url, ended: ask() }
}

t.test('a version that does not meet its conditions is written nowhere', async (t) => {
  const publish = {
    metrics: { ctr: { auc: { min: 0.99 } }, ctcvr: { calibration_ratio: { min: 0.5, max: 2 } } },
    not_worse: true,
  }
  const data = await shop.spec('strict.yaml', { publish })
  const strict = calibrating(shop, data, { report: join(shop.folder, 'report') })
  t.equal(await strict.done, 3)
  t.match(strict.report().publish, {
    passed: false,
    conditions: [
      { condition: 'ctr AUC ≥ 0.99', passed: false },
      { condition: 'ctcvr calibration ratio ≥ 0.5 and ≤ 2', passed: true },
      { condition: 'not worse than shop/1', passed: true },
    ],
  })
  t.match(strict.said(), /nothing was written\n$/)
  t.same(await readdir(join(shop.models, 'shop')), ['1'])
  t.match(await readFile(join(shop.folder, 'report/report.html'), 'utf8'), /Do not ship/)
  t.equal(JSON.parse(await readFile(join(shop.folder, 'report/report.json'), 'utf8')).publish.passed, false)

  const gate = join(shop.folder, 'gate.yaml')
  await writeFile(gate, 'metrics: { ctr: { auc: { min: 0.5 } } }\nint8: true\n')
  const evaluated = { ...evaluateDefaults, models: shop.models, target: 'shop', data }
  t.equal(await runEvaluate({ ...evaluated, gate: true }), 3)
  const int8 = await evaluateToJson({ models: shop.models, target: 'shop', data, gate })
  t.match(int8.publish!.conditions, [
    { passed: true },
    { condition: 'int8 passes its check', passed: false, found: /no quantization rows/ },
  ])
  await writeFile(gate, 'metrics: { ctr: { auc: { min: 0.9, max: 0.5 } } }\n')
  await t.rejects(runEvaluate({ ...evaluated, gate }), { message: /\/metrics\/ctr\/auc min 0\.9 is above max 0\.5/ })
  await writeFile(gate, 'metrics: { ctr: { auk: { min: 0.5 } } }\n')
  await t.rejects(runEvaluate({ ...evaluated, gate }), { message: /gate\.yaml:\n {2}\/metrics\/ctr.*auk/ })
  await t.rejects(runEvaluate({ ...evaluated, data: await shop.spec('plain.yaml'), gate: true }), {
    message: /\/publish is missing/,
  })
})

t.test('refuses to calibrate with too few rows of a class, or rows that contradict the model', async (t) => {
  const few = await shop.spec('few.yaml', { tasks: [{ name: 'ctr', label: 'click == "1" && user == "u7"' }] })
  await t.rejects(calibrating(shop, few).done, {
    message:
      /few\.yaml:\n {2}\/tasks\/0 ctr has \d+ positives among the rows to fit to; a calibration needs 50: \d+ are missing/,
  })
  const enough = await shop.spec('enough.yaml', {
    tasks: [{ name: 'ctr', label: 'click == "1" && int(user.substring(1)) < 100' }],
    slices: [],
  })
  t.equal(await calibrating(shop, enough, { dryRun: true }).done, 0, 'halves may have fewer')
  await t.rejects(calibrating(shop, enough, { method: 'isotonic' }).done, {
    message: /\/tasks\/0 ctr has \d+ positives among the rows to fit to; isotonic regression needs 1000, .*--force/,
  })
  t.equal(await calibrating(shop, enough, { method: 'isotonic', force: true, dryRun: true }).done, 0)
  const reversed = await shop.spec('reversed.yaml', { tasks: [{ name: 'ctr', label: 'click == "0"' }] })
  await t.rejects(calibrating(shop, reversed).done, { message: /ctr can't be calibrated: by these rows, a higher/ })
  const unknown = await shop.spec('unknown.yaml', { tasks: [{ name: 'xtr', label: 'click == "0"' }] })
  await t.rejects(calibrating(shop, unknown).done, {
    message: /\/tasks\/0\/name "xtr" is no task of the model: ctr, cvr/,
  })
  const data = await shop.spec('unsliced.yaml', { slices: [] })
  await t.rejects(calibrating(shop, data, { tasks: ['other'] }).done, {
    message: /--tasks other: the rows have labels of/,
  })
  t.same(await readdir(join(shop.models, 'shop')), ['1'])
  const dry = calibrating(shop, data, { dryRun: true, tasks: ['ctcvr'] })
  t.equal(await dry.done, 0)
  t.match(dry.said(), /^ctcvr: platt, σ\(/, 'only what was asked for')
  t.same(await readdir(join(shop.models, 'shop')), ['1'])
})

t.test('writes no version that it shows to be worse, unless it is forced to', async (t) => {
  const own = await copyShop(t, shop)
  const [head, ...lines] = (await readFile(join(own.folder, 'rows.csv'), 'utf8')).trim().split('\n')
  const click = head!.split(',').indexOf('click')
  // Rows from a week in which the clicks were counted wrongly.
  const wrong = lines.map((line, i) => (i % 3 === 0 ? line.split(',').with(click, '1').join(',') : line))
  await writeFile(join(own.folder, 'wrong.csv'), `${[head, ...wrong].join('\n')}\n`)
  const data = { csv: ['rows.csv'], validation: { files: ['wrong.csv'] }, test: { files: ['rows.csv'] } }
  const spec = await own.spec('wrong.yaml', { data, slices: [], tasks: [{ name: 'ctr', label: 'click == "1"' }] })
  const refused = calibrating(own, spec)
  t.equal(await refused.done, 3)
  t.match(
    refused.said(),
    /\nworse than shop\/1 \(ctr: normalised entropy is worse, .*\): nothing was written; --force writes it\n$/,
  )
  t.same(await readdir(join(own.models, 'shop')), ['1'])
  t.equal(await calibrating(own, spec, { force: true }).done, 0)
  t.same(await readdir(join(own.models, 'shop')), ['1', '2'])
})

/** A terminal that keeps what is written; `onLine` sees each line of progress. */
function terminal(onLine: (line: string) => void = () => undefined) {
  const lines: string[] = []
  const write = (text: string) => {
    for (const [, line] of text.matchAll(/\[K(.+) …/g)) {
      lines.push(line!)
      onLine(line!)
    }
    return true
  }
  const bar = { columns: 120, cursorTo() {}, clearLine() {}, moveCursor() {}, once() {}, on() {}, removeListener() {} }
  return { err: { isTTY: true, write, ...bar }, lines }
}

t.test('on a terminal, baselines say which task, fold and pass it is, the bootstrap its replicates', async (t) => {
  const data = await shop.spec('rows.yaml')
  const { err, lines } = terminal()
  const options = { ...evaluateDefaults, models: shop.models, data, target: 'shop' }
  t.equal(await runEvaluate({ ...options, err }), 0)
  const shown = (pattern: RegExp) =>
    t.ok(
      // A slow machine's lines end with the seconds that a stage has taken.
      lines.some((line) => pattern.test(line.replace(/, \d+ s$/, ''))),
      String(pattern),
    )
  shown(/^fitting baselines: ctr, fold 1 of 5, pass 1 over 1,\d{3} rows$/)
  shown(/^fitting baselines: ctcvr, fold 5 of 5, pass [2-9] over 1,\d{3} rows$/)
  for (const part of ['metrics', 'logistic regression', 'GAUC'])
    for (const done of ['100', '1,000']) shown(new RegExp(`^judging ctr: ${part}, ${done} of 1,000 replicates$`))
  shown(/^judging cvr: slices by \w+$/)
})

t.test('an interruption ends it between two passes of a baseline', async (t) => {
  const data = await shop.spec('rows.yaml')
  for (const run of [runEvaluate, runCalibrate]) {
    const stop = new AbortController()
    const { err, lines } = terminal((line) => {
      if (line.startsWith('fitting baselines: ctr, fold 2')) stop.abort()
    })
    const calibrated = { method: 'platt', tasks: undefined, dryRun: true, force: false } as const
    const options = { ...evaluateDefaults, ...calibrated, models: shop.models, data, target: 'shop' }
    await t.rejects(run({ ...options, err, signal: stop.signal }), { name: 'AbortError' })
    t.match(lines.at(-1), /fold 2/)
  }
})

t.test('the command line', async (t) => {
  const data = await own.spec('unsliced.yaml', { slices: [] })
  const options = ['--models', own.models, '--data', data]
  const evaluated = await runCli(['evaluate', 'shop/1', ...options, '--report', join(own.folder, 'out')])
  t.equal(evaluated.code, 0, evaluated.stderr)
  t.notMatch(evaluated.stderr, /fitting|judging/, 'progress is for terminals')
  t.match(evaluated.stdout, /^ctr: 2,000 rows, [\d,]+ positives, base rate/)
  t.match(evaluated.stderr, /report written to .*report\.html\n$/)
  t.same((await readdir(join(own.folder, 'out'))).sort(), ['report.html', 'report.json'])
  const calibrated = await runCli(['calibrate', 'shop/2', ...options, '--method', 'isotonic', '--force'])
  t.equal(calibrated.code, 0, calibrated.stderr)
  t.match(calibrated.stderr, /written to .*shop\/3\n$/)
  const kept = async (version: string) => readEvaluation(await readBundle(own.models, 'shop', version))
  t.same((await kept('2'))?.model.version, '2')
  t.same((await kept('3'))?.model.version, '3', 'each version has the report of its own evaluation')
  // commands.full.test.ts compares them the other way round, in a process of its own.
  const compared = await runCli(['compare', 'shop/2', 'shop/1', ...options])
  t.equal(compared.code, 3, compared.stderr)
  t.match(compared.stdout, /shop\/1 compared with shop\/2: worse/)
  t.match(compared.stdout, /\nshop\/1 accepts and answers what shop\/2 does\n/)
  t.match(await runCli(['compare', 'shop', 'shop']), { code: 2, stderr: /required option '--data <spec>'/ })
  t.match(await runCli(['evaluate', 'shop', '--data', 'none.yaml']), {
    code: 1,
    stderr: /none\.yaml:\n {2}no such spec/,
  })
  t.match(await runCli(['evaluate', 'nothing', ...options]), { code: 1, stderr: /nothing/ })
  t.match(await runCli(['evaluate', data]), { code: 1, stderr: /describes rows alone/ })
  const part = await runCli(['evaluate', 'shop', ...options, '--part', 'test'])
  t.match(part, { code: 1, stderr: /\/split is missing, so there is no part test/ })
  const lacking = await shop.spec('lacking.yaml', { fields: [{ name: 'price', column: 'prize' }] })
  const lacks = await runCli(['evaluate', 'shop', '--models', shop.models, '--data', lacking])
  t.match(lacks, { code: 1, stderr: /\/fields\/0\/column no column "prize"; the columns are .*did you mean price\?/ })
})

t.test('few rows need few threads', async (t) => {
  const bundle = await findVersion('shop/1', shop.models)
  const { cache, now } = evaluateDefaults
  const predictor = await openLocalPredictor(bundle, { cache, now, onWarning() {}, rows: 4000 })
  t.equal(predictor.concurrency, 2, 'two calls at a time, for one thread')
  await predictor.close()
})

t.test('a full disk leaves no half of a version', async (t) => {
  const disk = await temporaryFolder(t)
  const version = join(shop.models, 'shop/1')
  const sizes = await Promise.all((await readdir(version)).map(async (file) => (await lstat(join(version, file))).size))
  const kilobytes = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1024)
  try {
    const size = `size=${kilobytes + 4 * sizes.length + 8}k`
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.pass('a full disk', { skip: 'no file system can be mounted here' })
  }
  t.teardown(() => execFileSync('umount', [disk]))
  await cp(version, join(disk, 'shop/1'), { recursive: true })
  const { done } = calibrating({ ...shop, models: disk }, await shop.spec('unsliced.yaml', { slices: [] }))
  await t.rejects(done, { code: 'ENOSPC' })
  t.same(await readdir(join(disk, 'shop')), ['1'])
})
