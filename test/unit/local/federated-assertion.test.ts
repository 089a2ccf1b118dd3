/** The local provider checks a managed identity's token as Entra does, so that a test of the broker can fail there. */
import { describe, expect, it } from 'vitest'
import { checkFederatedAssertion } from '../../../local/identity-provider/client-assertion.ts'
import { createAccessTokenIssuer, tokenExchangeAudience } from '../../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../../local/managed-identity/managed-identity.ts'

const clientId = '22222222-2222-4222-8222-222222222222'

describe('a token that is presented as a client assertion', async () => {
  const [issuer, stranger] = [await createAccessTokenIssuer(), await createAccessTokenIssuer()]
  const federation = {
    credentials: () => [
      { issuer: issuer.exchangeIssuer, subject: localIdentity.principalId, audiences: [tokenExchangeAudience] },
    ],
    verify: issuer.verifyExchangeToken,
  }
  const issue = async (changes: Partial<Parameters<typeof issuer.issueAccessToken>[0]> = {}, by = issuer) =>
    (await by.issueAccessToken({ ...localIdentity, audience: tokenExchangeAudience, ...changes })).token

  it('is accepted from the identity that the application trusts', async () => {
    await expect(checkFederatedAssertion(await issue(), clientId, federation)).resolves.toBe(true)
  })

  it.each<[string, () => Promise<string>, number]>([
    ['of another subject', () => issue({ principalId: '44444444-4444-4444-8444-000000000004' }), 700213],
    ['for another audience of the exchange', () => issue({ audience: `${tokenExchangeAudience}USGov` }), 700212],
    // Version 1, by another issuer.
    ['for the vault', () => issue({ audience: 'https://vault.azure.net' }), 700211],
    [
      'for the vault by the right issuer',
      () => issue({ audience: 'https://vault.azure.net', issuer: issuer.exchangeIssuer }),
      700212,
    ],
    ['of another issuer', () => issue({ issuer: 'https://login.example.net/t/v2.0' }), 700211],
    ['that another key signed', () => issue({}, stranger), 700027],
    ['that has expired', () => issue({ lifetimeSeconds: -60 }), 700027],
  ])('is refused %s', async (_, make, code) => {
    const refused = checkFederatedAssertion(await make(), clientId, federation)

    await expect(refused).rejects.toMatchObject({ kind: { code } })
  })
})
