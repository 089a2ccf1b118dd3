import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, ordersRead, redirectUri } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

/**
 * Uses the library as its documentation shows; the only addition permits plain http,
 * since the broker is on loopback here.
 */
describe('openid-client, unmodified', () => {
  let stack: Stack
  let config: client.Configuration
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
    config = await client.discovery(new URL(stack.url), 'app', undefined, client.None(), {
      algorithm: 'oauth2',
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it is noticed; intended for loopback
      execute: [client.allowInsecureRequests],
    })
  })
  afterAll(() => stack.close())

  it('configures itself by the metadata, which announces that PKCE is supported', () => {
    const metadata = config.serverMetadata()

    expect(metadata.issuer).toBe(stack.url)
    expect(metadata.supportsPKCE()).toBe(true)
  })

  it('signs in, renews, and revokes', async () => {
    const { answer, checks } = await authorize()

    const tokens = await client.authorizationCodeGrant(config, answer, checks)
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: ordersRead })
    expect(tokens.expiresIn()).toBeGreaterThan(0)

    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!)
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    expect(renewed.access_token).toBe(tokens.access_token)

    await client.tokenRevocation(config, renewed.refresh_token!, { token_type_hint: 'refresh_token' })
    await expect(client.refreshTokenGrant(config, renewed.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    })
  })

  it('requests the API that it names', async () => {
    const { answer, checks } = await authorize({ scope: 'api://bills/read' })

    const tokens = await client.authorizationCodeGrant(config, answer, checks)

    expect(tokens.scope).toBe('api://bills/read')
  })

  it('rejects an answer with an unexpected state or issuer', async () => {
    const { answer, checks } = await authorize()
    const elsewhere = new URL(answer)
    elsewhere.searchParams.set('iss', 'https://login.example.org')

    await expect(client.authorizationCodeGrant(config, answer, { ...checks, expectedState: 'other' })).rejects.toThrow()
    await expect(client.authorizationCodeGrant(config, elsewhere, checks)).rejects.toThrow()
    await expect(client.authorizationCodeGrant(config, answer, checks)).resolves.toHaveProperty('access_token')
  })

  it('receives login_required at its redirect URI for prompt=none, where the browser is unknown', async () => {
    const { answer, checks } = await authorize({ prompt: 'none' })

    await expect(client.authorizationCodeGrant(config, answer, checks)).rejects.toMatchObject({
      error: 'login_required',
    })
  })

  /** The person's part: from the client's link to its redirect URI. */
  async function authorize(changes: Readonly<Record<string, string>> = {}) {
    const codeVerifier = client.randomPKCECodeVerifier()
    const state = client.randomState()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: ordersRead,
      code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
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
