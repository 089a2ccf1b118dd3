import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectBegun, expectNothingBegun, expectSafeHeaders } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { sendRaw } from '../setup/raw-http.ts'

const returnUrl = 'http://localhost:3000/a'
const start = `/login?frontend=shop&return_url=${encodeURIComponent(returnUrl)}`

let stack: Stack
let signedIn: Person
beforeAll(async () => {
  stack = await startStack()
  signedIn = stack.person()
  await signedIn.signIn({ frontend: 'shop', return_url: returnUrl })
})
afterAll(() => stack.close())

describe('the host that a request names', () => {
  const hosts = () => new URL(stack.url).host

  it.each([
    ['another Host', [['Host', 'evil.example']]],
    ['a Host with another port', [['Host', 'localhost:1']]],
    [
      'X-Forwarded-Host',
      [
        ['Host', 'HERE'],
        ['X-Forwarded-Host', 'evil.example'],
        ['X-Forwarded-Proto', 'https'],
      ],
    ],
    [
      'Forwarded',
      [
        ['Host', 'HERE'],
        ['Forwarded', 'host=evil.example;proto=https'],
      ],
    ],
    [
      'X-Original-Host',
      [
        ['Host', 'HERE'],
        ['X-Original-Host', 'evil.example'],
        ['X-Host', 'evil.example'],
      ],
    ],
  ] as const)('by %s changes no redirect URI and no link', async (_, headers) => {
    const written = headers.map(([name, value]) => [name, value === 'HERE' ? hosts() : value] as const)

    const begun = await sendRaw(stack.url, { target: start, headers: written })
    const page = await sendRaw(stack.url, { target: `/callback?state=${'A'.repeat(43)}.shop`, headers: written })
    const session = await sendRaw(stack.url, { target: '/session?frontend=shop', headers: written })

    // Every answer uses the address from the settings.
    expect(begun.status).toBe(303)
    const requested = new URL(begun.headers.get('location') ?? '').searchParams
    expect(requested.get('redirect_uri')).toBe(`${stack.url}/callback`)
    expect(page.text).toContain(`${stack.url}/login?frontend=shop`)
    expect(session.status).toBe(401)
    expect(session.text).toContain(`${stack.url}/login?frontend=shop`)
    for (const { text, headers: answered } of [begun, page, session]) {
      expect(text + JSON.stringify([...answered])).not.toContain('evil')
    }
  })

  it('by an absolute URI changes nothing either', async () => {
    const begun = await sendRaw(stack.url, { target: `http://evil.example${start}` })

    expect(begun.status).toBe(303)
    const requested = new URL(begun.headers.get('location') ?? '').searchParams
    expect(requested.get('redirect_uri')).toBe(`${stack.url}/callback`)
    expect(JSON.stringify([...begun.headers])).not.toContain('evil')
  })

  it('twice, or with a user, is rejected', async () => {
    const twice = [
      ['Host', hosts()],
      ['Host', 'evil.example'],
    ] as const

    for (const headers of [twice, twice.toReversed(), [['Host', 'localhost@evil.example']] as const]) {
      const refused = await sendRaw(stack.url, { target: start, headers })
      expect(refused.status).toBe(400)
      expect(refused.text + JSON.stringify([...refused.headers])).not.toContain('evil')
    }
  })

  it('must be there: a request without Host is rejected (RFC 9112 §3.2)', async () => {
    const refused = await sendRaw(stack.url, { target: start, headers: [] })

    expect(refused.status).toBe(400)
    expect(refused.headers.get('set-cookie')).toBeNull()
  })
})

describe('a header that the Functions library cannot read', () => {
  const here = () => new URL(stack.url).host

  it.each(['/health', '/health/ready', '/.well-known/jwks.json', '/'])(
    'does not fail a request to %s',
    async (target) => {
      const headers = [
        ['Host', here()],
        ['Cookie', 'city=Łódź; mood=😀'],
        ['X-Name', 'Łódź'],
      ] as const

      expect((await sendRaw(stack.url, { target, headers })).status).toBe(200)
    },
  )

  it('does not end a session: the broker’s cookie beside it is read', async () => {
    const { '__Host-session-shop': session = '' } = await signedIn.cookies()
    const ask = (cookie: string) =>
      sendRaw(stack.url, {
        target: '/session?frontend=shop',
        headers: [
          ['Host', here()],
          ['Cookie', cookie],
          ['Sec-Fetch-Site', 'same-site'],
        ],
      })

    expect((await ask(`city=Łódź; __Host-session-shop=${session}; town=Kraków`)).status).toBe(200)
    // A sibling host can set such a name: it must not be read as the broker's cookie.
    for (const space of ['\u00a0', '\u2003', '\u3000', '\ufeff', '\u200b'])
      expect((await ask(`${space}__Host-session-shop=${session}`)).status).toBe(401)
  })

  it('does not fail a request with an empty Host, or with the target *', async () => {
    const nameless = await sendRaw(stack.url, { target: '/health', headers: [['Host', '']] })
    const star = await sendRaw(stack.url, { method: 'OPTIONS', target: '*', headers: [['Host', here()]] })

    expect(nameless.status).toBe(200)
    expect(star.status).toBeLessThan(500)
  })
})

