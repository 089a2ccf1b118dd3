import { UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ClientAssertions } from '../../../shared/credential/client-assertion.ts'
import type { ClientAssertion } from '../../../shared/credential/sign-assertion.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createNetwork } from '../../../shared/http/network.ts'
import type { TakenCode } from '../../../shared/provider/token-endpoint.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { ProviderMetadata } from '../../../shared/provider/provider.ts'
import { createMsalTokenEndpoint } from '../../../shared/provider/token-endpoint.msal.ts'
import type { TokenEndpoint } from '../../../shared/provider/token-endpoint.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'
import type { Answerer, SecureServer } from '../../setup/secure-server.ts'
import { clientId, tenantId } from './provider-server.ts'

type Json = Readonly<Record<string, unknown>>

let server: SecureServer
let tokens: TokenEndpoint
let forms: Record<string, string>[]
let assertion: () => Promise<ClientAssertion>
let another: (repeats: number) => Promise<ClientAssertion | undefined>
let accepted: string[]
const now = Date.parse('2026-01-15T12:00:00Z')

beforeAll(async () => {
  server = await startSecureServer()
  const authority = `${server.url}/${tenantId}/v2.0`
  const metadata = {
    issuer: authority,
    tokenEndpoint: `${server.url}/${tenantId}/oauth2/v2.0/token`,
    authorizationEndpoint: `${server.url}/authorize`,
    jwksUri: `${server.url}/keys`,
  }
  tokens = createMsalTokenEndpoint({
    provider: {
      profile: entraProfile({ instance: `${server.url}/`, tenantId }),
      issuer: authority,
      clientId,
      redirectUri: 'http://localhost:7071/callback',
      metadata: () => Promise.resolve(metadata as ProviderMetadata),
    },
    assertions: {
      get: () => assertion(),
      next: (_, repeats) => another(repeats),
      accepted: ({ jwt }) => void accepted.push(jwt),
      state: () => undefined,
    } satisfies ClientAssertions,
    network: createNetwork(),
    clock: () => now,
  })
})
beforeEach(() => {
  forms = []
  accepted = []
  assertion = () => Promise.resolve(signed('the.client.assertion'))
  another = () => Promise.resolve(undefined)
})
afterAll(() => server.close())

const signed = (jwt: string): ClientAssertion => ({ jwt, thumbprint: 't', issuedAt: 0, expires: 600 })
const idToken = (changes: Json = {}) =>
  new UnsecuredJWT({ iss: 'x', sub: 'subject', oid: 'object', tid: tenantId, nonce: 'nonce', ...changes }).encode()
const good = (changes: Json = {}): Json => ({
  token_type: 'Bearer',
  access_token: 'an.access.token',
  expires_in: 3600,
  scope: 'api://demo/orders.read',
  refresh_token: 'a-refresh-token',
  id_token: idToken(),
  ...changes,
})
const answers = (answerer: Answerer) =>
  server.answer((request, response, body) => {
    forms.push(Object.fromEntries(new URLSearchParams(body)))
    answerer(request, response, body)
  })
const says = (body: unknown, status = 200) => answers((_, response) => sendJson(response, body, status))
const redeem = () =>
  tokens.redeemCode('the-code' as TakenCode, {
    nonce: 'nonce',
    codeVerifier: 'v'.repeat(43),
    scopes: ['openid', 'profile', 'offline_access', 'api://demo/orders.read'],
  })
const person = { issuer: 'x', subject: 'subject', tenantId, objectId: 'object' }
const refresh = () => tokens.refresh('a-refresh-token', ['api://demo/orders.read'], person)

