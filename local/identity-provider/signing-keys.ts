/** The keys the provider signs tokens with: made at start, never written down, rolled on request. */
import { randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { JWK, JWTPayload } from 'jose'
import { makeRsaKeyPair } from '../rsa-key-pair.ts'
import type { MakeKeyPair } from '../rsa-key-pair.ts'

interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** Signs a payload as the provider would, or in a wrong way that a test chooses. */
export type SignIdToken = (
  payload: Readonly<Record<string, unknown>>,
  header?: Readonly<Record<string, unknown>>,
  key?: KeyObject | Uint8Array,
) => Promise<string>

export class SigningKeys {
  #keys: readonly [SigningKey, ...SigningKey[]]
  readonly #makeKeyPair: MakeKeyPair

  private constructor(first: SigningKey, makeKeyPair: MakeKeyPair) {
    this.#keys = [first]
    this.#makeKeyPair = makeKeyPair
  }

  static async create(makeKeyPair: MakeKeyPair = makeRsaKeyPair): Promise<SigningKeys> {
    return new SigningKeys(await createSigningKey(makeKeyPair), makeKeyPair)
  }

  get current(): SigningKey {
    return this.#keys[0]
  }

  /** The key that signs comes first; earlier ones follow while they are kept. */
  get all(): readonly SigningKey[] {
    return this.#keys
  }

  /** A new key signs from now on; without `keepOld` the key set forgets the earlier ones. */
  async rotate({ keepOld }: { readonly keepOld: boolean }): Promise<void> {
    this.#keys = [await createSigningKey(this.#makeKeyPair), ...(keepOld ? this.#keys : [])]
  }

  /** The key set as Entra writes it: with `use` and `issuer`, without `alg`. */
  jwkSet(issuer: string): { keys: JWK[] } {
    return {
      keys: this.#keys.map(({ kid, publicKey }) => ({
        ...publicKey.export({ format: 'jwk' }),
        use: 'sig',
        kid,
        issuer,
      })),
    }
  }

  /** The keys with which oidc-provider signs ID tokens. */
  privateJwkSet(): { keys: JWK[] } {
    return {
      keys: this.#keys.map(({ kid, privateKey }) => ({
        ...privateKey.export({ format: 'jwk' }),
        use: 'sig',
        kid,
        alg: 'RS256',
      })),
    }
  }

  /** RS256 with the current key, at once: oidc-provider's listeners cannot wait. */
  signNow(payload: Readonly<Record<string, unknown>>): string {
    const { kid, privateKey } = this.current
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const input = `${encode({ typ: 'JWT', alg: 'RS256', kid })}.${encode(payload)}`
    return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`
  }

  /** RS256 with the current key; the header and the key can be replaced, and `alg: 'none'` leaves it unsigned. */
  readonly sign: SignIdToken = (payload, header = {}, key = this.current.privateKey) => {
    const protectedHeader = { typ: 'JWT', alg: 'RS256', kid: this.current.kid, ...header }
    if (protectedHeader.alg === 'none') return Promise.resolve(new UnsecuredJWT(payload as JWTPayload).encode())
    return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(key)
  }
}

export async function createSigningKey(makeKeyPair: MakeKeyPair = makeRsaKeyPair): Promise<SigningKey> {
  const { privateKey, publicKey } = await makeKeyPair(2048)
  return { kid: randomBytes(20).toString('base64url'), privateKey, publicKey }
}
