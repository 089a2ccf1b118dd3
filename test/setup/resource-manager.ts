/**
 * The part of Azure Resource Manager that the deployment's hooks call, over https on loopback: subscription, providers,
 * regions, permissions, deleted vaults, resources. It runs no template. Not deployed itself.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from '../../local/http-server.ts'
import type { TlsIdentity } from '../../local/http-server.ts'
import type { VerifyAccessToken } from '../../local/managed-identity/access-tokens.ts'
import { createFaults, suffer } from '../../local/vault/faults.ts'
import type { FaultEffects, Faults } from '../../local/vault/faults.ts'

interface ArmFault extends FaultEffects {
  /** Part of the path. Without it, the fault applies to every request. */
  readonly path?: string
  readonly method?: string
  /** The code and the sentence of the refusal; AuthorizationFailed where it is left out. */
  readonly error?: { readonly code: string; readonly message: string }
}

interface ArmRequest {
  readonly method: string
  readonly path: string
}

export interface ArmState {
  tenantId: string
  /** False: the sign-in is for another tenant. */
  isVisible: boolean
  isDisabled: boolean
  /** Registered resource providers. */
  readonly providers: Set<string>
  mayRegisterProviders: boolean
  /** Number of reads that return Registering before Registered. */
  registrationReads: number
  /** The regions of a resource type. */
  regionsOfTypes: Readonly<Record<string, readonly string[]>>
  /** Regions of Flex Consumption, by their display names. */
  flexRegions: readonly string[]
  /** Those of them with zone redundancy. */
  zonedRegions: readonly string[]
  /** Versions of Node on Flex Consumption. */
  nodeVersions: readonly string[]
  /** Permissions of the caller in the subscription. */
  permissions: readonly { readonly actions: readonly string[]; readonly notActions: readonly string[] }[]
  /** Deleted vaults by name. */
  readonly deletedVaults: Map<string, { readonly id: string; readonly location: string; readonly resource: object }>
  /** Names of vaults, storage accounts and sites in other subscriptions. */
  readonly takenNames: Set<string>
  /** Present resources, by resource id. */
  readonly resources: Map<string, object>
  /** The last successful deployment of each azd environment, which azd finds by its tags. */
  readonly deployments: Map<string, LastDeployment>
  /** App settings by the resource id of the site. */
  readonly appSettings: Map<string, Readonly<Record<string, string>>>
  mayListSettings: boolean
  /** Functions of the deployed code that Azure does not list before a sync, by the resource id of the site. */
  readonly unlisted: Map<string, readonly string[]>
  /** Number of syncs that list no function, because the host is still starting. */
  idleSyncs: number
  /** Role assignments by the resource id of their scope. */
  readonly roleAssignments: Map<string, readonly { readonly principalId: string; readonly createdOn: string }[]>
  /** Of every app in the subscription. */
  readonly domainVerificationId: string
}

interface LastDeployment {
  readonly parameters: string
  readonly outputs: Readonly<Record<string, string>>
  /** Id of the resource group that it created. */
  readonly group: string
}

export interface Arm {
  /** `https://localhost:PORT` */
  readonly url: string
  readonly state: ArmState
  readonly requests: readonly ArmRequest[]
  readonly faults: Pick<Faults<ArmFault>, 'add' | 'clear'>
  close(): Promise<void>
}

interface ArmOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
  /** Tenant of the subscription. */
  readonly tenantId?: string
}

const armAudience = 'https://management.azure.com'

