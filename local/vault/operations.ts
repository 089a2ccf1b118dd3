/** Every operation of the vault's REST that this emulator has, with its route and the permission it requires. */
import type { Permission } from './permissions.ts'

const route = <const Name extends string>(
  method: string,
  path: string,
  name: Name,
  area: Permission['area'],
  permission: string,
) => ({ method, path: path.split('/').slice(1), name, area, permission })

/** In order of precedence: a segment that no earlier row matches is a version. */
const routes = [
  route('GET', '/certificates', 'listCertificates', 'certificates', 'list'),
  route('POST', '/certificates/restore', 'restoreCertificate', 'certificates', 'restore'),
  route('POST', '/certificates/{name}/create', 'createCertificate', 'certificates', 'create'),
  route('POST', '/certificates/{name}/import', 'importCertificate', 'certificates', 'import'),
  route('POST', '/certificates/{name}/backup', 'backupCertificate', 'certificates', 'backup'),
  route('GET', '/certificates/{name}/pending', 'getCertificateOperation', 'certificates', 'get'),
  route('GET', '/certificates/{name}/policy', 'getCertificatePolicy', 'certificates', 'get'),
  route('PATCH', '/certificates/{name}/policy', 'updateCertificatePolicy', 'certificates', 'update'),
  route('GET', '/certificates/{name}/versions', 'listVersions', 'certificates', 'list'),
  route('GET', '/certificates/{name}', 'getCertificate', 'certificates', 'get'),
  route('GET', '/certificates/{name}/{version}', 'getCertificate', 'certificates', 'get'),
  route('PATCH', '/certificates/{name}/{version}', 'updateCertificate', 'certificates', 'update'),
  route('DELETE', '/certificates/{name}', 'deleteCertificate', 'certificates', 'delete'),
  route('GET', '/deletedcertificates/{name}', 'getDeletedCertificate', 'certificates', 'get'),

  route('GET', '/keys', 'listKeys', 'keys', 'list'),
  route('POST', '/keys/restore', 'restoreKey', 'keys', 'restore'),
  route('POST', '/keys/{name}/create', 'createKey', 'keys', 'create'),
  route('POST', '/keys/{name}/backup', 'backupKey', 'keys', 'backup'),
  route('POST', '/keys/{name}/rotate', 'rotateKey', 'keys', 'rotate'),
  route('PUT', '/keys/{name}', 'importKey', 'keys', 'import'),
  route('GET', '/keys/{name}/versions', 'listKeyVersions', 'keys', 'list'),
  route('GET', '/keys/{name}', 'getKey', 'keys', 'get'),
  route('GET', '/keys/{name}/{version}', 'getKey', 'keys', 'get'),
  route('PATCH', '/keys/{name}/{version}', 'updateKey', 'keys', 'update'),
  route('DELETE', '/keys/{name}', 'deleteKey', 'keys', 'delete'),
  route('GET', '/deletedkeys/{name}', 'getDeletedKey', 'keys', 'get'),
  route('POST', '/keys/{name}/{version}/sign', 'sign', 'keys', 'sign'),
  route('POST', '/keys/{name}/{version}/verify', 'verify', 'keys', 'verify'),
  route('POST', '/keys/{name}/{version}/wrapkey', 'wrapkey', 'keys', 'wrapKey'),
  route('POST', '/keys/{name}/{version}/unwrapkey', 'unwrapkey', 'keys', 'unwrapKey'),
  route('POST', '/keys/{name}/{version}/encrypt', 'encrypt', 'keys', 'encrypt'),
  route('POST', '/keys/{name}/{version}/decrypt', 'decrypt', 'keys', 'decrypt'),
  route('POST', '/keys/{name}/{version}/release', 'releaseKey', 'keys', 'release'),

  route('GET', '/secrets', 'listSecrets', 'secrets', 'list'),
  route('POST', '/secrets/restore', 'restoreSecret', 'secrets', 'restore'),
  route('POST', '/secrets/{name}/backup', 'backupSecret', 'secrets', 'backup'),
  route('GET', '/secrets/{name}/versions', 'listSecretVersions', 'secrets', 'list'),
  route('GET', '/secrets/{name}', 'getSecret', 'secrets', 'get'),
  route('GET', '/secrets/{name}/{version}', 'getSecret', 'secrets', 'get'),
  route('PUT', '/secrets/{name}', 'setSecret', 'secrets', 'set'),
]

export type Operation = (typeof routes)[number]['name']

export const operations: readonly Operation[] = [...new Set(routes.map(({ name }) => name))]

/** Methods and paths of all operations, for a test that calls each of them. */
export const everyRoute: readonly { readonly method: string; readonly path: string; readonly operation: Operation }[] =
  routes.map(({ method, path, name }) => ({ method, path: `/${path.join('/')}`, operation: name }))

export interface Match extends Permission {
  readonly operation: Operation
  readonly name: string
  /** Undefined for the newest: the clients send an empty segment then. */
  readonly version: string | undefined
}

export function findOperation(method: string, pathname: string): Match | undefined {
  const segments = pathname.split('/').slice(1)
  for (const { path, name: operation, area, permission, ...candidate } of routes) {
    if (candidate.method !== method || path.length !== segments.length) continue
    const given: Record<string, string> = {}
    const fits = path.every((expected, index) => {
      const segment = segments[index] ?? ''
      if (expected === '{name}') return /^[\da-z-]{1,127}$/i.test((given.name = segment))
      if (expected === '{version}') return /^[\da-z]*$/i.test((given.version = segment))
      return expected === segment.toLowerCase()
    })
    if (fits) return { operation, area, permission, name: given.name ?? '', version: given.version || undefined }
  }
  return undefined
}
