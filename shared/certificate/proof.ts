/** The proof of possession that addKey and removeKey ask for: a JWT by a key that is registered already. */
import { createHash } from 'node:crypto'
import type { RollVault } from '../vault/vault.ts'
import type { ProvingVersion } from './application-keys.ts'

export interface ProofClaims {
  /** The application's object id, not its client id. */
  readonly objectId: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

const lifetimeSeconds = 540

/** RS256, as documented: Graph takes no other algorithm. The vault signs. */
export async function signProof(
  vault: Pick<RollVault, 'readCertificate' | 'signRs256'>,
  { version }: ProvingVersion,
  { objectId, audience, now }: ProofClaims,
): Promise<string> {
  const sha1 = createHash('sha1')
    .update(await vault.readCertificate(version))
    .digest()
  const issuedAt = Math.floor(now / 1000)
  const header = { alg: 'RS256', typ: 'JWT', x5t: sha1.toString('base64url'), kid: sha1.toString('hex').toUpperCase() }
  const claims = { aud: audience, iss: objectId, nbf: issuedAt, exp: issuedAt + lifetimeSeconds }
  const signingInput = `${encode(header)}.${encode(claims)}`
  const signature = await vault.signRs256(version, createHash('sha256').update(signingInput).digest())
  return `${signingInput}.${Buffer.from(signature).toString('base64url')}`
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
