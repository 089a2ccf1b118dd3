/** The setting Broker__CertificateAuthorities: certificates of private authorities, as PEM text (RFC 7468). */
import { X509Certificate } from 'node:crypto'
import type { Refusal } from './settings-error.ts'

export const certificateAuthoritiesName = 'Broker__CertificateAuthorities'

const certificateBlock = /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g
const most = 16

/**
 * @param value PEM. A portal or a shell may have replaced its line breaks by blanks or by `\n`; untrusted
 * @returns each certificate as PEM with line breaks
 */
export function certificatesOf(value: string): readonly string[] {
  return [...value.matchAll(certificateBlock)].map(([, written = '']) => {
    const lines = written.replace(/\\[rn]|\s/g, '').match(/.{1,64}/g) ?? []
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  })
}

/** @returns the text without certificates and without labels of other public texts: comments, or a private key */
export function withoutPublicTexts(value: string): string {
  return value.replace(certificateBlock, '').replace(/-----BEGIN (?![A-Z ]*PRIVATE KEY)[A-Z ]+-----/g, '')
}

export function checkCertificateAuthorities(value: string): Refusal | undefined {
  if (!('setDefaultCACertificates' in process.getBuiltinModule('node:tls'))) {
    return { problem: 'needs Node.js 22.19, 24.5 or later', fix: 'Update Node.js, or delete the setting.' }
  }
  const certificates = certificatesOf(value)
  if (certificates.length === 0 || value.replace(certificateBlock, '').includes('-----')) {
    return {
      problem: 'is not a text of PEM certificates',
      fix: 'Write the content of the PEM file, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.',
    }
  }
  if (certificates.length > most) {
    return {
      problem: `has ${certificates.length} certificates, and at most ${most} are accepted`,
      fix: 'Name the private authorities alone: those of Node.js stay trusted.',
    }
  }
  const unreadable = certificates.findIndex((one) => !isCertificate(one))
  if (unreadable >= 0) {
    return {
      problem: `has a certificate that cannot be read: number ${unreadable + 1}`,
      fix: 'Copy it again: openssl x509 -in FILE -noout -subject reads a file that is whole.',
    }
  }
  return undefined
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem)
    return true
  } catch {
    return false
  }
}
