/**
 * Key Vault: signing, wrapping and unwrapping by its own REST, certificates by its SDK. By the SDK, the first
 * signature of an instance is four requests (token, challenge, key, signature); by its REST it is two.
 */
import { createPublicKey } from 'node:crypto'
import type { TokenCredential } from '@azure/core-auth'
import { BrokerError } from '../../errors/errors.ts'
import type { ErrorCode } from '../../errors/catalogue.ts'
import { retryOnce, createExchange, ExchangeError, readObject } from '../../http/exchange.ts'
import type { HttpResponse } from '../../http/exchange.ts'
import { directPolicy } from '../../outbound/proxy.ts'
import type { ProxyPolicy } from '../../outbound/proxy.ts'
import { vaultResourceOf } from '../../settings/addresses.ts'
import type { AddedHosts } from '../../settings/addresses.ts'
import { withDeadline } from '../../async/deadline.ts'
import type { Clock } from '../../async/deadline.ts'
import { lazy } from '../../async/lazy.ts'
import { isVersionId } from '../vault.ts'
import type { CertificateVault, WrappingKey, WrappingKeyVersion } from '../vault.ts'
import { innerCodeOf, passing, refusal } from './vault-refusals.ts'

export interface KeyVaultOptions {
  /** Checked by the settings: the cloud's vault suffix, or loopback. */
  readonly vaultUrl: string
  /** Hosts outside the known clouds that the settings permit. */
  readonly additionalHosts?: AddedHosts | undefined
  readonly certificateName: string
  readonly wrappingKeyName: string
  readonly credential: TokenCredential
  readonly deadlineMilliseconds?: number
  /** For a `Retry-After` that is a date. */
  readonly clock?: Clock
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy
}

export interface KeyVault extends CertificateVault, WrappingKey {}

type Json = Readonly<Record<string, unknown>>

const apiVersion = '2025-07-01'
const maxBytes = 256 * 1024

export function createKeyVault(options: KeyVaultOptions): KeyVault {
  const { certificateName, wrappingKeyName, credential, clock = Date.now } = options
  const deadlineMilliseconds = options.deadlineMilliseconds ?? 8_000
  const address = new URL(options.vaultUrl)
  if (address.protocol !== 'https:') throw new BrokerError('internal', { detail: 'a vault by http' })
  // Known from the URL, so no challenge is requested or followed: a token goes only to the vault that it is for.
  const scope = `${vaultResourceOf(options.vaultUrl, options.additionalHosts)}/.default`
  const { proxies = directPolicy } = options
  const exchange = createExchange({ maxBytes, proxies })

  const untilDeadline = () => performance.now() + deadlineMilliseconds
  const late = () => new BrokerError('vault_unavailable', { detail: 'deadline' })

  /**
   * @param key what follows `/keys/`, escaped
   * @param errors of this request
   * @param body of a POST
   */
  const ask = async (key: string, errors: RequestErrors, until: number, body?: object): Promise<Json> => {
    const token = await withDeadline(credential.getToken(scope), until - performance.now(), late)
    if (!token) throw new BrokerError('managed_identity_unavailable', { detail: 'no token for the vault' })
    const request = {
      method: body === undefined ? 'GET' : 'POST',
      path: `/keys/${key}?api-version=${apiVersion}`,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    }
    const response = await retryOnce(() => exchange(address, request, until), until).catch((error: unknown) => {
      if (error instanceof BrokerError) throw error
      const reason = error instanceof ExchangeError ? error.reason : 'no request'
      throw reason === 'deadline' ? late() : refusal(reason, errors.missing, error)
    })
    return read(response, errors, clock())
  }

  /** The version comes from the store, so it may only be a version, never an address. */
  const operate = async (
    operation: Operation,
    { name, version }: KeyVersion,
    value: Uint8Array,
  ): Promise<Uint8Array> => {
    const { path, algorithm, atLeast } = operation
    checkKeyVersion(version, operation.missing)
    const body = { alg: algorithm, value: Buffer.from(value).toString('base64url') }
    const key = `${encodeURIComponent(name)}/${version}/${path}`
    const { value: result } = await ask(key, operation, untilDeadline(), body)
    const bytes = Buffer.from(typeof result === 'string' ? result : '', 'base64url')
    if (bytes.length >= atLeast) return bytes
    throw new BrokerError('vault_unavailable', { detail: 'the vault’s answer has no result' })
  }

  // For the roll, and for an instance that finds no record in the store.
  const certificates = lazy(async () => {
    const { createKeyVaultCertificates } = await import('./certificates.key-vault.ts')
    return createKeyVaultCertificates({ ...options, deadlineMilliseconds, clock, proxies })
  })

  return {
    listVersions: async () => (await certificates()).listVersions(),

    readCertificate: async (version) => (await certificates()).readCertificate(version),

    sign: (version, digest, algorithm) => operate({ ...sign, algorithm }, { name: certificateName, version }, digest),

    readWrappingKey: async (version) => {
      const missing = version === undefined ? 'wrapping_key_missing' : 'key_ring_unreadable'
      if (version !== undefined) checkKeyVersion(version, missing)
      const path = [encodeURIComponent(wrappingKeyName), version].filter((part) => part !== undefined).join('/')
      const read = readWrappingKey(await ask(path, { missing }, untilDeadline()), missing)
      if (version === undefined || read.version.toLowerCase() === version.toLowerCase()) return read
      throw new BrokerError('vault_unavailable', { detail: 'the vault returned another version of the wrapping key' })
    },

    wrap: (key, version) => operate(wrapKey, { name: wrappingKeyName, version }, key),

    unwrap: (wrapped, version) => operate(unwrapKey, { name: wrappingKeyName, version }, wrapped),

    signRow: (digest, version) => operate(signRow, { name: wrappingKeyName, version }, digest),
  }
}

