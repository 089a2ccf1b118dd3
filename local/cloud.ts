/**
 * The local cloud: every service that the broker calls, on loopback, and the settings that name them. `npm start`
 * and the tests start the same parts.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { FrontEndSettings } from '../shared/settings/settings.ts'
import { startStorageEmulator } from './azurite.ts'
import type { StorageEmulator, StorageService } from './azurite.ts'
import { createCertificateAuthority } from './certificate-authority.ts'
import { startDemoApi } from './demo/api.ts'
import { startDemoFrontEnd } from './demo/front-end.ts'
import { startOtherSiteDemo } from './demo/other-site.ts'
import { startGraph } from './graph/graph.ts'
import type { Graph } from './graph/graph.ts'
import type { TlsIdentity } from './http-server.ts'
import { startFederationServer } from './identity-provider/adfs/federation-server.ts'
import type { FederationServer } from './identity-provider/adfs/federation-server.ts'
import { startIdentityProvider } from './identity-provider/identity-provider.ts'
import type { Api, IdentityProvider } from './identity-provider/identity-provider.ts'
import { startIngestion } from './ingestion/ingestion.ts'
import type { Ingestion } from './ingestion/ingestion.ts'
import { createAccessTokenIssuer, tokenExchangeAudience } from './managed-identity/access-tokens.ts'
import type { AccessTokenIssuer } from './managed-identity/access-tokens.ts'
import { localIdentity, startManagedIdentity } from './managed-identity/managed-identity.ts'
import type { ManagedIdentity } from './managed-identity/managed-identity.ts'
import type { MakeKeyPair } from './rsa-key-pair.ts'
import { brokerAccessPolicy } from './vault/permissions.ts'
import type { PublicCertificate } from './vault/certificate-json.ts'
import { startVault } from './vault/vault.ts'
import type { Vault } from './vault/vault.ts'
import type { Ports } from './ports.ts'

/** Selects the parts to start; a setting that names a real service needs no local part. */
export interface Parts {
  readonly identityProvider: boolean
  /** The same provider dressed as AD FS, in its place. It accepts every version of the vault's certificate. */
  readonly federationServer?: boolean
  readonly vault: boolean
  readonly managedIdentity: boolean
  /** Requires the identity provider, which accepts the certificates that are registered here. */
  readonly graph: boolean
  readonly storage: readonly StorageService[]
  /** Application Insights; requires the managed identity, which issues the tokens for it. */
  readonly ingestion: boolean
  readonly demo: boolean
}

export const allParts: Parts = {
  identityProvider: true,
  vault: true,
  managedIdentity: true,
  graph: true,
  storage: ['table'],
  ingestion: true,
  demo: true,
}

interface CloudOptions {
  readonly ports: Ports
  readonly parts?: Parts
  /** The broker's origin, and origins of further instances that answer callbacks. */
  readonly brokerUrls: readonly string[]
  /** The id of the identity provider in Broker__Providers, where it is not the primary one: a redirect URI has it. */
  readonly providerId?: string | undefined
  /** Registered front ends: the identity provider registers their APIs. The demo front ends are added. */
  readonly frontEnds: readonly FrontEndSettings[]
  readonly tenantId: string
  readonly clientId: string
  readonly applicationObjectId?: string | undefined
  readonly certificateName: string
  readonly wrappingKeyName: string
  /** IDENTITY_HEADER of the broker's managed identity. */
  readonly identityHeader?: string
  /** The app registration trusts the managed identity: a token of it is a client assertion. */
  readonly trustsManagedIdentity?: boolean
  /** 3072 as in Azure; tests use 2048, which is made in a third of the time. */
  readonly keySize?: 2048 | 3072
  /** Used in place of a new key for each certificate and key of the vault, and for each signing key of the provider. */
  readonly makeKeyPair?: MakeKeyPair
  /** Path of the file for the certificate of the local certificate authority. */
  readonly caFile: string
  /** PEM of further authorities that the broker trusts. Written to the same file, since Node reads only one. */
  readonly trusted?: string | undefined
  /** Called when the vault has made a version after the first, as Event Grid would deliver the event. */
  readonly onNewCertificateVersion?: (certificate: PublicCertificate) => void
}

