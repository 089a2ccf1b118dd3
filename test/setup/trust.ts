/** Makes a test's own process trust the local certificate authority, as NODE_EXTRA_CA_CERTS does for a broker. */
import tls from 'node:tls'

const trusted = new Set<string>()

export function trust(certificatePem: string): void {
  // Node parses all authorities again at each call.
  if (trusted.has(certificatePem)) return
  trusted.add(certificatePem)
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificatePem])
}
