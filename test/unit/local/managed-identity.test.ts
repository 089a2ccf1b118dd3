import { ManagedIdentityCredential } from '@azure/identity'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createAccessTokenIssuer } from '../../../local/managed-identity/access-tokens.ts'
import { localIdentity, startManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import type { ManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { useIdentityEndpoint } from '../../setup/identity-endpoint.ts'

const other = { clientId: '55555555-5555-4555-8555-555555555555', principalId: '55555555-5555-4555-8555-000000000001' }
const vaultAudience = 'https://vault.azure.net'
let endpoint: ManagedIdentity

beforeAll(async () => {
  endpoint = await startManagedIdentity({ port: 0, identities: [localIdentity, other] })
  useIdentityEndpoint(endpoint)
})
afterEach(() => {
  endpoint.failWith(undefined)
  endpoint.resetRequests()
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await endpoint.close()
})

const ask = (parameters: Record<string, string>, header = endpoint.header) =>
  fetch(`${endpoint.url}?${new URLSearchParams(parameters).toString()}`, { headers: { 'X-IDENTITY-HEADER': header } })
const good = { 'api-version': '2019-08-01', resource: vaultAudience, client_id: localIdentity.clientId }
const credential = (clientId: string) => new ManagedIdentityCredential({ clientId, retryOptions: { maxRetries: 0 } })

describe('the managed identity endpoint', () => {
  it('returns a token for the requested resource to the real ManagedIdentityCredential', async () => {
    const { token, expiresOnTimestamp } = await credential(localIdentity.clientId).getToken(`${vaultAudience}/.default`)

    const claims = decodeJwt(token)
    expect(claims).toMatchObject({
      aud: vaultAudience,
      appid: localIdentity.clientId,
      oid: localIdentity.principalId,
    })
    // The client turns the end into a lifetime and back, in whole seconds: on a busy machine they differ by some.
    expect(Math.abs((claims.exp ?? 0) - expiresOnTimestamp / 1000)).toBeLessThan(300)
    await expect(endpoint.issuer.verifyAccessToken(token, vaultAudience)).resolves.toEqual(localIdentity)
    expect(endpoint.requests).toEqual([{ clientId: localIdentity.clientId, resource: vaultAudience, status: 200 }])
  })

  it('returns its own token to each identity', async () => {
    const { token } = await credential(other.clientId).getToken(`${vaultAudience}/.default`)

    await expect(endpoint.issuer.verifyAccessToken(token, vaultAudience)).resolves.toEqual(other)
  })

  it('refuses an identity that the app does not have', async () => {
    const refused = credential('66666666-6666-4666-8666-666666666666').getToken(`${vaultAudience}/.default`)

    await expect(refused).rejects.toMatchObject({ name: 'CredentialUnavailableError' })
    expect(endpoint.requests.map(({ status }) => status)).toEqual([400])
  })

  it('answers as App Service does', async () => {
    const answer = await ask(good)

    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      access_token: expect.stringMatching(/^ey/) as string,
      expires_on: expect.stringMatching(/^\d+$/) as string,
      resource: vaultAudience,
      token_type: 'Bearer',
      client_id: localIdentity.clientId,
    })
  })

  it.each([
    ['a wrong header', good, 'guessed', 401],
    ['another api-version', { ...good, 'api-version': '2017-09-01' }, undefined, 400],
    ['no resource', { 'api-version': '2019-08-01', client_id: localIdentity.clientId }, undefined, 400],
    ['no client id', { 'api-version': '2019-08-01', resource: vaultAudience }, undefined, 400],
  ])('refuses %s in JSON', async (_case, parameters, header, status) => {
    const answer = await ask(parameters, header)

    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ statusCode: status, message: expect.any(String) as string })
  })

  it('fails as configured and recovers', async () => {
    endpoint.failWith({ status: 500, times: 1 })

    expect((await ask(good)).status).toBe(500)
    expect((await ask(good)).status).toBe(200)

    endpoint.failWith({ dropConnection: true })
    await expect(ask(good)).rejects.toThrow()
    endpoint.failWith({ garbage: true })
    expect(await (await ask(good)).text()).toMatch(/^<!doctype html>/)
    endpoint.failWith(undefined)
    expect((await ask(good)).status).toBe(200)
  })
})

describe('an access token', () => {
  it.each([
    ['of another issuer', async () => (await createAccessTokenIssuer()).issueAccessToken],
    ['for another audience', () => issueWith({ audience: 'https://graph.microsoft.com' })],
    ['that has expired', () => issueWith({ lifetimeSeconds: -60 })],
  ])('%s is refused', async (_case, issue) => {
    const { token } = await (await issue())({ ...localIdentity, audience: vaultAudience })
    const { token: accepted } = await endpoint.issuer.issueAccessToken({ ...localIdentity, audience: vaultAudience })

    await expect(endpoint.issuer.verifyAccessToken(token, vaultAudience)).rejects.toThrow()
    await expect(endpoint.issuer.verifyAccessToken(accepted, vaultAudience)).resolves.toEqual(localIdentity)
  })
})

function issueWith(changes: { audience?: string; lifetimeSeconds?: number }): typeof endpoint.issuer.issueAccessToken {
  return (options) => endpoint.issuer.issueAccessToken({ ...options, ...changes })
}
