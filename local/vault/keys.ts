/**
 * Keys: versions, their permitted operations and dates, and the operations with their private keys,
 * which stay in this module.
 */
import * as z from 'zod/mini'
import type { KeyPair } from '../rsa-key-pair.ts'
import type { Answer, Call, Handler, VaultContext } from './context.ts'
import { parseBody } from './context.ts'
import type { Operation } from './operations.ts'
import { isSignature, signDigest, unwrap, wrap } from './rsa.ts'
import { badParameter, VaultError } from './vault-error.ts'
import { attributesJson, byVersion, changeAttributes, createStore, newVersion, page } from './versions.ts'
import type { Attributes, Store, Versioned } from './versions.ts'

const keyOperations = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'] as const
export type KeyOperation = (typeof keyOperations)[number]

interface KeyVersion extends Versioned, KeyPair {
  readonly kty: string
  keyOps: readonly KeyOperation[]
  /** The key of a certificate. */
  readonly managed: boolean
  readonly exportable: boolean
}

export interface CreateKeyOptions {
  /** The default is all operations of an RSA key. */
  readonly keyOps?: readonly KeyOperation[]
  /** Bits; the default is 3072. */
  readonly keySize?: number
  readonly notBefore?: Date | null
  readonly expires?: Date | null
}

export interface Keys {
  readonly store: Store<KeyVersion>
  create(name: string, options?: CreateKeyOptions): Promise<KeyVersion>
  /** A new version like the newest one. */
  rotate(name: string): Promise<KeyVersion>
  addManaged(key: Omit<KeyVersion, 'managed'>): void
  readonly handlers: Partial<Record<Operation, Handler>>
}

export const attributeChanges = z.object({
  enabled: z.optional(z.boolean()),
  nbf: z.optional(z.nullable(z.int())),
  exp: z.optional(z.nullable(z.int())),
})

const rsaSize = z.union([z.literal(2048), z.literal(3072), z.literal(4096)])
const createBody = z.object({
  kty: z.enum(['RSA', 'RSA-HSM']),
  key_size: z.optional(rsaSize),
  key_ops: z.optional(z.array(z.enum(keyOperations))),
  attributes: z.optional(attributeChanges),
})
const updateBody = z.object({
  key_ops: z.optional(z.array(z.enum(keyOperations))),
  attributes: z.optional(attributeChanges),
})
const base64url = z.string().check(z.regex(/^[\w-]+$/))
const operationBody = z.object({ alg: z.string(), value: base64url })
const verifyBody = z.object({ alg: z.string(), digest: base64url, value: base64url })

