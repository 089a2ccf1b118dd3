import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { without } from '../setup/answers.ts'
import { app, authorizationRequest, newPkce, redeem, refresh } from '../setup/client.ts'
import { phoneAndAddress, plainProvider } from '../setup/plain-provider.ts'
import type { PlainProvider, PlainVisitor } from '../setup/plain-provider.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectBegun, expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const plain = plainProvider(['orders.read', 'orders.write'])
const client: Registration = { ...app, apis: [{ name: 'orders', scopes: ['orders.read'] }] }

let stack: Stack
let provider: PlainProvider
beforeAll(async () => {
  stack = await startStack({
    instances: 2,
    provider: plain.start,
    frontEnds: [
      {
        id: 'shop',
        origins: [shopPage.origin],
        apis: [{ name: 'orders', scopes: ['orders.read', 'orders.write'] }],
      },
      client,
      { ...client, id: 'directory', claims: Object.keys(phoneAndAddress) },
    ],
  })
  provider = plain.get()
})
afterAll(() => stack.close())

const returnUrl = 'http://localhost:3000/orders'
const query = { frontend: 'shop', return_url: returnUrl }
const signIn = async (accountId: string, more: Readonly<Record<string, string>> = {}) => {
  const [person, visitor] = [stack.person(), provider.visitor()]
  const begun = await person.begin({ ...query, ...more })
  const done = await person.callback(await visitor.signIn(begun.location ?? '', accountId))
  expect(done.location, `${done.text} ${provider.refusals.join()}`).toBe(returnUrl)
  return { person, visitor }
}
const isSignedIn = async (person: Person) => (await person.script(shopPage, '/session')).status === 200

