import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, authorize, newPkce, ordersRead, redeem, redirectUri } from '../setup/client.ts'
import type { Reply } from '../setup/person.ts'
import { unescapeHtml } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('an authorization request', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
  })
  afterAll(() => stack.close())

  const ask = async (query: URLSearchParams) => {
    const { location } = await stack.person().open(`/login?${query.toString()}`)
    return new URL(location ?? 'about:blank')
  }

  it('with parameters that libraries add is accepted, and the parameters are not passed on', async () => {
    const added = { display: 'popup', id_token_hint: 'e30.e30.e30', 'x-client-SKU': 'some.library', audience: 'any' }
    const person = stack.person()
    const request = authorizationRequest(newPkce(), added)

    const begun = await person.begin(request)
    const answer = await authorize(stack.person(), request)

    const sent = new URL(begun.location!)
    expect(sent.origin).toBe(stack.identityProvider.browserUrl)
    for (const name of Object.keys(added)) expect(sent.searchParams.has(name)).toBe(false)
    expect(answer.has('code')).toBe(true)
  })

  it('with a state that holds the address of a long page, as ASP.NET Core, Envoy and oauth2-proxy send, receives it', async () => {
    const state = Buffer.alloc(1536, 'https://app.example.net/reports?filter=').toString('base64url')
    const scope = `openid profile email offline_access ${ordersRead}`

    const answer = await authorize(stack.person(), authorizationRequest(newPkce(), { state, scope, nonce: 'n' }))

    expect(state).toHaveLength(2048)
    expect([answer.get('state'), answer.has('code')]).toEqual([state, true])
  })

  it.each([
    ['login consent', 'login'],
    ['consent login', 'login'],
    ['select_account consent', 'select_account'],
    ['login select_account consent', 'login'],
    ['consent consent', 'consent'],
    ['  login ', 'login'],
  ])('with prompt=“%s” requests %s of Entra ID, which accepts one value', async (prompt, sent) => {
    const begun = await ask(new URLSearchParams(authorizationRequest(newPkce(), { prompt })))

    expect(begun.origin).toBe(stack.identityProvider.browserUrl)
    expect(begun.searchParams.getAll('prompt')).toEqual([sent])
  })

  it.each(['toString', '__proto__', 'constructor'])(
    'with a parameter called %s is accepted like any other',
    async (name) => {
      const query = new URLSearchParams(authorizationRequest(newPkce()))
      query.append(name, 'a')

      expect((await ask(query)).origin).toBe(stack.identityProvider.browserUrl)
    },
  )

  it('that names such a parameter twice is refused', async () => {
    const query = new URLSearchParams(authorizationRequest(newPkce()))
    query.append('display', 'popup')
    query.append('display', 'page')

    const answer = await ask(query)

    expect(answer.href).toContain(`${redirectUri}?`)
    expect(answer.searchParams.get('error')).toBe('invalid_request')
    expect(answer.searchParams.get('error_description')).toBe('parameter_repeated (display): Send each parameter once.')
  })

  it.each([
    [{ response_mode: 'web_message' }, 'response_mode: none of query, fragment, form_post'],
    [{ max_age: 'undefined' }, 'max_age: not a number of seconds'],
    [{ nonce: 'n'.repeat(513) }, 'nonce: too long, or with control characters'],
    [{ dpop_jkt: 'x' }, 'dpop_jkt: not accepted by /login'],
  ])('with %j is answered by a description that names the parameter, which libraries show', async (changes, named) => {
    const answer = await ask(new URLSearchParams(authorizationRequest(newPkce(), changes)))

    expect(answer.href).toContain(`${redirectUri}?`)
    expect(answer.searchParams.get('error')).toBe('invalid_request')
    expect(answer.searchParams.get('error_description')).toContain(`parameter_invalid (${named}): Correct`)
  })

  it('whose repeated parameter has a name that may be markup is refused without that name', async () => {
    const query = new URLSearchParams(authorizationRequest(newPkce()))
    query.append('<b>', '1')
    query.append('<b>', '2')

    expect((await ask(query)).searchParams.get('error_description')).toMatch(/^parameter_repeated \(unknown\):/)
  })

  it.each(['http://127.0.0.1:5173/callback', 'https://app.example.net/callback?tenant=a'])(
    'with response_mode=form_post is answered by a form that posts to %s',
    async (redirect_uri) => {
      const pkce = newPkce()

      const page = await stack.person().signIn(authorizationRequest(pkce, { response_mode: 'form_post', redirect_uri }))

      const { action, fields } = formOf(page.text)
      expect([page.status, page.location, action]).toEqual([200, null, redirect_uri])
      expect(fields).toEqual({ code: fields.code, state: 'state-of-the-client', iss: stack.url })
      expect((await redeem(stack.url, fields.code!, pkce, { redirect_uri })).status).toBe(200)
      expectSafePage(page, redirect_uri.split('?')[0]!)
    },
  )

  it('with response_mode=form_post receives an error by a form too, at once and after the provider', async () => {
    const request = authorizationRequest(newPkce(), { response_mode: 'form_post', scope: 'api://other/read' })
    const refused = await stack.person().begin(request)
    const person = stack.person()
    const begun = await person.begin(authorizationRequest(newPkce(), { response_mode: 'form_post' }))
    const state = new URL(begun.location!).searchParams.get('state')!
    const cancelled = await person.callback({ mode: 'form_post', fields: { state, error: 'access_denied' } })

    for (const [page, error] of [
      [refused, 'invalid_scope'],
      [cancelled, 'access_denied'],
    ] as const) {
      const { action, fields } = formOf(page.text)
      expect([page.status, action]).toEqual([200, redirectUri])
      expect(fields).toMatchObject({ error, state: 'state-of-the-client', iss: stack.url })
      expectSafePage(page, redirectUri)
    }
  })

  it.each([
    '"><script>alert(1)</script>',
    `' onfocus=alert(1) autofocus='`,
    '</form><form action=https://evil.example>',
    '&quot;&#60;',
    '\u2028\u00e9\ud83d\ude00 %3Cb%3E',
  ])('with response_mode=form_post carries the state %s as text', async (state) => {
    const parameters = { response_mode: 'form_post', scope: 'api://other/read', state }

    const page = await stack.person().begin(authorizationRequest(newPkce(), parameters))

    const { action, fields } = formOf(page.text)
    expect([action, fields.state]).toEqual([redirectUri, state])
    expect(page.text.match(/<(form|script)\b/g)).toEqual(['<form', '<script'])
    expectSafePage(page, redirectUri)
  })

  it('with response_mode=form_post and an unregistered redirect URI is an error page without a form', async () => {
    const parameters = { response_mode: 'form_post', redirect_uri: 'https://evil.example/callback' }

    const page = await stack.person().begin(authorizationRequest(newPkce(), parameters))

    expect(page.status).toBe(400)
    expect(page.text).not.toMatch(/<form|evil\.example/)
    expect(page.headers.get('content-security-policy')).toContain("form-action 'none'")
  })

  it.each([
    // OpenID Connect Core §3.1.2.6.
    ['request', 'request_not_supported'],
    ['request_uri', 'request_uri_not_supported'],
    ['registration', 'registration_not_supported'],
    ['authorization_details', 'invalid_request'],
    ['dpop_jkt', 'invalid_request'],
  ])('with %s is refused as %s, since ignoring it would look like support', async (name, error) => {
    // Other faults of the request do not hide it: a client may repeat its parameters in the request object alone.
    for (const others of [{}, { response_type: undefined, state: 's', scope: 'api://other/read' }]) {
      const query = new URLSearchParams(authorizationRequest(newPkce(), { ...others, [name]: '1' }))

      const answer = await ask(query)

      expect(answer.href).toContain(`${redirectUri}?`)
      expect(answer.searchParams.get('error')).toBe(error)
      expect(answer.searchParams.get('state')).toBe(query.get('state'))
    }
    const empty = await ask(new URLSearchParams(authorizationRequest(newPkce(), { [name]: '' })))
    expect(empty.searchParams.get('error')).toBeNull()
  })
})

/** The form of a page, as a browser reads it. */
function formOf(text: string): { action: string | undefined; fields: Readonly<Record<string, string>> } {
  const fields = [...text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)" \/>/g)]
  const action = /<form method="post" action="([^"]*)">/.exec(text)?.[1]
  return {
    action: action && unescapeHtml(action),
    fields: Object.fromEntries(fields.map(([, name = '', value = '']) => [name, unescapeHtml(value)])),
  }
}

/** The page permits its own script and this form alone, is not stored, and can be opened by a popup. */
function expectSafePage({ headers, text }: Reply, formAction: string): void {
  const script = /<script>(.*?)<\/script>/s.exec(text)?.[1] ?? ''
  const policy = headers.get('content-security-policy')!.split('; ')
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`)
  expect(policy).toContain(`form-action ${formAction}`)
  expect(policy).toContain("frame-ancestors 'none'")
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('cross-origin-opener-policy')).toBe('unsafe-none')
  expect(text).toContain('<button class="way" type="submit">')
}
