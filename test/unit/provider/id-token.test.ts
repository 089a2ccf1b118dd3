import { createHash, createHmac, sign } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { checkIdToken } from '../../../shared/provider/id-token.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { clientId, ecKey, edwardsKey, jwk, rsaKey, tenantId } from './provider-server.ts'
import type { KeyPair, ProviderServer } from './provider-server.ts'
import { claimsOf, signerOf, useProviderServer, without } from './signed-id-tokens.ts'
import type { Claims } from './signed-id-tokens.ts'

const [current, next] = [rsaKey(), rsaKey()]
const nonce = 'the-nonce-of-this-sign-in'
const accessToken = 'header.payload.signature'
let server: ProviderServer
let provider: IdentityProvider
useProviderServer(current, (started) => void ({ server, provider } = started))

const seconds = () => Math.floor(server.now.value / 1000)
const honest = (): Claims => ({
  ...claimsOf(server, nonce),
  nbf: seconds(),
  preferred_username: 'ada@contoso.example',
})
const signed = signerOf(current)
const check = (token: string) =>
  checkIdToken(
    token,
    { issuer: server.authority, clientId, nonce, accessToken },
    { provider, clock: () => server.now.value },
  )
const refused = (detail: string) => ({ code: 'id_token_refused', detail })

