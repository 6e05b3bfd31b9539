import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createPathHider } from '../../src/app/report-event.ts'
import { temporaryFolder } from '../support/bundle.ts'

const hide = createPathHider({ models: '/srv/models', other: ['/var/cache/plans', undefined, '/srv', '/'] })

for (const [text, expected] of [
  ["ENOENT: no such file, open '/srv/models/ads/1/model.onnx'", "ENOENT: no such file, open 'ads/1/model.onnx'"],
  ['Load model from /srv/models/ads/1/model.onnx failed', 'Load model from ads/1/model.onnx failed'],
  ["EACCES: permission denied, scandir '/srv/models'", "EACCES: permission denied, scandir 'the models folder'"],
  ['/srv/models/a and /srv/models/b', 'a and b'],
  ["can't be kept in /var/cache/plans/0a1b: EROFS", "can't be kept in …/0a1b: EROFS"],
  ['/srv/other/file', '…/other/file'],
  ['file:///srv/other/module.js', 'file://…/other/module.js'],
  ['ads/1/manifest.json: /srv/models is no pointer', 'ads/1/manifest.json: the models folder is no pointer'],
  ['ads/1/manifest.json: /features/0 must be an object', 'ads/1/manifest.json: /features/0 must be an object'],
  ['/srv/models-old/a and data/srv/models/a', '…/models-old/a and data/srv/models/a'],
] as const) {
  t.test(text, async (t) => t.equal(hide(text), expected))
}

t.test('a folder behind a link is hidden by both of its names', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'store'))
  await symlink('store', join(folder, 'models'))
  const hidden = createPathHider({ models: join(folder, 'models'), other: [] })
  t.equal(hidden(`${folder}/models/ads: ${folder}/store/ads/1`), 'ads: ads/1')
})

t.test('the folder of the process is hidden too', async (t) => {
  t.equal(hide(`in ${process.cwd()}/node_modules/x.js`), 'in …/node_modules/x.js')
})
