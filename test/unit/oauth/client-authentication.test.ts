import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { asBrokerError } from '../../../shared/errors/errors.ts'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import { createClientAuthentication } from '../../../shared/oauth/client-authentication.ts'
import type { ClientAuthentication } from '../../../shared/oauth/client-authentication.ts'
import { parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'
import type { FrontEndSettings } from '../../../shared/settings/settings.ts'
import type { Store } from '../../../shared/store/store.ts'

const issuer = 'https://signin.example.com'
const now = Date.parse('2031-05-10T12:00:00Z')
const [own, foreign] = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
]
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const edwards = generateKeyPairSync('ed25519')
const jwkOf = ({ publicKey }: typeof own, kid: string) => ({ ...publicKey.export({ format: 'jwk' }), kid })
const address = 'https://server.example.com/jwks.json'

const register = (id: string, changes: object) => ({
  id,
  kind: 'oauth',
  origins: [`https://${id}.example.com`],
  redirectUris: [`https://${id}.example.com/callback`],
  ...changes,
})
const [server, remote, other, open, reusing] = parseFrontEnds(
  JSON.stringify([
    register('server', { jwks: { keys: [jwkOf(own, 'k1'), jwkOf(elliptic, 'k2'), jwkOf(edwards, 'k3')] } }),
    register('remote', { jwksUri: address }),
    register('other', { jwks: { keys: [jwkOf(foreign, 'k1')] } }),
    register('open', {}),
    register('reusing', { jwks: { keys: [jwkOf(own, 'k1')] }, allowAssertionReuse: true }),
  ]),
  'Broker__FrontEnds',
) as [FrontEndSettings, FrontEndSettings, FrontEndSettings, FrontEndSettings, FrontEndSettings]

