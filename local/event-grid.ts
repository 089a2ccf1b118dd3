/** In Event Grid's place: tells the broker of a new version, and fires its timer, which nothing else does on a laptop. */
import { randomUUID } from 'node:crypto'
import type { PublicCertificate } from './vault/certificates.ts'

export interface EventGridTarget {
  /** Of the functions host: ours, or Core Tools. */
  readonly url: string
  /** Core Tools asks for none on a laptop. */
  readonly masterKey?: string
}

/** Azure's timer runs every five minutes; who watches a roll on a laptop is not that patient. */
const timerMilliseconds = 30_000

export interface EventGrid {
  newVersion(certificate: PublicCertificate): void
  /** From now on there is somebody to tell. */
  connect(target: EventGridTarget, options?: { readonly timer: boolean }): void
  close(): Promise<void>
}

export function createEventGrid(): EventGrid {
  const stopping = new AbortController()
  let target: EventGridTarget | undefined
  let timer: NodeJS.Timeout | undefined

  /** A broker that isn't there, or is ending, has lost the event: the timer is for that. */
  const fire = (name: string, input: unknown): void => {
    if (!target) return
    const { url, masterKey } = target
    void fetch(`${url}/admin/functions/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(masterKey ? { 'x-functions-key': masterKey } : {}) },
      body: JSON.stringify({ input }),
      signal: stopping.signal,
    }).catch(() => undefined)
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
      stopping.abort()
      return Promise.resolve()
    },
  }
}

/** In the Event Grid schema, with what Key Vault puts into it. */
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
