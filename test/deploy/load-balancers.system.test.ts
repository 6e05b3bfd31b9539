import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { envoyFile, envoyWhereInstalled } from '../support/envoy.ts'
import { haproxyFile, haproxyInstalled, withVariants } from '../support/haproxy.ts'

/*
 * The configurations in deploy/, as HAProxy and Envoy read them.
 */

const needsHaproxy = { skip: haproxyInstalled ? false : 'HAProxy is not installed' }
const envoy = await envoyWhereInstalled()
const needsEnvoy = { skip: typeof envoy === 'string' ? envoy : false }

t.test('HAProxy takes its configuration, with either variant, without a warning', needsHaproxy, async (t) => {
  const folder = await temporaryFolder(t)
  const configuration = readFileSync(haproxyFile, 'utf8')
  for (const [variant, text] of Object.entries({ first: configuration, both: withVariants(configuration) })) {
    const file = join(folder, variant)
    writeFileSync(file, text)
    const { status, stdout, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
    t.equal(status, 0, stderr)
    t.notMatch(stdout + stderr, /WARNING|ALERT/)
  }
  t.not(withVariants(configuration), configuration)
})

t.test('Envoy takes its configuration, without a warning', needsEnvoy, async (t) => {
  if (typeof envoy === 'string') return
  const { status, stderr } = spawnSync(envoy.command, ['--mode', 'validate', '-c', envoyFile], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /\]\[(?:warning|error|critical)\]/)
})

t.test('both examples have the same servers, and time-outs that fit the defaults of the server', async (t) => {
  const [haproxy, yaml] = [readFileSync(haproxyFile, 'utf8'), readFileSync(envoyFile, 'utf8')]
  const addresses = (text: string) => [...new Set(text.match(/10\.0\.0\.\d+/g))].sort()
  t.same(addresses(haproxy), addresses(yaml))
  t.match(haproxy, 'timeout server 1500ms')
  t.match(yaml, 'per_try_timeout: 1.5s')
})