interface KeyVersion {
  readonly name: string
  readonly version: string
}

interface RequestErrors {
  /** There is no such key. */
  readonly missing: ErrorCode
  /** The key does not permit the operation; left out, it is a refusal like others. */
  readonly notPermitted?: ErrorCode
}

interface Operation extends RequestErrors {
  readonly path: string
  readonly algorithm: string
  /** An answer with fewer bytes is refused. */
  readonly atLeast: number
}

const sign: Operation = { path: 'sign', algorithm: 'PS256', missing: 'certificate_missing', atLeast: 256 }
const wrapKey: Operation = {
  path: 'wrapkey',
  algorithm: 'RSA-OAEP-256',
  missing: 'wrapping_key_missing',
  atLeast: 256,
}
/** A key of an earlier deployment may not sign: Azure Resource Manager does not change the operations of a key. */
const signRow: Operation = { ...sign, missing: 'wrapping_key_missing', notPermitted: 'wrapping_key_cannot_sign' }
const unwrapKey: Operation = { ...wrapKey, path: 'unwrapkey', missing: 'key_ring_unreadable', atLeast: 32 }

function read(response: HttpResponse, errors: RequestErrors, now: number): Json {
  const { status, headers } = response
  const passes = passing(status, headers['retry-after'], now)
  if (passes) throw passes
  const content = readObject(response)
  if (status !== 200) throw refused(status, content, errors)
  if (typeof content === 'object') return content
  throw new BrokerError('vault_unavailable', { detail: `vault answered ${status}: ${content}` })
}

function refused(status: number, content: Json | string, { missing, notPermitted }: RequestErrors): BrokerError {
  const reason = typeof content === 'object' ? innerCodeOf(content.error) : undefined
  // These bytes were never wrapped by this key: it is the row that can't be read, not the vault.
  if (status === 400 && missing === 'key_ring_unreadable') {
    return new BrokerError(missing, { detail: ['vault answered 400', reason].filter(Boolean).join(' ') })
  }
  if (notPermitted !== undefined && reason === 'KeyOperationForbidden') {
    return new BrokerError(notPermitted, { detail: `vault answered ${status} ${reason}` })
  }
  return refusal(status, missing, undefined, reason)
}

function checkKeyVersion(version: string, missing: ErrorCode): void {
  if (!isVersionId(version)) throw new BrokerError(missing, { detail: 'no key version' })
}

/** RFC 7517 §4.5, RFC 7518 §6.3.1. A key's id in the vault is its address, which ends with the version. */
function readWrappingKey({ key, attributes }: Json, missing: ErrorCode): WrappingKeyVersion {
  const { kid, n, e } = (key ?? {}) as Json
  const version = typeof kid === 'string' ? /\/keys\/[^/]+\/([0-9a-f]{32})$/i.exec(kid)?.[1] : undefined
  if (version === undefined) throw new BrokerError(missing, { detail: 'the key has no version' })
  if (typeof n !== 'string' || typeof e !== 'string')
    throw new BrokerError(missing, { detail: 'the key is no RSA key' })
  const { enabled } = (attributes ?? {}) as Json
  // The kind is RSA or RSA-HSM in the vault, and RSA in a JWK.
  const publicKey = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
  return { version, publicKey, isEnabled: enabled === true }
}
