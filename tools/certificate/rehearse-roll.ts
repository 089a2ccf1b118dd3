/**
 * `npm run roll`: rehearses a roll. Starts every part on free ports, signs people in all the time, creates a new
 * version in the vault, and prints each step until the replaced version is removed. Exits with 0 when no sign-in
 * failed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { declarations } from '../../shared/settings/declarations.ts'
import { parseSettings } from '../../shared/settings/settings.ts'
import { build, stopBuilds } from '../build.ts'
import { allParts, startCloud } from '../../local/cloud.ts'
import type { Cloud } from '../../local/cloud.ts'
import { createEventGrid } from '../../local/event-grid.ts'
import { startHostProcess } from '../../local/functions-host/process.ts'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { freePort, LocalError } from '../../local/http-server.ts'
import { createVisitor } from '../../local/identity-provider/browser.ts'
import { loopbackFetch } from '../../local/loopback-fetch.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { freePorts } from '../../local/ports.ts'
import { reportFailure } from '../../local/program-failure.ts'
import { onShutdown } from '../../local/shutdown.ts'

/** Seconds in place of minutes and of a day. */
const quickly = { Broker__CertificateReadSeconds: '1', Broker__CertificateOverlapSeconds: '3' }
const longest = 90_000
/**
 * Between two sign-ins at one broker, in milliseconds:
 * several sign-ins during each step of a roll, and CPU time for the roll itself.
 */
const pauseBetweenSignIns = 200
const frontEnd = { id: 'rehearsal', origins: ['http://localhost:3000'], returnUrl: 'http://localhost:3000/' }

const reported: Readonly<Record<string, string>> = {
  'probe: refused': 'the provider does not accept it yet',
  'probe: accepted': 'the provider accepts it',
  'register: registered': 'added to the application through Graph, proved by the version that signs',
  'remove: removed': 'removed from the application: the overlap is over',
}

const began = performance.now()
const counts = { done: 0, failed: 0 }
const closing: (() => Promise<unknown>)[] = []
const close = async () => {
  for (const end of closing.splice(0).reverse()) await end().catch(() => undefined)
}
const ending = new AbortController()
onShutdown(() => {
  if (ending.signal.aborted) return
  ending.abort()
  void close().then(() => process.exit(130))
})

try {
  if (process.argv.length > 2) {
    throw new LocalError(
      'npm run roll takes no argument: it rehearses a roll on this machine. For the certificate in a vault, run: npm run certificate -- roll --now, or --dry-run',
      2,
    )
  }
  process.exitCode = await rehearse()
} catch (error) {
  // Ctrl-C ends esbuild too, and its failure may arrive before the signal.
  await wait(100)
  if (!ending.signal.aborted) process.exitCode = reportFailure(error)
} finally {
  await close()
}

async function rehearse(): Promise<number> {
  say('Starting the identity provider, the vault, Graph, the store and two brokers …')
  const { cloud, brokers, certificateName } = await startAll()
  const [first, second] = brokers
  const certificates = () => cloud.vault?.publicCertificates(certificateName) ?? []
  const old = certificates()[0]
  await fire(first, 'rollCertificate')
  say(`Version ${short(old?.version)} signs: it was registered at deployment, and the provider accepts it.`)

  const stopping = new AbortController()
  const people = brokers.map((broker) => signInUntil(stopping.signal, cloud, broker))
  await wait(500)
  say('People sign in at both brokers, several in each second.')

  const next = await cloud.vault?.renewCertificate(certificateName)
  say(`The vault created version ${short(next?.version)}, and Event Grid sent the event.`)
  const rolled = await follow(second, next?.version, (state) => state.signs)
  if (rolled) say('The switch is done: the new version signs, the old one stays registered for the overlap.')

  // The broker does not remove the first certificate, which it did not add; a second roll shows a removal.
  const last = await cloud.vault?.renewCertificate(certificateName)
  say(`Once more, to see the end: the vault created version ${short(last?.version)}.`)
  const removed = await follow(
    second,
    next?.version,
    ({ status }) => status === 'removed',
    () => fire(first, 'rollCertificate'),
  )
  stopping.abort()
  await Promise.all(people)

  const isGood = rolled && removed && counts.failed === 0 && counts.done > 0
  const keys = cloud.graph?.applications.all.flatMap((one) => cloud.graph?.applications.keysOf(one) ?? []).length
  say(`At the application are ${keys ?? 0} keys: the first, which a person ends, and the one that signs.`)
  say(
    isGood
      ? `Done: ${counts.done} sign-ins during two rolls, none failed.`
      : `Failed: ${counts.failed} of ${counts.done + counts.failed} sign-ins failed, rolled: ${String(rolled)}, removed: ${String(removed)}.`,
  )
  return isGood ? 0 : 1
}

