import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openRuntime } from '../../src/base/onnxruntime.ts'
import { projectRoot } from '../../src/base/project.ts'
import { temporaryFolder } from '../support/bundle.ts'

const here = { platform: 'linux', arch: 'arm64' } as NodeJS.Process

/** A folder as the compiled files' one, with a runtime of the package's own for these platforms. */
async function built(t: { teardown(work: () => Promise<void>): void }, ...platforms: string[]): Promise<string> {
  const build = await temporaryFolder(t)
  for (const platform of platforms)
    await mkdir(join(build, 'onnxruntime-node/bin/napi-v6', platform), { recursive: true })
  return build
}

t.test('the runtime that the package brings along is taken', async (t) => {
  const build = await built(t, 'linux/arm64', 'linux/x64')
  await writeFile(join(build, 'onnxruntime-node/index.js'), "module.exports = { Tensor: 'its own' }")
  t.equal(openRuntime(build, here).Tensor as unknown, 'its own')
})

t.test('the installed one is taken where the package brings none along', async (t) => {
  const build = await built(t)
  await mkdir(join(build, 'node_modules/onnxruntime-node'), { recursive: true })
  await writeFile(join(build, 'node_modules/onnxruntime-node/index.js'), "module.exports = { Tensor: 'installed' }")
  t.equal(openRuntime(build).Tensor as unknown, 'installed')
})

t.test('no test loads another copy beside it: a process can have one', async (t) => {
  const folder = join(projectRoot, 'test')
  for (const file of await readdir(folder, { recursive: true }))
    if (file.endsWith('.ts') && !file.includes('node_modules'))
      t.notMatch(await readFile(join(folder, file), 'utf8'), /^import (?!type )[^\n]* from 'onnxruntime-node'$/m, file)
})

t.test('a package for other platforms says how to pack one for this', async (t) => {
  const build = await built(t, 'linux/x64', 'darwin/arm64')
  t.throws(() => openRuntime(build, here), {
    code: 'ENGINE_UNAVAILABLE',
    message:
      /holds ONNX Runtime for (darwin-arm64, linux-x64|linux-x64, darwin-arm64), and this is linux-arm64: pack one with "npm run build -- linux-arm64 && npm pack"$/,
  })
})

t.test('a package without any says how to pack it', async (t) => {
  const build = await built(t)
  t.throws(() => openRuntime(build, here), {
    code: 'ENGINE_UNAVAILABLE',
    message: 'This package was packed without ONNX Runtime: pack it with "npm run build && npm pack"',
  })
})

t.test('a runtime that does not load says why, in one line', async (t) => {
  const build = await built(t, 'linux/arm64')
  await writeFile(join(build, 'onnxruntime-node/index.js'), "throw new Error('libstdc++ is too old\\nand more')")
  t.throws(() => openRuntime(build, here), {
    code: 'ENGINE_UNAVAILABLE',
    message: 'ONNX Runtime does not load: libstdc++ is too old',
  })
})