describe('a code that is redeemed', () => {
  it('goes to the token endpoint once, with verifier, redirect URI and assertion', async () => {
    says(good())

    expect(await redeem()).toEqual({
      accessToken: 'an.access.token',
      accessTokenExpires: now + 3_600_000,
      scope: 'api://demo/orders.read',
      refreshToken: 'a-refresh-token',
      idToken: idToken(),
    })
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]).toContain(`POST /${tenantId}/oauth2/v2.0/token`)
    expect(forms[0]).toMatchObject({
      grant_type: 'authorization_code',
      code: 'the-code',
      code_verifier: 'v'.repeat(43),
      redirect_uri: 'http://localhost:7071/callback',
      client_id: clientId,
      client_assertion: 'the.client.assertion',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    expect(forms[0]).not.toHaveProperty('client_secret')
  })

  it('may bring no refresh token', async () => {
    says(good({ refresh_token: undefined }))

    expect(await redeem()).toMatchObject({ refreshToken: undefined })
  })

  it.each([undefined, '', null])(
    'has the requested scope where the answer has the scope %j (RFC 6749 §5.1)',
    async (scope) => {
      says(good({ scope }))
      expect(await redeem()).toMatchObject({ scope: 'openid profile offline_access api://demo/orders.read' })
      expect(await refresh()).toMatchObject({ scope: 'api://demo/orders.read' })

      says(good())
      expect(await redeem()).toMatchObject({ scope: 'api://demo/orders.read' })
    },
  )

  it('has the scope of the answer where that is a list', async () => {
    says(good({ scope: ['openid', 'api://demo/orders.read'] }))

    expect(await redeem()).toMatchObject({ scope: 'openid api://demo/orders.read' })
    expect(await refresh()).toMatchObject({ scope: 'openid api://demo/orders.read' })
  })

  it('is not sent where the credential has a fault, which keeps its name', async () => {
    assertion = () => Promise.reject(new BrokerError('vault_throttled', { retryAfterSeconds: 9 }))
    says(good())

    await expect(redeem()).rejects.toMatchObject({ code: 'vault_throttled', retryAfterSeconds: 9 })
    expect(server.requests).toEqual([])

    assertion = () => Promise.resolve(signed('the.client.assertion'))
    await expect(redeem()).resolves.toBeDefined()
  })
})

