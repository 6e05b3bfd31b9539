import t from 'tap'
import { checkAccess } from '../../src/app/check-access.ts'
import { checkConfiguration } from '../../src/base/configuration.ts'

t.test('administration is refused on the port of everything else', async (t) => {
  const check = (host: string, adminHost: string, adminPort = '3000') => {
    const given = { MULTIGATE_HOST: host, MULTIGATE_ADMIN_HOST: adminHost, MULTIGATE_ADMIN_PORT: adminPort }
    return () => checkAccess(checkConfiguration(given))
  }
  const message = /^--port \(MULTIGATE_PORT\) and --admin-port \(MULTIGATE_ADMIN_PORT\) are both 3000/
  for (const [host, adminHost] of [
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['10.0.0.5', '::'],
  ] as const)
    t.throws(check(host, adminHost), { message }, `${host} and ${adminHost}`)
  t.doesNotThrow(check('10.0.0.5', '127.0.0.1'), 'on different addresses they are two')
  t.doesNotThrow(check('0.0.0.0', '0.0.0.0', '3001'))
})

t.test('settings of access that contradict each other, or name what does not exist', async (t) => {
  for (const [given, message] of [
    [{ MULTIGATE_TLS_CLIENT_CA: 'ca.crt', MULTIGATE_TLS_KEY: 'tls.key' }, /need MULTIGATE_TLS_CERT/],
    [{ MULTIGATE_ALLOWED_HOSTS: 'a.example,b.example:80' }, /has "b\.example:80"; it may have host/],
    [{ MULTIGATE_OPEN: 'probes,admin' }, /MULTIGATE_OPEN has "admin"; it may have probes, docs/],
  ] as const)
    t.throws(() => checkAccess(checkConfiguration(given)), { message })
})
