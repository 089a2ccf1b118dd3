import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import type { JWK } from 'jose'
import { describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { createSigningKeys } from '../../../shared/oauth/signing-keys.ts'
import type { SigningAlgorithm, SigningKeys } from '../../../shared/oauth/signing-keys.ts'
import type { Store } from '../../../shared/store/store.ts'
import { openRing, useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

const partition = 'id-token-keys'
const day = 24 * 3600

describe('the keys of ID tokens', () => {
  let parts: SessionParts
  let store: Store
  let ring: KeyRing
  let clock: TestClock
  let faults: unknown[]
  let newInstance: (algorithms?: readonly SigningAlgorithm[], its?: Store) => SigningKeys
  useSessionParts('2031-05-10T12:00:00.000Z', (own) => {
    ;({ parts, store, clock, ring, faults } = own)
    newInstance = (algorithms = ['RS256'], its = store) =>
      createSigningKeys({ store: its, ring, clock, algorithms, onFault: (error) => faults.push(error) })
  })

  /** An instance that has opened no key of the ring before. */
  const coldInstance = () =>
    createSigningKeys({
      store,
      ring: openRing({ store, vault: parts.newVault(), clock }),
      clock,
      algorithms: ['RS256'],
      onFault: () => undefined,
    })
  /** The key set as a client fetches it, and the id of the key that signs. */
  const published = async (keys: SigningKeys) => ({ keys: (await keys.published()) as unknown as JWK[] })
  const signerOf = async (keys: SigningKeys, algorithm: SigningAlgorithm = 'RS256') => {
    const token = await keys.sign({ sub: 'ada' }, algorithm)
    const { protectedHeader } = await jwtVerify(token, createLocalJWKSet(await published(keys)))
    expect(protectedHeader.alg).toBe(algorithm)
    return protectedHeader.kid
  }

  it.each(['RS256', 'ES256'] as const)('sign by %s, verified by a key set of public parts alone', async (algorithm) => {
    const keys = newInstance(['RS256', 'ES256'])

    expect(await signerOf(keys, algorithm)).toBeDefined()

    for (const jwk of (await published(keys)).keys) {
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(jwk).not.toHaveProperty(secret)
      expect(jwk).toMatchObject({ use: 'sig', kid: expect.any(String) as string })
    }
    const rsa = (await published(keys)).keys.find(({ kty }) => kty === 'RSA')
    expect(Buffer.from(rsa!.n!, 'base64url')).toHaveLength(256)
  })

  it('are the same for all instances, also for those that start at the same time', async () => {
    const instances = [newInstance(), newInstance(), newInstance()]

    const signers = await Promise.all(instances.map((keys) => signerOf(keys)))

    expect(new Set(signers).size).toBe(1)
    expect(await store.list('service', partition)).toHaveLength(1)
  })

  it('change with the month: the new key is published for a day before it signs, the old one until its tokens are over', async () => {
    const keys = newInstance()
    const may = await signerOf(keys)

    clock.set('2031-06-01T00:00:01Z')
    expect(await signerOf(keys)).toBe(may)
    const ids = (await published(keys)).keys.map(({ kid }) => kid)
    expect(ids).toHaveLength(2)
    const june = ids.find((id) => id !== may)

    clock.set('2031-06-01T23:59:59Z')
    expect([await signerOf(keys), await signerOf(newInstance())]).toEqual([may, may])
    clock.set('2031-06-02T00:00:02Z')
    expect([await signerOf(keys), await signerOf(newInstance())]).toEqual([june, june])

    expect((await published(keys)).keys).toHaveLength(2)
    clock.set('2031-06-05T00:00:01Z')
    expect((await published(keys)).keys.map(({ kid }) => kid)).toEqual([june])
  })

  it('made by an instance whose ring still seals with the key of the month before last for their whole month', async () => {
    const warm = newInstance()
    await signerOf(warm)
    clock.set('2031-06-01T00:00:01Z')
    await warm.published()
    const sealedBy = async () => (await store.find('service', { partition, row: '2031-06-RS256' }))!.values.ringKey
    expect(await sealedBy()).toMatch(/^2031-05-/)

    await expect.poll(async () => (await ring.current()).id).toMatch(/^2031-06-/)
    clock.set('2031-06-02T00:00:02Z')
    const june = await signerOf(warm)
    expect(await sealedBy()).toMatch(/^2031-06-/)

    clock.set('2031-06-20T00:00:00Z')
    ring = openRing({ store, vault: parts.newVault(), clock })
    expect(await signerOf(newInstance())).toBe(june)
  })

  it('verify for longer than they are published: a session may outlive its month by a week', async () => {
    const may = (await signerOf(newInstance()))!

    clock.set('2031-06-07T00:00:00Z')
    const keys = newInstance()
    expect((await published(keys)).keys.map(({ kid }) => kid)).not.toContain(may)
    expect(await keys.find(may)).toMatchObject({ id: may })
    clock.set('2031-06-12T00:00:01Z')
    expect(await newInstance().find(may)).toBeUndefined()
  })

  it('go on after a month without a request', async () => {
    const may = await signerOf(newInstance())
    clock.set('2031-08-20T00:00:00Z')

    const august = await signerOf(newInstance())

    expect(august).not.toBe(may)
  })

  it('are no longer used five minutes after an operator removed the row, on every instance', async () => {
    const [here, there] = [newInstance(), newInstance()]
    const stolen = await signerOf(here)
    await signerOf(there)

    await store.remove('service', { partition, row: '2031-05-RS256' })
    clock.advance(301)

    const next = await signerOf(here)
    expect(next).not.toBe(stolen)
    expect(await signerOf(there)).toBe(next)
    expect((await published(there)).keys.map(({ kid }) => kid)).toEqual([next])
    expect(await here.find(stolen!)).toBeUndefined()
  })

  it('do not come from an attacker: a changed, moved or planted row does not open and is replaced', async () => {
    await signerOf(newInstance(['RS256', 'ES256']))
    const rowOf = async (row: string) => (await store.find('service', { partition, row }))!
    const [rsa, ec] = [await rowOf('2031-05-RS256'), await rowOf('2031-05-ES256')]
    const bytes = Buffer.from(rsa.values.key as Uint8Array)
    bytes[40]! ^= 1
    for (const values of [{ ...rsa.values, key: bytes }, ec.values, { ...rsa.values, format: '0' }, {}]) {
      const now = await rowOf('2031-05-RS256')
      await store.replace('service', { ...now, values }, now.etag)

      const keys = newInstance()
      const signer = await signerOf(keys)

      expect((await published(keys)).keys.filter(({ kty }) => kty === 'RSA').map(({ kid }) => kid)).toEqual([signer])
    }
  })

  it('do not open in the row of a later month', async () => {
    const old = await signerOf(newInstance())
    const row = (await store.find('service', { partition, row: '2031-05-RS256' }))!
    clock.set('2031-06-10T00:00:00Z')
    await store.insert('service', { ...row, row: '2031-06-RS256' })

    expect(await signerOf(newInstance())).not.toBe(old)
  })

  it('leave a row that does not reveal the private key', async () => {
    await signerOf(newInstance())
    const [row] = await store.list('service', partition)

    const { values } = row!
    expect(Object.keys(values).sort()).toEqual(['format', 'key', 'ringKey'])
    expect(Buffer.from(values.key as Uint8Array).toString('latin1')).not.toMatch(/pkcs8|createdAt/)
  })

  it('of a warm instance sign on while the store is down; a cold one reports it', async () => {
    let isDown = false
    const shaky: Store = {
      ...store,
      list: (...requested) => (isDown ? Promise.reject(new Error('down')) : store.list(...requested)),
    }
    const warm = newInstance(['RS256'], shaky)
    const signer = await signerOf(warm)
    isDown = true
    clock.advance((2 * day) / 100)

    expect(await signerOf(warm)).toBe(signer)
    expect(faults.length).toBeGreaterThan(0)
    await expect(newInstance(['RS256'], shaky).sign({}, 'RS256')).rejects.toThrow('down')
  })
  it('sign while the key of an earlier month cannot be read; what depends on that key reports it', async () => {
    const mayKey = await signerOf(newInstance())
    const mayRow = (await store.find('service', { partition: 'key-ring', row: '2031-05' }))!
    await parts.rotateWrappingKey()
    clock.set('2031-06-02T12:00:00.000Z')
    const newRing = () => openRing({ store, vault: parts.newVault(), clock })
    await newRing().current()
    const coldInstance = (its = newRing()) =>
      createSigningKeys({
        store,
        ring: its,
        clock,
        algorithms: ['RS256'],
        onFault: (error) => faults.push(error),
      })
    const warmRing = newRing()
    const warm = coldInstance(warmRing)
    await warm.published()
    // When the ring has the key of June, the instance reads its rows again, and seals the one of June with that key.
    await expect.poll(async () => (await warmRing.current()).id).toMatch(/^2031-06-/)
    clock.advance(301)
    await warm.published()
    parts.vault.setKeyEnabled('broker-key-ring', String(mayRow.values.wrappingVersion), false)

    const cold = coldInstance()
    const fault = { code: 'vault_forbidden' }
    await cold.check('RS256')
    const juneKey = decodeProtectedHeader(await cold.sign({}, 'RS256')).kid!
    expect(juneKey).not.toBe(mayKey)
    expect((await cold.find(juneKey))?.id).toBe(juneKey)
    expect(faults).toMatchObject([fault])
    await expect(cold.find(mayKey!)).rejects.toMatchObject(fault)
    await expect(cold.published()).rejects.toMatchObject(fault)

    // Past the last token of that key, clients need it no longer.
    clock.set('2031-06-05T12:00:00.000Z')
    expect((await published(coldInstance())).keys.map(({ kid }) => kid)).toEqual([juneKey])

    parts.setWrappingKeyEnabled(true)
    clock.advance(10)
    expect((await cold.find(mayKey!))?.id).toBe(mayKey)
  })

  it('are not replaced where the key of this month cannot be read', async () => {
    const signer = await signerOf(newInstance())
    parts.setWrappingKeyEnabled(false)
    await expect(coldInstance().sign({}, 'RS256')).rejects.toMatchObject({ code: 'vault_forbidden' })

    parts.setWrappingKeyEnabled(true)
    expect(await signerOf(coldInstance())).toBe(signer)
  })

  it('are not replaced where their row was sealed in the month before, with a key that cannot be read', async () => {
    await signerOf(newInstance())
    const mayRow = (await store.find('service', { partition: 'key-ring', row: '2031-05' }))!
    await parts.rotateWrappingKey()
    clock.set('2031-06-01T00:00:01Z')
    // The ring of this instance seals with the key of May still.
    const june = (await published(newInstance())).keys.at(-1)!.kid
    clock.set('2031-06-02T12:00:00Z')
    await openRing({ store, vault: parts.newVault(), clock }).current()
    const setReadable = (isReadable: boolean) =>
      parts.vault.setKeyEnabled('broker-key-ring', String(mayRow.values.wrappingVersion), isReadable)

    setReadable(false)
    await expect(coldInstance().sign({}, 'RS256')).rejects.toMatchObject({ code: 'vault_forbidden' })

    setReadable(true)
    expect(await signerOf(coldInstance())).toBe(june)
  })
})
