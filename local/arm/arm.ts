/**
 * The part of Azure Resource Manager that the deployment's hooks ask, over https on loopback: what a subscription has
 * and may, which vaults were deleted, what stands in a resource group. It deploys nothing. Not deployed itself.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from '../http-server.ts'
import type { TlsIdentity } from '../http-server.ts'
import type { VerifyAccessToken } from '../managed-identity/access-tokens.ts'
import { createFaults, suffer } from '../vault/faults.ts'
import type { FaultEffects, Faults } from '../vault/faults.ts'

export interface ArmFault extends FaultEffects {
  /** Part of the path; everything where it is left out. */
  readonly path?: string
}

export interface ArmRequest {
  readonly method: string
  readonly path: string
}

export interface ArmState {
  /** Registered resource providers. */
  readonly providers: Set<string>
  /** What the caller may do in the subscription. */
  permissions: readonly { readonly actions: readonly string[]; readonly notActions: readonly string[] }[]
  /** Deleted vaults by name. */
  readonly deletedVaults: Map<string, { readonly location: string; readonly purgeProtected: boolean }>
  /** Names of vaults that somebody else in the world has. */
  readonly takenVaultNames: Set<string>
  /** What is there, by resource id. */
  readonly resources: Map<string, object>
  readonly domainVerificationId: string
}

export interface Arm {
  /** `https://localhost:PORT` */
  readonly url: string
  readonly state: ArmState
  readonly requests: readonly ArmRequest[]
  readonly faults: Pick<Faults<ArmFault>, 'add' | 'clear'>
  close(): Promise<void>
}

export interface ArmOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
}

export const armAudience = 'https://management.azure.com'

export async function startArm(options: ArmOptions): Promise<Arm> {
  const state: ArmState = {
    providers: new Set(['Microsoft.App', 'Microsoft.Web', 'Microsoft.KeyVault', 'Microsoft.EventGrid']),
    permissions: [{ actions: ['*'], notActions: [] }],
    deletedVaults: new Map(),
    takenVaultNames: new Set(),
    resources: new Map(),
    domainVerificationId: 'A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F90',
  }
  const faults = createFaults<ArmFault>()
  const stopping = new AbortController()
  const requests: ArmRequest[] = []

  const answer = (method: string, path: string, body: unknown): { status: number; body: object } => {
    const after = /^\/subscriptions\/[\da-f-]{36}\/providers\/(.*)$/i.exec(path)?.[1]
    if (after === 'Microsoft.Authorization/permissions') return { status: 200, body: { value: state.permissions } }
    if (after === 'Microsoft.Web/getCustomDomainVerificationId' && method === 'POST')
      return { status: 200, body: { value: state.domainVerificationId } }
    if (after === 'Microsoft.KeyVault/checkNameAvailability' && method === 'POST') {
      const { name } = body as { name: string }
      const isTaken =
        state.takenVaultNames.has(name) || [...state.resources.keys()].some((id) => id.endsWith(`/${name}`))
      return {
        status: 200,
        body: isTaken ? { nameAvailable: false, reason: 'AlreadyExists' } : { nameAvailable: true },
      }
    }
    const deletedName = /^Microsoft\.KeyVault\/locations\/[^/]+\/deletedVaults\/([^/]+)$/.exec(after ?? '')?.[1]
    const deleted = state.deletedVaults.get(deletedName ?? '')
    if (deleted) {
      const { location, purgeProtected } = deleted
      const properties = {
        location,
        purgeProtectionEnabled: purgeProtected,
        scheduledPurgeDate: '2027-02-01T00:00:00Z',
      }
      return { status: 200, body: { name: deletedName, properties } }
    }
    if (after !== undefined && !after.includes('/')) {
      return { status: 200, body: { registrationState: state.providers.has(after) ? 'Registered' : 'NotRegistered' } }
    }
    const resource = state.resources.get(path)
    if (resource) return { status: 200, body: resource }
    return { status: 404, body: errorBody('ResourceNotFound') }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const method = request.method ?? 'GET'
    const target = new URL(request.url ?? '/', 'https://localhost')
    const path = decodeURIComponent(target.pathname)
    requests.push({ method, path })
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const isKnown = await options.verifyAccessToken(token ?? '', armAudience).then(
      () => true,
      () => false,
    )
    if (!isKnown) {
      send(response, 401, errorBody('AuthenticationFailed'))
      return
    }
    const fault = faults.take((one) => one.path === undefined || path.includes(one.path))
    const left = await suffer(fault, response, stopping.signal, () => errorBody('AuthorizationFailed'))
    if (left === 'nothing') return
    if (!target.searchParams.has('api-version')) {
      send(response, 400, errorBody('MissingApiVersionParameter'))
      return
    }
    const { status, body } = answer(method, path, await readJson(request))
    send(response, status, body)
  }

  const server = await listen({
    name: 'Azure Resource Manager',
    port: options.port,
    tls: options.tls,
    handler: (request, response) => void handle(request, response).catch(() => response.destroy()),
  })

  return {
    url: `https://localhost:${server.port}`,
    state,
    requests,
    faults: { add: faults.add, clear: faults.clear },
    close: () => {
      stopping.abort()
      return server.close()
    },
  }
}

function errorBody(code: string): object {
  return { error: { code, message: `${code}.` } }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown)
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
