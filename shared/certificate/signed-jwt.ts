/**
 * Signs a JWT by a version of the certificate (RFC 7515 §5.1). The private key stays in the vault: this module composes
 * the signed text and verifies the signature that comes back, since a fault, a wrong version or a proxy on the way
 * would otherwise cost sign-ins for as long as the JWT lives.
 */
import { constants, hash, verify } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { CertificateVault, SigningAlgorithm } from '../vault/vault.ts'
import { readFacts, toPublicKey } from './certificate-facts.ts'

/** A version that can sign. */
export interface SignerVersion {
  readonly version: string
  /** SHA-256 of the certificate's DER, base64url. */
  readonly thumbprint: string
  /** As in CertificateFacts. Undefined where a row of the previous release is all that is known: the vault is read. */
  readonly publicKey?: string | undefined
}

interface JwtParts {
  readonly algorithm: SigningAlgorithm
  /** Beside `alg`. `typ` is `JWT` where it names none. */
  readonly header: object
  readonly claims: object
}

/** Verifying with the public key costs about 20 µs. */
export async function signJwt(
  vault: Pick<CertificateVault, 'sign' | 'readCertificate'>,
  by: SignerVersion,
  { algorithm, header, claims }: JwtParts,
): Promise<string> {
  const text = `${encode({ alg: algorithm, typ: 'JWT', ...header })}.${encode(claims)}`
  const [signature, publicKey] = await Promise.all([
    vault.sign(by.version, hash('sha256', text, 'buffer'), algorithm),
    by.publicKey ?? readOwnCertificate(vault, by).then((certificate) => readFacts(certificate).publicKey),
  ])
  if (!isSignature(text, signature, { algorithm, publicKey })) {
    throw new BrokerError('signature_invalid', { detail: `version ${by.version} of the certificate` })
  }
  return `${text}.${Buffer.from(signature).toString('base64url')}`
}

/**
 * @returns the DER of the certificate of a version
 * @throws {BrokerError} `certificate_missing` where the vault has another one than the version's record, and what the
 *   vault throws
 */
export async function readOwnCertificate(
  vault: Pick<CertificateVault, 'readCertificate'>,
  { version, thumbprint }: SignerVersion,
): Promise<Uint8Array> {
  const certificate = await vault.readCertificate(version)
  if (readFacts(certificate).thumbprint === thumbprint) return certificate
  throw new BrokerError('certificate_missing', { detail: `version ${version} has another thumbprint in the vault` })
}

/** RFC 7518 §3.3 and §3.5. */
function isSignature(
  text: string,
  signature: Uint8Array,
  { algorithm, publicKey }: { algorithm: SigningAlgorithm; publicKey: string },
): boolean {
  const padding = algorithm === 'PS256' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const key = { key: toPublicKey(publicKey), padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return verify('sha256', Buffer.from(text), key, signature)
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
