/** The app registrations of the local tenant, and the certificates and federated identity credentials of each. */
import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import { GraphError } from './graph-error.ts'

/** A certificate of an application, as in Graph's `keyCredential`, and the time from which the provider accepts it. */
interface KeyCredential {
  readonly keyId: string
  readonly der: Buffer
  readonly displayName: string
  /** Milliseconds since the epoch: a change at Graph reaches the token endpoints with a delay. */
  readonly effectiveAt: number
}

/** A token of another issuer that the application accepts as its client assertion, as in Graph. */
interface FederatedCredential {
  readonly id: string
  readonly name: string
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
}

export interface Application {
  /** The object id. */
  readonly id: string
  /** The client id. */
  readonly appId: string
  readonly displayName?: string
}

export class Applications {
  readonly #applications = new Map<string, Application>()
  readonly #keys = new Map<string, KeyCredential[]>()
  readonly #federated = new Map<string, FederatedCredential[]>()
  /** Removed at Graph; the provider accepts it until then. */
  readonly #leaving: { readonly appId: string; readonly key: KeyCredential; readonly until: number }[] = []

  constructor(applications: readonly Application[] = []) {
    for (const application of applications) this.add(application)
  }

  add(application: Application): void {
    this.#applications.set(application.id.toLowerCase(), application)
  }

  remove(objectId: string): void {
    this.#applications.delete(objectId.toLowerCase())
    this.#keys.delete(objectId.toLowerCase())
    this.#federated.delete(objectId.toLowerCase())
  }

  federatedCredentialsOf({ id }: Pick<Application, 'id'>): readonly FederatedCredential[] {
    return this.#federated.get(id.toLowerCase()) ?? []
  }

  /** @returns the credential with its id; one of the same name is replaced */
  trust(application: Application, credential: Omit<FederatedCredential, 'id'>): FederatedCredential {
    const made = { ...credential, id: randomUUID() }
    const others = this.federatedCredentialsOf(application).filter(({ name }) => name !== credential.name)
    this.#federated.set(application.id.toLowerCase(), [...others, made])
    return made
  }

  /** @returns false where there is no such credential */
  distrust(application: Application, name: string): boolean {
    const present = this.federatedCredentialsOf(application)
    this.#federated.set(
      application.id.toLowerCase(),
      present.filter((one) => one.name !== name),
    )
    return present.some((one) => one.name === name)
  }

  /** The federated identity credentials that the token endpoint accepts from this application. */
  acceptedFederatedCredentials(appId: string): readonly FederatedCredential[] {
    const application = this.all.find((one) => one.appId === appId)
    return application ? this.federatedCredentialsOf(application) : []
  }

  get all(): readonly Application[] {
    return [...this.#applications.values()]
  }

  /** @throws {GraphError} 404 */
  get(objectId: string): Application {
    const application = this.#applications.get(objectId.toLowerCase())
    if (application) return application
    throw new GraphError(404, 'Request_ResourceNotFound', `Resource '${objectId}' does not exist.`)
  }

  /** In the order of their registration. */
  keysOf({ id }: Application): readonly KeyCredential[] {
    return this.#keys.get(id.toLowerCase()) ?? []
  }

  /** Registers a certificate as an administrator or a deployment does. */
  register(application: Application, der: Uint8Array, { displayName = '', effectAfterMs = 0 } = {}): KeyCredential {
    const key = { keyId: randomUUID(), der: Buffer.from(der), displayName, effectiveAt: Date.now() + effectAfterMs }
    this.#keys.set(application.id.toLowerCase(), [...this.keysOf(application), key])
    return key
  }

  /** @returns false where there is no such key */
  unregister(application: Application, keyId: string, { effectAfterMs = 0 } = {}): boolean {
    const keys = this.keysOf(application)
    const key = keys.find((one) => one.keyId === keyId)
    if (!key) return false
    this.#keys.set(
      application.id.toLowerCase(),
      keys.filter((one) => one !== key),
    )
    if (effectAfterMs > 0) this.#leaving.push({ appId: application.appId, key, until: Date.now() + effectAfterMs })
    return true
  }

  /** Lets every change reach the token endpoints now. */
  spread(): void {
    for (const [id, keys] of this.#keys) {
      this.#keys.set(
        id,
        keys.map((key) => ({ ...key, effectiveAt: 0 })),
      )
    }
    this.#leaving.length = 0
  }

  /** The certificates that the token endpoint accepts from this application now. */
  acceptedCertificates(appId: string): readonly Uint8Array[] {
    const now = Date.now()
    const application = this.all.find((one) => one.appId === appId)
    const there = (application ? this.keysOf(application) : []).filter(({ effectiveAt }) => effectiveAt <= now)
    const leaving = this.#leaving.filter((one) => one.appId === appId && one.until > now).map(({ key }) => key)
    return [...there, ...leaving].map(({ der }) => der)
  }
}

/** In Graph's form; with the certificate itself only where the request selects it. */
export function keyCredentialJson({ keyId, der, displayName }: KeyCredential, withKey = false): object {
  const certificate = new X509Certificate(der)
  return {
    customKeyIdentifier: createHash('sha1').update(der).digest('hex').toUpperCase(),
    displayName: displayName || certificate.subject,
    endDateTime: certificate.validToDate.toISOString(),
    key: withKey ? der.toString('base64') : null,
    keyId,
    startDateTime: certificate.validFromDate.toISOString(),
    type: 'AsymmetricX509Cert',
    usage: 'Verify',
  }
}