describe('a token answer', () => {
  it.each<[string, Json, string]>([
    ['without an access token', { access_token: undefined }, 'access_token'],
    ['with an empty access token', { access_token: '' }, 'access_token'],
    ['with an access token that is no text', { access_token: { token: 'x' } }, 'access_token'],
    ['with an access token of more than 64 KB', { access_token: 'a'.repeat(65_537) }, 'access_token'],
    ['without an ID token', { id_token: undefined }, 'id_token'],
    ['with an empty ID token', { id_token: '' }, 'id_token'],
    ['with an ID token that is no text', { id_token: ['x'] }, 'id_token'],
    ['without a type', { token_type: undefined }, 'token_type'],
    ['of type MAC', { token_type: 'mac' }, 'token_type'],
    ['of type DPoP', { token_type: 'DPoP' }, 'token_type'],
    ['whose end is a word', { expires_in: 'soon' }, 'expires_in'],
    ['whose end is a negative text', { expires_in: '-1' }, 'expires_in'],
    ['whose end is a text of zero', { expires_in: '0' }, 'expires_in'],
    ['whose end is an object', { expires_in: {} }, 'expires_in'],
    ['whose end is true', { expires_in: true }, 'expires_in'],
    ['whose end is over', { expires_in: -1 }, 'expires_in'],
    ['whose end is now', { expires_in: 0 }, 'expires_in'],
  ])('%s is refused, before MSAL sees it', async (_what, changes, detail) => {
    says(good(changes))
    await expect(redeem()).rejects.toMatchObject({
      code: 'provider_answer_invalid',
      detail: `token answer: ${detail}`,
    })

    says(good())
    await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token' })
  })

  it('of any case of Bearer is accepted', async () => {
    for (const token_type of ['bearer', 'BEARER']) {
      says(good({ token_type }))
      await expect(redeem()).resolves.toBeDefined()
    }
  })

  it.each([undefined, null, ''])('whose lifetime is %j counts as ten minutes (RFC 6749 §5.1)', async (expires_in) => {
    says(good({ expires_in }))

    expect(await redeem()).toMatchObject({ accessTokenExpires: now + 600_000 })
    expect(await refresh()).toMatchObject({ accessTokenExpires: now + 600_000 })
  })

  it.each(['3599', '3599.0', 3599.0004])('whose lifetime is %j is accepted', async (expires_in) => {
    says(good({ expires_in }))

    expect((await redeem()).accessTokenExpires).toBeCloseTo(now + 3_599_000, -1)
  })

  it.each<Json>([
    { scope: 7 },
    { scope: [{}] },
    { client_info: 'of another software' },
    { error_description: 'none', suberror: 'none' },
    { error: 'temporarily_unavailable' },
    {
      error: 'Ada Lovelace <ada@contoso.example>',
      correlation_id: {},
      refresh_in: 'soon',
      key_id: 7,
      status: 'ok',
      'not-before-policy': 0,
    },
  ])('may have further members of any form, and no rotated refresh token is lost: %j', async (more) => {
    says(good({ refresh_token: 'another', ...more }))

    expect(await redeem()).toMatchObject({ accessToken: 'an.access.token', refreshToken: 'another' })
    expect(await refresh()).toMatchObject({ accessToken: 'an.access.token', refreshToken: 'another' })
  })

  it('that lives longer than two hours is renewed after one, since a block is known at a renewal', async () => {
    says(good({ expires_in: 28 * 3600 }))
    expect(await redeem()).toMatchObject({ accessTokenExpires: now + 86_400_000, renewAfter: now + 3_600_000 })
    expect(await refresh()).toMatchObject({ renewAfter: now + 3_600_000 })

    says(good({ expires_in: 5400 }))
    expect(await redeem()).not.toHaveProperty('renewAfter')
  })

  it('is requested with the capability cp1; a renewal merges it with the challenge', async () => {
    const claimsOf = (form: Json | undefined) => (JSON.parse(String(form?.claims)) as Json).access_token
    says(good())

    await redeem()
    await refresh()
    await tokens.refresh('r', ['s'], person, '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}')

    expect(forms.map(claimsOf)).toEqual([
      { xms_cc: { values: ['cp1'] } },
      { xms_cc: { values: ['cp1'] } },
      { acrs: { essential: true, value: 'c1' }, xms_cc: { values: ['cp1'] } },
    ])
  })

  it('that lives ten years lives a day', async () => {
    says(good({ expires_in: 315_360_000 }))

    expect(await redeem()).toMatchObject({ accessTokenExpires: now + 86_400_000 })
  })

  it.each<[string, Answerer]>([
    ['HTML', (_, response) => void response.setHeader('content-type', 'text/html').end('<h1>Hello</h1>')],
    ['a list', (_, response) => sendJson(response, [good()])],
    ['of more than 256 KB', (_, response) => sendJson(response, good({ note: 'n'.repeat(256 * 1024) }))],
    ['a redirect', (_, response) => sendJson(response, good(), 307, { location: '/elsewhere' })],
    ['an empty success', (_, response) => sendJson(response, {})],
    ['an empty 204', (_, response) => void response.writeHead(204).end()],
    ['a refusal without an error', (_, response) => sendJson(response, { message: 'no' }, 400)],
  ])('that is %s is refused, and the request is not repeated', async (_what, answerer) => {
    answers(answerer)
    await expect(redeem()).rejects.toMatchObject({ code: 'provider_answer_invalid' })
    expect(server.requests).toHaveLength(1)

    says(good())
    await expect(redeem()).resolves.toBeDefined()
  })

  it.each<[string, string, string]>([
    ['of another sign-in', idToken({ nonce: 'another' }), 'MSAL: nonce_mismatch'],
    ['without a nonce', idToken({ nonce: undefined }), 'MSAL: nonce_mismatch'],
    ['that is none', 'not-a-token', 'MSAL: token_parsing_error'],
  ])('whose ID token is one %s is refused with the claim in the detail', async (_what, id_token, detail) => {
    says(good({ id_token }))

    await expect(redeem()).rejects.toMatchObject({ code: 'id_token_refused', detail })
  })

  it('with an encrypted ID token is one for another registration of the client', async () => {
    says(good({ id_token: 'header.key.iv.text.tag' }))

    await expect(redeem()).rejects.toMatchObject({
      code: 'app_registration_invalid',
      detail: 'the ID token is encrypted',
    })
  })

  it('with tokens and a text as an error is one with tokens: MSAL, which would put the text into its own error, does not read it', async () => {
    says(good({ error: 'Ada Lovelace <ada@contoso.example>', error_description: idToken(), suberror: 'none' }))

    await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token' })
  })
})

