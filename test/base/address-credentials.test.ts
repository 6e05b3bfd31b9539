import t from 'tap'
import { excerptOf, hideCredentials, hideCredentialsIn, splitCredentials } from '../../src/base/address-credentials.ts'

t.test('an address is shown without user and password, also where it is none', async (t) => {
  const shown: Record<string, string> = {
    'https://me:secret@host/a@b?c#d': 'https://…@host/a@b?c#d',
    'https:///me:secret@host/a@b': 'https://…@host/a@b',
    's3:///me:secret@bucket/a': 's3://…@bucket/a',
    'https://me@host': 'https://…@host',
    'https://host/a@b': 'https://host/a@b',
    'http://me:se/cret@host': 'http://…@host',
    'http://me:se#@cret@host': 'http://…@host',
    'http://me:se\ncret@:x': 'http://…@:x',
    'me:secret@host/models': '…@host/models',
    'models/a:b@c': 'models/a:b@c',
    'C:\\a@b': 'C:\\a@b',
    '': '',
  }
  for (const [address, expected] of Object.entries(shown)) t.equal(hideCredentials(address), expected)
})

t.test('so is a text with addresses', async (t) => {
  t.equal(
    hideCredentialsIn("argument 'http://me:se/cr@et@host' of --url=https://me:s@x, not me@x"),
    "argument 'http://…@host' of --url=https://…@x, not me@x",
  )
})

t.test('the beginning of a text has none, wherever it is cut', async (t) => {
  const text = 'at https://me:secret@host/a'
  const hidden = 'at https://…@host/a'
  for (let most = 0; most <= text.length; most++) t.equal(excerptOf(text, most), hidden.slice(0, most))
})

t.test('user and password become a header', async (t) => {
  const headerOf = (address: string) => {
    const { url, authorization } = splitCredentials(new URL(address))
    t.equal(url.href, 'https://host/a?b')
    return authorization && Buffer.from(authorization.slice('Basic '.length), 'base64').toString()
  }
  t.equal(headerOf('https://m%40e:s%2Fe@host/a?b'), 'm@e:s/e')
  t.equal(headerOf('https://me:100%@host/a?b'), 'me:100%')
  t.equal(headerOf('https://me@host/a?b'), 'me:')
  t.equal(headerOf('https://:secret@host/a?b'), ':secret')
  t.equal(headerOf('https://host/a?b'), undefined)
})
