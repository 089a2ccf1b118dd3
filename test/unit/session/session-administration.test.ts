import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createAuthorizationCodes } from '../../../shared/oauth/authorization-codes.ts'
import { subjectOf } from '../../../shared/provider/identity.ts'
import type { Identity } from '../../../shared/provider/identity.ts'
import { createSessionAdministration } from '../../../shared/session/session-administration.ts'
import type { SessionAdministration } from '../../../shared/session/session-administration.ts'
import type { SessionsRequest } from '../../../shared/session/session-selector.ts'
import { labelNames } from '../../../shared/session/session-labels.ts'
import { newSessionKey } from '../../../shared/session/session-row.ts'
import type { Sessions } from '../../../shared/session/sessions.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import type { Store, StoredRow } from '../../../shared/store/store.ts'
import { createLog } from '../../../shared/telemetry/log.ts'
import { noFlowEvents } from '../../../shared/telemetry/flow-events.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { month, openRing, openSessions, adaIdentity as ada, useSessionParts } from './parts.ts'
import type { SessionParts, TestClock } from './parts.ts'

const start = '2031-05-10T12:00:00.000Z'
const otherTenant = '99999999-9999-4999-8999-999999999999'
const bob = {
  ...ada,
  subject: 'subject-of-bob',
  objectId: 'bbbbbbbb-0002-4000-8000-000000000002',
  username: 'bob@contoso.example',
} as Identity
const eve = {
  ...ada,
  subject: 'subject-of-eve',
  tenantId: otherTenant,
  objectId: 'eeeeeeee-0003-4000-8000-000000000003',
  username: 'ada@fabrikam.example',
} as Identity
const tokens = { refreshToken: 'the-refresh-token', accessTokens: {} }
const codeVerifier = randomBytes(32).toString('base64url')

