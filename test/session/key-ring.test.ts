import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { expectPassingFault } from '../fault/expectations.ts'
import { almostSignedIn } from '../setup/answers.ts'
import { app, refresh, signInByCode } from '../setup/client.ts'
import { openInside } from '../setup/process-probe.ts'
import type { Inside } from '../setup/process-probe.ts'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { shiftDate } from '../setup/shifted-date.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { openTables } from '../setup/tables.ts'
import type { Tables } from '../setup/tables.ts'

const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/' }
const wrappingKeyName = localDefaults.Broker__WrappingKeyName!
const [thisMonth, nextMonth, monthEnd] = (() => {
  // Not the last minutes of a month: no clock is moved back, since the certificate is not valid before its start.
  const now = new Date(Date.now() + 15 * 60_000)
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
  const nameOf = (time: number) => new Date(time).toISOString().slice(0, 7)
  return [nameOf(now.getTime()), nameOf(end), end] as const
})()
/**
 * The seconds by which a clock has to be ahead, from this moment, to be so many seconds after the end of the month;
 * negative seconds are before it. Computed at each move, so that the time since the last one decides nothing.
 */
const afterMonthEnd = (seconds: number) =>
  // The real time, since Date is moved here.
  (monthEnd - performance.timeOrigin - performance.now()) / 1000 + seconds
const day = 24 * 60 * 60
const moveHere = shiftDate()

interface Instance extends HostProcess {
  readonly inside: Inside
}

let stack: Stack
let tables: Tables
let here: Instance
let there: Instance

/** The seconds by which the clock of this process is ahead, with vault and provider, and that of a new instance. */
let ahead: number
const startInstance = async (seconds = ahead): Promise<Instance> => {
  const inside = await openInside(seconds)
  return Object.assign(await stack.startInstance(inside.settings), { inside })
}
const moveAll = async (seconds: number, instances: readonly Instance[]) => {
  ahead = seconds
  moveHere(seconds)
  for (const { inside } of instances) await inside.moveClock(seconds)
}
beforeAll(async () => {
  stack = await startStack({ instances: 0, frontEnds: [shop, desk, app] })
  // Five minutes for the start and the first sign-ins, on a slow machine too; a sign-in may take ten.
  // Not before the start: a certificate of tomorrow would be rejected by a program whose clock is right.
  await moveAll(afterMonthEnd(-300), [])
  tables = openTables(stack)
  here = await startInstance()
  there = await startInstance()
})
afterEach(() => stack.identityProvider.changeTokenResponse())
afterAll(async () => {
  moveHere(0)
  await stack.close()
})

const begin = (at: string) => almostSignedIn(stack, toShop, { at })
const signIn = async (at: string): Promise<Person> => {
  const person = stack.person()
  expect((await person.signIn(toShop, undefined, { at })).location).toBe(toShop.return_url)
  return person
}
const statusAt = async (person: Person, at: string) => (await person.script(shopPage, '/session', { at })).status
const ringRows = async () => (await tables.store.list('service', 'key-ring')).map(({ row }) => row).sort()
const wrappedBy = async () =>
  (await tables.store.list('service', 'key-ring')).map(({ values }) => values.wrappingVersion as string)
/** The months whose keys have sealed the sessions in the store. */
const sealedIn = async () => {
  const months = (await tables.rows('sessions')).map(({ values }) => String(values.ringKey).slice(0, 7))
  return [...new Set(months)].sort()
}

describe('the turn of a month', () => {
  it('ends no sign-in under way, no session and no refresh token, on any instance', async () => {
    const underWay = [await begin(here.url), await begin(there.url)]
    const before = await signIn(here.url)
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    expect(await ringRows()).toEqual([thisMonth])

    // Only one instance has the new key: a value that it seals opens on the other one, which has the old ring.
    await there.inside.moveClock(afterMonthEnd(10))
    const begun = await begin(there.url)
    await expect.poll(ringRows).toEqual([thisMonth, nextMonth])
    const early = await signIn(there.url)
    expect(await statusAt(early, here.url)).toBe(200)
    expect((await begun.person.callback(begun.answer, { at: here.url })).location).toBe(toShop.return_url)

    await moveAll(afterMonthEnd(60), [here, there])
    const cold = await startInstance()
    const [first, second] = underWay
    expect((await first!.person.callback(first!.answer, { at: there.url })).location).toBe(toShop.return_url)
    expect((await second!.person.callback(second!.answer, { at: cold.url })).location).toBe(toShop.return_url)
    for (const { url } of [here, there, cold]) {
      expect(await statusAt(before, url)).toBe(200)
      expect(await statusAt(first!.person, url)).toBe(200)
    }
    const refreshed = await refresh(cold.url, refreshToken)
    expect(refreshed.status).toBe(200)
    expect((await refresh(here.url, refreshed.json.refresh_token as string)).status).toBe(200)
    expect(await ringRows()).toEqual([thisMonth, nextMonth])
    expect(await sealedIn()).toEqual([thisMonth, nextMonth])
  })

  it('does not hide a session from a sign-out at the provider', async () => {
    let sid = ''
    stack.identityProvider.changeTokenResponse(({ answer }) => {
      sid = decodeJwt(answer.id_token as string).sid as string
      return answer
    })
    await moveAll(afterMonthEnd(-60), [here, there])
    const [person, other] = [await signIn(here.url), await signIn(there.url)]
    await moveAll(afterMonthEnd(60), [here, there])
    await person.signIn({ frontend: 'desk' }, undefined, { at: there.url })
    expect(await sealedIn()).toEqual([thisMonth, nextMonth])
    const { url } = await startInstance()

    await fetch(`${url}/logout/frontchannel?sid=${sid}`)

    expect(await statusAt(person, here.url)).toBe(401)
    expect((await person.script(deskPage, '/session')).status).toBe(401)
    expect(await statusAt(other, here.url)).toBe(200)
  })
})

