/** The surroundings of the programs under test, and the start of each of them. */
import { generateKeyPairSync, randomBytes, randomUUID, X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { startStorageEmulator, storageEmulatorKey } from '../../local/azurite.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { makeSelfSigned } from '../../local/vault/self-signed.ts'
import { startChild } from './child.ts'
import type { Child } from './child.ts'
import type { CloudOptions, CloudReady } from './cloud.ts'
import { createPeople, frontEndOrigin, withBrowser } from './driver.ts'
import type { Guest, Person, RelyingParty } from './driver.ts'
import { buildPrograms } from './programs.ts'
import type { BuiltBroker, PeerName, Programs } from './programs.ts'
import type { Specialised } from './specialise.ts'

/** A process under test that signs people in. */
export interface Running extends Child<{ readonly url: string }>, RelyingParty {}

export interface World {
  /** Those who come again and again. */
  readonly guests: readonly Guest[]
  /** All people of the provider, the guests among them. */
  readonly people: readonly Person[]
  readonly sizes: Programs['sizes']
  /** The brokers' tables. */
  readonly store: { readonly tableServiceUri: string; readonly tablePrefix: string }
  startBroker(options?: BrokerOptions): Promise<Running>
  startPeer(name: PeerName): Promise<Running>
  /** The broker's bundle without a host, which reports the modules that it has loaded. */
  startColdStart(): Promise<Child<unknown>>
  startBareFunction(): Promise<Child<{ readonly url: string }>>
  /** Gives an app to a worker that is warm already. */
  specialise(app: 'broker' | 'bare'): Promise<Specialised>
  /** The Functions library without our host. */
  startLibrary(): Promise<Child<{ readonly url: string }>>
  startPlainServer(): Promise<Child<{ readonly url: string }>>
  close(): Promise<void>
}

export interface BrokerOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** It reports to an ingestion in the other process. */
  readonly telemetry?: boolean
  /** The file for a CPU profile when the process ends. */
  readonly profileFolder?: string
  /** Another build of the broker than the sources'. */
  readonly dist?: string
}

const root = path.join(import.meta.dirname, '..', '..')
export const apiScope = 'api://demo/orders.read'
const scope = `openid profile offline_access ${apiScope}`
const returnUrl = `${frontEndOrigin}/`
// No server listens there: the browser is a loop that follows no further, and instances answer for one base URL.
const brokerBaseUrl = 'http://localhost:7071'
const peerRedirectUri = 'http://localhost:7072/callback'
const loginQuery = new URLSearchParams({ frontend: 'shop', return_url: returnUrl }).toString()
export const brokerPaths = { loginPath: `/login?${loginQuery}`, sessionPath: '/session?frontend=shop' }

interface WorldOptions {
  readonly guests: number
  /** The number of people, the guests first; only the guests by default. */
  readonly people?: number
  /** Of the broker's bundle, for reading profiles. */
  readonly sourcemap?: boolean
  /** Parts that exist already and that other tests use too, in place of parts of this world. */
  readonly shared?: { readonly broker: BuiltBroker; readonly tableServiceUri: string }
}

