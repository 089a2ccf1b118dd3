/**
 * Shared parts of the tests of a roll: a stack with a roll of some seconds, triggers for events and timer, and the
 * versions as an operator sees them.
 */
import type { HostProcess } from '../../local/functions-host/process.ts'
import type { PublicCertificate } from '../../local/vault/certificate-json.ts'
import type { CertificateVersionState, Check } from '../../shared/health/readiness.ts'
import { runFunction } from '../setup/admin-functions.ts'
import { ada } from '../setup/person.ts'
import type { Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack, StackOptions } from '../setup/stack.ts'

export const certificateName = 'broker'

/** Instances read the row every second, and the overlap ends after three seconds. */
export const quickly = { Broker__CertificateReadSeconds: '1', Broker__CertificateOverlapSeconds: '3' }

export function startRollingStack(options: StackOptions = {}): Promise<Stack> {
  return startStack({ ...options, settings: { ...quickly, ...options.settings } })
}

export const runRoll = (broker: HostProcess) => runFunction(broker, 'rollCertificate')

/** Delivers an event to the broker's function. @returns 202, or 500 where it failed */
export const deliver = (broker: HostProcess, event: unknown) =>
  runFunction(broker, 'certificateEvent', { input: event })

/**
 * Fires the timer repeatedly, one run at a time, until the condition holds. It does not wait for a run, since a run
 * includes the whole overlap here before it answers.
 */
export async function rollUntil<T>(
  broker: HostProcess,
  look: () => Promise<T>,
  isSo: (seen: T) => boolean,
): Promise<T> {
  let run: Promise<unknown> | undefined
  return until(() => {
    run ??= runRoll(broker)
      .catch(() => 0)
      .then(() => (run = undefined))
    return look()
  }, isSo)
}

/** Sends the event as Event Grid delivers it. */
export function newVersionEvent(vaultUrl: string, { name, version }: Pick<PublicCertificate, 'name' | 'version'>) {
  return {
    id: crypto.randomUUID(),
    topic: '/subscriptions/0/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/local',
    subject: name,
    eventType: 'Microsoft.KeyVault.CertificateNewVersionCreated',
    eventTime: new Date().toISOString(),
    dataVersion: '1',
    metadataVersion: '1',
    data: {
      Id: `${vaultUrl}/certificates/${name}/${version}`,
      VaultName: 'local',
      ObjectType: 'Certificate',
      ObjectName: name,
      Version: version,
      NBF: null,
      EXP: null,
    },
  }
}

/** The check of the certificate that an operator sees. @param provider one of several; undefined for the primary one */
export async function certificateCheck(
  { url, functionKey }: HostProcess,
  provider?: string,
): Promise<Check | undefined> {
  const response = await fetch(`${url}/health/detail`, { headers: { 'x-functions-key': functionKey } })
  const { checks } = (await response.json()) as { checks: readonly Check[] }
  return checks.find((check) => check.part === 'certificate' && check.provider === provider)
}

/** The versions of that check, by their ids. */
export async function versionsAt(
  broker: HostProcess,
  provider?: string,
): Promise<Record<string, CertificateVersionState>> {
  const found = (await certificateCheck(broker, provider))?.certificateVersions ?? []
  return Object.fromEntries(found.map((one) => [one.version, one]))
}

/** Ids of the keys at the application, with the thumbprints of their certificates. */
export function keysAtApplication({ graph }: Stack): readonly { keyId: string; der: Buffer }[] {
  return graph.applications.keysOf(graph.applications.all[0]!)
}

export function isAtApplication(stack: Stack, { der }: PublicCertificate): boolean {
  return keysAtApplication(stack).some((key) => key.der.equals(der))
}

/** A complete sign-in of a new person. */
export async function signIn(stack: Stack, at?: string): Promise<Reply> {
  const query = { frontend: 'shop', return_url: 'http://localhost:3000/' }
  return stack.person().signIn(query, ada, at === undefined ? {} : { at })
}

/** `x5t#S256` of the assertion that the newest token request of a person carried. */
export function usedThumbprint({ identityProvider }: Stack): string | undefined {
  const request = identityProvider.requests.filter(({ grantType }) => grantType === 'authorization_code').at(-1)
  const header = request?.form?.client_assertion?.split('.')[0]
  return header && (JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, string>)['x5t#S256']
}

/** Lines of one event in the brokers' logs. */
export function logged({ log }: Pick<Stack, 'log'>, event: string): readonly Record<string, unknown>[] {
  return [...log().matchAll(/\{"event":.*?\}(?=\s|$)/g)]
    .map(([line]) => JSON.parse(line) as Record<string, unknown>)
    .filter((line) => line.event === event)
}

/** Repeats until the condition holds. A timeout reports the last answer. */
export async function until<T>(look: () => Promise<T> | T, isSo: (seen: T) => boolean, seconds = 240): Promise<T> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const seen = await look()
    if (isSo(seen)) return seen
    if (Date.now() > end) throw new Error(`Not so after ${seconds} s; the last was ${JSON.stringify(seen)}`)
    // Each look costs requests to several parts, and a step of a roll lasts a second.
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}
