/** A certificate authority for the lifetime of this process: its key is made at start and never stored. */
import 'reflect-metadata' // @peculiar/x509 requires it to be loaded first
import { webcrypto, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import type { TlsIdentity } from './http-server.ts'

x509.cryptoProvider.set(webcrypto as Crypto)

export interface CertificateAuthority {
  /** The authority's own certificate, PEM; NODE_EXTRA_CA_CERTS names a file with it. */
  readonly certificatePem: string
  /** A server certificate for these names; IP addresses are recognised. */
  issue(names: readonly string[]): Promise<TlsIdentity>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 24 * 60 * 60 * 1000

export async function createCertificateAuthority(): Promise<CertificateAuthority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    // Of two trusted authorities with one name, OpenSSL uses the first that it finds.
    name: `CN=Local certificate authority of the token broker ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + 30 * day),
    signingAlgorithm: algorithm,
    keys: keys as CryptoKeyPair,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })

  return {
    certificatePem: authority.toString('pem'),
    issue: async (names) => {
      const serverKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: randomBytes(16).toString('hex'),
        subject: `CN=${names[0] ?? 'localhost'}`,
        issuer: authority.subject,
        notBefore: new Date(Date.now() - day),
        notAfter: new Date(Date.now() + 30 * day),
        signingAlgorithm: algorithm,
        publicKey: serverKeys.publicKey as CryptoKey,
        signingKey: keys.privateKey as CryptoKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
          ),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        ],
      })
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', serverKeys.privateKey))
      return { cert: certificate.toString('pem'), key: pem('PRIVATE KEY', pkcs8) }
    },
  }
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
