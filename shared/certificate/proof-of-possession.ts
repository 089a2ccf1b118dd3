/** The proof of possession that addKey and removeKey require: a JWT by a key that is registered already. */
import type { CertificateVault } from '../vault/vault.ts'
import type { ProvingVersion } from './application-keys.ts'
import { sha1NamesOf } from './certificate-facts.ts'
import { signJwt } from './signed-jwt.ts'

interface ProofClaims {
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
  const issuedAt = Math.floor(now / 1000)
  return signJwt(vault, by, {
    algorithm: 'RS256',
    header: sha1NamesOf(await vault.readCertificate(by.version)),
    claims: { aud: audience, iss: objectId, nbf: issuedAt, exp: issuedAt + lifetimeSeconds },
  })
}