export interface Cloud {
  readonly identityProvider: IdentityProvider | undefined
  readonly federationServer: FederationServer | undefined
  readonly vault: Vault | undefined
  readonly managedIdentity: ManagedIdentity | undefined
  readonly graph: Graph | undefined
  readonly ingestion: Ingestion | undefined
  readonly storage: readonly StorageEmulator[]
  readonly demoFrontEnd: { readonly url: string } | undefined
  /** The demo front end that shares no site with the broker. */
  readonly demoOtherSite: { readonly url: string; readonly redirectUri: string } | undefined
  readonly demoApi: { readonly url: string } | undefined
  readonly ca: string
  /** The certificate by which the parts serve https on loopback, for use by a further part. */
  readonly tls: TlsIdentity
  readonly caFile: string
  /** Settings by which the broker finds these parts. */
  readonly settings: Readonly<Record<string, string>>
  close(): Promise<void>
}

export const demoApiName = 'orders'
const demoFrontEndId = 'demo'
export const demoOtherSiteId = 'demo-oauth'
const demoApiAudience = 'api://demo'
const demoApis: readonly Api[] = [{ audience: demoApiAudience, scopes: ['orders.read', 'orders.write'] }]

/** @throws {LocalError} when a port is in use; parts that had started are ended */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { ports, parts = allParts, certificateName, wrappingKeyName, keySize = 3072 } = options
  const started: { close(): Promise<void> }[] = []
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    started.push(part)
    return part
  }
  const close = async () => {
    await Promise.all(started.map((part) => part.close()))
  }

  try {
    const authority = await createCertificateAuthority()
    const tls = await authority.issue(['localhost', '127.0.0.1', '::1'])

    const storage = Promise.all(
      parts.storage.map(async (service) => keep(await startStorageEmulator(service, ports[service]))),
    )
    storage.catch(() => undefined) // reported below, where it is awaited

    const managedIdentity = parts.managedIdentity
      ? keep(
          await startManagedIdentity({
            port: ports.managedIdentity,
            ...(options.identityHeader === undefined ? {} : { header: options.identityHeader }),
          }),
        )
      : undefined

    const vault =
      parts.vault && managedIdentity
        ? keep(
            await startVault({
              port: ports.vault,
              tls,
              verifyAccessToken: (token, audience) => managedIdentity.issuer.verifyAccessToken(token, audience),
              permissions: { [localIdentity.clientId]: brokerAccessPolicy },
              tenantId: options.tenantId,
              ...(options.makeKeyPair === undefined ? {} : { makeKeyPair: options.makeKeyPair }),
              onNewCertificateVersion: (certificate) => {
                // As with Event Grid, the vault does not wait for the delivery.
                // There is no event for the first version.
                if (certificate.name === certificateName && isRegistered) options.onNewCertificateVersion?.(certificate)
              },
            }),
          )
        : undefined
    const application = { id: options.applicationObjectId ?? randomUUID(), appId: options.clientId }
    const issuer = managedIdentity?.issuer ?? (await createAccessTokenIssuer(options.tenantId))
    const graph = parts.graph
      ? keep(
          await startGraph({
            port: ports.graph,
            tls,
            verifyAccessToken: issuer.verifyAccessToken,
            applications: [application],
          }),
        )
      : undefined
    if (options.trustsManagedIdentity) {
      graph?.applications.trust(application, {
        name: 'broker-managed-identity',
        issuer: issuer.exchangeIssuer,
        subject: localIdentity.principalId,
        audiences: [tokenExchangeAudience],
      })
    }
    const ingestion =
      parts.ingestion && managedIdentity
        ? keep(
            await startIngestion({
              port: ports.ingestion,
              tls,
              verifyAccessToken: managedIdentity.issuer.verifyAccessToken,
              publishers: [localIdentity.clientId],
            }),
          )
        : undefined
    let isRegistered = false
    /** The deployment registers the first version; the broker registers the later ones. */
    const registerFirst = ({ der }: PublicCertificate) => {
      graph?.applications.register(application, der, { displayName: 'registered at deployment' })
      isRegistered = true
    }
    const keys =
      vault &&
      Promise.all([
        vault.createCertificate(certificateName, { keySize }).then(registerFirst),
        vault.createKey(wrappingKeyName, { keySize, keyOps: ['sign', 'wrapKey', 'unwrapKey'] }),
      ])
    keys?.catch(() => undefined)

    const identityProvider = parts.identityProvider
      ? keep(await startEntra(options, tls, { graph, issuer, application }))
      : undefined

    const federationServer = parts.federationServer ? keep(await startAdfs(options, tls, vault)) : undefined
    // Access tokens of AD FS name an issuer of their own; those of Entra ID the issuer of the person's tenant.
    const tokenIssuer =
      federationServer === undefined
        ? identityProvider && { issuer: identityProvider.tenantIssuers, jwksUrl: identityProvider.jwksUrl }
        : { issuer: federationServer.accessTokenIssuer, jwksUrl: federationServer.jwksUrl }
    const demo =
      parts.demo && tokenIssuer ? await startDemo(options, tokenIssuer, authority.certificatePem, keep) : undefined
    await keys
    const emulators = await storage
    const table = emulators.find(({ service }) => service === 'table')
    // Last: a start that fails at a port in use must not replace the file of the parts that have the port.
    await mkdir(path.dirname(options.caFile), { recursive: true })
    await writeFile(options.caFile, [authority.certificatePem, options.trusted ?? ''].join('\n'))

    return {
      identityProvider,
      federationServer,
      vault,
      managedIdentity,
      graph,
      ingestion,
      storage: emulators,
      demoFrontEnd: demo?.frontEnd,
      demoOtherSite: demo?.otherSite,
      demoApi: demo?.api,
      ca: authority.certificatePem,
      tls,
      caFile: options.caFile,
      settings: settingsOf({
        identityProvider,
        federationServer,
        vault,
        managedIdentity,
        graph: graph && { url: graph.url, applicationObjectId: application.id },
        table,
        ingestion,
        caFile: options.caFile,
      }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

interface EntraParts {
  readonly graph: Graph | undefined
  readonly issuer: AccessTokenIssuer
  readonly application: { readonly id: string }
}

/**
 * The identity provider as Entra ID: it accepts the certificates and the managed identities that Graph has registered.
 */
function startEntra(
  options: CloudOptions,
  tls: TlsIdentity,
  { graph, issuer, application }: EntraParts,
): Promise<IdentityProvider> {
  const { ports } = options
  return startIdentityProvider({
    port: ports.identityProvider,
    tls,
    tenantId: options.tenantId,
    ...(options.makeKeyPair === undefined ? {} : { makeKeyPair: options.makeKeyPair }),
    apis: mergeApis(demoApis, apisOf(options.frontEnds)),
    clients: [
      {
        clientId: options.clientId,
        name: 'Certificate token broker',
        redirectUris: options.brokerUrls.flatMap((url) => [
          options.providerId === undefined ? `${url}/callback` : `${url}/callback/${options.providerId}`,
          `${url}/signup/consented`,
        ]),
        postLogoutRedirectUris: options.brokerUrls.map((url) => `${url}/logout/done`),
        certificates: () => graph?.applications.acceptedCertificates(options.clientId) ?? [],
        federated: {
          credentials: () => graph?.applications.acceptedFederatedCredentials(options.clientId) ?? [],
          verify: (token) => issuer.verifyExchangeToken(token),
        },
      },
    ],
    applicationTokens: async (clientId, audience) => {
      const seconds = 3600
      const principalId = application.id
      const issued = await issuer.issueAccessToken({
        clientId,
        principalId,
        audience,
        lifetimeSeconds: seconds,
      })
      return { token: issued.token, seconds }
    },
  })
}

/** The identity provider as AD FS, with the certificates of the vault. */
function startAdfs(options: CloudOptions, tls: TlsIdentity, vault: Vault | undefined): Promise<FederationServer> {
  const { ports, certificateName } = options
  return startFederationServer({
    port: ports.identityProvider,
    tls,
    ...(options.makeKeyPair === undefined ? {} : { makeKeyPair: options.makeKeyPair }),
    apis: mergeApis(demoApis, apisOf(options.frontEnds)),
    clients: [
      {
        clientId: options.clientId,
        redirectUris: options.brokerUrls.flatMap((url) => [`${url}/callback`, `${url}/logout/done`]),
        get certificates() {
          return vault?.publicCertificates(certificateName).map(({ der }) => der) ?? []
        },
      },
    ],
  })
}

interface Found extends Pick<
  Cloud,
  'identityProvider' | 'federationServer' | 'vault' | 'managedIdentity' | 'ingestion'
> {
  readonly graph: { readonly url: string; readonly applicationObjectId: string } | undefined
  readonly table: StorageEmulator | undefined
  readonly caFile: string
}

/** Settings by which the broker finds the parts that were started. */
function settingsOf(found: Found): Readonly<Record<string, string>> {
  const { identityProvider, federationServer, vault, managedIdentity, graph, table, ingestion, caFile } = found
  return {
    ...(identityProvider ? { AzureAd__Instance: `${new URL(identityProvider.issuer).origin}/` } : {}),
    ...(federationServer ? { Broker__Authority: federationServer.issuer } : {}),
    ...(vault ? { AzureAd__ClientCredentials__0__KeyVaultUrl: vault.url } : {}),
    ...(graph ? { Broker__GraphUrl: graph.url, Broker__ApplicationObjectId: graph.applicationObjectId } : {}),
    ...(managedIdentity
      ? {
          IDENTITY_ENDPOINT: managedIdentity.url,
          IDENTITY_HEADER: managedIdentity.header,
          AZURE_CLIENT_ID: localIdentity.clientId,
        }
      : {}),
    ...(table ? { Broker__TableServiceUri: table.url } : {}),
    ...(ingestion
      ? {
          APPLICATIONINSIGHTS_CONNECTION_STRING: ingestion.connectionString,
          APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `Authorization=AAD;ClientId=${localIdentity.clientId}`,
        }
      : {}),
    NODE_EXTRA_CA_CERTS: caFile,
  }
}

async function startDemo(
  { ports, brokerUrls, frontEnds }: CloudOptions,
  provider: { readonly issuer: string | readonly string[]; readonly jwksUrl: string },
  ca: string,
  keep: <T extends { close(): Promise<void> }>(part: T) => T,
) {
  const origins = frontEnds.flatMap((frontEnd) => frontEnd.origins)
  const demoOrigins: string[] = []
  const api = keep(
    await startDemoApi({
      port: ports.demoApi,
      issuer: provider.issuer,
      jwksUrl: provider.jwksUrl,
      ca,
      audience: demoApiAudience,
      corsOrigins: () => [...origins, ...demoOrigins],
    }),
  )
  const frontEnd = keep(
    await startDemoFrontEnd({
      port: ports.demoFrontEnd,
      brokerUrl: brokerUrls[0] ?? '',
      apiUrl: api.url,
      frontEndId: demoFrontEndId,
      apiName: demoApiName,
    }),
  )
  const otherSite = keep(
    await startOtherSiteDemo({
      port: ports.demoOtherSite,
      brokerUrl: brokerUrls[0] ?? '',
      apiUrl: api.url,
      clientId: demoOtherSiteId,
      scope: `${demoApiAudience}/orders.read`,
    }),
  )
  demoOrigins.push(new URL(frontEnd.url).origin, new URL(otherSite.url).origin)
  return { api, frontEnd, otherSite }
}

/** The APIs that the front ends name: the resource is the part of a scope before its last slash. */
function apisOf(frontEnds: readonly FrontEndSettings[]): readonly Api[] {
  return frontEnds.flatMap(({ apis }) =>
    apis.flatMap(({ scopes }) =>
      scopes.map((scope) => {
        const at = scope.lastIndexOf('/')
        return { audience: scope.slice(0, at), scopes: [scope.slice(at + 1)] }
      }),
    ),
  )
}

function mergeApis(...lists: readonly (readonly Api[])[]): readonly Api[] {
  const merged = new Map<string, Set<string>>()
  for (const { audience, scopes } of lists.flat()) {
    const known = merged.get(audience) ?? new Set()
    for (const scope of scopes) known.add(scope)
    merged.set(audience, known)
  }
  return [...merged].map(([audience, scopes]) => ({ audience, scopes: [...scopes] }))
}