describe('an operator', () => {
  let parts: SessionParts
  let store: Store
  let clock: TestClock
  let ring: KeyRing
  let sessions: Sessions
  let network: TableProxy
  let lines: string[]
  useSessionParts(start, (own) => {
    ;({ parts, store, clock, ring, network } = own)
    sessions = openSessions({ store, ring, clock })
    lines = []
  })

  const operatorOf = (
    options: { store?: Store; ring?: KeyRing; pageRows?: number; budgetMilliseconds?: number } = {},
  ) =>
    createSessionAdministration({
      store,
      ring,
      frontEnds: ['shop', 'desk', 'app'],
      issuers: [ada.issuer],
      clock,
      flowEvents: noFlowEvents,
      ...options,
    })
  const log = () => ({ reference: 'ref', log: createLog((level, line) => void lines.push(`${level} ${line}`)) })
  const grant = async (identity: Identity, client = 'app') => {
    const key = { ...newSessionKey(client, identity, await ring.current()), frontEndId: client }
    await sessions.beginGrant(key, identity, tokens, { grantedScopes: ['s'] })
    return key
  }
  const codesOf = () =>
    createAuthorizationCodes({
      store,
      ring,
      clock,
      endForReuse: () => Promise.reject(new Error('no reuse')),
      admits: (...of) => sessions.admits(...of),
    })
  const issue = async (identity: Identity, clientId = 'app') => {
    const { rowKey } = newSessionKey(clientId, identity, await ring.current())
    const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url')
    const redirectUri = 'https://app.example.net/callback'
    return codesOf().issue({ clientId, redirectUri, codeChallenge, scopes: [], identity, tokens, rowKey })
  }
  const take = (code: string) =>
    codesOf().take({
      code,
      client: { id: 'app', apis: [], redirectUris: ['https://app.example.net/callback'] },
      redirectUri: 'https://app.example.net/callback',
      codeVerifier,
      prepare: () => Promise.resolve(),
    })
  const rows = async (table: 'sessions' | 'codes' = 'sessions') =>
    (await store.scan(table, { columns: [], limit: 1000 })).rows.length
  /** As a row of the previous release: with the label of the person alone. */
  const withoutLabels = async (row: StoredRow) => {
    const { person, ...values } = row.values
    const kept = Object.entries(values).filter(([name]) => !['signedInAt', ...labelNames].includes(name))
    await store.replace('sessions', { ...row, values: { ...Object.fromEntries(kept), person: person! } }, row.etag)
  }
  const endAll = async (operator: SessionAdministration, request: SessionsRequest) => {
    const answers = [await operator.end(request, log())]
    for (let next = answers[0]!.continuation; next !== undefined;) {
      const answer = await operator.end({ ...request, continuation: next }, log())
      answers.push(answer)
      next = answer.continuation
    }
    return answers
  }

  it.each<[string, SessionsRequest]>([
    ['the subject', { subject: ada.subject }],
    ['the subject and its issuer', { subject: ada.subject, issuer: ada.issuer }],
    ['the object id, in any case of its letters', { object_id: ada.objectId!.toUpperCase() }],
    ['the user name, in any case of its letters', { username: 'Ada@Contoso.Example' }],
    ['several members at once', { tenant: ada.tenantId!, username: ada.username! }],
  ])('lists the sessions of a person by %s, with front ends and times only', async (_, request) => {
    await sessions.begin('shop', ada, tokens)
    await grant(ada)
    for (const other of [bob, eve]) await sessions.begin('shop', other, tokens)

    const listed = await operatorOf().list(request, log())

    const times = {
      signed_in_at: start,
      expires_at: '2031-05-10T13:00:00.000Z',
      ends_at: '2031-05-11T00:00:00.000Z',
    }
    expect(listed.not_attributed).toBe(0)
    expect([...listed.sessions].sort((a, b) => (a.front_end! < b.front_end! ? -1 : 1))).toEqual([
      { front_end: 'app', ...times },
      { front_end: 'shop', ...times },
    ])
  })

  it('finds people of many tenants by the subject that front ends receive, or by issuer and `sub`', async () => {
    const issuerOf = (tenantId: string) => `https://localhost:7171/${tenantId}/v2.0`
    const [here, there] = [ada, eve].map((one) => ({
      ...one,
      issuer: issuerOf('organizations'),
      tokenIssuer: issuerOf(one.tenantId!),
      subject: 'same',
    })) as [Identity, Identity]
    for (const one of [here, there]) await sessions.begin('shop', one, tokens)

    const countBy = async (request: SessionsRequest) => (await operatorOf().list(request, log())).sessions.length

    expect(subjectOf(here)).not.toBe(subjectOf(there))
    expect(await countBy({ subject: subjectOf(here) })).toBe(1)
    expect(await countBy({ subject: 'same', issuer: issuerOf(otherTenant) })).toBe(1)
    expect(await countBy({ subject: 'same', issuer: issuerOf('organizations') })).toBe(0)
    expect(await countBy({ subject: 'same' })).toBe(0)
    expect(await countBy({ subject: subjectOf(here).toUpperCase() })).toBe(0)
  })

  it('finds people of a further provider by the subject that front ends receive, or by issuer and `sub`', async () => {
    const frontEndSubject = 'made-by-the-broker.partner'
    const partner = { ...ada, subject: 'grace', frontEndSubject, provider: 'partner' } as Identity
    await sessions.begin('shop', partner, tokens)
    const countBy = async (request: SessionsRequest) => (await operatorOf().list(request, log())).sessions.length

    expect(await countBy({ subject: frontEndSubject })).toBe(1)
    expect(await countBy({ subject: 'grace' })).toBe(0)
    expect(await countBy({ subject: 'grace', issuer: ada.issuer })).toBe(1)
    expect(await countBy({ subject: frontEndSubject, issuer: ada.issuer })).toBe(0)
    expect(await operatorOf().end({ subject: frontEndSubject }, log())).toMatchObject({ ended: 1 })
  })

  it.each<[string, SessionsRequest, number]>([
    ['a tenant', { tenant: otherTenant }, 1],
    ['a front end', { front_end: 'shop' }, 2],
    ['a front end that is no longer registered', { front_end: 'old' }, 1],
    ['a person at a front end', { front_end: 'shop', object_id: bob.objectId! }, 1],
    ['a person of another tenant', { tenant: otherTenant, object_id: bob.objectId! }, 0],
    ['the subject at another issuer', { subject: ada.subject, issuer: 'https://login.example.net' }, 0],
  ])('ends the sessions of %s, and no others', async (_, request, count) => {
    await sessions.begin('desk', ada, tokens)
    await sessions.begin('shop', bob, tokens)
    await sessions.begin('shop', eve, tokens)
    await sessions.begin('old', ada, tokens)

    expect(await operatorOf().list(request, log())).toMatchObject({ sessions: { length: count } })
    expect(await operatorOf().end(request, log())).toEqual({ ended: count, not_attributed: 0 })

    expect(await rows()).toBe(4 - count)
    expect(await operatorOf().list(request, log())).toEqual({ sessions: [], not_attributed: 0 })
  })

  it('ends refresh tokens and unredeemed codes with the sessions', async () => {
    const [key, other] = [await grant(ada), await grant(bob)]
    const [code, otherCode] = [await issue(ada), await issue(bob)]

    expect(await operatorOf().end({ username: ada.username! }, log())).toEqual({ ended: 1, not_attributed: 0 })

    expect([await sessions.find(key), (await sessions.find(other)) !== undefined]).toEqual([undefined, true])
    await expect(take(code)).rejects.toMatchObject({ code: 'grant_invalid' })
    expect((await take(otherCode)).grant.identity.subject).toBe(bob.subject)
  })

  it('is answered and logged how many sessions ended, also where the store’s answer is lost', async () => {
    for (const person of [ada, ada, bob]) await sessions.begin('shop', person, tokens)
    network.addFault({ operation: 'remove', table: 'sessions', loseAnswer: true, times: 1 })

    const answers = [
      await endAll(operatorOf(), { subject: ada.subject }),
      await endAll(operatorOf(), { subject: ada.subject }),
    ]

    expect(answers.flat()).toMatchObject([{ ended: 2 }, { ended: 0 }])
    expect(lines.join('\n')).toMatch(/sessions ended by an operator.*"sessions":2/)
    expect(await rows()).toBe(1)
  })

  it('removes every code before the first session is read, so that a code that is being redeemed leaves no session', async () => {
    const [code] = [await issue(ada), await issue(bob), await issue(bob)]
    for (let n = 0; n < 3; n++) await grant(ada)
    const calls: string[] = []
    const observed: Store = {
      ...store,
      scan: (table, page) => (calls.push(`scan ${table}`), store.scan(table, page)),
      remove: (table, key, etag) => (calls.push(`remove ${table}`), store.remove(table, key, etag)),
    }
    const { lookAgain } = await take(code)

    const answers = await endAll(operatorOf({ store: observed, pageRows: 1, budgetMilliseconds: 0 }), {
      subject: ada.subject,
    })

    expect(await lookAgain()).toBe('signed out')
    expect(answers.length).toBeGreaterThan(3)
    expect(answers.reduce((sum, { ended }) => sum + ended, 0)).toBe(3)
    expect(calls.lastIndexOf('remove codes')).toBeLessThan(calls.indexOf('scan sessions'))
    expect(calls.lastIndexOf('scan codes')).toBeLessThan(calls.indexOf('scan sessions'))
    expect([await rows(), await rows('codes')]).toEqual([0, 2])
  })

  it('reads for a bounded time, and continues where the last call ended, on any instance', async () => {
    for (const person of [ada, bob, ada, eve, ada]) await sessions.begin('shop', person, tokens)
    const there = operatorOf({
      ring: openRing({ store, vault: parts.newVault(), clock }),
      pageRows: 2,
      budgetMilliseconds: 0,
    })
    const here = operatorOf({ pageRows: 2, budgetMilliseconds: 0 })

    let [found, calls] = [0, 0]
    let continuation: string | undefined
    do {
      const page = await (calls % 2 === 0 ? here : there).list(
        { object_id: ada.objectId!, ...(continuation === undefined ? {} : { continuation }) },
        log(),
      )
      found += page.sessions.length
      continuation = page.continuation
      calls += 1
    } while (continuation !== undefined)

    expect([found, calls >= 3]).toEqual([3, true])
    expect((await operatorOf({ pageRows: 2 }).list({ object_id: ada.objectId! }, log())).continuation).toBeUndefined()
  })

  it('cannot use a continuation for another request', async () => {
    for (let n = 0; n < 3; n++) await sessions.begin('shop', bob, tokens)
    const operator = operatorOf({ pageRows: 1, budgetMilliseconds: 0 })
    const { continuation } = await operator.list({ front_end: 'desk' }, log())
    const refused = { code: 'parameter_invalid', members: { parameter: 'continuation' } }

    expect(continuation).not.toContain('NextPartitionKey')
    await expect(operator.list({ front_end: 'shop', continuation: continuation! }, log())).rejects.toMatchObject(
      refused,
    )
    await expect(operator.end({ front_end: 'desk', continuation: continuation! }, log())).rejects.toMatchObject(refused)
    await expect(operator.end({ front_end: 'desk', continuation: 'x' }, log())).rejects.toMatchObject(refused)
    expect((await operator.list({ front_end: 'desk', continuation: continuation! }, log())).sessions).toEqual([])
    expect(await rows()).toBe(3)
  })

  it('sees how many rows of the previous release cannot be attributed, and finds those by subject', async () => {
    await sessions.begin('shop', ada, tokens)
    await sessions.begin('shop', bob, tokens)
    const { rows: all } = await store.scan('sessions', { columns: [], limit: 10 })
    for (const row of all) await withoutLabels((await store.find('sessions', row))!)

    expect(await operatorOf().end({ tenant: ada.tenantId! }, log())).toEqual({ ended: 0, not_attributed: 2 })
    // Its person is known, and is not Ada.
    expect(await operatorOf().list({ tenant: ada.tenantId!, subject: ada.subject }, log())).toMatchObject({
      sessions: [],
      not_attributed: 1,
    })
    expect(await operatorOf().list({ subject: ada.subject }, log())).toEqual({
      sessions: [{ expires_at: '2031-05-10T13:00:00.000Z', ends_at: '2031-05-11T00:00:00.000Z' }],
      not_attributed: 0,
    })
    expect(await operatorOf().end({ subject: ada.subject }, log())).toEqual({ ended: 1, not_attributed: 0 })
    expect(await rows()).toBe(1)
  })

  it('finds a session whose row another instance seals with the next month’s key meanwhile', async () => {
    clock.set('2031-05-31T23:59:30.000Z')
    const cookie = await sessions.begin('shop', ada, tokens)
    const key = sessions.keyOf('shop', new Map([['__Host-session-shop', cookie]]))!
    const otherRing = openRing({ store, vault: parts.newVault(), clock })
    const elsewhere = openSessions({ store, ring: otherRing, clock })
    const slow: Store = {
      ...store,
      scan: async (table, page) => {
        if (table === 'sessions') {
          clock.set('2031-06-01T00:00:30.000Z')
          await otherRing.check()
          const read = (await elsewhere.find(key))!
          expect((await elsewhere.replace(read, elsewhere.touched(read.session)))?.row.values.ringKey).toMatch(
            /^2031-06/,
          )
        }
        return store.scan(table, page)
      },
    }

    expect(await operatorOf({ store: slow }).end({ subject: ada.subject }, log())).toMatchObject({ ended: 1 })
  })

  it('does not count sessions that are over, although their rows wait for the sweep', async () => {
    await sessions.begin('shop', ada, tokens)
    clock.advance(3600)
    await sessions.begin('shop', ada, tokens)

    expect((await operatorOf().list({ front_end: 'shop' }, log())).sessions).toHaveLength(1)
    clock.advance(2 * month)
    expect(await operatorOf().list({ front_end: 'shop' }, log())).toEqual({ sessions: [], not_attributed: 0 })
  })

  it('is not hindered by rows that another writer of the store put there', async () => {
    await sessions.begin('shop', ada, tokens)
    const [row] = (await store.scan('sessions', { columns: [], limit: 10 })).rows
    const { values } = (await store.find('sessions', row!))!
    const sweepAfter = new Date('2040-01-01T00:00:00Z')
    const forged = [
      {},
      { ringKey: 'x' },
      { ...values, ringKey: '2031-05-00000000' },
      { ...values, absoluteEnd: '9e99' },
    ]
    for (const [n, changed] of forged.entries()) {
      await store.insert('sessions', { partition: 'forged', row: String(n), sweepAfter, values: changed })
    }

    const { sessions: listed } = await operatorOf().list({ subject: ada.subject }, log())

    expect(listed.map(({ ends_at }) => ends_at)).toEqual(
      expect.arrayContaining([undefined, '2031-05-11T00:00:00.000Z']),
    )
    expect(listed).toHaveLength(2)
    expect(await operatorOf().end({ subject: ada.subject }, log())).toMatchObject({ ended: 2 })
  })

  it.each<[string, SessionsRequest]>([
    ['no selector', {}],
    ['an empty one', { subject: '' }],
    ['an issuer alone', { issuer: ada.issuer }],
    ['a pattern of a tenant', { tenant: '*' }],
    ['an object id that is none', { object_id: "' or PartitionKey ne '" }],
    ['a front end that can be none', { front_end: 'Shop' }],
    ['one that is too long', { subject: 'x'.repeat(256) }],
  ])('is refused with %s', async (_, request) => {
    await sessions.begin('shop', ada, tokens)

    await expect(operatorOf().end(request, log())).rejects.toMatchObject({ code: 'parameter_invalid' })
    await expect(operatorOf().list(request, log())).rejects.toMatchObject({ code: 'parameter_invalid' })

    expect([await rows(), lines]).toEqual([1, []])
  })

  it('leaves an audit line, without the name of a person', async () => {
    await sessions.begin('shop', ada, tokens)

    await operatorOf().list({ username: ada.username!, tenant: ada.tenantId! }, log())
    await operatorOf().end({ subject: ada.subject, object_id: ada.objectId!, front_end: 'shop' }, log())

    expect(lines.map((line) => line.replace(/^(\w+) .*/, '$1'))).toEqual(['info', 'warn'])
    expect(lines.map((line) => JSON.parse(line.replace(/^\w+ /, '')) as object)).toEqual([
      {
        event: 'sessions listed by an operator',
        reference: 'ref',
        selector: 'tenant username',
        tenant: ada.tenantId,
        sessions: 1,
      },
      {
        event: 'sessions ended by an operator',
        reference: 'ref',
        selector: 'frontEnd objectId subject',
        objectId: ada.objectId,
        frontEnd: 'shop',
        sessions: 1,
      },
    ])
  })

  it('leaves the line also where the store fails after some sessions have ended', async () => {
    for (let n = 0; n < 4; n++) await sessions.begin('shop', ada, tokens)
    let scans = 0
    const failing: Store = {
      ...store,
      scan: (table, page) => (++scans > 2 ? store.scan('no table' as 'codes', page) : store.scan(table, page)),
    }

    await expect(operatorOf({ store: failing, pageRows: 3 }).end({ front_end: 'shop' }, log())).rejects.toMatchObject({
      code: 'store_unavailable',
    })

    expect(lines).toEqual([expect.stringMatching(/^warn .*ended by an operator.*"sessions":3/)])
    expect(await operatorOf().end({ front_end: 'shop' }, log())).toEqual({ ended: 1, not_attributed: 0 })
  })
  it('ends the sessions that it can recognise while a key of the ring cannot be read, and is answered the fault', async () => {
    clock.set('2031-05-31T12:00:00.000Z')
    await sessions.begin('shop', ada, tokens)
    const may = (await store.find('service', { partition: 'key-ring', row: '2031-05' }))!
    await parts.rotateWrappingKey()
    clock.set('2031-06-01T00:10:00.000Z')
    const cold = () => openRing({ store, vault: parts.newVault(), clock })
    await openSessions({ store, ring: cold(), clock }).begin('shop', ada, tokens)
    await openSessions({ store, ring: cold(), clock }).begin('shop', bob, tokens)
    parts.vault.setKeyEnabled('broker-key-ring', String(may.values.wrappingVersion), false)
    const end = () => operatorOf({ ring: cold() }).end({ subject: ada.subject }, log())

    await expect(end()).rejects.toMatchObject({ code: 'vault_forbidden' })
    expect(lines.at(-1)).toMatch(/^warn .*ended by an operator.*"sessions":1/)
    expect(await rows()).toBe(2)

    parts.setWrappingKeyEnabled(true)
    expect(await end()).toEqual({ ended: 1, not_attributed: 0 })
    expect(await rows()).toBe(1)
  })
})
