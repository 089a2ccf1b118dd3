import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, ordersRead, redirectUri } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

/**
 * Uses the library as its documentation shows; the only addition permits plain http,
 * since the broker is on loopback here.
 */
describe('oauth4webapi, unmodified', () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it is noticed; intended for loopback
  const overHttp = { [oauth.allowInsecureRequests]: true }
  const client: oauth.Client = { client_id: 'app' }
  const clientAuth = oauth.None()
  let stack: Stack
  let server: oauth.AuthorizationServer
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
    const issuer = new URL(stack.url)
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...overHttp })
    server = await oauth.processDiscoveryResponse(issuer, response)
  })
  afterAll(() => stack.close())

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
