import { lstat, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runEvaluate } from '../../../src/tools/evaluate/run-evaluate.ts'
import { spawnCli } from '../../support/cli.ts'
import { evaluateDefaults, evaluateToJson } from '../../support/evaluate.ts'
import { calibrating, copyShop, writeShop } from '../../support/wrong-shop.ts'

const shop = await writeShop(t)

t.test('the command line shows that a calibrated version is better', async (t) => {
  const own = await copyShop(t, shop)
  const data = await own.spec('rows.yaml')
  t.equal(await calibrating(own, data).done, 0)
  const compared = await spawnCli(['compare', 'shop/1', 'shop/2', '--models', own.models, '--data', data])
  t.equal(compared.code, 0, compared.stderr)
  t.match(compared.stdout, /shop\/2 compared with shop\/1: better/)
})

t.test('one group, weights that add up to infinity, a folder that is none, a device for predictions', async (t) => {
  const lines = (await readFile(join(shop.folder, 'rows.csv'), 'utf8')).trim().split('\n')
  const some = lines.slice(0, 400).map((line, i) => `${line},${i === 0 ? 'one,huge' : 'x,1e308'}`)
  await writeFile(join(shop.folder, 'some.csv'), `${some.join('\n')}\n`)
  const data = { csv: ['some.csv'] }
  const options = { ...evaluateDefaults, models: shop.models, target: 'shop/1' }
  const { tasks } = await evaluateToJson({ ...options, data: await shop.spec('one.yaml', { data, group: 'one' }) })
  t.same([tasks[0]!.metrics.auc.low, tasks[0]!.baselines.logistic], [null, undefined])
  t.ok(tasks[0]!.metrics.auc.value !== null)
  await t.rejects(runEvaluate({ ...options, data: await shop.spec('huge.yaml', { data, weight: 'huge' }) }), {
    message: /\/weight adds up to more than a number can be/,
  })
  const rowsData = join(shop.folder, 'one.yaml')
  await t.rejects(runEvaluate({ ...options, data: rowsData, report: '/proc/none/report' }), {
    message: /^\/proc\/none\/report can't be written: /,
  })
  await t.rejects(runEvaluate({ ...options, data: rowsData, report: join(shop.folder, 'rows.csv/report') }), {
    message: /rows\.csv\/report can't be written: /,
  })
  const link = join(shop.folder, 'link.csv')
  await writeFile(join(shop.folder, 'target.csv'), '')
  await symlink('target.csv', link)
  t.equal(await runEvaluate({ ...options, data: rowsData, predictions: link }), 0)
  t.ok((await lstat(link)).isSymbolicLink())
  t.match(await readFile(join(shop.folder, 'target.csv'), 'utf8'), /^task,row,/)
  await t.rejects(runEvaluate({ ...options, data: rowsData, predictions: '/dev/full' }), {
    message: /^\/dev\/full can't be written: ENOSPC/,
  })
  t.ok((await lstat('/dev/full')).isCharacterDevice())
})
