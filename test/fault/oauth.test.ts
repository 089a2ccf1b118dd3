import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { app, authorizationRequest, authorize, newPkce, redeem, refresh, signInByCode } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('an OAuth client, when a part fails,', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
  })
  beforeEach(() => stack.store.clearFaults())
  afterAll(() => stack.close())

  const newCode = async () => {
    const pkce = newPkce()
    return { pkce, code: (await authorize(stack.person(), authorizationRequest(pkce))).get('code')! }
  }

  it.each([
    ['fails to read', { operation: 'find', table: 'sessions' }],
    ['fails to write', { operation: 'replace', table: 'sessions' }],
  ] as const)('gets an error with Retry-After, and is still signed in, while the store %s', async (_, place) => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    stack.store.addFault({ ...place, status: 503, times: 20 })

    const down = await refresh(stack.url, refreshToken)
    stack.store.clearFaults()

    expect([down.status, down.json.error]).toEqual([503, 'temporarily_unavailable'])
    expect(down.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await refresh(stack.url, refreshToken)).status).toBe(200)
  })

  it('keeps its code while the store cannot be read', async () => {
    const { code, pkce } = await newCode()
    stack.store.addFault({ operation: 'find', table: 'codes', status: 503, times: 20 })

    const down = await redeem(stack.url, code, pkce)
    stack.store.clearFaults()

    expect([down.status, down.json.error]).toEqual([503, 'temporarily_unavailable'])
    expect((await redeem(stack.url, code, pkce)).status).toBe(200)
  })

  it('gets its tokens by the same code after the store failed to write its session, and not a second time', async () => {
    const { code, pkce } = await newCode()
    stack.store.addFault({ operation: 'insert', table: 'sessions', status: 503, times: 20 })

    const down = await redeem(stack.url, code, pkce)
    stack.store.clearFaults()
    const answer = await redeem(stack.url, code, pkce)

    expect([down.status, down.json.error]).toEqual([503, 'temporarily_unavailable'])
    expect(answer.status).toBe(200)
    expect((await redeem(stack.url, code, pkce)).json.error).toBe('invalid_grant')
    expect((await refresh(stack.url, answer.json.refresh_token as string)).json.error).toBe('invalid_grant')
  })

  it('is still signed in after the provider was down at a renewal, or rejected the broker’s own credential', async () => {
    stack.identityProvider.settings.accessTokenSeconds = 4
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    stack.identityProvider.settings.accessTokenSeconds = 3600
    stack.identityProvider.faults.add({ endpoint: 'token', status: 503, times: 1 })

    const down = await refresh(stack.url, refreshToken)
    stack.identityProvider.nextTokenError({
      error: 'invalid_client',
      error_codes: [700027],
      grantType: 'refresh_token',
    })
    const refused = await refresh(stack.url, refreshToken)

    expect([down, refused].map(({ status, json }) => [status, json.error])).toEqual([
      [503, 'temporarily_unavailable'],
      [503, 'temporarily_unavailable'],
    ])
    expect((await refresh(stack.url, refreshToken)).status).toBe(200)
  })
})
