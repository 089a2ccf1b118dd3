/** Certificates: policies, versions with their keys, and the pending operation by which a client makes them. */
import { randomUUID } from 'node:crypto'
import * as z from 'zod/mini'
import { bundleJson, deletedJson, itemJson, operationJson, policyJson, publicCertificate } from './certificate-json.ts'
import type { CertificateVersion, Pending, PublicCertificate } from './certificate-json.ts'
import { changePolicy, defaultPolicy, keyOpsOf, policyChanges } from './certificate-policy.ts'
import type { KeyUsage, Policy } from './certificate-policy.ts'
import { parseBody } from './context.ts'
import type { Handler, VaultContext } from './context.ts'
import { attributeChanges } from './keys.ts'
import type { Keys } from './keys.ts'
import type { Operation } from './operations.ts'
import { makeSelfSigned } from './self-signed.ts'
import { badParameter, VaultError } from './vault-error.ts'
import { byVersion, changeAttributes, createStore, newVersion, page } from './versions.ts'
import type { Store } from './versions.ts'

export interface VersionDates {
  /** Null: the version has no such attribute; left out: as in the certificate itself, or unchanged. */
  readonly notBefore?: Date | null
  readonly expires?: Date | null
}

export interface CreateCertificateOptions extends VersionDates {
  readonly subject?: string
  /** The default is 3072 bits. */
  readonly keySize?: 2048 | 3072 | 4096
  readonly keyType?: 'RSA' | 'RSA-HSM'
  /** The default is digitalSignature alone. */
  readonly keyUsage?: readonly KeyUsage[]
  readonly exportable?: boolean
  readonly reuseKey?: boolean
  readonly contentType?: 'application/x-pkcs12' | 'application/x-pem-file'
  /** The default is 12. */
  readonly validityInMonths?: number
  readonly lifetimeActions?: Policy['lifetime_actions']
  readonly enabled?: boolean
}

export type RenewOptions = VersionDates & { readonly enabled?: boolean }

export interface Certificates {
  readonly store: Store<CertificateVersion>
  readonly policyOf: (name: string) => Policy
  readonly create: (name: string, options?: CreateCertificateOptions) => Promise<PublicCertificate>
  /** A new version by the certificate's policy. */
  readonly renew: (name: string, options?: RenewOptions) => Promise<PublicCertificate>
  /** All versions, oldest first. */
  readonly publicCertificates: (name: string) => PublicCertificate[]
  readonly delete: (name: string) => void
  readonly handlers: Partial<Record<Operation, Handler>>
}

/** Of a new certificate, and of a change. */
const changeBody = z.object({
  policy: z.optional(policyChanges),
  attributes: z.optional(attributeChanges),
})

