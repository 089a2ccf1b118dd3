import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { subjectOf, tokenIssuerOf } from '../../../shared/provider/identity.ts'
import { checkIdToken } from '../../../shared/provider/id-token.ts'
import { checkLogoutToken } from '../../../shared/provider/logout-token.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import type { Store } from '../../../shared/store/store.ts'
import { clientId, jwk, rsaKey, startProviderServer, tenantId as contoso } from './provider-server.ts'
import type { ProviderServer } from './provider-server.ts'

type Claims = Readonly<Record<string, unknown>>

const fabrikam = '77777777-7777-4777-8777-777777777777'
const personal = '9188040d-6c67-4c5b-b112-36a304b66dad'
const [shared, ofFabrikam] = [rsaKey(), rsaKey()]
const nonce = 'the-nonce-of-this-sign-in'
let server: ProviderServer
let provider: IdentityProvider
beforeAll(async () => {
  server = await startProviderServer('organizations')
})
beforeEach(() => {
  server.publishes(
    jwk(shared, { kid: 'shared', issuer: `${server.instance}{tenantid}/v2.0` }),
    jwk(ofFabrikam, { kid: 'of-fabrikam', issuer: issuerOf(fabrikam) }),
  )
  provider = server.cold()
})
afterAll(() => server.close())

const issuerOf = (tenant: string) => `${server.instance}${tenant}/v2.0`
const claimsOf = (tenant: string, more: Claims = {}): Claims => {
  const now = Math.floor(server.now.value / 1000)
  const person = { sub: 'subject', oid: 'object', preferred_username: 'ada@contoso.example' }
  return { iss: issuerOf(tenant), tid: tenant, aud: clientId, nonce, iat: now, exp: now + 3600, ...person, ...more }
}
const signed = (claims: Claims, kid = 'shared') =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid })
    .sign((kid === 'shared' ? shared : ofFabrikam).privateKey)
const check = async (claims: Claims, { kid = 'shared', of = provider, claimNames = [] as readonly string[] } = {}) =>
  checkIdToken(
    await signed(claims, kid),
    { issuer: server.authority, clientId, nonce, accessToken: 'a.b.c', claimNames },
    { provider: of, clock: () => server.now.value },
  )
const refused = (detail: string) => ({ code: 'id_token_refused', detail })

