import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ada, shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('a sign-in', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
  })
  afterAll(() => stack.close())

  it('ends at the return URL with its fragment, and the session says who it is', async () => {
    const person = stack.person()

    const done = await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/orders?page=2#last' }, ada)

    expect(done.status).toBe(303)
    expect(done.location).toBe('http://localhost:3000/orders?page=2#last')
    const session = await person.script(shopPage, '/session')
    expect(session.status).toBe(200)
    expect(session.json).toMatchObject({ username: ada, tenant_id: '11111111-1111-4111-8111-111111111111' })
  })
})
