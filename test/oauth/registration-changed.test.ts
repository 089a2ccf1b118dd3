import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, refresh, signInByCode } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

/** The same client, after an operator has taken the API of the grant from it. */
const changed = { ...app, apis: app.apis.filter(({ name }) => name === 'bills') }

describe('an OAuth client whose registration has changed', () => {
  let stack: Stack
  let changedUrl: string
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
    changedUrl = (await stack.startInstance({ Broker__FrontEnds: JSON.stringify([changed]) })).url
  })
  afterAll(() => stack.close())

  it.each([
    ['it names the scope', { scope: 'api://demo/orders.read' }],
    ['it names none', {}],
  ])('gets no more tokens for an API that it no longer has, where %s', async (_, fields) => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)

    const refused = await refresh(changedUrl, refreshToken, fields)

    expect([refused.status, refused.json.error]).toEqual([400, 'invalid_scope'])
    expect(refused.json).not.toHaveProperty('access_token')
    expect((await refresh(stack.url, refreshToken, fields)).status).toBe(200)
  })
})