async function startAll() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-roll-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  const dist = path.join(folder, 'dist')
  const port = await freePort()
  const url = `http://localhost:${port}`
  const settings = {
    ...localDefaults,
    APPLICATIONINSIGHTS_CONNECTION_STRING: '',
    ...quickly,
    Broker__BaseUrl: url,
    Broker__FrontEnds: JSON.stringify([
      { id: frontEnd.id, origins: frontEnd.origins, apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }] },
    ]),
  }
  const { frontEnds, provider, credential, keyRing } = parseSettings(settings)
  const eventGrid = createEventGrid()
  closing.push(() => eventGrid.close(), stopBuilds)
  const [cloud] = await Promise.all([
    startCloud({
      ports: freePorts,
      parts: { ...allParts, ingestion: false, demo: false },
      brokerUrls: [url],
      frontEnds,
      tenantId: declarations.tenantId.local,
      clientId: provider.clientId,
      applicationObjectId: provider.applicationObjectId,
      certificateName: credential.certificateName,
      wrappingKeyName: keyRing.wrappingKeyName,
      caFile: path.join(folder, 'ca.pem'),
      onNewCertificateVersion: (certificate) => eventGrid.newVersion(certificate),
    }).then((started) => {
      closing.push(() => started.close())
      return started
    }),
    build({ outdir: dist }),
  ])
  const start = async (at: number): Promise<HostProcess> => {
    const env = { PATH: process.env.PATH, ...settings, ...cloud.settings }
    const broker = await startHostProcess({ dist, port: at, env, write: narrate })
    closing.push(() => broker.close())
    return broker
  }
  const brokers = [await start(port), await start(0)] as const
  eventGrid.connect(brokers[0], { timer: false })
  return { cloud, brokers, certificateName: credential.certificateName }
}

/** Complete sign-ins, each with a browser of its own; a failed one is printed with its reason. */
async function signInUntil(stop: AbortSignal, { identityProvider }: Cloud, { url }: HostProcess): Promise<void> {
  const people = identityProvider?.people ?? []
  for (let turn = 0; !stop.aborted; turn++) {
    const username = people[turn % people.length]?.username ?? ''
    const landed = await signInOnce(url, username).catch((error: unknown) => String(error))
    if (landed === frontEnd.returnUrl) counts.done += 1
    else {
      counts.failed += 1
      say(`  A sign-in failed: ${landed}`)
    }
    await wait(pauseBetweenSignIns)
  }
}

/** @returns where it landed, or the status and code of the page that it ended on */
async function signInOnce(brokerUrl: string, username: string): Promise<string> {
  const query = new URLSearchParams({ frontend: frontEnd.id, return_url: frontEnd.returnUrl })
  const begun = await loopbackFetch(`${brokerUrl}/login?${query.toString()}`)
  const authorizationUrl = begun.headers.get('location')
  if (authorizationUrl === null) return describePage('/login', begun)
  const cookie = begun.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
  const answer = await createVisitor().signIn(authorizationUrl, username)
  const callback = { method: 'POST', body: new URLSearchParams(answer.fields) }
  const done = await loopbackFetch(`${brokerUrl}/callback`, { ...callback, headers: { cookie, accept: 'text/html' } })
  return done.headers.get('location') ?? describePage('/callback', done)
}

async function describePage(route: string, response: Response): Promise<string> {
  const [, code = 'no code'] = /Code: (?:<[^>]*>)?(\w+)/.exec(await response.text()) ?? []
  return `${route} answered ${response.status}, ${code}`
}

interface VersionState {
  readonly version: string
  readonly status: string
  readonly signs: boolean
}

/** Waits for a condition. @returns false when it does not come true in time */
async function follow(
  broker: HostProcess,
  version: string | undefined,
  isSo: (state: VersionState) => boolean,
  push: () => Promise<unknown> = () => Promise.resolve(),
): Promise<boolean> {
  const end = performance.now() + longest
  while (performance.now() < end) {
    const [versions] = await Promise.all([versionsAt(broker), push()])
    if (versions.some((state) => state.version === version && isSo(state))) return true
    await wait(200)
  }
  return false
}

/** The brokers' log lines about the roll. */
function narrate(text: string): void {
  for (const [line] of text.matchAll(/\{"event":"certificate (?:step|rolled)".*\}/g)) {
    const { event, step, certificateVersion, code } = JSON.parse(line) as Record<string, string | undefined>
    const what =
      event === 'certificate rolled' ? 'signs from now on' : (reported[step ?? ''] ?? `${step ?? ''} ${code ?? ''}`)
    say(`  version ${short(certificateVersion)}: ${what}  (${counts.done} sign-ins, ${counts.failed} failed)`)
  }
}

async function versionsAt({ url, functionKey }: HostProcess): Promise<readonly VersionState[]> {
  const response = await loopbackFetch(`${url}/health/detail`, { headers: { 'x-functions-key': functionKey } })
  const { checks } = (await response.json()) as {
    checks: { part: string; certificateVersions?: readonly VersionState[] }[]
  }
  return checks.find(({ part }) => part === 'certificate')?.certificateVersions ?? []
}

async function fire({ url, masterKey }: HostProcess, name: string): Promise<void> {
  await loopbackFetch(`${url}/admin/functions/${name}`, { method: 'POST', headers: { 'x-functions-key': masterKey } })
}

function short(version: string | undefined): string {
  return (version ?? '').slice(0, 8)
}

function say(line: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5)
  console.log(`${seconds} s  ${line}`)
}
