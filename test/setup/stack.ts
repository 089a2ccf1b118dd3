/**
 * A complete system for a test file: every real part on free ports, and one or several broker processes.
 * See test/README.md.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { inject } from 'vitest'
import { allParts, demoOtherSiteId, startCloud } from '../../local/cloud.ts'
import type { Cloud } from '../../local/cloud.ts'
import { startHostProcess } from '../../local/functions-host/process.ts'
import type { HostProcess } from '../../local/functions-host/process.ts'
import type { Graph } from '../../local/graph/graph.ts'
import type { Ingestion } from '../../local/ingestion/ingestion.ts'
import type { IdentityProvider } from '../../local/identity-provider/identity-provider.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import type { ManagedIdentity } from '../../local/managed-identity/managed-identity.ts'
import { freePorts } from '../../local/ports.ts'
import type { Vault } from '../../local/vault/vault.ts'
import type { FrontEndSettings } from '../../shared/settings/settings.ts'
import { lendKeyPairs } from './key-pairs.ts'
import { createPerson } from './person.ts'
import type { Person } from './person.ts'
import { startTableProxy } from './table-proxy.ts'
import type { TableProxy } from './table-proxy.ts'
import { ownPort } from './own-port.ts'

export interface StackOptions {
  /** The number of brokers that share the store. The default is 1. */
  readonly instances?: number
  /** Settings that override the usual ones. */
  readonly settings?: Readonly<Record<string, string | undefined>>
  readonly frontEnds?: readonly Registration[]
  /** Computes the broker's address behind a proxy from its own address. The default is its own address. */
  readonly baseUrl?: (brokerUrl: string) => Promise<string>
  /** The id of the local provider, where `provider` makes another one the primary one. */
  readonly localProviderId?: string
  /** Another provider beside the local one, and the settings that name it. */
  readonly provider?: (cloud: Cloud, brokerUrl: string) => Promise<BesideProvider>
  /** The demo front ends and API, for the browser. */
  readonly demo?: boolean
  /** The brokers report to `stack.ingestion`; otherwise they report nothing. */
  readonly telemetry?: boolean
}

export interface BesideProvider {
  readonly settings: Readonly<Record<string, string>>
  close(): Promise<void>
}

export type Registration = Pick<FrontEndSettings, 'id' | 'origins' | 'apis'> & Partial<FrontEndSettings>

export interface Stack {
  /** The broker's base URL, which is the first instance's. */
  readonly url: string
  readonly brokers: readonly HostProcess[]
  readonly cloud: Cloud
  readonly identityProvider: IdentityProvider
  readonly vault: Vault
  readonly managedIdentity: ManagedIdentity
  readonly graph: Graph
  /** Receives the brokers' reports; only with `telemetry`. */
  readonly ingestion: Ingestion
  readonly store: TableProxy
  /** Prefix of the names of this stack's tables. */
  readonly tablePrefix: string
  /** Everything that the brokers have written to their logs, also before the newest response. */
  readonly log: () => string
  /** A person with a browser without cookies. */
  person(): Person
  /** Starts a further instance; it ends with the stack. */
  startInstance(settings?: Readonly<Record<string, string | undefined>>): Promise<HostProcess>
  close(): Promise<void>
}

/** Two front ends of the same site with different APIs, so that each can request the other's. */
export const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  apis: [{ name: 'orders', scopes: ['api://demo/orders.read', 'api://demo/orders.write'] }],
}
export const desk: Registration = {
  id: 'desk',
  origins: ['http://localhost:4200'],
  apis: [{ name: 'bills', scopes: ['api://bills/read'] }],
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-stack-'))
  const tablePrefix = `t${randomBytes(5).toString('hex')}`
  const store = await startTableProxy(inject('tableServiceUri'), tablePrefix)
  const port = await ownPort()
  const ownUrl = `http://localhost:${port}`
  const url = (await options.baseUrl?.(ownUrl)) ?? ownUrl
  const registered = options.frontEnds ?? [shop, desk]
  const keyPairs = lendKeyPairs()
  const logFile = path.join(folder, 'log')
  await writeFile(logFile, '')
  let log = () => readFileSync(logFile, 'utf8')
  const removeFolder = () => {
    const whole = log()
    log = () => whole
    return rm(folder, { recursive: true, force: true })
  }
  const closing: (() => unknown)[] = [removeFolder, () => store.close(), () => keyPairs.release()]
  const close = async () => {
    for (const end of closing.reverse()) await end()
  }

  try {
    const cloud = await startCloud({
      ports: freePorts,
      parts: { ...allParts, storage: [], ingestion: options.telemetry ?? false, demo: options.demo ?? false },
      brokerUrls: [url],
      providerId: options.localProviderId,
      frontEnds: registered as readonly FrontEndSettings[],
      tenantId: localDefaults.AzureAd__TenantId!,
      clientId: localDefaults.AzureAd__ClientId!,
      applicationObjectId: localDefaults.Broker__ApplicationObjectId,
      certificateName: localDefaults.AzureAd__ClientCredentials__0__KeyVaultCertificateName!,
      wrappingKeyName: localDefaults.Broker__WrappingKeyName!,
      keySize: 2048,
      makeKeyPair: keyPairs.makeKeyPair,
      caFile: path.join(folder, 'ca.pem'),
    })
    closing.push(() => cloud.close())
    const demo = cloud.demoFrontEnd
      ? [
          {
            id: 'demo',
            origins: [new URL(cloud.demoFrontEnd.url).origin],
            apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }],
          },
          {
            id: demoOtherSiteId,
            kind: 'oauth',
            origins: [new URL(cloud.demoOtherSite!.url).origin],
            redirectUris: [cloud.demoOtherSite!.redirectUri],
            apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }],
          },
        ]
      : []

    const beside = await options.provider?.(cloud, url)
    if (beside) closing.push(() => beside.close())

    const brokers: HostProcess[] = []
    const startInstance = async (settings: Readonly<Record<string, string | undefined>> = {}): Promise<HostProcess> => {
      const broker = await startHostProcess({
        dist: inject('dist'),
        hostProgram: inject('hostProgram'),
        port: brokers.length === 0 ? port : 0,
        logFile,
        env: {
          PATH: process.env.PATH,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
          ...localDefaults,
          APPLICATIONINSIGHTS_CONNECTION_STRING: '',
          // The usual limit of five traces a second would drop reports that a test waits for.
          OTEL_TRACES_SAMPLER: 'always_on',
          // No test waits for the seconds in which reports are collected.
          OTEL_BSP_SCHEDULE_DELAY: '100',
          ...cloud.settings,
          Broker__BaseUrl: url,
          Broker__TableServiceUri: store.url,
          Broker__TablePrefix: tablePrefix,
          Broker__FrontEnds: JSON.stringify([...registered, ...demo]),
          ...beside?.settings,
          ...options.settings,
          ...settings,
        },
      })
      closing.push(() => broker.close())
      brokers.push(broker)
      return broker
    }
    for (let i = 0; i < (options.instances ?? 1); i++) await startInstance()

    return {
      url,
      brokers,
      cloud,
      identityProvider: cloud.identityProvider!,
      vault: cloud.vault!,
      managedIdentity: cloud.managedIdentity!,
      graph: cloud.graph!,
      get ingestion() {
        if (cloud.ingestion) return cloud.ingestion
        throw new Error('This stack has no ingestion endpoint. Start it with startStack({ telemetry: true }).')
      },
      store,
      tablePrefix,
      log: () => log(),
      person: () => createPerson(url),
      startInstance,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
