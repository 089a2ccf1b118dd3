/** Certificates as the vault's REST returns them: bundles, items of lists, and the pending operation. */
import { createHash, X509Certificate } from 'node:crypto'
import type { Policy } from './certificate-policy.ts'
import type { VaultError } from './vault-error.ts'
import { attributesJson } from './versions.ts'
import type { Attributes, Versioned } from './versions.ts'

export interface CertificateVersion extends Versioned {
  readonly der: Buffer
}

/** The public part, which an identity provider registers. */
export interface PublicCertificate {
  readonly name: string
  readonly version: string
  readonly pem: string
  readonly der: Buffer
  /** base64url of SHA-256 over the DER: `x5t#S256`. */
  readonly x5tS256: string
  readonly keyId: string
  readonly attributes: Readonly<Attributes>
}

/** The operation that makes a version. */
export interface Pending {
  status: 'inProgress' | 'completed' | 'failed'
  error?: VaultError
  readonly requestId: string
}

/** @param url of the vault, the start of every id; so in every function here */
export function publicCertificate(
  url: string,
  { name, version, der, attributes }: CertificateVersion,
): PublicCertificate {
  return {
    name,
    version,
    pem: new X509Certificate(der).toString(),
    der,
    x5tS256: createHash('sha256').update(der).digest('base64url'),
    keyId: `${url}/keys/${name}/${version}`,
    attributes,
  }
}

export function bundleJson(url: string, certificate: CertificateVersion, policy: Policy) {
  const { name, version, der } = certificate
  return {
    ...itemJson(url, certificate),
    kid: `${url}/keys/${name}/${version}`,
    sid: `${url}/secrets/${name}/${version}`,
    cer: der.toString('base64'),
    policy: policyJson(url, name, policy),
  }
}

export function itemJson(url: string, { name, version, der, attributes }: CertificateVersion) {
  return {
    id: `${url}/certificates/${name}/${version}`,
    x5t: createHash('sha1').update(der).digest('base64url'),
    attributes: attributesJson(attributes),
  }
}

export function deletedJson(url: string, certificate: CertificateVersion, policy: Policy, now: Date) {
  const deletedDate = Math.floor(now.getTime() / 1000)
  return {
    ...bundleJson(url, certificate, policy),
    recoveryId: `${url}/deletedcertificates/${certificate.name}`,
    deletedDate,
    scheduledPurgeDate: deletedDate + 90 * 24 * 3600,
  }
}

export function policyJson(url: string, name: string, policy: Policy) {
  return { id: `${url}/certificates/${name}/policy`, ...policy }
}

export function operationJson(url: string, name: string, { status, error, requestId }: Pending, { issuer }: Policy) {
  return {
    id: `${url}/certificates/${name}/pending`,
    issuer,
    cancellation_requested: false,
    status,
    request_id: requestId,
    ...(status === 'completed' ? { target: `${url}/certificates/${name}` } : {}),
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
  }
}
