import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkLinks } from '../../../../src/model/serving/bundle/read.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { perFeatureGraph } from '../../../support/per-feature.ts'

/** A folder of models with `shop/1`, empty, and `elsewhere/weights.bin`. */
async function models(t: Test): Promise<string> {
  const root = await temporaryFolder(t)
  await mkdir(join(root, 'shop/1'), { recursive: true })
  await mkdir(join(root, 'elsewhere'))
  await writeFile(join(root, 'elsewhere/weights.bin'), 'weights')
  return root
}

const refused = (message: string) => ({ code: 'INVALID_BUNDLE', message })

t.test('a link that leads out of the folder is refused', async (t) => {
  const links: Record<string, string> = {
    'weights.bin': '../../elsewhere/weights.bin',
    variables: '../../elsewhere',
    'variables/deep.bin': '../../../elsewhere/weights.bin',
    above: '..',
  }
  for (const [name, target] of Object.entries(links)) {
    const root = await models(t)
    const folder = join(root, 'shop/1')
    await mkdir(join(folder, name, '..'), { recursive: true })
    await symlink(target, join(folder, name))
    await t.rejects(checkLinks(folder, 'shop/1'), refused(`shop/1/${name} leads out of its folder`))
  }
})

t.test('a link to nothing is refused', async (t) => {
  const folder = join(await models(t), 'shop/1')
  await symlink('nothing', join(folder, 'weights.bin'))
  await t.rejects(checkLinks(folder, 'shop/1'), refused("shop/1/weights.bin can't be read: it is missing"))
})

t.test('a graph without a manifest reads nothing outside its folder', async (t) => {
  const root = await models(t)
  await writeFile(join(root, 'elsewhere/model.onnx'), perFeatureGraph().toBytes())
  await symlink('../../elsewhere/model.onnx', join(root, 'shop/1/model.onnx'))
  await t.rejects(readBundle(root, 'shop', '1'), refused('shop/1/model.onnx leads out of its folder'))
})

t.test('links within the folder of a version are followed, as Kubernetes mounts files', async (t) => {
  const root = await models(t)
  const mounted = join(root, 'elsewhere/mounted')
  await mkdir(join(mounted, '..2026_11_30'), { recursive: true })
  await writeFile(join(mounted, '..2026_11_30/model.onnx'), perFeatureGraph().toBytes())
  await symlink('..2026_11_30', join(mounted, '..data'))
  await symlink('..data/model.onnx', join(mounted, 'model.onnx'))
  await symlink('../elsewhere/mounted', join(root, 'shop/2'))
  const { manifestless } = await readBundle(root, 'shop', '2')
  t.match(manifestless?.signature.outputs, [{ name: 'click' }, { name: 'buy' }])
})