describe('a refusal', () => {
  it.each<[string, Json, string]>([
    ['invalid_grant', { error_codes: [54005] }, 'code_refused'],
    ['invalid_grant', { suberror: 'basic_action' }, 'provider_refused'],
    ['interaction_required', {}, 'provider_refused'],
    ['invalid_client', { error_codes: [700027] }, 'client_refused'],
    ['unauthorized_client', { error_codes: [700016] }, 'client_refused'],
    ['temporarily_unavailable', {}, 'provider_unavailable'],
    ['server_error', {}, 'provider_unavailable'],
    ['something_new', {}, 'provider_answer_invalid'],
    ['invalid_code', {}, 'code_refused'],
    ['invalid_grant', { error_codes: [50196] }, 'provider_throttled'],
    ['invalid_grant', { error_codes: [50105] }, 'provider_refused'],
    ['invalid_request', { error_codes: [9002327] }, 'app_registration_invalid'],
    ['invalid_client', { error_codes: [7000218] }, 'client_refused'],
    ['invalid_request', { error_codes: [50011] }, 'app_registration_invalid'],
    ['invalid_resource', { error_codes: [500011] }, 'app_registration_invalid'],
    ['invalid_grant', { error_codes: [500011] }, 'app_registration_invalid'],
    ['unauthorized_client', { error_codes: [7000112] }, 'client_refused'],
    ['invalid_client', { error_codes: [7000229] }, 'client_refused'],
    ['invalid_client', { error_codes: [650053] }, 'app_registration_invalid'],
    ['invalid_grant', { error_codes: [500014] }, 'app_registration_invalid'],
    ['access_denied', { error_codes: [500021] }, 'provider_refused'],
    ['invalid_target', {}, 'app_registration_invalid'],
    ['invalid_scope', {}, 'app_registration_invalid'],
    ['access_denied', {}, 'provider_refused'],
    ['unsupported_grant_type', {}, 'app_registration_invalid'],
    ['invalid_grant', { error_codes: [99999999] }, 'code_refused'],
  ])('%s %o of a code is %s', async (error, more, code) => {
    says({ error, error_description: 'AADSTS54005: the text says something else', ...more }, 400)

    await expect(redeem()).rejects.toMatchObject({ code })
  })

  it.each<[string, Json, string]>([
    ['invalid_grant', {}, 'signed_out'],
    ['invalid_grant', { error_codes: [700082] }, 'signed_out'],
    ['invalid_grant', { suberror: 'bad_token' }, 'signed_out'],
    ['invalid_grant', { suberror: 'basic_action' }, 'interaction_required'],
    ['invalid_grant', { suberror: 'additional_action' }, 'interaction_required'],
    ['invalid_grant', { suberror: 'consent_required' }, 'interaction_required'],
    ['invalid_grant', { suberror: 'message_only' }, 'interaction_required'],
    ['invalid_grant', { suberror: 'user_password_expired' }, 'interaction_required'],
    ['invalid_grant', { claims: '{"access_token":{}}' }, 'interaction_required'],
    ['interaction_required', {}, 'interaction_required'],
    ['invalid_scope', {}, 'app_registration_invalid'],
    ['access_denied', {}, 'interaction_required'],
    ['account_selection_required', {}, 'interaction_required'],
    ['unmet_authentication_requirements', {}, 'interaction_required'],
    ['mfa_required', {}, 'interaction_required'],
    ['consent_required', {}, 'interaction_required'],
    ['login_required', {}, 'interaction_required'],
    ['invalid_client', { error_codes: [700027] }, 'client_refused'],
    ['temporarily_unavailable', {}, 'provider_unavailable'],
    ['something_new', {}, 'provider_answer_invalid'],
    ...[50196, 90055, 90024, 50088].map((n): [string, Json, string] => [
      'invalid_grant',
      { error_codes: [n] },
      'provider_throttled',
    ]),
    ...[90033, 90006, 90012, 90090, 50000, 70012, 80002].map((n): [string, Json, string] => [
      'invalid_grant',
      { error_codes: [n] },
      'provider_unavailable',
    ]),
    // A cause that passes comes before one that ends the session.
    ['invalid_grant', { error_codes: [700082, 50196] }, 'provider_throttled'],
    ['invalid_grant', { error_codes: [50076] }, 'interaction_required'],
    ['invalid_grant', { error_codes: [65001] }, 'interaction_required'],
    ['invalid_grant', { error_codes: [500011] }, 'app_registration_invalid'],
    ['invalid_grant', { error_codes: [50105] }, 'signed_out'],
    ['invalid_grant', { error_codes: [99999999, '50196', null] }, 'signed_out'],
    ['invalid_scope', { error_codes: [70011] }, 'app_registration_invalid'],
  ])('%s %o of a refresh token is %s', async (error, more, code) => {
    says({ error, error_description: 'interaction_required invalid_grant AADSTS50076', ...more }, 400)

    await expect(refresh()).rejects.toMatchObject({ code })
  })

  it.each([200, 400, 401, 403])('is one with the status %i, where it has no access token', async (status) => {
    says({ error: 'invalid_grant', access_token: null }, status)
    await expect(redeem()).rejects.toMatchObject({ code: 'code_refused' })
    await expect(refresh()).rejects.toMatchObject({ code: 'signed_out' })

    says(good({ error: '', error_description: '' }))
    await expect(refresh()).resolves.toBeDefined()
  })

  it.each<[string, Answerer]>([
    ['Okta’s own form', (_, response) => sendJson(response, { errorCode: 'invalid_client', errorSummary: 'x' }, 401)],
    ['HTML', (_, response) => void response.writeHead(401, { 'content-type': 'text/html' }).end('<h1>No</h1>')],
    ['nothing', (_, response) => void response.writeHead(401).end()],
  ])('with the status 401 is one of the client, where it has %s in place of an error', async (_what, answerer) => {
    answers(answerer)
    for (const refused of [redeem(), refresh()]) {
      await expect(refused).rejects.toMatchObject({ code: 'client_refused', detail: 'invalid_client' })
    }

    says({ errorCode: 'E0000009' }, 403)
    await expect(redeem()).rejects.toMatchObject({ detail: 'token answer: status 403 without an error' })
  })

  it('names the remedy to the operator, beside the number', async () => {
    says({ error: 'invalid_request', error_codes: [9002327], error_description: 'AADSTS9002327: …' }, 400)

    await expect(redeem()).rejects.toMatchObject({
      detail: expect.stringMatching(/^invalid_request 9002327: .*platform Web/) as string,
    })
  })

  it('never contains the provider’s text, which may quote the request', async () => {
    says(
      { error: 'invalid_client', error_description: 'AADSTS700027 the.client.assertion', error_codes: [700027] },
      401,
    )

    const error = await redeem().catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'client_refused', detail: 'invalid_client 700027' })
    says({ error: 'what <the.client.assertion>', suberror: 'a b', error_codes: ['x', 7] }, 400)
    await expect(redeem()).rejects.toMatchObject({ detail: '? ? 7' })
  })
})

