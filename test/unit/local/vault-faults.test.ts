import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

let cloud: VaultCloud
const digest = new Uint8Array(32)
const signer = (maxRetries = 0) =>
  cloud.keyClient(undefined, { retryOptions: { maxRetries } }).getCryptographyClient('broker')

beforeAll(async () => {
  cloud = await startVaultCloud()
  await cloud.vault.createCertificate('broker', { keySize: 2048 })
})
afterEach(() => {
  cloud.vault.faults.clear()
  cloud.vault.resetRequests()
})
afterAll(() => cloud.close())

describe('a fault', () => {
  it.each([429, 500, 503])('answers %i at the operation it names, and at no other', async (status) => {
    cloud.vault.faults.add({ operation: 'sign', status, retryAfterSeconds: 7 })
    const client = signer()

    const refused = client.sign('PS256', digest)

    await expect(refused).rejects.toMatchObject({ statusCode: status })
    expect(cloud.operations()).toEqual(['getKey 401', 'getKey 200', `sign ${status}`])
    cloud.vault.faults.clear()
    await expect(client.sign('PS256', digest)).resolves.toBeDefined()
  })

  it('sends Retry-After, which the real client obeys', async () => {
    cloud.vault.faults.add({ operation: 'sign', status: 429, retryAfterSeconds: 0, times: 2 })

    await expect(signer(3).sign('PS256', digest)).resolves.toBeDefined()

    expect(cloud.operations()).toEqual(['getKey 401', 'getKey 200', 'sign 429', 'sign 429', 'sign 200'])
    cloud.vault.faults.add({ status: 429, retryAfterSeconds: 9 })
    expect((await cloud.raw('GET', '/keys/broker?api-version=7.6')).headers['retry-after']).toBe('9')
  })

  it('ends the connection, before the work or after it', async () => {
    const client = signer()
    await client.sign('PS256', digest)
    cloud.vault.resetRequests()

    cloud.vault.faults.add({ operation: 'sign', dropConnection: true, times: 1 })
    await expect(client.sign('PS256', digest)).rejects.toMatchObject({ code: 'ECONNRESET' })
    cloud.vault.faults.add({ operation: 'sign', loseAnswer: true, times: 1 })
    await expect(client.sign('PS256', digest)).rejects.toMatchObject({ code: 'ECONNRESET' })

    expect(cloud.operations()).toEqual(['sign unanswered', 'sign unanswered'])
  })

  it('loses the answer of work that was done', async () => {
    const keys = cloud.keyClient({ clientId: '44444444-4444-4444-8444-444444444444', principalId: '' })
    cloud.vault.faults.add({ operation: 'createKey', loseAnswer: true, times: 1 })

    await expect(keys.createRsaKey('made-all-the-same', { keySize: 2048 })).rejects.toMatchObject({
      code: 'ECONNRESET',
    })

    await expect(keys.getKey('made-all-the-same')).resolves.toBeDefined()
  })

  it('hangs until the caller aborts', async () => {
    cloud.vault.faults.add({ operation: 'sign', hang: true })

    const caller = new AbortController()
    const waiting = signer().sign('PS256', digest, { abortSignal: caller.signal })
    waiting.catch(() => undefined)
    await expect.poll(() => cloud.operations(), { interval: 10 }).toContain('sign unanswered')
    caller.abort()

    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    expect(cloud.operations()).toEqual(['getKey 401', 'getKey 200', 'sign unanswered'])
  })

  it('slows an answer down and then sends it', async () => {
    cloud.vault.faults.add({ operation: 'sign', delayMs: 30 })

    await expect(signer().sign('PS256', digest)).resolves.toBeDefined()
  })

  it('sends garbage, which the real client reads as an answer without a result', async () => {
    cloud.vault.faults.add({ operation: 'sign', garbage: true })

    expect(await signer().sign('PS256', digest)).toMatchObject({ result: undefined })
  })

  it('strikes challenges by that name, everything by a star', async () => {
    cloud.vault.faults.add({ operation: 'challenge', status: 503, times: 1 })
    await expect(signer().sign('PS256', digest)).rejects.toMatchObject({ statusCode: 503 })

    cloud.vault.faults.add({ operation: '*', status: 500 })
    await expect(cloud.certificateClient().getCertificate('broker')).rejects.toMatchObject({ statusCode: 500 })

    expect(cloud.operations()).toEqual(['getKey 503', 'getCertificate 500'])
  })

  it('can be removed separately', async () => {
    const remove = cloud.vault.faults.add({ operation: 'sign', status: 500 })
    cloud.vault.faults.add({ operation: 'getCertificate', status: 500 })

    remove()

    await expect(signer().sign('PS256', digest)).resolves.toBeDefined()
    await expect(cloud.certificateClient().getCertificate('broker')).rejects.toMatchObject({ statusCode: 500 })
  })
})

describe('the admin route for faults', () => {
  it('adds and clears without a token', async () => {
    const client = signer()
    const added = await cloud.raw('POST', '/local/faults', { body: { operation: 'sign', status: 503 } })

    expect(added.status).toBe(204)
    await expect(client.sign('PS256', digest)).rejects.toMatchObject({ statusCode: 503 })
    expect((await cloud.raw('DELETE', '/local/faults')).status).toBe(204)
    await expect(client.sign('PS256', digest)).resolves.toBeDefined()
  })

  it.each([
    ['an unknown operation', { operation: 'sing' }],
    ['an unknown member', { operation: 'sign', status: 500, sometimes: true }],
    ['a status that is no failure', { operation: 'sign', status: 200 }],
  ])('refuses %s', async (_case, body) => {
    expect((await cloud.raw('POST', '/local/faults', { body })).status).toBe(400)
    await expect(signer().sign('PS256', digest)).resolves.toBeDefined()
  })

  it('refuses what a page of another origin could send without a preflight', async () => {
    const answer = await fetch(`${cloud.vault.url.replace('https:', 'http:')}/local/faults`, {
      method: 'POST',
      body: JSON.stringify({ status: 500 }),
    })

    expect(answer.status).toBe(415)
  })
})
