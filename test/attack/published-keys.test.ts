import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('the published keys, which any caller may request', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
  })
  afterEach(() => stack.vault.faults.clear())
  afterAll(() => stack.close())

  const ask = async (url: string) => (await fetch(`${url}/.well-known/jwks.json`)).status
  const readsOfVault = () => stack.vault.requests.filter(({ operation }) => operation === 'getCertificate').length

  it('cost a new instance one read of the vault, for any number of parallel requests', async () => {
    const { url } = await stack.startInstance()
    stack.vault.resetRequests()

    const statuses = await Promise.all(Array.from({ length: 30 }, () => ask(url)))

    expect(new Set(statuses)).toEqual(new Set([200]))
    // At most three reads: one finds the version, one publishes it, and one is the SDK's own retry.
    expect(readsOfVault()).toBeLessThanOrEqual(3)
  })

  it('cannot be used to keep a failing vault busy', async () => {
    const { url } = await stack.startInstance()
    await stack.person().signIn({ frontend: 'shop' })
    stack.vault.faults.add({ operation: 'getCertificate', status: 403 })
    stack.vault.resetRequests()

    const statuses: number[] = []
    for (let i = 0; i < 20; i++) statuses.push(await ask(url))

    expect(new Set(statuses)).toEqual(new Set([503]))
    expect(readsOfVault()).toBeLessThanOrEqual(3)
    stack.vault.faults.clear()
    expect(await ask(stack.url)).toBe(200)
  })
})
