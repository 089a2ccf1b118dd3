/**
 * Replaces Event Grid and Azure's timer on a laptop: sends the broker an event for each new certificate version,
 * and fires its timer. Uses createExchange and not fetch, which would use a proxy from the environment.
 */
import { randomUUID } from 'node:crypto'
import { createExchange } from '../shared/http/exchange.ts'
import type { PublicCertificate } from './vault/certificate-json.ts'

interface EventGridTarget {
  /** Base URL of the functions host: this project's, or Core Tools. */
  readonly url: string
  /** Core Tools needs none on a laptop. */
  readonly masterKey?: string
}

/** The schedule of the function. `npm run roll` rehearses a roll in seconds. */
const timerMilliseconds = 5 * 60_000
const deadlineMilliseconds = 120_000

export interface EventGrid {
  newVersion(certificate: PublicCertificate): void
  /** Events before this call are lost. */
  connect(target: EventGridTarget, options?: { readonly timer: boolean }): void
  close(): Promise<void>
}

export function createEventGrid(): EventGrid {
  const exchange = createExchange({ maxBytes: 64 * 1024 })
  let target: EventGridTarget | undefined
  let timer: NodeJS.Timeout | undefined

  /** An event for a broker that is not running is lost; the next timer run does the same work. */
  const fire = (name: string, input: unknown): void => {
    if (!target) return
    const { url, masterKey } = target
    const request = {
      method: 'POST',
      path: `/admin/functions/${name}`,
      headers: { 'content-type': 'application/json', ...(masterKey ? { 'x-functions-key': masterKey } : {}) },
      body: JSON.stringify({ input }),
    }
    exchange(new URL(url), request, performance.now() + deadlineMilliseconds).catch(() => undefined)
  }

  return {
    newVersion: (certificate) => fire('certificateEvent', newVersionEvent(certificate)),
    connect: (to, options = { timer: true }) => {
      target = to
      if (!options.timer) return
      fire('rollCertificate', {})
      timer = setInterval(() => fire('rollCertificate', {}), timerMilliseconds)
      timer.unref()
    },
    close: () => {
      clearInterval(timer)
      target = undefined
      return Promise.resolve()
    },
  }
}

/** An event in the Event Grid schema, with the data of Key Vault. */
function newVersionEvent({ name, version, keyId, attributes }: PublicCertificate): object {
  const { notBefore, expires } = attributes
  const seconds = (date: Date | null | undefined) => (date ? Math.floor(date.getTime() / 1000) : null)
  return {
    id: randomUUID(),
    topic: '/subscriptions/local/resourceGroups/local/providers/Microsoft.KeyVault/vaults/local',
    subject: name,
    eventType: 'Microsoft.KeyVault.CertificateNewVersionCreated',
    eventTime: new Date().toISOString(),
    data: {
      Id: keyId.replace('/keys/', '/certificates/'),
      VaultName: 'local',
      ObjectType: 'Certificate',
      ObjectName: name,
      Version: version,
      NBF: seconds(notBefore),
      EXP: seconds(expires),
    },
    dataVersion: '1',
    metadataVersion: '1',
  }
}
