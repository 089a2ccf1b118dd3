/** A sign-in that the identity provider starts. OpenID Connect Core §4. */
import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { IdentityProvider, ProviderProfile } from '../../../shared/provider/provider.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import { initiatedLoginUrl } from '../../../shared/sign-in/initiated-login.ts'
import { isInitiatedLogin, repeatByGet } from '../../../shared/sign-in/login-request.ts'
import { oauthClient as app, registered } from '../front-ends/registered.ts'

const baseUrl = 'https://login.example.com'
const instance = 'https://login.microsoftonline.com/'
const tenant = '11111111-1111-4111-8111-111111111111'
const at = (id: string, profile: ProviderProfile) => ({ id, profile, issuer: profile.issuer }) as IdentityProvider
const open = (id: string, authority: string) => at(id, openIdProfile({ authority }))
const okta = open('okta', 'https://contoso.okta.com')
const custom = open('custom', 'https://fabrikam.okta.com/oauth2/default')
const auth0 = open('auth0', 'https://contoso.eu.auth0.com/')
const [realm, otherRealm] = [
  open('one', 'https://sso.example/realms/one'),
  open('two', 'https://sso.example/realms/two'),
]
const many = at('entra', entraProfile({ instance, tenantId: 'organizations' }))
const single = at('entra', entraProfile({ instance, tenantId: tenant }))

const shop = { id: 'shop', origins: ['https://shop.example.com'] }
const desk = { id: 'desk', origins: ['https://desk.example.com', 'https://shared.example.com'] }
const wiki = { id: 'wiki', origins: ['https://wiki.example.com', 'https://shared.example.com'] }

const all = [okta, custom, auth0, realm, otherRealm, many] as const
function linkOf(
  query: Record<string, string> | string,
  frontEnds: readonly object[] = [shop, desk, wiki, app],
  [primary, ...others]: readonly [IdentityProvider, ...IdentityProvider[]] = all,
): string {
  const providers = createProviders(primary, ...others)
  return initiatedLoginUrl(new URLSearchParams(query), { frontEnds: registered(...frontEnds), providers, baseUrl })
}
function parametersOf(...of: Parameters<typeof linkOf>): Readonly<Record<string, string>> {
  const link = new URL(linkOf(...of))
  expect(`${link.origin}${link.pathname}`).toBe(`${baseUrl}/login`)
  const names = [...link.searchParams.keys()]
  expect(names).toEqual([...new Set(names)])
  return Object.fromEntries(link.searchParams)
}
function refusalOf(...of: Parameters<typeof linkOf>): BrokerError {
  try {
    throw new Error(`accepted: ${linkOf(...of)}`)
  } catch (error) {
    if (error instanceof BrokerError) return error
    throw error
  }
}
const iss = okta.issuer

describe('the link', () => {
  it('names the provider, the front end, the page and the person', () => {
    const target_link_uri = 'https://shop.example.com/orders?id=7#last'
    expect(parametersOf({ iss, target_link_uri, login_hint: 'ada@contoso.example' })).toEqual({
      frontend: 'shop',
      provider: 'okta',
      return_url: target_link_uri,
      login_hint: 'ada@contoso.example',
    })
  })

  it('has the parameters of the registered address, and none that is unknown or empty (§4)', () => {
    expect(
      parametersOf(
        'iss=https://contoso.okta.com&frontend=desk&prompt=login&api=orders&ui_locales=de&return_url=https://desk.example.com/home' +
          '&client_id=0oa1&lti_message_hint=x&organization=org_1&id_token=eyJ&login_hint=&target_link_uri=&utm_source=tile',
      ),
    ).toEqual({
      frontend: 'desk',
      provider: 'okta',
      prompt: 'login',
      api: 'orders',
      ui_locales: 'de',
      return_url: 'https://desk.example.com/home',
    })
  })

  it('leads to the page of this request in place of the one that the registered address names', () => {
    const query = { iss, return_url: 'https://shop.example.com/', target_link_uri: 'https://shop.example.com/orders' }
    expect(parametersOf(query).return_url).toBe('https://shop.example.com/orders')
  })

  it('leaves the check of the page to /login, with the named front end', () => {
    for (const target of [
      'https://evil.example/',
      'javascript:alert(1)',
      'https://desk.example.com/',
      '//evil.example',
    ]) {
      expect(parametersOf({ iss, frontend: 'shop', target_link_uri: target })).toEqual({
        frontend: 'shop',
        provider: 'okta',
        return_url: target,
      })
    }
  })

  it('cannot gain parameters by a value', () => {
    const login_hint = 'ada&provider=auth0&return_url=https://evil.example/#x'
    expect(parametersOf({ iss, frontend: 'shop', login_hint })).toEqual({
      frontend: 'shop',
      provider: 'okta',
      login_hint,
    })
  })
})

