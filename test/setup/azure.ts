/**
 * The cloud that a deployment calls, on loopback: Resource Manager, Microsoft Graph and a vault, with one token issuer.
 */
import { startArm } from './resource-manager.ts'
import type { Arm } from './resource-manager.ts'
import { createCertificateAuthority } from '../../local/certificate-authority.ts'
import { createDirectory } from './graph-directory.ts'
import type { Directory } from './graph-directory.ts'
import { startGraph } from '../../local/graph/graph.ts'
import type { Graph } from '../../local/graph/graph.ts'
import { createAccessTokenIssuer } from '../../local/managed-identity/access-tokens.ts'
import type { AccessTokenIssuer } from '../../local/managed-identity/access-tokens.ts'
import { startVault } from '../../local/vault/vault.ts'
import type { Vault } from '../../local/vault/vault.ts'
import { lendKeyPairs } from './key-pairs.ts'

export const subscriptionId = 'aaaaaaaa-1111-4111-8111-111111111111'
export const tenantId = '11111111-1111-4111-8111-111111111111'

/** A person or a pipeline that deploys. */
export interface Deployer {
  readonly clientId: string
  readonly principalId: string
  readonly kind: 'user' | 'app'
}
export const anna: Deployer = {
  clientId: '66666666-6666-4666-8666-666666666666',
  principalId: '8a4c2e60-1b3d-4f5a-8c7e-9d0b1a2c3e4f',
  kind: 'user',
}
export const bruno: Deployer = {
  clientId: '66666666-6666-4666-8666-777777777777',
  principalId: '8a4c2e60-1b3d-4f5a-8c7e-777777777777',
  kind: 'user',
}
export const pipeline: Deployer = {
  clientId: '66666666-6666-4666-8666-888888888888',
  principalId: '8a4c2e60-1b3d-4f5a-8c7e-888888888888',
  kind: 'app',
}
/** Permissions of the deployer in the first and in the second pass. */
export const officerPolicy = { certificates: ['get', 'list', 'create', 'update'] }
export const readerPolicy = { certificates: ['get', 'list'] }

export interface Azure {
  readonly arm: Arm
  readonly graph: Graph
  readonly directory: Directory
  readonly vault: Vault
  readonly issuer: AccessTokenIssuer
  /** PEM of the certificate authority of all servers. */
  readonly authorityPem: string
  close(): Promise<void>
}

/** One for all servers of a test file: TLS finds an authority by its name, and all of them have the same. */
let authorities: ReturnType<typeof createCertificateAuthority> | undefined

export async function startAzure(permissions: Readonly<Record<string, object>> = {}): Promise<Azure> {
  const authority = await (authorities ??= createCertificateAuthority())
  const tls = await authority.issue(['localhost'])
  const issuer = await createAccessTokenIssuer(tenantId)
  const { verifyAccessToken } = issuer
  const directory = createDirectory()
  const keyPairs = lendKeyPairs()
  const [vault, graph, arm] = await Promise.all([
    startVault({
      port: 0,
      tls,
      verifyAccessToken,
      permissions,
      tenantId,
      makeKeyPair: keyPairs.makeKeyPair,
    }),
    startGraph({ port: 0, tls, verifyAccessToken, routes: directory.routes }),
    startArm({ port: 0, tls, verifyAccessToken, tenantId }),
  ])
  return {
    arm,
    graph,
    directory,
    vault,
    issuer,
    authorityPem: authority.certificatePem,
    close: async () => {
      await Promise.all([vault.close(), graph.close(), arm.close()])
      keyPairs.release()
    },
  }
}
