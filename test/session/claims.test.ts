import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, authorize, newPkce, ordersRead, redeem, refresh } from '../setup/client.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const grace = 'grace@contoso.example'
const adasClaims = { claims: { roles: ['Orders.Approve', 'Orders.Read'], given_name: 'Ada', family_name: 'Lovelace' } }
const margaret = 'margaret@partner.example'
const sso: Registration = { ...app, id: 'sso', singleSignOn: true, claims: ['email', 'groups'] }
const bare: Registration = { ...app, id: 'bare', apis: [], claims: ['roles', 'department'] }
const plain: Registration = { ...app, id: 'plain', singleSignOn: true }

describe('claims that a front end registers', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({
      frontEnds: [
        { ...shop, claims: ['roles', 'given_name', 'groups'] },
        { ...desk, claims: ['email'] },
        { ...app, claims: ['roles', 'family_name'] },
        sso,
        bare,
        plain,
      ],
    })
  })
  afterAll(() => stack.close())

  const session = async (username: string) => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, username)
    return { person, json: (await person.script(shopPage, '/session')).json }
  }
  const signInAt = async (id: string, scope = `openid ${ordersRead}`, person = stack.person(), username = ada) => {
    const pkce = newPkce()
    const answer = await authorize(person, authorizationRequest(pkce, { client_id: id, scope }), username)
    const { json } = await redeem(stack.url, answer.get('code')!, pkce, { client_id: id })
    return json as Readonly<Record<string, string>>
  }
  const userinfo = async (token: string) =>
    (await (await fetch(`${stack.url}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).json()) as object
  /** Each token is near its end, so each request renews. */
  const withShortTokens = async (work: () => Promise<void>) => {
    stack.identityProvider.settings.accessTokenSeconds = 4
    await work().finally(() => (stack.identityProvider.settings.accessTokenSeconds = 3600))
  }

  it('are in /session, and no others', async () => {
    const { json, person } = await session(ada)
    await person.signIn({ frontend: 'desk' })

    expect(json.claims).toEqual({
      roles: ['Orders.Approve', 'Orders.Read'],
      given_name: 'Ada',
      groups: ['66666666-0000-4000-8000-000000000000', '66666666-0000-4000-8000-000000000001'],
    })
    expect(json).not.toHaveProperty('claims_omitted')
    expect(json).not.toHaveProperty('groups_overage')
    // The second front end has a sign-in of its own.
    expect((await person.script(deskPage, '/session')).json.claims).toEqual({ email: ada })
  })

  it('are an empty object where the provider has none, so that the page can rely on it', async () => {
    expect((await session(margaret)).json.claims).toEqual({})
  })

  it('include no groups of a person in more than 200, and name the overage', async () => {
    const { json } = await session(grace)

    expect(json).toMatchObject({ claims: {}, groups_overage: true })
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'other')).toEqual([])
  })

  it('are in the ID token of the client and at userinfo, beside the claims of its scopes', async () => {
    const tokens = await signInAt('app', `openid profile ${ordersRead}`)
    const expected = { roles: ['Orders.Approve', 'Orders.Read'], family_name: 'Lovelace', name: 'Ada Lovelace' }

    expect(decodeJwt(tokens.id_token!)).toMatchObject(expected)
    expect(await userinfo(tokens.access_token!)).toMatchObject(expected)
    expect(decodeJwt(tokens.id_token!)).not.toHaveProperty('groups')
  })

  it('are those of this client where single sign-on signs the person in, and not those of the other one', async () => {
    const person = stack.person()
    await signInAt('app', undefined, person)
    const [there, without] = [await signInAt('sso', undefined, person), await signInAt('plain', undefined, person)]

    expect(decodeJwt(there.id_token!)).toMatchObject({ email: ada, groups: [expect.any(String), expect.any(String)] })
    expect(decodeJwt(there.id_token!)).not.toHaveProperty('roles')
    for (const name of ['email', 'groups', 'roles', 'family_name']) {
      expect(decodeJwt(without.id_token!), name).not.toHaveProperty(name)
    }
  })

  it('of full size leave the ID token usable as the hint of a sign-out', async () => {
    const [person, pkce] = [stack.person(), newPkce()]
    stack.identityProvider.changePerson(ada, { claims: { roles: ['r'.repeat(1800)], family_name: 'x'.repeat(200) } })

    const answer = await authorize(
      person,
      authorizationRequest(pkce, { scope: `openid profile email ${ordersRead}`, nonce: 'n'.repeat(512) }),
    )
    const { json } = await redeem(stack.url, answer.get('code')!, pkce)
    stack.identityProvider.changePerson(ada, adasClaims)
    const out = await person.open(`/end-session?id_token_hint=${json.id_token as string}`)

    expect((json.id_token as string).length).toBeGreaterThan(4096)
    expect(out.status, out.text).toBe(303)
    expect((await refresh(stack.url, json.refresh_token as string)).json.error).toBe('invalid_grant')
  })

  it('replace no claim of the protocol', async () => {
    stack.identityProvider.changePerson(ada, {
      claims: { roles: ['r'], family_name: 'x', iss: 'https://evil.example' },
    })

    const { id_token: idToken } = await signInAt('app')
    stack.identityProvider.changePerson(ada, adasClaims)

    expect(decodeJwt(idToken!)).toMatchObject({ iss: stack.url, aud: 'app', roles: ['r'] })
  })

  it('that are too large for the session are named, and the sign-in succeeds', async () => {
    stack.identityProvider.changePerson(margaret, { claims: { roles: ['r'.repeat(3000)], given_name: '玛格丽特 🚀' } })

    const { json, person } = await session(margaret)

    expect(json).toMatchObject({ claims: { given_name: '玛格丽特 🚀' }, claims_omitted: ['roles'] })
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
  })

  it('that fill the session do not break userinfo of a client without an API', async () => {
    stack.identityProvider.changePerson(margaret, {
      claims: { roles: Array.from({ length: 20 }, (_, n) => `${n}`.repeat(45)) },
    })

    const { access_token: token, id_token: idToken } = await signInAt(
      'bare',
      'openid profile',
      stack.person(),
      margaret,
    )

    expect(decodeJwt(idToken!).roles).toHaveLength(20)
    expect(await userinfo(token!)).toMatchObject({ roles: decodeJwt(idToken!).roles, name: 'Margaret Hamilton' })
    expect(token!.length).toBeLessThan(4096)
  })

  describe('are renewed with the access token', () => {
    const rolesOf = async (person: ReturnType<Stack['person']>) =>
      ((await person.script(shopPage, '/session')).json.claims as { roles?: unknown }).roles

    it('where the provider sends a new ID token: a removed role is gone, a new one is there', () =>
      withShortTokens(async () => {
        stack.identityProvider.changePerson(grace, { groups: [], claims: { roles: ['a', 'b'] } })
        const { person } = await session(grace)
        expect(await rolesOf(person)).toEqual(['a', 'b'])

        stack.identityProvider.changePerson(grace, { claims: { roles: ['b', 'c'] } })
        expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
        expect(await rolesOf(person)).toEqual(['b', 'c'])

        stack.identityProvider.changePerson(grace, { claims: {} })
        await person.sessionToken(shopPage, { api: 'orders' })
        expect(await rolesOf(person)).toBeUndefined()
      }))

    it('for an OAuth client, in the ID token of the same answer', () =>
      withShortTokens(async () => {
        const tokens = await signInAt('app')
        stack.identityProvider.changePerson(ada, { claims: { roles: ['Only.This'] } })

        const { json } = await refresh(stack.url, tokens.refresh_token!)
        stack.identityProvider.changePerson(ada, adasClaims)

        expect(decodeJwt((json as Record<string, string>).id_token!).roles).toEqual(['Only.This'])
      }))

    it('also in a session that began before the front end registered them, which has none until then', () =>
      withShortTokens(async () => {
        const before = await stack.startInstance({ Broker__FrontEnds: JSON.stringify([shop]) })
        const person = stack.person()
        await person.signIn({ frontend: 'shop' }, ada, { at: before.url })
        expect((await person.script(shopPage, '/session')).json).not.toHaveProperty('claims')

        await person.sessionToken(shopPage, { api: 'orders' })

        expect((await person.script(shopPage, '/session')).json).toMatchObject({ claims: { given_name: 'Ada' } })
        // The other instance goes on with the same row.
        expect((await person.sessionToken(shopPage, { api: 'orders' }, { at: before.url })).status).toBe(200)
        const there = await person.script(shopPage, '/session', { at: before.url })
        expect(there.json).toMatchObject({ username: ada })
        expect(there.json).not.toHaveProperty('claims')
        expect(await rolesOf(person)).toEqual(['Orders.Approve', 'Orders.Read'])
      }))

    it('except the e-mail address, which the renewal does not request', () =>
      withShortTokens(async () => {
        const person = stack.person()
        await person.signIn({ frontend: 'desk' })

        expect((await person.sessionToken(deskPage, { api: 'bills' })).status).toBe(200)
        expect((await person.script(deskPage, '/session')).json.claims).toEqual({ email: ada })
      }))

    it.each<[string, (idToken: string) => string | undefined]>([
      ['none', () => undefined],
      ['one that is not signed by the provider', (idToken) => `${idToken.slice(0, -20)}${'A'.repeat(20)}`],
    ])('and stay as they are where the answer has %s', (_, change) =>
      withShortTokens(async () => {
        stack.identityProvider.changePerson(grace, { groups: [], claims: { roles: ['kept'] } })
        const { person } = await session(grace)
        stack.identityProvider.changePerson(grace, { claims: { roles: ['forged'] } })
        stack.identityProvider.changeTokenResponse(({ answer }) => ({
          ...answer,
          id_token: change(answer.id_token as string),
        }))

        const { status } = await person.sessionToken(shopPage, { api: 'orders' })
        stack.identityProvider.changeTokenResponse()

        expect(status).toBe(200)
        expect(await rolesOf(person)).toEqual(['kept'])
      }),
    )
  })
})
