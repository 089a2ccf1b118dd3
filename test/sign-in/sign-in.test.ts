import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import { expectBegun } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  apis: [
    { name: 'orders', scopes: ['api://demo/orders.read'] },
    { name: 'more', scopes: ['api://demo/orders.read', 'api://demo/orders.write'] },
  ],
}
const desk: Registration = { id: 'desk', origins: ['http://localhost:4200'], apis: [] }
const tenant = '11111111-1111-4111-8111-111111111111'

describe('a sign-in', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, desk], settings: { Broker__SignInSeconds: '60' } })
  })
  afterAll(() => stack.close())
  afterEach(() => stack.identityProvider.resetRequests())

  it('ends at the return URL with its fragment, and the session identifies the person', async () => {
    const person = stack.person()

    const done = await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/orders?page=2#last' }, ada)

    expect(done.status).toBe(303)
    expect(done.location).toBe('http://localhost:3000/orders?page=2#last')
    const session = await person.script(shopPage, '/session')
    expect(session.status).toBe(200)
    expect(session.json).toMatchObject({ username: ada, tenant_id: tenant })
  })

  it('returns to a backslash in the query and in the fragment', async () => {
    const return_url = String.raw`http://localhost:3000/orders?name=CONTOSO\ada#C:\temp|^[x]`

    const done = await stack.person().signIn({ frontend: 'shop', return_url })

    expect(done.location).toBe(return_url)
  })

  describe('whose request is rejected shows a page with links', () => {
    const hrefs = (text: string) =>
      [...text.matchAll(/href="(http[^"]*)"/g)].map(([, href]) => href!.replaceAll('&#38;', '&'))
    const good = 'http://localhost:3000/orders?a=1'

    it.each([
      ['a return URL over 1 KB', { return_url: `http://localhost:3000/#${'a'.repeat(1024)}` }, 'return_url_invalid'],
      ['a return URL over 4 KB', { return_url: `http://localhost:3000/#${'a'.repeat(4096)}` }, 'parameter_invalid'],
      [
        'a return URL with a backslash before the query',
        { return_url: 'http://localhost:3000\\a' },
        'return_url_invalid',
      ],
      ['a return URL with a line break', { return_url: 'http://localhost:3000/a\nb' }, 'parameter_invalid'],
      ['a return URL of another site', { return_url: 'https://evil.example/' }, 'return_url_not_registered'],
    ])('to sign in without %s', async (_, query, code) => {
      const refused = await stack.person().begin({ frontend: 'shop', ...query })

      expect(refused.status).toBe(400)
      expect(refused.text).toContain(code)
      expect(refused.text).not.toContain('evil.example')
      expect(hrefs(refused.text)).toEqual([`${stack.url}/login?frontend=shop`, 'http://localhost:3000/'])
      const [again] = hrefs(refused.text)
      expectBegun(await stack.person().open(again!))
    })

    it.each([
      ['a prompt that is not registered', { prompt: 'create' }],
      ['a scope that is not registered', { scope: 'api://demo/admin' }],
      ['a parameter that does not exist', { nonsense: '1' }],
      ['claims that are not allowed', { claims: '{"userinfo":{}}' }],
    ])('to sign in to the same page without %s', async (_, query) => {
      const refused = await stack.person().begin({ frontend: 'shop', return_url: good, ...query })

      const again = `${stack.url}/login?${new URLSearchParams({ frontend: 'shop', return_url: good }).toString()}`
      expect(hrefs(refused.text)).toEqual([again, good])
    })

    it('to no address, if the front end is not registered or not named', async () => {
      for (const query of [{ frontend: 'nobody' }, {}]) {
        expect(hrefs((await stack.person().begin(query)).text)).toEqual([])
      }
    })
  })

  it('returns to the front end an access token for its API, and keeps the provider’s other tokens secret', async () => {
    const person = stack.person()
    const done = await person.signIn({ frontend: 'shop' })

    const token = await person.sessionToken(shopPage, { api: 'orders' })

    expect(token.status).toBe(200)
    expect(token.json).toMatchObject({ token_type: 'Bearer', scope: 'api://demo/orders.read' })
    expect(Object.keys(token.json).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
    const [, payload = ''] = String(token.json.access_token).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    expect(claims).toMatchObject({ scp: 'orders.read', tid: tenant })
    const session = await person.script(shopPage, '/session')
    for (const { text, headers } of [done, session]) {
      expect(text + JSON.stringify([...headers])).not.toContain(String(token.json.access_token))
      expect(text + JSON.stringify([...headers])).not.toMatch(/refresh|id_token|eyJ/)
    }
  })

  it('authenticates the broker with an assertion that the vault signed, with PKCE, and without a secret', async () => {
    await stack.person().signIn({ frontend: 'shop' })

    const [redeemed] = stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')
    const form = redeemed?.form ?? {}
    expect(form.grant_type).toBe('authorization_code')
    expect(form.client_assertion_type).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    expect(form.code_verifier).toMatch(/^[\w-]{43}$/)
    expect(form).not.toHaveProperty('client_secret')
    const header = JSON.parse(
      Buffer.from(String(form.client_assertion).split('.')[0] ?? '', 'base64url').toString(),
    ) as Record<string, unknown>
    expect(Object.keys(header).sort()).toEqual(['alg', 'typ', 'x5t#S256'])
    expect(header.alg).toBe('PS256')
  })

  it('forwards the hints of the front end to the provider, and another API’s scopes if they are requested', async () => {
    const person = stack.person()
    const begun = await person.begin({
      frontend: 'shop',
      prompt: 'select_account',
      login_hint: 'grace@contoso.example',
      domain_hint: 'contoso.example',
      ui_locales: 'de-CH en',
      scope: 'api://demo/orders.read api://demo/orders.write',
    })

    const requested = expectBegun(begun)
    expect(Object.fromEntries(requested)).toMatchObject({
      prompt: 'select_account',
      login_hint: 'grace@contoso.example',
      domain_hint: 'contoso.example',
      ui_locales: 'de-CH en',
      scope: 'openid profile offline_access api://demo/orders.read api://demo/orders.write',
    })
    await person.callback(await person.atProvider(begun.location ?? '', 'grace@contoso.example'))
    stack.identityProvider.resetRequests()
    expect((await person.sessionToken(shopPage, { api: 'more' })).json.scope).toBe(
      'api://demo/orders.read api://demo/orders.write',
    )
    expect(stack.identityProvider.requests).toEqual([])
  })

  it('of a guest is a sign-in of this tenant, identified by ids and not by names', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, 'margaret@partner.example')

    expect((await person.script(shopPage, '/session')).json).toMatchObject({
      username: 'margaret@partner.example',
      tenant_id: tenant,
      object_id: 'aaaaaaaa-0003-4000-8000-000000000003',
    })
  })

  it('at a front end without an API requests only the identity of the person', async () => {
    const person = stack.person()
    const begun = await person.begin({ frontend: 'desk' })

    expect(expectBegun(begun).get('scope')).toBe('openid profile')
    await person.callback(await person.atProvider(begun.location ?? ''))
    expect((await person.script(deskPage, '/session')).json).toMatchObject({ username: ada })
    expect((await person.sessionToken(deskPage, { api: 'orders' })).json).toMatchObject({ code: 'api_unknown' })
  })

  it('at a broker with only one front end does not require its name in a request', async () => {
    const { url: at } = await stack.startInstance({ Broker__FrontEnds: JSON.stringify([shop]) })
    const person = stack.person()
    const done = await person.signIn({ return_url: 'http://localhost:3000/a' }, ada, { at })

    expect(done.location).toBe('http://localhost:3000/a')
    const session = await person.call('/session', { headers: { 'sec-fetch-site': 'same-origin' }, at })
    expect(session.json).toMatchObject({ username: ada })
  })

  it('that is not completed is deleted by the browser after the time in the settings', async () => {
    const begun = await stack.person().begin({ frontend: 'shop' })

    expect(begun.cookies[0]).toContain('max-age=60;')
  })
})
