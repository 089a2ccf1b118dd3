import { describe, expect, it } from 'vitest'
import { makeReadable } from '../../../functions/readable-requests.ts'
import type { RpcHttp } from '../../../functions/readable-requests.ts'
import { parseCookies } from '../../../shared/http/cookies.ts'

/** Calls the library's constructor, the one that throws. */
function read(request: RpcHttp): Request {
  makeReadable(request)
  const { url = 'http://localhost/', nullableHeaders = {}, headers } = request
  const named = Object.entries(nullableHeaders).map(([name, { value = '' }]) => [name, value] as [string, string])
  return new Request(url, { headers: headers ?? named })
}
const withHeader = (name: string, value: string) => read({ nullableHeaders: { [name]: { value } } })

describe('a header that the library cannot parse', () => {
  it.each(['Łódź', '東京', '😀', '\ud800', 'é', '\u00a0', '\u0000', 'a\r\nb', '\u0085', '\u007f'])(
    'with %j in a value is served, and the rest of the value stays',
    (text) => {
      const cookie = withHeader('cookie', `city=${text}; __Host-session-shop=S`).headers.get('cookie')

      expect(cookie).toMatch(/^city=[\x20-\x7e]+; __Host-session-shop=S$/)
      expect([...parseCookies(cookie)]).toEqual([['__Host-session-shop', 'S']])
    },
  )

  it.each(['\u00a0', '\u2003', '\ufeff', '\u200b', 'ł', '\u0000'])(
    'does not turn a cookie with %j before its name into a cookie of the broker',
    (text) => {
      const cookie = withHeader('cookie', `${text}__Host-session-shop=planted; a=${text}`).headers.get('cookie')

      expect(parseCookies(cookie).size).toBe(0)
    },
  )

  it.each([
    ['origin', 'https://shop.ex\u0430mple', 'https://shop.ex?mple'],
    ['x-name', 'visible ~ "ASCII"', 'visible ~ "ASCII"'],
  ])('never becomes another value that the broker accepts: %s', (name, value, expected) => {
    expect(withHeader(name, value).headers.get(name)).toBe(expected)
  })

  it('with an invalid name is left out, and the others stay', () => {
    const names = ['a b', 'ł', '', 'a:', '(x)', '__proto__']
    const nullableHeaders = Object.fromEntries([...names, 'x-fine'].map((name) => [name, { value: '1' }]))

    expect([...read({ nullableHeaders }).headers]).toEqual(
      [
        ['__proto__', '1'],
        ['x-fine', '1'],
      ].filter(([name]) => Object.keys(nullableHeaders).includes(name ?? '')),
    )
  })

  it('is changed in the older member as well, which the library reads where the newer one is empty', () => {
    expect(read({ headers: { cookie: 'city=Łódź' } }).headers.get('cookie')).toBe(
      'city=?\u003fd\u003f'.replace('?', '?'),
    )
  })
})

describe('a URL without a host that the library could read', () => {
  it.each([
    ['https:///login?a=b', 'https://localhost/login?a=b'],
    ['http://?a=b', 'http://localhost/?a=b'],
    ['http://', 'http://localhost/'],
    ['http://login.example:99999/login?a=b', 'http://localhost/login?a=b'],
    ['http://ada:s@login.example/login?to=http://x', 'http://localhost/login?to=http://x'],
    ['http://%/health', 'http://localhost/health'],
    ['https://[::1/?a', 'https://localhost/?a'],
    ['http://1.2.3.4.5#a', 'http://localhost/#a'],
    ['http://login.example/?to=//ada@x', 'http://login.example/?to=//ada@x'],
    ['http://login.example/login', 'http://login.example/login'],
  ])('%s is read as %s', (url, expected) => expect(read({ url }).url).toBe(expected))
})
