import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openOci } from '../../../../src/tools/sync/sources/oci.ts'
import { temporaryFolder } from '../../../support/bundle.ts'

const signal = new AbortController().signal
const source = openOci({ registry: 'registry.example', repository: 'models', reference: 'prod' })
const manifests = 'https://registry.example/v2/models/manifests/prod'

/** Answers requests by their address without its query, and notes them with their authorization. */
function serve(t: Test, answers: Record<string, () => Response>): string[] {
  const asked: string[] = []
  t.intercept(globalThis, 'fetch', {
    value: async ({ origin, pathname }: URL, { headers }: { headers: Headers }) => {
      asked.push(`${origin}${pathname} ${headers.get('authorization')}`)
      return answers[`${origin}${pathname}`]!()
    },
  })
  return asked
}

const refuse = (challenge: string) => () =>
  new Response(null, { status: 401, headers: { 'www-authenticate': challenge } })

/** Docker's configuration, as a text. */
async function login(t: Test, text: string): Promise<void> {
  const former = process.env.DOCKER_CONFIG
  process.env.DOCKER_CONFIG = await temporaryFolder(t)
  writeFileSync(join(process.env.DOCKER_CONFIG, 'config.json'), text)
  t.teardown(() => {
    if (former === undefined) delete process.env.DOCKER_CONFIG
    else process.env.DOCKER_CONFIG = former
  })
}

const password = JSON.stringify({ auths: { 'registry.example': { auth: 'cGFzc3dvcmQ=' } } })

t.test('the password goes to the server of tokens that the registry names, the token to the registry', async (t) => {
  await login(t, password)
  let token: string | undefined
  const asked = serve(t, {
    [manifests]: () => (token ? new Response('{}') : refuse('Bearer realm="https://tokens.example/a",service="x"')()),
    'https://tokens.example/a': () => {
      token = 'token'
      return new Response(JSON.stringify({ access_token: token }))
    },
  })
  await source.index.open(undefined, signal)
  t.same(asked, [`${manifests} null`, 'https://tokens.example/a Basic cGFzc3dvcmQ=', `${manifests} Bearer token`])
})

t.test('but not in plain text, and not where another server asks for it', async (t) => {
  await login(t, password)
  const asked = serve(t, {
    [manifests]: refuse('Bearer realm="http://tokens.example/a"'),
    'https://registry.example/v2/models/blobs/sha256:1': () =>
      new Response(null, { status: 307, headers: { location: 'https://store.example/1' } }),
    'https://store.example/1': refuse('Basic realm="x"'),
  })
  await t.rejects(source.index.open(undefined, signal), {
    message: 'registry.example names http://tokens.example for tokens, which must be https://',
  })
  await t.rejects(source.open('a', { bytes: 1, sha256: '1' }, signal), { message: /sha256:1: HTTP 401$/ })
  t.notMatch(asked.join('\n'), /Basic/)
})

t.test("a damaged configuration of docker's is not quoted", async (t) => {
  serve(t, { [manifests]: refuse('Basic realm="x"') })
  for (const text of [password.slice(0, -1), 'null', '"cGFzc3dvcmQ="']) {
    await login(t, text)
    await t.rejects(source.index.open(undefined, signal), { message: /config\.json is not JSON, or holds no object$/ })
  }
  for (const text of [
    '{}',
    '{"auths":null}',
    '{"auths":{"registry.example":null}}',
    '{"auths":{"registry.example":{"auth":7}}}',
  ]) {
    await login(t, text)
    await t.rejects(source.index.open(undefined, signal), {
      message: /asks for a password, and docker's configuration/,
    })
  }
})
