import { UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createNetwork } from '../../../shared/http/network.ts'
import { adfsProfile } from '../../../shared/provider/adfs.ts'
import type { AdfsSettings } from '../../../shared/provider/adfs.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import { createMsalTokenEndpoint } from '../../../shared/provider/token-endpoint.msal.ts'
import type { TakenCode, TokenEndpoint } from '../../../shared/provider/token-endpoint.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'
import type { SecureServer } from '../../setup/secure-server.ts'
import { clientId } from './provider-server.ts'

type Json = Readonly<Record<string, unknown>>

const authority = 'https://fs.contoso.com/adfs'

/** The metadata of AD FS 2019, with its members and their spelling. */
const released2019 = {
  issuer: authority,
  authorization_endpoint: `${authority}/oauth2/authorize/`,
  token_endpoint: `${authority}/oauth2/token/`,
  jwks_uri: `${authority}/discovery/keys`,
  token_endpoint_auth_methods_supported: [
    'client_secret_post',
    'client_secret_basic',
    'private_key_jwt',
    'windows_client_authentication',
  ],
  response_types_supported: [
    'code',
    'id_token',
    'code id_token',
    'id_token token',
    'code token',
    'code id_token token',
  ],
  response_modes_supported: ['query', 'fragment', 'form_post'],
  grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials', 'implicit', 'device_code'],
  subject_types_supported: ['pairwise'],
  scopes_supported: ['allatclaims', 'openid', 'email', 'aza', 'user_impersonation', 'profile', 'logon_cert'],
  id_token_signing_alg_values_supported: ['RS256'],
  token_endpoint_auth_signing_alg_values_supported: ['RS256'],
  access_token_issuer: 'http://fs.contoso.com/adfs/services/trust',
  microsoft_multi_refresh_token: true,
  userinfo_endpoint: `${authority}/userinfo`,
  end_session_endpoint: `${authority}/oauth2/logout`,
  frontchannel_logout_supported: true,
  frontchannel_logout_session_supported: true,
  device_authorization_endpoint: `${authority}/oauth2/devicecode`,
}
const check = (changes: Json = {}, settings: Partial<AdfsSettings> = {}) =>
  adfsProfile({ authority, ...settings }).checkMetadata({ ...released2019, ...changes })

describe('the metadata of AD FS', () => {
  it('is accepted as AD FS 2019 writes it', () => {
    expect(check()).toEqual({
      issuer: authority,
      authorizationEndpoint: released2019.authorization_endpoint,
      tokenEndpoint: released2019.token_endpoint,
      jwksUri: released2019.jwks_uri,
      endSessionEndpoint: released2019.end_session_endpoint,
      // It returns `sub` alone.
      userinfoEndpoint: undefined,
      issuerInAnswers: false,
      offlineAccess: false,
      assertionAlgorithm: 'RS256',
    })
  })

  it('may spell the host of its issuer in upper case, as the setting does', () => {
    const upper = 'https://FS.CONTOSO.COM/adfs'

    expect(check({ issuer: upper }, { authority: upper })).toMatchObject({
      issuer: upper,
      tokenEndpoint: released2019.token_endpoint,
    })
    expect(() => check({ issuer: upper })).toThrow(expect.objectContaining({ code: 'provider_metadata_untrusted' }))
  })

  it('of Windows Server 2016 is refused with a sentence, before any person is sent there', () => {
    expect(() => check({ device_authorization_endpoint: undefined })).toThrow(
      expect.objectContaining({
        code: 'provider_unsuitable',
        detail: expect.stringContaining('Windows Server 2019 or later is required') as string,
      }),
    )
    // A later release may announce PKCE.
    const announced = { device_authorization_endpoint: undefined, code_challenge_methods_supported: ['S256'] }
    expect(() => check(announced)).not.toThrow()
  })

  it.each([
    ['issuer', 'http://fs.contoso.com/adfs/services/trust'],
    ['token_endpoint', `${authority}/oauth2/other/`],
    ['token_endpoint', 'https://fs.evil.example/adfs/oauth2/token/'],
    ['authorization_endpoint', 'https://fs.contoso.com.evil.example/adfs/oauth2/authorize/'],
    ['jwks_uri', 'https://fs.contoso.com:8443/adfs/discovery/keys'],
    ['end_session_endpoint', 'http://fs.contoso.com/adfs/oauth2/logout'],
  ])('that names another %s is refused: %s', (name, value) => {
    expect(() => check({ [name]: value })).toThrow(expect.objectContaining({ code: 'provider_metadata_untrusted' }))
  })

  it.each([
    ['token_endpoint_auth_methods_supported', ['client_secret_post']],
    ['token_endpoint_auth_signing_alg_values_supported', ['ES256']],
    ['id_token_signing_alg_values_supported', ['HS256']],
  ])('that lacks a needed value of %s is refused', (name, value) => {
    expect(() => check({ [name]: value })).toThrow(expect.objectContaining({ code: 'provider_unsuitable' }))
  })
})

