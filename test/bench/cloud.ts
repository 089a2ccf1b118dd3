/**
 * Identity provider, vault and managed identity, in a process of their own so that their CPU time is not counted.
 * `npm start` starts the same parts; here the provider knows further applications, the peers.
 */
import { writeFileSync } from 'node:fs'
import { createCertificateAuthority } from '../../local/certificate-authority.ts'
import { startIngestion } from '../../local/ingestion/ingestion.ts'
import { startIdentityProvider } from '../../local/identity-provider/identity-provider.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { localIdentity, startManagedIdentity } from '../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../local/vault/permissions.ts'
import { startVault } from '../../local/vault/vault.ts'
import { createPeople } from './driver.ts'

export interface CloudOptions {
  /** The file for the certificate authority's certificate. */
  readonly caFile: string
  readonly brokerRedirectUri: string
  readonly peers: readonly {
    readonly clientId: string
    readonly redirectUri: string
    readonly certificate: string
    /** Its library can set neither the certificate's thumbprint nor the audience that Entra requires. */
    readonly plainAssertions: boolean
  }[]
  /** The number of people. */
  readonly people: number
}

/** The line that is printed when all parts listen. */
export interface CloudReady {
  readonly issuer: string
  readonly vaultUrl: string
  /** For the broker. */
  readonly settings: Readonly<Record<string, string>>
  /** With these on top it reports to the local ingestion. */
  readonly telemetrySettings: Readonly<Record<string, string>>
}

const { caFile, brokerRedirectUri, peers, people } = JSON.parse(process.argv[2] ?? '') as CloudOptions
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
await vault.createKey(localDefaults.Broker__WrappingKeyName!, {
  keySize: 2048,
  keyOps: ['sign', 'wrapKey', 'unwrapKey'],
})

const provider = await startIdentityProvider({
  port: 0,
  tls,
  tenantId,
  people: createPeople(people),
  apis: [{ audience: 'api://demo', scopes: ['orders.read'] }],
  clients: [
    {
      clientId: localDefaults.AzureAd__ClientId!,
      redirectUris: [brokerRedirectUri],
      certificates: () => vault.publicCertificates(certificateName).map(({ der }) => der),
    },
    ...peers.map(({ clientId, redirectUri, certificate, plainAssertions }) => ({
      clientId,
      redirectUris: [redirectUri],
      certificates: [certificate],
      plainAssertions,
    })),
  ],
})

// It keeps every request for tests to read; the bench reads none, and ten thousand people send fifty thousand.
setInterval(() => provider.resetRequests(), 1000).unref()

const ingestion = await startIngestion({
  port: 0,
  tls,
  verifyAccessToken: (token, audience) => managedIdentity.issuer.verifyAccessToken(token, audience),
  publishers: [localIdentity.clientId],
})

const ready: CloudReady = {
  issuer: provider.issuer,
  vaultUrl: vault.url,
  settings: {
    AzureAd__Instance: `${new URL(provider.issuer).origin}/`,
    AzureAd__ClientCredentials__0__KeyVaultUrl: vault.url,
    IDENTITY_ENDPOINT: managedIdentity.url,
    IDENTITY_HEADER: managedIdentity.header,
    AZURE_CLIENT_ID: localIdentity.clientId,
    NODE_EXTRA_CA_CERTS: caFile,
  },
  telemetrySettings: {
    APPLICATIONINSIGHTS_CONNECTION_STRING: ingestion.connectionString,
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `Authorization=AAD;ClientId=${localIdentity.clientId}`,
  },
}
process.stdout.write(`${JSON.stringify(ready)}\n`)
