import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { chooseProcesses } from '../../../src/app/cluster/choose-processes.ts'
import { availableCores } from '../../../src/model/engines/pool/cores.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { buildModel, exampleModel } from '../../support/compile/random-model.ts'
import { startProcess } from '../../support/process.ts'

const bundled = join(import.meta.dirname, '../../../../models')

async function folderWith(t: Parameters<typeof temporaryFolder>[0], widths: Record<string, number>) {
  const folder = await temporaryFolder(t)
  for (const [name, width] of Object.entries(widths)) {
    const version = join(folder, name, '1')
    await mkdir(version, { recursive: true })
    await writeFile(join(version, 'model.onnx'), buildModel({ ...exampleModel, width }).toBytes())
  }
  return folder
}

t.test('small models are served by a process per core', async (t) => {
  t.same(await chooseProcesses(bundled, 4), { processes: 4, reason: 'all models are small' })
  t.same(await chooseProcesses(bundled, 1), { processes: 1, reason: 'there is one core' })
})

t.test('one model that workers compute decides', async (t) => {
  const folder = await folderWith(t, { b: 2000, c: 4 })
  t.same(await chooseProcesses(folder, 4), { processes: 1, reason: 'b is computed by worker threads' })
})

t.test('what can not be read decides nothing', async (t) => {
  const folder = await folderWith(t, { a: 4 })
  await cp(join(bundled, 'ads-funnel'), join(folder, 'ads-funnel'), { recursive: true })
  await writeFile(join(folder, 'ads-funnel/1/manifest.json'), '{')
  await mkdir(join(folder, 'empty'))
  t.same(await chooseProcesses(folder, 3), { processes: 3, reason: 'all models are small' })
  const nothing = { processes: 1, reason: 'there is no model yet' }
  t.same(await chooseProcesses(await folderWith(t, {}), 4), nothing)
  t.same(await chooseProcesses(join(folder, 'none'), 4), nothing)
})

t.test('a server says what it has chosen', async (t) => {
  const models = await folderWith(t, { a: 4 })
  const { lines, port } = await startProcess(t, { MULTIGATE_MODELS: models, MULTIGATE_PROCESSES: 'auto' })
  t.match(
    lines().find(({ msg }) => msg === 'MULTIGATE_PROCESSES=auto'),
    availableCores() > 1
      ? { processes: availableCores(), reason: 'all models are small' }
      : { processes: 1, reason: 'there is one core' },
  )
  t.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200)
})
