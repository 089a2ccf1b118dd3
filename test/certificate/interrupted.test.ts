import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublicCertificate } from '../../local/vault/certificate-json.ts'
import { clockAhead } from '../setup/clock.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, deliver, rollUntil, runRoll, signIn, until, versionsAt } = rolling

describe('a roll whose instance is killed', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await rolling.startRollingStack()
    // By its clock, the leases of other instances have expired: no test waits for the end of a lease.
    await stack.startInstance({ ...rolling.quickly, ...clockAhead(20) })
    await runRoll(stack.brokers[0]!)
  })
  afterAll(() => stack.close())

  const killed = () => stack.brokers[0]!
  const other = () => stack.brokers[1]!

  /** Sends SIGKILL at once. The host starts the process again, as Azure does. */
  const kill = () => void process.kill(killed().pid!, 'SIGKILL')
  const isBack = () =>
    until(
      () =>
        fetch(`${killed().url}/health`).then(
          ({ ok }) => ok,
          () => false,
        ),
      (ok) => ok,
    )
  const requested = (operation: string) =>
    stack.graph.requests.filter((request) => request.operation === operation).length
  const probes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'client_credentials')

  const finish = async ({ version }: PublicCertificate) => {
    await rollUntil(
      other(),
      async () => (await versionsAt(other()))[version],
      (seen) => seen?.status === 'accepted' && seen.signs,
    )
    expect((await signIn(stack, other().url)).location).toBe('http://localhost:3000/')
  }

  it.each<[string, (stack: Stack) => void, (next: PublicCertificate) => boolean]>([
    [
      'while it probes the token endpoint',
      ({ identityProvider }) =>
        identityProvider.faults.add({ endpoint: 'token', grantType: 'client_credentials', hang: true, times: 1 }),
      () => probes().length > 0,
    ],
    [
      'before Graph has added the key',
      ({ graph }) => void graph.faults.add({ operation: 'addKey', hang: true, times: 1 }),
      () => requested('addKey') > 0,
    ],
    [
      'after Graph has added the key, and before the store has its id',
      ({ graph }) => void graph.faults.add({ operation: 'addKey', loseAnswer: true, hang: true, times: 1 }),
      (next) => rolling.isAtApplication(stack, next),
    ],
  ])('%s is completed by another instance, and no sign-in fails', async (_when, arrange, isThere) => {
    stack.graph.resetRequests()
    stack.identityProvider.resetRequests()
    arrange(stack)
    const next = await stack.vault.renewCertificate(certificateName)
    const event = rolling.newVersionEvent(stack.vault.url, next)
    const lost = deliver(killed(), event).catch(() => 0)

    await until(
      () => isThere(next),
      (is) => is,
    )
    kill()
    stack.identityProvider.faults.clear()
    stack.graph.faults.clear()
    await lost
    expect((await signIn(stack, other().url)).location).toBe('http://localhost:3000/')

    await finish(next)
    await isBack()
    expect(rolling.isAtApplication(stack, next)).toBe(true)
    expect((await signIn(stack)).location).toBe('http://localhost:3000/')
  })

  it('while it removes a key is completed by another instance: that key is recorded as removed, and no other is', async () => {
    const foreign = stack.graph.applications.register(
      stack.graph.applications.all[0]!,
      (await stack.vault.createCertificate('of-another-application', { keySize: 2048 })).der,
    )
    const replaced = await stack.vault.renewCertificate(certificateName)
    await finish(replaced)
    await stack.vault.renewCertificate(certificateName)
    // Graph removes the key, and the instance never learns of it.
    stack.graph.faults.add({ operation: 'removeKey', loseAnswer: true, hang: true, times: 1 })
    // Here one run includes the whole overlap.
    const lost = runRoll(killed()).catch(() => 0)
    await until(
      () => rolling.isAtApplication(stack, replaced),
      (is) => !is,
    )
    kill()
    await lost
    await isBack()

    await rollUntil(
      other(),
      async () => (await versionsAt(other()))[replaced.version],
      (seen) => seen?.status === 'removed',
    )
    expect(rolling.isAtApplication(stack, replaced)).toBe(false)
    expect(rolling.keysAtApplication(stack).map(({ keyId }) => keyId)).toContain(foreign.keyId)
    expect((await signIn(stack)).location).toBe('http://localhost:3000/')
  })
})
