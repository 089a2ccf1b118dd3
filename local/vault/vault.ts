/**
 * An emulator of Azure Key Vault's REST for the real CertificateClient, KeyClient and CryptographyClient, over https on
 * loopback. The clients need `disableChallengeResourceVerification: true`,
 * since localhost is not under vault.azure.net.
 */
import type { KeyObject } from 'node:crypto'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import * as z from 'zod/mini'
import { listen } from '../http-server.ts'
import type { TlsIdentity } from '../http-server.ts'
import type { Identity, VerifyAccessToken } from '../managed-identity/access-tokens.ts'
import { createCertificates } from './certificates.ts'
import type { PublicCertificate } from './certificate-json.ts'
import type { Certificates, CreateCertificateOptions, RenewOptions, VersionDates } from './certificates.ts'
import { makeRsaKeyPair } from '../rsa-key-pair.ts'
import type { MakeKeyPair } from '../rsa-key-pair.ts'
import { parseBody } from './context.ts'
import type { Answer, Handler, VaultContext } from './context.ts'
import { createFaults, faultEffects, loseAnswer, suffer } from './faults.ts'
import type { Faults } from './faults.ts'
import { createKeys } from './keys.ts'
import type { CreateKeyOptions, Keys } from './keys.ts'
import { findOperation, operations } from './operations.ts'
import type { Match, Operation } from './operations.ts'
import { checkPermission } from './permissions.ts'
import type { AccessPolicy } from './permissions.ts'
import { createSecretHandlers } from './secrets.ts'
import { badParameter, errorOfStatus, VaultError } from './vault-error.ts'
import type { Attributes } from './versions.ts'

export interface VaultOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
  /** Permissions of each identity, by client id; any other identity has none. */
  readonly permissions: Readonly<Record<string, AccessPolicy>>
  readonly tenantId?: string
  /** The largest page of a list; 25 as in Azure. */
  readonly pageSize?: number
  readonly makeKeyPair?: MakeKeyPair
  readonly now?: () => Date
  /** Awaited before `createCertificate` and `renewCertificate` resolve. */
  readonly onNewCertificateVersion?: (certificate: PublicCertificate) => void | Promise<void>
}

/**
 * `operation`: one operation, `challenge` for requests that come without a token, or `*` (the default) for
 * all. The fault of a named operation applies only to requests with a valid token.
 */
const vaultFault = z.strictObject({
  operation: z.optional(z.enum(['*', 'challenge', ...operations])),
  /** Does the work, and returns a wrong value of the same length. */
  wrongValue: z.optional(z.boolean()),
  ...faultEffects,
})
export type VaultFault = z.infer<typeof vaultFault>

interface VaultRequest {
  readonly method: string
  readonly operation: Operation | undefined
  readonly name: string | undefined
  readonly version: string | undefined
  /** Client id of the caller; undefined without a valid token. */
  identity: string | undefined
  /** Undefined until there is an answer, and for ever where a fault withholds it. */
  status: number | undefined
}

interface KeyInfo {
  readonly name: string
  readonly version: string
  readonly keyId: string
}

export interface Vault {
  readonly url: string
  /** In the order of their arrival. */
  readonly requests: readonly VaultRequest[]
  resetRequests(): void
  readonly faults: Pick<Faults<VaultFault>, 'add' | 'clear'>
  setPermissions(clientId: string, policy: AccessPolicy): void

  createCertificate(name: string, options?: CreateCertificateOptions): Promise<PublicCertificate>
  renewCertificate(name: string, options?: RenewOptions): Promise<PublicCertificate>
  /** All versions, oldest first. */
  publicCertificates(name: string): PublicCertificate[]
  /** Disables or enables a version, its key and its secret; undefined is the newest version. */
  setCertificateEnabled(name: string, version: string | undefined, enabled: boolean): void
  /** Changes the dates in the vault's attributes; the certificate itself is unchanged. Null removes the attribute. */
  setCertificateDates(name: string, version: string | undefined, dates: VersionDates): void
  deleteCertificate(name: string): void