describe('an ID token of a provider for many tenants', () => {
  it('identifies a person of any tenant, under the key of the provider and the issuer of the tenant', async () => {
    for (const tenant of [contoso, fabrikam]) {
      expect(await check(claimsOf(tenant))).toMatchObject({
        issuer: `${server.instance}organizations/v2.0`,
        tokenIssuer: issuerOf(tenant),
        tenantId: tenant,
        objectId: 'object',
        subject: 'subject',
      })
    }
  })

  it('gives front ends another subject for the same `sub` of another tenant, and at one tenant `sub` itself', async () => {
    const [ada, eve] = await Promise.all([check(claimsOf(contoso)), check(claimsOf(fabrikam))])
    const ofOneTenant = { issuer: issuerOf(contoso), subject: 'subject' }

    expect(subjectOf(ada)).not.toBe(subjectOf(eve))
    expect(subjectOf(ada)).toBe(subjectOf(await check(claimsOf(contoso, { name: 'Ada' }))))
    expect(subjectOf(ofOneTenant)).toBe('subject')
    expect(tokenIssuerOf(ofOneTenant)).toBe(tokenIssuerOf(ada))
  })

  it.each([undefined, false, 0, '0', 'no', null, {}, ['true']])(
    'names no email address where xms_edov is %j: any tenant can write any address (nOAuth)',
    async (xms_edov) => {
      const claims = claimsOf(fabrikam, { email: 'ada@contoso.example', email_verified: true, xms_edov })
      const identity = await check(claims, { claimNames: ['email', 'email_verified', 'name'] })

      expect(identity.email).toBeUndefined()
      expect(identity.claims).toEqual({ values: {}, omitted: ['email', 'email_verified'] })
    },
  )

  it.each([true, 1, '1', 'true'])('names the email address where xms_edov is %j', async (xms_edov) => {
    const claims = claimsOf(fabrikam, { email: 'ada@fabrikam.example', xms_edov })
    const identity = await check(claims, { claimNames: ['email'] })

    expect(identity).toMatchObject({
      email: 'ada@fabrikam.example',
      claims: { values: { email: 'ada@fabrikam.example' } },
    })
  })

  it.each<[string, (instance: string) => Claims, string]>([
    ['the template itself', (instance) => ({ iss: `${instance}{tenantid}/v2.0`, tid: '{tenantid}' }), 'iss'],
    ['the authority', (instance) => ({ iss: `${instance}organizations/v2.0`, tid: 'organizations' }), 'iss'],
    ['a domain in place of the id', (instance) => ({ iss: `${instance}contoso.example/v2.0` }), 'iss'],
    ['another host', () => ({ iss: `https://login.evil.example/${contoso}/v2.0` }), 'iss'],
    [
      'a host that begins like it',
      (instance) => ({ iss: `${instance.slice(0, -1)}.evil.example/${contoso}/v2.0` }),
      'iss',
    ],
    ['capital letters', (instance) => ({ iss: `${instance}${'AAAAAAAA' + contoso.slice(8)}/v2.0` }), 'iss'],
    ['a slash at the end', (instance) => ({ iss: `${instance}${contoso}/v2.0/` }), 'iss'],
    ['version 1', () => ({ iss: `https://sts.windows.net/${contoso}/` }), 'iss'],
    ['two tenants', (instance) => ({ iss: `${instance}${contoso}/${fabrikam}/v2.0` }), 'iss'],
    ['no issuer', () => ({ iss: undefined }), 'iss'],
    ['a list', (instance) => ({ iss: [`${instance}${contoso}/v2.0`] }), 'iss'],
    ['another tenant than `tid`', () => ({ tid: fabrikam }), 'tid'],
    ['no `tid`', () => ({ tid: undefined }), 'tid'],
  ])('is refused where its issuer is %s', async (_, change, detail) => {
    await expect(check({ ...claimsOf(contoso), ...change(server.instance) })).rejects.toMatchObject(refused(detail))
    expect(await check(claimsOf(contoso))).toMatchObject({ tenantId: contoso })
  })

  it('is refused where its key is for another tenant', async () => {
    await expect(check(claimsOf(contoso), { kid: 'of-fabrikam' })).rejects.toMatchObject(
      refused('no key of the provider fits'),
    )
    expect(await check(claimsOf(fabrikam), { kid: 'of-fabrikam' })).toMatchObject({ tenantId: fabrikam })
  })

  it('verifies by the key of its own issuer where two issuers use one key id', async () => {
    server.publishes(
      jwk(shared, { kid: 'of-fabrikam', issuer: issuerOf(contoso) }),
      jwk(ofFabrikam, { kid: 'of-fabrikam', issuer: issuerOf(fabrikam) }),
    )

    expect(await check(claimsOf(fabrikam), { kid: 'of-fabrikam', of: server.cold() })).toMatchObject({
      tenantId: fabrikam,
    })
    await expect(check(claimsOf(contoso), { kid: 'of-fabrikam', of: server.cold() })).rejects.toMatchObject(
      refused('signature'),
    )
  })
})

describe('the account of an ID token', () => {
  it.each<[string, Claims]>([
    ['`acct` says so', { acct: 1 }],
    ['`acct` has a value that is not known', { acct: 'guest' }],
    ['another directory authenticated the person', { idp: `https://sts.windows.net/${fabrikam}/` }],
    ['a personal account was invited', { idp: 'live.com' }],
  ])('is a guest where %s: refused unless the settings allow guests', async (_, more) => {
    const guest = claimsOf(contoso, { preferred_username: 'margaret@partner.example', ...more })

    await expect(check(guest)).rejects.toMatchObject({
      code: 'guest_not_allowed',
      remedy: 'Sign in with an account of your own organization. This account belongs to partner.example.',
    })
    expect(await check(guest, { of: server.cold({ guests: true }) })).toMatchObject({ tenantId: contoso })
  })

  it.each([
    ['margaret_partner.example#EXT#@contoso.onmicrosoft.example', ' This account belongs to partner.example.'],
    ['m_h_sub.partner.example#ext#@contoso.example', ' This account belongs to sub.partner.example.'],
    ['live.com#margaret@outlook.example', ' This account belongs to outlook.example.'],
    ['margaret#EXT#@contoso.example', ''],
  ])('of a guest %s has the domain of the guest, and not of the tenant', async (preferred_username, more) => {
    await expect(check(claimsOf(contoso, { preferred_username, acct: 1 }))).rejects.toMatchObject({
      remedy: `Sign in with an account of your own organization.${more}`,
    })
  })

  it.each<[string, Claims]>([
    ['there is no claim about it', {}],
    ['`acct` says so, also for a person whom another directory authenticated', { acct: 0, idp: 'live.com' }],
    ['the tenant itself authenticated the person', { idp: `https://sts.windows.net/${contoso}/` }],
  ])('is a member where %s', async (_, more) => {
    expect(await check(claimsOf(contoso, more))).toMatchObject({ tenantId: contoso })
  })

  it('may be a guest at a provider of one tenant, as before, unless the settings refuse guests', () => {
    const ofOne = (guests?: boolean) => entraProfile({ instance: server.instance, tenantId: contoso, guests })
    const refuse = (claim: string) => new Error(claim)
    const guest = claimsOf(contoso, { acct: 1 })

    expect(ofOne().readIdentity(guest, refuse)).toMatchObject({ tenantId: contoso })
    expect(() => ofOne(false).readIdentity(guest, refuse)).toThrow('guest_not_allowed')
  })

  it('is personal at the tenant of all personal accounts: refused unless the settings allow it', async () => {
    await expect(check(claimsOf(personal))).rejects.toMatchObject({ code: 'personal_account_not_allowed' })
    expect(await check(claimsOf(personal), { of: server.cold({ personalAccounts: true }) })).toMatchObject({
      tenantId: personal,
    })
  })
})

