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

  it('ends at the return URL with its fragment, and the session says who it is', async () => {
    const person = stack.person()

    const done = await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/orders?page=2#last' }, ada)

    expect(done.status).toBe(303)
    expect(done.location).toBe('http://localhost:3000/orders?page=2#last')
    const session = await person.script(shopPage, '/session')
    expect(session.status).toBe(200)
    expect(session.json).toMatchObject({ username: ada, tenant_id: tenant })
  })

  it('gives the front end an access token for its API, and keeps the provider’s other tokens', async () => {
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

  it('proves who the broker is by an assertion that the vault signed, with PKCE, and without a secret', async () => {
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

  it('takes the hints of the front end to the provider, and another API’s scopes where they are asked for', async () => {
    const person = stack.person()
    const begun = await person.begin({
      frontend: 'shop',
      prompt: 'select_account',
      login_hint: 'grace@contoso.example',
      domain_hint: 'contoso.example',
      ui_locales: 'de-CH en',
      scope: 'api://demo/orders.read api://demo/orders.write',
    })

    const asked = expectBegun(begun)
    expect(Object.fromEntries(asked)).toMatchObject({
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

  it('of a guest is one of this tenant, by ids and not by names', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, 'margaret@partner.example')

    expect((await person.script(shopPage, '/session')).json).toMatchObject({
      username: 'margaret@partner.example',
      tenant_id: tenant,
      object_id: 'aaaaaaaa-0003-4000-8000-000000000003',
    })
  })

  it('at a front end without an API asks for no more than who it is', async () => {
    const person = stack.person()
    const begun = await person.begin({ frontend: 'desk' })

    expect(expectBegun(begun).get('scope')).toBe('openid profile')
    await person.callback(await person.atProvider(begun.location ?? ''))
    expect((await person.script(deskPage, '/session')).json).toMatchObject({ username: ada })
    expect((await person.sessionToken(deskPage, { api: 'orders' })).json).toMatchObject({ code: 'api_unknown' })
  })

  it('that takes too long is forgotten by the browser when the settings say so', async () => {
    const begun = await stack.person().begin({ frontend: 'shop' })

    expect(begun.cookies[0]).toContain('max-age=60;')
  })
})

describe('a broker with one front end', () => {
  it('needs no name of it', async () => {
    const stack = await startStack({ frontEnds: [shop] })
    try {
      const person = stack.person()
      const done = await person.signIn({ return_url: 'http://localhost:3000/a' })

      expect(done.location).toBe('http://localhost:3000/a')
      const session = await person.call('/session', { headers: { 'sec-fetch-site': 'same-origin' } })
      expect(session.json).toMatchObject({ username: ada })
    } finally {
      await stack.close()
    }
  })
})