describe('a certificate that the provider does not know', () => {
  const refusal = { error: 'invalid_client', error_codes: [700027] }
  const onlyTakes = (good_assertion: string) =>
    answers((_, response) => {
      const isGood = forms.at(-1)?.client_assertion === good_assertion
      sendJson(response, isGood ? good() : refusal, isGood ? 200 : 401)
    })

  it('is replaced by another version, once, in the same request', async () => {
    another = (repeats) => Promise.resolve(repeats === 0 ? signed('by.another.version') : undefined)
    onlyTakes('by.another.version')

    await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token' })

    expect(forms.map(({ code, client_assertion }) => [code, client_assertion])).toEqual([
      ['the-code', 'the.client.assertion'],
      ['the-code', 'by.another.version'],
    ])
    expect(accepted).toEqual(['by.another.version'])
  })

  it('is reported where no other version is accepted either, after two requests', async () => {
    another = (repeats) => Promise.resolve(repeats === 0 ? signed('by.another.version') : undefined)
    onlyTakes('by.nobody')

    await expect(redeem()).rejects.toMatchObject({ code: 'client_refused' })

    expect(server.requests).toHaveLength(2)
    expect(accepted).toEqual([])
  })

  it('is replaced by the second credential after another version, and by nothing after that', async () => {
    another = (repeats) => Promise.resolve(signed(['by.another.version', 'of.the.identity'][repeats] ?? 'one.too.many'))
    onlyTakes('of.the.identity')

    await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token' })
    expect(accepted).toEqual(['of.the.identity'])

    forms = []
    onlyTakes('by.nobody')
    await expect(redeem()).rejects.toMatchObject({ code: 'client_refused' })
    expect(forms.map(({ client_assertion }) => client_assertion)).toEqual([
      'the.client.assertion',
      'by.another.version',
      'of.the.identity',
    ])
  })

  it.each([70021, 700211, 700212, 700213, 700226, 700236])(
    'and a managed identity that the app registration does not trust (%i): another credential is tried',
    async (number) => {
      another = () => Promise.resolve(signed('by.another.version'))
      answers((_, response) => {
        const isGood = forms.at(-1)?.client_assertion === 'by.another.version'
        sendJson(response, isGood ? good() : { ...refusal, error_codes: [number] }, isGood ? 200 : 401)
      })

      await expect(redeem()).resolves.toMatchObject({ accessToken: 'an.access.token' })
      expect(forms).toHaveLength(2)
    },
  )

  it('is not inferred from a text', async () => {
    another = (repeats) => Promise.resolve(repeats === 0 ? signed('by.another.version') : undefined)
    says({ error: 'invalid_grant', error_description: 'AADSTS700027: certificate', error_codes: [54005] }, 400)

    await expect(redeem()).rejects.toMatchObject({ code: 'code_refused' })

    expect(server.requests).toHaveLength(1)
  })
})

