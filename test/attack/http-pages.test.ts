import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import type { ErrorCode } from '../../shared/errors/catalogue.ts'
import { shopPage } from '../setup/person.ts'
import type { Call, Reply } from '../setup/person.ts'
import { createHash } from 'node:crypto'
import { expectBegun, expectPage, expectSafeHeaders, linksOf } from '../setup/refusals.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const app: Registration = {
  id: 'app',
  kind: 'oauth',
  origins: ['https://app.example.net'],
  redirectUris: ['https://app.example.net/cb'],
  apis: [],
}

let stack: Stack
beforeAll(async () => {
  // Without reuse of the assertion, each sign-in needs the vault.
  stack = await startStack({ frontEnds: [shop, desk, app], settings: { Broker__AssertionReuse: 'false' } })
})
afterAll(() => stack.close())

interface WayToPage {
  readonly code: ErrorCode
  readonly path: string
  readonly call?: Call
}

/** A request for each page that a link or a form can open. */
const pages: readonly WayToPage[] = (
  [
    ['front_end_unknown', '/login?frontend=nobody'],
    ['front_end_missing', '/login'],
    ['return_url_not_registered', '/login?frontend=shop&return_url=https://evil.example/'],
    ['return_url_invalid', '/login?frontend=shop&return_url=javascript:alert(1)'],
    ['parameter_repeated', '/login?frontend=shop&frontend=shop'],
    ['parameter_invalid', '/login?frontend=shop&unknown=1'],
    ['prompt_not_registered', '/login?frontend=shop&prompt=none'],
    ['scope_not_registered', '/login?frontend=shop&scope=a'],
    ['claims_not_allowed', '/login?frontend=shop&claims={}'],
    ['client_unknown', '/login?client_id=nobody'],
    ['query_too_large', `/login?frontend=shop&login_hint=${'a'.repeat(8_000)}`],
    ['prefetch_refused', '/login?frontend=shop', { headers: { 'sec-purpose': 'prefetch' } }],
    ['method_not_allowed', '/login', { method: 'PUT' }],
    ['sign_in_unknown', '/callback?state=a'],
    ['answer_invalid', '/callback?state=a&state=a'],
    ['content_type_unsupported', '/callback', { method: 'POST', body: 'a', headers: { 'content-type': 'text/plain' } }],
    ['sign_out_unknown', '/logout/done?state=a'],
  ] satisfies [ErrorCode, string, Call?][]
).map(([code, path, call]) => ({ code, path, ...(call ? { call } : {}) }))

function lineOf(reference: string): string | undefined {
  return stack
    .log()
    .split('\n')
    .find((line) => line.includes(reference))
}

/** The log entry with the reference, as soon as the process has written it. */
async function logged(reply: Reply): Promise<Record<string, unknown>> {
  const reference = reply.headers.get('broker-reference') ?? 'none'
  await expect.poll(() => lineOf(reference)).toBeDefined()
  const line = lineOf(reference) ?? ''
  return JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>
}