export function createKeys({ url, now, makeKeyPair, pageSize }: VaultContext): Keys {
  const store = createStore<KeyVersion>('Key')

  const create = async (name: string, options: CreateKeyOptions & { kty?: string; enabled?: boolean } = {}) => {
    const { keyOps = keyOperations, keySize = 3072, notBefore = null, expires = null } = options
    const { kty = 'RSA', enabled = true } = options
    checkUnmanaged(name)
    const pair = await makeKeyPair(keySize)
    const attributes: Attributes = { enabled, notBefore, expires, created: now(), updated: now() }
    const key = { name, version: newVersion(), kty, keyOps, managed: false, exportable: false, attributes, ...pair }
    store.add(key)
    return key
  }

  const rotate = (name: string) => {
    const { keyOps, kty, privateKey } = store.get(name, undefined)
    return create(name, { keyOps, kty, keySize: privateKey.asymmetricKeyDetails?.modulusLength ?? 3072 })
  }

  const checkUnmanaged = (name: string) => {
    if (store.has(name) && store.get(name, undefined).managed) {
      throw new VaultError(403, 'Forbidden', 'This key belongs to a certificate and changes with that only.')
    }
  }

  const link = ({ name, version }: Versioned) => `${url()}/keys/${name}/${version}`
  const attributesOf = ({ attributes, exportable }: KeyVersion) => ({ ...attributesJson(attributes), exportable })
  const managedOf = ({ managed }: KeyVersion) => (managed ? { managed } : {})

  /** Written from the public half: there is no private member to leave out. */
  const bundle = (key: KeyVersion): object => {
    const { n, e } = key.publicKey.export({ format: 'jwk' })
    return {
      key: { kid: link(key), kty: key.kty, key_ops: key.keyOps, n, e },
      attributes: attributesOf(key),
      ...managedOf(key),
    }
  }
  const item = (key: KeyVersion) => ({ kid: link(key), attributes: attributesOf(key), ...managedOf(key) })
  const deletedBundle = (key: KeyVersion) => ({
    ...bundle(key),
    recoveryId: `${url()}/deletedkeys/${key.name}`,
    deletedDate: Math.floor(now().getTime() / 1000),
    scheduledPurgeDate: Math.floor(now().getTime() / 1000) + 90 * 24 * 3600,
  })

  const operate =
    (keyOperation: KeyOperation, work: (key: KeyVersion, algorithm: string, value: Buffer) => Buffer): Handler =>
    ({ name, version, body }) => {
      const key = store.get(name, version)
      checkUsable(key, keyOperation, now())
      const { alg, value } = parseBody(operationBody, body)
      return { body: { kid: link(key), value: work(key, alg, Buffer.from(value, 'base64url')).toString('base64url') } }
    }

  const verify = ({ name, version, body }: Call): Answer => {
    const key = store.get(name, version)
    checkUsable(key, 'verify', now())
    const { alg, digest, value } = parseBody(verifyBody, body)
    const [hash, signature] = [Buffer.from(digest, 'base64url'), Buffer.from(value, 'base64url')]
    return { body: { value: isSignature(key.publicKey, alg, hash, signature) } }
  }

  return {
    store,
    create,
    rotate,
    addManaged: (key) => {
      if (store.has(key.name) && !store.get(key.name, undefined).managed) {
        throw new VaultError(409, 'Conflict', `There is a key ${key.name} that belongs to no certificate.`)
      }
      store.add({ ...key, managed: true })
    },
    handlers: {
      listKeys: ({ query }) => ({
        body: page(
          store.names().map((name) => store.get(name, undefined)),
          (key) => ({ ...item(key), kid: `${url()}/keys/${key.name}` }),
          { link: `${url()}/keys`, query, pageSize },
        ),
      }),
      listKeyVersions: ({ name, query }) => ({
        body: page([...store.versions(name)].sort(byVersion), item, {
          link: `${url()}/keys/${name}/versions`,
          query,
          pageSize,
        }),
      }),
      // A disabled version can be read, but not used.
      getKey: ({ name, version }) => ({ body: bundle(store.get(name, version)) }),
      createKey: async ({ name, body }) => {
        const {
          kty,
          key_size: keySize = 2048,
          key_ops: keyOps = keyOperations,
          attributes = {},
        } = parseBody(createBody, body)
        const { enabled = true, nbf, exp } = attributes
        const key = await create(name, { kty, keySize, keyOps, enabled, notBefore: dateOf(nbf), expires: dateOf(exp) })
        return { body: bundle(key) }
      },
      rotateKey: async ({ name }) => ({ body: bundle(await rotate(name)) }),
      updateKey: ({ name, version, body }) => {
        checkUnmanaged(name)
        const key = store.get(name, version)
        const { key_ops: keyOps, attributes = {} } = parseBody(updateBody, body)
        if (keyOps) key.keyOps = keyOps
        changeAttributes(key.attributes, attributes, now())
        return { body: bundle(key) }
      },
      deleteKey: ({ name }) => {
        checkUnmanaged(name)
        return { body: deletedBundle(store.delete(name)) }
      },
      getDeletedKey: ({ name }) => ({ body: deletedBundle(store.deleted(name)) }),
      sign: operate('sign', (key, algorithm, digest) => signDigest(key.privateKey, algorithm, digest)),
      verify,
      wrapkey: operate('wrapKey', (key, algorithm, value) => wrap(key.publicKey, algorithm, value)),
      unwrapkey: operate('unwrapKey', (key, algorithm, value) => unwrap(key.privateKey, algorithm, value)),
      encrypt: operate('encrypt', (key, algorithm, value) => wrap(key.publicKey, algorithm, value)),
      decrypt: operate('decrypt', (key, algorithm, value) => unwrap(key.privateKey, algorithm, value)),
      releaseKey: () => {
        throw badParameter('The key is not exportable.')
      },
    },
  }
}

/**
 * Documented for keys outside their dates: decrypt, unwrap and verify still work, so that protected data can
 * be recovered; encrypt, wrap and sign are refused. A disabled key refuses every operation.
 */
function checkUsable({ attributes, keyOps }: KeyVersion, operation: KeyOperation, now: Date): void {
  const refuse = (reason: string, innerCode: string) =>
    new VaultError(403, 'Forbidden', `Operation ${operation} is not ${reason}.`, innerCode)

  if (!attributes.enabled) throw refuse('allowed on a disabled key', 'KeyDisabled')
  if (operation === 'sign' || operation === 'wrapKey' || operation === 'encrypt') {
    const { notBefore, expires } = attributes
    if (notBefore && now < notBefore) throw refuse('allowed on a key that is not yet valid', 'KeyNotYetValid')
    if (expires && now >= expires) throw refuse('allowed on an expired key', 'KeyExpired')
  }
  if (!keyOps.includes(operation)) throw refuse('permitted on this key', 'KeyOperationForbidden')
}

const dateOf = (seconds: number | null | undefined) => (typeof seconds === 'number' ? new Date(seconds * 1000) : null)
