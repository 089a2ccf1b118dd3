/** The network policy for clients of the Azure SDKs, which otherwise read the proxy variables by themselves. */
import { createDefaultHttpClient } from '@azure/core-rest-pipeline'
import type { HttpClient, ProxySettings } from '@azure/core-rest-pipeline'
import { createAgents } from './agents.ts'
import type { ProxyPolicy } from './proxy.ts'

interface SdkNetworkOptions {
  readonly httpClient: HttpClient
  readonly proxyOptions: ProxySettings
}

/**
 * Options that every client of an Azure SDK must be created with.
 *
 * By an HTTP client and not by a pipeline policy, because `ManagedIdentityCredential` drops `additionalPolicies`. The
 * agent is set last, so it replaces the one that the SDK's own proxy policy chose.
 *
 * @param timeoutMilliseconds of one request; the SDK's own, which is none, where it is left out
 */
export function sdkNetworkOptions(policy: ProxyPolicy, timeoutMilliseconds?: number): SdkNetworkOptions {
  const client = createDefaultHttpClient()
  const agentFor = createAgents(policy, { keepAlive: true })
  return {
    httpClient: {
      sendRequest: async (request) => {
        request.agent = agentFor(new URL(request.url))
        if (timeoutMilliseconds !== undefined) request.timeout = timeoutMilliseconds
        return client.sendRequest(request)
      },
    },
    // Never used. Without it the SDK parses HTTPS_PROXY, ALL_PROXY or HTTP_PROXY, and throws where that is no URL.
    proxyOptions: { host: 'http://localhost', port: 9 },
  }
}