  createKey(name: string, options?: CreateKeyOptions): Promise<KeyInfo>
  rotateKey(name: string): Promise<KeyInfo>
  setKeyEnabled(name: string, version: string | undefined, enabled: boolean): void
  setKeyDates(name: string, version: string | undefined, dates: VersionDates): void
  /** The public half, which every reader of the key has. */
  publicKey(name: string, version: string): KeyObject

  close(): Promise<void>
}

const resource = 'https://vault.azure.net'
const faultsPath = '/local/faults'
const renewPath = '/local/renew'
const renewBody = z.strictObject({ name: z.string() })
const largestBody = 256 * 1024

export async function startVault(options: VaultOptions): Promise<Vault> {
  const { verifyAccessToken, tenantId = '11111111-1111-4111-8111-111111111111' } = options
  const policies = new Map(Object.entries(options.permissions))
  const faults = createFaults<VaultFault>()
  const stopping = new AbortController()
  let requests: VaultRequest[] = []
  let url = ''

  const context: VaultContext = {
    url: () => url,
    now: options.now ?? (() => new Date()),
    makeKeyPair: options.makeKeyPair ?? makeRsaKeyPair,
    pageSize: options.pageSize ?? 25,
  }
  const keys = createKeys(context)
  const certificates = createCertificates(context, keys, options.onNewCertificateVersion ?? (() => undefined))
  const handlers: Partial<Record<Operation, Handler>> = {
    ...certificates.handlers,
    ...keys.handlers,
    ...createSecretHandlers(context, certificates, keys),
  }

  const authenticate = async (request: IncomingMessage, response: ServerResponse): Promise<Identity> => {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const challenge = `Bearer authorization="https://login.microsoftonline.com/${tenantId}", resource="${resource}"`
    if (token === undefined) {
      response.setHeader('WWW-Authenticate', challenge)
      throw new VaultError(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.')
    }
    try {
      return await verifyAccessToken(token, resource)
    } catch (error) {
      response.setHeader('WWW-Authenticate', `${challenge}, error="invalid_token"`)
      throw new VaultError(401, 'Unauthorized', `Error validating token: ${(error as Error).message}.`)
    }
  }

  const work = async (match: Match | undefined, request: IncomingMessage, query: URLSearchParams): Promise<Answer> => {
    if (!/^(7\.\d|20\d\d-\d\d-\d\d)(-preview(\.\d)?)?$/.test(query.get('api-version') ?? '')) {
      throw badParameter('api-version must be specified')
    }
    if (!match) throw new VaultError(404, 'NotFound', 'The local vault knows no such operation.')
    const handler = handlers[match.operation]
    if (!handler) {
      // Backups, for example: Azure encrypts them for the vault's geography; here they would leak the key.
      throw new VaultError(403, 'Forbidden', `The local vault refuses ${match.operation}.`, 'NotInLocalVault')
    }
    return handler({ name: match.name, version: match.version, query, body: await readJson(request) })
  }

  const serve = async (request: IncomingMessage, response: ServerResponse, target: URL) => {
    const method = request.method ?? 'GET'
    const match = findOperation(method, target.pathname)
    const { operation, name, version } = match ?? {}
    const entry: VaultRequest = { method, operation, name, version, identity: undefined, status: undefined }
    requests.push(entry)
    response.on('prefinish', () => {
      entry.status = response.statusCode
    })

    try {
      const anonymous = request.headers.authorization === undefined
      const identity = anonymous ? undefined : await authenticate(request, response)
      entry.identity = identity?.clientId
      const here = anonymous ? 'challenge' : operation
      const fault = faults.take((one) => one.operation === undefined || one.operation === '*' || one.operation === here)
      const left = await suffer(fault, response, stopping.signal, errorOfStatus)
      if (left === 'nothing') return

      const caller = identity ?? (await authenticate(request, response))
      if (match) checkPermission(policies, caller, match)
      const { status = 200, body } = await work(match, request, target.searchParams)
      if (left === 'work') loseAnswer(fault, response)
      else sendJson(response, status, fault?.wrongValue ? withWrongValue(body) : body)
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      sendJson(response, error.status, error)
    }
  }

  /** For scripts: requires no token, but JSON, which a page of another origin cannot send without a preflight. */
  const administer = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    try {
      if (path === renewPath) {
        checkJsonPost(request)
        const { version } = await certificates.renew(parseBody(renewBody, await readJson(request)).name)
        sendJson(response, 200, { version })
        return
      }
      if (request.method === 'DELETE') faults.clear()
      else {
        checkJsonPost(request)
        faults.add(parseBody(vaultFault, await readJson(request)))
      }
      response.writeHead(204).end()
    } catch (error) {
      if (!(error instanceof VaultError)) throw error
      sendJson(response, error.status, error)
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const target = new URL(`https://localhost${request.url ?? '/'}`)
    if (target.pathname === faultsPath || target.pathname === renewPath) {
      await administer(request, response, target.pathname)
    } else if (request.socket instanceof TLSSocket) await serve(request, response, target)
    else sendJson(response, 400, badParameter('The vault speaks https only.'))
  }

  const server = await listen({
    name: 'Key Vault',
    port: options.port,
    tls: options.tls,
    handler: (request, response) => void handle(request, response).catch(() => response.destroy()),
  })
  url = `https://localhost:${server.port}`

  return {
    url,
    get requests() {
      return requests
    },
    resetRequests: () => {
      requests = []
    },
    faults: { add: faults.add, clear: faults.clear },
    setPermissions: (clientId, policy) => void policies.set(clientId, policy),
    ...control(certificates, keys, context),
    close: () => {
      stopping.abort()
      return server.close()
    },
  }
}

/** Operations that tests and the local start use in process, without HTTP. */
function control(certificates: Certificates, keys: Keys, { url, now }: VaultContext) {
  const keyInfo = ({ name, version }: { name: string; version: string }): KeyInfo => ({
    name,
    version,
    keyId: `${url()}/keys/${name}/${version}`,
  })
  const change = (attributes: Attributes, changes: VersionDates & { enabled?: boolean }) =>
    void Object.assign(attributes, changes, { updated: now() })

  return {
    createCertificate: certificates.create,
    renewCertificate: certificates.renew,
    publicCertificates: certificates.publicCertificates,
    setCertificateEnabled: (name: string, version: string | undefined, enabled: boolean) =>
      change(certificates.store.get(name, version).attributes, { enabled }),
    setCertificateDates: (name: string, version: string | undefined, dates: VersionDates) =>
      change(certificates.store.get(name, version).attributes, dates),
    deleteCertificate: certificates.delete,

    createKey: async (name: string, options?: CreateKeyOptions) => keyInfo(await keys.create(name, options)),
    rotateKey: async (name: string) => keyInfo(await keys.rotate(name)),
    setKeyEnabled: (name: string, version: string | undefined, enabled: boolean) =>
      change(keys.store.get(name, version).attributes, { enabled }),
    setKeyDates: (name: string, version: string | undefined, dates: VersionDates) =>
      change(keys.store.get(name, version).attributes, dates),
    publicKey: (name: string, version: string) => keys.store.get(name, version).publicKey,
  }
}

function checkJsonPost({ method, headers }: IncomingMessage): void {
  if (method !== 'POST')
    throw new VaultError(405, 'MethodNotAllowed', 'Send POST to add a fault, DELETE to clear the faults.')
  if (headers['content-type']?.split(';')[0] === 'application/json') return
  throw new VaultError(415, 'UnsupportedMediaType', 'Send it as application/json.')
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largestBody) throw badParameter('The request body is too large.')
    chunks.push(chunk)
  }
  if (length === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    throw badParameter('The request body is not JSON.')
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-cache',
    'x-ms-keyvault-region': 'local',
    'x-ms-request-id': randomUUID(),
  })
  response.end(JSON.stringify(body))
}

/** A signature, wrapped or unwrapped bytes: one bit is changed. */
function withWrongValue(body: object): object {
  const { value } = body as { value?: unknown }
  if (typeof value !== 'string') return body
  const bytes = Buffer.from(value, 'base64url')
  const middle = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
  return { ...body, value: bytes.toString('base64url') }
}
