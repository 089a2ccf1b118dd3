import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createAuthorizationCodes } from '../../../shared/oauth/authorization-codes.ts'
import type { AuthorizationCodes } from '../../../shared/oauth/authorization-codes.ts'
import { endPartition, endPerson } from '../../../shared/session/end-sessions.ts'
import { personOf } from '../../../shared/session/session-labels.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import type { RowKey, Store } from '../../../shared/store/store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { adaIdentity, useSessionParts } from '../session/parts.ts'
import type { TestClock } from '../session/parts.ts'

const start = '2031-05-10T12:00:00.000Z'
const codeVerifier = randomBytes(32).toString('base64url')
const grant = {
  clientId: 'app',
  redirectUri: 'https://app.example.net/callback',
  codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
  scopes: ['api://demo/orders.read'],
  identity: adaIdentity,
  tokens: { refreshToken: 'refresh-of-ada', accessTokens: {} },
  rowKey: { partition: 'partition-of-16-', row: 'row' },
}

const client = {
  id: 'app',
  apis: [{ name: 'orders', scopes: ['api://demo/orders.read', 'api://demo/orders.write'] }],
  redirectUris: [grant.redirectUri],
}

describe('a one-time code', () => {
  let store: Store
  let clock: TestClock
  let codes: AuthorizationCodes
  let ended: RowKey[]
  let ring: KeyRing
  let hasAccess: boolean
  let network: TableProxy

  useSessionParts(start, (own) => {
    ;({ store, clock, ring, network } = own)
    ended = []
    hasAccess = true
    codes = createAuthorizationCodes({
      store,
      ring,
      clock,
      endForReuse: ({ rowKey }) => {
        ended.push(rowKey)
        return Promise.resolve()
      },
      admits: () => Promise.resolve(hasAccess),
    })
  })

  const asRequested = { client, redirectUri: grant.redirectUri, codeVerifier, prepare: () => Promise.resolve() }
  const take = (code: string) => codes.take({ code, ...asRequested })
  const outcome = (code: string) =>
    take(code).then(
      () => 'taken',
      (error: unknown) => (error as BrokerError).code,
    )

  it('is good for a minute', async () => {
    const [code, late] = [await codes.issue(grant), await codes.issue(grant)]

    clock.advance(59.999)
    expect(await outcome(code)).toBe('taken')
    clock.advance(0.001)
    expect(await outcome(late)).toBe('grant_invalid')
    expect(ended).toEqual([])
  })

  it('that is used a second time revokes the tokens of the first use, also when its minute is over', async () => {
    const code = await codes.issue(grant)
    const first = await take(code)
    expect(first.grant.tokens).toEqual(grant.tokens)
    expect(await first.lookAgain()).toBe('good')

    clock.advance(600)

    expect(await outcome(code)).toBe('grant_invalid')
    expect(ended).toEqual([grant.rowKey])
    expect(await first.lookAgain()).toBe('reused')
  })

  it.each([
    ['its API', { ...client, apis: [] }, 'scope_not_registered'],
    [
      'a scope of its API',
      { ...client, apis: [{ name: 'orders', scopes: ['api://demo/orders.write'] }] },
      'scope_not_registered',
    ],
    ['its redirect URI', { ...client, redirectUris: ['https://app.example.net/other'] }, 'grant_invalid'],
  ])('is refused, and not used up, where the registration has lost %s since', async (_, changed, expected) => {
    const code = await codes.issue(grant)
    const late = codes.take({ code, ...asRequested, client: changed })

    await expect(late).rejects.toMatchObject({ code: expected })

    expect(await outcome(code)).toBe('taken')
  })

  it('is refused, and not used up, while the provider or the tenant of the person has no access', async () => {
    const code = await codes.issue(grant)

    hasAccess = false
    expect(await outcome(code)).toBe('grant_invalid')

    hasAccess = true
    expect(await outcome(code)).toBe('taken')
  })

  it('is not used up where its answer cannot be prepared', async () => {
    const code = await codes.issue({ ...grant, openid: ['openid'] })
    const prepare = (openid: readonly string[]) => {
      expect(openid).toEqual(['openid'])
      return Promise.reject(new BrokerError('vault_unavailable'))
    }

    await expect(codes.take({ code, ...asRequested, prepare })).rejects.toMatchObject({ code: 'vault_unavailable' })

    expect(await outcome(code)).toBe('taken')
    expect(ended).toEqual([])
  })

  it('that is used a second time revokes the tokens of the first use, also where the store cannot note that', async () => {
    const code = await codes.issue(grant)
    expect(await outcome(code)).toBe('taken')
    network.addFault({ operation: 'replace', table: 'codes', status: 429, times: 1 })

    expect(await outcome(code)).toBe('store_unavailable')

    expect(ended).toEqual([grant.rowKey])
    expect(await outcome(code)).toBe('grant_invalid')
  })

  it('that a fault returned is valid again; not where it was used again, or removed, in the meantime', async () => {
    const [back, again, removed] = [await codes.issue(grant), await codes.issue(grant), await codes.issue(grant)]

    await (await take(back)).giveBack()
    expect([await outcome(back), await outcome(back)]).toEqual(['taken', 'grant_invalid'])

    const used = await take(again)
    expect(await outcome(again)).toBe('grant_invalid')
    await used.giveBack()
    expect(await outcome(again)).toBe('grant_invalid')

    const signedOut = await take(removed)
    await endPartition(store, grant.rowKey.partition)
    await signedOut.giveBack()
    expect(await outcome(removed)).toBe('grant_invalid')
  })

  it('is refused after a sign-out, of the provider session or of the person, and others stay good', async () => {
    const key = await ring.current()
    const elsewhere = { ...grant, rowKey: { partition: 'another-of-16---', row: 'row' } }
    const [bySession, byPerson, other] = [
      await codes.issue(grant),
      await codes.issue(grant),
      await codes.issue(elsewhere),
    ]

    await endPartition(store, grant.rowKey.partition)
    expect([await outcome(bySession), await outcome(byPerson)]).toEqual(['grant_invalid', 'grant_invalid'])

    const otherPerson = await codes.issue({ ...grant, identity: { ...adaIdentity, subject: 'subject-of-bob' } })
    await endPerson(store, [personOf(adaIdentity, key)])
    expect([await outcome(other), await outcome(otherPerson)]).toEqual(['grant_invalid', 'taken'])
  })

  it('that a sign-out removes between its use and the new session reveals it', async () => {
    const first = await take(await codes.issue(grant))

    await endPartition(store, grant.rowKey.partition)

    expect(await first.lookAgain()).toBe('signed out')
  })

  it('is looked up by its hash, in a row that reveals neither the person nor the code', async () => {
    const code = await codes.issue(grant)

    const hash = createHash('sha256').update(code).digest('base64url')
    const row = await store.find('codes', { partition: code.slice(0, 16), row: hash })

    const values = Object.values(row!.values).map((value) => Buffer.from(value as Uint8Array).toString('latin1'))
    for (const text of ['ada@contoso', 'Ada Lovelace', 'refresh-of', code, grant.redirectUri]) {
      for (const value of values) expect(value).not.toContain(text)
    }
    expect(await outcome(code)).toBe('taken')
  })

  it('opens no row but its own', async () => {
    const [mine, other] = [await codes.issue(grant), await codes.issue({ ...grant, clientId: 'other' })]
    const rowKeyOf = (code: string) => {
      const row = createHash('sha256').update(code).digest('base64url')
      return { partition: code.slice(0, 16), row }
    }
    const [own, foreign] = await Promise.all([mine, other].map((code) => store.find('codes', rowKeyOf(code))))

    await store.replace('codes', { ...foreign!, values: own!.values }, foreign!.etag)

    expect(await outcome(other)).toBe('grant_invalid')
    expect(await outcome(mine)).toBe('taken')
  })
})