/** Signs texts unchanged, for tokens that no library would write. */
function raw(header: string, payload: string): string {
  const input = `${Buffer.from(header).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
  return `${input}.${sign('sha256', Buffer.from(input), current.privateKey).toString('base64url')}`
}

describe('an ID token', () => {
  it('identifies a person by tid and oid, iss and sub', async () => {
    expect(await check(await signed({ ...honest(), sid: 'session', name: 'Ada', login_hint: 'O.abc' }))).toEqual({
      issuer: server.authority,
      subject: 'subject',
      tenantId,
      objectId: 'object',
      sessionId: 'session',
      name: 'Ada',
      username: 'ada@contoso.example',
      loginHint: 'O.abc',
    })
  })

  it('is the same person under any name, address or user name', async () => {
    for (const preferred_username of ['bob@contoso.example', 'a@x@y', 'ada＠contoso.example', undefined, 7]) {
      const identity = await check(
        await signed({ ...honest(), preferred_username, email: 'root@contoso.example', upn: 'root@contoso.example' }),
      )
      expect(identity).toMatchObject({ subject: 'subject', objectId: 'object', tenantId, issuer: server.authority })
    }
  })

  it.each<[string, (claims: Claims) => Claims, string]>([
    ['of another issuer', (claims) => ({ ...claims, iss: 'https://login.example/v2.0' }), 'iss'],
    ['whose issuer has a slash more', ({ iss, ...rest }) => ({ ...rest, iss: `${String(iss)}/` }), 'iss'],
    ['whose issuer has another case', ({ iss, ...rest }) => ({ ...rest, iss: String(iss).toUpperCase() }), 'iss'],
    ['without an issuer', without('iss'), 'iss'],
    ['with two issuers', ({ iss, ...rest }) => ({ ...rest, iss: [iss] }), 'iss'],
    ['for another client', (claims) => ({ ...claims, aud: 'another-client' }), 'aud'],
    ['for us in other case', (claims) => ({ ...claims, aud: `${clientId} ` }), 'aud'],
    ['without an audience', without('aud'), 'aud'],
    ['for an empty list', (claims) => ({ ...claims, aud: [] }), 'aud'],
    ['shared with a stranger', (claims) => ({ ...claims, aud: [clientId, 'stranger'] }), 'aud'],
    ['for a list of others', (claims) => ({ ...claims, aud: ['stranger', 'another'], azp: clientId }), 'aud'],
    ['shared, and made for another', (claims) => ({ ...claims, aud: [clientId, 'account'], azp: 'account' }), 'azp'],
    ['shared, whose party is no text', (claims) => ({ ...claims, aud: [clientId, 'account'], azp: [clientId] }), 'azp'],
    ['made for another party', (claims) => ({ ...claims, azp: 'another' }), 'azp'],
    ['of another sign-in', (claims) => ({ ...claims, nonce: 'another' }), 'nonce'],
    ['without a nonce', without('nonce'), 'nonce'],
    ['with an empty nonce', (claims) => ({ ...claims, nonce: '' }), 'nonce'],
    ['that expired six minutes ago', (claims) => ({ ...claims, exp: seconds() - 360 }), 'exp'],
    ['that never expires', without('exp'), 'exp'],
    ['whose end is a text', ({ exp, ...rest }) => ({ ...rest, exp: String(exp) }), 'exp'],
    ['whose end is null', (claims) => ({ ...claims, exp: null }), 'exp'],
    ['issued in six minutes', (claims) => ({ ...claims, iat: seconds() + 360 }), 'iat'],
    ['issued two days ago', (claims) => ({ ...claims, iat: seconds() - 172_800 }), 'iat'],
    ['issued at no time', without('iat'), 'iat'],
    ['issued at a text', ({ iat, ...rest }) => ({ ...rest, iat: String(iat) }), 'iat'],
    ['valid in six minutes', (claims) => ({ ...claims, nbf: seconds() + 360 }), 'nbf'],
    ['valid from a text on', (claims) => ({ ...claims, nbf: 'now' }), 'nbf'],
    ['of another tenant', (claims) => ({ ...claims, tid: '99999999-9999-4999-8999-999999999999' }), 'tid'],
    ['of no tenant', without('tid'), 'tid'],
    ['without a subject', without('sub'), 'sub'],
    ['about an empty subject', (claims) => ({ ...claims, sub: '' }), 'sub'],
    ['about a number', (claims) => ({ ...claims, sub: 7 }), 'sub'],
    ['about a subject of 300 characters', (claims) => ({ ...claims, sub: 's'.repeat(300) }), 'sub'],
    ['without an object id', without('oid'), 'oid'],
    ['with an empty object id', (claims) => ({ ...claims, oid: '' }), 'oid'],
    ['beside another access token', (claims) => ({ ...claims, at_hash: hashOf('another') }), 'at_hash'],
    ['whose at_hash is a number', (claims) => ({ ...claims, at_hash: 0 }), 'at_hash'],
    ['shared, without a party', (claims) => ({ ...claims, aud: [clientId, 'account'], azp: null }), 'aud'],
    ['for its issuer alone', (claims) => ({ ...claims, aud: [claims.iss] }), 'aud'],
    ['for its issuer and a stranger too', (claims) => ({ ...claims, aud: [claims.iss, clientId, 'stranger'] }), 'aud'],
    ['for its issuer, and made for another', (claims) => ({ ...claims, aud: [claims.iss, clientId], azp: 'a' }), 'azp'],
  ])('%s is refused, and the same without that is accepted', async (_what, spoil, detail) => {
    await expect(check(await signed(spoil(honest())))).rejects.toMatchObject(refused(detail))
    await expect(check(await signed(honest()))).resolves.toMatchObject({ subject: 'subject' })
  })

  it.each<[string, (claims: Claims) => Claims]>([
    ['for a list of us alone', (claims) => ({ ...claims, aud: [clientId] })],
    ['that names us as its party', (claims) => ({ ...claims, azp: clientId })],
    ['shared with another, and made for us', (claims) => ({ ...claims, aud: [clientId, 'account'], azp: clientId })],
    ['of which we are the second reader', (claims) => ({ ...claims, aud: ['account', clientId], azp: clientId })],
    ['for a list that names us twice', (claims) => ({ ...claims, aud: [clientId, clientId] })],
    ['for its issuer too, as Oracle writes it', (claims) => ({ ...claims, aud: [claims.iss, clientId] })],
    ['that expired four minutes ago, by a clock that may be off', (claims) => ({ ...claims, exp: seconds() - 240 })],
    ['issued in four minutes', (claims) => ({ ...claims, iat: seconds() + 240, nbf: seconds() + 240 })],
    ['without nbf', without('nbf')],
    ['whose optional claims are null', (claims) => ({ ...claims, nbf: null, azp: null, at_hash: null })],
    ['whose optional claims are empty', (claims) => ({ ...claims, nbf: '', azp: '', at_hash: '' })],
    ['beside its access token', (claims) => ({ ...claims, at_hash: hashOf(accessToken) })],
  ])('%s is accepted', async (_what, change) => {
    await expect(check(await signed(change(honest())))).resolves.toMatchObject({ subject: 'subject' })
  })

  it('with a member twice has one meaning: the last', async () => {
    const text = JSON.stringify(honest())
    const header = '{"alg":"RS256","kid":"current"}'
    const twice = (first: string, last: string) =>
      text.replace(`"aud":"${clientId}"`, `"aud":"${first}","aud":"${last}"`)

    await expect(check(raw(header, twice(clientId, 'stranger')))).rejects.toMatchObject(refused('aud'))
    await expect(check(raw(header, twice('stranger', clientId)))).resolves.toMatchObject({ subject: 'subject' })
  })

  it.each([
    ['a text', '"me"'],
    ['a list', '[]'],
    ['null', 'null'],
    ['broken', '{"sub":'],
  ])('whose payload is %s is refused', async (_what, payload) => {
    await expect(check(raw('{"alg":"RS256","kid":"current"}', payload))).rejects.toMatchObject(refused('not JSON'))
    await expect(check(raw('{"alg":"RS256","kid":"current"}', JSON.stringify(honest())))).resolves.toBeDefined()
  })

  it('cannot inherit a claim', async () => {
    const text = JSON.stringify(without('sub')(honest())).replace('{', '{"__proto__":{"sub":"subject"},')

    await expect(check(raw('{"alg":"RS256","kid":"current"}', text))).rejects.toMatchObject(refused('sub'))
  })

  it.each([
    [1_700_000_000, 1_700_000_000],
    ['1700000000', 1_700_000_000],
    // By a clock that is four minutes ahead; six minutes ahead; and in milliseconds.
    [Date.parse('2026-01-15T12:04:00Z') / 1000, Date.parse('2026-01-15T12:04:00Z') / 1000],
    [Date.parse('2026-01-15T12:06:00Z') / 1000, undefined],
    [1_700_000_000_000, undefined],
    ['1700000000000', undefined],
    ['2026-01-15T12:00:00Z', undefined],
    [0, undefined],
    [-1, undefined],
    [null, undefined],
  ])('names the time of the authentication as %j', async (auth_time, authenticatedAt) => {
    expect((await check(await signed({ ...honest(), auth_time }))).authenticatedAt).toBe(authenticatedAt)
  })

  it('of more than 64 KB is not parsed', async () => {
    await expect(check(await signed({ ...honest(), groups: 'g'.repeat(64 * 1024) }))).rejects.toMatchObject(
      refused('larger than 64 KB'),
    )
    await expect(check(await signed({ ...honest(), groups: 'g'.repeat(32 * 1024) }))).resolves.toBeDefined()
  })
})

describe('the signature of an ID token', () => {
  it('must be present', async () => {
    const unsigned = new UnsecuredJWT(honest()).encode()
    await expect(check(unsigned)).rejects.toMatchObject(refused('alg'))
    for (const alg of ['none', 'None', 'NONE', '', null, 7]) {
      await expect(check(raw(JSON.stringify({ alg, kid: 'current' }), JSON.stringify(honest())))).rejects.toMatchObject(
        refused('alg'),
      )
    }
    const [header, payload] = (await signed(honest())).split('.')
    await expect(check(`${header}.${payload}.`)).rejects.toMatchObject({ code: 'id_token_refused' })
    await expect(check(`${header}.${payload}`)).rejects.toMatchObject({ code: 'id_token_refused' })
  })

  it('must be of its own header and payload', async () => {
    const token = await signed(honest())
    const [header, , signature] = token.split('.')
    const payload = Buffer.from(JSON.stringify({ ...honest(), sub: 'other' })).toString('base64url')

    await expect(check(`${header}.${payload}.${signature}`)).rejects.toMatchObject(refused('signature'))
    await expect(check(token)).resolves.toBeDefined()
  })

  it('must be of the key that it names', async () => {
    server.publishes(jwk(current, { kid: 'current' }), jwk(next, { kid: 'next' }))

    await expect(check(await signed(honest(), { kid: 'next' }))).rejects.toMatchObject(refused('signature'))
    await expect(check(await signed(honest(), { kid: 'next' }, next.privateKey))).resolves.toBeDefined()
  })

  it('is not verified with a key inside the token', async () => {
    const own = rsaKey()
    const header = { jwk: jwk(own), jku: 'https://login.example/keys', x5u: 'https://login.example/c', kid: 'current' }

    await expect(check(await signed(honest(), header, own.privateKey))).rejects.toMatchObject(refused('signature'))
  })

  it('is not made with the public key as a secret', async () => {
    for (const secret of [
      current.publicKey.export({ type: 'spki', format: 'pem' }),
      current.publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(current.publicKey.export({ format: 'jwk' })),
    ]) {
      const input = `${Buffer.from('{"alg":"HS256","kid":"current"}').toString('base64url')}.${Buffer.from(JSON.stringify(honest())).toString('base64url')}`
      const mac = createHmac('sha256', secret).update(input).digest('base64url')
      await expect(check(`${input}.${mac}`)).rejects.toMatchObject(refused('alg'))
    }
  })

  it('is of a supported algorithm, and of the key’s family', async () => {
    const curve = ecKey()
    server.publishes(jwk(current, { kid: 'current' }), jwk(curve, { kid: 'curve' }))

    await expect(check(await signed(honest(), { alg: 'PS256' }))).resolves.toBeDefined()
    await expect(check(await signed(honest(), { alg: 'RS512' }))).resolves.toBeDefined()
    await expect(check(await signed(honest(), { alg: 'ES256', kid: 'curve' }, curve.privateKey))).resolves.toBeDefined()
    for (const [alg, kid] of [
      ['ES256', 'current'],
      ['RS256', 'curve'],
    ]) {
      const token = await signed(honest(), { alg, kid }, alg === 'ES256' ? curve.privateKey : current.privateKey)
      await expect(check(token)).rejects.toMatchObject(refused('no key of the provider fits'))
    }
    for (const alg of ['RS1', 'ML-DSA-44', 'eddsa', 'HS512', 'RSA-OAEP', 'rs256']) {
      await expect(check(raw(JSON.stringify({ alg, kid: 'current' }), JSON.stringify(honest())))).rejects.toMatchObject(
        refused('alg'),
      )
    }
  })

  it.each<[string, KeyPair, string, number]>([
    ['ES512', ecKey('P-521'), 'sha512', 32],
    ['EdDSA', edwardsKey('ed25519'), 'sha512', 32],
    ['Ed25519', edwardsKey('ed25519'), 'sha512', 32],
  ])('is accepted by %s, with its at_hash, and of its own key alone', async (alg, pair, hash, bytes) => {
    server.publishes(jwk(pair, { kid: 'one' }), jwk(current, { kid: 'current' }))
    const at_hash = createHash(hash).update(accessToken).digest().subarray(0, bytes).toString('base64url')
    const by = (key: KeyPair, claims: Claims) => signed(claims, { alg, kid: 'one' }, key.privateKey)

    await expect(check(await by(pair, { ...honest(), at_hash }))).resolves.toMatchObject({ subject: 'subject' })
    await expect(check(await by(pair, { ...honest(), at_hash: hashOf(accessToken) }))).rejects.toMatchObject(
      refused('at_hash'),
    )
    const other = alg === 'ES512' ? ecKey('P-521') : edwardsKey('ed25519')
    await expect(check(await by(other, honest()))).rejects.toMatchObject(refused('signature'))
  })

  it.each<[string, KeyPair, string | null]>([
    ['EdDSA', edwardsKey('ed448'), null],
    ['Ed448', edwardsKey('ed448'), null],
    ['ES256K', ecKey('secp256k1'), 'sha256'],
  ])('is accepted by %s, which the signing library of these tests lacks', async (alg, pair, hash) => {
    server.publishes(jwk(pair, { kid: 'one' }))
    const at_hash =
      hash === null
        ? createHash('shake256', { outputLength: 114 })
            .update(accessToken)
            .digest()
            .subarray(0, 57)
            .toString('base64url')
        : hashOf(accessToken)
    const token = (claims: Claims) => {
      const parts = [JSON.stringify({ alg, kid: 'one' }), JSON.stringify(claims)]
      const input = parts.map((part) => Buffer.from(part).toString('base64url')).join('.')
      const key = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const
      return `${input}.${sign(hash, Buffer.from(input), key).toString('base64url')}`
    }

    await expect(check(token({ ...honest(), at_hash }))).resolves.toMatchObject({ subject: 'subject' })
    await expect(check(token({ ...honest(), at_hash: 'x' }))).rejects.toMatchObject(refused('at_hash'))
  })

  it.each(['at+jwt', 'application/at+jwt', 'logout+jwt', 'dpop+jwt'])('is not of the type %s', async (typ) => {
    await expect(check(await signed(honest(), { typ }))).rejects.toMatchObject(refused('typ'))
    for (const accepted of ['JWT', 'jwt', 'application/jwt', 'id_token+jwt', '']) {
      await expect(check(await signed(honest(), { typ: accepted }))).resolves.toBeDefined()
    }
  })

  it('is not accepted with a critical extension in the header', async () => {
    const text = JSON.stringify(honest())

    await expect(check(raw('{"alg":"RS256","kid":"current","crit":["exp"],"exp":1}', text))).rejects.toMatchObject(
      refused('not a signed token'),
    )
    await expect(check(raw('{"alg":"RS256","kid":"current"}', text))).resolves.toBeDefined()
  })

  it.each(['', '.', '..', 'a.b.c', 'a.b.c.d.e', '{}', `${'A'.repeat(1000)}.e30.e30`])('is not in %j', async (text) => {
    await expect(check(text)).rejects.toMatchObject({ code: 'id_token_refused' })
  })
})

describe('the key of an ID token', () => {
  it('that is unknown costs one fetch, and the token is refused', async () => {
    await check(await signed(honest()))
    const before = server.asked(server.paths.keys)
    const strange = await signed(honest(), { kid: 'strange' }, next.privateKey)

    for (let i = 0; i < 3; i++)
      await expect(check(strange)).rejects.toMatchObject(refused('no key of the provider fits'))

    expect(server.asked(server.paths.keys) - before).toBe(1)
    await expect(check(await signed(honest()))).resolves.toBeDefined()
  })

  it('that is new since the last sign-in is fetched, with a name and without', async () => {
    await check(await signed(honest()))

    server.publishes(jwk(next, { kid: 'next' }))
    await expect(check(await signed(honest(), { kid: 'next' }, next.privateKey))).resolves.toBeDefined()

    const nameless = rsaKey()
    server.publishes({ ...jwk(nameless), kid: undefined })
    server.later(60_000)
    await expect(check(await signed(honest(), { kid: undefined }, nameless.privateKey))).resolves.toBeDefined()
  })

  it('that has no name is any that verifies', async () => {
    const token = await signed(honest(), { kid: undefined }, next.privateKey)
    await expect(check(token)).rejects.toMatchObject(refused('signature'))

    server.publishes(jwk(current, { kid: 'current' }), jwk(next, { kid: 'next' }), jwk(ecKey(), { kid: 'curve' }))
    provider = server.cold()

    await expect(check(token)).resolves.toBeDefined()
  })

  it('counts as nameless where its name is null or empty', async () => {
    for (const kid of [null, '']) {
      await expect(check(raw(JSON.stringify({ alg: 'RS256', kid }), JSON.stringify(honest())))).resolves.toBeDefined()
    }
  })

  it('may be a new one under the old name: it is fetched once in half a minute', async () => {
    await check(await signed(honest()))
    const before = server.asked(server.paths.keys)
    const byNew = await signed(honest(), {}, next.privateKey)
    await expect(check(byNew)).rejects.toMatchObject(refused('signature'))
    await expect(check(byNew)).rejects.toMatchObject(refused('signature'))
    expect(server.asked(server.paths.keys) - before).toBe(1)

    server.publishes(jwk(next, { kid: 'current' }))
    server.later(60_000)

    await expect(check(byNew)).resolves.toBeDefined()
    await expect(check(await signed(honest()))).rejects.toMatchObject(refused('signature'))
  })

  it.each([7, ['current'], {}])('must have a text as its name, not %j', async (kid) => {
    await expect(check(raw(JSON.stringify({ alg: 'RS256', kid }), JSON.stringify(honest())))).rejects.toMatchObject(
      refused('kid'),
    )
  })

  it('that cannot be fetched is reported as a fault of the provider, not of the person', async () => {
    server.isDown(server.paths.keys)
    await expect(check(await signed(honest()))).rejects.toMatchObject({ code: 'provider_unavailable' })

    server.isDown()
    await expect(check(await signed(honest()))).resolves.toBeDefined()
  })
})

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url')
}
