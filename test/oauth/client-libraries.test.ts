/**
 * Client libraries as their documentation shows them; the only addition permits plain http, since the broker is on
 * loopback here. test/clients/ runs further ones, with packages of their own.
 */
import * as oauth from 'oauth4webapi'
import * as openidClient from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, ordersRead, redirectUri } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ frontEnds: [app] })
})
afterAll(() => stack.close())

describe('oauth4webapi, unmodified', () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it is noticed; intended for loopback
  const overHttp = { [oauth.allowInsecureRequests]: true }
  const client: oauth.Client = { client_id: 'app' }
  const clientAuth = oauth.None()
  let server: oauth.AuthorizationServer
  beforeAll(async () => {
    const issuer = new URL(stack.url)
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...overHttp })
    server = await oauth.processDiscoveryResponse(issuer, response)
  })

  it('finds all it needs in the metadata', () => {
    expect(server).toMatchObject({
      issuer: stack.url,
      authorization_endpoint: `${stack.url}/login`,
      token_endpoint: `${stack.url}/token`,
      revocation_endpoint: `${stack.url}/revoke`,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    })
  })

  it('signs in with PKCE, state and issuer, renews, and revokes', async () => {
    const tokens = await signIn()
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: ordersRead })
    expect(tokens.expires_in).toBeGreaterThan(0)

    const renewed = await renew(tokens.refresh_token!)
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)

    const revocation = await oauth.revocationRequest(server, client, clientAuth, renewed.refresh_token!, overHttp)
    await oauth.processRevocationResponse(revocation)

    const after = await renew(renewed.refresh_token!).catch((error: unknown) => error)
    expect(after).toBeInstanceOf(oauth.ResponseBodyError)
    expect(after).toMatchObject({ error: 'invalid_grant', status: 400 })
  })

  it('rejects an answer of another issuer, or with another state', async () => {
    const { answer, state } = await authorize()
    const [otherIssuer, noIssuer] = [new URL(answer), new URL(answer)]
    otherIssuer.searchParams.set('iss', 'https://login.example.org')
    noIssuer.searchParams.delete('iss')

    expect(() => oauth.validateAuthResponse(server, client, otherIssuer, state)).toThrow(/"iss"/)
    expect(() => oauth.validateAuthResponse(server, client, noIssuer, state)).toThrow(/"iss"/)
    expect(() => oauth.validateAuthResponse(server, client, answer, 'another-state')).toThrow(/"state"/)
    expect(oauth.validateAuthResponse(server, client, answer, state).get('code')).toMatch(/^[\w-]{43}$/)
  })

  it('reads an error answer of the authorization endpoint', async () => {
    const { answer, state } = await authorize({ scope: 'api://demo/admin' })

    const read = () => oauth.validateAuthResponse(server, client, answer, state)

    expect(read).toThrow(oauth.AuthorizationResponseError)
    expect(read).toThrow(expect.objectContaining({ error: 'invalid_scope' }))
  })

  it('reads an error answer of the token endpoint', async () => {
    const { answer, state } = await authorize()
    const checked = oauth.validateAuthResponse(server, client, answer, state)

    const error = await redeem(checked, oauth.generateRandomCodeVerifier()).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ error: 'invalid_grant', status: 400 })
  })

  async function signIn() {
    const { answer, state, codeVerifier } = await authorize()
    return redeem(oauth.validateAuthResponse(server, client, answer, state), codeVerifier)
  }

  async function redeem(checked: URLSearchParams, codeVerifier: string) {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      clientAuth,
      checked,
      redirectUri,
      codeVerifier,
      overHttp,
    )
    return oauth.processAuthorizationCodeResponse(server, client, response)
  }

  async function renew(refreshToken: string) {
    const response = await oauth.refreshTokenGrantRequest(server, client, clientAuth, refreshToken, overHttp)
    return oauth.processRefreshTokenResponse(server, client, response)
  }

  /** The person's part: from the client's link to its redirect URI. */
  async function authorize(changes: Readonly<Record<string, string>> = {}) {
    const codeVerifier = oauth.generateRandomCodeVerifier()
    const state = oauth.generateRandomState()
    const request = {
      client_id: client.client_id,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: ordersRead,
      code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
      state,
      ...changes,
    }
    const person = stack.person()
    const begun = await person.begin(request)
    const isRefused = begun.location?.startsWith(redirectUri)
    const done = isRefused ? begun : await person.callback(await person.atProvider(begun.location!))
    return { answer: new URL(done.location!), state, codeVerifier }
  }
})

describe('openid-client, unmodified', () => {
  let config: openidClient.Configuration
  beforeAll(async () => {
    config = await openidClient.discovery(new URL(stack.url), 'app', undefined, openidClient.None(), {
      algorithm: 'oauth2',
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it is noticed; intended for loopback
      execute: [openidClient.allowInsecureRequests],
    })
  })

  it('configures itself by the metadata, which announces that PKCE is supported', () => {
    const metadata = config.serverMetadata()

    expect(metadata.issuer).toBe(stack.url)
    expect(metadata.supportsPKCE()).toBe(true)
  })

  it('signs in, renews, and revokes', async () => {
    const { answer, checks } = await authorize()

    const tokens = await openidClient.authorizationCodeGrant(config, answer, checks)
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: ordersRead })
    expect(tokens.expiresIn()).toBeGreaterThan(0)

    const renewed = await openidClient.refreshTokenGrant(config, tokens.refresh_token!)
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    expect(renewed.access_token).toBe(tokens.access_token)

    await openidClient.tokenRevocation(config, renewed.refresh_token!, { token_type_hint: 'refresh_token' })
    await expect(openidClient.refreshTokenGrant(config, renewed.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    })
  })

  it('requests the API that it names', async () => {
    const { answer, checks } = await authorize({ scope: 'api://bills/read' })

    const tokens = await openidClient.authorizationCodeGrant(config, answer, checks)

    expect(tokens.scope).toBe('api://bills/read')
  })

  it('rejects an answer with an unexpected state or issuer', async () => {
    const { answer, checks } = await authorize()
    const elsewhere = new URL(answer)
    elsewhere.searchParams.set('iss', 'https://login.example.org')

    await expect(
      openidClient.authorizationCodeGrant(config, answer, { ...checks, expectedState: 'other' }),
    ).rejects.toThrow()
    await expect(openidClient.authorizationCodeGrant(config, elsewhere, checks)).rejects.toThrow()
    await expect(openidClient.authorizationCodeGrant(config, answer, checks)).resolves.toHaveProperty('access_token')
  })

  it('receives login_required at its redirect URI for prompt=none, where the browser is unknown', async () => {
    const { answer, checks } = await authorize({ prompt: 'none' })

    await expect(openidClient.authorizationCodeGrant(config, answer, checks)).rejects.toMatchObject({
      error: 'login_required',
    })
  })

  /** The person's part: from the client's link to its redirect URI. */
  async function authorize(changes: Readonly<Record<string, string>> = {}) {
    const codeVerifier = openidClient.randomPKCECodeVerifier()
    const state = openidClient.randomState()
    const url = openidClient.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: ordersRead,
      code_challenge: await openidClient.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
      state,
      ...changes,
    })
    const person = stack.person()
    const query = Object.fromEntries(url.searchParams)
    const done = query.prompt === 'none' ? await person.begin(query) : await person.signIn(query)
    return { answer: new URL(done.location!), checks: { pkceCodeVerifier: codeVerifier, expectedState: state } }
  }
})
