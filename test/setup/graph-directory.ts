/**
 * The part of Microsoft Graph that a deployment calls: applications by their unique name, service principals, other
 * APIs. local/graph/applications.ts has the keys of an application; this file has its other properties.
 */
import { randomUUID } from 'node:crypto'
import { keyCredentialJson } from '../../local/graph/applications.ts'
import type { Application, Applications } from '../../local/graph/applications.ts'
import type { GraphAnswer, GraphCall, GraphRoute } from '../../local/graph/route.ts'
import { GraphError } from '../../local/graph/graph-error.ts'

type Properties = Record<string, unknown>

interface ServicePrincipal {
  readonly id: string
  readonly appId: string
  readonly servicePrincipalNames?: readonly string[]
  readonly oauth2PermissionScopes?: readonly { readonly id: string; readonly value: string }[]
}

export interface Directory {
  readonly routes: (applications: Applications) => readonly GraphRoute[]
  /** Properties of an application except its keys, by object id. */
  readonly properties: Map<string, Properties>
  readonly servicePrincipals: ServicePrincipal[]
  /** Assignments of people, groups and applications to app roles, of every service principal. */
  readonly roleAssignments: { readonly appId: string; readonly appRoleId: string }[]
  /** Deleted applications: Entra ID keeps them for 30 days, with their unique names. */
  readonly deleted: Properties[]
  /** Delegated permissions that were consented to, as Graph lists them, of every service principal. */
  readonly grants: Properties[]
  /** May be changed at any time. */
  readonly settings: {
    /** Callers may read applications. The identity of a pipeline has no right at Graph. */
    mayRead: boolean
    /** Callers see the deleted applications. */
    mayListDeleted: boolean
    /** Callers may create app registrations. */
    mayCreate: boolean
    /** Callers may change present app registrations. */
    mayChange: boolean
  }
}

interface AppRole {
  readonly id?: string
  readonly value?: string
  readonly isEnabled?: boolean
}

/** Graph replaces the whole list. It deletes a role only after an earlier request has disabled it. */
function checkAppRoles(before: readonly AppRole[], after: readonly AppRole[]): void {
  for (const { id, isEnabled = true } of before) {
    if (isEnabled && !after.some((role) => role.id === id)) {
      throw new GraphError(
        400,
        'CannotDeleteOrUpdateEnabledEntitlement',
        'Permission (scope or role) cannot be deleted or updated unless disabled first.',
      )
    }
  }
  const isRepeated = (member: 'id' | 'value') => new Set(after.map((role) => role[member])).size < after.length
  if (isRepeated('id') || isRepeated('value')) {
    throw new GraphError(400, 'InvalidValue', 'Property appRoles has a duplicate id or value.')
  }
  if (after.some(({ id }) => !/^[\da-f-]{36}$/i.test(id ?? ''))) {
    throw new GraphError(400, 'Request_BadRequest', 'A role needs an id.')
  }
}

/** Graph's own pages have 100 entries, and 999 at most. */
const pageSize = 2

/** Graph names the next page by a whole address. */
function pageOf(all: readonly Properties[], path: string, query: URLSearchParams): GraphAnswer {
  const start = Number(query.get('$skiptoken') ?? 0)
  const end = start + pageSize
  const next = `https://graph.microsoft.com/v1.0${path}?$skiptoken=${end}`
  const link = end < all.length ? { '@odata.nextLink': next } : {}
  return { status: 200, body: { value: all.slice(start, end), ...link } }
}

const denied = () =>
  new GraphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.')

