import t from 'tap'
import { openSecurity } from '../../src/app/security.ts'
import { checkConfiguration } from '../../src/base/configuration.ts'

t.test('settings that can keep nobody out are refused', async (t) => {
  const never = () => t.fail('nothing is opened')
  const log = { info: never, warn: never, error: never }
  const open = (given: Record<string, string>) => openSecurity(checkConfiguration(given), log, {} as never)
  for (const origin of ['*', 'a.example', 'https://a.example/'])
    await t.rejects(open({ MULTIGATE_CORS_ORIGINS: `https://b.example, ${origin}` }), {
      message: `MULTIGATE_CORS_ORIGINS: "${origin}" is no origin, such as https://ads.example.com`,
    })
  t.same((await open({ MULTIGATE_CORS_ORIGINS: 'https://a.example' })).corsOrigins, ['https://a.example'])
})
