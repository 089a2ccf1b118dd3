import { constants, publicEncrypt, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { localDefaults } from '../../local/local-defaults.ts'
import { toRingKey } from '../../shared/crypto/ring-key.ts'
import { newSessionKey, toCookieValue, toRow } from '../../shared/session/session-row.ts'
import type { StoredRow } from '../../shared/store/store.ts'
import { clockAhead } from '../setup/clock.ts'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { adaIdentity } from '../unit/session/parts.ts'
import { openTables } from '../setup/tables.ts'
import type { Tables } from '../setup/tables.ts'

const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/' }
const grace = 'grace@contoso.example'

describe('an attacker with the session store', () => {
  let stack: Stack
  let tables: Tables
  let person: Person
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
    tables = openTables(stack)
  })
  beforeEach(async () => {
    for (const row of await tables.rows('sessions')) await tables.store.remove('sessions', row)
    person = stack.person()
    await person.signIn(toShop)
  })
  afterAll(() => stack.close())

  const session = (visitor = person, page = shopPage) => visitor.script(page, '/session')
  const onlyRow = async (): Promise<StoredRow> => (await tables.rows('sessions'))[0]!
  const elsewhere = () => ({ at: stack.brokers[1]!.url })

  it('finds in it no token, no name, no id, no cookie and no key of a whole run', async () => {
    stack.identityProvider.resetRequests()
    const given: Record<string, unknown>[] = []
    stack.identityProvider.changeTokenResponse(({ answer }) => {
      given.push(answer)
      return answer
    })
    const visitor = stack.person()
    const begun = await visitor.begin(toShop)
    const transactions = Object.values(await visitor.cookies())
    const answer = await visitor.atProvider(begun.location!, grace)
    await visitor.callback(answer)
    await visitor.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' }, grace)
    const tokens = [
      await visitor.sessionToken(shopPage, { api: 'orders' }),
      await visitor.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' }),
    ]
    const who = (await session(visitor)).json
    stack.identityProvider.changeTokenResponse()

    const dump = await tables.dump()

    const forms = stack.identityProvider.requests.map(({ form }) => form ?? {})
    const claims = decodeJwt(given[0]!.id_token as string)
    const secrets: Record<string, unknown> = {
      ...Object.fromEntries(transactions.map((value, n) => [`transaction ${n}`, value])),
      ...Object.fromEntries(Object.entries(await visitor.cookies())),
      ...Object.fromEntries(
        given.flatMap((one, n) => Object.entries(one).map(([name, value]) => [`${name} ${n}`, value])),
      ),
      ...Object.fromEntries(
        forms.flatMap((one, n) => Object.entries(one).map(([name, value]) => [`sent ${name} ${n}`, value])),
      ),
      ...Object.fromEntries(tokens.map(({ json }, n) => [`access token ${n}`, json.access_token])),
      ...Object.fromEntries(
        ['state', 'nonce', 'code_challenge'].map((name) => [name, new URL(begun.location!).searchParams.get(name)]),
      ),
      ...answer.fields,
      ...who,
      sid: claims.sid,
      login_hint: claims.login_hint,
      scope: 'api://demo/orders.read',
      'front end': 'shop',
      origin: 'localhost:3000',
    }
    const searched = Object.entries(secrets).filter(
      ([name, value]) =>
        typeof value === 'string' &&
        value.length > 3 &&
        !/grant_type|expires|token_type|x-client|x-ms|client_info|assertion_type/.test(name),
    )
    expect(searched.length).toBeGreaterThan(25)
    expect(dump.includes('key-ring') && dump.includes((await onlyRow()).row)).toBe(true)
    for (const [name, value] of searched) {
      for (const form of formsOf(value as string)) expect(dump.includes(form), name).toBe(false)
    }
  })

  it('cannot make a session cookie from the row’s partition and row key', async () => {
    const { partition, row } = await onlyRow()
    const place = Buffer.from(partition, 'base64url')

    const guesses = [
      Buffer.concat([place, Buffer.from(row, 'base64url').subarray(0, 24)]),
      Buffer.concat([place, Buffer.from(row, 'base64url').subarray(8)]),
      Buffer.concat([place, Buffer.alloc(24)]),
      Buffer.concat([place, randomBytes(24)]),
    ]

    for (const guess of guesses) {
      const cookie = `__Host-session-shop=${guess.toString('base64url')}`
      expect((await stack.person().script(shopPage, '/session', { headers: { cookie } })).status).toBe(401)
    }
    expect((await session()).status).toBe(200)
  })

  it('can end a session, and nothing more', async () => {
    await tables.store.remove('sessions', await onlyRow())

    expect((await session()).status).toBe(401)
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(401)
    expect((await person.signIn(toShop)).status).toBe(303)
    expect((await session()).status).toBe(200)
  })

  it.each<[string, (row: StoredRow) => StoredRow['values']]>([
    ['a changed byte', ({ values }) => ({ ...values, owner: flip(values.owner as Uint8Array) })],
    ['a changed byte in the tokens', ({ values }) => ({ ...values, tokens: flip(values.tokens as Uint8Array) })],
    ['an end in another year', ({ values }) => ({ ...values, absoluteEnd: '4000000000000' })],
    ['a format of a later release', ({ values }) => ({ ...values, format: '9' })],
    ['another month’s key', ({ values }) => ({ ...values, ringKey: '2019-01' })],
    ['plain text', ({ values }) => ({ ...values, owner: '{"identity":{}}', tokens: '{}' })],
    ['no values', () => ({})],
  ])('cannot make a row a valid session with %s', async (_, change) => {
    const row = await onlyRow()
    const etag = await tables.store.replace('sessions', { ...row, values: change(row) }, row.etag)

    const token = await person.sessionToken(shopPage, { api: 'orders' })
    expect(token.status).toBe(401)

    await tables.store.replace('sessions', row, etag!)
    expect((await session()).status).toBe(200)
  })

  it('cannot move one person’s session into another person’s row', async () => {
    const [mine] = await tables.rows('sessions')
    const other = stack.person()
    await other.signIn(toShop, grace)
    const theirs = (await tables.rows('sessions')).find(({ row }) => row !== mine!.row)!

    await tables.store.replace('sessions', { ...mine!, values: theirs.values }, mine!.etag)

    expect((await session()).status).toBe(401)
    expect((await session(other)).json.username).toBe(grace)
  })

  it('cannot move a session to another front end', async () => {
    await person.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' })
    const rows = await tables.rows('sessions')

    for (const row of rows) {
      const other = rows.find((one) => one.row !== row.row)!
      await tables.store.replace('sessions', { ...row, values: other.values }, row.etag)
    }

    expect((await session()).status).toBe(401)
    expect((await session(person, deskPage)).status).toBe(401)
  })

  it('cannot replace a wrapped key in the ring', async () => {
    const [row] = await tables.store.list('service', 'key-ring')
    const forged = { ...row!, values: { ...row!.values, wrapped: randomBytes(256) } }
    const etag = await tables.store.replace('service', forged, row!.etag)
    const cold = await stack.startInstance()

    const reply = await person.script(shopPage, '/session', { at: cold.url })
    expect(reply.status).toBe(503)
    expect(reply.json.code).toBe('key_ring_unreadable')
    expect((await session()).status).toBe(200) // warm instances go on

    await tables.store.replace('service', row!, etag!)
  })

  it('cannot plant a key of its own in the ring, wrapped by the public half of the wrapping key, to make a session', async () => {
    const [honest] = await tables.store.list('service', 'key-ring')
    const marker = (await tables.store.find('service', { partition: 'taken-over', row: 'key-ring' }))!
    const evil = randomBytes(32)
    const ringKey = toRingKey(honest!.row, evil)
    const version = honest!.values.wrappingVersion as string
    const publicKey = stack.vault.publicKey(localDefaults.Broker__WrappingKeyName!, version)
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const wrapped = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, evil)
    const key = newSessionKey('shop', adaIdentity, ringKey)
    const end = Date.now() + 3_600_000
    const owner = { identity: adaIdentity, signedInAt: Date.now(), idleEnd: end, absoluteEnd: end, grantedScopes: [] }
    const tokens = { refreshToken: undefined, accessTokens: {} }
    await tables.store.insert('sessions', toRow({ key, owner, tokens }, ringKey))
    const headers = { cookie: `__Host-session-shop=${toCookieValue(key)}` }
    const forgedAt = async (at: string) => (await stack.person().script(shopPage, '/session', { at, headers })).status

    const unsigned = { format: '1', wrapped, wrappingVersion: version }
    const put = async (values: StoredRow['values']) => {
      const now = (await tables.store.list('service', 'key-ring'))[0]!
      await tables.store.replace('service', { ...now, values }, now.etag)
    }
    await put({ ...honest!.values, ...unsigned })
    expect(await forgedAt((await stack.startInstance()).url)).toBe(503)
    await put(unsigned)
    const cold = await stack.startInstance()
    expect(await forgedAt(cold.url)).toBe(401)
    expect(await forgedAt(stack.brokers[0]!.url)).toBe(401)
    // The next honest sign-in works.
    expect((await stack.person().signIn(toShop, undefined, { at: cold.url })).status).toBe(303)

    // This shows that the signature rejects the forgery: before the takeover, an unsigned row is accepted once.
    await put(unsigned)
    await tables.store.remove('service', marker)
    expect(await forgedAt((await stack.startInstance()).url)).toBe(200)
    await put(honest!.values)
  })

  it('cannot cause the key to be unwrapped outside the broker’s vault', async () => {
    const [row] = await tables.store.list('service', 'key-ring')
    const values = { ...row!.values, wrappingVersion: 'https://evil.example/keys/k/0123' }
    const etag = await tables.store.replace('service', { ...row!, values }, row!.etag)
    const cold = await stack.startInstance()

    expect((await person.script(shopPage, '/session', { at: cold.url })).json.code).toBe('key_ring_unreadable')

    await tables.store.replace('service', row!, etag!)
  })

  describe('and a session cookie', () => {
    it('can restore an ended session, until the absolute end that is sealed in it', async () => {
      const cookie = `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`
      const withCookie = (at?: string) =>
        stack.person().script(shopPage, '/session', { headers: { cookie }, ...(at === undefined ? {} : { at }) })
      const old = await onlyRow()
      await person.script(shopPage, '/logout', { method: 'POST' })
      expect((await withCookie()).status).toBe(401)

      await tables.store.insert('sessions', { ...old, sweepAfter: new Date('2040-01-01') })

      expect((await withCookie()).status).toBe(200)
      expect((await withCookie(elsewhere().at)).status).toBe(200)
      const later = await stack.startInstance(clockAhead(43_201))
      expect((await withCookie(later.url)).status).toBe(401)
    })
  })
})

function flip(bytes: Uint8Array): Uint8Array {
  const changed = Buffer.from(bytes)
  changed[20]! ^= 1
  return changed
}

/** The value itself, its base64url encoding, and its base64url decoding. */
function formsOf(value: string): readonly Buffer[] {
  const decoded = Buffer.from(value, 'base64url')
  return [
    Buffer.from(value),
    Buffer.from(Buffer.from(value).toString('base64url')),
    ...(decoded.length > 8 && decoded.toString('base64url') === value ? [decoded] : []),
  ]
}