describe('a page', () => {
  it.each(pages)(
    'for $code cannot be framed, sniffed, cached or scripted, and its reference is in the log',
    async ({ code, path, call }) => {
      const reply = await stack.person().open(path, call)

      expectPage(reply, code)
      const { title, responsible } = errorCatalogue[code]
      expect(reply.text).toContain(`<title>${title}</title>`)
      expect(await logged(reply)).toMatchObject({
        event: 'refused',
        reference: reply.headers.get('broker-reference'),
        code,
        responsible,
      })
    },
  )

  /** Follows the remedy for a lost cookie, since this broker has an http URL. */
  const aboutSafari = () => `Safari stores none of ${stack.url}: use Chrome, Edge or Firefox.`
  it.each(pages)('for $code is problem details for a program, with the same text', async ({ code, path, call }) => {
    const headers = { ...call?.headers, accept: 'application/json' }
    const reply = await stack.person().call(path, { ...call, headers })

    const { status, title, remedy, responsible } = errorCatalogue[code]
    expect(reply.status).toBe(status)
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(reply.json).toMatchObject({
      status,
      title,
      detail: code === 'sign_in_unknown' ? `${remedy} ${aboutSafari()}` : remedy,
      code,
      responsible,
      reference: reply.headers.get('broker-reference'),
    })
    expect(String(reply.json.type)).toContain(code)
    expectSafeHeaders(reply)
    expect(await logged(reply)).toMatchObject({ reference: reply.headers.get('broker-reference'), code })
  })

  it('allows its one style by hash, and nothing else', async () => {
    const { headers, text } = await stack.person().open('/login')
    const policy = (headers.get('content-security-policy') ?? '').split('; ')

    expect(policy.filter((part) => !part.endsWith("'none'"))).toEqual([
      expect.stringMatching(/^style-src 'sha256-[\w+/]{43}='$/),
      'img-src data:',
    ])
    expect(text.match(/<style/g)).toHaveLength(1)
    expect(text).not.toMatch(/ style=|<script|<img|<link [^>]*href="(?!data:,)/)
  })

  it('shows the registered values on the developer’s machine, and is as strict', async () => {
    const home = await stack.person().open('/')

    expect(home.status).toBe(200)
    expectSafeHeaders(home)
    expect(home.text).toContain(`${stack.url}/login?frontend=shop`)
    expect(home.cookies).toEqual([])
  })

  it('does not show the registered values if its address is not on the developer’s machine', async () => {
    const { url } = await stack.startInstance({ Broker__BaseUrl: 'https://login.example.com' })
    const home = await fetch(url)

    // 204 as the host answers by itself: a probe that has no path counts it as healthy.
    expect([home.status, await home.text()]).toEqual([204, ''])
  })
})

const returnUrl = 'http://localhost:3000/cart?a=1#end'
const toShop = { frontend: 'shop', return_url: returnUrl }
const toApp = {
  client_id: 'app',
  redirect_uri: 'https://app.example.net/cb',
  response_type: 'code',
  state: 'of the client',
  scope: 'openid',
  code_challenge: createHash('sha256').update('verifier').digest('base64url'),
  code_challenge_method: 'S256',
}
const form = 'application/x-www-form-urlencoded'
const query = (parameters: Readonly<Record<string, string>>) => new URLSearchParams(parameters).toString()

/** A sign-in that has begun: the broker waits for the provider's answer. */
async function begun(parameters: Readonly<Record<string, string>>) {
  const person = stack.person()
  const { location } = await person.begin(parameters)
  const state = new URL(location!).searchParams.get('state')!
  const post = (fields: string | Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) =>
    person.open('/callback', {
      method: 'POST',
      body: typeof fields === 'string' ? fields : query(fields),
      headers: { 'content-type': form, 'sec-fetch-site': 'cross-site', ...headers },
    })
  return { person, location: location!, state, post }
}

/** A sign-in of which the provider has answered; `fault` is there when the broker redeems the code. */
async function redeemed(fault: () => unknown, parameters: Readonly<Record<string, string>> = toShop) {
  const { person, location } = await begun(parameters)
  const answer = await person.atProvider(location)
  fault()
  try {
    return await person.callback(answer)
  } finally {
    stack.store.clearFaults()
    stack.vault.faults.clear()
    stack.identityProvider.faults.clear()
  }
}

const open = (path: string, call?: Call) => () => stack.person().open(path, call)
const answered = async (
  change: (state: string) => Readonly<Record<string, string>>,
  to: Readonly<Record<string, string>> = toShop,
) => {
  const { post, state } = await begun(to)
  return post(change(state))
}
const posted = (path: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
  open(path, { method: 'POST', body, headers: { 'content-type': form, ...headers } })
const unsignedHint = `a.${Buffer.from('{"aud":"app"}').toString('base64url')}.c`

/** The front end that a page's links lead to, as far as the request or the browser names it. */
type Way = 'shop' | 'shop, to the page' | 'shop after a sign-out' | 'app' | 'none'

const ways: readonly (readonly [string, ErrorCode, Way, () => Promise<Reply>])[] = [
  // /login
  ['an invalid return URL', 'return_url_invalid', 'shop', open('/login?frontend=shop&return_url=javascript:alert(1)')],
  [
    'the return URL of an attacker',
    'return_url_not_registered',
    'shop',
    open('/login?frontend=shop&return_url=https://evil.example/'),
  ],
  [
    'the return URL of another front end',
    'return_url_not_registered',
    'shop',
    open('/login?frontend=shop&return_url=http://localhost:4200/'),
  ],
  [
    'a parameter twice',
    'parameter_repeated',
    'shop, to the page',
    open(`/login?${query(toShop)}&prompt=login&prompt=login`),
  ],
  [
    'a prefetch',
    'prefetch_refused',
    'shop, to the page',
    open(`/login?${query(toShop)}`, { headers: { purpose: 'prefetch' } }),
  ],
  ['a query that is too long', 'query_too_large', 'shop', open(`/login?login_hint=${'a'.repeat(8_000)}&frontend=shop`)],
  ['an unsupported method', 'method_not_allowed', 'shop', open('/login?frontend=shop', { method: 'DELETE' })],
  [
    'a request from a frame',
    'login_required',
    'shop',
    open('/login?frontend=shop', { headers: { 'sec-fetch-dest': 'iframe' } }),
  ],
  ['an OAuth client as a session front end', 'front_end_kind_mismatch', 'app', open('/login?frontend=app')],
  [
    'an unregistered redirect URI',
    'redirect_uri_not_registered',
    'app',
    open(`/login?${query({ ...toApp, redirect_uri: 'https://evil.example/cb' })}`),
  ],
  [
    'a prefetch for a client',
    'prefetch_refused',
    'app',
    open(`/login?${query(toApp)}`, { headers: { 'sec-purpose': 'prefetch' } }),
  ],
  ['a session front end as a client', 'client_unknown', 'shop', open('/login?client_id=shop')],
  ['no name', 'front_end_missing', 'none', open('/login')],
  ['an unknown name', 'front_end_unknown', 'none', open('/login?frontend=https://evil.example')],
  ['an unknown client', 'client_unknown', 'none', open('/login?client_id=evil&redirect_uri=https://evil.example/')],

  // /callback, before the transaction is open
  ['an unknown state', 'sign_in_unknown', 'shop', open('/callback?state=AAAA.shop&code=a')],
  ['an unknown state of a client', 'sign_in_unknown', 'app', posted('/callback', 'state=AAAA.app&code=a')],
  ['a state that names an address', 'sign_in_unknown', 'none', open('/callback?state=AAAA.https://evil.example/')],
  ['a state twice', 'answer_invalid', 'shop', open('/callback?state=AAAA.shop&state=AAAA.shop')],
  ['a field twice, by POST', 'answer_invalid', 'shop', posted('/callback', 'state=AAAA.shop&code=a&code=b')],
  [
    'a code that is too long',
    'answer_invalid',
    'app',
    posted('/callback', `state=AAAA.app&code=${'a'.repeat(17_000)}`),
  ],
  ['a body and a query', 'answer_invalid', 'shop', posted('/callback?state=AAAA.shop', 'state=AAAA.shop')],
  [
    'a query that is too long, at the callback',
    'query_too_large',
    'shop',
    open(`/callback?code=${'a'.repeat(8_000)}&state=AAAA.shop`),
  ],
  [
    'an unsupported method at the callback',
    'method_not_allowed',
    'shop',
    open('/callback?state=AAAA.shop', { method: 'PUT' }),
  ],
  [
    'an unsupported content type, with a sign-in pending',
    'content_type_unsupported',
    'shop',
    async () => (await begun(toShop)).post('{}', { 'content-type': 'application/json' }),
  ],
  [
    'an unsupported content type, with the sign-in of a client pending',
    'content_type_unsupported',
    'app',
    async () => (await begun(toApp)).post('{}', { 'content-type': 'text/plain' }),
  ],
  [
    'a body that is too large, with a sign-in pending',
    'request_too_large',
    'shop',
    async () => (await begun(toShop)).post(`a=${'a'.repeat(70_000)}`),
  ],
  [
    'no state, with a sign-in pending',
    'sign_in_unknown',
    'shop',
    async () => (await begun(toShop)).post({ code: 'a' }),
  ],
  [
    'an unsupported content type',
    'content_type_unsupported',
    'none',
    posted('/callback', '{}', { 'content-type': 'application/json' }),
  ],
  ['an empty answer', 'sign_in_unknown', 'none', open('/callback')],

  // /callback, of a transaction
  [
    'a cancelled sign-in',
    'sign_in_cancelled',
    'shop, to the page',
    () => answered((state) => ({ state, error: 'access_denied' })),
  ],
  [
    'a refusal of the provider',
    'provider_refused',
    'shop, to the page',
    () => answered((state) => ({ state, error: 'something_new' })),
  ],
  [
    'a fault of the provider',
    'provider_unavailable',
    'shop, to the page',
    () => answered((state) => ({ state, error: 'temporarily_unavailable' })),
  ],
  [
    'an answer of another issuer',
    'issuer_mismatch',
    'shop, to the page',
    () => answered((state) => ({ state, code: 'a', iss: 'https://evil.example/' })),
  ],
  ['an answer without a code', 'answer_invalid', 'shop, to the page', () => answered((state) => ({ state }))],
  [
    'a code that the provider refuses',
    'code_refused',
    'shop, to the page',
    () => answered((state) => ({ state, code: 'made-up' })),
  ],
  [
    'a store that is down',
    'store_unavailable',
    'shop, to the page',
    () => redeemed(() => stack.store.addFault({ dropConnection: true })),
  ],
  [
    'a certificate that the provider refuses',
    'client_refused',
    'shop, to the page',
    () => redeemed(() => stack.identityProvider.nextTokenError({ error: 'invalid_client', error_codes: [700027] })),
  ],
  [
    'a provider that is down',
    'provider_unavailable',
    'shop, to the page',
    () => redeemed(() => stack.identityProvider.faults.add({ endpoint: 'token', status: 503 })),
  ],
  [
    'a vault that is down',
    'vault_unavailable',
    'shop, to the page',
    () => redeemed(() => stack.vault.faults.add({ dropConnection: true })),
  ],

  // Sign-outs
  ['an unknown state of a sign-out', 'sign_out_unknown', 'none', open('/logout/done?state=a')],
  ['a state of a sign-out twice', 'parameter_repeated', 'none', open('/logout/done?state=a&state=a')],
  ['an unknown form', 'sign_out_unknown', 'none', open('/logout/done?handle=a')],
  ['a sign-out of another method', 'method_not_allowed', 'none', open('/logout/done', { method: 'POST', body: '' })],
  ['a frame with a parameter twice', 'parameter_repeated', 'none', open('/logout/frontchannel?sid=a&sid=a')],
  [
    'a sign-out of a client to an attacker',
    'return_url_not_registered',
    'app',
    open('/end-session?client_id=app&post_logout_redirect_uri=https://evil.example/'),
  ],
  ['an invalid hint', 'id_token_hint_invalid', 'app', open('/end-session?client_id=app&id_token_hint=x')],
  [
    'a hint without a valid signature',
    'id_token_hint_invalid',
    'app',
    posted('/end-session', `id_token_hint=${unsignedHint}`),
  ],
  [
    'a state twice, at the sign-out of a client',
    'parameter_repeated',
    'app',
    posted('/end-session', 'client_id=app&state=a&state=b'),
  ],
  [
    'an unsupported content type at the sign-out of a client',
    'content_type_unsupported',
    'app',
    posted('/end-session?client_id=app', '{}', { 'content-type': 'application/json' }),
  ],
  [
    'a session front end, at the sign-out of a client',
    'client_unknown',
    'shop after a sign-out',
    open('/end-session?client_id=shop'),
  ],
  ['no client', 'parameter_invalid', 'none', open('/end-session?post_logout_redirect_uri=https://elsewhere.example/')],
]

describe('the links of a page', () => {
  const expected = (): Readonly<Record<Way, readonly string[]>> => ({
    shop: [`${stack.url}/login?frontend=shop`, `${shopPage.origin}/`],
    'shop, to the page': [`${stack.url}/login?${query(toShop)}`, returnUrl],
    'shop after a sign-out': [`${shopPage.origin}/`],
    app: ['https://app.example.net/'],
    none: [],
  })

  it.each(ways)('after %s (%s) lead to: %s', async (_, code, way, reach) => {
    const reply = await reach()

    expectPage(reply, code)
    expect(linksOf(reply)).toEqual(expected()[way])
    expect(reply.text).not.toContain('evil')
    if (way === 'none') expect(reply.text).toMatch(/Go back to the application|You can close this page/)
    for (const link of linksOf(reply)) if (link.startsWith(stack.url)) expectBegun(await stack.person().open(link))
  })

  it('are not needed where a client receives its error, at its registered redirect URI', async () => {
    const replies = [
      await stack.person().begin({ ...toApp, code_challenge: 'x' }),
      await answered((state) => ({ state, error: 'access_denied' }), toApp),
      await redeemed(() => stack.store.addFault({ dropConnection: true }), toApp),
    ]

    for (const { status, location } of replies) {
      const { origin, pathname, searchParams } = new URL(location!)
      expect([status, origin + pathname, searchParams.get('state')]).toEqual([303, toApp.redirect_uri, toApp.state])
      expect(searchParams.get('error')).not.toBeNull()
    }
  })

  it('are none where the browser has pending sign-ins of several front ends', async () => {
    const { person, post } = await begun(toShop)
    await person.begin({ frontend: 'desk' })

    const reply = await post('{}', { 'content-type': 'application/json' })

    expectPage(reply, 'content_type_unsupported')
    expect(linksOf(reply)).toEqual([])
  })
})

describe('a reference', () => {
  it('is the caller’s trace id, if that is valid, so that it matches the front end’s own trace', async () => {
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const traceparent = `00-${trace}-00f067aa0ba902b7-01`

    const page = await stack.person().open('/login', { headers: { traceparent } })
    const problem = await stack.person().script(shopPage, '/session', { headers: { traceparent } })

    expect(page.headers.get('broker-reference')).toBe(trace)
    expect(page.text).toContain(`Reference: ${trace}`)
    expect(problem.json).toMatchObject({ code: 'signed_out', reference: trace })
  })

  it.each([
    '00-<script>-00f067aa0ba902b7-01',
    '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
    '-',
    'a'.repeat(500),
  ])('is the broker’s own if the caller’s trace id is not valid: %s', async (traceparent) => {
    const page = await stack.person().open('/login', { headers: { traceparent } })

    expect(page.headers.get('broker-reference')).toMatch(/^[0-9a-f]{32}$/)
    expect(page.text).not.toContain('script')
    expect((await logged(page)).reference).toBe(page.headers.get('broker-reference'))
  })

  it('is different for each request', async () => {
    const references = await Promise.all(
      Array.from({ length: 10 }, async () => (await stack.person().open('/login')).headers.get('broker-reference')),
    )

    expect(new Set(references).size).toBe(10)
  })
})

describe('an error answer', () => {
  it('to a script is problem details with a code and a sign-in URL', async () => {
    const reply = await stack.person().script(shopPage, '/session')

    expect(reply.status).toBe(401)
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expectSafeHeaders(reply)
    expect(reply.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect(reply.location).toBeNull()
    expect(await logged(reply)).toMatchObject({ code: 'signed_out' })
  })

  it('to an unexpected fault contains no detail of the fault', async () => {
    stack.store.addFault({ table: 'sessions', times: 1, status: 400, body: '{"odata.error":{"code":"evil words"}}' })
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop' })

    const failed = await person.callback(await person.atProvider(begun.location ?? ''))

    expect(failed.status).toBe(503)
    expect(failed.headers.get('retry-after')).toMatch(/^\d+$/)
    expectSafeHeaders(failed)
    expect(failed.text).not.toMatch(/evil|odata|at .*\.(m?js|ts):\d+/)
    expect(await logged(failed)).toMatchObject({ code: 'store_unavailable', responsible: 'operator' })
    expect((await stack.person().signIn({ frontend: 'shop' })).location).toBe(`${shopPage.origin}/`)
  })
})
