import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PublicCertificate } from '../../local/vault/certificate-json.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, deliver, rollUntil, runRoll, signIn, versionsAt } = rolling

let stack: Stack
beforeAll(async () => {
  stack = await rolling.startRollingStack()
  await runRoll(stack.brokers[0]!)
})
beforeEach(() => stack.graph.resetRequests())
afterAll(() => stack.close())

const broker = () => stack.brokers[0]!
const graphCalls = () => stack.graph.requests.map(({ operation, status }) => `${operation ?? ''} ${status ?? 'lost'}`)
/** The steps of one version, in order, each with its outcome. */
const stepsOf = ({ version }: PublicCertificate) =>
  rolling
    .logged(stack, 'certificate step')
    .filter(({ certificateVersion }) => certificateVersion === version)
    .map(({ step, code }) => `${String(step)} ${String(code)}`)

async function rolled({ version }: PublicCertificate): Promise<void> {
  await rollUntil(
    broker(),
    async () => {
      expect((await signIn(stack)).location).toBe('http://localhost:3000/')
      return (await versionsAt(broker()))[version]
    },
    (seen) => seen?.signs === true && seen.status === 'accepted',
  )
}

describe('an event', () => {
  it.each([
    ['about another vault', (id: string) => id.replace('https://localhost', 'https://elsewhere.vault.azure.net')],
    ['about another certificate', (id: string) => id.replace('/certificates/broker/', '/certificates/other/')],
    ['about a key', (id: string) => id.replace('/certificates/', '/keys/')],
    ['without an id', () => ''],
  ])('%s is ignored, and one about the broker’s certificate starts a read of the vault', async (_what, forge) => {
    const [certificate] = stack.vault.publicCertificates(certificateName)
    const event = rolling.newVersionEvent(stack.vault.url, certificate!)
    const listed = () => stack.vault.requests.filter(({ operation }) => operation === 'listVersions').length
    stack.vault.resetRequests()

    expect(await deliver(broker(), { ...event, data: { ...event.data, Id: forge(event.data.Id) } })).toBe(202)
    expect(listed()).toBe(0)
    expect(await deliver(broker(), event)).toBe(202)
    expect(listed()).toBeGreaterThan(0)
  })

  it('that is lost is replaced by the next run of the timer', async () => {
    await rolled(await stack.vault.renewCertificate(certificateName))

    expect(graphCalls()).toContain('addKey 200')
  })
})

describe('a failing Graph', () => {
  it.each<[string, { status?: number; retryAfterSeconds?: number; dropConnection?: boolean }, string]>([
    ['is throttled', { status: 429, retryAfterSeconds: 1 }, 'register: failed provider_throttled'],
    ['is down', { status: 503 }, 'register: failed provider_unavailable'],
    ['answers 403', { status: 403 }, 'register: failed registration_refused'],
    ['drops the connection', { dropConnection: true }, 'register: failed provider_unavailable'],
  ])('that %s for a while gets the request again, and until then the old version signs', async (_what, fault, step) => {
    stack.graph.faults.add({ operation: 'addKey', ...fault, times: fault.status === 403 ? 2 : 1 })

    const next = await stack.vault.renewCertificate(certificateName)
    await rolled(next)

    expect(stepsOf(next)).toContain(step)
    expect(graphCalls().filter((call) => call === 'addKey 200')).toHaveLength(1)
  })

  it('that loses its answer has added the key: the provider is probed before it is added again', async () => {
    stack.graph.faults.add({ operation: 'addKey', loseAnswer: true, times: 1 })
    const next = await stack.vault.renewCertificate(certificateName)

    await rolled(next)

    expect(graphCalls().filter((call) => call.startsWith('addKey'))).toHaveLength(1)
    expect(rolling.keysAtApplication(stack).filter(({ der }) => der.equals(next.der))).toHaveLength(1)
  })

  it('whose change reaches the provider late delays the switch until then', async () => {
    stack.graph.settings.effectAfterMs = Infinity
    const next = await stack.vault.renewCertificate(certificateName)
    await rollUntil(
      broker(),
      () => Promise.resolve(stepsOf(next)),
      (steps) => steps.includes('register: registered undefined') && steps.at(-1)!.startsWith('probe: refused'),
    )
    expect((await versionsAt(broker()))[next.version]).toMatchObject({ signs: false })
    stack.graph.settings.effectAfterMs = 0
    stack.graph.applications.spread()

    await rolled(next)

    expect(graphCalls().filter((call) => call.startsWith('addKey'))).toEqual(['addKey 200'])
  })
})

describe('a failing part of the broker', () => {
  it('the vault, which is down when the event arrives, is read again later', async () => {
    const next = await stack.vault.renewCertificate(certificateName)
    stack.vault.faults.add({ operation: 'listVersions', status: 503 })

    // Event Grid delivers the event again, since its function failed.
    expect(await deliver(broker(), rolling.newVersionEvent(stack.vault.url, next))).toBe(500)
    expect((await signIn(stack)).location).toBe('http://localhost:3000/')
    stack.vault.faults.clear()

    await rolled(next)
  })

  it('the store, which is down during the roll, delays it and breaks nothing', async () => {
    const next = await stack.vault.renewCertificate(certificateName)
    stack.store.addFault({ operation: 'replace', table: 'service', status: 503, times: 4 })
    await runRoll(broker())

    await rolled(next)
  })

  it('a registration by hand is probed at once; an unknown version is rejected', async () => {
    const confirm = (version: string, key: string = broker().functionKey) =>
      fetch(`${stack.url}/certificate/${version}/registered`, { method: 'POST', headers: { 'x-functions-key': key } })
    const [first] = stack.vault.publicCertificates(certificateName)

    expect((await confirm('0'.repeat(32))).status).toBe(404)
    expect((await confirm(first!.version, 'wrong')).status).toBe(401)
    const reported = await confirm(first!.version)
    expect(reported.status).toBe(202)
    expect(await reported.json()).toMatchObject({ version: first!.version, status: 'accepted' })
  })

  it('the keys that sign or have signed are published by their public parts only', async () => {
    const answer = await fetch(`${stack.url}/.well-known/jwks.json`)

    expect(answer.status).toBe(200)
    const { keys } = (await answer.json()) as { keys: Record<string, unknown>[] }
    const newest = stack.vault.publicCertificates(certificateName).at(-1)!
    expect(keys.map((key) => key['x5t#S256'])).toContain(newest.x5tS256)
    for (const key of keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use', 'x5c', 'x5t#S256'])
    }
  })
})