describe('the profile of AD FS', () => {
  it('has assertions by RS256 with `x5t`, for the token endpoint, each for one request', () => {
    expect(adfsProfile({ authority }).assertion).toEqual({
      audience: 'https://fs.contoso.com/adfs/oauth2/token/',
      algorithm: 'RS256',
      certificateHeader: 'x5t',
      keyId: true,
      reuse: false,
      lifetimeSeconds: 120,
    })
    const own = { assertionAudience: 'https://fs.contoso.com/adfs/oauth2/token', assertionKeyId: false }
    expect(adfsProfile({ authority, ...own }).assertion).toMatchObject({
      audience: own.assertionAudience,
      keyId: false,
    })
  })

  it('sends the prompts that AD FS has, and a choice of the account as a new sign-in', () => {
    const profile = adfsProfile({ authority })
    const metadata = profile.checkMetadata(released2019)

    const sent = ['login', 'none', 'select_account', 'consent', 'consent login', 'select_account consent'].map((list) =>
      profile.promptFor(list.split(' '), metadata),
    )
    expect(sent).toEqual(['login', 'none', 'login', undefined, 'login', 'login'])
  })

  it('counts a Windows SID as known to others, and an opaque session id as a secret', () => {
    const openId = openIdProfile({ authority: 'https://login.example.com' })
    const profiles = [adfsProfile({ authority }), openId]

    for (const sid of ['S-1-5-21-111884681-232138482-1136263860-54956', 's-1-5-18']) {
      expect(profiles.map((profile) => profile.isPublicSessionId(sid))).toEqual([true, true])
    }
    for (const sid of ['08a5019c-17e1-4977-8f42-65a12843ea02', '_S-1-5', '']) {
      expect(profiles.map((profile) => profile.isPublicSessionId(sid))).toEqual([false, false])
    }
    expect(entraProfile({ instance: 'https://login.example.com/', tenantId: 't' }).isPublicSessionId('S-1-5-18')).toBe(
      false,
    )
  })

  it('shows `unique_name` as the user name', () => {
    const refuse = () => new Error('refused')

    expect(adfsProfile({ authority }).readIdentity({ unique_name: 'CONTOSO\\grace' }, refuse)).toMatchObject({
      username: 'CONTOSO\\grace',
    })
  })

  it.each([
    [
      'access_denied',
      'MSIS9605: The client is not allowed to access the requested resource.',
      'app_registration_invalid',
    ],
    ['unauthorized_client', 'MSIS9321: Received invalid OAuth request.', 'app_registration_invalid'],
    ['access_denied', 'MSIS5007: The caller authorization failed.', 'provider_refused'],
    ['access_denied', undefined, 'sign_in_cancelled'],
    ['interaction_required', undefined, 'login_required'],
    ['server_error', 'MSIS9501: An error occurred.', 'provider_unavailable'],
    ['access_denied', 'A text with MSIS9605: inside.', 'sign_in_cancelled'],
  ])('reads the authorization error %s with "%s" as %s', (error, description, code) => {
    const refusal = { error, subError: undefined, description, uri: undefined }

    expect(adfsProfile({ authority }).readAuthorizationRefusal(refusal)).toMatchObject({ code })
  })
})

