import { describe, expect, it } from 'vitest'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { checkResponseType } from '../../../shared/provider/metadata.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { OpenIdSettings } from '../../../shared/provider/openid.ts'

const authority = 'https://login.example.com'
const honest = {
  issuer: authority,
  authorization_endpoint: 'https://login.example.com/authorize?policy=staff',
  token_endpoint: 'https://tokens.example.net/token',
  jwks_uri: 'https://keys.example.org/keys',
}
const check = (changes: object = {}, settings: Partial<OpenIdSettings> = {}) =>
  openIdProfile({ authority, ...settings }).checkMetadata({ ...honest, ...changes })

describe('metadata of another provider than Entra', () => {
  it('may name endpoints on any host, by https', () => {
    expect(check()).toMatchObject({
      issuer: authority,
      authorizationEndpoint: honest.authorization_endpoint,
      tokenEndpoint: honest.token_endpoint,
      jwksUri: honest.jwks_uri,
      endSessionEndpoint: undefined,
      issuerInAnswers: false,
      offlineAccess: false,
      assertionAlgorithm: 'PS256',
    })
  })

  it.each([
    'http://login.example.com/token',
    'https://localhost:7171/token',
    'http://127.0.0.1:7171/token',
    'https://10.0.0.1/token',
    'https://169.254.169.254/token',
    'https://metadata.google.internal/token',
    'https://user:word@login.example.com/token',
    'https://login.example.com/token#fragment',
    'https://login.example.com/token#',
    'https://localhost./token',
    'https://inside.localhost/token',
    'https://vault/token',
    'https://[::ffff:169.254.169.254]/token',
    'https://127.1/token',
    'https://login.example.com\\@evil.example/token',
    'https:login.example.com/token',
    ' https://login.example.com/token',
    'https://login.example.com/\n\ttoken',
    'https://@login.example.com/token',
    'https://*.example.com/token',
    // Its origin is part of a page's policy.
    'https://a;script-src.example.com/token',
    'javascript:alert(1)',
    '/token',
    '',
    7,
    null,
  ])('may not point into this machine or its network, nor past https: %s', (address) => {
    for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri']) {
      expect(() => check({ [name]: address })).toThrow(
        expect.objectContaining({
          code: 'provider_metadata_untrusted',
          detail: expect.stringContaining(name) as string,
        }),
      )
    }
    // Optional, so an empty member counts as absent.
    if (address === null || address === '') {
      expect(check({ end_session_endpoint: address }).endSessionEndpoint).toBeUndefined()
    } else expect(() => check({ end_session_endpoint: address })).toThrow()
  })

  it('of another issuer is refused with both issuers, and a hint where they differ by the slash at the end alone, or by capital letters', () => {
    const detail = (json: object, own: string) => {
      try {
        openIdProfile({ authority: own }).checkMetadata({ ...honest, ...json })
      } catch (error) {
        return (error as { detail?: string }).detail
      }
      return undefined
    }

    expect(detail({ issuer: `${authority}/` }, authority)).toContain('slash at the end')
    expect(detail({ issuer: authority }, `${authority}/`)).toContain('slash at the end')
    expect(detail({ issuer: authority.toUpperCase() }, authority)).toContain('capital letters')
    expect(detail({ issuer: 'https://login.example' }, authority)).not.toMatch(/slash|capital/)
    for (const named of ['https://login.example', 'http://login.example.com', 'https://idp:8443/realms/My%20Realm']) {
      expect(detail({ issuer: named }, authority)).toBe(`issuer is not ${authority} but ${named}`)
    }
    // Any other text stays out of the log.
    for (const named of ['https://a b', 'eyJhbGciOiJ.a.b', `https://${'a'.repeat(300)}`, 'https://a\n', '']) {
      expect(detail({ issuer: named }, authority)).toBe(`issuer is not ${authority}`)
    }
    expect(detail({ issuer: `${authority}/` }, `${authority}/`)).toBeUndefined()
  })

  it('may name the host of its issuer, also one without a dot', () => {
    const inside = 'https://idp'
    const named = { authorization_endpoint: `${inside}/authorize`, token_endpoint: `${inside}/token` }
    const json = { ...honest, ...named, issuer: inside, jwks_uri: `${inside}/keys` }
    expect(openIdProfile({ authority: inside }).checkMetadata(json).tokenEndpoint).toBe('https://idp/token')
    const elsewhere = { ...json, token_endpoint: 'https://vault/token' }
    expect(() => openIdProfile({ authority: inside }).checkMetadata(elsewhere)).toThrow()
  })

  it.each([{ toString: 1 }, ['https://login.example.com'], 7, null])(
    'is not of an issuer that is no text: %j',
    (issuer) =>
      expect(() => check({ issuer })).toThrow(expect.objectContaining({ code: 'provider_metadata_untrusted' })),
  )

  it('is below the issuer, with one slash between', () => {
    const url = 'https://login.example.com/a/.well-known/openid-configuration'
    expect(openIdProfile({ authority: 'https://login.example.com/a' }).metadataUrl).toBe(url)
    expect(openIdProfile({ authority: 'https://login.example.com/a/' }).metadataUrl).toBe(url)
  })

  it('is read for the application, where the tenant signs its tokens with keys of its own', () => {
    const tenant = { instance: 'https://login.microsoftonline.com/', tenantId: 't' }
    const url = 'https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration'

    expect(entraProfile(tenant).metadataUrl).toBe(url)
    expect(entraProfile({ ...tenant, ownKeysOf: 'an-id' }).metadataUrl).toBe(`${url}?appid=an-id`)
    const keys = 'https://login.microsoftonline.com/t/discovery/v2.0/keys?appid=an-id'
    const json = { issuer: `${tenant.instance}t/v2.0`, token_endpoint: `${tenant.instance}t/oauth2/v2.0/token` }
    const rest = { authorization_endpoint: `${tenant.instance}t/oauth2/v2.0/authorize`, jwks_uri: keys }
    expect(entraProfile({ ...tenant, ownKeysOf: 'an-id' }).checkMetadata({ ...json, ...rest }).jwksUri).toBe(keys)
  })

  it('may name a userinfo endpoint, and one that is not accepted counts as absent', () => {
    const userinfo = (address: unknown) => check({ userinfo_endpoint: address }).userinfoEndpoint

    expect(userinfo('https://login.example.com/userinfo')).toBe('https://login.example.com/userinfo')
    for (const bad of ['http://login.example.com/userinfo', 'https://10.0.0.1/userinfo', '', null, 7, undefined]) {
      expect(userinfo(bad)).toBeUndefined()
    }
  })

  it('does not decide the audience of an assertion', () => {
    const assertionAudience = 'https://login.example.com/token'
    expect(openIdProfile({ authority }).assertion.audience).toBe(authority)
    expect(openIdProfile({ authority, assertionAudience }).assertion.audience).toBe(assertionAudience)
    const entra = entraProfile({ instance: 'https://login.microsoftonline.com/', tenantId: 't' })
    expect(entra.assertion.audience).toBe('https://login.microsoftonline.com/t/oauth2/v2.0/token')
  })

  it.each<[object, Partial<OpenIdSettings>, boolean]>([
    [{}, {}, false],
    [{ scopes_supported: ['openid'] }, {}, false],
    [{ scopes_supported: ['openid', 'offline_access'] }, {}, true],
    [{ scopes_supported: 'offline_access' }, {}, false],
    [{ scopes_supported: ['openid'] }, { offlineAccess: true }, true],
    [{ scopes_supported: ['offline_access'] }, { offlineAccess: false }, false],
  ])('%o with %o requests offline_access: %s', (changes, settings, requested) =>
    expect(check(changes, settings).offlineAccess).toBe(requested),
  )

  it.each<[string, object, string]>([
    ['the authorization code grant', { grant_types_supported: ['implicit'] }, 'authorization_code'],
    ['PKCE by S256', { code_challenge_methods_supported: ['plain'] }, 'PKCE by S256'],
    ['private_key_jwt', { token_endpoint_auth_methods_supported: ['client_secret_basic'] }, 'private_key_jwt'],
    ['assertions that the vault signs', { token_endpoint_auth_signing_alg_values_supported: ['ES256'] }, 'PS256'],
    ['ID tokens with a signature', { id_token_signing_alg_values_supported: ['none'] }, 'ID tokens'],
    ['ID tokens by a public key', { id_token_signing_alg_values_supported: ['HS256', 'HS512'] }, 'ID tokens'],
    ['ID tokens that Node verifies', { id_token_signing_alg_values_supported: ['ML-DSA-44'] }, 'ID tokens'],
    ['plain requests', { require_pushed_authorization_requests: true }, 'require_pushed_authorization_requests'],
    ['unsigned requests', { require_signed_request_object: true }, 'require_signed_request_object'],
  ])('is refused where it does not offer %s, and accepted where its list is empty', (_, offers, missing) => {
    expect(() => check(offers)).toThrow(
      expect.objectContaining({ code: 'provider_unsuitable', detail: expect.stringContaining(missing) as string }),
    )
    const empty = Object.fromEntries(Object.keys(offers).map((name) => [name, []]))
    expect(check(empty).issuer).toBe(authority)
  })

  it.each([
    { subject_types_supported: ['pairwise'] },
    { claims_supported: undefined, claims_parameter_supported: false, request_parameter_supported: false },
    { token_endpoint_auth_methods_supported: null, response_modes_supported: null, grant_types_supported: '' },
    { mtls_endpoint_aliases: { token_endpoint: 'http://10.0.0.1/token' }, signed_metadata: 'a.b.c' },
    { require_pushed_authorization_requests: false, pushed_authorization_request_endpoint: 'http://10.0.0.1/par' },
  ])('is accepted with members that the broker does not need: %j', (members) =>
    expect(check(members).issuer).toBe(authority),
  )

  it.each([
    [undefined, 'select_account', 'select_account'],
    [[], 'select_account', 'select_account'],
    [['none', 'login', 'select_account'], 'select_account', 'select_account'],
    [['none', 'login', 'consent'], 'select_account', 'login'],
    [['none', 'login'], 'consent', 'consent'],
    [['login'], 'none', 'none'],
    [undefined, 'login consent', 'login consent'],
    [['login', 'consent', 'select_account'], 'consent select_account', 'consent select_account'],
    [['login', 'consent'], 'select_account consent', 'login consent'],
    [['login', 'consent'], 'login select_account', 'login'],
  ])('with the prompts %j receives %s as %s', (prompt_values_supported, prompts, sent) => {
    const profile = openIdProfile({ authority })

    expect(profile.promptFor(prompts.split(' '), check({ prompt_values_supported }))).toBe(sent)
  })

  it.each(['RS256', 'PS512', 'ES512', 'EdDSA', 'Ed25519', 'ES256K'])('may list ID tokens by %s alone', (algorithm) =>
    expect(check({ id_token_signing_alg_values_supported: ['none', algorithm] }).issuer).toBe(authority),
  )

  it('has to list the algorithm of assertions that a setting names, where it lists any', () => {
    const name = 'token_endpoint_auth_signing_alg_values_supported'

    expect(check({}, { assertionAlgorithm: 'RS256' }).assertionAlgorithm).toBe('RS256')
    expect(check({ [name]: ['PS256', 'RS256'] }, { assertionAlgorithm: 'RS256' }).assertionAlgorithm).toBe('RS256')
    expect(() => check({ [name]: ['PS256'] }, { assertionAlgorithm: 'RS256' })).toThrow(
      expect.objectContaining({ code: 'provider_unsuitable' }),
    )
  })
})

describe('the response types of a provider', () => {
  const types = (...response_types_supported: readonly unknown[]) => ({ response_types_supported })

  it.each<[object, 'code' | 'code id_token']>([
    [types('id_token'), 'code'],
    [types('code id_token'), 'code'],
    [types('code', 'id_token', 'id_token token'), 'code id_token'],
    [types('code id_token token'), 'code id_token'],
    [types('code', 7, null), 'code id_token'],
  ])('%j lack %s', (json, responseType) => {
    expect(() => checkResponseType({ ...json }, responseType)).toThrow(
      expect.objectContaining({
        code: 'provider_unsuitable',
        detail: expect.stringContaining(`response_type ${responseType}`) as string,
      }),
    )
  })

  it.each<[object, 'code' | 'code id_token']>([
    [types('code', 'id_token'), 'code'],
    [types('code', 'code id_token'), 'code id_token'],
    [types('id_token code'), 'code id_token'],
    // A list that is left out, or empty, proves no lack.
    [{}, 'code id_token'],
    [types(), 'code id_token'],
  ])('%j have %s', (json, responseType) => {
    expect(() => checkResponseType({ ...json }, responseType)).not.toThrow()
  })
})
