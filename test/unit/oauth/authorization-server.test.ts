import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createAuthorizationServer } from '../../../shared/oauth/authorization-server.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'

const app = { id: 'app', kind: 'oauth', origins: ['https://app.example.net'], apis: [] } as const

describe('an authorization server that cannot read the keys of ID tokens', () => {
  const unreadable = new BrokerError('vault_forbidden')
  /** Redeems nothing: the outcome is that of the preparation. */
  const outcomeOf = (openid: readonly string[]) => {
    const use = async ({ prepare }: { readonly prepare: (openid: readonly string[]) => Promise<void> }) => {
      await prepare(openid)
      throw new BrokerError('grant_invalid')
    }
    const parts = {
      issuer: 'https://signin.example.com',
      frontEnds: { find: () => app, all: [app] },
      codes: { take: use },
      refreshTokens: { use },
      signingKeys: { check: () => Promise.reject(unreadable) },
      clientAuthentication: { check: () => Promise.resolve() },
      flowEvents: noFlowEvents,
    }
    const server = createAuthorizationServer(parts as unknown as Parameters<typeof createAuthorizationServer>[0])
    return (grantType: string) =>
      server
        .token({
          fields: new URLSearchParams({
            ...{ client_id: 'app', grant_type: grantType, refresh_token: 'r' },
            ...{ code: 'c', redirect_uri: 'https://app.example.net/callback', code_verifier: 'v' },
          }),
          origin: undefined,
          authorization: undefined,
        })
        .catch((error: unknown) => (error as BrokerError).code)
  }

  it.each(['authorization_code', 'refresh_token'])('uses up no %s of a grant with openid', async (grantType) => {
    expect(await outcomeOf(['openid', 'profile'])(grantType)).toBe('vault_forbidden')
    expect(await outcomeOf([])(grantType)).toBe('grant_invalid')
  })
})