describe('the wrapping key', () => {
  it('may be rotated: the old version unwraps the keys that it wrapped, and the new version wraps later ones', async () => {
    const person = await signIn(here.url)
    const { version } = await stack.vault.rotateKey(wrappingKeyName)

    const cold = await startInstance()

    expect(await statusAt(person, cold.url)).toBe(200)
    expect(await wrappedBy()).not.toContain(version)
    // A separate instance: its state would not help an instance whose clock goes back.
    moveHere(ahead + 40 * day)
    await signIn((await startInstance(ahead + 40 * day)).url)
    moveHere(ahead)
    expect(await wrappedBy()).toContain(version)
  })

  it('of an old version that was removed stops only new instances, which report it and create no key', async () => {
    const person = await signIn(here.url)
    const [old] = await wrappedBy()
    const before = await ringRows()
    stack.vault.setKeyEnabled(wrappingKeyName, old, false)

    const cold = await startInstance()

    expectPassingFault(await person.script(shopPage, '/session', { at: cold.url }), 'vault_forbidden')
    expect(await statusAt(person, here.url)).toBe(200)
    expect(await ringRows()).toEqual(before)
    stack.vault.setKeyEnabled(wrappingKeyName, old, true)
    // A failed read is cached for some seconds, which a busy machine needs between two requests.
    await cold.inside.moveClock(ahead + 6)
    await expect.poll(() => statusAt(person, cold.url)).toBe(200)
  })
})

describe('a row of the key ring', () => {
  it('that is damaged stops new instances, which report it, until the row is restored; the others serve and sign people in', async () => {
    const person = await signIn(here.url)
    const good = (await tables.store.list('service', 'key-ring')).find(({ row }) => row === nextMonth)!
    const bad = { ...good, values: { ...good.values, wrapped: Buffer.alloc(256, 1) } }
    const etag = await tables.store.replace('service', bad, good.etag)

    const cold = await startInstance()

    expectPassingFault(await person.script(shopPage, '/session', { at: cold.url }), 'key_ring_unreadable')
    const ready = await person.open('/health/ready', { at: cold.url })
    expect([ready.status, ready.text]).toEqual([503, 'key ring'])
    expect(await statusAt(person, here.url)).toBe(200)
    await signIn(there.url)
    await tables.store.replace('service', good, etag!)
    // A failed read is cached for some seconds, which a busy machine needs between two requests.
    await cold.inside.moveClock(ahead + 6)
    await expect.poll(() => statusAt(person, cold.url)).toBe(200)
  })

  it('that was removed is created once by the instances that miss it, and every instance then uses that one', async () => {
    const before = await signIn(here.url)
    const good = (await tables.store.list('service', 'key-ring')).find(({ row }) => row === nextMonth)!
    await tables.store.remove('service', good)
    stack.store.resetRequests()
    const cold = await Promise.all([startInstance(), startInstance()])

    await Promise.all(cold.map(({ url }) => begin(url)))
    // A busy instance may seal with last month's key until it has this month's; a ready one has it.
    const ready = await Promise.all(cold.map(({ url }) => before.open('/health/ready', { at: url })))
    expect(ready.map(({ status }) => status)).toEqual([200, 200])
    const begun = await Promise.all(cold.map(({ url }) => begin(url)))

    const inserts = stack.store.requests.filter(({ operation, table }) => operation === 'insert' && table === 'service')
    expect(inserts.filter(({ status }) => status < 300)).toHaveLength(1)
    // An instance with the lost key still opens its sessions; the others return 401 and the URL to sign in.
    expect(await statusAt(before, there.url)).toBe(200)
    expect((await before.script(shopPage, '/session', { at: cold[0].url })).json).toMatchObject({ code: 'signed_out' })
    // A sign-in that begins on a new instance ends on every other one, the warm ones among them.
    await moveAll(ahead + 40, [here, there, ...cold])
    const [first, second] = begun
    expect((await first!.person.callback(first!.answer, { at: here.url })).location).toBe(toShop.return_url)
    expect((await second!.person.callback(second!.answer, { at: cold[0].url })).location).toBe(toShop.return_url)
    for (const { url } of [here, there, ...cold]) expect([url, await statusAt(first!.person, url)]).toEqual([url, 200])
    expect(await statusAt(await signIn(there.url), cold[1].url)).toBe(200)
  })
})
