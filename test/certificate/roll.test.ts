import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublicCertificate } from '../../local/vault/certificate-json.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, deliver, rollUntil, runRoll, signIn, until, versionsAt } = rolling

describe('a roll while people sign in', () => {
  let stack: Stack
  let first: PublicCertificate
  beforeAll(async () => {
    stack = await rolling.startRollingStack({ instances: 2 })
    first = stack.vault.publicCertificates(certificateName)[0]!
  })
  afterAll(() => stack.close())

  it('starts with the version that the deployment registered, which is probed', async () => {
    expect(await runRoll(stack.brokers[0]!)).toBe(202)

    const versions = await versionsAt(stack.brokers[0]!)
    expect(versions[first.version]).toMatchObject({ status: 'accepted', signs: true })
  })

  it('runs from the event to the removal of the old key, and no sign-in fails or waits', async () => {
    const [timerInstance, other] = stack.brokers
    const outcomes: { status: number; location: string | null; thumbprint: string | undefined }[] = []
    let going = true
    const people = [undefined, other!.url].map(async (at) => {
      while (going) {
        const { status, location } = await signIn(stack, at)
        outcomes.push({ status, location, thumbprint: rolling.usedThumbprint(stack) })
        // Several sign-ins in each step of the roll, and CPU time for the roll itself.
        await wait(100)
      }
    })

    const second = await stack.vault.renewCertificate(certificateName)
    const event = rolling.newVersionEvent(stack.vault.url, second)
    expect(await deliver(timerInstance!, event)).toBe(202)
    // On a busy machine a step may fail at its deadline: then the timer continues, as it does in Azure.
    const signs = async () => (await versionsAt(other!))[second.version]
    await rollUntil(timerInstance!, signs, (version) => version?.signs === true)
    await until(
      () => rolling.usedThumbprint(stack),
      (thumbprint) => thumbprint === second.x5tS256,
    )

    // The deployment registered the first certificate, so the broker must not remove it. The broker removes the second.
    const third = await stack.vault.renewCertificate(certificateName)
    await runRoll(timerInstance!)
    await until(
      async () => {
        await runRoll(timerInstance!)
        return rolling.isAtApplication(stack, second)
      },
      (is) => !is,
    )
    going = false
    await Promise.all(people)

    expect(outcomes.length).toBeGreaterThan(5)
    expect(outcomes.filter(({ location }) => location !== 'http://localhost:3000/')).toEqual([])
    expect(rolling.isAtApplication(stack, first)).toBe(true)
    expect(rolling.isAtApplication(stack, third)).toBe(true)
    expect((await versionsAt(timerInstance!))[second.version]).toMatchObject({ status: 'removed', signs: false })
    expect(rolling.logged(stack, 'certificate rolled').map(({ certificateVersion }) => certificateVersion)).toEqual([
      second.version,
      third.version,
    ])
  })

  it('performs each step once', () => {
    const operations = stack.graph.requests.map(({ operation, status }) => `${operation ?? ''} ${status ?? ''}`)
    expect(operations).toEqual(['addKey 200', 'addKey 200', 'removeKey 204'])
    // Graph receives no other request, and the application has no permission at Graph.
    expect(new Set(stack.graph.requests.map(({ caller }) => caller)).size).toBe(1)
  })

  it('registers a version once, although both instances receive its event, and the timer of each runs too', async () => {
    stack.graph.resetRequests()
    const next = await stack.vault.renewCertificate(certificateName)
    const event = rolling.newVersionEvent(stack.vault.url, next)

    const outcomes = await Promise.all(stack.brokers.flatMap((broker) => [deliver(broker, event), runRoll(broker)]))

    expect(outcomes).toEqual(Array(4).fill(202))
    expect(stack.graph.requests.filter(({ operation }) => operation === 'addKey')).toHaveLength(1)
    expect((await versionsAt(stack.brokers[1]!))[next.version]).toMatchObject({ status: 'accepted' })
    const rolled = rolling.logged(stack, 'certificate rolled')
    expect(rolled.filter(({ certificateVersion }) => certificateVersion === next.version)).toHaveLength(1)
    expect((await signIn(stack)).location).toBe('http://localhost:3000/')
  })
})