export function createDirectory(): Directory {
  const properties = new Map<string, Properties>()
  const servicePrincipals: ServicePrincipal[] = []
  const grants: Properties[] = []
  const deleted: Properties[] = []
  const roleAssignments: Directory['roleAssignments'] = []
  const settings = { mayRead: true, mayListDeleted: true, mayCreate: true, mayChange: true }

  const routes = (applications: Applications): readonly GraphRoute[] => {
    /** By object id, client id or unique name. */
    const find = (key: string): Application | undefined => {
      const [, alternate, value] = /^\((appId|uniqueName)='([^']*)'\)$/.exec(key) ?? []
      return applications.all.find((one) => {
        if (alternate === 'appId') return one.appId === value
        if (alternate === 'uniqueName') return properties.get(one.id)?.['uniqueName'] === value
        return `/${one.id}` === key
      })
    }
    const get = (key: string): Application => {
      const application = find(key)
      if (application) return application
      throw new GraphError(404, 'Request_ResourceNotFound', `Resource '${key}' does not exist.`)
    }

    const applicationJson = (application: Application, query: URLSearchParams): Properties => {
      const selected = query.get('$select')?.split(',')
      const whole: Properties = {
        ...properties.get(application.id),
        id: application.id,
        appId: application.appId,
        // Graph returns them empty unless $select names them.
        keyCredentials: selected?.includes('keyCredentials')
          ? applications.keysOf(application).map((key) => keyCredentialJson(key, true))
          : [],
      }
      return Object.fromEntries(Object.entries(whole).filter(([name]) => selected?.includes(name) ?? true))
    }

    const change = (application: Application, body: Properties) => {
      const { keyCredentials, ...rest } = body
      const { appRoles } = properties.get(application.id) ?? {}
      if (rest['appRoles'] !== undefined) checkAppRoles((appRoles ?? []) as AppRole[], rest['appRoles'] as AppRole[])
      properties.set(application.id, { ...properties.get(application.id), ...rest })
      if (keyCredentials !== undefined) replaceKeys(application, keyCredentials as Properties[])
    }

    /** Graph replaces the whole list: a key that is not in it is removed. */
    const replaceKeys = (application: Application, keys: readonly Properties[]) => {
      const before = applications.keysOf(application)
      const kept = new Set(keys.map(({ keyId }) => keyId).filter((keyId) => keyId !== undefined))
      for (const key of before) if (!kept.has(key.keyId)) applications.unregister(application, key.keyId)
      for (const { keyId, key, displayName } of keys) {
        if (before.some((one) => one.keyId === keyId)) continue
        if (typeof key !== 'string') throw new GraphError(400, 'Request_BadRequest', 'A new key needs its certificate.')
        applications.register(application, Buffer.from(key, 'base64'), {
          displayName: typeof displayName === 'string' ? displayName : '',
        })
      }
    }

    const changeOrMake = ({ parameters, headers, body }: GraphCall): GraphAnswer => {
      const key = parameters[0] ?? ''
      const application = find(key)
      if (application) {
        if (!settings.mayChange) throw denied()
        change(application, body as Properties)
        return { status: 204 }
      }
      const uniqueName = /^\(uniqueName='([^']*)'\)$/.exec(key)?.[1]
      if (uniqueName === undefined || headers.prefer !== 'create-if-missing') return { status: 404, body: get(key) }
      if (!settings.mayCreate) throw denied()
      if (deleted.some((one) => one['uniqueName'] === uniqueName)) {
        // As public reports have it (microsoftgraph/msgraph-bicep-types#137): no 409.
        const sentence = 'Another object with the same value for property uniqueName already exists.'
        throw new GraphError(400, 'Request_BadRequest', sentence)
      }
      const made = { id: randomUUID(), appId: randomUUID() }
      applications.add(made)
      change(made, { ...(body as Properties), uniqueName })
      return { status: 201, body: applicationJson(made, new URLSearchParams()) }
    }

    const principal = (appId: string) => servicePrincipals.find((one) => one.appId === appId)

    return [
      {
        operation: 'getApplication',
        method: 'GET',
        path: /^\/applications(\/[\da-f-]{36}|\([^)]*\))$/i,
        handle: ({ parameters, query }) => {
          if (!settings.mayRead) throw denied()
          return { status: 200, body: applicationJson(get(parameters[0] ?? ''), query) }
        },
      },
      {
        operation: 'changeApplication',
        method: 'PATCH',
        path: /^\/applications(\/[\da-f-]{36}|\([^)]*\))$/i,
        handle: changeOrMake,
      },
      {
        operation: 'deleteApplication',
        method: 'DELETE',
        path: /^\/applications(\/[\da-f-]{36}|\([^)]*\))$/i,
        handle: ({ parameters }) => {
          const application = get(parameters[0] ?? '')
          if (!settings.mayChange) throw denied()
          deleted.push({ ...properties.get(application.id), id: application.id, appId: application.appId })
          applications.remove(application.id)
          properties.delete(application.id)
          return { status: 204 }
        },
      },
      {
        operation: 'listDeletedApplications',
        method: 'GET',
        path: /^\/directory\/deletedItems\/microsoft\.graph\.application$/i,
        handle: () => {
          if (!settings.mayRead || !settings.mayListDeleted) throw denied()
          return {
            status: 200,
            body: { value: deleted.map(({ id, appId, uniqueName }) => ({ id, appId, uniqueName })) },
          }
        },
      },
      {
        operation: 'listFederatedCredentials',
        method: 'GET',
        path: /^\/applications(\/[\da-f-]{36}|\([^)]*\))\/federatedIdentityCredentials$/i,
        handle: ({ parameters }) => {
          if (!settings.mayRead) throw denied()
          return { status: 200, body: { value: applications.federatedCredentialsOf(get(parameters[0] ?? '')) } }
        },
      },
      {
        operation: 'changeFederatedCredential',
        method: 'PATCH',
        path: /^\/applications(\/[\da-f-]{36}|\([^)]*\))\/federatedIdentityCredentials\(name='([^']*)'\)$/i,
        handle: ({ parameters, headers, body }) => {
          const [key = '', name = ''] = parameters
          const application = get(key)
          if (!settings.mayChange) throw denied()
          const isThere = applications.federatedCredentialsOf(application).some((one) => one.name === name)
          if (!isThere && headers.prefer !== 'create-if-missing') {
            throw new GraphError(404, 'Request_ResourceNotFound', `Resource '${name}' does not exist.`)
          }
          const { issuer, subject, audiences } = body as Properties
          const isWhole = typeof issuer === 'string' && typeof subject === 'string' && Array.isArray(audiences)
          if (!isWhole || audiences.length !== 1) {
            throw new GraphError(400, 'Request_BadRequest', 'It needs an issuer, a subject and one audience.')
          }
          const made = applications.trust(application, { name, issuer, subject, audiences: audiences.map(String) })
          return isThere ? { status: 204 } : { status: 201, body: made }
        },
      },
      {
        operation: 'getServicePrincipal',
        method: 'GET',
        path: /^\/servicePrincipals\(appId='([^']*)'\)$/i,
        handle: ({ parameters }) => {
          const found = principal(parameters[0] ?? '')
          if (found) return { status: 200, body: found }
          throw new GraphError(404, 'Request_ResourceNotFound', 'Resource does not exist.')
        },
      },
      {
        operation: 'listRoleAssignments',
        method: 'GET',
        path: /^\/servicePrincipals\(appId='([^']*)'\)\/appRoleAssignedTo$/i,
        handle: ({ parameters, query }) => {
          const appId = parameters[0] ?? ''
          if (!settings.mayRead) throw denied()
          if (!principal(appId)) throw new GraphError(404, 'Request_ResourceNotFound', 'Resource does not exist.')
          const ofPrincipal = roleAssignments.filter((one) => one.appId === appId)
          const path = `/servicePrincipals(appId='${appId}')/appRoleAssignedTo`
          return pageOf(
            ofPrincipal.map(({ appRoleId }) => ({ appRoleId })),
            path,
            query,
          )
        },
      },
      {
        operation: 'listGrants',
        method: 'GET',
        path: /^\/servicePrincipals\(appId='([^']*)'\)\/oauth2PermissionGrants$/i,
        handle: ({ parameters, query }) => {
          if (!settings.mayRead) throw denied()
          return pageOf(grants, `/servicePrincipals(appId='${parameters[0] ?? ''}')/oauth2PermissionGrants`, query)
        },
      },
      {
        operation: 'findServicePrincipals',
        method: 'GET',
        path: /^\/servicePrincipals$/i,
        handle: ({ query }) => {
          const name = /^servicePrincipalNames\/any\(n:n eq '([^']*)'\)$/.exec(query.get('$filter') ?? '')?.[1]
          const value = servicePrincipals.filter(({ servicePrincipalNames }) =>
            servicePrincipalNames?.includes(name ?? ''),
          )
          return { status: 200, body: { value } }
        },
      },
      {
        operation: 'createServicePrincipal',
        method: 'POST',
        path: /^\/servicePrincipals$/i,
        handle: ({ body }) => {
          const { appId } = body as { appId: string }
          if (!settings.mayCreate) throw denied()
          if (principal(appId))
            throw new GraphError(409, 'Request_MultipleObjectsWithSameKeyValue', 'It exists already.')
          get(`(appId='${appId}')`)
          const made = { id: randomUUID(), appId }
          servicePrincipals.push(made)
          return { status: 201, body: made }
        },
      },
    ]
  }

  return { routes, properties, servicePrincipals, roleAssignments, deleted, grants, settings }
}
