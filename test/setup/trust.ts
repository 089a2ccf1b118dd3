/** Makes a test's own process trust the local certificate authority, as NODE_EXTRA_CA_CERTS does for a broker. */
import tls from 'node:tls'

export function trust(certificatePem: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificatePem])
}
