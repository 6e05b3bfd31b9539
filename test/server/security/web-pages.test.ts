import t from 'tap'
import { isCrossOrigin, isSafeHost } from '../../../src/server/request/admin-only.ts'

t.test('hosts: no page can have come from an address or from a name that nobody can register', async (t) => {
  for (const host of [
    '127.0.0.1',
    '127.0.0.1:3000',
    '[::1]:3000',
    '192.168.1.4:3000',
    'localhost',
    'LOCALHOST:3000',
    'localhost.',
    'app.localhost:3000',
    'multigate-admin:3001',
    'printer.local',
    'multigate-admin.ranking.svc:3001',
    'multigate-admin.ranking.svc.cluster.local',
    'server.internal',
  ])
    t.equal(isSafeHost(host), true, host)
  for (const host of [
    'evil.example',
    'evil.example:3000',
    'evil.example.',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'local.dev',
    'ranking.svc.dev',
    'no host',
    '',
    ':3000',
  ])
    t.equal(isSafeHost(host), false, host)
  t.equal(isSafeHost('Admin.Example.com:3001', new Set(['admin.example.com'])), true)
  t.equal(isSafeHost('x.admin.example.com', new Set(['admin.example.com'])), false)
})

t.test('origins: what the browser says of the page, else whether its host is the server’s', async (t) => {
  const host = '127.0.0.1:3000'
  for (const [headers, foreign] of [
    [{}, false],
    [{ origin: 'http://127.0.0.1:3000' }, false],
    [{ origin: 'https://127.0.0.1:3000' }, false],
    [{ origin: 'http://127.0.0.1:5000' }, true],
    [{ origin: 'http://localhost:3000' }, true],
    [{ origin: 'null' }, true],
    [{ 'sec-fetch-site': 'none' }, false],
    [{ 'sec-fetch-site': 'same-origin', origin: 'https://proxy.example' }, false],
    [{ 'sec-fetch-site': 'same-site' }, true],
    [{ 'sec-fetch-site': 'cross-site', origin: 'http://127.0.0.1:3000' }, true],
  ] as const)
    t.equal(isCrossOrigin({ host, ...headers }), foreign, JSON.stringify(headers))
})
