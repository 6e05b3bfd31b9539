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
