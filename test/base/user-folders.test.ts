import { join } from 'node:path'
import t from 'tap'
import { cacheFolder } from '../../src/base/settings.ts'
import { homeFolder, userCache } from '../../src/base/user-folders.ts'

const unknown = () => {
  throw new Error('uv_os_homedir returned ENOENT')
}

t.test('a user whom the system does not know has no home, and no cache unless one is named', async (t) => {
  t.equal(homeFolder(unknown), undefined)
  t.equal(userCache({}, unknown), undefined)
  t.equal(userCache({ XDG_CACHE_HOME: '/cache' }, unknown), '/cache')
  t.equal(
    cacheFolder('', () => userCache({}, unknown)),
    undefined,
  )
})

t.test('the cache is below the home of a user', async (t) => {
  t.equal(
    userCache({}, () => '/home/a'),
    join('/home/a', '.cache'),
  )
  t.equal(
    cacheFolder('', () => '/cache'),
    join('/cache', 'multigate', 'plans'),
  )
})
