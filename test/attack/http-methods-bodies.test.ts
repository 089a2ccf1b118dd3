import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectNothingBegun, expectSafeHeaders } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { sendRaw } from '../setup/raw-http.ts'

let stack: Stack
let signedIn: Person
beforeAll(async () => {
  stack = await startStack()
  signedIn = stack.person()
  await signedIn.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/a' })
})
afterAll(() => stack.close())

describe('a method', () => {
  const routes = [
    ['/login', 'GET, HEAD, POST'],
    ['/callback', 'POST, GET'],
    ['/session', 'GET, OPTIONS'],
    ['/session/token', 'POST, OPTIONS'],
    ['/logout', 'POST, OPTIONS'],
    ['/logout/done', 'GET'],
    ['/health/ready', 'GET, HEAD'],
  ] as const

  it.each(routes)('that %s does not accept gets 405 with the list of accepted methods', async (path, allowed) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      if (allowed.includes(method)) continue
      const refused = await signedIn.call(path, { method, headers: { accept: 'application/json' } })

      expect(refused.status, `${method} ${path}`).toBe(405)
      expect(refused.headers.get('allow')).toBe(allowed)
      expect(refused.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
      expect(refused.json).toMatchObject({ code: 'method_not_allowed' })
      expectSafeHeaders(refused)
      expect(refused.cookies).toEqual([])
    }
    expect((await signedIn.script(shopPage, '/session')).status).toBe(200)
  })

  it.each([
    '/.well-known/jwks.json',
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
    '/.well-known/id-token-keys.json',
    '/client.js',
    '/health/ready',
  ])('HEAD has the headers of GET at %s', async (path) => {
    const [head, get] = await Promise.all([signedIn.call(path, { method: 'HEAD' }), signedIn.call(path)])

    expect([head.status, head.text]).toEqual([200, ''])
    for (const name of ['content-type', 'cache-control']) expect(head.headers.get(name)).toBe(get.headers.get(name))
  })

  it.each(routes)('that is unknown reaches no function at %s', async (path) => {
    for (const method of ['TRACE', 'CONNECT_', 'PROPFIND', 'get', 'GETX']) {
      const refused = await sendRaw(stack.url, { method, target: path })
      expect([400, 404, 405, 501], `${method} ${path}`).toContain(refused.status)
      expect(refused.headers.get('set-cookie')).toBeNull()
    }
  })
})

describe('a body', () => {
  const form = 'application/x-www-form-urlencoded'
  const json = { 'content-type': 'application/json' }

  it('of 1 MB is rejected before it is parsed, on every route', async () => {
    const large = 'a'.repeat(1024 * 1024)
    const callback = await stack.person().open('/callback', {
      method: 'POST',
      body: `state=${large}`,
      headers: { 'content-type': form },
    })
    expectNothingBegun(callback, 'request_too_large')

    for (const path of ['/session/token', '/logout']) {
      const refused = await signedIn.script(shopPage, path, {
        method: 'POST',
        body: `{"api":"${large}"}`,
        headers: json,
      })
      expect(refused.status).toBe(413)
      expect(refused.json).toMatchObject({ code: 'request_too_large' })
    }
    expect((await signedIn.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
  })

  it('that declares 100 MB is rejected at once, before it arrives', async () => {
    const refused = await sendRaw(stack.url, {
      method: 'POST',
      target: '/callback',
      headers: [
        ['Host', new URL(stack.url).host],
        ['Content-Type', form],
        ['Content-Length', String(101 * 1024 * 1024)],
      ],
      body: 'state=a',
    })

    // The host's own limit answers 500 without a body: no code of the broker runs,
    // and the answer contains nothing from the broker.
    expect([413, 500]).toContain(refused.status)
    expect(refused.text).toBe('')
    expect((await stack.person().call('/health')).status).toBe(200)
  })

  it('in another charset or content type is rejected, and in UTF-8 accepted', async () => {
    for (const type of [
      'application/json; charset=utf-16',
      'application/json; charset=iso-8859-1',
      'text/json',
      'text/plain',
      form,
    ]) {
      const refused = await signedIn.script(shopPage, '/session/token', {
        method: 'POST',
        body: '{"api":"orders"}',
        headers: { 'content-type': type },
      })
      expect(refused.status, type).toBe(415)
      expect(refused.json).toMatchObject({ code: 'content_type_unsupported' })
    }
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON;charset="UTF-8"',
      'application/json; charset=utf8',
    ]) {
      const read = await signedIn.script(shopPage, '/session/token', {
        method: 'POST',
        body: '{"api":"orders"}',
        headers: { 'content-type': type },
      })
      expect(read.status, type).toBe(200)
    }
  })

  it('with 51 fields is rejected because of their number', async () => {
    const fields = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`f${i}`, '1']))

    const refused = await stack.person().callback({ mode: 'form_post', fields })

    expectNothingBegun(refused, 'request_too_large')
  })

  it.each([
    '',
    '[]',
    '"a"',
    '1',
    'null',
    '{',
    '{"api":1}',
    '{"api":"orders","evil":"x"}',
    '{"api":{"a":1}}',
    '{"__proto__":"x"}',
  ])('that is not a valid request is rejected: %s', async (body) => {
    const refused = await signedIn.script(shopPage, '/session/token', { method: 'POST', body, headers: json })

    expect(refused.status).toBe(400)
    expect(refused.json).toMatchObject({ code: 'parameter_invalid' })
    expect(refused.text).not.toContain('evil')
  })
})
