import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import { expectBegun, expectNothingBegun } from '../setup/refusals.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const app: Registration = { id: 'app', origins: ['https://app.example.com'], apis: [] }
const narrow: Registration = {
  id: 'narrow',
  origins: ['https://narrow.example.com'],
  returnUrls: ['https://narrow.example.com/signed-in?tab=1'],
  apis: [],
}

describe('a return URL', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app, narrow, shop] })
  })
  afterAll(() => stack.close())

  it.each([
    ['on a sibling host', 'https://other.example.com/a'],
    ['on the parent host', 'https://example.com/a'],
    ['with a suffix behind the host', 'https://app.example.com.evil.example/a'],
    ['with a prefix before the host', 'https://evil-app.example.com/a'],
    ['with a host before the host', 'https://evil.app.example.com/a'],
    ['with another port', 'https://app.example.com:8443/a'],
    ['of http', 'http://app.example.com/a'],
    ['with a trailing dot', 'https://app.example.com./a'],
    ['of a look-alike host', 'https://аpp.example.com/a'],
    ['of the look-alike’s punycode', 'https://xn--pp-7kc.example.com/a'],
    ['with the origin in its path', 'https://evil.example/https://app.example.com/a'],
    ['with the origin in its query', 'https://evil.example/?https://app.example.com/a'],
    ['with the origin in its fragment', 'https://evil.example/#https://app.example.com/a'],
    ['of the broker itself', 'BROKER/logout/done'],
    ['of another front end', 'http://localhost:3000/a'],
    ['of the address that a host name resolves to', 'http://127.0.0.1:3000/a'],
  ])('%s is rejected at the start, and the answer does not repeat it', async (_, template) => {
    const returnUrl = template.replace('BROKER', stack.url)
    const person = stack.person()

    const refused = await person.begin({ frontend: 'app', return_url: returnUrl })

    expectNothingBegun(refused, 'return_url_not_registered')
    expectNotRepeated(refused.text + stack.log(), returnUrl)
    expectBegun(await person.begin({ frontend: 'app', return_url: 'https://app.example.com/a' }))
  })

  it.each([
    ['with a user', 'https://app.example.com@evil.example/abc'],
    ['with a user and a password', 'https://user:secret@app.example.com/abc'],
    ['with an encoded user', 'https://app.example.com%40evil.example/abc'],
    ['that ends the host by an encoded slash', 'https://app.example.com%2f.evil.example/abc'],
    ['without a scheme', '//app.example.com/abc'],
    ['without a host', '/abc'],
    ['of a backslash', '/\\evil.example/abc'],
    ['with backslashes for slashes', 'https:\\\\app.example.com\\abc'],
    ['with a backslash in the host', 'https://evil.example\\@app.example.com/abc'],
    ['with one slash', 'https:/app.example.com/abc'],
    ['with three slashes', 'https:///app.example.com/abc'],
    ['with a full-width slash', 'https://app.example.com／.evil.example/abc'],
    ['with a blank before it', ' https://app.example.com/abc'],
    ['with a blank within it', 'https://app.example.com/a bc'],
    ['that is a script', 'javascript:alert(1)//https://app.example.com/abc'],
    ['that is data', 'data:text/html,<b>abc</b>'],
    ['of a file', 'file:///etc/passwd'],
    ['of another scheme', 'ftp://app.example.com/abc'],
    ['of a custom scheme', 'com.example.app://signed-in'],
    ['in a blob', 'blob:https://app.example.com/abc'],
    ['that is empty', ''],
    ['that is “null”', 'null'],
    ['of more than 1 KB', `https://app.example.com/${'a'.repeat(1001)}`],
    ['that grows beyond 1 KB when it is encoded', `https://app.example.com/${'é'.repeat(300)}`],
  ])('%s is rejected at the start, and the answer does not repeat it', async (_, returnUrl) => {
    const person = stack.person()

    const refused = await person.begin({ frontend: 'app', return_url: returnUrl })

    expectNothingBegun(refused, 'return_url_invalid')
    if (returnUrl.length > 4) expectNotRepeated(refused.text + stack.log(), returnUrl)
    expectBegun(await person.begin({ frontend: 'app', return_url: 'https://app.example.com/abc' }))
  })

  it.each([
    ['tab', '\t'],
    ['newline', '\n'],
    ['carriage return and newline', '\r\nSet-Cookie: a=b\r\n'],
    ['NUL', '\0'],
    ['DEL', '\u007f'],
    ['line separator', '\u2028'],
  ])('with a %s in it is rejected, and the error names the parameter', async (_, character) => {
    const person = stack.person()

    for (const returnUrl of [
      `https://app.example.com/${character}a`,
      `https://app.exam${character}ple.com/a`,
      `${character}https://app.example.com/a`,
      `https://evil.example${character}@app.example.com/a`,
    ]) {
      const refused = await person.begin({ frontend: 'app', return_url: returnUrl })
      expectNothingBegun(refused, 'parameter_invalid')
      expect(refused.text).toContain('return_url')
    }
    expectBegun(await person.begin({ frontend: 'app', return_url: 'https://app.example.com/a' }))
  })

  it.each([
    ['in upper case', 'HTTPS://APP.EXAMPLE.COM/Orders', 'https://app.example.com/Orders'],
    ['with the scheme’s own port', 'https://app.example.com:443/orders', 'https://app.example.com/orders'],
    ['with dots in its path', 'https://app.example.com/a/../orders', 'https://app.example.com/orders'],
    [
      'with two slashes at the path',
      'https://app.example.com//evil.example/',
      'https://app.example.com//evil.example/',
    ],
    ['with an address in its query', 'https://app.example.com/?to=//evil', 'https://app.example.com/?to=//evil'],
    ['with an encoded line end', 'https://app.example.com/%0d%0aa', 'https://app.example.com/%0d%0aa'],
    ['with a fragment', 'https://app.example.com/#/orders?a=1', 'https://app.example.com/#/orders?a=1'],
    ['of 1 KB', `https://app.example.com/${'a'.repeat(1000)}`, `https://app.example.com/${'a'.repeat(1000)}`],
    ['of other letters', 'https://app.example.com/grüße', 'https://app.example.com/gr%C3%BC%C3%9Fe'],
  ])('%s on the registered origin is accepted, and the sign-in ends at the parsed URL', async (_, returnUrl, end) => {
    const done = await stack.person().signIn({ frontend: 'app', return_url: returnUrl })

    expect(done.status).toBe(303)
    expect(done.location).toBe(end)
  })

  it('must be one of the registered URLs if the front end registers full URLs', async () => {
    const person = stack.person()
    const [registered = ''] = narrow.returnUrls ?? []

    for (const returnUrl of [
      'https://narrow.example.com/',
      'https://narrow.example.com/signed-in',
      'https://narrow.example.com/signed-in?tab=2',
      'https://narrow.example.com/signed-in?tab=1&tab=2',
      'https://narrow.example.com/signed-in/?tab=1',
      'https://narrow.example.com/Signed-In?tab=1',
    ]) {
      expectNothingBegun(await person.begin({ frontend: 'narrow', return_url: returnUrl }), 'return_url_not_registered')
    }

    const done = await person.signIn({ frontend: 'narrow', return_url: `${registered}#last` })
    expect(done.location).toBe(`${registered}#last`)
    expect((await stack.person().signIn({ frontend: 'narrow' })).location).toBe(registered)
  })

  it('that is absent defaults to the root of the front end’s first origin', async () => {
    const done = await stack.person().signIn({ frontend: 'shop' })

    expect(done.location).toBe(`${shopPage.origin}/`)
  })
})

function expectNotRepeated(text: string, value: string): void {
  expect(text).not.toContain(value)
  expect(text).not.toContain(encodeURIComponent(value))
  expect(text).not.toContain('evil')
}
