import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('the published keys, which anyone may ask for', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
  })
  afterEach(() => stack.vault.faults.clear())
  afterAll(() => stack.close())

  const ask = async (url: string) => (await fetch(`${url}/.well-known/jwks.json`)).status
  const readsOfVault = () => stack.vault.requests.filter(({ operation }) => operation === 'getCertificate').length

  it('cost a new instance one look into the vault, however many ask at once', async () => {
    const { url } = await stack.startInstance()
    stack.vault.resetRequests()

    const statuses = await Promise.all(Array.from({ length: 30 }, () => ask(url)))

    expect(new Set(statuses)).toEqual(new Set([200]))
    // The one that learns which version it is, the one that publishes it, and the SDK's own repeat at most.
    expect(readsOfVault()).toBeLessThanOrEqual(3)
  })

  it('are no way to keep a vault busy that refuses', async () => {
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