describe('oidc-provider, as it is', () => {
  it('signs a person in by form_post, with its issuer in the answer and the broker’s keys from the broker', async () => {
    const { person } = await signIn('ada')

    const { json } = await person.script(shopPage, '/session')
    expect(json).toMatchObject({ subject: 'ada', name: 'Name of ada' })
    expect(provider.refusals).toEqual([])
  })

  it('signs a person in by the hybrid flow, where the ID token names the issuer in place of the parameter', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code id_token' })
    const [person, visitor] = [stack.person(), provider.visitor()]
    const begun = await person.begin(query, { at })
    const answer = await visitor.signIn(begun.location ?? '', 'ada')
    expect(Object.keys(answer.fields).sort()).toEqual(['code', 'id_token', 'state'])

    expectPage(
      await person.callback({ ...answer, fields: without(answer.fields, 'id_token') }, { at }),
      'answer_invalid',
    )
    const again = await person.begin(query, { at })
    const done = await person.callback(await visitor.signIn(again.location ?? '', 'ada'), { at })

    expect(done.location, `${done.text} ${provider.refusals.join()}`).toBe(returnUrl)
    expect((await person.script(shopPage, '/session', { at })).json).toMatchObject({ subject: 'ada' })
  })

  it('has announced the issuer, so a response without it is refused', async () => {
    const [person, visitor] = [stack.person(), provider.visitor()]
    const begun = await person.begin(query)
    const answer = await visitor.signIn(begun.location ?? '', 'ada')
    const { iss, ...rest } = answer.fields
    expect(iss).toBe(provider.issuer)

    expectPage(await person.callback({ ...answer, fields: rest }), 'issuer_mismatch')
  })

  it('issues no refresh token without consent: the token is served while it lasts, and other scopes require a sign-in', async () => {
    const { person } = await signIn('ada')

    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    const narrower = await person.sessionToken(shopPage, { api: 'orders', scope: 'orders.read' })
    expect(narrower.json).toMatchObject({ code: 'interaction_required' })
    expect(await isSignedIn(person)).toBe(true)
  })

  describe('for the scopes phone and address', () => {
    const scope = 'openid profile email phone address offline_access groups'
    const signInAt = async (client_id: string) => {
      const [person, pkce] = [stack.person(), newPkce()]
      const begun = await person.begin(authorizationRequest(pkce, { client_id, scope, prompt: 'consent' }))
      const done = await person.callback(await provider.visitor().signIn(begun.location ?? '', 'ada'))
      const code = new URL(done.location ?? '').searchParams.get('code')!
      const { json } = await redeem(stack.url, code, pkce, { client_id })
      return { sent: new URL(begun.location!).searchParams.get('scope'), tokens: json as Record<string, string> }
    }

    it('sends a client the claims that its registration has, also at userinfo and after a refresh', async () => {
      const { sent, tokens } = await signInAt('directory')

      expect(sent).toBe('openid profile email address phone offline_access orders.read')
      expect(tokens.scope).toBe('openid profile email address phone offline_access orders.read')
      const headers = { authorization: `Bearer ${tokens.access_token}` }
      const about = (await (await fetch(`${stack.url}/userinfo`, { headers })).json()) as object
      const renewed = await refresh(stack.url, tokens.refresh_token!, { client_id: 'directory', scope })
      expect(renewed.json.scope).toBe(tokens.scope)
      for (const claims of [decodeJwt(tokens.id_token!), about, decodeJwt(renewed.json.id_token as string)]) {
        expect(claims).toMatchObject(phoneAndAddress)
      }
    })

    it('ignores them for a client without these claims, and names the scopes that it granted', async () => {
      const { sent, tokens } = await signInAt('app')

      expect(sent).toBe('openid profile email offline_access orders.read')
      expect(tokens.scope).toBe('openid profile email offline_access orders.read')
      expect(Object.keys(decodeJwt(tokens.id_token!)).filter((name) => name in phoneAndAddress)).toEqual([])
      const renewed = await refresh(stack.url, tokens.refresh_token!, { scope })
      expect([renewed.status, renewed.json.scope]).toEqual([200, tokens.scope])
    })
  })

  it('receives a list of prompts as it is', async () => {
    const begun = expectBegun(await stack.person().begin({ ...query, prompt: 'login consent' }))

    expect(begun.get('prompt')).toBe('login consent')
  })

  it.each(['consent', 'login consent'])('issues one for prompt=%s, and a new one with each renewal', async (prompt) => {
    const [one, two] = stack.brokers
    const { person } = await signIn('ada', { prompt })

    for (const [at, scope] of [
      [one, 'orders.read'],
      [two, 'orders.write'],
    ] as const) {
      const token = await person.sessionToken(shopPage, { api: 'orders', scope }, { at: at!.url })
      expect(token.json, provider.refusals.join()).toMatchObject({
        token_type: 'Bearer',
        scope,
      })
      expect(token.status).toBe(200)
    }
    expect(provider.refusals).toEqual([])
  })

  it('receives requests for the features that it lists: offline_access, and PS256 assertions for its issuer', async () => {
    const begun = expectBegun(await stack.person().begin(query))

    expect(begun.get('scope')).toBe('openid profile offline_access orders.read orders.write')
    expect(begun.get('response_mode')).toBe('form_post')
  })

  it('ends the provider’s session with ours, and comes back to the front end', async () => {
    const { person, visitor } = await signIn('grace')

    const { json } = await person.script(shopPage, '/logout', { method: 'POST', body: '{}' })
    const back = await visitor.signOut(json.url as string)

    expect((await person.open(back ?? '')).location).toBe('http://localhost:3000/')
    expect(await isSignedIn(person)).toBe(false)
  })

  it('reports a sign-out, which ends that session of the broker and no other', async () => {
    const [{ person, visitor }, { person: other }] = [await signIn('grace'), await signIn('grace')]

    await signOutThere(visitor)

    await expect.poll(() => isSignedIn(person)).toBe(false)
    expect(await isSignedIn(other)).toBe(true)
    expect(provider.refusals).toEqual([])
  })
})

/** As another application of the same provider would. */
function signOutThere(visitor: PlainVisitor): Promise<string | undefined> {
  const back = new URLSearchParams({ client_id: 'the-broker', post_logout_redirect_uri: `${stack.url}/logout/done` })
  return visitor.signOut(`${provider.issuer}/session/end?${back.toString()}`)
}