describe('a path', () => {
  it.each(['/LOGIN', '/login/', '/Login'])('%s is the same route with the same checks', async (path) => {
    const person = stack.person()

    expectBegun(await person.open(start.replace('/login', path)))
    expectNothingBegun(
      await person.open(`${path}?frontend=shop&return_url=https://evil.example/`),
      'return_url_not_registered',
    )
  })

  it.each(['//login', '/login%2f', '/login/x', '/login%00', '/session/../admin/host/keys', '/.env', '/dist/index.mjs'])(
    '%s reaches no function',
    async (path) => {
      const refused = await sendRaw(stack.url, { target: `${path}?frontend=shop` })

      expect([400, 401, 404]).toContain(refused.status)
      expect(refused.headers.get('set-cookie')).toBeNull()
    },
  )

  it.each(['X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Path-Override'])('in the header %s is ignored', async (name) => {
    const reply = await stack.person().open('/health', { headers: { [name]: '/health/detail' } })

    expect(reply.status).toBe(200)
    expect(reply.text).toBe('alive')
  })
})

describe('a caller that claims to be', () => {
  it.each([
    ['a probe', { 'user-agent': 'AlwaysOn' }],
    ['a health check', { 'user-agent': 'HealthCheck/1.0', 'x-ms-health-check': '1' }],
    ['this machine', { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', 'x-client-ip': '127.0.0.1' }],
    ['signed in at the platform', { 'x-ms-client-principal': 'eyJ9', 'x-ms-token-aad-id-token': 'eyJ9' }],
    ['a debugger', { 'x-debug': '1', 'x-functions-key': 'AAAA', authorization: 'Bearer AAAA' }],
  ] as const)('%s passes no check because of that claim', async (_, headers) => {
    const person = stack.person()

    const begun = await person.open('/login?frontend=shop&return_url=https://evil.example/', { headers })
    expectNothingBegun(begun, 'return_url_not_registered')
    expectNothingBegun(await person.open('/callback?state=a&code=a', { headers }), 'sign_in_unknown')
    expect((await person.script(shopPage, '/session', { headers })).status).toBe(401)
    const forged = await signedIn.call('/logout?frontend=shop', { method: 'POST', headers })
    expect(forged.status).toBe(403)
    expect((await signedIn.script(shopPage, '/session', { headers })).status).toBe(200)
  })
})

describe('information for operators only', () => {
  const detail = '/health/detail'
  const ask = (headers: Record<string, string>, path = detail) => stack.person().call(path, { headers })

  it.each([
    ['without a key', {}],
    ['with a wrong key', { 'x-functions-key': 'AAAA' }],
    ['with an empty key', { 'x-functions-key': '' }],
    ['to a probe of the platform', { 'user-agent': 'AlwaysOn' }],
    ['to the health check', { 'user-agent': 'HealthCheck/1.0' }],
    ['to the kubelet', { 'user-agent': 'kube-probe/1.30' }],
    ['with headers that claim this machine as origin', { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1' }],
    ['with the platform’s own headers', { 'x-ms-request-id': '1', 'x-arr-ssl': '1', 'x-site-deployment-id': 'a' }],
    [
      'with a principal that the caller wrote',
      { 'x-ms-client-principal': 'eyJ9', 'x-ms-client-principal-name': 'admin' },
    ],
  ] as const)('is not returned %s', async (_, headers) => {
    expect((await ask(headers)).status).toBe(401)
    const [broker] = stack.brokers
    const reported = await ask({ ...headers, 'x-functions-key': broker?.functionKey ?? '' })
    expect(reported.status).toBe(200)
    expect(reported.json.checks).toBeInstanceOf(Array)
  })

  it.each(['/admin/host/keys', '/admin/functions/sweep', '/runtime/webhooks/eventgrid?functionName=certificateEvent'])(
    '%s is not reachable without the host’s own key',
    async (path) => {
      for (const headers of [{}, { 'x-functions-key': stack.brokers[0]?.functionKey ?? '' }]) {
        const refused = await stack.person().call(path, { method: 'POST', headers, body: '{}' })
        expect([401, 403, 404]).toContain(refused.status)
      }
    },
  )

  it('is not on the public routes', async () => {
    const ready = await stack.person().call('/health/ready')

    expect(ready.text).toBe('ready')
    expect(ready.status).toBe(200)
    expectSafeHeaders(ready)
    expect((await stack.person().call('/health')).text).toBe('alive')
  })
})
