/**
 * Trusts private certificate authorities in this thread, beside those of Node.js.
 *
 * Not by NODE_EXTRA_CA_CERTS: Node.js reads that variable when a process starts. Azure starts workers in advance, and
 * gives one the settings of an app later.
 */

/**
 * Call it before the first connection of the thread.
 *
 * @param certificates PEM, one certificate in each text; where there is none, nothing changes
 */
export function trustAuthorities(certificates: readonly string[]): void {
  if (certificates.length === 0) return
  // Not imported: for an import, Node.js reads every member of the module, and one member is the text of all its roots.
  const tls = process.getBuiltinModule('node:tls')
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...certificates])
}
