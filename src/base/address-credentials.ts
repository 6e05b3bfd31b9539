/*
 * Users and passwords in addresses: sent as a header, and never part of a message.
 */

/** The address without its user and password, and the header that sends these; undefined where it has none. */
export function splitCredentials(address: URL): { url: URL; authorization: string | undefined } {
  const { username, password } = address
  const url = new URL(address)
  url.username = ''
  url.password = ''
  if (username === '' && password === '') return { url, authorization: undefined }
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')
  return { url, authorization: `Basic ${credentials}` }
}

/** A `%` that begins no escape stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const scheme = /^[a-z][a-z0-9+.-]*:\/\//i

/**
 * An address as a message may show it: `…` stands for a user and a password. Where it is no URL, as with a password
 * that holds a slash, nothing before the last `@` is shown.
 */
export function hideCredentials(address: string): string {
  const [begin] = scheme.exec(address) ?? []
  if (begin === undefined) return address.replace(/^[^/\\\s]*:[^/\\\s]*@/, '…@')
  const rest = address.slice(begin.length)
  // Where there are more slashes than two, what follows them may be a user.
  return begin + rest.replace(URL.canParse(address) ? /^[/\\]*[^/?#]*@/ : /^.*@/s, '…@')
}

/**
 * A text in which addresses may be, without their users and passwords. Nothing between an address's scheme and its last
 * `@` is shown: what looks like a path may be a password. Takes time in proportion to the text, which may be a
 * server's.
 */
export function hideCredentialsIn(text: string): string {
  return text.replace(/\S+/g, (word) => {
    const begin = word.indexOf('://') + 3
    const end = word.lastIndexOf('@')
    return begin < 3 || end < begin ? word : `${word.slice(0, begin)}…${word.slice(end)}`
  })
}

/**
 * The beginning of a text, without users and passwords, as a message may quote it; `most`: characters. A text that is
 * cut first may end between a password and its `@`, and then the password no longer looks like one.
 */
export function excerptOf(text: string, most: number): string {
  return hideCredentialsIn(text).slice(0, most)
}
