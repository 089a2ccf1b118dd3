/**
 * Secrets: here only those of certificates. They contain the private key where the certificate's policy makes it
 * exportable, and only there.
 */
import { X509Certificate } from 'node:crypto'
import type { CertificateVersion } from './certificate-json.ts'
import type { Certificates } from './certificates.ts'
import type { Handler, VaultContext } from './context.ts'
import type { Keys } from './keys.ts'
import type { Operation } from './operations.ts'
import { VaultError } from './vault-error.ts'
import { attributesJson, byVersion, page } from './versions.ts'

export function createSecretHandlers(
  { url, pageSize }: VaultContext,
  { store, policyOf }: Certificates,
  keys: Keys,
): Partial<Record<Operation, Handler>> {
  const item = ({ name, version, attributes }: CertificateVersion) => ({
    id: `${url()}/secrets/${name}/${version}`,
    contentType: policyOf(name).secret_props.contentType,
    attributes: attributesJson(attributes),
    managed: true,
  })

  const valueOf = ({ name, version, der }: CertificateVersion): string => {
    const pem = policyOf(name).secret_props.contentType === 'application/x-pem-file'
    const certificate = new X509Certificate(der).toString()
    const key = keys.store.get(name, version)
    if (!key.exportable) return pem ? certificate : der.toString('base64')
    if (pem) return `${key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()}${certificate}`
    throw new VaultError(501, 'NotImplemented', 'The local vault exports application/x-pem-file, not PKCS #12.')
  }

  return {
    listSecrets: ({ query }) => ({
      body: page(
        store.names().map((name) => store.get(name, undefined)),
        (certificate) => ({ ...item(certificate), id: `${url()}/secrets/${certificate.name}` }),
        { link: `${url()}/secrets`, query, pageSize },
      ),
    }),
    listSecretVersions: ({ name, query }) => ({
      body: page([...store.versions(name)].sort(byVersion), item, {
        link: `${url()}/secrets/${name}/versions`,
        query,
        pageSize,
      }),
    }),
    getSecret: ({ name, version }) => {
      const certificate = store.get(name, version)
      if (!certificate.attributes.enabled) {
        throw new VaultError(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled')
      }
      const kid = `${url()}/keys/${name}/${certificate.version}`
      return { body: { ...item(certificate), kid, value: valueOf(certificate) } }
    },
  }
}