export function createCertificates(
  { url, now, makeKeyPair, pageSize }: VaultContext,
  keys: Keys,
  onNewVersion: (certificate: PublicCertificate) => void | Promise<void>,
): Certificates {
  const store = createStore<CertificateVersion>('Certificate')
  const policies = new Map<string, Policy>()
  const pending = new Map<string, Pending>()

  const policyOf = (name: string) => {
    const policy = policies.get(name)
    if (policy) return policy
    throw new VaultError(
      404,
      'CertificateNotFound',
      `A certificate with (name/id) ${name} was not found in this key vault.`,
    )
  }

  const makeVersion = async (name: string, options: RenewOptions = {}) => {
    const policy = policyOf(name)
    const { key_props: keyProps, x509_props: x509Props } = policy
    const notBefore = options.notBefore ?? new Date(now().getTime() - 10 * 60_000)
    const notAfter = options.expires ?? addMonths(notBefore, x509Props.validity_months)
    const reused = keyProps.reuse_key && keys.store.has(name) ? keys.store.get(name, undefined) : undefined
    const { publicKey, privateKey } = reused ?? (await makeKeyPair(keyProps.key_size))
    const der = await makeSelfSigned({
      publicKey,
      privateKey,
      subject: x509Props.subject,
      keyUsage: x509Props.key_usage,
      extendedKeyUsage: x509Props.ekus,
      notBefore,
      notAfter,
    })

    // A real vault needs seconds to make a version, so no two versions have the same date: dates are whole seconds.
    const newest = Math.max(
      0,
      ...(store.has(name) ? store.versions(name) : []).map(({ attributes }) => attributes.created.getTime()),
    )
    const created = new Date(Math.max(now().getTime(), newest + 1000))
    const certificate: CertificateVersion = {
      name,
      version: newVersion(),
      der,
      attributes: {
        enabled: options.enabled ?? true,
        notBefore: options.notBefore === null ? null : notBefore,
        expires: options.expires === null ? null : notAfter,
        created,
        updated: created,
      },
    }
    const { version, attributes } = certificate
    const keyOps = keyOpsOf(x509Props.key_usage)
    const { kty } = keyProps
    // A reused key that is not exportable stays so.
    const exportable = keyProps.exportable && (reused?.exportable ?? true)
    keys.addManaged({ name, version, attributes, kty, keyOps, exportable, publicKey, privateKey })
    store.add(certificate)
    const published = publicCertificate(url(), certificate)
    await onNewVersion(published)
    return published
  }

  const begin: Handler = ({ name, body }) => {
    const { policy: changes = {}, attributes = {} } = parseBody(changeBody, body)
    const policy = changePolicy(policies.get(name) ?? defaultPolicy, changes)
    if (policy.issuer.name !== 'Self') throw badParameter('The local vault knows no issuer but Self.')
    if (!policy.x509_props.subject) throw badParameter('The policy names no subject.')
    store.checkName(name)
    if (pending.get(name)?.status === 'inProgress') {
      throw new VaultError(409, 'Conflict', 'There is a pending operation on this certificate already.')
    }

    policies.set(name, policy)
    const operation: Pending = { status: 'inProgress', requestId: randomUUID() }
    pending.set(name, operation)
    makeVersion(name, attributes.enabled === undefined ? {} : { enabled: attributes.enabled }).then(
      () => {
        operation.status = 'completed'
      },
      (error: unknown) => {
        operation.status = 'failed'
        operation.error =
          error instanceof VaultError ? error : new VaultError(500, 'InternalServerError', String(error))
      },
    )
    return { status: 202, body: operationJson(url(), name, operation, policyOf(name)) }
  }

  const erase = (name: string) => {
    const certificate = store.delete(name)
    keys.store.delete(name)
    return certificate
  }

  return {
    store,
    policyOf,
    create: (name, options = {}) => {
      policies.set(name, policyFrom(name, options))
      return makeVersion(name, options)
    },
    renew: makeVersion,
    publicCertificates: (name) => store.versions(name).map((version) => publicCertificate(url(), version)),
    delete: erase,
    handlers: {
      listCertificates: ({ query }) => ({
        body: page(
          store.names().map((name) => store.get(name, undefined)),
          (certificate) => ({ ...itemJson(url(), certificate), id: `${url()}/certificates/${certificate.name}` }),
          { link: `${url()}/certificates`, query, pageSize },
        ),
      }),
      listVersions: ({ name, query }) => ({
        body: page([...store.versions(name)].sort(byVersion), (certificate) => itemJson(url(), certificate), {
          link: `${url()}/certificates/${name}/versions`,
          query,
          pageSize,
        }),
      }),
      // A disabled version is returned as well: only its key and secret are closed.
      getCertificate: ({ name, version }) => ({ body: bundleJson(url(), store.get(name, version), policyOf(name)) }),
      createCertificate: begin,
      getCertificateOperation: ({ name }) => {
        const operation = pending.get(name)
        if (operation) return { body: operationJson(url(), name, operation, policyOf(name)) }
        throw new VaultError(404, 'PendingCertificateNotFound', `There is no pending operation on ${name}.`)
      },
      getCertificatePolicy: ({ name }) => ({ body: policyJson(url(), name, policyOf(name)) }),
      updateCertificatePolicy: ({ name, body }) => {
        policies.set(name, changePolicy(policyOf(name), parseBody(policyChanges, body)))
        return { body: policyJson(url(), name, policyOf(name)) }
      },
      updateCertificate: ({ name, version, body }) => {
        const certificate = store.get(name, version)
        const { policy, attributes = {} } = parseBody(changeBody, body)
        if (policy) policies.set(name, changePolicy(policyOf(name), policy))
        // A certificate has its own dates: Key Vault accepts no others.
        changeAttributes(certificate.attributes, { enabled: attributes.enabled }, now())
        return { body: bundleJson(url(), certificate, policyOf(name)) }
      },
      deleteCertificate: ({ name }) => ({ body: deletedJson(url(), erase(name), policyOf(name), now()) }),
      getDeletedCertificate: ({ name }) => ({ body: deletedJson(url(), store.deleted(name), policyOf(name), now()) }),
    },
  }
}

function policyFrom(name: string, options: CreateCertificateOptions): Policy {
  return {
    key_props: {
      exportable: options.exportable ?? false,
      kty: options.keyType ?? 'RSA',
      key_size: options.keySize ?? 3072,
      reuse_key: options.reuseKey ?? false,
    },
    secret_props: { contentType: options.contentType ?? 'application/x-pkcs12' },
    x509_props: {
      subject: options.subject ?? `CN=${name}`,
      ekus: ['1.3.6.1.5.5.7.3.2'],
      key_usage: options.keyUsage ?? ['digitalSignature'],
      validity_months: options.validityInMonths ?? 12,
    },
    lifetime_actions: options.lifetimeActions ?? defaultPolicy.lifetime_actions,
    issuer: { name: 'Self' },
  }
}

function addMonths(date: Date, months: number): Date {
  const later = new Date(date)
  later.setUTCMonth(later.getUTCMonth() + months)
  return later
}