describe('the token endpoint of AD FS', () => {
  let server: SecureServer
  let tokens: TokenEndpoint
  let forms: Record<string, string>[]
  let issuer: string
  beforeAll(async () => {
    server = await startSecureServer()
    // The host in upper case, as some farms have it.
    issuer = `${server.url.replace('localhost', 'LOCALHOST')}/adfs`
    const base = `${server.url}/adfs`
    const profile = adfsProfile({ authority: issuer })
    const metadata = profile.checkMetadata(
      JSON.parse(JSON.stringify(released2019).replaceAll(authority, base).replace(base, issuer)) as Json,
    )
    tokens = createMsalTokenEndpoint({
      provider: {
        profile,
        issuer,
        clientId,
        redirectUri: 'http://localhost:7071/callback',
        metadata: () => Promise.resolve(metadata),
      },
      assertions: {
        get: () => Promise.resolve({ jwt: 'the.client.assertion', thumbprint: 't', issuedAt: 0, expires: 600 }),
        next: () => Promise.resolve(undefined),
        accepted: () => undefined,
        state: () => undefined,
      },
      network: createNetwork(),
      clock: () => Date.parse('2026-01-15T12:00:00Z'),
    })
  })
  beforeEach(() => void (forms = []))
  afterAll(() => server.close())

  const answers = (body: Json, status = 200) =>
    server.answer((request, response, text) => {
      expect(request.url).toBe('/adfs/oauth2/token/')
      forms.push(Object.fromEntries(new URLSearchParams(text)))
      sendJson(response, body, status)
    })
  const good = () => ({
    access_token: 'an.access.token',
    token_type: 'bearer',
    expires_in: 3600,
    resource: 'https://orders.contoso.com',
    refresh_token: 'a-refresh-token',
    refresh_token_expires_in: 28_800,
    scope: 'openid',
    id_token: new UnsecuredJWT({ iss: issuer, sub: 'subject=', aud: clientId, nonce: 'nonce' }).encode(),
  })
  const api = ['https://orders.contoso.com/orders.read']
  const redeem = () =>
    tokens.redeemCode('the-code' as TakenCode, {
      nonce: 'nonce',
      codeVerifier: 'v'.repeat(43),
      scopes: ['openid', 'profile', ...api],
    })
  const refresh = () =>
    tokens.refresh('a-refresh-token', api, { issuer, subject: 'subject=', tenantId: undefined, objectId: undefined })

  it('receives the code with verifier and assertion, and no field that AD FS has not', async () => {
    answers(good())

    await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token', refreshToken: 'a-refresh-token' })
    expect(Object.keys(forms[0] ?? {}).sort()).toEqual([
      'client_assertion',
      'client_assertion_type',
      'client_id',
      'code',
      'code_verifier',
      'grant_type',
      'redirect_uri',
    ])
  })

  it('receives the scope again at a refresh, without offline_access, and may return no further refresh token', async () => {
    answers({ ...good(), refresh_token: undefined, refresh_token_expires_in: undefined })

    await expect(refresh()).resolves.toMatchObject({ accessToken: 'an.access.token', refreshToken: undefined })
    expect(forms[0]?.scope?.split(' ').sort()).toEqual([...api, 'openid', 'profile'].sort())
    expect(forms[0]).not.toHaveProperty('resource')
  })

  it.each([
    [400, 'invalid_client', 'MSIS9622: Client authentication failed.', 'client_refused'],
    // Of the client's credential: a person is not signed out by it.
    [400, 'invalid_grant', 'MSIS9622: Client authentication failed.', 'client_refused'],
    [400, 'invalid_client', "MSIS9607: The 'client_id' parameter in the request is invalid.", 'client_refused'],
    [400, 'invalid_resource', "MSIS9602: The received 'resource' parameter is invalid.", 'app_registration_invalid'],
    [
      400,
      'access_denied',
      'MSIS9605: The client is not allowed to access the requested resource.',
      'app_registration_invalid',
    ],
    [401, 'invalid_grant', 'MSIS9615: The refresh token has expired.', 'signed_out'],
    [400, 'invalid_grant', 'MSIS9614: The refresh token is invalid.', 'signed_out'],
    [400, 'invalid_grant', undefined, 'signed_out'],
    [400, 'invalid_grant', 'MSIS9622 without a colon', 'signed_out'],
    [400, 'invalid_scope', undefined, 'interaction_required'],
  ])('that refuses a refresh by %i %s, "%s", is read as %s', async (status, error, description, code) => {
    answers({ error, error_description: description }, status)

    await expect(refresh()).rejects.toMatchObject({ code })
  })

  it('names the number and the remedy to the operator, and quotes no text', async () => {
    answers({ error: 'invalid_client', error_description: 'MSIS9622: Client authentication failed. secret' }, 400)

    await expect(redeem()).rejects.toMatchObject({
      detail: 'invalid_client MSIS9622: register the certificate: Set-AdfsServerApplication -JWTSigningCertificate',
    })
  })
})
