import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  app,
  authorizationRequest,
  authorize,
  newPkce,
  post,
  redirectUri,
  refresh,
  signInByCode,
} from '../setup/client.ts'
import { desk, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

/** An OAuth client on the origin of a session front end. */
const both: Registration = { ...app, id: 'both', origins: desk.origins }
/** Also in the web view of Capacitor, and as an extension of a browser. */
const native: Registration = {
  ...app,
  id: 'native',
  origins: [
    'https://native.example.org',
    'capacitor://localhost',
    'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
  ],
}
const [origin] = app.origins as [string]
const routes = [
  ['/token', 'POST'],
  ['/revoke', 'POST'],
  ['/userinfo', 'GET'],
] as const

const others = [
  ['that is not registered', 'https://evil.example'],
  ['that only begins like one', `${origin}.evil.example`],
  ['that only ends like one', 'https://evil-native.example.org'],
  ['of another port', 'http://127.0.0.1:5174'],
  ['of another scheme', 'https://127.0.0.1:5173'],
  ['of another spelling', 'http://127.1:5173'],
  ['of a sandbox or a file', 'null'],
  ['of another extension', 'chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba'],
  ['of the broker itself', 'broker'],
] as const

describe('CORS for OAuth clients', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app, native, desk, both] })
  })
  afterAll(() => stack.close())

  const call = (path: string, headers: Readonly<Record<string, string>>, method = 'OPTIONS') =>
    fetch(`${stack.url}${path}`, { method, headers })
  const corsOf = (headers: Headers) => [...headers.keys()].filter((name) => name.startsWith('access-control-'))
  const listed = (headers: Headers, name: string) => (headers.get(name) ?? '').toLowerCase().split(', ')

  describe.each(routes)('at %s', (path, method) => {
    it('answers the preflight of a registered origin, to be kept for two hours', async () => {
      const answer = await call(path, {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'content-type,traceparent,tracestate,request-id',
      })

      expect(answer.status).toBe(204)
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
      expect(listed(answer.headers, 'access-control-allow-methods')).toContain(method.toLowerCase())
      expect(listed(answer.headers, 'access-control-allow-headers')).toEqual(
        expect.arrayContaining(['content-type', 'traceparent', 'tracestate', 'request-id']),
      )
      expect(answer.headers.get('access-control-max-age')).toBe('7200')
      expect(answer.headers.get('vary')).toContain('Origin')
    })

    it.each(others)('allows no request of an origin %s', async (_, foreign) => {
      const from = foreign === 'broker' ? stack.url : foreign

      const preflight = await call(path, { origin: from, 'access-control-request-method': method })
      const answer = await call(path, { origin: from }, method)

      expect(corsOf(preflight.headers)).toEqual([])
      expect(corsOf(answer.headers)).toEqual([])
      for (const { headers } of [preflight, answer]) expect(headers.get('vary')).toContain('Origin')
    })

    it.each([...native.origins, ...desk.origins])(
      'allows no credentials of %s, and lets its script read headers',
      async (origin) => {
        const preflight = await call(path, { origin, 'access-control-request-method': method })
        const answer = await call(path, { origin }, method)

        for (const { headers } of [preflight, answer]) {
          expect(headers.get('access-control-allow-origin')).toBe(origin)
          expect(headers.has('access-control-allow-credentials')).toBe(false)
        }
        expect(listed(answer.headers, 'access-control-expose-headers').sort()).toEqual([
          'broker-reference',
          'retry-after',
          'www-authenticate',
        ])
      },
    )
  })

  it('lets a client read its tokens, and the error when it receives none', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)

    const good = await refresh(stack.url, refreshToken)
    const refused = await refresh(stack.url, 'nothing')
    stack.store.addFault({ table: 'sessions', status: 503 })
    const down = await refresh(stack.url, refreshToken)
    stack.store.clearFaults()

    expect([good.status, refused.status, down.status]).toEqual([200, 400, 503])
    for (const { headers } of [good, refused, down]) expect(headers.get('access-control-allow-origin')).toBe(origin)
    expect(down.headers.get('retry-after')).toMatch(/^\d+$/)
  })

  it('gives a packaged application its tokens, and no other one', async () => {
    const pkce = newPkce()
    const answer = await authorize(stack.person(), authorizationRequest(pkce, { client_id: 'native' }))
    const redeemFrom = (origin: string) =>
      post(
        '/token',
        {
          ...{ grant_type: 'authorization_code', client_id: 'native', code: answer.get('code')! },
          ...{ redirect_uri: redirectUri, code_verifier: pkce.codeVerifier },
        },
        { url: stack.url, headers: { origin } },
      )

    expect((await redeemFrom('ionic://localhost')).json.code).toBe('request_not_from_front_end')
    expect((await redeemFrom('capacitor://localhost')).status).toBe(200)
  })

  it('lets no other registered origin have a client’s tokens, and returns an error to that origin', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken }

    const foreign = await post('/token', form, { url: stack.url, headers: { origin: native.origins[0]! } })
    const own = await post('/token', form, { url: stack.url, headers: {} })

    expect([foreign.status, foreign.json.code]).toEqual([400, 'request_not_from_front_end'])
    expect(foreign.headers.get('access-control-allow-origin')).toBe(native.origins[0])
    expect(own.status).toBe(200)
  })
})