export async function startArm(options: ArmOptions): Promise<Arm> {
  const state: ArmState = {
    tenantId: options.tenantId ?? '11111111-1111-4111-8111-111111111111',
    isVisible: true,
    isDisabled: false,
    providers: new Set([
      'Microsoft.EventGrid',
      'Microsoft.Insights',
      'Microsoft.KeyVault',
      'Microsoft.ManagedIdentity',
      'Microsoft.OperationalInsights',
      'Microsoft.Storage',
      'Microsoft.Web',
    ]),
    mayRegisterProviders: true,
    registrationReads: 0,
    regionsOfTypes: { 'Microsoft.Insights/components': ['West Europe', 'North Europe', 'East US'] },
    flexRegions: ['West Europe', 'North Europe', 'East US'],
    zonedRegions: ['West Europe', 'East US'],
    nodeVersions: ['20', '22'],
    permissions: [{ actions: ['*'], notActions: [] }],
    deletedVaults: new Map(),
    takenNames: new Set(),
    resources: new Map(),
    deployments: new Map(),
    appSettings: new Map(),
    mayListSettings: true,
    unlisted: new Map(),
    idleSyncs: 0,
    roleAssignments: new Map(),
    domainVerificationId: 'A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F90',
  }
  const faults = createFaults<ArmFault>()
  const stopping = new AbortController()
  const requests: ArmRequest[] = []

  const answer = (method: string, { pathname, searchParams }: URL, body: unknown): ArmAnswer => {
    const path = decodeURIComponent(pathname)
    for (const [pattern, route] of routes) {
      const match = pattern.exec(`${method} ${path}`)
      const answered = match && route(state, match.slice(1), body, searchParams)
      if (answered) return answered
    }
    const resource = state.resources.get(path)
    if (method === 'GET' && resource) return ok(resource)
    return refuse(404, 'ResourceNotFound')
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
    const fault = faults.take(
      (one) => (one.path === undefined || path.includes(one.path)) && (one.method ?? method) === method,
    )
    const error = fault?.error ? { error: fault.error } : errorBody('AuthorizationFailed')
    const left = await suffer(fault, response, stopping.signal, () => error)
    if (left === 'nothing') return
    if (!target.searchParams.has('api-version')) {
      send(response, 400, errorBody('MissingApiVersionParameter'))
      return
    }
    const { status, body } = answer(method, target, await readJson(request))
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

interface ArmAnswer {
  readonly status: number
  readonly body: object
}

function ok(body: object): ArmAnswer {
  return { status: 200, body }
}

function refuse(status: number, code: string): ArmAnswer {
  return { status, body: errorBody(code) }
}

type Route = (state: ArmState, parts: readonly string[], body: unknown, query: URLSearchParams) => ArmAnswer | undefined

const subscription = String.raw`/subscriptions/[\da-f-]{36}`
const provider = String.raw`${subscription}/providers/([A-Za-z.]+)`
const anySite = String.raw`(${subscription}/resourceGroups/[^/]+/providers/Microsoft\.Web/sites/[^/]+)`

/** By method and path; the first route that answers counts, and then the resource of that id. */
const routes: readonly (readonly [RegExp, Route])[] = [
  [
    new RegExp(`^GET ${subscription}$`),
    (state) =>
      state.isVisible
        ? ok({ tenantId: state.tenantId, state: state.isDisabled ? 'Disabled' : 'Enabled' })
        : refuse(404, 'SubscriptionNotFound'),
  ],
  [
    new RegExp(`^GET ${subscription}/providers$`),
    (state) =>
      ok({
        value: [...state.providers].map((namespace) => ({
          namespace,
          registrationState: 'Registered',
          resourceTypes: Object.entries(state.regionsOfTypes)
            .filter(([type]) => type.startsWith(`${namespace}/`))
            .map(([type, locations]) => ({ resourceType: type.slice(namespace.length + 1), locations })),
        })),
      }),
  ],
  [
    new RegExp(`^POST ${provider}/register$`),
    (state, [name = '']) => {
      if (!state.mayRegisterProviders) return refuse(403, 'AuthorizationFailed')
      state.providers.add(name)
      return ok({ registrationState: 'Registering' })
    },
  ],
  [
    new RegExp(`^GET ${provider}$`),
    (state, [name = '']) => {
      const isReady = state.providers.has(name) && state.registrationReads-- <= 0
      return ok({ registrationState: isReady ? 'Registered' : 'Registering' })
    },
  ],
  [
    new RegExp(`^GET ${subscription}/providers/Microsoft.Web/geoRegions$`),
    (state) => {
      const capabilities = (name: string) =>
        state.zonedRegions.includes(name) ? 'PUBLIC;FLEXCONSUMPTION;FCZONEREDUNDANCY' : 'PUBLIC;FLEXCONSUMPTION'
      return ok({ value: state.flexRegions.map((name) => ({ name, properties: { orgDomain: capabilities(name) } })) })
    },
  ],
  [
    /^GET \/providers\/Microsoft\.Web\/locations\/[^/]+\/functionAppStacks$/,
    (state) => {
      const minorVersions = state.nodeVersions.map((version) => ({
        stackSettings: { linuxRuntimeSettings: { runtimeVersion: version, Sku: [{ skuCode: 'FC1' }] } },
      }))
      return ok({ value: [{ name: 'node', properties: { majorVersions: [{ minorVersions }] } }] })
    },
  ],
  [
    new RegExp(`^GET (${subscription}(?:/resourceGroups/[^/]+)?)/providers/Microsoft.Authorization/permissions$`),
    (state, [scope = '']) =>
      scope.includes('/resourceGroups/') && !state.resources.has(scope)
        ? refuse(404, 'ResourceGroupNotFound')
        : ok({ value: state.permissions }),
  ],
  [
    new RegExp(
      `^POST ${subscription}/providers/(?:Microsoft.KeyVault|Microsoft.Storage|Microsoft.Web)/checkNameAvailability$`,
    ),
    (state, _parts, body) => {
      const { name } = body as { name: string }
      const isTaken = state.takenNames.has(name) || [...state.resources.keys()].some((id) => id.endsWith(`/${name}`))
      return ok(isTaken ? { nameAvailable: false, reason: 'AlreadyExists' } : { nameAvailable: true })
    },
  ],
  [
    new RegExp(`^GET ${subscription}/providers/Microsoft.KeyVault/locations/([^/]+)/deletedVaults/([^/]+)$`),
    (state, [location, name = '']) => {
      const deleted = state.deletedVaults.get(name)
      if (!deleted || deleted.location !== location) return refuse(404, 'DeletedVaultNotFound')
      return ok({ name, properties: { location, vaultId: deleted.id, purgeProtectionEnabled: true } })
    },
  ],
  [
    new RegExp(`^GET (${subscription}/resourceGroups/[^/]+)/resources$`),
    (state, [group = ''], _body, query) => {
      const listed = [...state.resources].flatMap(([id, resource]) => {
        const [, type, name] = /^\/providers\/([^/]+\/[^/]+)\/([^/]+)$/.exec(id.slice(group.length)) ?? []
        if (!id.startsWith(`${group}/`) || type === undefined || !isListed(type)) return []
        return [{ id, name, type, tags: (resource as { readonly tags?: object }).tags }]
      })
      if (!state.resources.has(group)) return refuse(404, 'ResourceGroupNotFound')
      // Azure's own pages have 1,000 entries.
      const start = Number(query.get('$skiptoken') ?? 0)
      const end = start + 5
      const nextLink = `https://management.azure.com${group}/resources?api-version=2021-04-01&$skiptoken=${end}`
      return ok({ value: listed.slice(start, end), ...(end < listed.length ? { nextLink } : {}) })
    },
  ],
  [
    new RegExp(`^PUT (${subscription}/resourceGroups/[^/]+)$`),
    (state, [id = ''], body) => {
      state.resources.set(id, body as object)
      return ok(body as object)
    },
  ],
  [
    new RegExp(`^PUT ((${subscription}/resourceGroups/[^/]+)/providers/Microsoft.KeyVault/vaults/([^/]+))$`),
    (state, [id = '', group = '', name = ''], body) => {
      const { properties } = body as { properties?: { createMode?: string } }
      const deleted = state.deletedVaults.get(name)
      if (!state.resources.has(group)) return refuse(404, 'ResourceGroupNotFound')
      if (properties?.createMode !== 'recover' || deleted?.id !== id) return refuse(409, 'VaultAlreadyExists')
      state.deletedVaults.delete(name)
      state.resources.set(id, deleted.resource)
      return ok(deleted.resource)
    },
  ],
  [
    new RegExp(`^POST ${anySite}/config/appsettings/list$`),
    (state, [site = '']) =>
      state.mayListSettings
        ? ok({ properties: state.appSettings.get(site) ?? {} })
        : refuse(403, 'AuthorizationFailed'),
  ],
  [
    new RegExp(`^GET ${anySite}/hostNameBindings$`),
    (state, [site = '']) => {
      const prefix = `${site}/hostNameBindings/`
      const ids = [...state.resources.keys()].filter((id) => id.startsWith(prefix))
      return ok({ value: ids.map((id) => ({ name: `${site.split('/').at(-1) ?? ''}/${id.slice(prefix.length)}` })) })
    },
  ],
  [
    new RegExp(`^POST ${anySite}/host/default/sync$`),
    (state, [site = '']) => {
      if (!state.resources.has(site)) return refuse(404, 'ResourceNotFound')
      const functions = state.unlisted.get(site)
      if (!functions) return refuse(400, 'BadRequest')
      if (state.idleSyncs-- > 0) return ok({ status: 'success' })
      for (const name of functions) state.resources.set(`${site}/functions/${name}`, { name })
      return ok({ status: 'success' })
    },
  ],
  [
    new RegExp(`^GET (${subscription}/.+)/providers/Microsoft.Authorization/roleAssignments$`),
    (state, [scope = ''], _body, query) => {
      const principal = /^principalId eq '(.+)'$/.exec(query.get('$filter') ?? '')?.[1]
      // Those of management group and subscription come first, and fill a page.
      if (principal === undefined) return ok({ value: [], nextLink: 'https://management.azure.com/next' })
      const assignments = state.roleAssignments.get(scope) ?? []
      const own = assignments.filter(({ principalId }) => principalId === principal)
      return ok({ value: own.map((properties) => ({ properties })) })
    },
  ],
]

/** Deployments and budgets are no tracked resources. */
function isListed(type: string): boolean {
  return !/^Microsoft\.(Resources|Consumption)\//i.test(type)
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
