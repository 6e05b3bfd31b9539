// The rooms of src/ and who may import whom, asked of the linter itself, since a rule that never fires is no rule.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'tap'

const root = join(import.meta.dirname, '../../..')
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')

const rooms: Record<string, { forbidden: string[]; allowed: string[] }> = {
  'src/schemas/x.ts': {
    forbidden: [
      ...[
        '../model/a.ts',
        '../server/a.ts',
        '../server/routes/a.ts',
        '../processes/a.ts',
        '../train/a.ts',
        '../bench/a.ts',
        '../convert/a.ts',
        '../main.ts',
        '../cli.ts',
      ],
    ],
    allowed: ['./a.ts', 'typebox', 'node:path'],
  },
  'src/schemas/deep/x.ts': {
    forbidden: ['../../model/a.ts', '../../model/deep/a.ts', '../../server/a.ts'],
    allowed: ['../a.ts'],
  },
  'src/model/x.ts': {
    forbidden: [
      ...[
        '../server/a.ts',
        '../server/routes/a.ts',
        '../train/a.ts',
        '../bench/a.ts',
        '../convert/a.ts',
        '../main.ts',
        '../cli.ts',
      ],
      ...['../processes/a.ts', 'fastify', 'fastify-plugin', '@fastify/compress', 'prom-client'],
    ],
    allowed: ['./a.ts', './deep/a.ts', '../schemas/a.ts', 'onnxruntime-node', '@tensorflow/tfjs-core'],
  },
  'src/model/deep/x.ts': {
    forbidden: ['../../server/a.ts', '../../train/a.ts', '../../main.ts', 'fastify'],
    allowed: ['../a.ts', '../other/a.ts', '../../schemas/a.ts'],
  },
  'src/train/x.ts': {
    forbidden: [
      '../server/a.ts',
      '../processes/a.ts',
      '../bench/a.ts',
      '../convert/a.ts',
      '../main.ts',
      '../cli.ts',
      'fastify',
      '@fastify/compress',
      'prom-client',
    ],
    allowed: ['./a.ts', '../model/a.ts', '../model/deep/a.ts', '../schemas/a.ts', '@tensorflow/tfjs-core'],
  },
  'src/bench/x.ts': {
    forbidden: [
      '../server/a.ts',
      '../processes/a.ts',
      '../train/a.ts',
      '../convert/a.ts',
      '../main.ts',
      '../cli.ts',
      'fastify',
      '@fastify/compress',
      'prom-client',
    ],
    allowed: ['./a.ts', '../model/a.ts', '../model/deep/a.ts', '../schemas/a.ts', 'onnxruntime-node'],
  },
  'src/convert/x.ts': {
    forbidden: [
      '../server/a.ts',
      '../processes/a.ts',
      '../train/a.ts',
      '../bench/a.ts',
      '../main.ts',
      '../cli.ts',
      'fastify',
      '@fastify/compress',
      'prom-client',
    ],
    allowed: ['./a.ts', '../model/a.ts', '../model/deep/a.ts', '../schemas/a.ts', 'h5wasm', 'yauzl'],
  },
  'src/convert/keras/x.ts': {
    forbidden: ['../../train/a.ts', '../../bench/a.ts', '../../main.ts', 'fastify'],
    allowed: ['../a.ts', '../../model/deep/a.ts', '../../schemas/a.ts'],
  },
  'src/server/x.ts': {
    forbidden: [
      '../processes/a.ts',
      '../train/a.ts',
      '../bench/a.ts',
      '../convert/a.ts',
      '../main.ts',
      '../cli.ts',
      'onnxruntime-node',
      '@tensorflow/tfjs-core',
    ],
    allowed: ['./a.ts', './routes/a.ts', '../model/a.ts', '../schemas/a.ts', 'fastify', '@fastify/compress'],
  },
  'src/processes/x.ts': {
    forbidden: [
      '../train/a.ts',
      '../bench/a.ts',
      '../convert/a.ts',
      '../main.ts',
      '../cli.ts',
      '../run-server.ts',
      'onnxruntime-node',
      '@tensorflow/tfjs-core',
    ],
    allowed: [
      './a.ts',
      '../serve.ts',
      '../server/a.ts',
      '../model/deep/a.ts',
      '../schemas/a.ts',
      'prom-client',
      'pino',
    ],
  },
  'src/server/routes/x.ts': {
    forbidden: ['../../train/a.ts', '../../main.ts', 'onnxruntime-node'],
    allowed: ['../a.ts', '../../model/deep/a.ts', '../../schemas/a.ts'],
  },
}

/** One line for each way in which a file can come to depend on another. */
const forms: Record<string, (specifier: string, name: string) => string> = {
  'import value': (specifier, name) => `import { ${name} } from '${specifier}'`,
  'import type': (specifier, name) => `import type { ${name} } from '${specifier}'`,
  'import for effect': (specifier) => `import '${specifier}'`,
  're-export': (specifier, name) => `export { ${name} } from '${specifier}'`,
  'dynamic import': (specifier, name) => `export const ${name} = await import('${specifier}')`,
}

/** `path:line` of each layering error that the linter finds in a project of those files, under this one's rules. */
function layeringErrors(folder: string, files: Map<string, string[]>): Set<string> {
  copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'))
  for (const [path, lines] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), `${lines.join('\n')}\n`)
  }
  const options = ['--vcs-enabled=false', '--colors=off', '--max-diagnostics=none', '--only=style/noRestrictedImports']
  const run = spawnSync(process.execPath, [biome, 'lint', ...options, 'src'], { cwd: folder, encoding: 'utf8' })
  const found = (run.stdout + run.stderr).matchAll(/^(\S+:\d+):\d+ lint\/style\/noRestrictedImports/gm)
  return new Set(Array.from(found, (match) => match[1]!))
}

test('the linter refuses imports between rooms that must not know each other', async (t) => {
  const cases = Object.entries(rooms).flatMap(([path, { forbidden, allowed }]) =>
    [...forbidden, ...allowed].flatMap((specifier) =>
      Object.entries(forms).map(([form, write]) => ({ path, specifier, form, write, ok: allowed.includes(specifier) })),
    ),
  )
  const files = new Map<string, string[]>()
  const located = cases.map((entry) => {
    const lines = files.get(entry.path) ?? []
    files.set(entry.path, lines)
    lines.push(entry.write(entry.specifier, `name${lines.length}`))
    return { ...entry, at: `${entry.path}:${lines.length}` }
  })

  // Outside the checkout, whose own configuration would otherwise take part.
  const folder = mkdtempSync(join(tmpdir(), 'multigate-layering-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const errors = layeringErrors(folder, files)

  for (const { path, specifier, form, ok, at } of located) {
    t.equal(!errors.has(at), ok, `${path}: ${form} of ${specifier} is ${ok ? 'accepted' : 'refused'}`)
  }
})
