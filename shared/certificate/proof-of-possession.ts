/** The proof of possession that addKey and removeKey require: a JWT by a key that is registered already. */
import { createHash } from 'node:crypto'
import type { CertificateVault } from '../vault/vault.ts'
import type { ProvingVersion } from './application-keys.ts'
import { signJwt } from './signed-jwt.ts'

export interface ProofClaims {
  /** The application's object id, not its client id. */
  readonly objectId: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

const lifetimeSeconds = 540

/** RS256, as documented: Graph accepts no other algorithm. The vault signs. */
export async function signProof(
  vault: Pick<CertificateVault, 'readCertificate' | 'sign'>,
  by: ProvingVersion,
  { objectId, audience, now }: ProofClaims,
): Promise<string> {
  const sha1 = createHash('sha1')
    .update(await vault.readCertificate(by.version))
    .digest()
  const issuedAt = Math.floor(now / 1000)
  return signJwt(vault, by, {
    algorithm: 'RS256',
    header: { x5t: sha1.toString('base64url'), kid: sha1.toString('hex').toUpperCase() },
    claims: { aud: audience, iss: objectId, nbf: issuedAt, exp: issuedAt + lifetimeSeconds },
  })
}
