/** Records each call to the identity provider and Graph as a span. */
import { noTelemetry } from '../telemetry/telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Network } from './network.ts'

/** The query of a URL is not recorded. */
export function observeNetwork(network: Network, telemetry: Telemetry): Network {
  if (telemetry === noTelemetry) return network
  return (request) => {
    const { host, pathname } = new URL(request.url)
    const call = { name: `${request.method} ${pathname}`, type: 'HTTP', target: host } as const
    return telemetry.span(
      call,
      () => network(request),
      ({ status }) => ({
        succeeded: status < 400,
        fields: { 'http.response.status_code': status },
      }),
    )
  }
}
