/** Starts the local cloud and the broker, prints the banner, and ends everything on Ctrl-C or SIGTERM. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isLoopbackUrl } from '../shared/settings/addresses.ts'
import { declarations } from '../shared/settings/declarations.ts'
import { describeProblem, parseSettings } from '../shared/settings/settings.ts'
import type { Settings } from '../shared/settings/settings.ts'
import { proxyPolicyOf } from '../shared/outbound/proxy.ts'
import { build, stopBuilds } from '../tools/build.ts'
import { findSilent, requestEach } from './answering.ts'
import { banner, printedAddresses, readyLine } from './banner.ts'
import type { Started } from './banner.ts'
import { startCloud } from './cloud.ts'
import type { Cloud, Parts } from './cloud.ts'
import { onShutdown } from './shutdown.ts'
import { createEventGrid } from './event-grid.ts'
import type { EventGrid } from './event-grid.ts'
import { routePrefixSetting } from './functions-host/host-json.ts'
import { startHostProcess } from './functions-host/process.ts'
import type { HostProcess } from './functions-host/process.ts'
import { freePort } from './http-server.ts'
import { withLocalDefaults } from './local-defaults.ts'
import { fixedPorts, freePorts } from './ports.ts'
import type { Ports } from './ports.ts'
import { reportFailure } from './program-failure.ts'
import { findSettingsFile } from './settings-file.ts'
import { dropShellSecrets } from './shell-secrets.ts'
import { brokerPortOf, parseStartArguments, startUsage } from './start-arguments.ts'
import type { StartArguments } from './start-arguments.ts'

const root = path.join(import.meta.dirname, '..')
const began = performance.now()

/** Exit codes: 2 for refused settings, 1 for any other reason not to start. */
export async function run(commandLine: readonly string[]): Promise<void> {
  const closing: (() => Promise<unknown>)[] = []
  const signal = new AbortController()
  const end = async (code: number): Promise<never> => {
    for (const close of closing.reverse()) await close().catch(() => undefined)
    process.exit(code)
  }
  const onSignal = () => {
    if (signal.signal.aborted) return
    signal.abort()
    // The broker finishes its running invocations, for example a roll that waits for the provider.
    setTimeout(
      () => console.error('Shutting down within about ten seconds: the broker finishes its running invocations.'),
      2000,
    ).unref()
    void end(0)
  }
  onShutdown(onSignal)

  try {
    const options = parseStartArguments(commandLine)
    if (options.help) {
      console.log(startUsage)
      return await end(0)
    }
    dropShellSecrets(process.env, console.error)
    const { environment, ports, fresh } = await prepare(options)
    const settings = parseSettings(environment)
    for (const warning of settings.warnings) console.error(`Warning: ${describeProblem(warning)}`)
    const caFile = await caFileFor(fresh, closing)
    const eventGrid = createEventGrid()
    closing.push(() => eventGrid.close(), stopBuilds)

    const [cloud] = await Promise.all([
      startCloudFor(settings, environment, ports, caFile, options.withBroker, eventGrid).then((started) => {
        closing.push(() => started.close())
        return started
      }),
      options.withBroker ? build({ sourcemap: true }) : undefined,
    ])
    const merged = {
      ...environment,
      ...frontEndsFor(cloud, environment, fresh),
      ...withoutIngestion(cloud, settings),
      ...cloud.settings,
    }
    const broker = options.withBroker
      ? await startBroker(merged, settings, { ...options, port: ports.broker }, closing)
      : undefined
    // Core Tools has timers of its own.
    if (broker) eventGrid.connect(broker)
    else eventGrid.connect({ url: settings.baseUrl }, { timer: false })
    const effective = { cloud, broker, settings: parseSettings(merged) }
    const addresses = printedAddresses({ ...effective, seconds: 0 })
    await requestEach(
      addresses.filter(({ url }) => isLoopbackUrl(url)),
      cloud.ca,
    )
    const silent = await findSilent(
      addresses.filter(({ url }) => !isLoopbackUrl(url)),
      proxyPolicyOf(process.env),
    )
    print(options, { ...effective, seconds: (performance.now() - began) / 1000 }, silent)
  } catch (error) {
    // Ctrl-C ends esbuild too, and its failure may arrive before the signal.
    await wait(100)
    if (signal.signal.aborted) return
    await end(reportFailure(error))
  }
}

/**
 * The environment wins over local.settings.json, which wins over built-in defaults; a port given here wins over all.
 */
async function prepare({ port }: StartArguments) {
  const file = await findSettingsFile(path.join(root, 'local.settings.json'))
  const environment: Record<string, string | undefined> = withLocalDefaults({ ...file, ...process.env })
  // The example's path is relative to the project; the authorities that this machine
  // trusts are added to the file that the broker reads.
  delete environment.NODE_EXTRA_CA_CERTS
  const fresh = port === 0
  const brokerPort = fresh ? await freePort() : (port ?? brokerPortOf(environment.Broker__BaseUrl))
  if (port !== undefined) environment.Broker__BaseUrl = `http://localhost:${brokerPort}`
  return { environment, fresh, ports: { ...(fresh ? freePorts : fixedPorts), broker: brokerPort } }
}

