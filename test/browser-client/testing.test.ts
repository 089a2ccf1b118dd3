/** The double that a team's own tests use in place of the library. */
import { describe, expect, it } from 'vitest'
import type { OAuthClient } from '../../browser-client/src/oauth.ts'
import { createTestClient } from '../../browser-client/src/testing.ts'

describe('the double of the browser library', () => {
  it('reports each change to its subscribers, until they unsubscribe', () => {
    const client = createTestClient()
    const seen: string[] = []
    const unsubscribe = client.subscribe(({ status, session }) => seen.push(`${status} ${session?.name ?? ''}`))

    client.become({ name: 'Grace Hopper' })
    client.becomeDegraded()
    client.becomeSignedOut()
    unsubscribe()
    client.become()

    expect(seen).toEqual(['signed-in Grace Hopper', 'degraded Grace Hopper', 'signed-out '])
  })

  it('adds a token to a call of an API, and refuses once on request', async () => {
    const client = createTestClient({
      respond: (api, { headers }) => Response.json([api, headers.get('authorization')]),
    })
    await expect(client.getToken('orders')).rejects.toMatchObject({ code: 'signed_out' })
    client.become()
    client.refuseOnce('interaction_required')

    await expect(client.fetch('orders', 'https://api.example.com/')).rejects.toMatchObject({
      code: 'interaction_required',
      status: 403,
    })
    const response = await client.fetch('orders', 'https://api.example.com/')
    expect(await response.json()).toEqual(['orders', 'Bearer token-for-orders'])
  })

  it('records sign-ins and sign-outs, and navigates nowhere', () => {
    const client = createTestClient()
    client.become()

    void client.signIn({ prompt: 'login' })
    void client.signOut()

    expect(client.visits).toEqual([
      { to: 'sign-in', options: { prompt: 'login' } },
      { to: 'sign-out', options: {} },
    ])
    expect(client.getState()).toMatchObject({ status: 'signed-out', reason: 'signed-out-here' })
  })

  it('replaces the client of an OAuth front end too', async () => {
    const client = createTestClient()
    const inPlaceOfIt: OAuthClient = client
    client.become({ name: 'Grace Hopper' })

    expect(await inPlaceOfIt.getSession()).toMatchObject({ name: 'Grace Hopper' })
    void inPlaceOfIt.signIn({ api: 'orders', prompt: 'none' })
    expect(client.visits).toEqual([{ to: 'sign-in', options: { api: 'orders', prompt: 'none' } }])
  })
})
