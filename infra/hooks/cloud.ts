/** Requests to Azure Resource Manager and Microsoft Graph with the sign-in of the person or pipeline that deploys. */
import type { TokenCredential } from '@azure/identity'
import { isLoopbackHost } from '../../shared/settings/addresses.ts'
import { BrokerError } from '../../shared/errors/errors.ts'
import { createExchange, retryAfterSecondsOf } from '../../shared/http/exchange.ts'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import { describeSignInFaults } from '../../tools/certificate/deployer-credential.azure-identity.ts'
import type { Variables } from './azd.ts'
import { findAzureCloud, graphOriginOf } from './azure-clouds.ts'
import type { Clock } from './clock.ts'
import { HookStop } from './stop.ts'

export interface CloudAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** For messages: the status, with the code and the sentence by which Resource Manager or Graph explains it. */
export function causeOf({ status, body }: CloudAnswer): string {
  const { code, message } = (body['error'] ?? body) as { readonly code?: unknown; readonly message?: unknown }
  const sentence = typeof message === 'string' ? (message.split(/\r?\n/)[0] ?? '').slice(0, 500) : ''
  const name = typeof code === 'string' ? ` ${code}` : ''
  return `${status}${name}${sentence === '' ? '' : `: ${sentence.replace(/\.$/, '')}`}`
}

interface CloudCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses that are temporary while permissions and directory changes replicate: the request is repeated. */
  readonly passing?: readonly number[]
}

export interface Cloud {
  /** The deploying identity, by the claims of its access token for Resource Manager. */
  principal(): Promise<Principal>
  readonly arm: (path: string, call?: CloudCall) => Promise<CloudAnswer>
  readonly graph: (path: string, call?: CloudCall) => Promise<CloudAnswer>
}

interface Principal {
  /** Object id in the tenant of the subscription; for a guest that is not the id in the home tenant. */
  readonly id: string
  readonly type: 'User' | 'ServicePrincipal'
}

interface Endpoints {
  readonly arm: string
  readonly graph: string
}

/** The documentation names ten minutes as the maximum for role assignments; some take longer. */
const defaultPatienceSeconds = 900
const longestPause = 30_000
const requestDeadline = 60_000
const maxBytes = 32 * 1024 * 1024

/** Time limit of a hook for changes that replicate, in milliseconds. */
export function patienceOf(environment: Variables): number {
  const seconds = Number(environment.get('BROKER_HOOK_PATIENCE_SECONDS') ?? defaultPatienceSeconds)
  return (Number.isFinite(seconds) ? seconds : defaultPatienceSeconds) * 1000
}

/** The endpoints of the cloud, or loopback for tests. No other host can be configured. */
export function endpointsOf(environment: Variables): Endpoints {
  const cloud = publicEndpointsOf(environment)
  const local = (variable: string, address: string) => {
    const value = environment.get(variable)
    if (value === undefined) return address
    if (URL.canParse(value) && isLoopbackHost(new URL(value).hostname)) return new URL(value).origin
    throw new HookStop(`${variable} is not on loopback. Delete it: tokens go to ${address} only.`)
  }
  return { arm: local('BROKER_LOCAL_ARM', cloud.arm), graph: local('BROKER_LOCAL_GRAPH', cloud.graph) }
}

function publicEndpointsOf(environment: Variables): Endpoints {
  return { arm: findAzureCloud(environment).arm, graph: graphOriginOf(environment) }
}

interface CloudOptions {
  readonly credential: TokenCredential
  readonly clock: Clock
}

export function createCloud(environment: Variables, { credential, clock }: CloudOptions): Cloud {
  const endpoints = endpointsOf(environment)
  const audiences = publicEndpointsOf(environment)
  const patience = patienceOf(environment)
  // The proxies of the person's shell, not of the azd environment.
  const exchange = createExchange({ maxBytes, proxies: proxyPolicyOf(process.env) })
  const tokens = new Map<string, { readonly token: string; readonly expiresOnTimestamp: number }>()

  const tokenFor = async (audience: string): Promise<string> => {
    const kept = tokens.get(audience)
    if (kept && kept.expiresOnTimestamp > clock.now() + 300_000) return kept.token
    try {
      const fetched = await credential.getToken(`${audience}/.default`)
      if (!fetched) throw new Error('no token')
      tokens.set(audience, fetched)
      return fetched.token
    } catch (cause) {
      throw new HookStop(
        [
          `There is no sign-in for ${audience}. Run: azd auth login. In a pipeline, check the federated credential of the identity.`,
          ...describeSignInFaults(cause),
        ].join('\n'),
        { cause },
      )
    }
  }

  const send = async (url: string, audience: string, call: CloudCall): Promise<CloudAnswer & { pause?: number }> => {
    const address = new URL(url)
    const request = {
      method: call.method ?? 'GET',
      path: `${address.pathname}${address.search}`,
      headers: {
        authorization: `Bearer ${await tokenFor(audience)}`,
        accept: 'application/json',
        ...(call.body ? { 'content-type': 'application/json' } : {}),
        ...call.headers,
      },
      body: call.body ? JSON.stringify(call.body) : undefined,
    }
    const { status, headers, body: content } = await exchange(address, request, performance.now() + requestDeadline)
    // A redirect would carry the token to another host.
    if (status >= 300 && status < 400) throw new Error('a redirect')
    const text = content.toString('utf8')
    const body: unknown = text === '' ? {} : parseJson(text)
    const pause = retryAfterSecondsOf(headers['retry-after'], clock.now())
    return {
      status,
      body: (typeof body === 'object' && body !== null ? body : {}) as CloudAnswer['body'],
      ...(pause === undefined ? {} : { pause: pause * 1000 }),
    }
  }

  const patiently = async (base: string, audience: string, path: string, call: CloudCall): Promise<CloudAnswer> => {
    const until = clock.now() + patience
    for (let attempt = 0; ; attempt++) {
      const last = await send(`${base}${path}`, audience, call).catch((error: unknown) => {
        if (error instanceof HookStop) throw error
        return error as Error
      })
      const isPassing =
        last instanceof Error
          ? attempt < 5
          : last.status === 429 || (last.status >= 500 && attempt < 5) || (call.passing?.includes(last.status) ?? false)
      const pause = Math.min((last instanceof Error ? undefined : last.pause) ?? 500 * 2 ** attempt, longestPause)
      if (isPassing && clock.now() + pause <= until) {
        await clock.wait(pause)
        continue
      }
      if (last instanceof Error) throw new HookStop(unreachable(new URL(base).hostname, last), { cause: last })
      return last
    }
  }

  return {
    principal: async () => {
      const token = await tokenFor(audiences.arm)
      const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
        readonly oid?: string
        readonly idtyp?: string
      }
      return { id: claims.oid ?? '', type: claims.idtyp === 'app' ? 'ServicePrincipal' : 'User' }
    },
    arm: (path, call = {}) => patiently(endpoints.arm, audiences.arm, path, call),
    graph: (path, call = {}) => patiently(`${endpoints.graph}/v1.0`, audiences.graph, path, call),
  }
}

function unreachable(hostname: string, error: Error): string {
  const detail = error instanceof BrokerError && error.code === 'proxy_unavailable' ? error.detail : undefined
  return detail === undefined
    ? `${hostname} could not be reached.`
    : `${hostname} could not be reached: ${detail}. Check HTTPS_PROXY and NO_PROXY.`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
