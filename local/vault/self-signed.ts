/** Self-signed certificates for RSA keys, as Key Vault's issuer `Self` makes them. RFC 5280. */
import 'reflect-metadata' // @peculiar/x509 requires it to be loaded first
import { randomBytes, webcrypto } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { KeyUsage } from './certificate-policy.ts'
import type { KeyPair } from '../rsa-key-pair.ts'

x509.cryptoProvider.set(webcrypto as Crypto)

interface SelfSignedOptions extends KeyPair {
  /** A distinguished name, for instance `CN=broker`. */
  readonly subject: string
  readonly keyUsage: readonly KeyUsage[]
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
}

const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }

/** @returns the certificate, DER */
export async function makeSelfSigned(options: SelfSignedOptions): Promise<Buffer> {
  const { publicKey, privateKey, subject, keyUsage, extendedKeyUsage, notBefore, notAfter } = options
  const usages: x509.KeyUsageFlags[] = keyUsage.map((usage) => x509.KeyUsageFlags[usage])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    name: subject,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys: { publicKey: cryptoKey(publicKey, 'verify'), privateKey: cryptoKey(privateKey, 'sign') },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      // RFC 5280 §4.2.1.3: one bit at least, or no extension.
      ...(usages.length > 0
        ? [
            new x509.KeyUsagesExtension(
              usages.reduce((flags, flag) => flags | flag),
              true,
            ),
          ]
        : []),
      new x509.ExtendedKeyUsageExtension([...extendedKeyUsage]),
    ],
  })
  return Buffer.from(certificate.rawData)
}

/** x509 exports the public key; the private key only signs. */
const cryptoKey = (key: KeyObject, usage: 'sign' | 'verify') =>
  key.toCryptoKey(algorithm, usage === 'verify', [usage]) as CryptoKey
