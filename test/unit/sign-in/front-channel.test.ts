import { createHash } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { checkFrontChannel } from '../../../shared/sign-in/front-channel.ts'
import type { HybridFields } from '../../../shared/sign-in/front-channel.ts'
import { clientId, ecKey, edwardsKey, jwk, rsaKey } from '../provider/provider-server.ts'
import type { ProviderServer } from '../provider/provider-server.ts'
import { claimsOf, signerOf, useProviderServer, without } from '../provider/signed-id-tokens.ts'
import type { Claims } from '../provider/signed-id-tokens.ts'

const [current, stranger] = [rsaKey(), rsaKey()]
const request = { clientId, nonce: 'the-nonce-of-this-sign-in', state: 'the-state.shop' }
const code = 'the-code-of-this-response'
const halfOf = (text: string, hash = 'sha256') => {
  const digest = createHash(hash).update(text).digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

let server: ProviderServer
let provider: IdentityProvider
useProviderServer(current, (started) => void ({ server, provider } = started))

const seconds = () => Math.floor(server.now.value / 1000)
const honest = (): Claims => ({
  ...claimsOf(server, request.nonce),
  c_hash: halfOf(code),
})
const signed = signerOf(current)
const check = (idToken: string | undefined, more: Partial<HybridFields> = {}) =>
  checkFrontChannel({ code, idToken, hasAccessToken: false, issuer: undefined, ...more }, request, {
    provider,
    clock: () => server.now.value,
  })
const refused = (detail: string) => ({ code: 'id_token_refused', detail: `front channel: ${detail}` })

describe('the ID token of the authorization response', () => {
  it('is accepted with the hash of its code', async () => {
    await expect(check(await signed(honest()))).resolves.toBeDefined()
  })

  it.each<[string, (claims: Claims) => Claims, string]>([
    ['of another code', (claims) => ({ ...claims, c_hash: halfOf('another-code') }), 'c_hash'],
    ['without the hash of a code', without('c_hash'), 'c_hash'],
    [
      'with the whole hash',
      (claims) => ({ ...claims, c_hash: createHash('sha256').update(code).digest('base64url') }),
      'c_hash',
    ],
    ['with the hash of another algorithm', (claims) => ({ ...claims, c_hash: halfOf(code, 'sha512') }), 'c_hash'],
    ['with the hash in a list', (claims) => ({ ...claims, c_hash: [halfOf(code)] }), 'c_hash'],
    ['with an at_hash in its place', ({ c_hash, ...claims }) => ({ ...claims, at_hash: c_hash }), 'c_hash'],
    ['of another state', (claims) => ({ ...claims, s_hash: halfOf('another-state') }), 's_hash'],
    ['of another sign-in', (claims) => ({ ...claims, nonce: 'another' }), 'nonce'],
    ['without a nonce', without('nonce'), 'nonce'],
    ['for another client', (claims) => ({ ...claims, aud: 'another' }), 'aud'],
    ['of another provider', (claims) => ({ ...claims, iss: 'https://login.example/v2.0' }), 'iss'],
    ['that expired', (claims) => ({ ...claims, exp: seconds() - 360 }), 'exp'],
    ['of another tenant', (claims) => ({ ...claims, tid: '99999999-9999-4999-8999-999999999999' }), 'tid'],
    ['without a subject', without('sub'), 'sub'],
  ])('%s is refused', async (_, change, detail) => {
    await expect(check(await signed(change(honest())))).rejects.toMatchObject(refused(detail))
  })

  it('may name the state, and then by its hash', async () => {
    await expect(check(await signed({ ...honest(), s_hash: halfOf(request.state) }))).resolves.toBeDefined()
  })

  it('names the issuer of the response, where that names one', async () => {
    const token = await signed(honest())

    await expect(check(token, { issuer: server.authority })).resolves.toBeDefined()
    await expect(check(token, { issuer: `${server.authority}/` })).rejects.toMatchObject(refused('iss'))
  })

  it('that is unsigned, or signed by anything but a key of the provider, is refused', async () => {
    const unsigned = new UnsecuredJWT(honest()).encode()
    await expect(check(unsigned)).rejects.toMatchObject(refused('alg'))
    await expect(check(`${(await signed(honest())).split('.').slice(0, 2).join('.')}.`)).rejects.toMatchObject(
      refused('not a signed token'),
    )
    const strange = await signed(honest(), {}, stranger.privateKey)
    await expect(check(strange)).rejects.toMatchObject(refused('signature'))
    // The public key as the secret of an HMAC.
    const pem = Buffer.from(current.publicKey.export({ type: 'spki', format: 'pem' }))
    await expect(check(await signed(honest(), { alg: 'HS256' }, pem))).rejects.toMatchObject(refused('alg'))
    const other = await signed(honest(), { typ: 'logout+jwt' })
    await expect(check(other)).rejects.toMatchObject(refused('typ'))
  })

  it('that is too large is refused before its signature', async () => {
    const large = await signed({ ...honest(), groups: 'g'.repeat(60 * 1024) })

    await expect(check(large)).rejects.toMatchObject(refused('larger than 64 KB'))
    await expect(check(await signed({ ...honest(), groups: 'g'.repeat(20 * 1024) }))).resolves.toBeDefined()
  })

  it('is required, and no access token may come with it', async () => {
    await expect(check(undefined)).rejects.toMatchObject({ code: 'answer_invalid', detail: 'no id_token' })
    await expect(check(await signed(honest()), { hasAccessToken: true })).rejects.toMatchObject({
      code: 'answer_invalid',
      detail: 'access_token',
    })
  })

  it.each([
    ['RS512', () => rsaKey(), 'sha512'],
    ['PS384', () => rsaKey(), 'sha384'],
    ['ES256', () => ecKey(), 'sha256'],
    ['ES384', () => ecKey('P-384'), 'sha384'],
    ['EdDSA', () => edwardsKey('ed25519'), 'sha512'],
  ] as const)('by %s has the hash of that algorithm', async (alg, makeKey, hash) => {
    const key = makeKey()
    server.publishes(jwk(key, { kid: 'another' }))
    const token = (c_hash: string) => signed({ ...honest(), c_hash }, { alg, kid: 'another' }, key.privateKey)

    await expect(check(await token(halfOf(code, hash)))).resolves.toBeDefined()
    const wrong = hash === 'sha256' ? 'sha512' : 'sha256'
    await expect(check(await token(halfOf(code, wrong)))).rejects.toMatchObject(refused('c_hash'))
  })

  it('with made-up key ids uses up no key fetches of the token endpoint', async () => {
    for (let i = 0; i < 5; i++) {
      await expect(check(await signed(honest(), { kid: `made-up-${i}` }, stranger.privateKey))).rejects.toMatchObject(
        refused('no key of the provider fits'),
      )
    }
    const fetched = server.asked(server.paths.keys)
    server.publishes(jwk(stranger, { kid: 'rotated' }))

    expect(await provider.refetchKeys('rotated', 'RS256', 'token endpoint')).toHaveLength(1)
    expect(server.asked(server.paths.keys)).toBe(fetched + 1)
  })
})

describe('the ID token of the token endpoint', () => {
  const compare = async (front: Claims, back: Claims) =>
    (await check(await signed(front))).checkSame(new UnsecuredJWT(back).encode())

  it('is of the same person and sign-in, with claims of its own', async () => {
    const [front, back] = [
      { ...honest(), auth_time: 7, groups: ['a', 'b'], address: { country: 'DE', region: 'BY' } },
      { ...honest(), auth_time: 7, groups: ['b', 'a'], address: { region: 'BY', country: 'DE' }, name: 'Ada' },
    ]

    await expect(compare(front, back)).resolves.toBeUndefined()
    // §3.3.3.6: the front channel may have claims that the token endpoint omits, such as c_hash.
    await expect(compare({ ...front, email: 'ada@contoso.example' }, honest())).resolves.toBeUndefined()
  })

  it.each([
    ...['exp', 'iat', 'nbf', 'jti', 'at_hash', 'c_hash', 'aio', 'rh', 'uti', 'xms_ftd', 'login_hint', 'pwd_exp'],
    ...['oi_tkn_id', 'picture', 'updated_at', `x ${'y'.repeat(100)}`],
  ])('may have another %s: it is of the token', async (name) => {
    const front = { ...honest(), [name]: name === 'c_hash' ? halfOf(code) : seconds() + 60 }

    await expect(compare(front, { ...honest(), [name]: seconds() + 61 })).resolves.toBeUndefined()
  })

  it.each<[string, Claims]>([
    ['iss', { iss: 'https://login.example/v2.0' }],
    ['sub', { sub: 'another' }],
    ['oid', { oid: 'another' }],
    ['auth_time', { auth_time: 8 }],
    ['acr', { acr: '1' }],
    ['sid', { sid: 'another' }],
    ['groups', { groups: ['a', 'c'] }],
    ['address', { address: { country: 'FR' } }],
    ['email', { email: null }],
  ])('with another %s is refused', async (name, changes) => {
    const front = {
      ...honest(),
      auth_time: 7,
      acr: '2',
      sid: 'session',
      groups: ['a', 'b'],
      address: { country: 'DE' },
      email: 'ada@contoso.example',
    }

    await expect(compare(front, { ...front, ...changes })).rejects.toMatchObject(refused(`${name} differs`))
    await expect(compare(front, front)).resolves.toBeUndefined()
  })

  it.each(['iss', 'sub'])('without %s is refused', async (name) => {
    await expect(compare(honest(), without(name)(honest()))).rejects.toMatchObject(refused(`${name} differs`))
  })
})