describe('the metadata of an authority for many tenants', () => {
  it('names the template as its issuer, and nothing else', async () => {
    expect(await provider.metadata()).toMatchObject({
      issuer: `${server.instance}organizations/v2.0`,
      tokenEndpoint: `${server.instance}organizations/oauth2/v2.0/token`,
    })

    for (const issuer of [server.authority, issuerOf(contoso), `${server.instance}{tenant}/v2.0`]) {
      const cold = server.cold()
      server.saysOfItself({ issuer })
      await expect(cold.metadata(), issuer).rejects.toMatchObject({ code: 'provider_metadata_untrusted' })
    }
  })

  it('belongs to a provider that is found by the issuer of any tenant, and by no other', () => {
    const providers = createProviders(provider)

    expect(providers.findByTokenIssuer(issuerOf(fabrikam))).toBe(provider)
    expect(providers.find(issuerOf(fabrikam))).toBeUndefined()
    expect(providers.findByTokenIssuer(`https://login.evil.example/${fabrikam}/v2.0`)).toBeUndefined()
  })

  it('belongs to the provider whose client it names, where one for many tenants and one of a tenant share the issuer', () => {
    const profile = entraProfile({ instance: server.instance, tenantId: fabrikam })
    const ofOne = { ...provider, profile, issuer: issuerOf(fabrikam), clientId: 'client-of-fabrikam' }
    const providers = createProviders(provider, ofOne)

    expect(providers.findByTokenIssuer(issuerOf(fabrikam), clientId)).toBe(provider)
    expect(providers.findByTokenIssuer(issuerOf(fabrikam), ['other', clientId])).toBe(provider)
    for (const audience of ['client-of-fabrikam', ['client-of-fabrikam'], 'other', undefined, {}, [[clientId]]]) {
      expect(providers.findByTokenIssuer(issuerOf(fabrikam), audience)).toBe(ofOne)
    }
    expect(providers.findByTokenIssuer(issuerOf(contoso), 'client-of-fabrikam')).toBe(provider)
  })
})

describe('a logout token of a provider for many tenants', () => {
  const store = { find: () => Promise.resolve(undefined), insert: () => Promise.resolve('etag') } as unknown as Store
  const logoutClaims = (tenant: string, more: Claims = {}): Claims => ({
    ...claimsOf(tenant, { jti: 'one', sid: 'session', nonce: undefined, ...more }),
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  })
  const checkLogout = async (claims: Claims, kid?: string) =>
    checkLogoutToken(await signed(claims, kid), {
      providers: createProviders(provider),
      store,
      clock: () => server.now.value,
    })

  it('ends sessions under the key of the provider, of the person at the issuer of the tenant', async () => {
    expect(await checkLogout(logoutClaims(fabrikam))).toMatchObject({
      issuer: `${server.instance}organizations/v2.0`,
      tokenIssuer: issuerOf(fabrikam),
      sessionId: 'session',
      subject: 'subject',
    })
  })

  it('is refused where its issuer is no tenant, or its key is for another one', async () => {
    const template = { iss: `${server.instance}{tenantid}/v2.0` }
    await expect(checkLogout(logoutClaims(contoso, template))).rejects.toMatchObject({ detail: 'iss' })
    await expect(checkLogout(logoutClaims(contoso), 'of-fabrikam')).rejects.toMatchObject({
      code: 'logout_token_refused',
    })
  })
})
