/**
 * Identity provider, vault and managed identity, in a process of their own so that their CPU time is not counted.
 * `npm start` starts the same parts; here the provider knows a second application, the peer.
 */
import { writeFileSync } from 'node:fs'
import { createCertificateAuthority } from '../../local/certificate-authority.ts'
import { startIdentityProvider } from '../../local/identity-provider/identity-provider.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { localIdentity, startManagedIdentity } from '../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../local/vault/permissions.ts'
import { startVault } from '../../local/vault/vault.ts'

export interface CloudOptions {
  /** Where the certificate authority's certificate is written. */
  readonly caFile: string
  readonly brokerRedirectUri: string
  readonly peer: { readonly clientId: string; readonly redirectUri: string; readonly certificate: string }
  readonly people: readonly { readonly username: string; readonly name: string; readonly objectId: string }[]
}

/** What is printed when all of it listens. */
export interface CloudReady {
  readonly issuer: string
  /** For the broker. */
  readonly settings: Readonly<Record<string, string>>
}

const { caFile, brokerRedirectUri, peer, people } = JSON.parse(process.argv[2] ?? '') as CloudOptions
const tenantId = localDefaults.AzureAd__TenantId!
const certificateName = localDefaults.AzureAd__ClientCredentials__0__KeyVaultCertificateName!
process.on('disconnect', () => process.exit())

const authority = await createCertificateAuthority()
writeFileSync(caFile, authority.certificatePem)
const tls = await authority.issue(['localhost', '127.0.0.1', '::1'])
const managedIdentity = await startManagedIdentity({ port: 0 })
const vault = await startVault({
  port: 0,
  tls,
  verifyAccessToken: (token, audience) => managedIdentity.issuer.verifyAccessToken(token, audience),
  permissions: { [localIdentity.clientId]: brokerAccessPolicy },
  tenantId,
})
await vault.createCertificate(certificateName, { keySize: 2048 })
await vault.createKey(localDefaults.Broker__WrappingKeyName!, { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })

const provider = await startIdentityProvider({
  port: 0,
  tls,
  tenantId,
  people,
  apis: [{ audience: 'api://demo', scopes: ['orders.read'] }],
  clients: [
    {
      clientId: localDefaults.AzureAd__ClientId!,
      redirectUris: [brokerRedirectUri],
      certificates: () => vault.publicCertificates(certificateName).map(({ der }) => der),
    },
    { clientId: peer.clientId, redirectUris: [peer.redirectUri], certificates: [peer.certificate] },
  ],
})

const ready: CloudReady = {
  issuer: provider.issuer,
  settings: {
    AzureAd__Instance: `${new URL(provider.issuer).origin}/`,
    AzureAd__ClientCredentials__0__KeyVaultUrl: vault.url,
    IDENTITY_ENDPOINT: managedIdentity.url,
    IDENTITY_HEADER: managedIdentity.header,
    AZURE_CLIENT_ID: localIdentity.clientId,
    NODE_EXTRA_CA_CERTS: caFile,
  },
}
process.stdout.write(`${JSON.stringify(ready)}\n`)
