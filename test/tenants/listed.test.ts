/** Tenants that the settings list. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { fabrikam, litware } from '../../local/identity-provider/people.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { runTenantsCommand } from '../../tools/tenants/tenants-command.ts'
import { runRoll, until, versionsAt } from '../certificate/rolling.ts'
import { app, authorizationRequest, authorize, newPkce, redeem, refresh, signInByCode } from '../setup/client.ts'
import { runAsOperator } from '../setup/operator-command.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import {
  codeOf,
  contoso,
  forLitware,
  francis,
  many,
  otto,
  query,
  returnUrl,
  rosalind,
  urlsOf,
} from './organizations.ts'

describe('listed tenants', () => {
  let stack: Stack
  beforeAll(async () => {
    const listed = `${contoso}:contoso.example,${litware}:litware.example`
    stack = await startStack({
      settings: { ...many, Broker__Tenants: listed },
      frontEnds: [shop, forLitware, app],
    })
    await warmUp(stack)
  })
  afterAll(() => stack.close())
  afterEach(() => stack.identityProvider.changeTokenResponse())

  const sessionOf = async (person: Person, page = shopPage) => (await person.script(page, '/session')).json

  it('sign in by one registration, each person as one of their own tenant', async () => {
    const [first, second] = [stack.person(), stack.person()]
    expect((await first.signIn(query, ada)).location).toBe(returnUrl)
    expect((await second.signIn(query, otto)).location).toBe(returnUrl)

    const [atContoso, atLitware] = [await sessionOf(first), await sessionOf(second)]
    expect(atContoso).toMatchObject({ tenant_id: contoso, username: ada })
    expect(atLitware).toMatchObject({ tenant_id: litware, username: otto })
    expect(atContoso.subject).not.toBe(atLitware.subject)
  })

  it('renew access tokens at the same authority, with the one assertion', async () => {
    const person = stack.person()
    await person.signIn(query, otto)
    stack.identityProvider.resetRequests()

    const answer = await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })

    expect(answer.status).toBe(200)
    const [request] = stack.identityProvider.requests
    expect(request).toMatchObject({ path: '/organizations/oauth2/v2.0/token', grantType: 'refresh_token', status: 200 })
  })

  it('let the certificate prove itself at the tenant of the app registration, which alone issues such tokens', async () => {
    const ownTokens = () =>
      stack.identityProvider.requests.filter(({ grantType }) => grantType === 'client_credentials')
    await until(
      async () => {
        await runRoll(stack.brokers[0]!)
        return ownTokens().at(-1)
      },
      (request) => request !== undefined,
    )
    expect(ownTokens().at(-1)).toMatchObject({ path: `/${contoso}/oauth2/v2.0/token`, status: 200 })
    const [version] = Object.values(await versionsAt(stack.brokers[0]!))
    expect(version).toMatchObject({ status: 'accepted', signs: true })
  })

  it('cost one request to the provider and two to the store, as one tenant does', async () => {
    await stack.person().signIn(query, otto)
    stack.identityProvider.resetRequests()
    stack.store.resetRequests()
    stack.vault.resetRequests()

    await stack.person().signIn(query, ada)

    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1)
    expect(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)).toEqual([
      'insert states',
      'insert sessions',
    ])
    expect(stack.vault.requests).toEqual([])
  })

  it('exclude every other organization: a page names the reason, and links to another account', async () => {
    const person = stack.person()
    const refused = await person.signIn(query, rosalind)

    expect([refused.status, codeOf(refused)]).toEqual([403, 'tenant_not_allowed'])
    expect(refused.text).toContain('Your organization has no access to this application.')
    const [[label, href]] = urlsOf(refused) as [[string, string]]
    expect(label).toBe('Sign in with another account')
    expect(Object.fromEntries(new URL(href).searchParams)).toEqual({ ...query, prompt: 'select_account' })
    expect((await person.script(shopPage, '/session')).status).toBe(401)

    // The link works: the same browser, another account.
    const begun = await person.open(href)
    expect((await person.callback(await person.atProvider(begun.location!, otto))).location).toBe(returnUrl)
  })

  it('exclude guests, and the page names the organization of the account', async () => {
    const refused = await stack.person().signIn(query, 'margaret@partner.example')

    expect([refused.status, codeOf(refused)]).toEqual([403, 'guest_not_allowed'])
    expect(refused.text).toContain('This account belongs to partner.example.')
  })

  it('may be fewer at one front end, whose page names the right organization', async () => {
    const forDesk = { frontend: 'desk' }
    const refused = await stack.person().signIn(forDesk, ada)

    expect([refused.status, codeOf(refused)]).toEqual([403, 'tenant_not_allowed'])
    expect(refused.text).toContain('Sign in with an account of litware.example.')
    const person = stack.person()
    expect((await person.signIn(forDesk, otto)).status).toBe(303)
    expect(await sessionOf(person, deskPage)).toMatchObject({ tenant_id: litware })
  })

  it('are changed in the settings: the command of operators names the setting', async () => {
    const refused = runAsOperator(runTenantsCommand, stack.brokers[0]!, 'suspend', litware)

    await expect(refused).rejects.toThrow(
      /^The broker answered 404: Change the list of tenants in the setting Broker__Tenants\..* Reference: [\da-f]{32}\.$/,
    )
  })

  it('are not chosen by a hint: it leads to a tenant, and the token alone decides', async () => {
    for (const hint of [{ domain_hint: 'litware.example' }, { login_hint: 'leo@litware.example' }]) {
      const person = stack.person()
      const begun = await person.begin({ ...query, ...hint })
      expect(new URL(begun.location!).searchParams.get(Object.keys(hint)[0]!)).toBe(Object.values(hint)[0])
      expect(new URL(begun.location!).pathname).toBe('/organizations/oauth2/v2.0/authorize')

      const refused = await person.callback(await person.atProvider(begun.location!, francis))
      expect(codeOf(refused)).toBe('tenant_not_allowed')
    }
  })

  it('sign in by the hybrid flow too, where both ID tokens name the tenant', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code id_token' })
    const answerFor = async (person: Person, username: string) => {
      const begun = await person.begin(query, { at })
      return person.atProvider(begun.location!, username)
    }
    const person = stack.person()
    expect((await person.callback(await answerFor(person, otto), { at })).location).toBe(returnUrl)
    expect(await sessionOf(person)).toMatchObject({ tenant_id: litware })

    const stranger = stack.person()
    expect(codeOf(await stranger.callback(await answerFor(stranger, rosalind), { at }))).toBe('tenant_not_allowed')

    // The front channel's token of another tenant, whose nonce and code are not those of this sign-in.
    const [here, there] = [stack.person(), stack.person()]
    const [own, foreign] = [await answerFor(here, otto), await answerFor(there, ada)]
    const mixed = { ...own, fields: { ...own.fields, id_token: foreign.fields.id_token! } }
    expect(codeOf(await here.callback(mixed, { at }))).toBe('id_token_refused')
  })

  it('sign in at OAuth clients too; a person of another tenant is reported to the client', async () => {
    const tokens = await signInByCode(stack.person(), stack.url)
    expect((await refresh(stack.url, tokens.refreshToken)).status).toBe(200)

    const answer = await stack.person().signIn(authorizationRequest(newPkce()), rosalind)
    expect(new URL(answer.location!).searchParams.get('error')).toBe('access_denied')
  })

  describe('meet a token', () => {
    type Claims = Readonly<Record<string, unknown>>
    /** The next ID token has these claims instead, signed by the provider's own key. */
    const nextIdToken = (change: (claims: Claims) => Claims) =>
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = JSON.parse(Buffer.from(String(answer.id_token).split('.')[1]!, 'base64url').toString()) as Claims
        return { ...answer, id_token: await signIdToken(change(claims)) }
      })
    const origin = () => new URL(stack.identityProvider.issuer).origin

    it.each<[string, (claims: Claims) => Claims]>([
      ['of another tenant in `tid` than in its issuer', (claims) => ({ ...claims, tid: litware })],
      [
        'of another tenant in its issuer than in `tid`',
        (claims) => ({ ...claims, iss: `${origin()}/${litware}/v2.0` }),
      ],
      ['whose issuer is the template', (claims) => ({ ...claims, iss: `${origin()}/{tenantid}/v2.0` })],
      ['whose issuer is the authority', (claims) => ({ ...claims, iss: `${origin()}/organizations/v2.0` })],
      ['without a tenant', (claims) => ({ ...claims, tid: undefined })],
    ])('%s: refused at the sign-in', async (_, change) => {
      nextIdToken(change)
      expect(codeOf(await stack.person().signIn(query, ada))).toBe('id_token_refused')

      nextIdToken((claims) => claims)
      expect(codeOf(await stack.person().signIn(query, ada))).toBe('none')
    })

    it.each<[string, (claims: Claims) => Claims]>([
      ['another tenant', (claims) => ({ ...claims, tid: litware, iss: `${origin()}/${litware}/v2.0` })],
      ['a tenant that is not allowed', (claims) => ({ ...claims, tid: fabrikam, iss: `${origin()}/${fabrikam}/v2.0` })],
      ['no tenant that fits its issuer', (claims) => ({ ...claims, tid: litware })],
    ])('of %s at a renewal: its access token is not handed out', async (_, change) => {
      const person = stack.person()
      await person.signIn(query, ada)
      const renew = () => person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })

      nextIdToken(change)
      expect(await renew()).toMatchObject({ status: 502, json: { code: 'id_token_refused' } })

      nextIdToken((claims) => claims)
      const other = stack.person()
      await other.signIn(query, ada)
      expect((await other.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })).status).toBe(200)
    })

    it('for logout: of an allowed tenant it ends the session of that person, of another tenant it is refused', async () => {
      let [sub, sid] = ['', '']
      let signIdToken: ((payload: Claims) => Promise<string>) | undefined
      const signedIn = async () => {
        const person = stack.person()
        stack.identityProvider.changeTokenResponse((change) => {
          const claims = JSON.parse(
            Buffer.from(String(change.answer.id_token).split('.')[1]!, 'base64url').toString(),
          ) as Claims
          sub = claims.sub as string
          sid = claims.sid as string
          signIdToken = change.signIdToken
          return change.answer
        })
        await person.signIn(query, otto)
        return person
      }
      const person = await signedIn()
      const now = Math.floor(Date.now() / 1000)
      const logout = async (tenant: string, more: Claims = {}) => {
        const token = await signIdToken!({
          iss: `${origin()}/${tenant}/v2.0`,
          aud: localDefaults.AzureAd__ClientId,
          iat: now,
          exp: now + 60,
          jti: randomUUID(),
          sub,
          events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
          ...more,
        })
        return person.call('/logout/backchannel', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ logout_token: token }).toString(),
        })
      }

      // The same `sub` of another issuer is another person.
      expect((await logout(fabrikam)).status).toBe(400)
      expect((await logout(contoso)).status).toBe(200)
      expect((await logout(litware, { tid: contoso })).status).toBe(400)
      expect((await logout(litware, { iss: `${origin()}/{tenantid}/v2.0` })).status).toBe(400)
      expect((await person.script(shopPage, '/session')).status).toBe(200)

      expect((await logout(litware)).status).toBe(200)
      expect((await person.script(shopPage, '/session')).status).toBe(401)

      // In a frame of the provider's page, which may name the issuer or leave it out.
      for (const iss of [`${origin()}/${litware}/v2.0`, undefined]) {
        const framed = await signedIn()
        const inFrame = (query: Readonly<Record<string, string>>) =>
          framed.call(`/logout/frontchannel?${new URLSearchParams(query).toString()}`)
        expect((await inFrame({ iss: `https://login.evil.example/${litware}/v2.0`, sid })).status).toBe(200)
        expect((await inFrame({ iss: `${origin()}/${litware}/v2.0`, sid: 'a guess' })).status).toBe(200)
        expect((await framed.script(shopPage, '/session')).status).toBe(200)

        expect((await inFrame({ sid, ...(iss === undefined ? {} : { iss }) })).status).toBe(200)
        expect((await framed.script(shopPage, '/session')).status).toBe(401)
      }
    })
  })

  it('end their sessions, and the codes under way, where the settings no longer list their tenant', async () => {
    const person = stack.person()
    await person.signIn(query, otto)
    const codeFor = async (username: string) => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce), username)).get('code')!
      return (url: string) => redeem(url, code, pkce)
    }
    const without = await stack.startInstance({
      Broker__Tenants: contoso,
      Broker__FrontEnds: JSON.stringify([shop, app]),
    })

    const [ofOtto, ofAda] = [await codeFor(otto), await codeFor(ada)]
    const refused = await ofOtto(without.url)
    expect(refused).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    expect(refused.json).not.toHaveProperty('access_token')
    expect((await ofAda(without.url)).status).toBe(200)
    expect((await ofOtto(stack.url)).status).toBe(200)

    expect((await person.script(shopPage, '/session')).status).toBe(200)
    const over = await person.script(shopPage, '/session', { at: without.url })
    expect(over).toMatchObject({ status: 401, json: { code: 'signed_out' } })
    // It is over at every instance: its row is gone.
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })
})
