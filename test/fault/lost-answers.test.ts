/**
 * The store wrote a row, and its answer was lost. The client library repeats the request and finds its own write.
 * Covers every kind of write, through the request that causes it; test/session/renewal-fault.test.ts covers a renewal's
 * writes.
 */
import { decodeJwt } from 'jose'
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TokenChange } from '../../local/identity-provider/identity-provider.ts'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { runRoll, versionsAt } from '../certificate/rolling.ts'
import { runFunction } from '../setup/admin-functions.ts'
import { app, redeem, refresh, send, signInByCode } from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import type { StoreOperation } from '../setup/table-proxy.ts'
import { openTables } from '../setup/tables.ts'
import type { Tables } from '../setup/tables.ts'

let stack: Stack
let tables: Tables
let other: string
beforeAll(async () => {
  stack = await startStack({ instances: 0, frontEnds: [shop, app] })
  tables = openTables(stack)
})
afterEach(() => {
  stack.store.clearFaults()
  stack.store.resetRequests()
})
afterAll(() => stack.close())

const lose = (operation: StoreOperation, table: string, times = 1) =>
  stack.store.addFault({ operation, table, loseAnswer: true, times })
const done = (operation: StoreOperation, table: string) =>
  stack.store.requests.filter((one) => one.operation === operation && one.table === table && one.status < 300).length

describe('an answer that was lost after the store had', () => {
  it('created the rows of key ring and certificate is recovered by the first instance: one key, one row', async () => {
    // The ring's row comes first: the certificate's row is sealed by its key.
    lose('insert', 'service')

    await stack.startInstance()
    const person = stack.person()
    expect(isSignedIn(await attempt(person))).toBe(true)
    other = (await stack.startInstance()).url

    expect((await person.script(shopPage, '/session', { at: other })).status).toBe(200)
    expect(await tables.store.list('service', 'key-ring')).toHaveLength(1)
    await expect.poll(() => tables.store.list('service', 'certificate')).toHaveLength(1)
    expect(stack.vault.requests.filter(({ operation }) => operation === 'wrapkey')).toHaveLength(1)
  })

  it('changed the certificate’s row does not stop the roll', async () => {
    const [broker] = stack.brokers
    lose('replace', 'service')

    expect(await runRoll(broker!)).toBe(202)

    expect(Object.values(await versionsAt(broker!))).toMatchObject([{ status: 'accepted', signs: true }])
  })

  it('used up a state and created a session is recovered: one session', async () => {
    lose('insert', 'states')
    lose('insert', 'sessions')

    const person = stack.person()
    expect(isSignedIn(await attempt(person))).toBe(true)

    expect([done('insert', 'states'), done('insert', 'sessions')]).toEqual([1, 1])
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('ended the session that a sign-in replaces does not affect the new session', async () => {
    const person = stack.person()
    await attempt(person)
    const before = (await tables.rows('sessions')).length
    lose('remove', 'sessions')

    expect(isSignedIn(await attempt(person))).toBe(true)

    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect(await tables.rows('sessions')).toHaveLength(before)
  })

  it('ended a session at a sign-out does not fail the sign-out', async () => {
    const person = stack.person()
    await attempt(person)
    lose('remove', 'sessions')

    expect((await person.script(shopPage, '/logout', { method: 'POST' })).status).toBe(200)

    expect((await person.script(shopPage, '/session', { at: other })).status).toBe(401)
  })

  it('created a code, marked it as used, created its session and rotated a refresh token does not repeat any of them', async () => {
    lose('insert', 'codes')
    lose('replace', 'codes')
    lose('insert', 'sessions')
    const { code, pkce, refreshToken } = await signInByCode(stack.person(), stack.url)
    expect(refreshToken).toMatch(/^[\w-]+$/)
    lose('replace', 'sessions')
    const next = await refresh(stack.url, refreshToken)

    expect(next.status).toBe(200)
    const handle = next.json.refresh_token as string
    expect((await refresh(other, handle)).status).toBe(200)
    // A lost answer does not permit a second use.
    expect((await redeem(other, code, pkce)).json.error).toBe('invalid_grant')
  })

  it('recorded a logout token does not stop the sign-out: the sessions end, and the token is rejected the second time', async () => {
    let signIdToken: TokenChange['signIdToken'] | undefined
    let claims = {}
    stack.identityProvider.changeTokenResponse((change) => {
      signIdToken = change.signIdToken
      const { sid, aud } = decodeJwt(change.answer.id_token as string)
      claims = { sid, aud, iss: stack.identityProvider.issuer, iat: Math.floor(Date.now() / 1000), jti: randomUUID() }
      return change.answer
    })
    const person = stack.person()
    await person.signIn(toShop)
    stack.identityProvider.changeTokenResponse()
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const token = await signIdToken!({ ...claims, events }, { typ: 'logout+jwt' })
    const post = () => send('/logout/backchannel', new URLSearchParams({ logout_token: token }), { url: stack.url })
    lose('remove', 'sessions')
    lose('insert', 'states')

    expect((await post()).status).toBe(200)

    expect((await person.script(shopPage, '/session')).status).toBe(401)
    expect((await post()).status).toBe(400)
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('removed expired rows does not stop the sweep', async () => {
    const past = new Date('2020-01-01T00:00:00Z')
    for (const row of ['1', '2', '3']) {
      await tables.store.insert('states', { partition: 'old', row, sweepAfter: past, values: {} })
    }
    lose('remove', 'states', 2)

    expect(await runFunction(stack.brokers[0]!, 'sweep')).toBe(202)

    expect(await tables.store.list('states', 'old')).toEqual([])
  })
})