async function caFileFor(fresh: boolean, closing: (() => Promise<unknown>)[]): Promise<string> {
  if (!fresh) return path.join(root, '.local', 'ca.pem')
  // A second npm start must not replace the file that the broker of the first one reads.
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-local-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  return path.join(folder, 'ca.pem')
}

/** PEM of the authorities that this machine trusts beyond Node's list: a real vault may be behind a company's proxy. */
async function trustedHere(caFile: string): Promise<string | undefined> {
  const file = process.env.NODE_EXTRA_CA_CERTS
  if (file === undefined || file === '' || path.resolve(file) === caFile) return undefined
  // Node itself warns about a file that it cannot read.
  return await readFile(file, 'utf8').catch(() => undefined)
}

/** A setting that names this machine selects the local part; any other names a real service. */
async function startCloudFor(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
  ports: Ports,
  caFile: string,
  withBroker: boolean,
  eventGrid: EventGrid,
): Promise<Cloud> {
  const isLocal = (url: string | undefined, port: number) =>
    url !== undefined && isLoopbackUrl(url) && (port === 0 || Number(new URL(url).port) === port)
  const vault = isLocal(settings.credential.vaultUrl, ports.vault)
  const table = isLocal(settings.store.tableServiceUri, ports.table)
  const { identity } = settings.provider
  const identityProvider = 'instance' in identity && isLocal(identity.instance, ports.identityProvider)
  const federationServer =
    'authority' in identity && identity.kind === 'adfs' && isLocal(identity.authority, ports.identityProvider)
  const ingestion = isLocal(ingestionEndpointOf(settings), ports.ingestion)
  const parts: Parts = {
    identityProvider,
    federationServer,
    vault,
    managedIdentity: vault,
    graph: identityProvider,
    storage: withBroker ? (table ? ['table'] : []) : ['blob', 'queue', ...(table ? (['table'] as const) : [])],
    ingestion,
    demo: identityProvider || federationServer,
  }
  return startCloud({
    ports,
    parts,
    caFile,
    trusted: await trustedHere(caFile),
    brokerUrls: [settings.baseUrl],
    frontEnds: settings.frontEnds,
    tenantId: tenantOf(settings),
    clientId: settings.provider.clientId,
    applicationObjectId: settings.provider.applicationObjectId,
    certificateName: settings.credential.certificateName,
    wrappingKeyName: settings.keyRing.wrappingKeyName,
    trustsManagedIdentity: settings.credential.second !== undefined,
    onNewCertificateVersion: (certificate) => eventGrid.newVersion(certificate),
    ...(environment.IDENTITY_HEADER === undefined ? {} : { identityHeader: environment.IDENTITY_HEADER }),
  })
}

/** With a real vault there is no local identity, so no caller has a token for the local ingestion. */
function withoutIngestion(cloud: Cloud, settings: Settings): Readonly<Record<string, string>> {
  const endpoint = ingestionEndpointOf(settings)
  const isAbsent = endpoint !== undefined && isLoopbackUrl(endpoint) && !cloud.ingestion
  return isAbsent ? { APPLICATIONINSIGHTS_CONNECTION_STRING: '' } : {}
}

function ingestionEndpointOf({ telemetry }: Settings): string | undefined {
  return /(?:^|;)\s*IngestionEndpoint\s*=\s*([^;\s]+)/i.exec(telemetry?.connectionString ?? '')?.[1]
}

/** On free ports, the addresses of the demo differ from those in the settings. */
function frontEndsFor(cloud: Cloud, environment: Readonly<Record<string, string | undefined>>, fresh: boolean) {
  if (!fresh || !cloud.demoFrontEnd || !cloud.demoOtherSite) return {}
  const moved = environment.Broker__FrontEnds?.replaceAll(
    `http://localhost:${fixedPorts.demoFrontEnd}`,
    new URL(cloud.demoFrontEnd.url).origin,
  ).replaceAll(`http://127.0.0.1:${fixedPorts.demoOtherSite}`, new URL(cloud.demoOtherSite.url).origin)
  return { Broker__FrontEnds: moved }
}

async function startBroker(
  environment: Readonly<Record<string, string | undefined>>,
  settings: Settings,
  { inspect, port }: Pick<StartArguments, 'inspect'> & { readonly port: number },
  closing: (() => Promise<unknown>)[],
): Promise<HostProcess> {
  const broker = await startHostProcess({
    dist: path.join(root, 'dist'),
    port,
    // The base URL's path is the prefix of every route: there is no proxy that removes it.
    env: { [routePrefixSetting]: new URL(settings.baseUrl).pathname.slice(1), ...environment },
    ...(inspect === undefined ? {} : { nodeArguments: [`--inspect=${inspect}`] }),
  })
  closing.push(() => broker.close())
  return broker
}

function print({ json }: StartArguments, started: Started, silent: ReadonlySet<string>): void {
  if (json) process.stdout.write(`${JSON.stringify(readyLine(started))}\n`)
  const write = json ? console.error : console.log
  write(banner(started, silent))
}

/** The tenant of the local provider: with people of many tenants, that of the app registration. */
function tenantOf({ provider: { identity, manyTenants } }: Settings): string {
  if (manyTenants) return manyTenants.homeTenantId
  return 'tenantId' in identity ? identity.tenantId : declarations.tenantId.local
}