describe('the front end', () => {
  it('is the named one, else that of the page, else the only session front end', () => {
    const named = { iss, frontend: 'desk', target_link_uri: 'https://shop.example.com/' }
    expect(parametersOf(named).frontend).toBe('desk')
    expect(parametersOf({ iss, target_link_uri: 'https://wiki.example.com/x' }).frontend).toBe('wiki')
    expect(parametersOf({ iss }, [shop, app]).frontend).toBe('shop')
    // Its page is refused at /login.
    expect(parametersOf({ iss, target_link_uri: 'https://evil.example/' }, [shop, app]).frontend).toBe('shop')
  })

  it.each(['https://shared.example.com/', 'https://evil.example/', 'https://shop.example.com.evil.example/', 'x'])(
    'is missing where the page %s leaves several',
    (target_link_uri) => expect(refusalOf({ iss, target_link_uri }).code).toBe('front_end_missing'),
  )

  it('that is unknown is refused', () => {
    expect(refusalOf({ iss, frontend: 'nobody' }).code).toBe('front_end_unknown')
  })

  it.each([{ frontend: 'app' }, { target_link_uri: 'https://app.example.net/orders' }])(
    'that is an OAuth client starts its own sign-in: %j',
    (query) => {
      const refused = refusalOf({ iss, ...query })
      // By its id, the page has a link to it.
      expect(refused).toMatchObject({ code: 'front_end_kind_mismatch', frontEndId: 'app' })
      expect(refused.remedy).not.toBe(errorCatalogue.front_end_kind_mismatch.remedy)
      expect(parametersOf({ iss, frontend: 'shop' }).frontend).toBe('shop')
    },
  )

  it('that is the only one and an OAuth client is refused the same way', () => {
    expect(refusalOf({ iss }, [app])).toMatchObject({ code: 'front_end_kind_mismatch', frontEndId: 'app' })
  })
})

describe('the issuer', () => {
  const providerOf = (issuer: string, providers?: Parameters<typeof linkOf>[2]) =>
    parametersOf({ iss: issuer, frontend: 'shop' }, [shop], providers).provider

  it('names a provider exactly', () => {
    for (const { id, issuer } of all) expect(providerOf(issuer)).toBe(id)
  })

  it('may be any tenant of an authority for many: the ID token decides about the tenant', () => {
    expect(providerOf(`${instance}${tenant}/v2.0`)).toBe('entra')
    expect(providerOf(`${instance}{tenantid}/v2.0`)).toBe('entra')
    expect(providerOf(`${instance}${tenant}/v2.0`, [single])).toBe('entra')
  })

  it('may be the organization of an authorization server at Okta, by its origin', () => {
    expect(providerOf('https://fabrikam.okta.com')).toBe('custom')
    expect(providerOf('https://contoso.eu.auth0.com')).toBe('auth0')
  })

  it.each([
    'https://evil.example',
    'https://contoso.okta.com/',
    'https://CONTOSO.okta.com',
    'https://contoso.okta.com.evil.example',
    'https://contoso.okta.com@evil.example',
    'https://contoso.okta.com?x',
    'http://contoso.okta.com',
    'https://fabrikam.okta.com/',
    'https://fabrikam.okta.com/oauth2/other',
    'https://contoso.eu.auth0.com/x',
    // Two realms of one server.
    'https://sso.example',
    'https://sso.example/realms/three',
    `${instance}organizations`,
    `${instance}${tenant}/v1.0`,
    `${instance}x/../${tenant}/v2.0`,
    `${instance}{tenantid}/{tenantid}/v2.0`,
    'okta',
    'null',
  ])('%s is of no provider', (issuer) => {
    const refused = refusalOf({ iss: issuer, target_link_uri: 'https://shop.example.com/' })

    expect(refused).toMatchObject({ code: 'provider_not_accepted', frontEndId: 'shop' })
    expect(refused.remedy).toContain('iss')
  })

  it.each([`${instance}{tenantid}/v2.0`, `${instance}22222222-2222-4222-8222-222222222222/v2.0`])(
    '%s is of no provider for one tenant',
    (issuer) => expect(refusalOf({ iss: issuer }, [shop], [single]).code).toBe('provider_not_accepted'),
  )

  it('has to agree with the provider that the registered address names', () => {
    expect(parametersOf({ iss, frontend: 'shop', provider: 'okta' }).provider).toBe('okta')
    expect(refusalOf({ iss, frontend: 'shop', provider: 'auth0' }).code).toBe('provider_not_accepted')
  })

  it('is required, and may occur once', () => {
    expect(refusalOf({ iss: '', frontend: 'shop' })).toMatchObject({
      code: 'parameter_invalid',
      members: { parameter: 'iss' },
    })
    for (const twice of ['iss', 'target_link_uri', 'login_hint', 'frontend']) {
      const query = `iss=${iss}&frontend=shop&target_link_uri=https://shop.example.com/&login_hint=a&${twice}=x`
      expect(refusalOf(query)).toMatchObject({ code: 'parameter_repeated', members: { parameter: twice } })
    }
  })
})

describe('a request', () => {
  const query = (text: string) => new URLSearchParams(text)

  it('with an issuer is started by the provider, unless it is an authorization request', () => {
    expect(isInitiatedLogin(query('iss=x&client_id=y'))).toBe(true)
    expect(isInitiatedLogin(query('iss=x&client_id=y&response_type=code'))).toBe(false)
    expect(isInitiatedLogin(query('target_link_uri=x'))).toBe(false)
  })

  it('that is posted is repeated by GET, and a post of a session front end is refused', () => {
    for (const accepted of ['iss=x&login_hint=a', 'client_id=app&response_type=code']) {
      expect(repeatByGet(query(accepted), baseUrl)).toBe(`${baseUrl}/login?${accepted}`)
    }
    for (const refused of ['', 'frontend=shop', 'target_link_uri=x', 'id_token=eyJ']) {
      expect(() => repeatByGet(query(refused), baseUrl)).toThrow('method_not_allowed')
    }
  })
})