export async function startWorld({ guests, people = guests, sourcemap = false, shared }: WorldOptions): Promise<World> {
  await mkdir(path.join(root, '.local'), { recursive: true })
  const folder = await mkdtemp(path.join(root, '.local', 'bench-'))
  const closing: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end()
  }
  const keep = <Kept extends { end(): Promise<void> }>(child: Kept): Kept => {
    closing.push(() => child.end())
    return child
  }

  try {
    const everybody = createPeople(people)
    const peers = {
      'openid-client': await registerPeer({ plainAssertions: false }),
      'express-openid-connect': await registerPeer({ plainAssertions: true }),
    }
    const caFile = path.join(folder, 'ca.pem')
    const cloudOptions: CloudOptions = {
      caFile,
      brokerRedirectUri: `${brokerBaseUrl}/callback`,
      peers: Object.values(peers).map(({ clientId, redirectUri, certificate, plainAssertions }) => ({
        clientId,
        redirectUri,
        certificate,
        plainAssertions,
      })),
      people,
    }
    const startTables = async () => {
      const started = await startStorageEmulator('table', 0)
      closing.push(() => started.close())
      return started.url
    }
    const [programs, tableServiceUri, cloud] = await Promise.all([
      buildPrograms(folder, { sourcemap, ...(shared ? { broker: shared.broker } : {}) }),
      shared?.tableServiceUri ?? startTables(),
      startChild<CloudReady>([path.join(import.meta.dirname, 'cloud.ts'), JSON.stringify(cloudOptions)], {
        PATH: process.env.PATH,
      }).then(keep),
    ])

    const tablePrefix = `bench${randomBytes(5).toString('hex')}`
    const brokerSettings = {
      PATH: process.env.PATH,
      ...localDefaults,
      APPLICATIONINSIGHTS_CONNECTION_STRING: '',
      ...cloud.ready.settings,
      Broker__BaseUrl: brokerBaseUrl,
      Broker__TableServiceUri: tableServiceUri,
      Broker__TablePrefix: tablePrefix,
      Broker__FrontEnds: JSON.stringify([
        { id: 'shop', origins: [frontEndOrigin], apis: [{ name: 'orders', scopes: [apiScope] }] },
      ]),
    }
    /** The peer on Functions has the broker's registration, certificate and identity. */
    const functionsSettings = () => ({
      PATH: process.env.PATH,
      ...cloud.ready.settings,
      NODE_ENV: 'production',
      ISSUER: cloud.ready.issuer,
      CLIENT_ID: localDefaults.AzureAd__ClientId,
      REDIRECT_URI: `${brokerBaseUrl}/callback`,
      RETURN_URL: returnUrl,
      SCOPE: scope,
      VAULT_URL: cloud.ready.vaultUrl,
      CERTIFICATE_NAME: localDefaults.AzureAd__ClientCredentials__0__KeyVaultCertificateName,
      TABLES_URL: tableServiceUri,
      TABLES_KEY: storageEmulatorKey,
    })
    const peerSettings = (name: keyof typeof peers) => ({
      PATH: process.env.PATH,
      NODE_EXTRA_CA_CERTS: caFile,
      // As deployed: express answers errors at length otherwise.
      NODE_ENV: 'production',
      ISSUER: cloud.ready.issuer,
      CLIENT_ID: peers[name].clientId,
      REDIRECT_URI: peers[name].redirectUri,
      RETURN_URL: returnUrl,
      SCOPE: scope,
      CERTIFICATE: peers[name].certificate,
      PRIVATE_KEY: peers[name].privateKey,
      SESSION_SECRET: randomBytes(32).toString('base64url'),
    })

    return {
      guests: everybody.slice(0, guests).map(withBrowser),
      people: everybody,
      sizes: programs.sizes,
      store: { tableServiceUri, tablePrefix },
      startBroker: async ({ settings = {}, telemetry = false, profileFolder, dist } = {}) => {
        const profiling =
          profileFolder === undefined
            ? []
            : ['--cpu-prof', '--cpu-prof-interval', '100', `--cpu-prof-dir=${profileFolder}`]
        const env = { ...brokerSettings, ...(telemetry ? cloud.ready.telemetrySettings : {}), ...settings }
        const child = keep(await startChild<{ url: string }>([...profiling, ...programs.broker(dist)], env))
        return { ...child, name: 'broker', url: child.ready.url, ...brokerPaths }
      },
      startPeer: async (name) => {
        const child = keep(
          await startChild<{ url: string }>(
            programs.peers[name],
            name === 'functions' || name === 'functions, bundled' ? functionsSettings() : peerSettings(name),
          ),
        )
        return { ...child, name, url: child.ready.url, loginPath: '/login', sessionPath: '/session' }
      },
      startBareFunction: async () => keep(await startChild(programs.bare, { PATH: process.env.PATH })),
      specialise: async (app) => {
        const { program, apps } = programs.specialise
        const worker = keep(await startChild(program, brokerSettings))
        const specialised = (await worker.ask(apps[app])) as Specialised
        await worker.end()
        if (specialised.functions === 0) throw new Error(`The app registered no function.\n${worker.log()}`)
        return specialised
      },
      startColdStart: async () => keep(await startChild(programs.coldStart, brokerSettings)),
      startLibrary: async () => keep(await startChild(programs.library, { PATH: process.env.PATH })),
      startPlainServer: async () => keep(await startChild(programs.plain, { PATH: process.env.PATH })),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function registerPeer({ plainAssertions }: { readonly plainAssertions: boolean }) {
  return { clientId: randomUUID(), redirectUri: peerRedirectUri, plainAssertions, ...(await makePeerCertificate()) }
}

/** The same size as the broker's, with the key where the peer can use it. */
async function makePeerCertificate(): Promise<{ certificate: string; privateKey: string }> {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const day = 24 * 60 * 60 * 1000
  const der = await makeSelfSigned({
    ...keys,
    subject: 'CN=peer',
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + 30 * day),
  })
  return {
    certificate: new X509Certificate(der).toString(),
    privateKey: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
