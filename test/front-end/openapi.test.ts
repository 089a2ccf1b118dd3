import { routes } from '../../shared/http/routes.ts'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  app,
  authorizationRequest,
  authorize,
  newPkce,
  ordersRead,
  post,
  redeem,
  refresh,
  send,
  signInByCode,
} from '../setup/client.ts'
import type { Reply } from '../setup/person.ts'
import { shopPage } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

interface Response {
  readonly headers?: Readonly<Record<string, unknown>>
  readonly content?: Readonly<Record<string, unknown>>
}
interface Operation {
  readonly operationId: string
  readonly responses: Readonly<Record<string, Response>>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const document = JSON.parse(read('docs/openapi.json')) as Document
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
)

/** Not called by a front end: the provider, the platform, monitors and operators. */
const notForFrontEnds = [
  'callback/{provider?}',
  'signup/consented',
  'logout/done',
  'logout/frontchannel',
  'logout/backchannel',
  '.well-known/jwks.json',
  'client.js',
  'client-oauth.js',
  'health',
  'health/ready',
  'health/detail',
  'certificate/{version}/registered',
  '{ignored:maxlength(0)?}',
]

describe('docs/openapi.json', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema(document, 'openapi')
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, desk, app] })
  })
  afterAll(() => stack.close())

  /** Checks the answer against the description: status, content type, headers, and the body by its schema. */
  function expectDescribed(path: string, method: string, { status, headers, text }: Reply): void {
    const response = document.paths[path]?.[method]?.responses[status]
    if (!response) throw new Error(`${method} ${path} answers ${status}, which is not described: ${text}`)
    for (const name of Object.keys(response.headers ?? {})) expect(headers.get(name), name).not.toBeNull()
    const type = headers.get('content-type')?.split(';')[0] ?? ''
    if (!response.content) {
      expect(text).toBe('')
      return
    }
    expect(Object.keys(response.content)).toContain(type)
    if (!type.endsWith('json')) return
    const pointer = ['paths', path, method, 'responses', String(status), 'content', type, 'schema']
    const place = pointer.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')
    const check = ajv.compile({ $ref: `openapi#/${place}` })
    expect(check(JSON.parse(text)), `${text} ${ajv.errorsText(check.errors)}`).toBe(true)
  }

  it('has every route that a front end calls, and each operation once', () => {
    const registered = Object.values(routes).map((route) => route.replace(/\/\{\*\w+\}$/, ''))
    const described = operations.map(({ path }) => path.slice(1))

    expect(registered.filter((route) => !notForFrontEnds.includes(route)).sort()).toEqual(
      [...new Set(described)].sort(),
    )
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
  })

  it('has no reference without a target', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"(#[^"]+)"/g)].map(([, reference]) => reference!)

    expect(references.length).toBeGreaterThan(0)
    for (const reference of new Set(references)) {
      const found = reference
        .split('/')
        .slice(1)
        .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document)
      expect(found, reference).toBeDefined()
    }
  })

  it('reveals a member that it does not describe', () => {
    const check = ajv.compile({ $ref: 'openapi#/components/schemas/SessionToken' })
    const token = { access_token: 'a', token_type: 'Bearer', expires_in: 1, scope: 's' }

    expect(check(token)).toBe(true)
    expect(check({ ...token, refresh_token: 'r' })).toBe(false)
    expect(check({ ...token, expires_in: '1' })).toBe(false)
  })

  it.each([
    ['docs/front-ends.md', '/session/token'],
    ['docs/oauth.md', '/token'],
  ])('describes each status of a failure that %s lists', (page, path) => {
    const [, table = ''] = read(page).split('## When something fails')
    const listed = [...table.split('\n## ')[0]!.matchAll(/^\| (\d{3}(?:, \d{3})*) +\|/gm)].flatMap(([, cell]) =>
      cell!.split(', '),
    )

    expect(listed.length).toBeGreaterThan(5)
    // A method that is not described has no description of its failure.
    const others = listed.filter((status) => status !== '405' && !document.paths[path]!['post']!.responses[status])
    expect(others).toEqual([])
  })

  it('describes the answers of /login, for both kinds of front end', async () => {
    const person = stack.person()

    const answers = [
      await person.begin({ frontend: 'shop' }),
      await person.begin(authorizationRequest(newPkce())),
      await person.begin(authorizationRequest(newPkce(), { scope: 'api://demo/admin' })),
      await person.begin({ frontend: 'nobody' }),
      await person.begin({ client_id: 'nobody' }),
      await person.begin({ frontend: 'shop' }, { headers: { 'sec-purpose': 'prefetch' } }),
      await person.begin({ frontend: 'shop', return_url: 'a'.repeat(8_050) }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303, 400, 400, 403, 414])
    for (const answer of answers) expectDescribed('/login', 'get', answer)

    const posted = [
      await person.call('/login', { method: 'POST', body: new URLSearchParams(authorizationRequest(newPkce())) }),
      await person.call('/login', { method: 'POST', body: new URLSearchParams({ frontend: 'shop' }) }),
      await person.call('/login', { method: 'POST', body: new URLSearchParams({ iss: 'a'.repeat(8_050) }) }),
      await person.call('/login', { method: 'POST', body: 'text' }),
    ]
    expect(posted.map(({ status }) => status)).toEqual([303, 405, 414, 415])
    for (const answer of posted) expectDescribed('/login', 'post', answer)
  })

  it('describes the answers to an operator', async () => {
    await stack.person().signIn({ frontend: 'shop' })
    const operate = (path: string, body: object, key = stack.brokers[0]!.functionKey) =>
      send(path, JSON.stringify(body), {
        url: stack.url,
        headers: { 'content-type': 'application/json', 'x-functions-key': key },
      })

    for (const path of ['/operator/sessions/list', '/operator/sessions/end']) {
      const answers = [
        await operate(path, { front_end: 'shop' }),
        await operate(path, {}),
        await operate(path, { continuation: 'x'.repeat(9000) }),
      ]
      expect(answers.map(({ status }) => status)).toEqual([200, 400, 413])
      for (const answer of answers) expectDescribed(path, 'post', answer)
      expect((await operate(path, { front_end: 'shop' }, 'wrong')).status).toBe(401)
    }
  })

  it('describes the answers to a session front end', async () => {
    const person = stack.person()
    const out = await person.script(shopPage, '/session')
    const noToken = await person.sessionToken(shopPage, { api: 'orders' })
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    const script = (path: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
      person.script(shopPage, path, { method: 'POST', body, headers })

    const sessions = [
      out,
      await person.script(shopPage, '/session'),
      await person.script({ ...shopPage, id: 'x' }, '/session'),
    ]
    const tokens = [
      noToken,
      await person.sessionToken(shopPage, { api: 'orders' }),
      await person.sessionToken(shopPage, {}),
      await person.sessionToken(shopPage, { api: 'unknown' }),
      await script('/session/token', '{"api":"orders"}', { 'broker-request': '' }),
      await script('/session/token', 'api=orders', { 'content-type': 'text/plain' }),
      await script('/session/token', `{"api":"${'a'.repeat(9000)}"}`),
    ]
    const logouts = [
      await script('/logout', '{"return_url":"https://evil.example/"}'),
      await script('/logout', '{}', { 'sec-fetch-site': 'cross-site' }),
      await script('/logout', '{}'),
    ]

    expect(sessions.map(({ status }) => status)).toEqual([401, 200, 400])
    expect(tokens.map(({ status }) => status)).toEqual([401, 200, 400, 403, 403, 415, 413])
    expect(logouts.map(({ status }) => status)).toEqual([400, 403, 200])
    for (const answer of sessions) expectDescribed('/session', 'get', answer)
    for (const answer of tokens) expectDescribed('/session/token', 'post', answer)
    for (const answer of logouts) expectDescribed('/logout', 'post', answer)
  })

  it('describes the answers to a session front end when the provider requires interaction, and when the store is down', async () => {
    const person = stack.person()
    stack.identityProvider.settings.accessTokenSeconds = 4
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    stack.identityProvider.settings.accessTokenSeconds = 3600
    stack.identityProvider.nextTokenError(interaction)

    const requested = await person.sessionToken(shopPage, { api: 'orders' })
    stack.store.addFault({ table: 'sessions', status: 503, times: 20 })
    const down = await person.script(shopPage, '/session')
    stack.store.clearFaults()

    expect([requested.status, requested.json.code, down.status]).toEqual([403, 'interaction_required', 503])
    expectDescribed('/session/token', 'post', requested)
    expectDescribed('/session', 'get', down)
  })

  it('describes the answers to an OAuth client', async () => {
    const pkce = newPkce()
    const code = (await authorize(stack.person(), authorizationRequest(pkce))).get('code')!
    stack.identityProvider.settings.accessTokenSeconds = 4
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    stack.identityProvider.settings.accessTokenSeconds = 3600
    stack.identityProvider.nextTokenError(interaction)

    const tokens = [
      await redeem(stack.url, code, pkce),
      await refresh(stack.url, refreshToken), // the provider requires interaction
      await refresh(stack.url, refreshToken),
      await refresh(stack.url, 'nothing'),
      await refresh(stack.url, refreshToken, { client_id: 'nobody' }),
      await refresh(stack.url, refreshToken, { grant_type: 'password' }),
      await refresh(stack.url, refreshToken, { scope: 'api://demo/admin' }),
      await send('/token', '{}', { url: stack.url, headers: { 'content-type': 'application/json' } }),
      await send('/token', `a=${'a'.repeat(70_000)}`, { url: stack.url }),
    ]
    stack.store.addFault({ table: 'sessions', status: 503, times: 20 })
    tokens.push(await refresh(stack.url, refreshToken))
    stack.store.clearFaults()
    const revocations = [
      await post('/revoke', { client_id: 'app', token: refreshToken, token_type_hint: 'refresh_token' }, stack),
      await post('/revoke', { client_id: 'app' }, stack),
      await post('/revoke', { client_id: 'shop', token: refreshToken }, stack),
    ]

    expect(tokens.map(({ status }) => status)).toEqual([200, 400, 200, 400, 400, 400, 400, 415, 413, 503])
    expect(tokens[1]?.json).toMatchObject({ error: 'interaction_required' })
    expect(revocations.map(({ status }) => status)).toEqual([200, 400, 400])
    for (const answer of tokens) expectDescribed('/token', 'post', answer)
    for (const answer of revocations) expectDescribed('/revoke', 'post', answer)
  })

  it('describes the answers of a sign-out with a refresh token, and the metadata', async () => {
    const person = stack.person()
    const { refreshToken } = await signInByCode(person, stack.url)

    const out = await person.script({ id: 'app', origin: app.origins[0]! }, '/logout', {
      method: 'POST',
      body: JSON.stringify({ refresh_token: refreshToken }),
      headers: { 'sec-fetch-site': 'cross-site' },
    })
    const metadata = await person.call('/.well-known/oauth-authorization-server')

    expect([out.status, metadata.status]).toEqual([200, 200])
    expectDescribed('/logout', 'post', out)
    expectDescribed('/.well-known/oauth-authorization-server', 'get', metadata)
  })

  it('describes the answers of an OpenID provider', async () => {
    const person = stack.person()
    const pkce = newPkce()
    const request = authorizationRequest(pkce, { scope: `openid profile email ${ordersRead}` })
    const code = (await authorize(person, request)).get('code')!

    const token = await redeem(stack.url, code, pkce)
    const authorization = `Bearer ${token.json.access_token as string}`
    const [configuration, keys] = [
      await person.call('/.well-known/openid-configuration'),
      await person.call('/.well-known/id-token-keys.json'),
    ]
    const about = await person.call('/userinfo', { headers: { authorization } })
    const refused = await person.call('/userinfo', { method: 'POST' })

    expect([token, configuration, keys, about, refused].map(({ status }) => status)).toEqual([200, 200, 200, 200, 401])
    expectDescribed('/token', 'post', token)
    expectDescribed('/.well-known/openid-configuration', 'get', configuration)
    expectDescribed('/.well-known/id-token-keys.json', 'get', keys)
    expectDescribed('/userinfo', 'get', about)
    expectDescribed('/userinfo', 'post', refused)
  })
})

const interaction = {
  error: 'invalid_grant',
  suberror: 'basic_action',
  error_codes: [50076],
  claims: JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } }),
  grantType: 'refresh_token',
} as const