describe('a refresh', () => {
  it('returns the new tokens, the rotated refresh token among them', async () => {
    says(good({ access_token: 'a.new.token', refresh_token: 'another' }))

    expect(await refresh()).toMatchObject({ accessToken: 'a.new.token', refreshToken: 'another' })
    expect(forms[0]).toMatchObject({ grant_type: 'refresh_token', refresh_token: 'a-refresh-token' })
    expect(server.requests).toHaveLength(1)
  })

  it.each([undefined, 'not-a-token', '', 7])('does not lose them over an ID token like %j', async (id_token) => {
    says(good({ refresh_token: 'another', id_token }))

    expect(await refresh()).toMatchObject({ refreshToken: 'another' })
  })

  it.each<[string, Json]>([
    ['iss', { iss: 'y' }],
    ['iss', { iss: undefined }],
    ['sub', { sub: 'another-person' }],
    ['tid', { tid: '99999999-9999-4999-8999-999999999999' }],
    ['oid', { oid: 'another-object' }],
    ['aud', { aud: 'another-client' }],
    ['aud', { aud: [clientId, 'another-client'] }],
    ['azp', { aud: clientId, azp: 'another-client' }],
  ])('is refused where its ID token has another %s than the session', async (claim, changes) => {
    says(good({ refresh_token: 'another', id_token: idToken(changes) }))
    await expect(refresh()).rejects.toMatchObject({ code: 'id_token_refused', detail: `refresh: ${claim}` })

    says(good({ refresh_token: 'another' }))
    expect(await refresh()).toMatchObject({ refreshToken: 'another' })
  })

  it.each<Json>([
    { aud: clientId },
    { aud: [clientId] },
    { aud: [clientId, 'a'], azp: clientId },
    { aud: [person.issuer, clientId] },
    { tid: undefined },
  ])('is accepted with an ID token for this client: %o', async (changes) => {
    says(good({ refresh_token: 'another', id_token: idToken(changes) }))
    expect(await refresh()).toMatchObject({ refreshToken: 'another' })
  })

  it('that brings no other refresh token leaves the old one in use', async () => {
    says(good({ refresh_token: undefined }))

    expect(await refresh()).toMatchObject({ refreshToken: undefined })
  })
})

describe('an issuer', () => {
  it.each([
    'https://am.example.com:443/am/oauth2/realms/root',
    'https://AM.example.com/am',
    'https://login.bücher.example/',
    'https://kc.example.com:8443/realms/My%20Realm',
    'https://login.example.com/common/v2.0',
  ])('may be spelled %s: the codes of its people are redeemed', async (authority) => {
    const profile = openIdProfile({ authority })
    const endpoint = (name: string) => `https://tokens.example.com:443/${name}?policy=staff`
    const metadata = profile.checkMetadata({
      issuer: authority,
      authorization_endpoint: endpoint('authorize'),
      token_endpoint: endpoint('token'),
      jwks_uri: endpoint('keys'),
    })
    const urls: string[] = []
    const there = createMsalTokenEndpoint({
      provider: {
        profile,
        issuer: authority,
        clientId,
        redirectUri: 'http://localhost:7071/callback',
        metadata: () => Promise.resolve(metadata),
      },
      assertions: {
        get: () => assertion(),
        next: () => another(0),
        accepted: () => undefined,
        state: () => undefined,
      },
      network: ({ url }) => {
        urls.push(url)
        return Promise.resolve({ status: 200, headers: {}, json: good({ id_token: idToken({ iss: authority }) }) })
      },
      clock: () => now,
    })

    const request = { nonce: 'nonce', codeVerifier: 'v'.repeat(43), scopes: ['openid'] }
    await expect(there.redeemCode('the-code' as TakenCode, request)).resolves.toBeDefined()
    await expect(there.refresh('r', ['s'], { ...person, issuer: authority })).resolves.toBeDefined()
    expect(urls).toEqual([endpoint('token'), endpoint('token')])
  })
})