describe('the authentication of a confidential client', () => {
  let authentication: ClientAuthentication
  let rows: Set<string>
  let fetches: string[]
  let published: object[]
  let isDown: boolean
  let late: number
  beforeEach(() => {
    ;[rows, fetches, published, isDown, late] = [new Set(), [], [jwkOf(own, 'k1')], false, 0]
    const insert: Store['insert'] = (_, { partition, row }) => {
      const isNew = !rows.has(partition + row)
      rows.add(partition + row)
      return Promise.resolve(isNew ? 'etag' : undefined)
    }
    authentication = createClientAuthentication({
      issuer,
      frontEnds: createFrontEnds([server, remote, other, open, reusing]),
      store: { insert } as Store,
      network: ({ url }) => {
        fetches.push(url)
        return isDown
          ? Promise.reject(new Error('down'))
          : Promise.resolve({ status: 200, headers: {}, json: { keys: published } })
      },
      clock: () => now + late,
      onFault: () => undefined,
    })
  })

  const claims = (changes: object = {}) => ({
    ...{ iss: 'server', sub: 'server', aud: issuer, jti: randomUUID() },
    ...{ iat: now / 1000, exp: now / 1000 + 60 },
    ...changes,
  })
  const sign = (payload: object, header: object = {}, key: Parameters<SignJWT['sign']>[0] = own.privateKey) =>
    new SignJWT({ ...payload }).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(key)
  const check = (
    assertion: string | undefined,
    client = server,
    type?: string,
    endpoint: 'token' | 'revoke' = 'token',
  ) =>
    authentication
      .check(
        new URLSearchParams({
          client_assertion_type: type ?? 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          ...(assertion === undefined ? {} : { client_assertion: assertion }),
        }),
        client,
        endpoint,
      )
      .then(
        () => 'accepted',
        (thrown: unknown) => {
          const { code, detail } = asBrokerError(thrown)
          return `${code}: ${detail ?? ''}`
        },
      )

  it.each([
    ['RS256', 'k1', own.privateKey],
    ['PS256', 'k1', own.privateKey],
    ['ES256', 'k2', elliptic.privateKey],
    ['EdDSA', 'k3', edwards.privateKey],
    ['Ed25519', 'k3', edwards.privateKey],
  ])('accepts %s, for the issuer and for the token endpoint', async (alg, kid, key) => {
    for (const aud of [issuer, `${issuer}/token`, [issuer, `${issuer}/token`]]) {
      expect(await check(await sign(claims({ aud }), { alg, kid }, key))).toBe('accepted')
    }
    expect(await check(await sign(claims(), { alg, kid: undefined }, key))).toBe('accepted')
  })

  it('accepts the revocation endpoint as the audience there, as lua-resty-openidc signs it, and nowhere else', async () => {
    const signed = () => sign(claims({ aud: `${issuer}/revoke` }))

    expect(await check(await signed(), server, undefined, 'revoke')).toBe('accepted')
    expect(await check(await sign(claims({ aud: `${issuer}/token` })), server, undefined, 'revoke')).toBe('accepted')
    expect(await check(await signed())).toBe('client_assertion_refused: aud')
  })

  it.each([
    ['for another audience', { aud: 'https://evil.example' }, 'aud'],
    ['for another audience too', { aud: [issuer, 'https://evil.example'] }, 'aud'],
    ['for no audience', { aud: [] }, 'aud'],
    ['without an audience', { aud: undefined }, 'aud'],
    ['of another issuer', { iss: 'other' }, 'iss or sub'],
    ['of another subject', { sub: 'other' }, 'iss or sub'],
    ['that has expired', { exp: now / 1000 - 31 }, 'exp'],
    ['without an end', { exp: undefined }, 'exp'],
    ['with an end in text that is no number of seconds', { exp: `${now / 1000 + 60}.0` }, 'exp'],
    ['with an end in hexadecimal text', { exp: '0xffffffff' }, 'exp'],
    ['with an empty end', { exp: '' }, 'exp'],
    ['that has expired, in text', { exp: String(now / 1000 - 31) }, 'exp'],
    ['that lives 61 minutes, in text', { exp: String(now / 1000 + 3660) }, 'exp is more than an hour away'],
    ['of the future, in text', { nbf: String(now / 1000 + 60) }, 'nbf or iat'],
    ['that lives 61 minutes', { exp: now / 1000 + 3660 }, 'exp is more than an hour away'],
    ['of the future', { nbf: now / 1000 + 60 }, 'nbf or iat'],
    ['issued in the future', { iat: now / 1000 + 60 }, 'nbf or iat'],
    ['without jti', { jti: undefined }, 'jti'],
    ['with an empty jti', { jti: '' }, 'jti'],
    ['with a jti of 256 characters', { jti: 'a'.repeat(256) }, 'jti'],
  ])('refuses an assertion %s, and stores nothing', async (_, changes, detail) => {
    const payload = JSON.parse(JSON.stringify(claims(changes))) as object

    expect(await check(await sign(payload))).toBe(`client_assertion_refused: ${detail}`)
    expect(rows.size).toBe(0)
    expect(await check(await sign(claims()))).toBe('accepted')
  })

  it('accepts times in text, as MSAL.NET writes them, and no second use', async () => {
    const assertion = await sign(claims({ exp: String(now / 1000 + 600), nbf: String(now / 1000), iat: undefined }))

    expect(await check(assertion)).toBe('accepted')
    expect(await check(assertion)).toBe('client_assertion_refused: jti was used before')
  })

  it('accepts an assertion again where the registration allows it, as MSAL for Node sends it, until it expires', async () => {
    const ofReusing = { iss: 'reusing', sub: 'reusing', jti: 'one', exp: now / 1000 + 600 }
    const assertion = await sign(claims(ofReusing))

    expect([await check(assertion, reusing), await check(assertion, reusing)]).toEqual(['accepted', 'accepted'])
    expect(rows.size).toBe(0)
    expect(await check(await sign(claims({ ...ofReusing, exp: now / 1000 + 660 })), reusing)).toBe(
      'client_assertion_refused: exp is more than ten minutes away, with allowAssertionReuse',
    )
    expect(await check(await sign(claims({ ...ofReusing, jti: undefined })), reusing)).toMatch(/jti$/)
    // Another client with the same key, without that member.
    const ofServer = await sign(claims({ jti: 'one' }))
    expect(await check(ofServer)).toBe('accepted')
    expect(await check(ofServer)).toBe('client_assertion_refused: jti was used before')
    late = 11 * 60 * 1000
    expect(await check(assertion, reusing)).toBe('client_assertion_refused: exp')
  })

  it('accepts an assertion for an hour, as Authlib signs it, and no second use in that time', async () => {
    const assertion = await sign(claims({ exp: now / 1000 + 3600 }))

    expect(await check(assertion)).toBe('accepted')
    late = 59 * 60 * 1000
    expect(await check(assertion)).toBe('client_assertion_refused: jti was used before')
  })

  it('accepts an assertion once, and the same jti of another client', async () => {
    const assertion = await sign(claims({ jti: 'one' }))
    const ofOther = await sign(claims({ iss: 'other', sub: 'other', jti: 'one' }), {}, foreign.privateKey)

    expect((await Promise.all([check(assertion), check(assertion)])).sort()).toEqual([
      'accepted',
      'client_assertion_refused: jti was used before',
    ])
    expect(await check(ofOther, other)).toBe('accepted')
  })

  it('refuses the key of another client, also under the same key id', async () => {
    expect(await check(await sign(claims(), {}, foreign.privateKey))).toBe('client_assertion_refused: signature')
    expect(await check(await sign(claims()), other)).toMatch('client_assertion_refused')
    expect(await check(await sign(claims(), { kid: 'k2' }))).toMatch('client_assertion_refused')
  })

  it.each(['none', 'HS256', 'RS384', 'ES384', 'RS512', 'rs256', undefined])('refuses alg %s', async (alg) => {
    const [, payload, signature] = (await sign(claims())).split('.')
    const header = Buffer.from(JSON.stringify({ alg, kid: 'k1' })).toString('base64url')

    expect(await check(`${header}.${payload}.${signature}`)).toBe('client_assertion_refused: alg')
    expect(await check(`${header}.${payload}.`)).toMatch('client_assertion_refused')
    expect(fetches).toEqual([])
  })

  it('refuses HS256 with the public key as the secret', async () => {
    const secret = Buffer.from(own.publicKey.export({ type: 'spki', format: 'pem' }))

    expect(await check(await sign(claims(), { alg: 'HS256' }, secret))).toBe('client_assertion_refused: alg')
  })

  it('is required of a confidential client, and refused of a public one', async () => {
    expect(await check(undefined)).toBe('client_assertion_refused: no assertion')
    expect(await check(await sign(claims()), server, 'other')).toBe('client_assertion_refused: client_assertion_type')
    expect(await check(undefined, open)).toBe('accepted')
    expect(await check(await sign(claims({ iss: 'open', sub: 'open' })), open)).toMatch('client_secret_refused')
  })

  it('reads the keys of jwksUri once, again for a new key, and at most three times for made-up ids', async () => {
    const of = (kid: string, key = own) => sign(claims({ iss: 'remote', sub: 'remote' }), { kid }, key.privateKey)
    isDown = true
    expect(await check(await of('k1'), remote)).toMatch('client_keys_unavailable')
    isDown = false
    fetches = []
    expect(await check(await of('k1'), remote)).toBe('accepted')
    expect(await check(await of('k1'), remote)).toBe('accepted')
    expect(fetches).toEqual([address])

    published = [jwkOf(foreign, 'k9')]
    expect(await check(await of('k9', foreign), remote)).toBe('accepted')
    for (let i = 0; i < 9; i += 1) expect(await check(await of(`x${i}`), remote)).toMatch('client_assertion_refused')
    expect(fetches.length).toBe(4)
  })

  it('with invented key ids in its name delays a new key by half a minute at most, and the one before not at all', async () => {
    const of = (kid: string, key = own) => sign(claims({ iss: 'remote', sub: 'remote' }), { kid }, key.privateKey)
    const attack = async (round: string) => {
      for (let i = 0; i < 9; i += 1) {
        expect(await check(await of(`${round}-${i}`, foreign), remote)).toMatch('client_assertion_refused')
      }
    }
    await attack('first')

    published = [jwkOf(own, 'k1'), jwkOf(foreign, 'k9')]
    expect(await check(await of('k9', foreign), remote)).toMatch('client_assertion_refused')
    expect(await check(await of('k1'), remote)).toBe('accepted')

    // The next fetch that the attacker causes brings the key too.
    late = 30_000
    await attack('second')
    const before = fetches.length
    expect(await check(await of('k9', foreign), remote)).toBe('accepted')
    expect(fetches.length).toBe(before)
  })
})
